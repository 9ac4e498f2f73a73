"""The seals gcpckms and azurekeyvault beside stand-ins that check tokens and requests."""
import json
import ssl

import pytest
from test_seals import init, sealed, set_config, wait_until
from verified import write_certificate

import kms


def again(server):
    server.stop()
    server.start()
    server.active()


def gcp_stanza(google, credentials=None):
    return ('# seals\nseal "gcpckms" {\n  project = "p"\n  region = "global"\n  key_ring = "r"\n  crypto_key = "k"\n  endpoint = "%s"\n%s}\n' %
            (google.url, '  credentials = "%s"\n' % credentials if credentials else ""))


@pytest.fixture
def google():
    with kms.Google() as s:
        yield s


@pytest.fixture
def account(lab, google):
    path = lab.folder / "account.json"
    path.write_text(json.dumps(google.account))
    return path


def test_google_with_a_service_account(lab, google, account):
    server = lab.server(config=gcp_stanza(google, account))
    init(server)
    again(server)
    google.version = 2
    again(server)
    wait_until(lambda: "upgrading stored keys" in server.tail() and "upgrading recovery key" in server.tail())
    again(server)


def test_google_by_metadata(lab, google):
    server = lab.server(config=gcp_stanza(google), env={"GCE_METADATA_HOST": "127.0.0.1:%d" % google.port, "HOME": str(lab.folder)})
    init(server)
    again(server)


def test_google_refuses(lab, google, account):
    server = lab.server(config=gcp_stanza(google, account))
    init(server)
    server.stop()
    google.permissions = []
    server.start()
    wait_until(lambda: "none of them is granted" in server.tail())
    google.permissions, google.faults = ["x"], {":decrypt"}
    wait_until(lambda: "error decrypting data encryption key: PERMISSION_DENIED: no permission (status 403)" in server.tail())
    assert sealed(server)
    google.faults = set()
    google.tokens += 1  # the token is not taken any more
    server.active()
    server.stop()
    account.write_text(json.dumps(dict(google.account, private_key="none")))
    server.start()
    wait_until(lambda: "google: no access token: the private key is not in PEM form" in server.tail())


@pytest.fixture
def azure(lab):
    cert = write_certificate(lab.folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, lab.folder / "key.pem")
    with kms.Azure(tls) as s:
        s.env = {"SSL_CERT_FILE": str(cert), "AZURE_ENVIRONMENT_FILEPATH": str(lab.folder / "azure.json")}
        (lab.folder / "azure.json").write_text(json.dumps({"name": "x", "activeDirectoryEndpoint": s.url + "/",
                                                           "keyVaultDNSSuffix": "0.0.1:%d" % s.port}))
        yield s


def azure_stanza(more='tenant_id = "tid"\n  client_id = "cid"\n  client_secret = "c&s"'):
    return '# seals\nseal "azurekeyvault" {\n  environment = "AZURESTACKCLOUD"\n  vault_name = "127"\n  key_name = "unseal"\n  %s\n}\n' % more


def test_azure_with_a_secret(lab, azure):
    server = lab.server(config=azure_stanza(), env=azure.env)
    init(server)
    again(server)
    azure.version = "%032x" % 2
    again(server)
    wait_until(lambda: "upgrading stored keys" in server.tail() and "upgrading recovery key" in server.tail())
    azure.faults = {"hsm"}
    again(server)


def test_azure_by_managed_identity(lab, azure):
    server = lab.server(config=azure_stanza(""), env=dict(azure.env, AZURE_POD_IDENTITY_AUTHORITY_HOST=azure.url))
    init(server)
    again(server)


def test_azure_refuses(lab, azure):
    server = lab.server(config=azure_stanza(), env=azure.env)
    init(server)
    server.stop()
    azure.faults = {"deny"}
    server.start()
    wait_until(lambda: "Forbidden: no permission (status 403)" in server.tail())
    assert sealed(server)
    azure.faults = set()
    server.active()
    server.stop()
    set_config(server, azure_stanza('tenant_id = "tid"\n  client_id = "cid"\n  client_secret = "no"').split("# seals\n")[1])
    server.start()
    wait_until(lambda: "azure: no access token: invalid_client: AADSTS7000215 (status 401)" in server.tail())


def test_missing_parameters_end_the_start(lab):
    for text, error in (('seal "gcpckms" { project = "p" }', "'region' not found for GCP CKMS wrapper configuration"),
                        ('seal "azurekeyvault" { key_name = "k" }', "vault name is required"),
                        ('seal "azurekeyvault" { vault_name = "v" key_name = "k" environment = "x" }', "There is no cloud environment")):
        server = lab.server("s%d" % len(text), start=False, config=text)
        with pytest.raises(AssertionError, match=error):
            server.start()
        server.proc = None
