"""kill -9 under write load: whatever was acknowledged is there after the restart. The ledger is kept outside of the server.

Several threads, each on its own keys and its own connection, write and delete while the server is killed at a random moment.
A key may then hold what was acknowledged last, or the one change that was under way; nothing else. COFFER_KILLS: how many (25 a storage).
"""
import http.client
import os
import random
import threading
import time

import lab as lab_module
import pytest

KILLS = int(os.environ.get("COFFER_KILLS", "25"))
THREADS, KEYS = 6, 12


class Writer(threading.Thread):
    def __init__(self, server, number, ledger, seed):
        super().__init__(daemon=True)
        self.client, self.ledger, self.random = server.client(timeout=30), ledger, random.Random(seed)
        self.number, self.pending, self.acknowledged, self.refused = number, None, 0, []

    def run(self):
        try:
            while True:
                path = "kv/w%d/k%d" % (self.number, self.random.randrange(KEYS))
                value = None if self.random.random() < 0.2 else "%x" % self.random.getrandbits(64) * self.random.randrange(1, 60)
                self.pending = (path, value)
                answer = self.client.call("DELETE", path) if value is None else self.client.call("POST", path, {"v": value})
                if answer.status == 204:
                    self.ledger[path] = value
                    self.pending = None
                    self.acknowledged += 1
                else:
                    self.refused.append(answer)
                    return
        except (OSError, http.client.HTTPException):
            pass  # the kill


def check_ledger(server, ledger, pending):
    client = server.client()
    for path, value in sorted(ledger.items()):
        answer = client.call("GET", path)
        assert answer.status in (200, 404), (path, answer)
        found = answer.data["v"] if answer.status == 200 else None
        allowed = {value} | ({pending[path]} if path in pending else set())
        assert found in allowed, "%s: acknowledged %r, under way %r, found %r" % (path, value, pending.get(path), found)
        ledger[path] = found
    client.close()


@pytest.mark.parametrize("storage", ["sqlite", "file"])
def test_acknowledged_writes_survive(lab, storage):
    chance = lab_module.chance()
    server = lab.server(storage=storage).ready()
    audit = lab.folder / "audit.log"
    server.ok("PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(audit)}})
    ledger, total = {"kv/w%d/k%d" % (t, k): None for t in range(THREADS) for k in range(KEYS)}, 0
    for _ in range(KILLS):
        writers = [Writer(server, n, ledger, chance.random()) for n in range(THREADS)]
        for w in writers:
            w.start()
        time.sleep(chance.uniform(0.02, 0.5))
        server.kill()
        for w in writers:
            w.join(40)
            assert not w.is_alive() and w.refused == []
            w.client.close()
        server.start()
        server.unseal()
        check_ledger(server, ledger, dict(w.pending for w in writers if w.pending))
        total += sum(w.acknowledged for w in writers)
    assert total > KILLS, "too little was written for the kills to mean anything"
    print("%d kills, %d acknowledged writes" % (KILLS, total))
    server.stop()
    lines = audit.read_bytes().count(b'"type":"response"')
    assert lines >= total, "an acknowledged write has no audit line"
    lab_module.Server.judge(server)
