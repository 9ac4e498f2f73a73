// goclient: the conversations of an operator and an application that use the Go client of the API, over TLS.
//
//	goclient ADDRESS AUTHORITY ROOT-TOKEN AUDIT-FILE
//
// Each conversation prints `ok NAME`, or `FAIL NAME: what`; the exit status is 0 when none failed.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"

	vault "github.com/hashicorp/vault/api"
)

type site struct {
	address, authority, audit string
	root                      *vault.Client
}

// must ends the conversation when err is one.
func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func equal(what string, found, wanted any) {
	if number, ok := found.(json.Number); ok {
		found = number.String()
		wanted = fmt.Sprint(wanted)
	}
	if !reflect.DeepEqual(found, wanted) {
		panic(fmt.Errorf("%s: found %#v, not %#v", what, found, wanted))
	}
}

// refused expects an error answer of this status, with these words.
func refused(err error, status int, words string) {
	var answer *vault.ResponseError
	if !errors.As(err, &answer) || answer.StatusCode != status || !strings.Contains(err.Error(), words) {
		panic(fmt.Errorf("expected %d %q, got %v", status, words, err))
	}
}

func (s *site) client(token string) *vault.Client {
	config := vault.DefaultConfig()
	check(config.Error)
	config.Address = s.address
	config.MaxRetries = 0
	check(config.ConfigureTLS(&vault.TLSConfig{CACert: s.authority}))
	client := must(vault.NewClient(config))
	client.SetToken(token)
	return client
}

func (s *site) create(client *vault.Client, request *vault.TokenCreateRequest) *vault.Client {
	return s.client(must(client.Auth().Token().Create(request)).Auth.ClientToken)
}

func alive(client *vault.Client) bool {
	_, err := client.Auth().Token().LookupSelf()
	if err != nil {
		refused(err, 403, "")
	}
	return err == nil
}

func login(s *site) {
	check(s.root.Sys().EnableAuthWithOptions("userpass", &vault.EnableAuthOptions{Type: "userpass"}))
	must(s.root.Logical().Write("auth/userpass/users/ann", map[string]any{"password": "first", "token_ttl": "10m"}))
	nobody := s.client("")
	_, err := nobody.Logical().Write("auth/userpass/login/ann", map[string]any{"password": "wrong"})
	refused(err, 400, "invalid username or password")
	made := must(nobody.Logical().Write("auth/userpass/login/ann", map[string]any{"password": "first"}))
	equal("ttl", made.Auth.LeaseDuration, 600)
	equal("name", made.Auth.Metadata["username"], "ann")
	ann := s.client(made.Auth.ClientToken)
	self := must(ann.Auth().Token().LookupSelf())
	equal("entity", self.Data["entity_id"], made.Auth.EntityID)
	equal("policies", must(self.TokenPolicies()), []string{"default"})
	check(s.root.Sys().DisableAuth("userpass"))
	equal("alive after its mount", alive(ann), false)
}

func approle(s *site) {
	root := s.root.Logical()
	check(s.root.Sys().EnableAuthWithOptions("approle", &vault.EnableAuthOptions{Type: "approle"}))
	must(root.Write("auth/approle/role/app", map[string]any{"token_ttl": "10m", "secret_id_num_uses": 1}))
	id := must(root.Read("auth/approle/role/app/role-id")).Data["role_id"]
	made := must(root.Write("auth/approle/role/app/secret-id", nil)).Data
	login := map[string]any{"role_id": id, "secret_id": made["secret_id"]}
	nobody := s.client("")
	seen := must(nobody.Logical().Write("auth/approle/login", login))
	equal("name", seen.Auth.Metadata["role_name"], "app")
	_, err := nobody.Logical().Write("auth/approle/login", login)
	refused(err, 400, "invalid role or secret ID")
	app := s.client(seen.Auth.ClientToken)
	equal("renewed", must(app.Auth().Token().RenewSelf(0)).Auth.LeaseDuration, 600)
	check(s.root.Sys().DisableAuth("approle"))
	equal("alive after its mount", alive(app), false)
}

