"""swap: stores that the real servers wrote are opened, read and written; what we wrote is read by an independent reader."""
import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tarfile

import lab as lab_module
import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
STORES = os.path.join(HERE, "stores")

# The reads of the large store that this program does not answer, by how their titles begin; it must answer all others.
BEYOND = {
    "transit ": "no transit engine", "pki ": "no pki engine", "ssh ": "no ssh engine", "totp ": "no totp engine",
}


def manifest(name):
    with open(os.path.join(STORES, name + ".json"), encoding="utf-8") as f:
        return json.load(f)


def tool(name, *args):
    done = subprocess.run([sys.executable, os.path.join(HERE, "tools", name), *args], capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


def open_store(lab, name):
    """A server on a copy of the store, sealed."""
    with tarfile.open(os.path.join(STORES, name + ".tar.gz")) as tar:
        tar.extractall(lab.folder)
    server = lab.server(storage="file", start=False)
    os.rename(lab.folder / name, server.store)
    server.start()
    made = manifest(name)
    server.keys, server.root = made["unseal_keys"][:made["threshold"]], made["root_token"]
    return server


def verified(server, *args):
    """What the independent reader makes of a stopped server's store."""
    server.stop()
    keys = [word for key in server.keys for word in ("-k", key)]
    code, text = tool("read-store", *keys, str(server.store), *(args or ("verify",)))
    assert code == 0, text
    return text


def test_minimal_answers_every_read(lab):
    server = open_store(lab, "minimal")
    code, text = tool("check", "--unseal", os.path.join(STORES, "minimal.json"), server.addr)
    assert code == 0 and text.endswith("8 passed, 0 failed\n"), text


def test_vault_store_answers(lab):
    server = open_store(lab, "vault-1.14.7-file")
    _, text = tool("check", "-v", "--unseal", os.path.join(STORES, "vault-1.14.7-file.json"), server.addr)
    good = {line[5:] for line in text.splitlines() if line.startswith("ok ")}
    titles = {r["title"] for r in manifest("vault-1.14.7-file")["reads"]}
    beyond = {t for t in titles if t.startswith(tuple(BEYOND))}
    assert good and titles - good - beyond == set(), text
    assert good & beyond == set(), "listed as beyond reach, but answered"


def test_counted_secret_ids_of_the_other_store(lab):
    server = open_store(lab, "vault-1.14.7-engines")
    _, text = tool("check", "-v", "--unseal", os.path.join(STORES, "vault-1.14.7-engines.json"), server.addr)
    good = {line[5:] for line in text.splitlines() if line.startswith("ok ")}
    assert {"approle with counted secret id", "approle login uses one", "approle one less"} <= good, text


def test_identities_of_the_other_store(lab):
    server = open_store(lab, "vault-1.14.7-engines")
    _, text = tool("check", "-v", "--unseal", os.path.join(STORES, "vault-1.14.7-engines.json"), server.addr)
    good = {line[5:] for line in text.splitlines() if line.startswith("ok ")}
    wanted = {r["title"] for r in manifest("vault-1.14.7-engines")["reads"] if r["path"].startswith("identity/")}
    assert len(wanted) > 3 and wanted - good == set(), text


@pytest.mark.parametrize("name", ["minimal", "vault-1.14.7-file"])
def test_what_we_write_is_read_by_others(lab, name):
    server = open_store(lab, name).unseal()
    server.ok("POST", "sys/mounts/ours", {"type": "kv", "options": {"version": "1"}})
    for n in range(20):
        server.ok("POST", "ours/deep/s%d" % n, {"value": "v%d" % n, "number": 12345678901234567890})
    server.ok("PUT", "sys/policies/acl/ours", {"policy": 'path "ours/*" { capabilities = ["read"] }'})
    made = server.ok("POST", "auth/token/create", {"policies": ["ours"], "ttl": "1h"}).body["auth"]
    assert server.call("GET", "ours/deep/s3", token=made["client_token"]).data["value"] == "v3"
    server.restart()
    assert server.call("GET", "ours/deep/s19", token=made["client_token"]).data == {"value": "v19", "number": 12345678901234567890}
    verified(server)
    assert "ours" in verified(server, "get", "sys/policy/ours")
    assert made["accessor"] in verified(server, "token", made["client_token"])
    assert "ours/" in verified(server, "mounts")


def check_approle(server, mounts, secret):
    """Every entry of the method under the names that docs/formats/approle.md gives, with the members that the peer's entries have."""
    view = re.search(r"^auth +approle/.* (auth/[0-9a-f-]+/)", mounts, re.M)[1]

    def entry(path):
        return json.loads(verified(server, "get", view + path).split("\n", 1)[1])

    def hmac_of(text):
        return hmac.new(role["hmac_key"].encode(), text.encode(), "sha256").hexdigest()

    def salted(text):
        return hashlib.sha256((salt + text).encode()).hexdigest()

    role, salt = entry("role/app"), verified(server, "get", view + "salt").split("\n")[1]
    assert set(role) == {
        "bind_secret_id", "bound_cidr_list_list", "hmac_key", "lower_case_role_name", "period", "policies", "role_id", "secret_id_bound_cidrs",
        "secret_id_num_uses", "secret_id_prefix", "secret_id_ttl", "token_bound_cidrs", "token_explicit_max_ttl", "token_max_ttl",
        "token_no_default_policy", "token_num_uses", "token_period", "token_policies", "token_ttl", "token_type"}, role
    assert entry("role_id/" + salted("the-app")) == {"name": "app"}
    assert entry("accessor/" + salted(secret["secret_id_accessor"])) == {"secret_id_hmac": hmac_of(secret["secret_id"])}
    stored = entry("secret_id/%s/%s" % (hmac_of("app"), hmac_of(secret["secret_id"])))
    assert stored["secret_id_num_uses"] == 2 and stored["metadata"] == {"host": "onyx"}, stored
    assert set(stored) == {"SecretIDNumUses", "cidr_list", "creation_time", "expiration_time", "last_updated_time", "metadata",
                           "secret_id_accessor", "secret_id_num_uses", "secret_id_ttl", "token_cidr_list"}, stored
    assert secret["secret_id"] not in verified(server, "dump", view)


def test_identities_of_ours_are_read_by_others(lab):
    server = open_store(lab, "vault-1.14.7-file").unseal()
    entity, group = "4ed61c20-02f2-4b52-efdb-3c6101b56e78", "f3e2b8f1-bec7-a486-371c-89b7378ca84c"  # alice and an external group
    was = server.ok("GET", "identity/entity/id/" + entity).data
    server.ok("POST", "identity/entity/id/" + entity, {"metadata": {"team": "ours"}})
    made = server.ok("POST", "identity/entity", {"name": "ours", "policies": ["p"], "disabled": True}).data["id"]
    alias = server.ok("POST", "identity/entity-alias", {"name": "ours", "canonical_id": made, "custom_metadata": {"k": "own"},
                                                        "mount_accessor": was["aliases"][0]["mount_accessor"]}).data["id"]
    server.ok("POST", "identity/group/id/" + group, {"policies": ["of-ours"]})
    crew = server.ok("POST", "identity/group", {"name": "crew", "member_entity_ids": [made], "member_group_ids": [group]}).data["id"]
    verified(server)
    for kind, item, wanted in (("", entity, ("team", "ours", was["aliases"][0]["id"], "alice-entity")),
                               ("", made, ("type.googleapis.com/identity.Entity", alias, "own", "packer/local-aliases/buckets/")),
                               ("group/", crew, ("type.googleapis.com/identity.Group", made, "internal", "root")),
                               ("group/", group, ("of-ours", crew, "external", "e1516428-0722-ebdb-bbde-e0be0c3ad25f"))):
        path = "packer/%sbuckets/%d" % (kind, hashlib.md5(item.encode()).digest()[0])
        text = verified(server, "dump", "logical/")
        at = text.index(path + "\n") if path + "\n" in text else text.index(path)
        assert all(word in text[at:] for word in (*wanted, path)), (path, text[at:at + 2000])


def test_a_store_of_ours_is_read_by_others(lab):
    server = lab.server(storage="file")
    server.init(shares=5, threshold=3)
    server.ok("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    server.ok("POST", "kv/a", {"value": "first"})
    server.ok("PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(lab.folder / "audit.log")}})
    made = server.ok("POST", "auth/token/create", {"policies": ["default"], "ttl": "1h"}).body["auth"]
    server.ok("POST", "sys/auth/approle", {"type": "approle"})
    server.ok("POST", "auth/approle/role/App", {"token_policies": "default", "role_id": "the-app", "secret_id_num_uses": 3})
    secret = server.ok("POST", "auth/approle/role/app/secret-id", {"metadata": "host=onyx"}).data
    server.ok("POST", "auth/approle/login", {"role_id": "the-app", "secret_id": secret["secret_id"]}, token=None)
    server.ok("POST", "cubbyhole/mine", {"value": "kept"}, token=made["client_token"])
    server.restart()
    assert server.ok("GET", "cubbyhole/mine", token=made["client_token"]).data == {"value": "kept"}
    verified(server)
    mounts = verified(server, "mounts")
    for path in ("kv/", "cubbyhole/", "sys/", "identity/", "token/", "file/"):
        assert path in mounts, mounts
    assert made["accessor"] in verified(server, "accessor", made["accessor"])
    assert "default" in verified(server, "ls", "sys/policy/")
    check_approle(server, mounts, secret)


def test_wrong_and_damaged_shares_are_refused(lab):
    server = open_store(lab, "vault-1.14.7-file")
    keys = manifest("vault-1.14.7-file")["unseal_keys"]
    for key in (keys[0], keys[1], keys[0][:-2] + "00"):
        answer = server.call("PUT", "sys/unseal", {"key": key}, token=None)
    assert answer.status in (400, 500) or answer.body["sealed"], answer
    assert server.ok("GET", "sys/seal-status", token=None).body["sealed"] is True
    server.ok("PUT", "sys/unseal", {"reset": True}, token=None)
    server.unseal()
    assert lab_module.SANITIZER.search(server.tail()) is None


def test_identity_tokens_of_the_other_store(lab):
    """A key pair that Vault made signs, and what it signs is verified by what is published."""
    jwt = pytest.importorskip("jwt")
    server = open_store(lab, "vault-1.14.7-engines").unseal()
    server.ok("PUT", "sys/policies/acl/oidc", {"policy": 'path "identity/oidc/token/*" { capabilities = ["read"] }'})
    server.ok("POST", "sys/auth/swap", {"type": "userpass"})
    server.ok("POST", "auth/swap/users/ann", {"password": "x", "token_policies": "oidc"})
    auth = server.ok("POST", "auth/swap/login/ann", {"password": "x"}, token=None).body["auth"]
    made = server.ok("GET", "identity/oidc/token/r1", token=auth["client_token"]).data
    keys = jwt.PyJWKSet.from_dict(server.ok("GET", "identity/oidc/.well-known/keys", token=None).body)
    key = next(k for k in keys.keys if k.key_id == jwt.get_unverified_header(made["token"])["kid"])
    claims = jwt.decode(made["token"], key, algorithms=["RS256"], audience=made["client_id"], issuer="http://x/v1/identity/oidc")
    assert claims["sub"] == auth["entity_id"] and claims["x"].startswith("entity_")
    server.ok("POST", "identity/oidc/key/k1/rotate", {})
    assert server.ok("POST", "identity/oidc/introspect", {"token": made["token"]}).body == {"active": True}
    verified(server)


def test_identity_tokens_and_second_factors_as_the_peer_stores_them(lab):
    server = lab.server(storage="file").ready()
    server.ok("POST", "identity/oidc/key/k", {"algorithm": "ES256"})
    server.ok("POST", "identity/oidc/role/r", {"key": "k", "template": "{}"})
    server.ok("POST", "identity/oidc/config", {"issuer": "https://x"})
    method = server.ok("POST", "identity/mfa/method/totp", {"issuer": "v"}).data["method_id"]
    entity = server.ok("POST", "identity/entity", {"name": "e"}).data["id"]
    server.ok("POST", "identity/mfa/method/totp/admin-generate", {"method_id": method, "entity_id": entity})
    view = re.search(r"^mounts +identity/.* (logical/[0-9a-f-]+/)", verified(server, "mounts"), re.M)[1]

    def entry(path):
        return json.loads(verified(server, "get", path).split("\n", 1)[1])

    theirs = {"signing_algorithm", "verification_ttl", "rotation_period", "key_ring", "signing_key", "next_signing_key", "next_rotation",
              "allowed_client_ids"}
    key = entry(view + "oidc_tokens/named_keys/k")
    assert set(key) == theirs and set(key["signing_key"]) == {"use", "kty", "kid", "crv", "alg", "x", "y", "d"}, key
    assert [k["key_id"] for k in key["key_ring"]] == [key["signing_key"]["kid"], key["next_signing_key"]["kid"]]
    assert {k["expire_at"] for k in key["key_ring"]} == {"0001-01-01T00:00:00Z"}
    for kid in (k["key_id"] for k in key["key_ring"]):
        assert set(entry(view + "oidc_tokens/public_keys/" + kid)) == {"use", "kty", "kid", "crv", "alg", "x", "y"}
    assert set(entry(view + "oidc_tokens/roles/r")) == {"token_ttl", "key", "template", "client_id"}
    totp = {"1": "v", "2": 30, "4": 6, "5": 1, "6": 20, "7": 200, "8": 5}
    assert entry("sys/login-mfa/method/" + method) == {"1": "totp", "3": method, "6": totp, "10": "root"}
    assert len(entry("sys/mfa/totpkeys/%s/%s" % (method, entity))["key"]) == 32
