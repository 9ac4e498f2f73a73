"""sys/config/cors outlives a restart and guards a sealed server too; what sys/raw writes is what readers see next."""
import base64

PREFLIGHT = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"}


def test_origins(lab):
    server = lab.server().ready()
    server.ok("POST", "sys/config/cors", {"allowed_origins": "https://a.example", "allowed_headers": "X-Mine"})
    for _ in range(2):
        asked = server.call("OPTIONS", "kv/a", headers=PREFLIGHT, token=None)
        assert asked.status == 200 and asked.headers["access-control-allow-origin"] == "https://a.example"
        assert asked.headers["access-control-allow-headers"].endswith("X-Vault-Token,X-Mine")
        moved = server.call("GET", "kv//a", headers=PREFLIGHT)
        assert moved.status == 301 and moved.headers["vary"] == "Origin"
        assert server.call("GET", "sys/mounts", headers={"Origin": "https://a.example.evil"}).status == 403
        assert server.call("GET", "sys/mounts").status == 200
        server.restart()
    server.ok("PUT", "sys/seal")
    assert server.call("GET", "sys/seal-status", headers={"Origin": "https://b.example"}, token=None).status == 403
    assert server.call("GET", "sys/seal-status", token=None).status == 200
    bad = server.unseal().call("POST", "sys/config/cors", {"allowed_origins": "*", "allowed_headers": "X-A\r\nSet-Cookie: b"})
    assert bad.status == 400 and "control characters" in bad.body["errors"][0]
    server.ok("DELETE", "sys/config/cors")
    assert "access-control-allow-origin" not in server.call("GET", "sys/mounts", headers=PREFLIGHT).headers


def test_raw_is_seen_at_once(lab):
    server = lab.server(config="raw_storage_endpoint = true").ready()
    server.ok("POST", "kv/a", {"v": 1})
    assert server.ok("GET", "kv/a").data == {"v": 1}  # cached from here on
    path = "sys/raw/logical/%s/a" % server.ok("GET", "sys/mounts/kv").data["uuid"]
    assert server.ok("GET", path).data == {"value": '{"v":1}\n'}
    server.ok("PUT", path, {"value": '{"v":2}'})
    assert server.ok("GET", "kv/a").data == {"v": 2}
    server.ok("PUT", path, {"value": base64.b64encode(b'{"v":3}').decode(), "encoding": "base64"})
    assert server.ok("GET", "kv/a").data == {"v": 3}
    server.ok("DELETE", path)
    assert server.call("GET", "kv/a").status == 404
    assert server.ok("LIST", "sys/raw/core/").data["keys"].count("keyring") == 1
    for closed in ("core/keyring", "core/seal-config", "core/hsm/barrier-unseal-keys", "core/cluster/local/info"):
        assert server.call("GET", "sys/raw/" + closed).status == 400
        assert server.call("DELETE", "sys/raw/" + closed).status == 400
        assert server.call("PUT", "sys/raw/" + closed, {"value": "x"}).status in (400, 500)
    server.restart()
    server.ok("POST", "sys/policies/acl/all", {"policy": 'path "*" { capabilities = ["read", "update", "delete", "list"] }'})
    token = server.ok("POST", "auth/token/create", {"policies": ["all"]}).body["auth"]["client_token"]
    assert server.call("GET", path, token=token).status == 403  # sudo is needed
