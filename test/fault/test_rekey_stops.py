"""New shares: the process stops before, inside and after each commit of a rekey, and the store opens afterwards.

On sqlite the change is there whole or not at all. On file, whose puts come one by one, the shares from before open after a stop at every
put, and the new ones too once there are any; whichever are used first are the valid ones from then on, and the others are not.
"""
import contextlib
import http.client
import shutil

import lab as lab_module
import pytest

STOPS_MAX = 60  # commits or puts, from the start of the process, until the rekey is through
OLD, NEW = (3, 2), (5, 3)
POINTS = {"sqlite": ["commit_before", "commit_after"], "file": ["file_between_puts", "commit_after"]}


@pytest.fixture(scope="module", params=["sqlite", "file"])
def base(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("rekey-" + request.param)
    server = lab_module.Server(folder / "base", storage=request.param, binary=lab_module.FAULTY)
    server.init(*OLD).unseal().active()
    server.ok("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    server.ok("POST", "kv/old", {"v": "1"})
    server.stop()
    return server


def copy_of(base, lab, name):
    server = lab.server(name, storage=base.storage, binary=lab_module.FAULTY, start=False)
    for item in base.folder.iterdir():
        if item.name.startswith("store"):
            (shutil.copytree if item.is_dir() else shutil.copy)(item, server.folder / item.name)
    server.keys, server.root = base.keys, base.root
    return server


def rekey(server, old, verified, new):
    """Fills `new` as soon as the shares are known; true: the end was answered."""
    shares, threshold = NEW
    nonce = server.ok("PUT", "sys/rekey/init", {"secret_shares": shares, "secret_threshold": threshold,
                                                "require_verification": verified}).body["nonce"]
    for key in old:
        answer = server.ok("PUT", "sys/rekey/update", {"key": key, "nonce": nonce}).body
    new.extend(answer["keys"][-threshold:])
    if verified:
        for key in new:
            answer = server.ok("PUT", "sys/rekey/verify", {"key": key, "nonce": answer.get("verification_nonce") or answer["nonce"]}).body
    return answer["complete"]


def opens(server, keys):
    server.ok("PUT", "sys/unseal", {"reset": True})
    for key in keys:
        answer = server.call("PUT", "sys/unseal", {"key": key})
        assert answer.status in (200, 400), answer
        if answer.status != 200:
            return False
        if not answer.body["sealed"]:
            return True
    return False


def is_sound(server, valid, others):
    """Opened with `valid`: all is there, and from now on nothing but these opens it."""
    server.active()
    assert server.ok("GET", "kv/old", token=server.root).data == {"v": "1"}
    server.ok("POST", "sys/rotate", token=server.root)
    server.ok("PUT", "sys/seal", token=server.root)
    if others:
        assert not opens(server, others)
    assert opens(server, valid)
    server.active()
    assert server.ok("GET", "kv/old", token=server.root).data == {"v": "1"}
    if server.storage == "file":
        assert not list(server.folder.glob("store/core/*root-change*"))


@pytest.mark.parametrize("verified", [False, True], ids=["plain", "verified"])
def test_stopped(base, lab, verified):
    for point in POINTS[base.storage]:
        for n in range(STOPS_MAX):
            server = copy_of(base, lab, "%s%d" % (point, n))
            server.env["COFFER_FAULT"] = "%s=stop:%d" % (point, n)
            new, acknowledged = [], False
            with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
                server.start().unseal()
                acknowledged = rekey(server, base.keys, verified, new)
            server.kill()
            del server.env["COFFER_FAULT"]
            server.start()
            first, second = (base.keys, new) if n % 2 == 0 else (new, base.keys)
            if acknowledged:
                assert not opens(server, base.keys), "the old shares open what was rekeyed"
                assert opens(server, new)
                is_sound(server, new, base.keys)
            elif first and opens(server, first):
                is_sound(server, first, second)
            elif second and opens(server, second):
                is_sound(server, second, first)
            else:  # the answer with the shares was lost with the process, after the commit: only -verify helps
                assert point == "commit_after" and not verified, (n, new, sorted(p.name for p in server.folder.glob("store/core/*")))
            server.stop()
            shutil.rmtree(server.folder)
            if acknowledged:
                break
        else:
            raise AssertionError("%s never let the rekey through in %d stops" % (point, STOPS_MAX))
