"""Seal migration: the process stops before, inside and after each commit, and the store opens afterwards.

On sqlite a migration is there whole or not at all. On file, whose puts come one by one, the shares open the store after a stop at every
put: with the seals as they were for the migration, which then goes on, and with those from before it, as long as the type that is stored
is theirs (not from service to service on file: half of the keys are under the other one).
"""
import contextlib
import http.client
import os
import shutil
import time

import lab as lab_module
import pytest

STOPS_MAX = 80  # commits or puts, from the start of the process, until the migration is through
POINTS = {"sqlite": ["commit_before", "commit_after"], "file": ["file_between_puts", "commit_after"]}
KEYS = {name: os.urandom(32).hex() for name in ("one", "two")}


def seal(name, disabled=False):
    return 'seal "static" {\n  current_key = "%s"\n  current_key_id = "%s"\n%s}\n' % (
        KEYS[name], name, '  disabled = "true"\n' if disabled else "")


# the seals before, and those of the migration
KINDS = {"to-service": ("", seal("one")), "to-shares": (seal("one"), seal("one", True)),
         "service-to-service": (seal("one"), seal("one", True) + seal("two"))}


def configure(server, seals):
    server.config.write_text(server.config.read_text().split("# seals\n")[0] + "# seals\n" + seals)


@pytest.fixture(scope="module", params=["sqlite", "file"])
def bases(request, tmp_path_factory):
    folder, out = tmp_path_factory.mktemp("migration-" + request.param), {}
    for before in {before for before, _ in KINDS.values()}:
        server = lab_module.Server(folder / ("auto" if before else "shares"), storage=request.param, binary=lab_module.FAULTY, start=False)
        configure(server, before)
        server.start()
        kind = "recovery" if before else "secret"
        made = server.ok("PUT", "sys/init", {kind + "_shares": 3, kind + "_threshold": 2}).body
        server.keys, server.root = made["recovery_keys" if before else "keys"][:2], made["root_token"]
        if not before:
            server.unseal()
        server.active()
        server.ok("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
        server.ok("POST", "kv/old", {"v": "1"})
        server.stop()
        out[before] = server
    return out


def copy_of(base, lab, name):
    server = lab.server(name, storage=base.storage, binary=lab_module.FAULTY, start=False)
    for item in base.folder.iterdir():
        if item.name.startswith("store"):
            (shutil.copytree if item.is_dir() else shutil.copy)(item, server.folder / item.name)
    server.keys, server.root = base.keys, base.root
    return server


def migrate(server):
    """With the shares; true: it was answered that the store is open and nothing is left to do."""
    for key in server.keys:
        last = server.ok("PUT", "sys/unseal", {"key": key, "migrate": True}).body
    return not last["sealed"] and not last["migration"]


def open_with_shares(server):
    for key in server.keys:
        answer = server.call("PUT", "sys/unseal", {"key": key, "migrate": server.ok("GET", "sys/seal-status").body["migration"]})
        assert answer.status == 200, answer
        if not answer.body["sealed"]:
            break


def is_sound(server):
    server.active()
    assert server.ok("GET", "kv/old").data == {"v": "1"}
    server.ok("POST", "sys/rotate")
    server.ok("PUT", "sys/seal")
    open_with_shares(server)
    server.active()
    assert server.ok("GET", "kv/old").data == {"v": "1"}


def turned_back(server, before):
    """With the seals from before; false: the store is past that."""
    configure(server, before)
    try:
        server.start()
    except AssertionError as e:
        assert "cannot seal migrate" in str(e), e
        server.proc = None
        return False
    open_with_shares(server)
    is_sound(server)
    server.stop()
    return True


def tried_alone(server, before):
    configure(server, before)
    log = len(server.log.read_text())
    server.start()
    while server.call("GET", "sys/health").status != 200 and "failed to unseal core" not in server.log.read_text()[log:]:
        time.sleep(0.02)
    server.stop()


@pytest.mark.parametrize("kind", KINDS)
def test_stopped(bases, lab, kind):
    before, during = KINDS[kind]
    base = bases[before]
    for point in POINTS[base.storage]:
        for n in range(STOPS_MAX):
            server = copy_of(base, lab, "%s%d" % (point, n))
            configure(server, during)
            server.env["COFFER_FAULT"] = "%s=stop:%d" % (point, n)
            acknowledged = False
            with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
                server.start()
                acknowledged = migrate(server)
            server.kill()
            del server.env["COFFER_FAULT"]
            if n % 2 and not acknowledged:
                (tried_alone if (kind, base.storage) == ("service-to-service", "file") else turned_back)(server, before)
            configure(server, during)
            server.start()
            if server.ok("GET", "sys/seal-status").body["migration"]:
                assert migrate(server), (point, n, server.tail())
            else:  # it was through, or is found to be
                open_with_shares(server)
            is_sound(server)
            server.stop()
            if base.storage == "file":
                assert not list(server.folder.glob("store/core/*root-change*"))
            shutil.rmtree(server.folder)
            if acknowledged:
                break
        else:
            raise AssertionError("%s never let the migration through in %d stops" % (point, STOPS_MAX))
