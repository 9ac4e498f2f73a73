"""storm: what ends at once; rows of bench.py.

renew: token renew-self beside OpenBao, as `lookup` in daily.py.
tree: a token with 1,000 children revoked, beside OpenBao: until its last child is gone, and the server's CPU.
storm: coffer alone: 100,000 tokens that expired while the server was down; from its start until their last lease is gone, with one client
reading all the while. Besides the figures a picture, bench/results/storm.svg: leases left, and the read's latency, over time.
"""
import json
import pathlib
import sqlite3
import threading
import time

from bench import Bao, Coffer, cpu_s, pid_of, rss_mib
from daily import row, wrk

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHILDREN, EXPIRIES, TTL_S = 1000, 100_000, 45
WIDTH, HEIGHT, MARGIN = 900, 320, 50


def tree_of(server):
    server.ready()
    parent = server.ok("POST", "auth/token/create", {"policies": ["root"], "ttl": "24h"}).body["auth"]["client_token"]
    client = server.client(parent)
    made = [client.call("POST", "auth/token/create", {"policies": ["default"], "ttl": "24h"}).body["auth"] for _ in range(CHILDREN)]
    pid, before, begin = pid_of(server), cpu_s(pid_of(server)), time.monotonic()
    server.ok("POST", "auth/token/revoke", {"token": parent})
    gone = 0
    while gone < CHILDREN:
        assert time.monotonic() - begin < 120, "%d of %d are gone" % (gone, CHILDREN)
        if server.call("GET", "auth/token/lookup-self", token=made[gone]["client_token"]).status == 403:
            gone += 1
    return {"s": time.monotonic() - begin, "cpu_s": cpu_s(pid) - before}


def measure_tree(folder):
    out = {}
    for server in (Coffer(folder / "coffer"), Bao(folder / "bao")):
        try:
            out[server.name] = tree_of(server)
        finally:
            server.stop()
    return out


def leases_left(server):
    db = sqlite3.connect("file:%s/coffer.db?mode=ro" % server.store, uri=True)
    try:
        return db.execute("select count(*) from kv where key >= ? and key < ?", (b"sys/expire/", b"sys/expire0")).fetchone()[0]
    finally:
        db.close()


def read_on(server, samples, stop):
    client = server.client()
    while not stop.is_set():
        begin = time.monotonic()
        answer = client.call("GET", "kv/a")
        assert answer.status == 200, answer
        samples.append((begin, (time.monotonic() - begin) * 1000))
        time.sleep(0.001)


def measure_storm(folder):
    server = Coffer(folder / "coffer")
    body, made = json.dumps({"policies": ["default"], "ttl": "%ds" % TTL_S}), 0
    try:
        server.ready()
        server.ok("POST", "kv/a", {"v": 1})
        begin = time.monotonic()
        while made < EXPIRIES:
            made += wrk(server, server.root, 2, 64, "POST", "auth/token/create", 1, body)["requests"]
            assert time.monotonic() - begin < TTL_S, "%d tokens in %d s: they expire while they are made" % (made, TTL_S)
        server.stop()
        time.sleep(TTL_S)
        server.start().unseal()
        server.active()
        start, before, samples, left, stop = time.monotonic(), cpu_s(pid_of(server)), [], [], threading.Event()
        reader = threading.Thread(target=read_on, args=(server, samples, stop))
        reader.start()
        while not left or left[-1][1] > 1:
            assert time.monotonic() - start < 300, "%d leases are left" % left[-1][1]
            left.append((time.monotonic() - start, leases_left(server)))
            time.sleep(0.1)
        stop.set()
        reader.join()
        latency = sorted(ms for _, ms in samples)
        picture(left, [(at - start, ms) for at, ms in samples])
        return {"expired": made, "s": left[-1][0], "cpu_us": (cpu_s(pid_of(server)) - before) / made * 1e6, "rss_mib": rss_mib(pid_of(server)),
                "read_p50_ms": latency[len(latency) // 2], "read_p99_ms": latency[int(len(latency) * 0.99)], "read_max_ms": latency[-1]}
    finally:
        server.stop()


def points(series, last_s, top):
    """An SVG polyline's points: time to the right, value up."""
    wide, high = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN
    return " ".join("%.1f,%.1f" % (MARGIN + at / last_s * wide, HEIGHT - MARGIN - v / top * high) for at, v in series)


def picture(left, samples):
    last_s, most, slowest = max(left[-1][0], 0.001), max(n for _, n in left), max(ms for _, ms in samples)
    by_step = {}
    for at, ms in samples:
        step = int(at / last_s * 300)
        by_step[step] = max(by_step.get(step, 0), ms)
    reads = [(step * last_s / 300, ms) for step, ms in sorted(by_step.items()) if step >= 0]
    text = "<text x='%d' y='%d' font-size='13' font-family='sans-serif' fill='%s'>%s</text>"
    lines = ["<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d'>" % (WIDTH, HEIGHT),
             "<polyline fill='none' stroke='#888' stroke-width='2' points='%s'/>" % points(left, last_s, most),
             "<polyline fill='none' stroke='#c33' points='%s'/>" % points(reads, last_s, slowest),
             text % (MARGIN, 20, "#555", "leases left: from %d" % most), text % (MARGIN, 38, "#c33", "slowest read: at most %.1f ms" % slowest),
             text % (MARGIN, HEIGHT - 20, "#000", "0 s"), text % (WIDTH - 2 * MARGIN, HEIGHT - 20, "#000", "%.1f s" % last_s), "</svg>"]
    (ROOT / "bench/results/storm.svg").write_text("\n".join(lines) + "\n")


def rows_of_tree(seen):
    ours, peer = seen["coffer"], seen["bao"]
    for name, unit, factor in (("s", "until the last is gone, ms", 1000), ("cpu_s", "server CPU, ms", 1000)):
        yield "tree of %d revoked: %s" % (CHILDREN, unit), ours[name] * factor, peer[name] * factor, "1/%.1f" % (peer[name] / ours[name]), "", True


def rows_of_storm(seen):
    for label, key in (("until none is left, s", "s"), ("server CPU a lease, us", "cpu_us"), ("read beside it, p50, ms", "read_p50_ms"),
                       ("read beside it, p99, ms", "read_p99_ms"), ("read beside it, slowest, ms", "read_max_ms"), ("RSS, MiB", "rss_mib")):
        yield "%d expiries: %s" % (seen["expired"], label), seen[key], float("nan"), "", "", True


MEASURES = {
    "renew": row("token renew-self", lambda s: None, 32, "POST", "auth/token/renew-self"),
    "tree": (measure_tree, rows_of_tree),
    "storm": (measure_storm, rows_of_storm),
}
