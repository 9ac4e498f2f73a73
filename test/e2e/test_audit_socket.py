"""A socket as the only audit device: entries arrive; without a peer nothing is done; one that stalls holds up one call, not all."""
import contextlib
import json
import socket
import threading
import time

import lab as lab_module


class Peer:
    """Takes connections and keeps the entries."""

    def __init__(self, port=0):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.entries, self.connections = [], []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self.read, args=(connection,), daemon=True).start()

    def read(self, connection):
        with contextlib.suppress(OSError), connection.makefile("rb") as lines:
            for line in lines:
                self.entries.append(json.loads(line))

    def wait(self, n):
        deadline = time.monotonic() + 20
        while len(self.entries) < n:
            assert time.monotonic() < deadline, "%d entries of %d" % (len(self.entries), n)
            time.sleep(0.01)
        return self.entries

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


def enable(server, port, **options):
    server.ok("PUT", "sys/audit/s", {"type": "socket", "options": {"address": "127.0.0.1:%d" % port, **options}})


def test_lost_and_found(lab):
    server, peer = lab.server().ready(), Peer()
    server.ok("PUT", "sys/config/auditing/request-headers/X-Trace", {"hmac": False})
    enable(server, peer.port)
    for n in range(20):
        server.ok("PUT", "kv/k%d" % n, {"v": n}, headers={"x-trace": "t%d" % n})
        server.ok("GET", "kv/k%d" % n)
    entries = peer.wait(82)
    assert len(entries) == 82 and lab_module.audit_faults(entries) == []
    assert [e["request"]["headers"] for e in entries if e["request"]["path"] == "kv/k7" and "headers" in e["request"]] == [{"x-trace": ["t7"]}] * 2
    peer.close()
    for _ in range(10):
        assert server.call("GET", "kv/k1").status == 500
        assert server.call("PUT", "kv/new", {"v": 1}).status == 500
    assert server.call("DELETE", "sys/audit/s").status == 500
    peer = Peer(peer.port)
    server.ok("GET", "kv/k1")
    assert server.call("GET", "kv/new").status == 404
    peer.wait(4)
    server.restart()
    server.ok("GET", "kv/k1", headers={"X-Trace": "again"})
    assert peer.wait(6)[-1]["request"]["headers"] == {"x-trace": ["again"]}
    server.ok("DELETE", "sys/audit/s")
    server.ok("GET", "kv/k1")
    peer.close()


def test_stalled(lab):
    server = lab.server().ready()
    stalled = socket.socket()
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    stalled.bind(("127.0.0.1", 0))
    stalled.listen(0)
    enable(server, stalled.getsockname()[1], write_timeout="2s", log_raw="true")
    began = time.monotonic()
    statuses = [server.call("PUT", "kv/big", {"v": "x" * 1000000}).status for _ in range(40)]
    assert 500 in statuses
    assert time.monotonic() - began < 60  # of 80, if each waited its time
    stalled.close()


def test_refused_devices(lab):
    server = lab.server().ready()
    free = lab_module.free_port()
    for options in ({"address": "127.0.0.1:%d" % free}, {"address": "x:1", "socket_type": "pigeon"},
                    {"address": "/nonexistent", "socket_type": "unix"}):
        answer = server.call("PUT", "sys/audit/s", {"type": "socket", "options": options})
        assert answer.status == 400 and answer.body["errors"][0].startswith("audit backend failed test message: 2 errors occurred:\n\t* dial ")
    # enabled without a test; its answer is the first entry that the device does not take
    untested = {"address": "127.0.0.1:%d" % free, "skip_test": "true"}
    assert server.call("PUT", "sys/audit/s", {"type": "socket", "options": untested}).status == 500
    assert server.call("GET", "kv/a").status == 500
