"""The log from outside: sys/monitor, levels at run time, files, completed requests, requests in flight."""
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import tarfile
import time


def lines_of(stream, wanted):
    """Lines until one holds `wanted`; the connection's time-out ends it."""
    lines = []
    while not lines or wanted not in lines[-1]:
        line = stream.readline()
        assert line, lines
        lines.append(line.decode().rstrip("\n"))
    return lines


def test_monitor(lab):
    server = lab.server(config='log_requests_level = "debug"')
    server.ready()
    assert server.call("GET", "sys/monitor", token=None).status == 403
    client = server.client(timeout=30)
    client.conn.request("GET", "/v1/sys/monitor?log_level=debug&log_format=json", headers={"X-Vault-Token": server.root})
    stream = client.conn.getresponse()
    assert stream.status == 200
    server.ok("GET", "sys/mounts")
    line = json.loads(lines_of(stream, '"request_path":"/v1/sys/mounts"')[-1])
    assert line["@level"] == "debug" and line["@message"] == "completed_request" and line["status_code"] == 200
    assert line["request_method"] == "GET" and re.fullmatch(r"\d+ms", line["duration"])
    server.ok("PUT", "sys/seal")
    lines_of(stream, "marked as sealed")
    stream.read()  # the end comes, and as it should
    client.close()


def test_levels_and_files(lab, tmp_path):
    server = lab.server(config='log_file = "%s/mine.log"\nlog_requests_level = "trace"' % tmp_path)
    server.ready()
    server.ok("POST", "sys/loggers/core", {"level": "trace"})
    server.ok("GET", "sys/mounts")
    server.ok("DELETE", "sys/loggers/core")
    server.ok("GET", "sys/auth")
    (file,) = tmp_path.glob("mine-*.log")
    text = file.read_text()
    assert "request_path=/v1/sys/mounts" in text and "request_path=/v1/sys/auth" not in text
    assert text in server.log.read_text()
    assert file.stat().st_mode & 0o777 == 0o640


def test_in_flight(lab):
    server = lab.server(listener="tls_disable = true\n  inflight_requests_logging { unauthenticated_in_flight_requests_access = true }")
    assert server.call("GET", "sys/in-flight-req", token=None).body == {}  # sealed
    server.ready()
    assert server.call("GET", "sys/in-flight-req", token=None).body == {}  # answered before it counts as one


def test_in_flight_needs_token(lab):
    server = lab.server()
    server.ready()
    assert server.call("GET", "sys/in-flight-req", token=None).status == 403
    (one,) = server.ok("GET", "sys/in-flight-req").body.values()
    assert one["request_path"] == "/v1/sys/in-flight-req" and one["request_method"] == "GET"
    assert re.fullmatch(r"127\.0\.0\.1:\d+", one["client_remote_address"])


def test_monitor_command(lab):
    server = lab.server(config='log_requests_level = "debug"')
    server.ready()
    env = {**os.environ, "VAULT_ADDR": server.addr, "VAULT_TOKEN": server.root}
    bad = subprocess.run([server.binary, "monitor", "-log-level=loud"], env=env, capture_output=True, timeout=60)
    assert bad.returncode == 1 and b"loud is an unknown log level" in bad.stderr
    denied = subprocess.run([server.binary, "monitor"], env={**env, "VAULT_TOKEN": "wrong"}, capture_output=True, timeout=60)
    assert denied.returncode == 1 and b"permission denied" in denied.stderr

    def started():
        command = subprocess.Popen([server.binary, "monitor", "-log-level=debug"], env=env, stdout=subprocess.PIPE)
        deadline = time.monotonic() + 30
        while not select.select([command.stdout], [], [], 0.05)[0] and time.monotonic() < deadline:
            server.ok("GET", "sys/mounts")  # until the command shows one
        return command

    for number in (signal.SIGINT, signal.SIGTERM):
        with started() as command:
            command.send_signal(number)
            assert command.wait(30) == 0
    with started() as command:
        server.ok("PUT", "sys/seal")
        out = command.stdout.read().decode()
    assert "request_path=/v1/sys/mounts" in out and "core: marked as sealed" in out and command.returncode == 0


def test_debug_command(lab, tmp_path):
    server = lab.server()
    server.ready()
    env = {**os.environ, "VAULT_ADDR": server.addr, "VAULT_TOKEN": server.root}
    out = tmp_path / "bundle.tar.gz"
    short = subprocess.run([server.binary, "debug", "-duration=1s"], env=env, capture_output=True, timeout=60, cwd=tmp_path)
    assert short.returncode == 1 and b"duration must be at least 5s" in short.stderr
    made = subprocess.run([server.binary, "debug", "-duration=5s", "-interval=2s", "-metrics-interval=2s", "-output=%s" % out], env=env,
                          capture_output=True, timeout=120, cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert out.stat().st_mode & 0o777 == 0o600
    with tarfile.open(out) as tar:
        files = {pathlib.PurePath(member.name).name: tar.extractfile(member).read() for member in tar}
    index = json.loads(files["index.json"])
    assert index["duration_seconds"] == 5 and [e["target"] for e in index["errors"]] == ["pprof"]
    for name in ("config", "host_info", "metrics", "replication_status", "requests", "server_status"):
        assert json.loads(files[name + ".json"]), name
    assert len(json.loads(files["metrics.json"])) == 3
    assert json.loads(files["server_status.json"])[0]["seal"]["sealed"] is False
    assert server.root.encode() not in b"".join(files.values())
