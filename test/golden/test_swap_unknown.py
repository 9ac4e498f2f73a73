"""swap: what a newer server keeps in stored objects beyond what is known here outlives every rewrite of them.

Fields that nobody knows are planted in a recorded store: in JSON an extra member, in protobuf messages a field of a high number, in the object
itself and in those inside it. Each object is then written once through the API, and read back by the independent reader.
"""
import base64
import importlib.machinery
import importlib.util
import json
import os
import re

import pytest
from test_swap import BEYOND, HERE, STORES, manifest, open_store, tool

STORE = "vault-1.14.7-file"
MEMBER, NUMBER, TEXT = "planted_member", 1999, b"planted"

# Path of an entry: where the objects inside it are, by member ("*": each of a list) or by field number.
JSON_OBJECTS = {
    r"core/(local-)?(mounts|auth|audit)": ["entries.*", "entries.*.config"],
    r"core/keyring": ["Keys.*", "RotationConfig"],
    r"sys/policy/app-read": [],
    r"sys/token/roles/tr": [],
    r"sys/token/id/USES": [],
    r"sys/expire/id/auth/token/create/.*RENEWED": ["auth"],
    r"sys/config/cors": [],
    r"sys/audited-headers-config/audited-headers": ["x-trace"],
    r"sys/password_policy/pw": [],
    r"sys/uiconfig": [],
    r"sys/counters/activity/config": [],
    r"auth/.*/user/(delta1|quartz0)": [],
    r"auth/.*/role/(push|svc)": [],
    r"auth/.*/secret_id/SECRET": [],
    r"sys/quotas/rate-limit/q1": [],
    r"logical/.*/oidc_tokens/named_keys/default": ["key_ring.*", "signing_key", "next_signing_key"],
}
MESSAGES = {
    r"logical/KV2/config": [],
    r"logical/KV2/metadata/BILLING": ["2", "2.2"],  # its versions, and what each is about
    r"logical/.*/packer/buckets/30": ["2", "2.2", "2.2.2", "2.2.2.1"],  # an item, its Any, the entity, its alias
    r"logical/.*/packer/group/buckets/(98|152)": ["2", "2.2", "2.2.2", "2.2.2.11"],
}


def load_reader():
    loader = importlib.machinery.SourceFileLoader("reader", os.path.join(HERE, "tools", "read-store"))
    reader = importlib.util.module_from_spec(importlib.util.spec_from_loader("reader", loader))
    loader.exec_module(reader)
    return reader


reader = load_reader()


class Store(reader.Store):
    """The independent reader's, that can write an entry too."""

    def __init__(self, server):
        super().__init__(str(server.store))
        self.unlock([bytes.fromhex(k) for k in server.keys])

    def put(self, path, clear):
        term, key = (0, self.rootkey) if path == "core/keyring" else (self.term, self.keys[self.term])
        record = reader.seal_record(key, term or 1, path, clear, os.urandom(12))
        folder, name = os.path.split(path)
        with open(os.path.join(self.root, folder, "_" + name), "w", encoding="utf-8") as f:
            json.dump({"Value": base64.b64encode(record).decode()}, f)

    def clear(self, path):
        return reader.decompress(self.get(path)[0])[0]


def objects_at(value, path):
    """The objects that a path of members leads to."""
    found = [value]
    for part in path.split("."):
        found = [x for v in found if v for x in (v if part == "*" else [v.get(part)])]
    return [v for v in found if isinstance(v, dict)]


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def message_planted(data, inside):
    """The message with the unknown field, and in each of the fields `inside` too."""
    out = b""
    for number, wire, value in reader.pb_fields(data):
        below = [p.partition(".")[2] for p in inside if p.partition(".")[0] == str(number)]
        if wire == 2:
            out += field(number, message_planted(value, [p for p in below if p]) if below else value)
        else:
            assert wire == 0, "a field of fixed length"
            out += varint(number << 3) + varint(value)
    return out + field(NUMBER, TEXT)


