"""Identity tokens, verified by another library from what the server publishes."""
import jwt
import pytest

ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "EdDSA"]
TEMPLATE = """{"nick": {{identity.entity.name}}, "meta": {{identity.entity.metadata}}, "later": {{time.now.plus.1h}},
    "who": {"user": {{identity.entity.aliases.%s.name}}, "none": {{identity.entity.metadata.none}} } }"""


def verified(server, token, **options):
    """The claims, checked with the key set as a relying party does it; keys are told apart by their id."""
    discovery = server.ok("GET", "identity/oidc/.well-known/openid-configuration", token=None).body
    keys = jwt.PyJWKSet.from_dict(server.ok("GET", "identity/oidc/.well-known/keys", token=None).body)
    head = jwt.get_unverified_header(token)
    key = next(k for k in keys.keys if k.key_id == head["kid"])
    return jwt.decode(token, key, algorithms=[head["alg"]], issuer=discovery["issuer"], **options)


def user(server):
    server.ok("POST", "sys/auth/userpass", {"type": "userpass"})
    server.ok("PUT", "sys/policies/acl/id", {"policy": 'path "identity/oidc/token/*" { capabilities = ["read"] }'})
    server.ok("POST", "auth/userpass/users/ann", {"password": "x", "token_policies": "id"})
    auth = server.ok("POST", "auth/userpass/login/ann", {"password": "x"}, token=None).body["auth"]
    return auth["client_token"], auth["entity_id"], server.ok("GET", "sys/auth").data["userpass/"]["accessor"]


def test_tokens(lab):
    server = lab.server().ready()
    token, entity, accessor = user(server)
    for alg in ALGORITHMS:
        server.ok("POST", "identity/oidc/key/" + alg, {"algorithm": alg, "allowed_client_ids": "*"})
        server.ok("POST", "identity/oidc/role/" + alg, {"key": alg, "ttl": "1h", "client_id": "app", "template": TEMPLATE % accessor})
        made = server.ok("GET", "identity/oidc/token/" + alg, token=token).data
        assert jwt.get_unverified_header(made["token"])["alg"] == alg
        claims = verified(server, made["token"], audience="app")
        assert claims["sub"] == entity and claims["namespace"] == "root"
        assert claims["exp"] - claims["iat"] == 3600 and claims["later"] - claims["iat"] in (3600, 3599, 3601)
        assert claims["who"] == {"user": "ann", "none": ""} and claims["meta"] == {}
        assert claims["nick"].startswith("entity_")
        head, body, tail = made["token"].split(".")
        for broken in (head + "." + body + "." + tail[:-8] + "AAAAAAAA", head + "." + body + "." , made["token"][1:]):
            assert server.ok("POST", "identity/oidc/introspect", {"token": broken}).body["active"] is False
        with pytest.raises(jwt.InvalidSignatureError):
            verified(server, head + "." + body + "." + tail[:-8] + "AAAAAAAA", audience="app")


def test_rotation_and_restart(lab):
    server = lab.server().ready()
    token, entity, _ = user(server)
    server.ok("POST", "identity/oidc/role/r", {"key": "default"})
    before = server.ok("GET", "identity/oidc/token/r", token=token).data
    client = before["client_id"]
    kids = [k["kid"] for k in server.ok("GET", "identity/oidc/.well-known/keys", token=None).body["keys"]]
    assert len(kids) == 2 and jwt.get_unverified_header(before["token"])["kid"] in kids
    server.ok("POST", "identity/oidc/key/default/rotate", {})
    after = server.ok("GET", "identity/oidc/token/r", token=token).data["token"]
    assert jwt.get_unverified_header(after)["kid"] in kids  # the next key was known before it signed
    server.restart()
    for t in (before["token"], after):
        assert verified(server, t, audience=client)["sub"] == entity
        assert server.ok("POST", "identity/oidc/introspect", {"token": t, "client_id": client}).body == {"active": True}
    server.ok("POST", "identity/oidc/key/default/rotate", {"verification_ttl": 0})
    wrong = server.ok("POST", "identity/oidc/introspect", {"token": after}).body
    assert wrong == {"active": False, "error": "unable to validate the token signature"}
