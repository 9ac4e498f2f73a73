"""daily: what operators and applications do all day, coffer (sqlite) beside OpenBao (raft, one node); rows of bench.py.

kv2read, kv2write (64 clients), lookup, create, approle (logins), list (1,000 and 100,000 keys): as `read` there.
login: the same, and apart from the password hash: what each server's own bcrypt costs is measured in every round, all processors at it, and
taken off. The two differ by more than the rest is; so that row says little where the hash's own figure moves.
leases: coffer alone, 1,000,000 token leases: from exec to the first answered read after a restart, when the log says
that all are restored, and the memory then.
"""
import ctypes
import json
import os
import pathlib
import re
import subprocess
import threading
import time

from bench import ROUNDS, SECRETS, Bao, Coffer, cpu_s, median, pid_of, rss_mib, start_and_poll

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEASES, LIST_SIZES, SEEDERS = 1_000_000, (1_000, 100_000), 16
SECONDS, WARM_SECONDS = 5, 1
SECRET = json.dumps({"data": {"value": "x" * 500}})
POLICY = """
path "kv/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "two/*" { capabilities = ["create", "read", "update", "delete", "list"] }
path "auth/token/create" { capabilities = ["create", "update"] }
"""
NEW_TOKEN = json.dumps({"policies": ["default"], "ttl": "24h"})


def wrk(server, token, seconds, connections, method, path, count=1, body=""):
    pid = pid_of(server)
    before = cpu_s(pid)
    out = subprocess.run(["wrk", "-t2", "-c%d" % connections, "-d%ds" % seconds, "--timeout", "30s", "-s", str(ROOT / "bench/daily.lua"), server.addr,
                          "--", token, method, path, str(count), *([body] if body else [])], capture_output=True, text=True, check=True,
                         stdin=subprocess.DEVNULL).stdout
    seen = json.loads(out.strip().splitlines()[-1])
    assert seen["requests"] and not seen["failed"], out
    seen["cpu_us"] = (cpu_s(pid) - before) / seen["requests"] * 1e6
    seen["per_s"] = seen["requests"] / seen["seconds"]
    return seen


