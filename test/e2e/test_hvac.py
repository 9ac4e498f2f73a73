"""hvac over TLS: what an operator and an application in Python do, each conversation on a server of its own."""
import time

import hvac
import lab as lab_module
import pytest
import requests
import verified
from hvac.exceptions import Forbidden, InvalidPath, InvalidRequest, RateLimitExceeded


class Site:
    """A server behind TLS, and clients of it."""

    def __init__(self, lab):
        self.folder = lab.folder
        self.server, self.authority = verified.tls_server(lab)
        self.root = self.client(self.server.root)

    def client(self, token=""):  # not None: hvac then looks for one in the environment and the home folder
        return hvac.Client(url=self.server.addr, token=token, verify=str(self.authority))


@pytest.fixture
def site(lab):
    return Site(lab)


def test_the_certificate_is_checked(site):
    with pytest.raises(requests.exceptions.SSLError):
        hvac.Client(url=site.server.addr, verify=True).sys.read_health_status(method="GET")
    assert site.client().sys.read_health_status(method="GET")["sealed"] is False


def test_approle(site):
    root = site.root
    root.sys.enable_auth_method("approle")
    root.sys.create_or_update_policy("app", 'path "secret/*" { capabilities = ["read"] }')
    approle = root.auth.approle
    approle.create_or_update_approle("App", token_policies=["app"], token_ttl="10m", secret_id_num_uses=2, secret_id_bound_cidrs=["127.0.0.0/8"])
    assert approle.list_roles()["data"]["keys"] == ["app"]
    assert approle.read_role("app")["data"]["secret_id_num_uses"] == 2
    role_id = approle.read_role_id("app")["data"]["role_id"]
    made = approle.generate_secret_id("app", metadata={"host": "onyx"})["data"]
    assert approle.list_secret_id_accessors("app")["data"]["keys"] == [made["secret_id_accessor"]]
    assert approle.read_secret_id("app", made["secret_id"])["data"]["metadata"] == {"host": "onyx"}
    client = site.client()
    seen = client.auth.approle.login(role_id, made["secret_id"])["auth"]
    assert client.is_authenticated() and seen["metadata"] == {"host": "onyx", "role_name": "app"} and seen["lease_duration"] == 600
    assert approle.read_secret_id_accessor("app", made["secret_id_accessor"])["data"]["secret_id_num_uses"] == 1
    assert site.client().auth.approle.login(role_id, made["secret_id"])["auth"]["entity_id"] == seen["entity_id"]
    for secret_id in (made["secret_id"], "guess"):
        with pytest.raises(InvalidRequest, match="invalid role or secret ID"):
            site.client().auth.approle.login(role_id, secret_id)
    assert client.auth.token.renew_self()["auth"]["lease_duration"] == 600
    chosen = approle.create_custom_secret_id("app", "chosen")["data"]
    approle.destroy_secret_id_accessor("app", chosen["secret_id_accessor"])
    with pytest.raises(InvalidRequest):
        site.client().auth.approle.login(role_id, "chosen")
    approle.update_role_id("app", "known")
    wrapped = approle.generate_secret_id("app", wrap_ttl="60s")["wrap_info"]
    secret_id = site.client(wrapped["token"]).sys.unwrap()["data"]["secret_id"]
    assert site.client().auth.approle.login("known", secret_id)["auth"]
    approle.delete_role("app")
    with pytest.raises(InvalidRequest):
        site.client().auth.approle.login("known", secret_id)


def test_rate_limits(site):
    root = site.root
    root.sys.enable_secrets_engine("kv", path="kv", options={"version": "1"})
    root.sys.create_or_update_policy("app", 'path "kv/*" { capabilities = ["read"] }')
    root.sys.create_or_update_quota("few", rate=3, path="kv", interval="1h")
    assert root.sys.read_quota("few")["data"]["rate"] == 3 and root.sys.list_quotas()["data"]["keys"] == ["few"]
    client = site.client(root.auth.token.create(policies=["app"])["auth"]["client_token"])
    for _ in range(3):
        with pytest.raises(InvalidPath):
            client.secrets.kv.v1.read_secret("a", mount_point="kv")
    with pytest.raises(RateLimitExceeded, match="rate limit quota exceeded"):
        client.secrets.kv.v1.read_secret("a", mount_point="kv")
    assert client.is_authenticated()
    root.sys.delete_quota("few")
    with pytest.raises(InvalidPath):
        client.secrets.kv.v1.read_secret("a", mount_point="kv")


