"""The command line as a client: what it sends, what it does when the answer is no, and what it says then."""
import base64
import collections
import datetime
import hashlib
import hmac
import ipaddress
import json
import os
import socket
import struct
import subprocess
import threading
import time

import lab as lab_module
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from peer import Peer

SECRET = {"request_id": "r", "lease_id": "", "lease_duration": 0, "renewable": False, "data": {"a": "b"}, "warnings": None}
AUTH = {"auth": {"client_token": "hvs.new", "accessor": "acc", "policies": ["default"], "token_policies": ["default"], "lease_duration": 60,
                 "renewable": True}}
Tls = collections.namedtuple("Tls", "cert key client_ca")


def coffer(tmp_path, *args, env=None, stdin=None):
    return subprocess.run([lab_module.BINARY, *args], env=lab_module.clean_env({"HOME": str(tmp_path), **(env or {})}),
                          capture_output=True, text=True, timeout=60, check=False,
                          **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))


@pytest.mark.parametrize("status", [412, 429, 500, 502, 503])
def test_tries_again_only_when_told(tmp_path, status):
    bad = (status, {"errors": ["busy"]})
    with Peer(bad, (200, SECRET)) as peer:
        out = coffer(tmp_path, "read", "x", env={"VAULT_ADDR": peer.addr})
        assert out.returncode == 2 and "Code: %d. Errors:" % status in out.stderr and len(peer.asked) == 1
    with Peer(bad, (200, SECRET)) as peer:
        before = time.monotonic()
        out = coffer(tmp_path, "read", "-field=a", "x", env={"VAULT_ADDR": peer.addr, "VAULT_MAX_RETRIES": "2"})
        assert (out.returncode, out.stdout) == (0, "b") and len(peer.asked) == 2 and time.monotonic() - before > 0.9
    with Peer((501, {"errors": ["no"]}), (200, SECRET)) as peer:
        assert coffer(tmp_path, "read", "x", env={"VAULT_ADDR": peer.addr, "VAULT_MAX_RETRIES": "2"}).returncode == 2 and len(peer.asked) == 1


def test_retry_after_counts_for_busy_servers(tmp_path):
    with Peer((503, {"errors": ["busy"]}, {"Retry-After": "0"}), (200, SECRET)) as peer:
        before = time.monotonic()
        assert coffer(tmp_path, "read", "x", env={"VAULT_ADDR": peer.addr, "VAULT_MAX_RETRIES": "1"}).returncode == 0
        assert time.monotonic() - before < 0.9


def test_rate_limit(tmp_path):
    env = {"VAULT_RATE_LIMIT": "2:1", "VAULT_TOKEN": "t"}
    with Peer((200, {"sealed": False, "t": 1, "n": 1})) as peer:
        before = time.monotonic()
        assert coffer(tmp_path, "status", env={**env, "VAULT_ADDR": peer.addr}).returncode == 0
        assert len(peer.asked) == 2 and time.monotonic() - before > 0.45
    for wrong in ("x", "1:", "0", "1:0", "1.x"):
        out = coffer(tmp_path, "read", "x", env={"VAULT_RATE_LIMIT": wrong})
        assert (out.returncode, out.stderr) == (2, "failed to read environment: could not parse VAULT_RATE_LIMIT\n"), wrong


def test_headers(tmp_path):
    with Peer((200, SECRET)) as peer:
        env = {"VAULT_ADDR": peer.addr, "VAULT_TOKEN": "t", "VAULT_NAMESPACE": "/ns", "VAULT_MFA": "one:1,two:2"}
        assert coffer(tmp_path, "read", "-header=X-Mine=1", "-wrap-ttl=90", "-policy-override", "x", env=env).returncode == 0
        seen = peer.asked[0].headers
        assert seen["x-vault-token"] == "t" and seen["x-vault-namespace"] == "ns/" and seen["x-mine"] == "1" and seen["x-vault-request"] == "true"
        assert seen["x-vault-wrap-ttl"] == "1m30s" and seen["x-vault-policy-override"] == "true"
        coffer(tmp_path, "read", "-mfa=three:3", "-ns=other", "x", env=env)
        assert peer.asked[1].headers["x-vault-mfa"] == "three:3" and peer.asked[1].headers["x-vault-namespace"] == "other/"