func kv1(s *site) {
	check(s.root.Sys().Mount("one", &vault.MountInput{Type: "kv", Options: map[string]string{"version": "1"}}))
	kv, ctx := s.root.KVv1("one"), context.Background()
	check(kv.Put(ctx, "a/b", map[string]any{"text": "ü", "number": 12345678901}))
	seen := must(kv.Get(ctx, "a/b"))
	equal("number", seen.Data["number"], "12345678901")
	equal("text", seen.Data["text"], "ü")
	equal("list", must(s.root.Logical().List("one/a")).Data["keys"], []any{"b"})
	check(kv.Delete(ctx, "a/b"))
	_, err := kv.Get(ctx, "a/b")
	equal("gone", errors.Is(err, vault.ErrSecretNotFound), true)
}

func kv2(s *site) {
	check(s.root.Sys().Mount("two", &vault.MountInput{Type: "kv", Options: map[string]string{"version": "2"}}))
	kv, ctx := s.root.KVv2("two"), context.Background()
	equal("first", must(kv.Put(ctx, "app", map[string]any{"v": "1"}, vault.WithCheckAndSet(0))).VersionMetadata.Version, 1)
	_, err := kv.Put(ctx, "app", map[string]any{"v": "9"}, vault.WithCheckAndSet(0))
	refused(err, 400, "check-and-set parameter did not match the current version")
	must(kv.Put(ctx, "app", map[string]any{"v": "2"}))
	for _, method := range []string{"patch", "rw"} {
		must(kv.Patch(ctx, "app", map[string]any{method: "yes"}, vault.WithMergeMethod(method)))
	}
	equal("patched", must(kv.Get(ctx, "app")).Data, map[string]any{"v": "2", "patch": "yes", "rw": "yes"})
	equal("first again", must(kv.GetVersion(ctx, "app", 1)).Data, map[string]any{"v": "1"})
	equal("versions", len(must(kv.GetVersionsAsList(ctx, "app"))), 4)
	check(kv.Delete(ctx, "app"))
	equal("deleted", must(kv.Get(ctx, "app")).Data, map[string]any(nil))
	check(kv.Undelete(ctx, "app", []int{4}))
	equal("undeleted", len(must(kv.Get(ctx, "app")).Data), 3)
	check(kv.DeleteVersions(ctx, "app", []int{1}))
	check(kv.Destroy(ctx, "app", []int{2}))
	equal("rolled back", must(kv.Rollback(ctx, "app", 3)).VersionMetadata.Version, 5)
	equal("as it was", must(kv.Get(ctx, "app")).Data, map[string]any{"v": "2", "patch": "yes"})

	check(kv.PutMetadata(ctx, "app", vault.KVMetadataPutInput{MaxVersions: 7, DeleteVersionAfter: time.Hour,
		CustomMetadata: map[string]any{"owner": "ann"}}))
	casRequired := true
	check(kv.PatchMetadata(ctx, "app", vault.KVMetadataPatchInput{CASRequired: &casRequired}))
	about := must(kv.GetMetadata(ctx, "app"))
	equal("owner", about.CustomMetadata, map[string]any{"owner": "ann"})
	equal("kept", []any{about.MaxVersions, about.CASRequired, about.DeleteVersionAfter}, []any{7, true, time.Hour})
	equal("destroyed", about.Versions["2"].Destroyed, true)
	equal("deletion time", about.Versions["1"].DeletionTime.IsZero(), false)
	_, err = kv.Put(ctx, "app", map[string]any{"v": "9"})
	refused(err, 400, "check-and-set parameter required for this call")
	check(kv.DeleteMetadata(ctx, "app"))
	_, err = kv.GetMetadata(ctx, "app")
	equal("gone", errors.Is(err, vault.ErrSecretNotFound), true)
}

