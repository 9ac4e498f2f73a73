"""The seal transit beside an OpenBao server with its engine transit: key versions, a token that is renewed, a service that goes away."""
import json
import pathlib
import shutil
import subprocess
import sys
import urllib.request

import pytest
from test_seals import init, sealed, set_config, wait_until

import lab as lab_module

BAO = shutil.which("bao", path="%s:/usr/bin:/bin" % pathlib.Path(sys.executable).parent)
KEY = "autounseal"


class Peer:
    """`bao server -dev` with a transit key."""

    def __init__(self, folder):
        self.port = lab_module.free_port()
        self.url, self.token = "http://127.0.0.1:%d" % self.port, "the-root-token"
        with open(folder / "bao.log", "wb") as log:
            self.proc = subprocess.Popen([BAO, "server", "-dev", "-dev-no-store-token", "-dev-root-token-id=" + self.token,
                                          "-dev-listen-address=127.0.0.1:%d" % self.port], stdout=log, stderr=log, cwd=folder,
                                         env=dict(lab_module.clean_env(), HOME=str(folder)))
        wait_until(lambda: self.call("GET", "sys/health"), 30)
        self.call("POST", "sys/mounts/transit", {"type": "transit"})
        self.call("POST", "transit/keys/" + KEY)

    def call(self, method, path, body=None):
        data = json.dumps(body or {}).encode() if method != "GET" else None
        request = urllib.request.Request(self.url + "/v1/" + path, data, {"X-Vault-Token": self.token}, method=method)
        try:
            return json.loads(urllib.request.urlopen(request, timeout=5).read() or b"{}") or {"ok": True}
        except OSError:
            return None

    def stop(self):
        self.proc.terminate()
        self.proc.wait(20)


@pytest.fixture
def peer(lab):
    made = Peer(lab.folder)
    yield made
    made.stop()


def stanza(peer, token=None):
    return 'seal "transit" {\n  address = "%s"\n  token = "%s"\n  mount_path = "transit/"\n  key_name = "%s"\n}\n' % (
        peer.url, token or peer.token, KEY)


def test_beside_openbao(lab, peer):
    server = lab.server(config="# seals\n" + stanza(peer))
    init(server)
    server.ok("POST", "sys/mounts/kv", {"type": "kv"})
    server.ok("POST", "kv/a", {"v": "1"})
    server.stop()
    peer.call("POST", "transit/keys/%s/rotate" % KEY)
    server.start()
    server.active()
    wait_until(lambda: "upgrading stored keys" in server.tail() and "upgrading recovery key" in server.tail())
    assert server.ok("GET", "kv/a").data == {"v": "1"}
    server.ok("PUT", "sys/seal")
    for key in server.keys[:2]:
        last = server.call("PUT", "sys/unseal", {"key": key}, token=None)
    assert last.body["sealed"] is False
    server.stop()
    peer.call("POST", "transit/keys/%s/config" % KEY, {"min_decryption_version": 2})
    server.start()
    server.active()


def test_its_token_is_renewed(lab, peer):
    peer.call("PUT", "sys/policies/acl/seal", {"policy": 'path "transit/*" { capabilities = ["update"] }'})
    made = peer.call("POST", "auth/token/create", {"policies": ["default", "seal"], "ttl": "6s", "orphan": True})["auth"]
    server = lab.server(config="# seals\n" + stanza(peer, made["client_token"]))
    init(server)

    def renewed():
        found = peer.call("POST", "auth/token/lookup-accessor", {"accessor": made["accessor"]})
        return found and found["data"].get("last_renewal_time", 0) > found["data"]["creation_time"] + 6
    wait_until(renewed, 20)


def test_refused_and_gone(lab, peer):
    server = lab.server(config="# seals\n" + stanza(peer))
    init(server)
    server.stop()
    set_config(server, stanza(peer, "wrong"))
    server.start()
    wait_until(lambda: "permission denied" in server.log.read_text() or "invalid token" in server.log.read_text())
    assert sealed(server)
    server.stop()
    peer.stop()
    set_config(server, stanza(peer))
    server.start()
    wait_until(lambda: "connection refused" in server.tail())
    assert sealed(server)


def test_missing_parameters_end_the_start(lab):
    for text, error in (('key_name = "k"', "mount_path is required"), ('mount_path = "transit"', "key_name is required")):
        server = lab.server("s" + text[:3], start=False, config='seal "transit" { %s }' % text)
        with pytest.raises(AssertionError, match=error):
            server.start()
        server.proc = None