def test_userpass(site):
    root = site.root
    root.sys.enable_auth_method("userpass")
    root.sys.create_or_update_policy("app", 'path "secret/*" { capabilities = ["read"] }')
    userpass = root.auth.userpass
    userpass.create_or_update_user("Ann", "first", policies="app", token_ttl="10m")
    assert userpass.list_user()["data"]["keys"] == ["ann"]
    assert userpass.read_user("ann")["data"]["token_ttl"] == 600
    client = site.client()
    with pytest.raises(InvalidRequest, match="invalid username or password"):
        client.auth.userpass.login("ann", "wrong")
    seen = client.auth.userpass.login("ann", "first")["auth"]
    assert client.token == seen["client_token"] and client.is_authenticated()
    assert seen["policies"] == ["app", "default"] and seen["lease_duration"] == 600 and seen["metadata"] == {"username": "ann"}
    looked_up = client.lookup_token()["data"]
    assert looked_up["path"] == "auth/userpass/login/ann" and looked_up["display_name"] == "userpass-ann"
    assert looked_up["entity_id"] == seen["entity_id"] != ""
    assert site.client().auth.userpass.login("ann", "first")["auth"]["entity_id"] == seen["entity_id"]
    userpass.update_password_on_user("ann", "second")
    with pytest.raises(InvalidRequest):
        site.client().auth.userpass.login("ann", "first")
    assert site.client().auth.userpass.login("ann", "second")["auth"]
    userpass.delete_user("ann")
    with pytest.raises(InvalidRequest):
        site.client().auth.userpass.login("ann", "second")
    client.logout(revoke_token=True)
    assert not site.client(seen["client_token"]).is_authenticated()


def test_kv_version_1(site):
    site.root.sys.enable_secrets_engine("kv", path="one", options={"version": "1"})
    kv = site.root.secrets.kv.v1
    kv.create_or_update_secret("a/b", {"text": "ü", "number": 1, "list": [1, {"x": None}]}, mount_point="one")
    kv.create_or_update_secret("a/c", {"v": 2}, mount_point="one")
    assert kv.read_secret("a/b", mount_point="one")["data"] == {"text": "ü", "number": 1, "list": [1, {"x": None}]}
    assert kv.list_secrets("a", mount_point="one")["data"]["keys"] == ["b", "c"]
    assert kv.list_secrets("", mount_point="one")["data"]["keys"] == ["a/"]
    kv.delete_secret("a/b", mount_point="one")
    with pytest.raises(InvalidPath):
        kv.read_secret("a/b", mount_point="one")


@pytest.fixture
def kv2(site):
    site.root.sys.enable_secrets_engine("kv", path="secret", options={"version": "2"})
    return site.root.secrets.kv.v2


def test_kv_version_2_versions(kv2):
    assert [kv2.create_or_update_secret("app/db", {"v": n})["data"]["version"] for n in (1, 2, 3)] == [1, 2, 3]
    read = lambda **more: kv2.read_secret_version("app/db", raise_on_deleted_version=True, **more)  # noqa: E731
    assert read()["data"]["data"] == {"v": 3}
    assert read(version=1)["data"]["data"] == {"v": 1}
    assert read()["data"]["metadata"]["version"] == 3

    kv2.delete_latest_version_of_secret("app/db")
    with pytest.raises(InvalidPath):
        read()
    seen = kv2.read_secret_version("app/db", raise_on_deleted_version=False)["data"]
    assert seen["data"] is None and seen["metadata"]["deletion_time"] != "" and seen["metadata"]["destroyed"] is False
    kv2.delete_secret_versions("app/db", [1, 2])
    kv2.undelete_secret_versions("app/db", [2, 3])
    assert read()["data"]["data"] == {"v": 3} and read(version=2)["data"]["data"] == {"v": 2}
    with pytest.raises(InvalidPath):
        read(version=1)
    kv2.destroy_secret_versions("app/db", [2])
    with pytest.raises(InvalidPath):
        read(version=2)
    kv2.undelete_secret_versions("app/db", [2])
    with pytest.raises(InvalidPath):
        read(version=2)
    versions = kv2.read_secret_metadata("app/db")["data"]["versions"]
    assert [versions[n]["destroyed"] for n in "123"] == [False, True, False]
    kv2.delete_metadata_and_all_versions("app/db")
    with pytest.raises(InvalidPath):
        kv2.read_secret_metadata("app/db")