def test_redirects(tmp_path):
    with Peer((200, SECRET)) as there, Peer((307, b"", {"Location": there.addr + "/v1/y"})) as here:
        out = coffer(tmp_path, "write", "-field=a", "x", "k=v", env={"VAULT_ADDR": here.addr, "VAULT_TOKEN": "t"})
        assert out.stdout == "b" and there.asked[0].method == "PUT" and there.asked[0].json == {"k": "v"} and there.asked[0].path == "/v1/y"
        coffer(tmp_path, "read", "x", env={"VAULT_ADDR": here.addr, "VAULT_DISABLE_REDIRECTS": "1"})
        assert len(there.asked) == 1


def test_unix_socket_and_proxy(tmp_path):
    with Peer((200, SECRET), unix=str(tmp_path / "s")) as peer:
        assert coffer(tmp_path, "read", "-field=a", "x", env={"VAULT_ADDR": peer.addr}).stdout == "b" and peer.asked[0].headers["host"] == "localhost"
    with Peer((200, SECRET)) as proxy:
        for env in ({"VAULT_PROXY_ADDR": proxy.addr}, {"VAULT_HTTP_PROXY": proxy.addr}, {"http_proxy": proxy.addr}):
            assert coffer(tmp_path, "read", "-field=a", "x", env={"VAULT_ADDR": "http://far.example:8200", **env}).stdout == "b"
            assert proxy.asked[-1].path == "http://far.example:8200/v1/x"


def certificate(folder, name, issuer=None, sans=()):
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.timezone.utc)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer_name, signer = issuer or (subject, key)
    built = x509.CertificateBuilder().subject_name(subject).issuer_name(signer_name).public_key(key.public_key()) \
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1)) \
        .not_valid_after(now + datetime.timedelta(days=1)).add_extension(x509.BasicConstraints(issuer is None, None), True)
    if sans:
        built = built.add_extension(x509.SubjectAlternativeName(list(sans)), False)
    (folder / (name + ".pem")).write_bytes(built.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (folder / (name + ".key")).write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                             serialization.NoEncryption()))
    return subject, key


