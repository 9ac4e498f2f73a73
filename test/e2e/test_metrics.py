"""sys/metrics as Prometheus reads it, and what a statsd server is sent."""
import re
import socket
import subprocess
import time

OPEN = "tls_disable = true\n  telemetry { unauthenticated_metrics_access = true }"


def prometheus(server, token=None):
    answer = server.call("GET", "sys/metrics?format=prometheus", token=token)
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return answer.raw.decode()


def value(text, series):
    found = re.search("^" + re.escape(series) + r" (\S+)$", text, re.M)
    return float(found.group(1)) if found else None


def test_prometheus(lab):
    server = lab.server(config="telemetry { disable_hostname = true }", listener=OPEN)
    assert value(prometheus(server), 'vault_core_unsealed{cluster=""}') == 0
    server.ready()
    server.ok("PUT", "sys/audit/f", {"type": "file", "options": {"file_path": str(server.folder / "audit")}})
    for _ in range(20):
        server.ok("POST", "kv/a", {"v": "x"})
        server.ok("GET", "kv/a")
    text = prometheus(server)
    cluster = re.search(r'vault_core_active\{cluster="(vault-cluster-[0-9a-f]{8})"\} 1', text).group(1)
    assert value(text, 'vault_core_unsealed{cluster="%s"}' % cluster) == 1
    assert value(text, "vault_route_read_kv__count") == 20
    assert value(text, "vault_route_create_kv__count") == 1 and value(text, "vault_route_update_kv__count") == 19
    assert value(text, "vault_core_handle_request_count") >= 40
    assert value(text, "vault_audit_f__log_request_count") >= 40
    assert value(text, "vault_audit_log_request_failure") == 0
    # the names are Vault's, so promtool's advice about suffixes is not followed; anything else it finds is a fault
    checked = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, timeout=60)
    advice = checked.stdout.decode().splitlines() + checked.stderr.decode().splitlines()
    assert checked.returncode in (0, 3), advice
    assert [line for line in advice if line and not line.endswith('counter metrics should have "_total" suffix')] == []
    server.ok("PUT", "sys/seal")
    assert value(prometheus(server), 'vault_core_unsealed{cluster="%s"}' % cluster) == 0


def test_access(lab):
    server = lab.server()
    server.ready()
    assert server.call("GET", "sys/metrics", token=None).status == 403
    off = server.call("GET", "sys/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})
    assert (off.status, off.raw) == (400, b"prometheus is not enabled")
    assert set(server.ok("GET", "sys/metrics").body) == {"Timestamp", "Gauges", "Points", "Counters", "Samples"}


def test_statsd(lab):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        server = lab.server(config='telemetry {\n  statsd_address = "127.0.0.1:%d"\n  disable_hostname = true\n}' % receiver.getsockname()[1])
        server.ready()
        server.ok("POST", "kv/a", {"v": "x"})
        server.ok("GET", "kv/a")
        wanted = {"vault.route.read.kv-": "ms", "vault.core.handle_request": "ms", "vault.cache.write": "c", "vault.core.unsealed": "g"}
        while wanted:
            lines = receiver.recv(65536).decode().splitlines()
            for line in lines:
                name, kind = re.fullmatch(r"([^:|]+):[0-9.]+\|(ms|c|g)", line).groups()
                for known in list(wanted):
                    if name == known or name.startswith(known + ".vault-cluster-"):
                        assert kind == wanted.pop(known)


def test_usage(lab):
    server = lab.server(config='telemetry {\n  disable_hostname = true\n  usage_gauge_period = "200ms"\n}', listener=OPEN)
    server.ready()
    server.ok("PUT", "sys/policies/acl/p1", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    for ttl in ("50s", "90m", "90m"):
        server.ok("POST", "auth/token/create", {"policies": ["p1"], "ttl": ttl})
    wanted = [r'token_count\{cluster="[^"]+",namespace="root"\} 4', r'token_count_by_auth\{auth_method="token",[^}]+\} 4',
              r'token_count_by_policy\{[^}]+,policy="p1"\} 3', r'token_count_by_policy\{[^}]+,policy="root"\} 1',
              r'token_count_by_ttl\{cluster="[^"]+",creation_ttl="1m",[^}]+\} 1', r'token_count_by_ttl\{[^}]+,creation_ttl="2h",[^}]+\} 2',
              r'identity_entity_count\{[^}]+\} 0',
              r'expire_leases_by_expiration\{cluster="[^"]+",expiring="[-0-9]{10} [0-9]{2}:00:00 \+0000 UTC"\} [12]']
    deadline = time.monotonic() + 30
    while wanted and time.monotonic() < deadline:
        text = prometheus(server)
        wanted = [pattern for pattern in wanted if not re.search("^vault_" + pattern + "$", text, re.M)]
    assert wanted == []
