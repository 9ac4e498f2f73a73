"""lab: a coffer process under test, and the little that tests need around it.

A test gets the fixture `lab` (conftest.py): lab.server(...) makes servers in the test's own folder and ends them with it.
COFFER_BINARY names the program (default build/coffer); COFFER_FAULTY one with fault points compiled in.
"""
import base64
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = os.environ.get("COFFER_BINARY", str(ROOT / "build/coffer"))
FAULTY = os.environ.get("COFFER_FAULTY", str(ROOT / "build/asan/coffer"))
START_S = 30.0
SANITIZER = re.compile(r"(Address|Leak|Thread|Memory)Sanitizer|runtime error:")
SANITIZER_ENV = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1:exitcode=99",
    "TSAN_OPTIONS": "halt_on_error=0:exitcode=99:second_deadlock_stack=1",
    "LSAN_OPTIONS": "exitcode=99",
}


def chance():
    """A random.Random of COFFER_SEED; without it of 1, so that every run of the suite is the same one. The soak draws others."""
    seed = int(os.environ.get("COFFER_SEED", 1))
    print("COFFER_SEED=%d" % seed)
    return random.Random(seed)


def free_port():
    """A free port whose successor is free too: the cluster address is one above by default."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as s, contextlib.suppress(OSError):
            port = s.getsockname()[1]
            with socket.create_server(("127.0.0.1", port + 1)):
                return port


def clean_env(extra=None):
    """The environment without anything that would steer a client or a server, and with the sanitizers' settings."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("VAULT_", "BAO_", "COFFER_"))}
    return {**env, **SANITIZER_ENV, **(extra or {})}