def test_kv_version_2_cas(kv2):
    kv2.create_or_update_secret("c", {"v": 1}, cas=0)
    for cas in (0, 2):
        with pytest.raises(InvalidRequest, match="check-and-set parameter did not match the current version"):
            kv2.create_or_update_secret("c", {"v": 9}, cas=cas)
    kv2.create_or_update_secret("c", {"v": 2}, cas=1)
    kv2.update_metadata("c", cas_required=True)
    with pytest.raises(InvalidRequest, match="check-and-set parameter required for this call"):
        kv2.create_or_update_secret("c", {"v": 3})
    assert kv2.read_secret_version("c", raise_on_deleted_version=True)["data"]["data"] == {"v": 2}


def test_kv_version_2_patch(site, kv2):
    kv2.create_or_update_secret("p", {"a": 1, "b": {"c": 2, "d": 3}})
    assert kv2.patch("p", {"e": 4})["data"]["version"] == 2
    assert kv2.read_secret_version("p", raise_on_deleted_version=True)["data"]["data"] == {"a": 1, "b": {"c": 2, "d": 3}, "e": 4}
    with pytest.raises(InvalidPath):
        kv2.patch("none", {"e": 4})
    merged = site.server.ok("PATCH", "secret/data/p", {"data": {"b": {"c": None}, "e": 5}},
                            headers={"Content-Type": "application/merge-patch+json"})
    assert merged.data["version"] == 3
    assert kv2.read_secret_version("p", raise_on_deleted_version=True)["data"]["data"] == {"a": 1, "b": {"d": 3}, "e": 5}
    assert site.root.read("secret/subkeys/p")["data"]["subkeys"] == {"a": None, "b": {"d": None}, "e": None}


def test_kv_version_2_metadata(kv2):
    kv2.configure(max_versions=2, delete_version_after="1h")
    seen = kv2.read_configuration()["data"]
    assert (seen["max_versions"], seen["cas_required"], seen["delete_version_after"]) == (2, False, "1h0m0s")
    kv2.update_metadata("m/a", max_versions=1, custom_metadata={"owner": "ann"})
    for n in range(4):
        kv2.create_or_update_secret("m/a", {"v": n})
    seen = kv2.read_secret_metadata("m/a")["data"]
    assert list(seen["versions"]) == ["3", "4"] and (seen["oldest_version"], seen["current_version"]) == (3, 4)
    assert seen["custom_metadata"] == {"owner": "ann"} and seen["versions"]["4"]["deletion_time"] != ""
    assert kv2.list_secrets("m")["data"]["keys"] == ["a"]
    with pytest.raises(InvalidPath):
        kv2.list_secrets("none")


def test_tokens(site):
    token = site.root.auth.token
    made = token.create(policies=["default"], ttl="1h", explicit_max_ttl="2h", meta={"who": "ann"}, display_name="ann", num_uses=0)["auth"]
    own = site.client(made["client_token"])
    seen = own.auth.token.lookup_self()["data"]
    assert (seen["display_name"], seen["meta"], seen["explicit_max_ttl"], seen["orphan"]) == ("token-ann", {"who": "ann"}, 7200, False)
    assert own.auth.token.renew_self(increment="90m")["auth"]["lease_duration"] == 5400
    assert own.auth.token.renew_self(increment="9h")["auth"]["lease_duration"] in (7199, 7200)
    assert token.renew(made["client_token"], increment="30m")["auth"]["lease_duration"] == 1800
    assert token.lookup(made["client_token"])["data"]["accessor"] == made["accessor"]
    assert token.lookup_accessor(made["accessor"])["data"]["id"] == ""
    assert made["accessor"] in token.list_accessors()["data"]["keys"]
    with pytest.raises(Forbidden):
        own.auth.token.list_accessors()
    token.revoke_accessor(made["accessor"])
    assert not own.is_authenticated()
    with pytest.raises(Forbidden):
        own.auth.token.lookup_self()

    limited = site.client(token.create(policies=["default"], num_uses=2)["auth"]["client_token"])
    assert limited.lookup_token()["data"]["num_uses"] == 1 and limited.lookup_token()
    with pytest.raises(Forbidden):
        limited.lookup_token()
    periodic = token.create_orphan(policies=["default"], period="1h")["auth"]
    seen = token.lookup(periodic["client_token"])["data"]
    assert seen["orphan"] is True and seen["period"] == 3600
    token.revoke(periodic["client_token"])
    assert not site.client(periodic["client_token"]).is_authenticated()


