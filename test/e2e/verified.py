"""verified: a server behind TLS whose certificate a client can check: it is its own authority and names 127.0.0.1."""
import datetime
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def write_certificate(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "coffer under test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()) \
        .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1)) \
        .not_valid_after(now + datetime.timedelta(days=1)) \
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True) \
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False) \
        .sign(key, hashes.SHA256())
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                       serialization.NoEncryption()))
    return folder / "cert.pem"


def tls_server(lab):
    """(an unsealed server, the file of its authority)"""
    authority = write_certificate(lab.folder)
    server = lab.server(listener='tls_cert_file = "%s/cert.pem"\n  tls_key_file = "%s/key.pem"' % (lab.folder, lab.folder), start=False)
    server.config.write_text(server.config.read_text().replace(server.addr, server.addr.replace("http:", "https:")))
    server.addr = server.addr.replace("http:", "https:")
    server.tls = ssl.create_default_context(cafile=str(authority))
    return server.start().init(), authority
