"""The story of one operator, from the first command to a restart, by the command line, by HTTP and by hvac."""
import json
import os
import signal
import subprocess

import hvac
import lab as lab_module
import pytest
import requests


@pytest.mark.parametrize("storage", ["sqlite", "file", "inmem"])
def test_first_day(lab, storage):
    server = lab.server(storage=storage)
    assert server.cli("status", token=None).returncode == 2
    made = json.loads(server.cli("operator", "init", "-key-shares=5", "-key-threshold=3", "-format=json", token=None).stdout)
    assert len(made["unseal_keys_b64"]) == 5 and made["unseal_threshold"] == 3
    for n, key in enumerate(made["unseal_keys_b64"][1:4], 1):
        out = server.cli("operator", "unseal", "-format=json", key, token=None)
        assert out.returncode == 0, out
        assert json.loads(out.stdout)["progress"] == (n if n < 3 else 0)
    server.root, server.keys = made["root_token"], made["unseal_keys_b64"][1:4]
    server.active()
    assert server.cli("status", token=None).returncode == 0

    assert server.cli("secrets", "enable", "-path=secret", "-version=1", "kv").returncode == 0
    assert server.cli("kv", "put", "secret/db", "user=app", "password=s3cr3t").returncode == 0
    assert server.cli("kv", "get", "-field=password", "secret/db").stdout.strip() == "s3cr3t"
    assert json.loads(server.cli("kv", "list", "-format=json", "secret/").stdout) == ["db"]
    assert server.cli("policy", "write", "app", "-", stdin='path "secret/db" { capabilities = ["read"] }').returncode == 0
    token = json.loads(server.cli("token", "create", "-policy=app", "-format=json").stdout)["auth"]["client_token"]
    assert server.cli("kv", "get", "secret/db", token=token).returncode == 0
    assert server.cli("kv", "put", "secret/db", "user=x", token=token).returncode == 2
    assert server.cli("token", "revoke", token).returncode == 0
    assert server.cli("kv", "get", "secret/db", token=token).returncode == 2

    assert server.cli("operator", "seal").returncode == 0
    assert server.cli("status", token=None).returncode == 2
    assert server.call("GET", "secret/db").status == 503
    server.unseal()
    if storage != "inmem":
        server.restart()
    assert server.ok("GET", "secret/db").data == {"user": "app", "password": "s3cr3t"}
    assert server.cli("kv", "delete", "secret/db").returncode == 0
    assert server.cli("kv", "get", "secret/db").returncode == 2


def test_hvac(lab):
    server = lab.server()
    client = hvac.Client(url=server.addr)
    assert client.sys.is_initialized() is False
    made = client.sys.initialize(secret_shares=3, secret_threshold=2)
    client.sys.submit_unseal_keys(made["keys"][:2])
    server.active()
    client.token = made["root_token"]
    assert client.is_authenticated()
    client.sys.enable_secrets_engine("kv", path="kv", options={"version": "1"})
    assert "kv/" in client.sys.list_mounted_secrets_engines()["data"]
    kv = client.secrets.kv.v1
    kv.create_or_update_secret("a/b", {"value": "one"}, mount_point="kv")
    assert kv.read_secret("a/b", mount_point="kv")["data"] == {"value": "one"}
    assert kv.list_secrets("a", mount_point="kv")["data"]["keys"] == ["b"]
    client.sys.create_or_update_policy("read-a", 'path "kv/a/*" { capabilities = ["read"] }')
    child = client.auth.token.create(policies=["read-a"], ttl="1h")["auth"]
    other = hvac.Client(url=server.addr, token=child["client_token"])
    assert other.lookup_token()["data"]["policies"] == ["default", "read-a"]
    assert other.secrets.kv.v1.read_secret("a/b", mount_point="kv")["data"] == {"value": "one"}
    with pytest.raises(hvac.exceptions.Forbidden):
        other.secrets.kv.v1.create_or_update_secret("a/b", {"value": "two"}, mount_point="kv")
    assert other.auth.token.renew_self(increment="2h")["auth"]["lease_duration"] == 7200
    client.auth.token.revoke_accessor(child["accessor"])
    assert not other.is_authenticated()
    client.sys.enable_audit_device("file", path="file", options={"file_path": str(lab.folder / "audit.log")})
    client.secrets.kv.v1.delete_secret("a/b", mount_point="kv")
    entries = lab_module.audit_entries(lab.folder / "audit.log")
    assert entries[-1]["request"]["path"] == "kv/a/b" and entries[-1]["type"] == "response"
    client.sys.seal()
    assert client.sys.is_sealed()