def test_tls(tmp_path):
    folder = tmp_path / "tls"
    folder.mkdir()
    ca = certificate(folder, "ca")
    certificate(folder, "server", ca, [x509.DNSName("vault.example"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate(folder, "named", ca, [x509.DNSName("vault.example")])
    certificate(folder, "client", ca)
    path = lambda name: str(folder / name)  # noqa: E731
    ok = lambda peer, env, *flags: coffer(tmp_path, "read", *flags, "-field=a", "x", env={"VAULT_ADDR": peer.addr, **env})  # noqa: E731
    with Peer((200, SECRET), tls=Tls(path("server.pem"), path("server.key"), None)) as peer:
        out = ok(peer, {})
        assert out.returncode == 2 and "certificate signed by unknown authority" in out.stderr and "VAULT_CACERT" in out.stderr
        assert ok(peer, {"VAULT_CACERT": path("ca.pem")}).stdout == "b"
        assert ok(peer, {"VAULT_CACERT_BYTES": (folder / "ca.pem").read_text()}).stdout == "b"
        assert ok(peer, {}, "-ca-cert=" + path("ca.pem")).stdout == "b"
        assert ok(peer, {"VAULT_SKIP_VERIFY": "true"}).stdout == "b"
        assert ok(peer, {}, "-tls-skip-verify").stdout == "b"
        out = ok(peer, {"VAULT_CACERT": path("none.pem")})
        assert out.returncode == 2 and path("none.pem") in out.stderr
        assert "could not parse VAULT_SKIP_VERIFY" in ok(peer, {"VAULT_SKIP_VERIFY": "maybe"}).stderr
    with Peer((200, SECRET), tls=Tls(path("named.pem"), path("named.key"), None)) as peer:
        out = ok(peer, {"VAULT_CACERT": path("ca.pem")})
        assert out.returncode == 2 and "not valid for 127.0.0.1" in out.stderr
        assert ok(peer, {"VAULT_CACERT": path("ca.pem"), "VAULT_TLS_SERVER_NAME": "vault.example"}).stdout == "b"
        assert ok(peer, {"VAULT_CACERT": path("ca.pem")}, "-tls-server-name=vault.example").stdout == "b"
    with Peer((200, SECRET), tls=Tls(path("server.pem"), path("server.key"), path("ca.pem"))) as peer:
        env = {"VAULT_CACERT": path("ca.pem")}
        assert ok(peer, env).returncode == 2
        assert ok(peer, {**env, "VAULT_CLIENT_CERT": path("client.pem"), "VAULT_CLIENT_KEY": path("client.key")}).stdout == "b"
        assert ok(peer, env, "-client-cert=" + path("client.pem"), "-client-key=" + path("client.key")).stdout == "b"
        assert "both client cert and client key" in ok(peer, {**env, "VAULT_CLIENT_CERT": path("client.pem")}).stderr


def test_agent_address_wins(tmp_path):
    with Peer((200, SECRET)) as peer:
        assert coffer(tmp_path, "read", "-field=a", "x", env={"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_AGENT_ADDR": peer.addr}).stdout == "b"
        assert coffer(tmp_path, "read", "-field=a", "-agent-address=" + peer.addr, "x", env={"VAULT_ADDR": "http://127.0.0.1:1"}).stdout == "b"


@pytest.mark.parametrize("args,path,body", [
    (["-method=userpass", "username=u", "password=p"], "userpass/login/u", {"password": "p"}),
    (["-method=userpass", "-path=mine", "username=u", "password=p", "passcode=1", "method=duo"], "mine/login/u",
     {"password": "p", "passcode": "1", "method": "duo"}),
    (["-method=ldap", "password=p"], "ldap/login/me", {"password": "p"}),
    (["-method=ldap"], "ldap/login/me", {"password": "kept"}),
    (["-method=okta", "username=u", "password=p", "totp=9", "provider=GOOGLE"], "okta/login/u", {"password": "p", "totp": "9", "provider": "GOOGLE"}),
    (["-method=radius", "username=u", "password=p"], "radius/login/u", {"password": "p"}),
    (["-method=github", "token= g "], "github/login", {"token": "g"}),
    (["-method=github", "mount=gh"], "gh/login", {"token": "from-env"}),
    (["-method=cert", "name=web"], "cert/login", {"name": "web"}),
    (["-method=cert"], "cert/login", {}),
])
def test_login_methods(tmp_path, args, path, body):
    with Peer((200, AUTH)) as peer:
        env = {"VAULT_ADDR": peer.addr, "LOGNAME": "me", "VAULT_LDAP_PASSWORD": "kept", "VAULT_AUTH_GITHUB_TOKEN": "from-env"}
        (tmp_path / ".vault-token").write_text("old")
        out = coffer(tmp_path, "login", "-field=token_accessor", *args, env=env)
        assert (out.returncode, out.stdout) == (0, "acc"), out
        asked = peer.asked[0]
        assert (asked.method, asked.path, asked.json) == ("PUT", "/v1/auth/" + path, body) and "x-vault-token" not in asked.headers
        assert (tmp_path / ".vault-token").read_text() == "hvs.new" and oct((tmp_path / ".vault-token").stat().st_mode)[-3:] == "600"


def test_login_mistakes(tmp_path):
    env = {"VAULT_ADDR": "http://127.0.0.1:1"}
    out = coffer(tmp_path, "login", "-method=gcp", env=env)
    assert out.returncode == 1 and "write auth/gcp/login" in out.stderr
    assert coffer(tmp_path, "login", "-method=approle", "role_id=x", env=env).returncode == 1
    out = coffer(tmp_path, "login", "-method=userpass", env=env)
    assert out.returncode == 2 and "username=NAME" in out.stderr
    out = coffer(tmp_path, "login", "-method=aws", env={**env, "AWS_EC2_METADATA_DISABLED": "true"})
    assert out.returncode == 2 and "AWS_ACCESS_KEY_ID" in out.stderr


def signature_is_right(headers, body, secret, region):
    """Signature Version 4, made anew from what was sent."""
    headers = {"host": "sts.%s.amazonaws.com" % region, **{k.lower(): v[0] for k, v in headers.items()}}
    given = dict(p.split("=", 1) for p in headers["authorization"].split(" ", 1)[1].split(", "))
    names = given["SignedHeaders"].split(";")
    assert names == sorted(names) and "host" in names and "x-amz-date" in names
    canonical = "POST\n/\n\n%s\n%s\n%s" % ("".join("%s:%s\n" % (n, headers[n]) for n in names), given["SignedHeaders"],
                                           hashlib.sha256(body).hexdigest())
    scope = given["Credential"].split("/", 1)[1]
    assert scope == "%s/%s/sts/aws4_request" % (headers["x-amz-date"][:8], region)
    to_sign = "AWS4-HMAC-SHA256\n%s\n%s\n%s" % (headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest())
    key = b"AWS4" + secret
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), "sha256").digest()
    return hmac.new(key, to_sign.encode(), "sha256").hexdigest() == given["Signature"]


@pytest.mark.parametrize("source", ["arguments", "environment", "file", "metadata"])
def test_login_aws(tmp_path, source):
    args, env = ["role=dev", "header_value=vault.example", "region=eu-west-1"], {"AWS_EC2_METADATA_DISABLED": "true"}
    with Peer((200, b"session"), (200, b"role\n"), (200, {"AccessKeyId": "AKID", "SecretAccessKey": "shh", "Token": "tok"})) as metadata, \
            Peer((200, AUTH)) as peer:
        if source == "arguments":
            args += ["aws_access_key_id=AKID", "aws_secret_access_key=shh", "aws_security_token=tok"]
        elif source == "environment":
            env.update(AWS_ACCESS_KEY_ID="AKID", AWS_SECRET_ACCESS_KEY="shh", AWS_SESSION_TOKEN="tok")
        elif source == "file":
            (tmp_path / ".aws").mkdir()
            (tmp_path / ".aws/credentials").write_text("[other]\naws_access_key_id=no\n[work]\naws_access_key_id = AKID\n"
                                                       "aws_secret_access_key = shh\naws_session_token = tok\n[last]\naws_access_key_id=no\n")
            env["AWS_PROFILE"] = "work"
        else:
            env = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.addr}
        out = coffer(tmp_path, "login", "-method=aws", "-no-print", *args, env={"VAULT_ADDR": peer.addr, **env})
        assert out.returncode == 0, out
        body = peer.asked[0].json
        plain = {k: base64.b64decode(v) for k, v in body.items() if k.startswith("iam_request")}
        assert body["role"] == "dev" and body["iam_http_request_method"] == "POST"
        assert plain["iam_request_url"] == b"https://sts.eu-west-1.amazonaws.com/"
        assert plain["iam_request_body"] == b"Action=GetCallerIdentity&Version=2011-06-15"
        headers = json.loads(plain["iam_request_headers"])
        assert headers["X-Amz-Security-Token"] == ["tok"] and headers["X-Vault-AWS-IAM-Server-ID"] == ["vault.example"]
        assert signature_is_right(headers, plain["iam_request_body"], b"shh", "eu-west-1")
        if source == "metadata":
            assert [a.method for a in metadata.asked] == ["PUT", "GET", "GET"] and "/security-credentials/role" in metadata.asked[2].path
            assert metadata.asked[1].headers["x-aws-ec2-metadata-token"] == "session"