def test_a_family_of_tokens(site):
    token = site.root.auth.token
    parents = [token.create(policies=["root"], ttl="1h")["auth"]["client_token"] for _ in range(2)]
    children = [site.client(p).auth.token.create(policies=["default"])["auth"]["client_token"] for p in parents]
    token.revoke(parents[0])
    token.revoke_and_orphan_children(parents[1])
    assert [site.client(t).is_authenticated() for t in parents + children] == [False, False, False, True]
    assert token.lookup(children[1])["data"]["orphan"] is True


def test_batch_tokens_and_roles(site):
    token = site.root.auth.token
    batch = token.create(policies=["default"], type="batch", ttl="1h")["auth"]
    assert batch["client_token"].startswith("hvb.") and batch["accessor"] == "" and batch["token_type"] == "batch"
    assert site.client(batch["client_token"]).lookup_token()["data"]["type"] == "batch"
    with pytest.raises(InvalidRequest, match="batch tokens cannot be revoked"):
        token.revoke(batch["client_token"])
    token.create_or_update_role("app", allowed_policies="default,app", orphan=True, renewable=True, path_suffix="v1.x")
    assert token.list_roles()["data"]["keys"] == ["app"]
    seen = token.read_role("app")["data"]
    assert seen["allowed_policies"] == ["app", "default"] and seen["orphan"] is True
    made = token.create(policies=["app"], role_name="app")["auth"]
    assert made["policies"] == ["app", "default"] and made["orphan"] is True
    assert token.lookup(made["client_token"])["data"]["role"] == "app"
    with pytest.raises(InvalidRequest):
        token.create(policies=["other"], role_name="app")
    token.delete_role("app")
    with pytest.raises(InvalidPath):
        token.read_role("app")


def test_policies(site):
    system = site.root.sys
    system.create_or_update_policy("one", 'path "secret/+/x" { capabilities = ["read", "list"] }')
    system.create_or_update_acl_policy("two", policy='path "secret/*" { capabilities = ["create", "update"] }\n'
                                                     'path "secret/no" { capabilities = ["deny"] }')
    assert system.list_policies()["data"]["policies"] == ["default", "one", "two", "root"]
    assert system.list_acl_policies()["data"]["keys"] == ["default", "one", "two", "root"]
    assert system.read_policy("one")["data"]["rules"].startswith('path "secret/+/x"')
    child = site.client(site.root.auth.token.create(policies=["one", "two"])["auth"]["client_token"])
    seen = child.sys.get_capabilities(["secret/a/x", "secret/y", "secret/no", "other"])
    assert [seen["data"][p] for p in ("secret/a/x", "secret/y", "secret/no", "other")] == \
        [["list", "read"], ["create", "update"], ["deny"], ["deny"]]
    system.enable_secrets_engine("kv", path="secret", options={"version": "1"})
    child.secrets.kv.v1.create_or_update_secret("y", {"v": 1}, method="POST", mount_point="secret")
    for path in ("y", "no"):
        with pytest.raises(Forbidden):
            child.secrets.kv.v1.read_secret(path, mount_point="secret")
    system.delete_policy("two")
    with pytest.raises(Forbidden):
        child.secrets.kv.v1.create_or_update_secret("y", {"v": 1}, method="POST", mount_point="secret")
    with pytest.raises(InvalidRequest):
        system.create_or_update_policy("bad", 'path "x" { capabilities = ["fly"] }')


