"""Big things: a value of 32 MiB, many keys in one list, thousands of mounts, a family of tokens revoked in bulk over a kill.

COFFER_SCALE=full (./dev soak): 10,000 mounts, 100,000 tokens and keys; else 500, 10,000 and 20,000 (a mount
writes the whole table, so that many cost the square of their number).
"""
import contextlib
import http.client
import os
import threading
import time

import pytest

FULL = os.environ.get("COFFER_SCALE") == "full"
MOUNTS, TOKENS, KEYS = (10_000, 100_000, 100_000) if FULL else (500, 10_000, 20_000)
CLIENTS = 8
LIMIT = 32 << 20  # of a request body


def together(server, count, call, token=""):
    """call(client, n) for n in range(count), by several clients at once."""
    problems = []

    def run(first):
        client = server.client(token)
        try:
            for n in range(first, count, CLIENTS):
                answer = call(client, n)
                assert answer.status in (200, 204), answer
        except Exception as e:  # shown by the test, which goes on in another thread
            problems.append(e)
        client.close()

    threads = [threading.Thread(target=run, args=(first,), daemon=True) for first in range(CLIENTS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert problems == []


@pytest.mark.parametrize("storage", ["sqlite", "file", "inmem"])
def test_a_value_as_big_as_a_request_may_be(lab, storage):
    server = lab.server(storage=storage).ready()
    head, tail = b'{"v":"', b'"}'
    body = head + b"x" * (LIMIT - len(head) - len(tail)) + tail
    answer = server.call("POST", "kv/big", body)
    assert answer.status == 204, answer
    assert server.ok("GET", "kv/big").data == {"v": body[len(head):-len(tail)].decode()}
    over = server.call("POST", "kv/over", head + b"x" * (LIMIT - len(head)) + tail)
    assert over.status == 413, over
    if storage != "inmem":
        server.restart()
        assert len(server.ok("GET", "kv/big").data["v"]) == LIMIT - len(head) - len(tail)
    assert server.call("GET", "kv/over").status == 404
    server.ok("DELETE", "kv/big")
    assert server.call("GET", "kv/big").status == 404


def test_a_list_of_many_keys(lab):
    server = lab.server().ready()
    together(server, KEYS, lambda client, n: client.call("POST", "kv/many/%06d" % n, {"v": n}))
    wanted = ["%06d" % n for n in range(KEYS)]
    assert server.ok("LIST", "kv/many").data["keys"] == wanted
    server.restart()
    assert server.ok("LIST", "kv/many/").data["keys"] == wanted
    assert server.ok("LIST", "kv").data["keys"] == ["many/"]


def test_many_mounts(lab):
    server = lab.server().ready()
    client = server.client()
    for n in range(MOUNTS):
        answer = client.call("POST", "sys/mounts/m%05d" % n, {"type": "kv", "options": {"version": "1"}})
        assert answer.status == 204, (n, answer)
    for n in (0, MOUNTS // 2, MOUNTS - 1):
        server.ok("POST", "m%05d/a" % n, {"v": n})
    begin = time.monotonic()
    server.restart()
    assert time.monotonic() - begin < 20
    for n in (0, MOUNTS // 2, MOUNTS - 1):
        assert server.ok("GET", "m%05d/a" % n).data == {"v": n}
    assert sum(path.startswith("m") for path in server.ok("GET", "sys/mounts").data) == MOUNTS
    server.ok("DELETE", "sys/mounts/m00000")
    assert server.call("GET", "m00000/a").status == 404
    assert server.ok("GET", "m%05d/a" % (MOUNTS - 1)).data == {"v": MOUNTS - 1}


def test_a_family_revoked_over_a_kill(lab):
    """The parent is dead from the first step on; what the kill left over is revoked by itself after the restart."""
    server = lab.server().ready()
    parent = server.ok("POST", "auth/token/create", {"policies": ["root"], "ttl": "24h"}).body["auth"]["client_token"]
    other = server.ok("POST", "auth/token/create", {"policies": ["default"], "ttl": "24h"}).body["auth"]["client_token"]
    children = [None] * TOKENS

    def create(client, n):
        answer = client.call("POST", "auth/token/create", {"policies": ["default"], "ttl": "20h"})
        children[n] = answer.body["auth"]["client_token"]
        return answer

    together(server, TOKENS, create, token=parent)
    count = lambda: len(server.ok("LIST", "auth/token/accessors").data["keys"])  # noqa: E731
    assert count() == TOKENS + 3

    def revoke():
        with contextlib.suppress(OSError, http.client.HTTPException):
            server.call("POST", "auth/token/revoke", {"token": parent}, timeout=300)

    request = threading.Thread(target=revoke, daemon=True)
    request.start()
    while count() > TOKENS * 3 // 4:
        time.sleep(0.01)
    server.kill()
    request.join()
    server.start()
    server.unseal()
    left = count()
    assert 2 < left < TOKENS, left
    assert server.call("GET", "auth/token/lookup-self", token=parent).status == 403
    deadline = time.monotonic() + 60 + TOKENS / 500
    while count() > 2:
        assert time.monotonic() < deadline, "%d tokens are left" % count()
        time.sleep(0.2)
    client = server.client()
    alive = [client.call("GET", "auth/token/lookup-self", headers={"X-Vault-Token": t}).status == 200 for t in children[::7]]
    assert not any(alive) and server.call("GET", "auth/token/lookup-self", token=other).status == 200
    assert server.ok("GET", "sys/health").status == 200