def answer_dns(sock):
    """One SRV record, priority 0, port of the peer, target `here.test`; then an address for it."""
    while True:
        try:
            asked, who = sock.recvfrom(4096)
        except OSError:
            return
        at = asked.index(b"\0", 12) + 1
        kind = struct.unpack(">H", asked[at:at + 2])[0]
        question = asked[12:at + 4]
        data = b""
        if kind == 33:
            data = struct.pack(">HHH", 0, 0, sock.peer_port) + b"\x04here\x04test\0"
        elif kind == 1:
            data = socket.inet_aton("127.0.0.1")
        record = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(data)) + data if data else b""
        sock.sendto(asked[:2] + b"\x81\x80" + struct.pack(">HHHH", 1, bool(data), 0, 0) + question + record, who)


class DnsSocket(socket.socket):
    peer_port = 0


def test_srv_lookup(tmp_path):
    """In a mount namespace of its own, whose resolver is this test."""
    try:
        sock = DnsSocket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 53))
    except OSError:
        pytest.skip("port 53 of this machine is not ours")
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\n")
    wrap = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(conf)]
    if os.geteuid() != 0 or subprocess.run(wrap + ["true"], capture_output=True, check=False).returncode:
        sock.close()
        pytest.skip("no mount namespace here")
    with sock, Peer((200, SECRET)) as peer:
        sock.peer_port = peer.server.server_address[1]
        threading.Thread(target=answer_dns, args=(sock,), daemon=True).start()
        out = subprocess.run(wrap + [lab_module.BINARY, "read", "-field=a", "x"], capture_output=True, text=True, check=False, timeout=60,
                             env=lab_module.clean_env({"HOME": str(tmp_path), "VAULT_ADDR": "http://vault.test", "VAULT_SRV_LOOKUP": "1"}))
        assert out.stdout == "b", out
        assert peer.asked[0].headers["host"] == "here.test:%d" % sock.peer_port


