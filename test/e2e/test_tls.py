"""TLS: the listener's own certificate, and another one after SIGHUP without a lost request."""
import datetime
import signal
import ssl
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write_certificate(folder, name):
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key()) \
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1)) \
        .not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                       serialization.NoEncryption()))


def seen_name(client):
    return x509.load_der_x509_certificate(client.conn.sock.getpeercert(True)).subject.rfc4514_string()


def tls_server(lab):
    write_certificate(lab.folder, "first")
    server = lab.server(listener='tls_cert_file = "%s/cert.pem"\n  tls_key_file = "%s/key.pem"' % (lab.folder, lab.folder), start=False)
    server.tls = ssl._create_unverified_context()
    server.start()
    return server.ready()


def test_reload_on_hup(lab):
    server = tls_server(lab)
    server.ok("POST", "kv/a", {"v": 1})
    old = server.client()
    assert old.call("GET", "kv/a").data == {"v": 1}
    assert seen_name(old) == "CN=first"
    write_certificate(lab.folder, "second")
    server.signal(signal.SIGHUP)
    for _ in range(200):
        new = server.client()
        assert new.call("GET", "kv/a").data == {"v": 1}
        if seen_name(new) == "CN=second":
            break
        time.sleep(0.05)
    assert seen_name(new) == "CN=second"
    assert old.call("GET", "kv/a").data == {"v": 1}
    assert seen_name(old) == "CN=first"


def test_a_broken_certificate_keeps_the_old_one(lab):
    server = tls_server(lab)
    (lab.folder / "cert.pem").write_text("no certificate")
    server.signal(signal.SIGHUP)
    time.sleep(0.5)
    client = server.client()
    assert client.call("GET", "sys/health").status == 200
    assert seen_name(client) == "CN=first"


def test_plain_http_on_a_tls_port_is_answered(lab):
    server = tls_server(lab)
    server.tls = None
    answer = server.call("GET", "sys/health")
    assert answer.status == 400
    assert answer.raw == b"Client sent an HTTP request to an HTTPS server.\n"


def test_command_line_verifies(lab):
    server = tls_server(lab)
    server.addr = server.addr.replace("http:", "https:")
    refused = server.cli("kv", "get", "kv/a")
    assert refused.returncode == 2 and "certificate" in refused.stderr.lower(), refused
    assert server.cli("kv", "put", "kv/a", "v=1", env={"VAULT_SKIP_VERIFY": "true"}).returncode == 0
