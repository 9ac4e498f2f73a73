"""Atomic requests: the process stops before, inside and after the commit of every kind of writing request.

On sqlite the request is there whole or not at all; on file, whose puts come one by one, no reachable half is left: the store opens,
every token that works has an accessor, a parent that revokes it and policies, every mount in the table answers.
"""
import contextlib
import http.client
import shutil

import lab as lab_module
import pytest

STOPS_MAX = 12  # commits, or puts, until a request is through

WRITES = {
    "kv write": ("POST", "kv/new", {"v": "1"}),
    "kv overwrite": ("POST", "kv/old", {"v": "2"}),
    "kv delete": ("DELETE", "kv/old", None),
    "policy": ("PUT", "sys/policies/acl/new", {"policy": 'path "kv/*" { capabilities = ["read"] }'}),
    "policy delete": ("DELETE", "sys/policies/acl/old", None),
    "token": ("POST", "auth/token/create", {"id": "chosen", "policies": ["old"], "ttl": "1h"}),
    "token renew": ("POST", "auth/token/renew", {"token": "child"}),
    "token revoke tree": ("POST", "auth/token/revoke", {"token": "parent"}),
    "mount": ("POST", "sys/mounts/new", {"type": "kv", "options": {"version": "1"}}),
    "unmount": ("DELETE", "sys/mounts/other", None),
    "audit device": ("PUT", "sys/audit/new", {"type": "file", "options": {"file_path": "discard"}}),
    "cubbyhole": ("POST", "cubbyhole/a", {"v": "1"}),
}
POINTS = {"sqlite": ["commit_before", "commit_after"], "file": ["commit_before", "file_between_puts", "commit_after"]}


@pytest.fixture(scope="module", params=["sqlite", "file"])
def base(request, tmp_path_factory):
    """A store to stop in the middle of, with a family of tokens."""
    folder = tmp_path_factory.mktemp("stops-" + request.param)
    server = lab_module.Server(folder / "base", storage=request.param, binary=lab_module.FAULTY).ready()
    server.ok("POST", "kv/old", {"v": "1"})
    server.ok("PUT", "sys/policies/acl/old", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    server.ok("POST", "sys/mounts/other", {"type": "kv", "options": {"version": "1"}})
    server.ok("POST", "other/a", {"v": "1"})
    server.ok("POST", "auth/token/create", {"id": "parent", "policies": ["root"], "ttl": "2h"})
    server.ok("POST", "auth/token/create", {"id": "child", "policies": ["old"], "ttl": "1h"}, token="parent")
    server.stop()
    return server


def copy_of(base, lab, name):
    server = lab.server(name, storage=base.storage, binary=lab_module.FAULTY, start=False)
    for item in base.folder.iterdir():
        if item.name.startswith("store"):
            (shutil.copytree if item.is_dir() else shutil.copy)(item, server.folder / item.name)
    server.keys, server.root = base.keys, base.root
    return server


def state(server):
    """What can be reached, as one value."""
    def read(method, path, token=""):
        answer = server.call(method, path, token=token)
        assert answer.status in (200, 403, 404), (path, answer)
        return answer.data if answer.status == 200 else answer.status

    tokens = {}
    for accessor in read("LIST", "auth/token/accessors")["keys"]:
        answer = server.call("POST", "auth/token/lookup-accessor", {"accessor": accessor})
        assert answer.status in (200, 400, 403, 404), answer  # 400: on file, an accessor whose token was never written
        tokens[accessor] = answer.status
    working = {}
    for name in ("parent", "child", "chosen"):
        found = read("GET", "auth/token/lookup-self", name)
        working[name] = found if isinstance(found, int) else (found["policies"], found["accessor"])
        assert isinstance(found, int) or tokens.get(found["accessor"]) == 200, "a token without its accessor"
    mounts = read("GET", "sys/mounts")
    for path, entry in mounts.items():
        if entry["type"] == "kv":
            read("LIST", path)
    return {"kv": [read("GET", "kv/new"), read("GET", "kv/old"), read("LIST", "kv")], "other": read("GET", "other/a"),
            "policies": [read("GET", "sys/policies/acl/new"), read("GET", "sys/policies/acl/old")], "tokens": working,
            "mounts": sorted(mounts), "audit": sorted(read("GET", "sys/audit")), "cubbyhole": read("GET", "cubbyhole/a")}


def comparable(seen):
    """Without what is drawn anew each time."""
    tokens = {k: v if isinstance(v, int) else v[0] for k, v in seen["tokens"].items()}
    return {**seen, "tokens": tokens}


@pytest.mark.parametrize("write", list(WRITES))
def test_stopped(base, lab, write):
    method, path, body = WRITES[write]
    whole = copy_of(base, lab, "whole")
    whole.start().unseal()
    before = comparable(state(whole))
    assert whole.call(method, path, body).status < 300
    after = comparable(state(whole))
    whole.stop()
    for point in POINTS[base.storage]:
        for n in range(STOPS_MAX):
            server = copy_of(base, lab, "%s%d" % (point, n))
            server.env["COFFER_FAULT"] = "%s=stop:%d" % (point, n)
            answer = None
            with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
                server.start().unseal()
                answer = server.call(method, path, body)
            server.kill()
            del server.env["COFFER_FAULT"]
            server.start()
            server.unseal()
            found = comparable(state(server))
            if answer is not None:
                assert answer.status < 300 and found == after, "an acknowledged request is not there whole: %r" % answer
            elif base.storage == "sqlite":
                assert found in (before, after), "half a request"
            else:
                assert_no_half(write, found, before, after)
            server.stop()
            server.judge()
            shutil.rmtree(server.folder)
            if answer is not None:
                break
        else:
            raise AssertionError("%s never let the request through in %d stops" % (point, STOPS_MAX))


def assert_no_half(write, found, before, after):
    """On file a tree of tokens or a mount goes step by step: each part is in its old or in its new state."""
    for part in found:
        if write in ("token revoke tree", "unmount"):
            assert found[part] in (before[part], after[part]) or part == "tokens", (part, found[part])
        else:
            assert found[part] in (before[part], after[part]), (part, found[part])
    if write == "token revoke tree":
        assert found["tokens"]["child"] in (403, before["tokens"]["child"])
        assert found["tokens"]["parent"] in (403, before["tokens"]["parent"])