def test_events_and_other_answers(tmp_path):
    with Peer((404, {"errors": []})) as peer:
        out = coffer(tmp_path, "events", "subscribe", "kv*", env={"VAULT_ADDR": peer.addr})
        assert out.returncode == 1 and "sys/experiments" in out.stderr and peer.asked[0].path == "/v1/sys/events/subscribe/kv%2A?json=true"
    with Peer((200, b"<html>")) as peer:
        out = coffer(tmp_path, "status", env={"VAULT_ADDR": peer.addr})
        assert out.returncode == 1 and "no JSON object" in out.stderr


def test_what_counts_as_data(tmp_path):
    with Peer((200, SECRET)) as peer:
        env = {"VAULT_ADDR": peer.addr}
        for argument, stdin in (("-", "{}"), ("", None), ("-", "null")):
            assert coffer(tmp_path, "write", "-field=a", "x", argument, env=env, stdin=stdin).stdout == "b"
            assert peer.asked[-1].body == b"{}"
        coffer(tmp_path, "write", "-f", "x", env=env)
        assert peer.asked[-1].body == b"null"


def test_values_of_other_shapes(tmp_path):
    with Peer((200, {**SECRET, "data": {"l": [1, 2]}})) as peer:
        env = {"VAULT_ADDR": peer.addr}
        assert coffer(tmp_path, "read", "-field=l", "-format=yaml", "x", env=env).stdout == "- 1\n- 2\n"
        assert coffer(tmp_path, "read", "-field=l", "-output-curl-string=false", "-address=", "x", env=env).stdout == "[1 2]"
    with Peer((200, {**SECRET, "data": None, "warnings": ["old"]})) as peer:
        out = coffer(tmp_path, "plugin", "info", "x", env={"VAULT_ADDR": peer.addr})
        assert out.returncode == 2 and 'No value found for plugin "x"' in out.stderr
