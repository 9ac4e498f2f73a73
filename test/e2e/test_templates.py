"""Templated policies: users of one policy, each with paths of its own, from the login on and after a restart."""

POLICY = """
path "kv/id/{{identity.entity.id}}" { capabilities = ["create", "update"] }
path "kv/alias/{{identity.entity.aliases.%(accessor)s.name}}/*" {
    capabilities = ["create", "update"]
    allowed_parameters = { "a" = ["x*"] }
}
path "kv/none{{identity.entity.metadata.none}}*" { capabilities = ["create", "update"] }
"""


def check(server, users, suffix):
    for user, (token, _) in users.items():
        for other, (_, entity) in users.items():
            want = 204 if user == other else 403
            assert server.call("PUT", "kv/id/" + entity, {"a": 1}, token=token).status == want
            assert server.call("PUT", "kv/alias/%s/%s" % (other, suffix), {"a": "x1"}, token=token).status == want
            assert server.call("PUT", "kv/alias/%s/%s" % (other, suffix), {"a": "y1"}, token=token).status == 403
        assert server.call("PUT", "kv/none", {"a": 1}, token=token).status == 403
        paths = ["kv/id/" + entity for _, entity in users.values()]
        shown = server.ok("POST", "sys/capabilities-self", {"paths": paths}, token=token).data
        assert [shown[p] != ["deny"] for p in paths] == [u == user for u in users]


def test_users(lab):
    server = lab.server().ready()
    server.ok("POST", "sys/auth/userpass", {"type": "userpass"})
    accessor = server.ok("GET", "sys/auth").data["userpass/"]["accessor"]
    server.ok("PUT", "sys/policies/acl/mine", {"policy": POLICY % {"accessor": accessor}})
    users = {}
    for user in ("ann", "bob"):
        server.ok("POST", "auth/userpass/users/" + user, {"password": "x", "token_policies": "mine"})
        auth = server.ok("POST", "auth/userpass/login/" + user, {"password": "x"}, token=None).body["auth"]
        users[user] = auth["client_token"], auth["entity_id"]
    check(server, users, "one")
    check(server, users, "two")
    orphan = server.ok("POST", "auth/token/create", {"policies": ["mine"]}).body["auth"]["client_token"]
    assert server.call("PUT", "kv/id/" + users["ann"][1], {"a": 1}, token=orphan).status == 403
    server.restart()
    check(server, users, "three")
    server.ok("PUT", "sys/policies/acl/mine", {"policy": 'path "kv/id/{{identity.entity.name}}" { capabilities = ["create"] }'})
    for token, entity in users.values():
        assert server.call("PUT", "kv/id/" + entity, {"a": 1}, token=token).status == 403