func tokens(s *site) {
	token := s.root.Auth().Token()
	made := must(token.Create(&vault.TokenCreateRequest{Policies: []string{"default"}, TTL: "1h", ExplicitMaxTTL: "2h",
		Metadata: map[string]string{"who": "ann"}}))
	own := s.client(made.Auth.ClientToken)
	equal("renewed", must(own.Auth().Token().RenewSelf(5400)).Auth.LeaseDuration, 5400)
	equal("renewed by root", must(token.Renew(made.Auth.ClientToken, 1800)).Auth.LeaseDuration, 1800)
	equal("renewed by accessor", must(token.RenewAccessor(made.Auth.Accessor, 2400)).Auth.LeaseDuration, 2400)
	seen := must(token.LookupAccessor(made.Auth.Accessor))
	equal("id", seen.Data["id"], "")
	equal("meta", must(seen.TokenMetadata())["who"], "ann")
	_, err := own.Auth().Token().Create(&vault.TokenCreateRequest{Policies: []string{"default"}})
	refused(err, 403, "permission denied")
	check(token.RevokeAccessor(made.Auth.Accessor))
	equal("alive after its accessor", alive(own), false)
}

func family(s *site) {
	token := s.root.Auth().Token()
	parent := s.create(s.root, &vault.TokenCreateRequest{Policies: []string{"root"}, TTL: "1h"})
	child := s.create(parent, &vault.TokenCreateRequest{Policies: []string{"default"}})
	orphan := s.client(must(parent.Auth().Token().CreateOrphan(&vault.TokenCreateRequest{Policies: []string{"default"}})).Auth.ClientToken)
	check(token.RevokeTree(parent.Token()))
	equal("tree", []bool{alive(parent), alive(child), alive(orphan)}, []bool{false, false, true})
	parent = s.create(s.root, &vault.TokenCreateRequest{Policies: []string{"root"}, TTL: "1h"})
	child = s.create(parent, &vault.TokenCreateRequest{Policies: []string{"default"}})
	check(token.RevokeOrphan(parent.Token()))
	equal("orphaned", []bool{alive(parent), alive(child)}, []bool{false, true})
	check(child.Auth().Token().RevokeSelf(""))
	equal("itself", alive(child), false)

	batch := must(token.Create(&vault.TokenCreateRequest{Policies: []string{"default"}, Type: "batch", TTL: "1h"}))
	equal("batch", must(s.client(batch.Auth.ClientToken).Auth().Token().LookupSelf()).Data["type"], "batch")
	must(s.root.Logical().Write("auth/token/roles/app", map[string]any{"allowed_policies": "app", "orphan": true, "token_period": "1h"}))
	made := must(token.CreateWithRole(&vault.TokenCreateRequest{Policies: []string{"app"}}, "app"))
	equal("role", []any{made.Auth.Orphan, made.Auth.LeaseDuration, made.Auth.TokenPolicies}, []any{true, 3600, []string{"app", "default"}})
	_, err := token.CreateWithRole(&vault.TokenCreateRequest{Policies: []string{"other"}}, "app")
	refused(err, 400, "")
}

func policies(s *site) {
	sys := s.root.Sys()
	check(sys.PutPolicy("reader", `path "pol/+/x" { capabilities = ["read", "list"] }`))
	equal("text", must(sys.GetPolicy("reader")), `path "pol/+/x" { capabilities = ["read", "list"] }`)
	equal("list", must(sys.ListPolicies()), []string{"default", "reader", "root"})
	check(sys.Mount("pol", &vault.MountInput{Type: "kv", Options: map[string]string{"version": "1"}}))
	must(s.root.Logical().Write("pol/a/x", map[string]any{"v": "1"}))
	reader := s.create(s.root, &vault.TokenCreateRequest{Policies: []string{"reader"}})
	equal("capabilities", must(sys.Capabilities(reader.Token(), "pol/a/x")), []string{"list", "read"})
	equal("own capabilities", must(reader.Sys().CapabilitiesSelf("pol/x")), []string{"deny"})
	equal("read", must(reader.Logical().Read("pol/a/x")).Data["v"], "1")
	_, err := reader.Logical().Write("pol/a/x", map[string]any{"v": "2"})
	refused(err, 403, "permission denied")
	check(sys.DeletePolicy("reader"))
	_, err = reader.Logical().Read("pol/a/x")
	refused(err, 403, "permission denied")
	refused(sys.PutPolicy("bad", `path "x" { capabilities = ["fly"] }`), 400, "")
}