def message_faults(data, inside, where):
    fields = reader.pb_fields(data)
    if (NUMBER, 2, TEXT) not in fields:
        yield where
    for number, wire, value in fields:
        below = [p.partition(".")[2] for p in inside if p.partition(".")[0] == str(number)]
        if wire == 2 and below:
            yield from message_faults(value, [p for p in below if p], "%s.%d" % (where, number))


def tables(store, names):
    """JSON_OBJECTS and MESSAGES with the names of this store in them."""
    kv2 = next(reader.prefix_of(e) + e["backend_aware_uuid"] for e in store.table() if e["path"] == "secret/")
    hashed = {name: store.salt_id(inner) for name, inner in names.items()}
    policy = json.loads(store.clear(kv2 + "/policy/metadata"))
    pre = kv2 + "/metadata/"
    names_of = {p[len(pre):]: reader.kv2_path(policy, kv2.split("/")[-1] + "/", p[len(pre):]) for p in store.paths(pre)}
    hashed["BILLING"] = next(p for p, name in names_of.items() if name == "apps/billing/db")
    hashed["KV2"] = kv2.partition("/")[2]
    hashed["SECRET"] = next(p.partition("/secret_id/")[2] for p in store.paths("auth/")
                            if "/secret_id/" in p and json.loads(store.clear(p))["secret_id_num_uses"] == 77)

    def fill(table):
        out = {}
        for path, inside in table.items():
            for name, value in hashed.items():
                path = re.sub(r"\b%s\b" % name, value, path)
            paths = [p for p in store.paths() if re.fullmatch(path, p)]
            assert paths, "no entry is %s" % path
            out.update(dict.fromkeys(paths, inside))
        return out
    return fill(JSON_OBJECTS), fill(MESSAGES)


def inner_id(token):
    """Of a token as clients have it."""
    body = token.partition(".")[2]
    try:
        outer = {f: v for f, _, v in reader.pb_fields(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))}
        return {f: v for f, _, v in reader.pb_fields(outer[3])}[1].decode()
    except (ValueError, KeyError, IndexError, TypeError, UnicodeDecodeError):
        return token


def plant(store, objects, messages):
    for path, inside in objects.items():
        clear, packed = store.clear(path), store.get(path)[0]
        value = json.loads(clear)
        for o in [value] + [o for p in inside for o in objects_at(value, p)]:
            o[MEMBER] = {"kept": [1, "two", None], "digits": 12345678901234567890}
        text = json.dumps(value).encode()
        store.put(path, b"G" + reader.gzip.compress(text) if packed[:1] == b"G" else text)
    for path, inside in messages.items():
        store.put(path, message_planted(store.clear(path), inside))


def faults(store, objects, messages):
    for path, inside in objects.items():
        value = json.loads(store.clear(path))
        for where, o in [(path, value)] + [("%s: %s" % (path, p), o) for p in inside for o in objects_at(value, p)]:
            if o.get(MEMBER) != {"kept": [1, "two", None], "digits": 12345678901234567890}:
                yield where
    for path, inside in messages.items():
        yield from message_faults(store.clear(path), inside, path)


def prepare(server):
    """What the recorded store lacks."""
    server.ok("PUT", "sys/config/ui/headers/X-Shown", {"values": ["a"]})
    server.ok("PUT", "sys/internal/counters/config", {"retention_months": 24})
    uses = server.ok("POST", "auth/token/create", {"policies": ["default"], "num_uses": 100}).body["auth"]["client_token"]
    renewed = server.ok("POST", "auth/token/create", {"policies": ["default"], "ttl": "5h"}).body["auth"]["client_token"]
    secret = server.ok("POST", "auth/approle/role/svc/secret-id", {"num_uses": 77}).data["secret_id"]
    return uses, renewed, secret


