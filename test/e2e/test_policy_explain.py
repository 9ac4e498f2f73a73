"""policy explain: what it says is what the server does; and who may ask."""
import json

POLICIES = {
    "app": 'path "kv/*" { capabilities = ["read", "list"] }\npath "kv/prod/*" { capabilities = ["deny"] }\n'
           'path "kv/form" { capabilities = ["create", "update"] required_parameters = ["name"] denied_parameters = { "secret" = [] } }',
    "ops": 'path "kv/prod/*" { capabilities = ["read"] }\npath "sys/seal" { capabilities = ["update"] }\n'
           'path "sys/coffer/explain" { capabilities = ["update", "sudo"] }',
    "curious": 'path "sys/coffer/explain" { capabilities = ["update"] }',
}


def explain(server, token, operation, path, **more):
    return server.ok("PUT", "sys/coffer/explain", {"token": token, "operation": operation, "path": path, **more}).data


def test_explained_as_it_is(lab):
    server = lab.server().ready()
    for name, text in POLICIES.items():
        server.ok("PUT", "sys/policies/acl/" + name, {"policy": text})
    token = server.ok("POST", "auth/token/create", {"policies": ["app", "ops"]}).body["auth"]
    server.ok("PUT", "kv/a", {"v": "1"})
    server.ok("PUT", "kv/form", {"name": "1"})
    asked = [("read", "GET", "kv/a", None), ("update", "PUT", "kv/a", {"v": "2"}), ("read", "GET", "kv/prod/x", None),
             ("read", "GET", "nowhere/x", None), ("update", "PUT", "kv/form", {"name": "x"}), ("update", "PUT", "kv/form", {"v": "x"}),
             ("update", "PUT", "kv/form", {"name": "x", "secret": "y"}), ("delete", "DELETE", "kv/form", None), ("list", "LIST", "kv/", None),
             ("update", "PUT", "sys/seal", None), ("read", "GET", "sys/health", None), ("read", "GET", "sys/metrics", None),
             ("read", "GET", "sys/in-flight-req", None), ("update", "PUT", "sys/coffer/explain", {})]
    for operation, method, path, data in asked:
        said = explain(server, token["client_token"], operation, path, **({"data": data} if data else {}))
        done = server.call(method, path, data, token=token["client_token"])
        assert said["allowed"] == (done.status != 403), (operation, path, said, done)
        assert said["policies"] == ["app", "default", "ops"]
        assert said["reason"] and (said["allowed"] or said["missing"] or "deny" in (said["rule"] or {}).get("capabilities", []))
    denied = explain(server, token["client_token"], "read", "kv/prod/x")
    assert denied["rule"] == {"path": "kv/prod/*", "capabilities": ["deny"], "policies": {"deny": ["app"]}} and denied["missing"] == []
    assert explain(server, token["client_token"], "update", "sys/seal")["missing"] == ["sudo"]
    assert explain(server, token["client_token"], "update", "kv/a")["missing"] == ["update"]
    assert explain(server, token["client_token"], "update", "kv/form", data={"v": "x"})["missing"] == ["parameters"]
    by_accessor = server.ok("PUT", "sys/coffer/explain", {"accessor": token["accessor"], "operation": "read", "path": "kv/a"}).data
    assert by_accessor == explain(server, token["client_token"], "read", "kv/a")


def test_who_may_ask_and_what(lab):
    server = lab.server().ready()
    for name, text in POLICIES.items():
        server.ok("PUT", "sys/policies/acl/" + name, {"policy": text})
    curious, ops = (server.ok("POST", "auth/token/create", {"policies": [p]}).body["auth"]["client_token"] for p in ("curious", "ops"))
    question = {"operation": "read", "path": "kv/a"}
    assert server.call("PUT", "sys/coffer/explain", question, token=curious).status == 403
    assert server.call("PUT", "sys/coffer/explain", question, token=None).status == 403
    assert server.ok("PUT", "sys/coffer/explain", question, token=ops).data["allowed"] is False
    for wrong in ({"operation": "read"}, {"path": "kv/a"}, {"operation": "write", "path": "kv/a"}, {**question, "token": "no"},
                  {**question, "accessor": "no"}, {**question, "token": ops, "accessor": "x"}, {"operation": "read", "path": "/"}):
        assert server.call("PUT", "sys/coffer/explain", wrong).status == 400, wrong
    out = server.cli("policy", "explain", "-token=-", "update", "kv/a", stdin=ops)
    assert out.returncode == 0 and "Allowed     no" in out.stdout and "no rule" in out.stdout and not out.stderr, out
    made = json.loads(server.cli("policy", "explain", "-format=json", "read", "kv/a").stdout)["data"]
    assert made["allowed"] and made["policies"] == ["root"]


def test_policy_test_is_the_same_matcher(lab):
    policy, cases = lab.folder / "app.hcl", lab.folder / "cases"
    policy.write_text(POLICIES["app"])
    cases.write_text("read kv/a allow\nread kv/prod/x deny\nlist kv allow\nsudo kv/a deny\n# no\n")
    server = lab.server(start=False)
    out = server.cli("policy", "test", str(policy), str(cases), token=None)
    assert (out.returncode, out.stdout) == (0, "Success! All 4 cases passed.\n"), out
    cases.write_text("read kv/a deny\n")
    out = server.cli("policy", "test", str(policy), str(cases), token=None)
    assert out.returncode == 2 and 'expected deny, got allow, by path "kv/*"' in out.stdout
    for text, word in (("fly kv/a deny", "no operation"), ("read kv/a", "OPERATION PATH")):
        cases.write_text(text)
        out = server.cli("policy", "test", str(policy), str(cases), token=None)
        assert out.returncode == 1 and word in out.stderr and "line 1" in out.stderr, out
    policy.write_text('path "a" { capabilities = ["fly"] }')
    assert server.cli("policy", "test", str(policy), str(cases), token=None).returncode == 1
