"""sys/metrics as Prometheus reads it, and what a statsd server is sent."""
import re
import socket
import subprocess
import time

ADVICE = ('counter metrics should have "_total" suffix', "metric names should be written in 'snake_case' not 'camelCase'")
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
    # the names are Vault's, so promtool's advice about names is not followed; anything else it finds is a fault
    checked = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, timeout=60)
    advice = checked.stdout.decode().splitlines() + checked.stderr.decode().splitlines()
    assert checked.returncode in (0, 3), advice
    assert [line for line in advice if line and not line.endswith(ADVICE)] == []
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

# What a Vault 1.14 showed after the requests of test_recorded_names(), by type.
RECORDED = {
    "summary": """audit_f__log_request audit_f__log_response audit_log_request audit_log_response barrier_get
        barrier_list barrier_put core_check_token core_fetch_acl_and_token core_handle_login_request
        core_handle_request core_post_unseal core_pre_seal core_unseal expire_register_auth
        identity_create_or_fetch_entity identity_refresh_external_groups identity_upsert_entity_txn
        metrics_collection metrics_collection_interval policy_get_policy policy_set_policy
        route_create_auth_userpass_ route_create_kv_ route_list_kv_ route_update_auth_token_
        route_update_auth_userpass_ route_update_sys_ runtime_gc_pause_ns seal_decrypt_time
        seal_encrypt_time seal_shamir_decrypt_time seal_shamir_encrypt_time storage_packer_put_bucket
        storage_packer_put_item token_create token_createAccessor token_lookup""".split(),
    "counter": """audit_log_request_failure audit_log_response_failure barrier_estimated_encryptions cache_hit
        cache_miss cache_write identity_entity_creation seal_decrypt seal_encrypt seal_shamir_decrypt
        seal_shamir_encrypt token_create_root token_creation""".split(),
    "gauge": """core_active core_in_flight_requests core_locked_users core_mount_table_num_entries
        core_mount_table_size core_performance_standby core_replication_dr_primary
        core_replication_dr_secondary core_replication_performance_primary
        core_replication_performance_secondary core_replication_write_undo_logs core_unsealed
        expire_leases_by_expiration expire_num_irrevocable_leases expire_num_leases
        identity_entity_alias_count identity_entity_count runtime_alloc_bytes runtime_free_count
        runtime_heap_objects runtime_malloc_count runtime_num_goroutines runtime_sys_bytes
        runtime_total_gc_pause_ns runtime_total_gc_runs secret_kv_count token_count token_count_by_auth
        token_count_by_policy token_count_by_ttl""".split(),
}
# Of these there is nothing to measure here.
GARBAGE_COLLECTOR = "there is no garbage collector"
ALLOCATOR = "the allocator does not count objects"
NOT_HERE = {
    "runtime_gc_pause_ns": GARBAGE_COLLECTOR,
    "runtime_total_gc_pause_ns": GARBAGE_COLLECTOR,
    "runtime_total_gc_runs": GARBAGE_COLLECTOR,
    "runtime_free_count": ALLOCATOR,
    "runtime_heap_objects": ALLOCATOR,
    "runtime_malloc_count": ALLOCATOR,
    "storage_packer_put_bucket": "buckets are written by the transaction, no packer stands between",
    "storage_packer_put_item": "buckets are written by the transaction, no packer stands between",
}


