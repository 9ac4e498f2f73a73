#!/usr/bin/env python3
"""bench: coffer (sqlite) and OpenBao (raft, one node) side by side in one run, on loopback, with the same client.

    bench.py [NAME...]      none = all: read write memory start, and those of commands.py, daily.py and storm.py

read, write: kv version 1, a token with a policy, 1,000 secrets of 512 bytes, 32 connections (wrk); rounds in turn, the median
counts. Server CPU is what /proc says of the process, divided by the requests. Without and with a file audit device.
memory: resident set when idle, and after 10,000 secrets and 1,000 tokens. start: from exec to the first answer of a sealed server.
The rows end with the bound that the project sets itself. Results: bench/results/*.json and a table.
"""
import datetime
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "test"))
sys.dont_write_bytecode = True
import lab  # noqa: E402

SECRETS, CONNECTIONS, ROUNDS, SECONDS, STARTS = 1000, 32, 3, 6, 15
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
POLICY = 'path "kv/*" { capabilities = ["create", "read", "update", "delete", "list"] }'


class Coffer(lab.Server):
    name = "coffer"


class Bao(lab.Server):
    name = "bao"

    def __init__(self, folder, **more):
        super().__init__(folder, storage="raft", binary=str(ROOT / "build/venv/bin/bao"), start=False, **more)
        self.store.mkdir(exist_ok=True)
        self.config.write_text(self.config.read_text().replace("disable_mlock = true", "unsafe_allow_api_audit_creation = true") +
                               'cluster_addr = "http://127.0.0.1:%d"\n' % (self.port + 1))
        self.start()


def pid_of(server):
    """The server's own process: a program that a package installs may be a script that starts the real one."""
    pid = server.proc.pid
    while children := pathlib.Path("/proc/%d/task/%d/children" % (pid, pid)).read_text().split():
        pid = int(children[0])
    return pid


def cpu_s(pid):
    fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def rss_mib(pid):
    text = pathlib.Path("/proc/%d/status" % pid).read_text()
    return int(text.split("VmRSS:")[1].split()[0]) / 1024


def prepare(server, secrets=SECRETS):
    """Initialised, unsealed, a policy and a token for it, and the secrets; returns the token."""
    server.ready()
    server.ok("PUT", "sys/policies/acl/bench", {"policy": POLICY})
    token = server.ok("POST", "auth/token/create", {"policies": ["bench"], "ttl": "24h"}).body["auth"]["client_token"]
    client = server.client(token)
    for n in range(1, secrets + 1):
        answer = client.call("POST", "kv/s%d" % n, {"value": "x" * 500})
        assert answer.status == 204, answer
    client.close()
    return token


