"""Logins with a second factor, by hvac: after the login and with it."""
import base64
import hashlib
import hmac
import struct
import time
import urllib.parse

import hvac
import pytest

PERIOD = 2


def code(secret, algorithm, step):
    """RFC 6238, by Python's own means."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    mac = hmac.new(key, struct.pack(">Q", step), algorithm.lower()).digest()
    at = mac[-1] & 15
    return "%08d" % ((struct.unpack(">I", mac[at:at + 4])[0] & 0x7fffffff) % 10 ** 8)


def fresh(secret, algorithm, used=set()):
    """The code of a step that has not been asked for yet."""
    while (step := int(time.time()) // PERIOD) in used:
        time.sleep(0.1)
    used.add(step)
    return code(secret, algorithm, step)


def enrolled(server, algorithm):
    """A user whose logins need a code; the method's id, the user's secret."""
    server.ok("POST", "sys/auth/userpass", {"type": "userpass"})
    accessor = server.ok("GET", "sys/auth").data["userpass/"]["accessor"]
    server.ok("PUT", "sys/policies/acl/gen", {"policy": 'path "identity/mfa/method/totp/generate" { capabilities = ["update"] }'})
    server.ok("POST", "auth/userpass/users/ann", {"password": "x", "token_policies": "gen"})
    method = server.ok("POST", "identity/mfa/method/totp", {"issuer": "Lab 1/2", "method_name": "app", "period": PERIOD, "digits": 8,
                                                           "algorithm": algorithm}).data["method_id"]
    token = server.ok("POST", "auth/userpass/login/ann", {"password": "x"}, token=None).body["auth"]["client_token"]
    made = server.ok("POST", "identity/mfa/method/totp/generate", {"method_id": method}, token=token).data
    assert base64.b64decode(made["barcode"]).startswith(b"\x89PNG")
    url = urllib.parse.urlsplit(made["url"])
    settings = dict(urllib.parse.parse_qsl(url.query))
    assert settings == {"algorithm": algorithm, "digits": "8", "issuer": "Lab 1/2", "period": str(PERIOD), "secret": settings["secret"]}
    server.ok("POST", "identity/mfa/login-enforcement/all", {"mfa_method_ids": [method], "auth_method_accessors": [accessor]})
    return method, settings["secret"]


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "SHA512"])
def test_both_ways(lab, algorithm):
    server = lab.server().ready()
    method, secret = enrolled(server, algorithm)
    time.sleep(PERIOD)  # steps that began before the server did are refused
    client = hvac.Client(url=server.addr)
    auth = client.auth.userpass.login("ann", "x", use_token=False)["auth"]
    requirement = auth["mfa_requirement"]
    assert auth["client_token"] == "" and requirement["mfa_constraints"] == {
        "all": {"any": [{"type": "totp", "id": method, "uses_passcode": True, "name": "app"}]}}
    used = fresh(secret, algorithm)
    payload = {"mfa_request_id": requirement["mfa_request_id"], "mfa_payload": {method: [used]}}
    auth = server.ok("POST", "sys/mfa/validate", payload, token=None).body["auth"]
    assert server.ok("GET", "auth/token/lookup-self", token=auth["client_token"]).data["path"] == "auth/userpass/login/ann"
    assert auth["metadata"] == {"username": "ann"} and auth["mfa_requirement"] is None

    def with_header(value):
        client = hvac.Client(url=server.addr)
        client.session.headers["X-Vault-MFA"] = value
        return client.auth.userpass.login("ann", "x")["auth"]

    with pytest.raises(hvac.exceptions.Forbidden):
        with_header(method + ":" + used)
    assert with_header(method + ":" + fresh(secret, algorithm))["client_token"]
    assert with_header("app:passcode=" + fresh(secret, algorithm))["client_token"]
    with pytest.raises(hvac.exceptions.InvalidRequest):
        with_header(":123456")
    server.restart()
    with pytest.raises(hvac.exceptions.Forbidden):
        with_header("app")
    time.sleep(PERIOD)
    assert with_header("app:" + fresh(secret, algorithm))["client_token"]