def use(server):
    server.ok("PUT", "sys/audit/f", {"type": "file", "options": {"file_path": str(server.folder / "audit")}})
    server.ok("PUT", "sys/policies/acl/p1", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    server.ok("POST", "sys/auth/userpass", {"type": "userpass"})
    server.ok("POST", "auth/userpass/users/ann", {"password": "a-password", "policies": "p1"})
    server.ok("PUT", "auth/userpass/login/ann", {"password": "a-password"}, token=None)
    for i in range(5):
        server.ok("POST", "kv/%d" % i, {"v": "x"})
    server.ok("LIST", "kv/")
    for more in ({"ttl": "10m"}, {"policies": ["root"]}, {"type": "batch", "ttl": "10m"}):
        server.ok("POST", "auth/token/create", {"policies": ["p1"], **more})


def wait_for(server, patterns):
    deadline = time.monotonic() + 30
    missing = patterns
    while missing and time.monotonic() < deadline:
        text = prometheus(server)
        missing = [pattern for pattern in missing if not re.search("^vault_" + pattern + "$", text, re.M)]
    assert missing == []
    return text


def test_recorded_names(lab):
    server = lab.server(config='telemetry {\n  disable_hostname = true\n  usage_gauge_period = "200ms"\n}', listener=OPEN)
    server.ready()
    server.ok("PUT", "sys/seal")
    server.unseal()
    server.active()
    use(server)
    mount = r'\{auth_method="%s",cluster="[^"]+",creation_ttl="%s",mount_point="%s",namespace="root",token_type="%s"\}'
    text = wait_for(server, [
        "token_creation" + mount % ("token", "10m", "auth/token/", "service") + " 1",
        "token_creation" + mount % ("token", "10m", "auth/token/", "batch") + " 1",
        "token_creation" + mount % ("userpass", r"\+Inf", "auth/userpass/", "service") + " 1",
        r'identity_entity_alias_count\{auth_method="userpass",cluster="[^"]+",mount_point="auth/userpass/",namespace="root"\} 1',
        r'identity_entity_creation\{auth_method="userpass",cluster="[^"]+",mount_point="auth/userpass/",namespace="root"\} 1',
        r'secret_kv_count\{cluster="[^"]+",mount_point="kv/",namespace="root"\} 5',
        r'core_mount_table_num_entries\{cluster="[^"]+",local="false",type="auth"\} 2',
        r'core_mount_table_size\{cluster="[^"]+",local="false",type="auth"\} [1-9][0-9]{2}',
        r'metrics_collection_count\{cluster="[^"]+",gauge="kv_secrets_by_mountpoint"\} [1-9][0-9]*',
        "core_locked_users 0", "identity_num_entities 1", "expire_register_auth_count 3", "token_create_count 5",
        "token_createAccessor_count 4", "token_create_root 1",
        "seal_shamir_encrypt 1", "seal_decrypt [1-9]", "policy_set_policy_count [1-9]", "runtime_num_goroutines [1-9][0-9]*"])
    shown = dict(re.findall(r"^# TYPE vault_(\S+) (\S+)$", text, re.M))
    assert [name for kind, names in RECORDED.items() for name in names if shown.get(name) != kind and name not in NOT_HERE] == []
    assert [name for name in NOT_HERE if name in shown] == []


def test_leases_and_quotas(lab):
    server = lab.server(config="telemetry { disable_hostname = true }", listener=OPEN)
    server.ready()
    token = server.ok("POST", "auth/token/create", {"ttl": "10m", "policies": ["default"]}).body["auth"]["client_token"]
    child = server.ok("POST", "auth/token/create", {"ttl": "10m", "num_uses": 2}).body["auth"]["client_token"]
    server.ok("GET", "auth/token/lookup-self", token=child)
    server.ok("POST", "auth/token/renew-self", {}, token=token)
    server.ok("POST", "auth/token/revoke-self", {}, token=token)
    server.ok("GET", "sys/policies/acl/default")
    server.ok("LIST", "sys/policies/acl")
    server.ok("PUT", "sys/policies/acl/p1", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    server.ok("DELETE", "sys/policies/acl/p1")
    server.ok("POST", "sys/quotas/rate-limit/few", {"rate": 1, "interval": "1h", "path": "kv/"})
    while server.call("GET", "kv/none").status != 429:
        pass
    text = prometheus(server)
    wanted = """token_store_count token_revoke_tree_count expire_renew_token_count policy_get_policy_count policy_set_policy_count
        policy_list_policies_count policy_delete_policy_count""".split()
    assert value(text, "vault_token_lookup_count") >= 10
    for name in wanted + ['quota_rate_limit_violation{name="few"}']:
        assert (value(text, "vault_" + name) or 0) >= 1, name