def test_wrapping(site):
    root, nobody = site.root, site.client()
    wrapped = root.sys.wrap(payload={"k": "v"}, ttl=60)["wrap_info"]
    assert (wrapped["ttl"], wrapped["creation_path"]) == (60, "sys/wrapping/wrap")
    seen = nobody.write("sys/wrapping/lookup", token=wrapped["token"])["data"]
    assert (seen["creation_ttl"], seen["creation_path"]) == (60, "sys/wrapping/wrap")
    assert site.client(wrapped["token"]).sys.unwrap()["data"] == {"k": "v"}
    with pytest.raises(InvalidRequest, match="wrapping token is not valid or does not exist"):
        site.client(wrapped["token"]).sys.unwrap()
    made = root.auth.token.create(policies=["default"], ttl="1h", wrap_ttl="2m")
    assert made["auth"] is None and made["wrap_info"]["wrapped_accessor"]
    again = root.write("sys/wrapping/rewrap", token=made["wrap_info"]["token"])["wrap_info"]
    with pytest.raises(InvalidRequest):
        site.client(made["wrap_info"]["token"]).sys.unwrap()
    inner = root.sys.unwrap(again["token"])["auth"]
    assert inner["accessor"] == made["wrap_info"]["wrapped_accessor"]
    assert site.client(inner["client_token"]).is_authenticated()


def test_leases(site):
    root = site.root
    root.sys.enable_auth_method("userpass")
    root.auth.userpass.create_or_update_user("ann", "pw", policies="default", token_ttl="1h", token_max_ttl="4h")
    logins = [site.client() for _ in range(4)]
    for client in logins:
        client.auth.userpass.login("ann", "pw")
    prefix = "auth/userpass/login/ann/"
    keys = root.sys.list_leases(prefix)["data"]["keys"]
    assert len(keys) == 4
    seen = root.sys.read_lease(prefix + keys[0])["data"]
    assert seen["id"] == prefix + keys[0] and seen["renewable"] is True and 3590 < seen["ttl"] <= 3600
    with pytest.raises(InvalidRequest):
        root.sys.read_lease(prefix + "none")
    root.sys.revoke_lease(prefix + keys[0])
    assert [c.is_authenticated() for c in logins].count(True) == 3
    root.sys.revoke_prefix("auth/userpass/login")
    assert not any(c.is_authenticated() for c in logins)
    with pytest.raises(InvalidPath):
        root.sys.list_leases(prefix)


def test_audit(site):
    system, path = site.root.sys, site.folder / "audit.log"
    system.enable_audit_device("file", path="file", description="all", options={"file_path": str(path)})
    assert system.list_enabled_audit_devices()["data"]["file/"]["description"] == "all"
    system.enable_secrets_engine("kv", path="kv", options={"version": "1"})
    site.root.secrets.kv.v1.create_or_update_secret("a", {"v": "the marker"}, mount_point="kv")
    digest = system.calculate_hash("file", "the marker")["data"]["hash"]
    entries = lab_module.audit_entries(path)
    assert [e["type"] for e in entries if e["request"].get("data") == {"v": digest}] == ["request", "response"]
    assert b"the marker" not in path.read_bytes()
    system.disable_audit_device("file")
    assert system.list_enabled_audit_devices()["data"] == {}
    assert lab_module.audit_faults(lab_module.audit_entries(path)) == []


