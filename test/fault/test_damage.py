"""One flipped bit in any stored entry is an error that names its path; never a crash, never a wrong value."""
import base64
import contextlib
import json
import shutil
import sqlite3

import lab as lab_module
import pytest

FLIPS = 3  # of each entry
PLAIN = ("core/seal-config",)  # outside of the barrier: JSON in the clear, nothing authenticates it
# Kept for the programs that share the store, or read only by work that no request of this test does; no value of theirs is used.
UNREAD = ("core/cluster/feature-flags", "core/versions/", "core/wrapping/jwtkey", "core/master", "core/shamir-kek", "sys/token/parent/")
# A message whose fields around the ciphertext nothing authenticates: said, or harmless.
LOOSE = ("core/hsm/barrier-unseal-keys",)
# A damaged one and a wrong share cannot be told apart: the words are those for both.
OTHER_WORDS = {"core/hsm/barrier-unseal-keys": "unable to retrieve stored keys"}


def prepared(lab, storage):
    """A stopped server whose store holds one of each kind of entry."""
    server = lab.server("first", storage=storage).ready()
    server.ok("POST", "kv/deep/secret", {"v": "the value"})
    server.ok("PUT", "sys/policies/acl/mine", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    server.ok("PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(lab.folder / "audit.log")}})
    made = server.ok("POST", "auth/token/create", {"policies": ["mine"], "ttl": "1h"}).body["auth"]
    server.ok("POST", "cubbyhole/own", {"v": "mine"}, token=made["client_token"])
    server.stop()
    return server, made


def look_at_everything(server, made):
    """Every request that reads what `prepared` stored; the answers."""
    token = made["client_token"]
    return [server.call(method, path, body, token=who) for method, path, body, who in (
        ("GET", "kv/deep/secret", None, ""), ("GET", "kv/deep/secret", None, token), ("LIST", "kv/deep", None, ""),
        ("GET", "sys/policies/acl/mine", None, ""), ("GET", "sys/policies/acl/default", None, ""), ("GET", "sys/mounts", None, ""),
        ("GET", "sys/audit", None, ""), ("PUT", "sys/audit-hash/file", {"input": "x"}, ""), ("GET", "auth/token/lookup-self", None, token),
        ("POST", "auth/token/lookup-accessor", {"accessor": made["accessor"]}, ""), ("GET", "cubbyhole/own", None, token),
        ("LIST", "auth/token/accessors", None, ""), ("GET", "sys/key-status", None, ""))]


def database(server):
    file = next(p for p in server.store.parent.rglob("*") if p.is_file() and p.read_bytes()[:15] == b"SQLite format 3")
    return contextlib.closing(sqlite3.connect(file, isolation_level=None))


def stored(server):
    """path -> value of every entry as it is stored"""
    if server.storage == "sqlite":
        with database(server) as db:
            return {bytes(k).decode(): v for k, v in db.execute("select key, value from kv")}
    return {str(p.relative_to(server.store).with_name(p.name[1:])): p.read_bytes() for p in server.store.rglob("_*") if p.is_file()}


def overwrite(server, path, value):
    if server.storage == "sqlite":
        with database(server) as db:
            db.execute("update kv set value = ? where key = ?", (value, path.encode()))
    else:
        folder, _, name = path.rpartition("/")
        (server.store / folder / ("_" + name)).write_bytes(value)


def flipped(value, chance):
    bit = chance.randrange(len(value) * 8)
    out = bytearray(value)
    out[bit // 8] ^= 1 << bit % 8
    return bytes(out)


def held(storage, stored_bytes):
    """What a stored entry holds. A file's JSON has bits that mean nothing: case of the key, slack of base64, all behind its end."""
    if storage == "sqlite":
        return stored_bytes
    try:
        members = {k.lower(): v for k, v in json.JSONDecoder().raw_decode(stored_bytes.decode(errors="replace"))[0].items()}
        return base64.b64decode(members.get("value") or "", validate=True)
    except (ValueError, AttributeError, TypeError):
        return None


def damaged(storage, value, chance):
    """The entry with one bit flipped that changes what it holds."""
    while True:
        out = flipped(value, chance)
        if held(storage, out) != held(storage, value):
            return out


def copy_of(lab, first, n):
    server = lab.server("copy%d" % n, storage=first.storage, start=False)
    for item in first.folder.glob("store*"):
        (shutil.copytree if item.is_dir() else shutil.copy)(item, server.folder / item.name)
    server.keys, server.root = first.keys, first.root
    return server


@pytest.mark.parametrize("storage", ["sqlite", "file"])
def test_a_flipped_bit_names_its_path(lab, storage):
    chance = lab_module.chance()
    first, made = prepared(lab, storage)
    good = look_at_everything(first.start().unseal(), made)
    assert {a.status for a in good} == {200}, good
    first.stop()
    entries, silent = stored(first), []
    assert len(entries) > 10
    for n, (path, value) in enumerate(sorted(entries.items()) * FLIPS):
        if path in PLAIN:
            continue
        server = copy_of(lab, first, n)
        overwrite(server, path, damaged(storage, value, chance))
        server.start()
        opened = [server.call("PUT", "sys/unseal", {"key": key}, token=None) for key in first.keys]
        answers = look_at_everything(server, made)
        assert server.proc.poll() is None, "%s: the server died:\n%s" % (path, server.tail())
        for seen, right in zip(answers, good):
            assert seen.status != 200 or {**seen.data, "ttl": 0} == {**right.data, "ttl": 0}, "%s: a wrong value: %r" % (path, seen)
        server.stop()
        said = server.tail() + "".join(repr(a) for a in opened + answers)
        folder, _, name = path.rpartition("/")
        words = (path, "%s/_%s" % (folder, name), OTHER_WORDS.get(path, path))
        harmless = path in LOOSE and all(a.status == 200 for a in answers)
        if not path.startswith(UNREAD) and not harmless and not any(w in said for w in words):
            silent.append((path, said))
    assert silent == [], "damaged, and nobody said so: %s" % silent