class Answer:
    """Status, headers (lower-case names), and the body: bytes, and parsed if it is JSON."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        self.raw = response.read()
        try:
            self.body = json.loads(self.raw) if self.raw else None
        except ValueError:
            self.body = None

    @property
    def data(self):
        return (self.body or {}).get("data")

    def __repr__(self):
        return "<%d %s>" % (self.status, self.raw[:300].decode("utf-8", "replace"))


class Client:
    """One keep-alive connection."""

    def __init__(self, port, token=None, timeout=60, tls=None):
        make = http.client.HTTPSConnection if tls else http.client.HTTPConnection
        self.conn = make("127.0.0.1", port, timeout=timeout, **({"context": tls} if tls else {}))
        self.token = token

    def call(self, method, path, body=None, headers=None):
        head = dict(headers or {})
        if self.token:
            head.setdefault("X-Vault-Token", self.token)
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.conn.request(method, "/v1/" + path, data, head)
        return Answer(self.conn.getresponse())

    def close(self):
        self.conn.close()


class Server:
    """One server, its folder and its port. Started by the constructor; the data outlives the process."""

    def __init__(self, folder, storage="sqlite", config="", listener="tls_disable = true", binary=None, env=None, start=True):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.store = self.folder / "store"
        self.storage, self.binary, self.env = storage, binary or BINARY, dict(env or {})
        self.port = free_port()
        self.addr = "http://127.0.0.1:%d" % self.port
        self.log = self.folder / "log"
        self.config = self.folder / "coffer.hcl"
        self.proc, self.keys, self.root, self.tls = None, [], None, None
        self.config.write_text(
            'storage "%s" {\n  path = "%s"\n}\nlistener "tcp" {\n  address = "127.0.0.1:%d"\n  %s\n}\n'
            'api_addr = "%s"\ndisable_mlock = true\n%s\n' % (storage, self.store, self.port, listener, self.addr, config))
        if start:
            self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen([self.binary, "server", "-config=%s" % self.config], cwd=self.folder, stdout=log, stderr=log,
                                         stdin=subprocess.DEVNULL, env=clean_env(self.env))
        deadline = time.monotonic() + START_S
        while True:
            if self.proc.poll() is not None:
                raise AssertionError("the server ended (%s):\n%s" % (self.proc.returncode, self.tail()))
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.call("GET", "sys/seal-status")
                return self
            assert time.monotonic() < deadline, "the server does not answer:\n" + self.tail()
            time.sleep(0.02)

    def tail(self):
        return self.log.read_text(errors="replace")[-4000:] if self.log.exists() else ""

    def client(self, token="", timeout=60):
        return Client(self.port, self.root if token == "" else token, timeout, self.tls)

    def call(self, method, path, body=None, token="", headers=None, timeout=60):
        client = self.client(token, timeout)
        try:
            return client.call(method, path, body, headers)
        finally:
            client.close()

    def ok(self, method, path, body=None, **more):
        """A call that must answer 2xx."""
        answer = self.call(method, path, body, **more)
        assert 200 <= answer.status < 300, "%s %s: %r" % (method, path, answer)
        return answer

    def init(self, shares=1, threshold=1):
        made = self.ok("PUT", "sys/init", {"secret_shares": shares, "secret_threshold": threshold}).body
        self.keys, self.root = made["keys"][:threshold], made["root_token"]
        return self.unseal()

    def unseal(self, keys=None):
        for key in keys or self.keys:
            state = self.ok("PUT", "sys/unseal", {"key": key}, token=None).body
        assert state["sealed"] is False, state
        return self.active()

    def active(self, seconds=START_S):
        deadline = time.monotonic() + seconds
        while self.call("GET", "sys/health", token=None).status != 200:
            assert time.monotonic() < deadline, "the server does not become active:\n" + self.tail()
            time.sleep(0.02)
        return self

    def ready(self, mount="kv"):
        """A new server made usable: initialised, unsealed, a kv of version 1 mounted."""
        self.init()
        self.ok("POST", "sys/mounts/" + mount, {"type": "kv", "options": {"version": "1"}})
        return self

    def restart(self):
        self.stop()
        self.start()
        return self.unseal() if self.keys else self

    def signal(self, number):
        self.proc.send_signal(number)

    def kill(self):
        """SIGKILL: the crash that tests speak of."""
        self.proc.kill()
        self.proc.wait()

    def stop(self):
        if not self.proc:
            return
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            try:
                self.proc.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("the server does not end:\n" + self.tail()) from None
        self.proc = None

    def judge(self):
        """Nothing that a sanitizer reports may stand in the log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        hit = SANITIZER.search(text)
        assert not hit, text[max(0, hit.start() - 500):hit.start() + 6000]

    def cli(self, *args, stdin=None, token="", env=None, binary=None):
        token = self.root if token == "" else token
        more = {"VAULT_ADDR": self.addr, "HOME": str(self.folder), **({"VAULT_TOKEN": token} if token else {}), **(env or {})}
        return subprocess.run([binary or self.binary, *args], input=stdin, capture_output=True, text=True, env=clean_env(more), timeout=120,
                              **({} if stdin is not None else {"stdin": subprocess.DEVNULL}))


class Lab:
    def __init__(self, folder):
        self.folder, self.servers = pathlib.Path(folder), []

    def server(self, name="server", **more):
        server = Server(self.folder / name, **more)
        self.servers.append(server)
        return server

    def close(self):
        problem = None
        for server in self.servers:
            try:
                server.stop()
                server.judge()
            except AssertionError as e:
                problem = problem or e
        if problem:
            raise problem


def audit_entries(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


def audit_faults(entries, open_ids=()):
    """What is wrong with an audit file's pairs: every id has one request and then one response line. In `open_ids`, ids excused."""
    seen, out = {}, []
    for e in entries:
        seen.setdefault(e["request"]["id"], []).append((e["type"], e["request"].get("path"), e["request"].get("operation")))
    for key, lines in seen.items():
        kinds = [kind for kind, _, _ in lines]
        if kinds != ["request", "response"] and key not in open_ids and not excused(lines):
            out.append((key, lines))
    return out


def excused(lines):
    """The single lines that are right: the device's own start and end, its test line, and a seal's request."""
    kind, path, operation = lines[0]
    if len(lines) != 1:
        return False
    return path == "sys/audit/test" or (kind == "request" and path == "sys/seal") or \
        (path or "").startswith("sys/audit/") and (kind, operation) in (("response", "update"), ("response", "create"), ("request", "delete"))


def b64(data):
    return base64.b64encode(data).decode()