def load(server, token, what, seconds):
    pid = pid_of(server)
    before = cpu_s(pid)
    out = subprocess.run(["wrk", "-t2", "-c%d" % CONNECTIONS, "-d%ds" % seconds, "--timeout", "30s", "-s", str(ROOT / "bench/kv.lua"), server.addr,
                          "--", token, what, str(SECRETS)], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    seen = json.loads(out.strip().splitlines()[-1])
    assert seen["requests"] and not seen["failed"], out
    seen["cpu_us"] = (cpu_s(pid) - before) / seen["requests"] * 1e6
    seen["per_s"] = seen["requests"] / seen["seconds"]
    return seen


def median(rounds):
    return {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}


def measure_load(folder, what):
    """{"plain"|"audit": {"coffer"|"bao": medians}}"""
    servers = [Coffer(folder / "coffer"), Bao(folder / "bao")]
    out = {}
    try:
        tokens = [prepare(s) for s in servers]
        for kind in ("plain", "audit"):
            if kind == "audit":
                for s in servers:
                    s.ok("PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(s.folder / "audit.log")}})
            for s, token in zip(servers, tokens):
                load(s, token, what, 2)
            rounds = {s.name: [] for s in servers}
            for _ in range(ROUNDS):
                for s, token in zip(servers, tokens):
                    rounds[s.name].append(load(s, token, what, SECONDS))
            out[kind] = {name: median(r) for name, r in rounds.items()}
    finally:
        for s in servers:
            s.stop()
    return out


def measure_memory(folder):
    out = {}
    for make in (Coffer, Bao):
        server = make(folder / ("memory-" + make.name))
        try:
            server.ready()
            time.sleep(2)
            seen = {"idle_mib": rss_mib(pid_of(server))}
            client = server.client()
            for n in range(10000):
                assert client.call("POST", "kv/m%d" % n, {"value": "x" * 500}).status == 204
            for _ in range(1000):
                assert client.call("POST", "auth/token/create", {"policies": ["default"], "ttl": "24h"}).status == 200
            client.close()
            time.sleep(2)
            seen["full_mib"] = rss_mib(pid_of(server))
            out[make.name] = seen
        finally:
            server.stop()
    return out


def measure_start(folder):
    """Milliseconds from exec to the first answer of sys/seal-status, on a store with data."""
    out = {}
    for make in (Coffer, Bao):
        server = make(folder / ("start-" + make.name))
        prepare(server)
        times = []
        for _ in range(STARTS):
            server.stop()
            begin = time.monotonic()
            start_and_poll(server)
            times.append((time.monotonic() - begin) * 1000)
        server.stop()
        out[make.name] = {"ms": statistics.median(times), "worst_ms": max(times)}
    return out


def start_and_poll(server):
    with open(server.log, "ab") as log:
        server.proc = subprocess.Popen([server.binary, "server", "-config=%s" % server.config], cwd=server.folder, stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL, env=lab.clean_env())
    while True:
        try:
            assert server.call("GET", "sys/seal-status", token=None).body["sealed"] is True
            return
        except OSError:
            assert server.proc.poll() is None, server.tail()
            time.sleep(0.0005)


def rows_of_load(what, seen):
    bounds = {("read", "plain"): 15, ("read", "audit"): 8, ("write", "plain"): 8}
    for kind, by in seen.items():
        ours, peer = by["coffer"], by["bao"]
        label = "kv1 %s%s" % (what, ", file audit" if kind == "audit" else "")
        bound = bounds.get((what, kind))
        ratio = peer["cpu_us"] / ours["cpu_us"]
        yield (label + ": server CPU per request, us", ours["cpu_us"], peer["cpu_us"], "1/%.1f" % ratio,
               "at most 1/%d" % bound if bound else "", not bound or ratio >= bound)
        yield (label + ": requests per second", ours["per_s"], peer["per_s"], "%.1fx" % (ours["per_s"] / peer["per_s"]), "", True)
        for p in ("p50_us", "p99_us"):
            yield ("%s: %s" % (label, p.replace("_us", ", us")), ours[p], peer[p], "1/%.1f" % (peer[p] / ours[p]), "", True)


def rows_of_memory(seen):
    for key, label, bound in (("idle_mib", "RSS idle, MiB", 12), ("full_mib", "RSS with 10,000 secrets and 1,000 tokens, MiB", 30)):
        ours, peer = seen["coffer"][key], seen["bao"][key]
        yield label, ours, peer, "1/%.1f" % (peer / ours), "at most %d" % bound, ours <= bound


def rows_of_start(seen):
    ours, peer = seen["coffer"]["ms"], seen["bao"]["ms"]
    yield "start to first answer, sealed, ms", ours, peer, "1/%.1f" % (peer / ours), "under 30", ours < 30


MEASURES = {
    "read": (lambda f: measure_load(f / "read", "read"), lambda s: rows_of_load("read", s)),
    "write": (lambda f: measure_load(f / "write", "write"), lambda s: rows_of_load("write", s)),
    "memory": (measure_memory, rows_of_memory),
    "start": (measure_start, rows_of_start),
}


def main(names):
    import commands  # which use this file
    import daily
    import storm
    MEASURES.update({**commands.MEASURES, **daily.MEASURES, **storm.MEASURES})
    unknown = [n for n in names if n not in MEASURES]
    if unknown:
        sys.exit(__doc__)
    results = ROOT / "bench/results"
    results.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, (measure, rows_of) in MEASURES.items():
        if names and name not in names:
            continue
        print("measuring %s" % name, file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(dir=ROOT / "build", prefix="bench-") as folder:
            seen = measure(pathlib.Path(folder))
        seen["machine"] = {"cpus": os.cpu_count(), "kernel": platform.release(), "when": datetime.datetime.now(datetime.timezone.utc).isoformat()}
        (results / (name + ".json")).write_text(json.dumps(seen, indent=1) + "\n")
        seen.pop("machine")
        rows += list(rows_of(seen))
    print("%-55s %10s %10s %9s  %s" % ("", "coffer", "bao", "ratio", "bound"))
    for label, ours, peer, ratio, bound, kept in rows:
        print("%-55s %10.1f %10.1f %9s  %s%s" % (label, ours, peer, ratio, bound, "" if kept else "  MISSED"))


if __name__ == "__main__":
    main(sys.argv[1:])