def test_mounts(site):
    system = site.root.sys
    system.enable_secrets_engine("kv", path="old", description="first", config={"max_lease_ttl": "3h"}, options={"version": "1"})
    site.root.secrets.kv.v1.create_or_update_secret("a", {"v": 1}, mount_point="old")
    with pytest.raises(InvalidRequest, match="path is already in use at old/"):
        system.enable_secrets_engine("kv", path="old")
    system.tune_mount_configuration("old", default_lease_ttl="1h", description="second")
    seen = system.read_mount_configuration("old")["data"]
    assert (seen["default_lease_ttl"], seen["max_lease_ttl"], seen["description"]) == (3600, 10800, "second")
    system.move_backend("old", "new")
    deadline = time.monotonic() + 10
    while "new/" not in system.list_mounted_secrets_engines()["data"] and time.monotonic() < deadline:
        time.sleep(0.02)
    assert site.root.secrets.kv.v1.read_secret("a", mount_point="new")["data"] == {"v": 1}
    assert "old/" not in system.list_mounted_secrets_engines()["data"]
    system.disable_secrets_engine("new")
    with pytest.raises(InvalidPath):
        site.root.secrets.kv.v1.read_secret("a", mount_point="new")
    system.enable_auth_method("userpass", path="people", description="them")
    assert system.list_auth_methods()["data"]["people/"]["description"] == "them"
    system.tune_auth_method("people", default_lease_ttl="30m", listing_visibility="unauth")
    seen = system.read_auth_method_tuning("people")["data"]
    assert (seen["default_lease_ttl"], seen["listing_visibility"]) == (1800, "unauth")
    assert "people/" in site.client().read("sys/internal/ui/mounts")["data"]["auth"]
    system.disable_auth_method("people")
    assert list(system.list_auth_methods()["data"]) == ["token/"]


def test_identity(site):
    root, identity = site.root, site.root.secrets.identity
    root.sys.enable_auth_method("userpass")
    accessor = root.sys.list_auth_methods()["data"]["userpass/"]["accessor"]
    for name in ("ann", "bob"):
        root.auth.userpass.create_or_update_user(name, "first")
    for name in ("seer", "crew", "top"):
        root.sys.create_or_update_policy(name, 'path "secret/%s" { capabilities = ["read"] }' % name)
    ann = identity.create_or_update_entity("ann", policies=["seer"], metadata={"team": "red"})["data"]["id"]
    alias = identity.create_or_update_entity_alias("ann", ann, accessor)["data"]["id"]
    client = site.client()
    assert client.auth.userpass.login("ann", "first")["auth"]["identity_policies"] == ["seer"]

    def policies():
        return client.lookup_token()["data"]["identity_policies"]

    group = identity.create_or_update_group("crew", policies=["crew"], member_entity_ids=[ann])["data"]["id"]
    identity.create_or_update_group_by_name("top", policies=["top"], member_group_ids=[group])
    assert policies() == ["crew", "seer", "top"]
    with pytest.raises(InvalidRequest, match="cyclic"):
        identity.update_group(group, "crew", member_group_ids=[identity.read_group_by_name("top")["data"]["id"]])
    seen = identity.read_entity(ann)["data"]
    assert seen["metadata"] == {"team": "red"} and seen["direct_group_ids"] == [group] and len(seen["group_ids"]) == 2
    assert identity.lookup_entity(alias_name="ANN", alias_mount_accessor=accessor)["data"]["id"] == ann
    assert identity.lookup_group(name="crew")["data"]["member_entity_ids"] == [ann]
    assert identity.list_entities()["data"]["key_info"][ann]["aliases"][0]["name"] == "ann"
    assert identity.list_entities_by_name()["data"]["keys"] == ["ann"]
    assert identity.list_entity_aliases()["data"]["keys"] == [alias]

    bob = site.client().auth.userpass.login("bob", "first")["auth"]["entity_id"]
    with pytest.raises(InvalidRequest, match="same mount accessor"):
        identity.merge_entities([bob], ann)
    identity.delete_entity_alias(identity.lookup_entity(entity_id=bob)["data"]["aliases"][0]["id"])
    identity.merge_entities([bob], ann)
    assert identity.read_entity(ann)["data"]["merged_entity_ids"] == [bob]

    external = identity.create_or_update_group("outside", group_type="external")["data"]["id"]
    name = identity.create_or_update_group_alias("outside", mount_accessor=accessor, canonical_id=external)["data"]["id"]
    assert identity.read_group_alias(name)["data"]["mount_path"] == "auth/userpass/"
    identity.delete_group_alias(name)
    identity.update_entity(ann, "ann", disabled=True)
    with pytest.raises(Forbidden):
        policies()
    identity.delete_group_by_name("top")
    identity.delete_entity(ann)
    with pytest.raises(InvalidPath):
        identity.read_entity(ann)
