"""OpenPGP: what init, rekey and generate-root encrypt opens with GnuPG, given the keys as the command line takes them."""
import base64
import json
import os
import subprocess
import sys

import lab as lab_module
import pytest
from test_seals import static

READER = str(lab_module.ROOT / "test/golden/tools/read-store")


class Ring:
    """A keyring of the test's own."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(mode=0o700)
        self.fingerprints = {}

    def run(self, *args, data=b""):
        made = subprocess.run(["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", *args], input=data,
                              capture_output=True, env={**os.environ, "GNUPGHOME": str(self.folder)}, timeout=60)
        assert made.returncode == 0, made.stderr
        return made.stdout

    def add(self, name, algorithm="rsa2048"):
        self.run("--quick-gen-key", name, algorithm, "default", "never")
        listed = self.run("--with-colons", "--list-keys", name).decode()
        fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
        if algorithm == "rsa2048":
            self.run("--quick-add-key", fingerprint, "rsa2048", "encr", "never")
        self.fingerprints[name] = fingerprint.lower()

    def end(self):
        subprocess.run(["gpgconf", "--kill", "all"], env={**os.environ, "GNUPGHOME": str(self.folder)}, check=False)

    def open(self, message):
        return self.run("--decrypt", data=base64.b64decode(message)).decode()


@pytest.fixture
def ring(tmp_path_factory):
    made = Ring(tmp_path_factory.mktemp("g") / "r")  # short: the agent's socket lies there
    made.add("ann")
    made.add("bob", "future-default")
    made.add("signs", "ed25519")
    yield made
    made.end()


@pytest.fixture
def files(ring, tmp_path):
    """Each key as one of the forms that a file may have."""
    binary, text, armored, signs = (tmp_path / name for name in ("ann.gpg", "ann.b64", "bob.asc", "signs.gpg"))
    binary.write_bytes(ring.run("--export", "ann"))
    text.write_text(base64.b64encode(ring.run("--export", "ann")).decode() + "\n")
    armored.write_bytes(ring.run("--armor", "--export", "bob"))
    signs.write_bytes(ring.run("--export", "signs"))
    return binary, text, armored, signs


def ok(server, *args, **more):
    made = server.cli(*args, **more)
    assert made.returncode == 0, (args, made.stdout, made.stderr)
    return made.stdout


def unsealed(server, shares):
    for share in shares:
        ok(server, "operator", "unseal", share)
    return server.active()


def test_life(lab, ring, files, tmp_path):
    binary, text, armored, signs = files
    server = lab.server(storage="file")
    refused = server.cli("operator", "init", "-n=2", "-t=2", "-pgp-keys=%s,%s" % (binary, signs))
    assert refused.returncode == 2 and "error setting up encryption for PGP message" in refused.stderr
    assert not server.call("GET", "sys/init").body["initialized"]
    made = json.loads(ok(server, "operator", "init", "-n=3", "-t=2", "-format=json", "-root-token-pgp-key=@%s" % armored,
                         "-pgp-keys=%s,%s,%s" % (binary, text, armored)))
    shares = [ring.open(message) for message in made["unseal_keys_b64"]]
    assert all(len(share) == 66 for share in shares) and len(set(shares)) == 3
    assert bytes.fromhex(made["unseal_keys_hex"][0]) == base64.b64decode(made["unseal_keys_b64"][0])
    server.root = ring.open(made["root_token"])
    unsealed(server, shares[:2])
    ok(server, "token", "lookup")
    audit = tmp_path / "audit.log"
    ok(server, "audit", "enable", "file", "file_path=%s" % audit, "log_raw=true")

    # rekey, kept by the server, with the new shares given back
    started = json.loads(ok(server, "operator", "rekey", "-init", "-n=2", "-t=2", "-verify", "-backup", "-format=json",
                            "-pgp-keys=%s,%s" % (binary, armored)))
    assert started["pgp_fingerprints"] == [ring.fingerprints["ann"], ring.fingerprints["bob"]]
    nonce = "-nonce=" + started["nonce"]
    ok(server, "operator", "rekey", nonce, shares[1])
    made = json.loads(ok(server, "operator", "rekey", nonce, "-format=json", "-", stdin=shares[2]))
    new = [ring.open(message) for message in made["keys_base64"]]
    nonce = "-nonce=" + made["verification_nonce"]
    ok(server, "operator", "rekey", "-verify", nonce, new[1])
    ok(server, "operator", "rekey", "-verify", nonce, new[0])
    kept = json.loads(ok(server, "operator", "rekey", "-backup-retrieve", "-format=json"))["data"]
    assert ring.open(kept["KeysB64"][ring.fingerprints["bob"]][0]) == new[1]
    ok(server, "operator", "rekey", "-backup-delete")

    # a root token for bob
    started = json.loads(ok(server, "operator", "generate-root", "-init", "-pgp-key=%s" % armored, "-format=json"))
    assert started["pgp_fingerprint"] == ring.fingerprints["bob"] and not started["otp"]
    nonce = "-nonce=" + started["nonce"]
    ok(server, "operator", "generate-root", nonce, new[0])
    made = json.loads(ok(server, "operator", "generate-root", nonce, "-format=json", new[1]))
    ok(server, "token", "lookup", token=ring.open(made["encoded_token"]))

    ok(server, "operator", "seal")
    unsealed(server, new)
    server.stop()
    read = subprocess.run([sys.executable, READER, "-k", new[0], "-k", new[1], str(server.store), "verify"], capture_output=True, text=True,
                          timeout=120)
    assert read.returncode == 0, read.stdout + read.stderr
    text = server.log.read_text(errors="replace")
    assert not any(secret in text for secret in shares + new + [server.root])
    raw = audit.read_text()  # a device that shows all other values in the clear
    assert "sys/generate-root/update" in raw and not any(share in raw for share in shares + new)


def test_recovery_shares(lab, ring, files):
    """Under a key service: the recovery shares are encrypted, at init and at a rekey that the server keeps."""
    binary, text, armored, signs = files
    server = lab.server(storage="file", config="# seals\n" + static())
    flags = ("-recovery-shares=2", "-recovery-threshold=2")
    for wrong, error in (((*flags, "-recovery-pgp-keys=%s,%s" % (binary, signs)), "error setting up encryption for PGP message"),
                         ((*flags, "-recovery-pgp-keys=%s" % binary), "incorrect number of PGP keys"),
                         (("-pgp-keys=%s" % binary,), "parameters pgp_keys not applicable to seal type static")):
        refused = server.cli("operator", "init", *wrong)
        assert refused.returncode == 2 and error in refused.stderr, refused
        assert not server.call("GET", "sys/init").body["initialized"]
    made = json.loads(ok(server, "operator", "init", *flags, "-format=json", "-recovery-pgp-keys=%s,%s" % (text, armored),
                         "-root-token-pgp-key=%s" % binary))
    assert made["unseal_keys_b64"] == [] and made["recovery_keys_shares"] == 2 and made["recovery_keys_threshold"] == 2
    assert bytes.fromhex(made["recovery_keys_hex"][0]) == base64.b64decode(made["recovery_keys_b64"][0])
    shares = [ring.open(message) for message in made["recovery_keys_b64"]]
    server.root = ring.open(made["root_token"])
    server.active()
    ok(server, "token", "lookup")
    config = json.loads(base64.b64decode(json.loads((server.store / "core/_recovery-config").read_text())["Value"]))
    assert config["pgp_keys"] == [base64.b64encode(ring.run("--export", name)).decode() for name in ("ann", "bob")]
    assert new_root(server, ring, armored, shares)

    begin = ("operator", "rekey", "-target=recovery", "-init", "-n=2", "-t=2", "-backup", "-format=json")
    started = json.loads(ok(server, *begin, "-pgp-keys=%s,%s" % (binary, signs)))
    ok(server, "operator", "rekey", "-target=recovery", "-nonce=" + started["nonce"], shares[0])
    refused = server.cli("operator", "rekey", "-target=recovery", "-nonce=" + started["nonce"], shares[1])
    assert refused.returncode == 2 and "error setting up encryption for PGP message" in refused.stderr, refused
    server.cli("operator", "rekey", "-target=recovery", "-cancel")
    assert new_root(server, ring, armored, shares)  # nothing was changed

    started = json.loads(ok(server, *begin, "-pgp-keys=%s,%s" % (binary, armored)))
    assert started["pgp_fingerprints"] == [ring.fingerprints["ann"], ring.fingerprints["bob"]] and started["backup"]
    nonce = "-nonce=" + started["nonce"]
    ok(server, "operator", "rekey", "-target=recovery", nonce, shares[0])
    made = json.loads(ok(server, "operator", "rekey", "-target=recovery", nonce, "-format=json", shares[1]))
    new = [ring.open(message) for message in made["keys_base64"]]
    kept = json.loads(ok(server, "operator", "rekey", "-target=recovery", "-backup-retrieve", "-format=json"))["data"]
    assert ring.open(kept["KeysB64"][ring.fingerprints["bob"]][0]) == new[1]
    ok(server, "operator", "rekey", "-target=recovery", "-backup-delete")
    assert server.cli("operator", "rekey", "-target=recovery", "-backup-retrieve").returncode == 2
    assert new_root(server, ring, armored, new)
    ok(server, "operator", "seal")
    unsealed(server, new)
    assert not any(secret in server.log.read_text(errors="replace") for secret in shares + new + [server.root])


def new_root(server, ring, key, shares):
    """A root token for who has `key`, by these shares; told whether it is one."""
    started = json.loads(ok(server, "operator", "generate-root", "-init", "-pgp-key=%s" % key, "-format=json"))
    for share in shares:
        made = json.loads(ok(server, "operator", "generate-root", "-nonce=" + started["nonce"], "-format=json", share))
    return "root" in ok(server, "token", "lookup", token=ring.open(made["encoded_token"]))