func wrapping(s *site) {
	wrapper := s.client(s.root.Token())
	wrapper.SetWrappingLookupFunc(func(string, string) string { return "2m" })
	made := must(wrapper.Auth().Token().Create(&vault.TokenCreateRequest{Policies: []string{"default"}}))
	equal("wrap ttl", made.WrapInfo.TTL, 120)
	looked := must(s.client("").Logical().Write("sys/wrapping/lookup", map[string]any{"token": made.WrapInfo.Token}))
	equal("creation path", looked.Data["creation_path"], "auth/token/create")
	again := must(s.root.Logical().Write("sys/wrapping/rewrap", map[string]any{"token": made.WrapInfo.Token}))
	_, err := s.root.Logical().Unwrap(made.WrapInfo.Token)
	refused(err, 400, "wrapping token is not valid or does not exist")
	inner := must(s.client("").Logical().Unwrap(again.WrapInfo.Token))
	equal("accessor", inner.Auth.Accessor, made.WrapInfo.WrappedAccessor)
	equal("inner", alive(s.client(inner.Auth.ClientToken)), true)
	_, err = s.client("").Logical().Unwrap(again.WrapInfo.Token)
	refused(err, 400, "wrapping token is not valid or does not exist")
}

func leases(s *site) {
	check(s.root.Sys().EnableAuthWithOptions("people", &vault.EnableAuthOptions{Type: "userpass"}))
	must(s.root.Logical().Write("auth/people/users/ann", map[string]any{"password": "pw", "token_ttl": "1h"}))
	clients := make([]*vault.Client, 3)
	for i := range clients {
		clients[i] = s.client(must(s.client("").Logical().Write("auth/people/login/ann", map[string]any{"password": "pw"})).Auth.ClientToken)
	}
	keys := must(s.root.Logical().List("sys/leases/lookup/auth/people/login/ann")).Data["keys"].([]any)
	equal("leases", len(keys), 3)
	id := "auth/people/login/ann/" + keys[0].(string)
	equal("lease", must(s.root.Sys().Lookup(id)).Data["id"], id)
	check(s.root.Sys().Revoke(id))
	check(s.root.Sys().RevokePrefix("auth/people/login"))
	for _, client := range clients {
		equal("alive after its lease", alive(client), false)
	}

	renewer := s.create(s.root, &vault.TokenCreateRequest{Policies: []string{"default"}, TTL: "3s", Renewable: new(bool)})
	equal("not renewable", alive(renewer), true)
	secret := must(s.root.Auth().Token().Create(&vault.TokenCreateRequest{Policies: []string{"default"}, TTL: "3s"}))
	watcher := must(s.client(secret.Auth.ClientToken).NewLifetimeWatcher(&vault.LifetimeWatcherInput{Secret: secret}))
	go watcher.Start()
	defer watcher.Stop()
	select {
	case <-watcher.RenewCh():
	case err := <-watcher.DoneCh():
		panic(fmt.Errorf("the watcher ended: %v", err))
	case <-time.After(20 * time.Second):
		panic("nothing was renewed")
	}
}

func audit(s *site) {
	sys := s.root.Sys()
	check(sys.EnableAuditWithOptions("file", &vault.EnableAuditOptions{Type: "file", Options: map[string]string{"file_path": s.audit}}))
	equal("devices", len(must(sys.ListAudit())), 1)
	must(s.root.Logical().Write("cubbyhole/a", map[string]any{"v": "the marker"}))
	digest := must(sys.AuditHash("file", "the marker"))
	check(sys.DisableAudit("file"))
	text := must(os.ReadFile(s.audit))
	equal("hashed", bytes.Contains(text, []byte(digest)) && !bytes.Contains(text, []byte("the marker")), true)
}