def seed(server, count, path, body):
    """Writes path % 1..count, by several clients."""
    failed = []

    def run(first):
        client = server.client()
        for n in range(first, count + 1, SEEDERS):
            answer = client.call("POST", path % n, body)
            if answer.status not in (200, 204):
                failed.append(answer)
                return

    threads = [threading.Thread(target=run, args=(first,)) for first in range(1, SEEDERS + 1)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed[0]


def application(server):
    """A token with a policy, as in the other rows: the root token costs either server less."""
    server.ok("PUT", "sys/policies/acl/bench", {"policy": POLICY})
    return server.ok("POST", "auth/token/create", {"policies": ["bench"], "ttl": "24h"}).body["auth"]["client_token"]


def side_by_side(folder, prepare, connections, *request, apart=None):
    """Medians of both, in turn. prepare(server) makes what the request needs. apart: by server, what measures a part of its cost."""
    servers, out, tokens = [Coffer(folder / "coffer"), Bao(folder / "bao")], {}, {}
    try:
        for s in servers:
            s.ready()
            prepare(s)
            tokens[s.name] = application(s)
            wrk(s, tokens[s.name], WARM_SECONDS, connections, *request)
        rounds = {s.name: [] for s in servers}
        for _ in range(ROUNDS):
            for s in servers:
                seen = wrk(s, tokens[s.name], SECONDS, connections, *request)
                if apart:
                    seen["apart_us"] = apart[s.name](SECONDS)
                    seen["rest_us"] = seen["cpu_us"] - seen["apart_us"]
                rounds[s.name].append(seen)
        out = {name: median(r) for name, r in rounds.items()}
    finally:
        for s in servers:
            s.stop()
    return out


def with_kv2(server):
    server.ok("POST", "sys/mounts/two", {"type": "kv", "options": {"version": "2"}})
    end = time.monotonic() + 10  # the peer upgrades a new mount in the background
    while server.call("GET", "two/config").status != 200 and time.monotonic() < end:
        time.sleep(0.05)
    seed(server, SECRETS, "two/data/s%d", json.loads(SECRET))


def c_hash_us(seconds):
    """CPU microseconds of one check of a password by libcrypt, all processors at it."""
    crypt = ctypes.CDLL("libcrypt.so.1").crypt_r
    crypt.restype = ctypes.c_char_p
    setting = b"$2a$10$abcdefghijklmnopqrstuu"
    done, end, begin = [], time.monotonic() + seconds, time.process_time()

    def run():
        data = ctypes.create_string_buffer(32768)  # struct crypt_data
        while time.monotonic() < end:
            assert crypt(b"pw", setting, data).startswith(b"$2a$10$")
            done.append(1)

    threads = [threading.Thread(target=run) for _ in range(os.cpu_count())]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return (time.process_time() - begin) / len(done) * 1e6


def go_hash_us(seconds):
    """The same by Go's library."""
    program = ROOT / "build/hashcost"
    env = {**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false -modcacherw", "GOPROXY": "off", "GOMODCACHE": str(ROOT / "build/gomod"),
           "GOCACHE": str(ROOT / "build/gocache"), "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    if not program.exists():
        subprocess.run(["/usr/bin/go", "build", "-o", str(program), "./hashcost"], cwd=ROOT / "test/e2e/goclient", env=env, check=True)
    return float(subprocess.run([str(program), str(seconds)], capture_output=True, text=True, check=True).stdout)


def with_user(server):
    server.ok("POST", "sys/auth/userpass", {"type": "userpass"})
    server.ok("POST", "auth/userpass/users/ann", {"password": "pw", "token_ttl": "1h"})


def with_role(server):
    server.ok("POST", "sys/auth/approle", {"type": "approle"})
    server.ok("POST", "auth/approle/role/app", {"role_id": "the-app", "token_ttl": "1h", "token_policies": "bench"})
    server.ok("POST", "auth/approle/role/app/custom-secret-id", {"secret_id": "the-secret"})


def measure_lists(folder):
    out = {}
    for size in LIST_SIZES:
        out[str(size)] = side_by_side(folder / str(size), lambda s, n=size: seed(s, n, "kv/many/%d", {"v": 1}), 4, "GET", "kv/many?list=true")
    return out


def measure_leases(folder):
    server = Coffer(folder / "coffer")
    try:
        server.ready()
        server.ok("POST", "kv/a", {"v": 1})
        made, begin = 0, time.monotonic()
        while made < LEASES:
            made += wrk(server, server.root, 10, 64, "POST", "auth/token/create", 1, NEW_TOKEN)["requests"]
            assert time.monotonic() - begin < 900, "%d leases in 15 minutes" % made
        out = {"leases": made, "made_s": time.monotonic() - begin, "made_mib": rss_mib(pid_of(server))}
        server.stop()
        log_size = len(server.log.read_text())
        begin = time.monotonic()
        start_and_poll(server)
        server.unseal()
        server.ok("GET", "kv/a")
        out["first_read_s"] = time.monotonic() - begin
        while not (told := re.findall(r"lease restore complete.*?(\d+)\D*$", server.log.read_text()[log_size:], re.M)):
            assert time.monotonic() - begin < 120, "the leases are not restored"
            time.sleep(0.1)
        assert int(told[0]) >= made, told
        out["restored_s"], out["restored_mib"] = time.monotonic() - begin, rss_mib(pid_of(server))
        return out
    finally:
        server.stop()


def rows_of_load(label, seen, bound=0):
    ours, peer = seen["coffer"], seen["bao"]
    ratio = peer["cpu_us"] / ours["cpu_us"]
    wanted = "at most 1/%d" % bound if bound else ""
    yield label + ": server CPU per request, us", ours["cpu_us"], peer["cpu_us"], "1/%.1f" % ratio, wanted, ratio >= bound
    yield label + ": requests per second", ours["per_s"], peer["per_s"], "%.1fx" % (ours["per_s"] / peer["per_s"]), "", True
    yield label + ": p99, us", ours["p99_us"], peer["p99_us"], "1/%.1f" % (peer["p99_us"] / ours["p99_us"]), "", True


def rows_of_lists(seen):
    for size, by in seen.items():
        yield from rows_of_load("list of " + size, by)


def rows_of_leases(seen):
    none = float("nan")
    yield "%d leases: restart to first read, ms" % seen["leases"], seen["first_read_s"] * 1000, none, "", "under 1000", seen["first_read_s"] < 1
    yield "leases: all restored after, s", seen["restored_s"], none, "", "", True
    yield "leases: RSS when restored, MiB", seen["restored_mib"], none, "", "under 300", seen["restored_mib"] < 300


def measure_login(folder):
    apart = {"coffer": c_hash_us, "bao": go_hash_us}
    return side_by_side(folder, with_user, 8, "POST", "auth/userpass/login/ann", 1, '{"password": "pw"}', apart=apart)


def rows_of_login(seen):
    ours, peer = seen["coffer"], seen["bao"]
    yield from rows_of_load("userpass login", seen)
    yield "userpass login: its hash alone, us", ours["apart_us"], peer["apart_us"], "1/%.1f" % (peer["apart_us"] / ours["apart_us"]), "", True
    yield "userpass login: without the hash, us", ours["rest_us"], peer["rest_us"], "", "", True


def row(label, prepare, connections, *request, bound=0):
    return lambda f: side_by_side(f / label.replace(" ", "-"), prepare, connections, *request), lambda s: rows_of_load(label, s, bound)


MEASURES = {
    "kv2read": row("kv2 read", with_kv2, 32, "GET", "two/data/s%d", SECRETS, bound=15),
    "kv2write": row("kv2 write", with_kv2, 64, "POST", "two/data/s%d", SECRETS, SECRET, bound=6),
    "lookup": row("token lookup-self", lambda s: None, 32, "GET", "auth/token/lookup-self"),
    "create": row("token create", lambda s: None, 32, "POST", "auth/token/create", 1, NEW_TOKEN),
    "login": (measure_login, rows_of_login),
    "approle": row("approle login", with_role, 32, "POST", "auth/approle/login", 1, '{"role_id": "the-app", "secret_id": "the-secret"}', bound=8),
    "list": (measure_lists, rows_of_lists),
    "leases": (measure_leases, rows_of_leases),
}
