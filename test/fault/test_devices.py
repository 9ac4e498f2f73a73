"""Devices that fail: a full disk, a failed fsync, an audit device that cannot be written."""
import contextlib
import os
import subprocess
import time

import lab as lab_module
import pytest


@contextlib.contextmanager
def small_disk(folder, size):
    """A file system of that size; skips where mounting is not allowed."""
    folder.mkdir(parents=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size, "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("mount: " + done.stderr.strip())
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(folder):
    """Takes what room is left; returns the file to be removed again."""
    with open(folder / "filler", "wb") as f, contextlib.suppress(OSError):
        for block in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(f.fileno(), b"\0" * block)
    return folder / "filler"


def write_until_refused(server, n=4000, size=2000):
    """Writes; returns (values acknowledged, the refused path, its answer)."""
    client, kept = server.client(), {}
    for i in range(n):
        path, value = "kv/f%d" % i, os.urandom(size // 2).hex()
        answer = client.call("POST", path, {"v": value})
        if answer.status >= 400:
            return kept, path, answer
        kept[path] = value
    raise AssertionError("%d writes and none was refused" % n)


def check_values(server, kept):
    client = server.client()
    for path, value in kept.items():
        answer = client.call("GET", path)
        assert answer.status == 200 and answer.data["v"] == value, (path, answer)


def writes_again(server, path, seconds=40):
    deadline = time.monotonic() + seconds
    while True:
        answer = server.call("POST", path, {"v": "again"})
        if answer.status == 204:
            return
        assert answer.status >= 500 and time.monotonic() < deadline, answer
        time.sleep(0.1)


@pytest.mark.parametrize("storage", ["sqlite", "file"])
def test_full_disk(lab, storage):
    with small_disk(lab.folder / "disk", "6m") as disk:
        server = lab.server("disk/server", storage=storage, start=False)
        server.log = lab.folder / "log"
        server.start()
        server.ready()
        server.ok("POST", "kv/before", {"v": "1"})
        filler = fill(disk)
        kept, path, answer = write_until_refused(server)
        assert answer.status >= 500 and "errors" in answer.body, answer
        kept["kv/before"] = "1"
        check_values(server, kept)
        assert server.call("GET", path).status == 404, "a refused write is there"
        filler.unlink()
        writes_again(server, path)
        server.kill()
        server.start()
        server.unseal()
        kept[path] = "again"
        check_values(server, kept)
        server.stop()


def with_fault(lab, storage, fault):
    """A store made in peace, opened again by a server in which that fault is set."""
    server = lab.server(storage=storage, binary=lab_module.FAULTY).ready()
    server.stop()
    server.env["COFFER_FAULT"] = fault
    server.start()
    return server.unseal()


@pytest.mark.parametrize("storage", ["sqlite", "file"])
def test_storage_full_now_and_then(lab, storage):
    """What met a full store is tried once more, then refused; a refused write changed nothing, the others are there."""
    server = with_fault(lab, storage, "storage_full=1/2")
    client, values, refused = server.client(), {}, 0
    for n in range(400):
        path = "kv/f%d" % (n % 20)
        answer = client.call("POST", path, {"v": n})
        if answer.status == 204:
            values[path] = n
        else:
            assert answer.status >= 500 and answer.body["errors"], answer
            refused += 1
    assert 0 < refused < 400
    check_values(server, values)


@pytest.mark.parametrize("storage", ["sqlite", "file"])
def test_failed_fsync(lab, storage):
    """The group answers 500 whatever a later read shows; the store is opened anew, then writes are taken again."""
    server = with_fault(lab, storage, "storage_fsync=after:60")
    kept, path, answer = write_until_refused(server)
    assert answer.status == 500, answer
    writes_again(server, path)
    check_values(server, {**kept, path: "again"})
    server.stop()
    del server.env["COFFER_FAULT"]
    server.start()
    server.unseal()
    check_values(server, {**kept, path: "again"})


def refused_by_audit(server):
    before = server.data_before
    answer = server.call("POST", "kv/a", {"v": "changed"})
    assert answer.status == 500 and answer.body == {"errors": ["internal error"]}, answer
    read = server.call("GET", "kv/a")
    assert read.status == 500 and "v" not in (read.data or {}), read
    return before


def test_audit_device_on_a_full_disk(lab):
    with small_disk(lab.folder / "disk", "1m") as disk:
        server = lab.server().ready()
        server.ok("POST", "kv/a", {"v": "kept"})
        server.ok("PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(disk / "audit.log")}})
        server.data_before = server.ok("GET", "kv/a").data
        filler = fill(disk)
        for _ in range(200):  # what is left in the last page may still take lines
            if server.call("GET", "kv/a").status == 500:
                break
        assert refused_by_audit(server) == {"v": "kept"}
        filler.unlink()
        assert server.ok("GET", "kv/a").data == {"v": "kept"}, "a refused request was carried out"
        server.ok("POST", "kv/a", {"v": "later"})
        assert (disk / "audit.log").read_bytes().endswith(b"}\n")
        server.stop()


def test_audit_device_that_fails(lab):
    """Every request line is refused: nothing is carried out, and every answer is 500."""
    server = lab.server(binary=lab_module.FAULTY).ready()
    server.ok("POST", "kv/a", {"v": "kept"})
    server.ok("PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(lab.folder / "audit.log")}})
    server.stop()
    server.env["COFFER_FAULT"] = "audit_write=always"
    server.start()
    server.unseal()
    server.data_before = {"v": "kept"}
    refused_by_audit(server)
    server.stop()
    del server.env["COFFER_FAULT"]
    server.start()
    server.unseal()
    assert server.ok("GET", "kv/a").data == {"v": "kept"}


def test_one_of_two_audit_devices_is_enough(lab):
    with small_disk(lab.folder / "disk", "1m") as disk:
        server = lab.server().ready()
        server.ok("PUT", "sys/audit/full", {"type": "file", "options": {"file_path": str(disk / "audit.log")}})
        server.ok("PUT", "sys/audit/good", {"type": "file", "options": {"file_path": str(lab.folder / "audit.log")}})
        fill(disk)
        for n in range(100):
            server.ok("POST", "kv/a", {"v": n})
        paths = [e["request"].get("path") for e in lab_module.audit_entries(lab.folder / "audit.log")]
        assert paths.count("kv/a") == 200
        server.stop()