func mounts(s *site) {
	sys := s.root.Sys()
	check(sys.Mount("old", &vault.MountInput{Type: "kv", Description: "first", Options: map[string]string{"version": "1"}}))
	refused(sys.Mount("old", &vault.MountInput{Type: "kv"}), 400, "path is already in use at old/")
	must(s.root.Logical().Write("old/a", map[string]any{"v": "1"}))
	description := "second"
	check(sys.TuneMount("old", vault.MountConfigInput{DefaultLeaseTTL: "1h", Description: &description}))
	equal("tuned", must(sys.MountConfig("old")).DefaultLeaseTTL, 3600)
	check(sys.Remount("old", "new"))
	equal("moved", must(s.root.Logical().Read("new/a")).Data["v"], "1")
	equal("described", must(sys.ListMounts())["new/"].Description, "second")
	check(sys.Unmount("new"))
	_, found := must(sys.ListMounts())["new/"]
	equal("still mounted", found, false)
	equal("sealed", must(sys.SealStatus()).Sealed, false)
	equal("health", must(sys.Health()).Initialized, true)
	equal("leader", must(sys.Leader()).HAEnabled, false)
	before := must(sys.KeyStatus()).Term
	check(sys.Rotate())
	equal("term", must(sys.KeyStatus()).Term, before+1)
}

func identity(s *site) {
	write := func(path string, data map[string]any) *vault.Secret {
		return must(s.root.Logical().Write("identity/"+path, data))
	}
	read := func(path string) *vault.Secret { return must(s.root.Logical().Read("identity/" + path)) }
	check(s.root.Sys().EnableAuthWithOptions("staff", &vault.EnableAuthOptions{Type: "userpass"}))
	accessor := must(s.root.Sys().ListAuth())["staff/"].Accessor
	must(s.root.Logical().Write("auth/staff/users/eve", map[string]any{"password": "first"}))
	check(s.root.Sys().PutPolicy("crew", `path "sys/mounts" { capabilities = ["read"] }`))
	id := write("entity", map[string]any{"name": "eve", "metadata": map[string]string{"a": "b"}}).Data["id"].(string)
	write("entity-alias", map[string]any{"name": "eve", "canonical_id": id, "mount_accessor": accessor})
	made := must(s.client("").Logical().Write("auth/staff/login/eve", map[string]any{"password": "first"}))
	equal("entity", made.Auth.EntityID, id)
	eve := s.client(made.Auth.ClientToken)
	_, err := eve.Sys().ListMounts()
	refused(err, 403, "permission denied")
	write("group", map[string]any{"name": "crew", "policies": []string{"crew"}, "member_entity_ids": []string{id}})
	must(eve.Sys().ListMounts())
	equal("groups", len(read("entity/id/" + id).Data["group_ids"].([]any)), 1)
	equal("found", write("lookup/entity", map[string]any{"alias_name": "eve", "alias_mount_accessor": accessor}).Data["id"], id)
	equal("nobody", write("lookup/entity", map[string]any{"name": "none"}), (*vault.Secret)(nil))
	equal("names", len(must(s.root.Logical().List("identity/entity/name")).Data["keys"].([]any)) > 0, true)
	write("entity/name/eve", map[string]any{"disabled": true})
	equal("alive though disabled", alive(eve), false)
	must(s.root.Logical().Delete("identity/group/name/crew"))
	must(s.root.Logical().Delete("identity/entity/id/" + id))
	equal("deleted", read("entity/id/"+id), (*vault.Secret)(nil))
}

func converse(s *site, name string, conversation func(*site)) (ok bool) {
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Printf("FAIL %s: %v\n", name, problem)
			ok = false
		}
	}()
	conversation(s)
	fmt.Println("ok", name)
	return true
}

func main() {
	s := &site{address: os.Args[1], authority: os.Args[2], audit: os.Args[4]}
	s.root = s.client(os.Args[3])
	status := 0
	for _, c := range []struct {
		name string
		call func(*site)
	}{{"login", login}, {"approle", approle}, {"kv1", kv1}, {"kv2", kv2}, {"tokens", tokens}, {"family", family}, {"policies", policies},
		{"wrapping", wrapping}, {"leases", leases}, {"audit", audit}, {"mounts", mounts}, {"identity", identity}} {
		if !converse(s, c.name, c.call) {
			status = 1
		}
	}
	os.Exit(status)
}