def test_curl(lab):
    server = lab.server().ready()
    curl = ["curl", "-sS", "-H", "X-Vault-Token: " + server.root]
    subprocess.run(curl + ["-X", "PUT", "-d", '{"n": 1.10}', server.addr + "/v1/kv/curl"], check=True)
    out = subprocess.run(curl + [server.addr + "/v1/kv/curl"], check=True, capture_output=True, text=True).stdout
    assert '"n":1.10' in out
    out = subprocess.run(curl + ["-X", "LIST", server.addr + "/v1/kv"], check=True, capture_output=True, text=True).stdout
    assert json.loads(out)["data"]["keys"] == ["curl"]


def test_signals_end_it_and_nothing_is_lost(lab):
    server = lab.server().ready()
    for number in (signal.SIGTERM, signal.SIGINT):
        server.ok("POST", "kv/%d" % number, {"v": int(number)})
        server.signal(number)
        assert server.proc.wait(20) == 0
        server.start()
        server.unseal()
        assert server.ok("GET", "kv/%d" % number).data == {"v": int(number)}


def test_a_second_server_is_kept_out(lab):
    server = lab.server().ready()
    for storage in ("sqlite",):
        other = lab.server("other", storage=storage, start=False)
        other.config.write_text(other.config.read_text().replace(str(other.store), str(server.store)))
        with pytest.raises(AssertionError, match="the server ended"):
            other.start()
        other.proc = None
    assert server.ok("GET", "sys/seal-status").body["sealed"] is False


def test_secrets_stay_out_of_files_and_logs(lab):
    """Markers in every place that a caller fills are in the clear nowhere in the folder: store, log, audit."""
    server = lab.server(config='log_level = "trace"').ready()
    server.ok("PUT", "sys/audit/file", {"type": "file", "options": {"file_path": str(lab.folder / "audit.log")}})
    marker = "canary-" + os.urandom(8).hex()
    token = server.ok("POST", "auth/token/create", {"policies": ["default"], "id": None, "ttl": "1h"}).body["auth"]["client_token"]
    server.ok("POST", "kv/x", {"value": marker})
    server.ok("POST", "cubbyhole/x", {"value": marker})
    server.ok("GET", "kv/x")
    server.call("GET", "kv/x", token=marker)
    server.call("POST", "kv/x", b'{"value": "' + marker.encode() + b'"', token=server.root)
    server.call("PUT", "sys/unseal", {"key": marker}, token=None)
    server.stop()
    for path in lab.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for secret in (marker, token, server.root, *server.keys):
                assert secret.encode() not in content, (path, secret)


def test_many_idle_connections_and_slow_clients(lab):
    server = lab.server().ready()
    clients = [server.client() for _ in range(500)]
    for c in clients:
        c.conn.connect()
    half = server.client()
    half.conn.connect()
    half.conn.sock.sendall(b"GET /v1/sys/heal")
    assert server.ok("GET", "sys/health").status == 200
    assert all(c.call("GET", "sys/seal-status").status == 200 for c in clients[::50])
    for c in clients + [half]:
        c.close()
    assert requests.get(server.addr + "/v1/sys/health", timeout=10).status_code == 200