def rewrite(server, uses, renewed, secret):
    """Every object once, to what it is already where that can be."""
    def same(path, *names, **more):
        data = server.ok("GET", path).data
        server.ok("POST", path, {**{n: data[n] for n in names}, **more})

    for path in server.ok("GET", "sys/mounts").data.keys() - {"cubbyhole/", "sys/"}:
        tune = server.ok("GET", "sys/mounts/%stune" % path).body["data"]
        server.ok("POST", "sys/mounts/%stune" % path, {"description": tune["description"]})
    for path in server.ok("GET", "sys/auth").data:
        tune = server.ok("GET", "sys/auth/%stune" % path).body["data"]
        server.ok("POST", "sys/auth/%stune" % path, {"description": tune["description"]})
    for path, kind in (("sys/mounts/ours", "kv"), ("sys/auth/ours", "userpass")):
        server.ok("POST", path, {"type": kind, "local": True})
        server.ok("DELETE", path)
    for local in (False, True):
        server.ok("PUT", "sys/audit/ours", {"type": "file", "options": {"file_path": "/dev/null"}, "local": local})
        server.ok("DELETE", "sys/audit/ours")
    operations = server.ok("GET", "sys/rotate/config").data["max_operations"]
    for n in (operations - 1, operations):
        server.ok("POST", "sys/rotate/config", {"max_operations": n})
    same("sys/policies/acl/app-read", "policy")
    same("sys/policies/password/pw", "policy")
    same("auth/token/roles/tr", "allowed_policies", "path_suffix")
    same("sys/config/cors", "allowed_origins")
    for name in ("delta1", "quartz0"):
        same("auth/userpass/users/" + name, "token_policies")
    same("secret/config", "max_versions")
    same("secret/metadata/apps/billing/db", "custom_metadata")
    server.ok("PUT", "sys/config/auditing/request-headers/x-trace", {"hmac": True})
    server.ok("PUT", "sys/config/ui/headers/X-Shown", {"values": ["b"]})
    server.ok("PUT", "sys/internal/counters/config", {"retention_months": 25})
    for name in ("svc", "push"):
        same("auth/approle/role/" + name, "token_ttl")
    role = server.ok("GET", "auth/approle/role/svc/role-id").data["role_id"]
    server.ok("POST", "auth/approle/login", {"role_id": role, "secret_id": secret}, token=None)
    same("sys/quotas/rate-limit/q1", "rate", "path")
    same("identity/oidc/key/default", "rotation_period")
    for kind in ("entity", "group"):
        for n in server.ok("LIST", "identity/%s/id" % kind).data["keys"]:
            same("identity/%s/id/%s" % (kind, n), "metadata")
    server.ok("GET", "auth/token/lookup-self", token=uses)
    server.ok("POST", "auth/token/renew", {"token": renewed, "increment": "6h"})


def test_unknown_fields_outlive_rewrites(lab):
    server = open_store(lab, STORE).unseal()
    uses, renewed, secret = prepare(server)
    server.stop()
    store = Store(server)
    objects, messages = tables(store, {"USES": inner_id(uses), "RENEWED": inner_id(renewed)})
    plant(store, objects, messages)
    before = {path: store.physical(path) for path in [*objects, *messages]}
    assert not list(faults(Store(server), objects, messages))
    server.start()
    server.unseal()
    rewrite(server, uses, renewed, secret)
    server.stop()
    store = Store(server)
    assert [p for p in before if store.physical(p) == before[p]] == [], "not written"
    assert list(faults(store, objects, messages)) == []
    server.start()
    _, text = tool("check", "-v", "--unseal", os.path.join(STORES, STORE + ".json"), server.addr)
    good = {line[5:] for line in text.splitlines() if line.startswith("ok ")}
    expected = {r["title"] for r in manifest(STORE)["reads"] if not r["title"].startswith(tuple(BEYOND))}
    assert expected - good == set(), text
