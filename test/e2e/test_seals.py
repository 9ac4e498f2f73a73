"""Key services: a server that unseals by itself, from init over restarts to the day its service is gone."""
import base64
import json
import os
import stat
import subprocess
import time

import pytest

import lab as lab_module

STATIC = 'seal "static" {\n  current_key = "%s"\n  current_key_id = "%s"\n%s}\n'
KEYS = {name: os.urandom(32).hex() for name in ("one", "two")}
KEY_PROGRAM = """#!/bin/sh
# XORs with a byte, which is enough to see that it was asked
[ -e "$0.away" ] && { echo "the token is away" >&2; exit 3; }
echo "$1 $COFFER_SEAL_KEY_ID" >> "$0.calls"
exec %s -c 'import sys; sys.stdout.buffer.write(bytes(b ^ 0x5a for b in sys.stdin.buffer.read()))'
"""


def static(name="one", old=None):
    previous = '  previous_key = "%s"\n  previous_key_id = "%s"\n' % (KEYS[old], old) if old else ""
    return STATIC % (KEYS[name], name, previous)


def wait_until(fn, seconds=20.0):
    end = time.monotonic() + seconds
    while not (got := fn()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return got


def sealed(server):
    return server.call("GET", "sys/seal-status", token=None).body["sealed"]


def set_config(server, text):
    """Everything below the marker line is the seals'."""
    head = server.config.read_text().split("# seals\n")[0]
    server.config.write_text(head + "# seals\n" + text)


def key_program(folder):
    import sys
    program = folder / "keys"
    program.write_text(KEY_PROGRAM % sys.executable)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def init(server, shares=3, threshold=2):
    made = server.call("PUT", "sys/init", {"recovery_shares": shares, "recovery_threshold": threshold}, token=None)
    assert made.status == 200, made
    assert made.body["keys"] == [] and made.body["keys_base64"] == []
    assert len(made.body["recovery_keys"]) == len(made.body["recovery_keys_base64"]) == shares
    server.root, server.keys = made.body["root_token"], made.body["recovery_keys_base64"]
    server.active()
    return made.body


def test_from_init_to_restart(lab):
    server = lab.server(config="# seals\n" + static())
    status = server.call("GET", "sys/seal-status", token=None).body
    assert (status["type"], status["initialized"], status["recovery_seal"], status["t"], status["n"]) == ("static", False, True, 0, 0)
    wait_until(lambda: "failed to unseal core: error=\"stored unseal keys are supported, but none were found\"" in server.tail())
    assert server.call("GET", "sys/health", token=None).status == 501
    refused = server.call("PUT", "sys/init", {"secret_shares": 3, "secret_threshold": 2}, token=None)
    assert refused.status == 400
    assert refused.body["errors"] == ["parameters secret_shares,secret_threshold not applicable to seal type static"]
    init(server)
    status = server.call("GET", "sys/seal-status", token=None).body
    assert (status["type"], status["sealed"], status["t"], status["n"], status["recovery_seal"], status["migration"]) == \
        ("shamir", False, 2, 3, True, False)
    server.ok("POST", "sys/mounts/kv", {"type": "kv"})
    server.ok("POST", "kv/a", {"v": "1"})
    server.stop()
    server.start()
    server.active()
    assert server.ok("GET", "kv/a").data == {"v": "1"}
    assert "core: unsealed with stored key" in server.tail()


def test_sealed_on_purpose_it_stays_so(lab):
    server = lab.server(config="# seals\n" + static())
    init(server)
    server.ok("PUT", "sys/seal")
    time.sleep(6)
    assert sealed(server)
    wrong = base64.b64encode(os.urandom(33)).decode()
    assert server.call("PUT", "sys/unseal", {"key": server.keys[0]}, token=None).body["progress"] == 1
    bad = server.call("PUT", "sys/unseal", {"key": wrong}, token=None)
    assert bad.status == 400 and bad.body["errors"] == \
        ["invalid key: failed to verify recovery key: recovery key does not match submitted values"]
    assert server.call("GET", "sys/seal-status", token=None).body["progress"] == 0
    for key in server.keys[:2]:
        last = server.call("PUT", "sys/unseal", {"key": key}, token=None)
    assert last.status == 200 and last.body["sealed"] is False
    server.active()


def test_a_new_key_takes_over(lab):
    server = lab.server(storage="file", config="# seals\n" + static())
    init(server)
    server.stop()
    set_config(server, static("two", old="one"))
    server.start()
    server.active()
    wait_until(lambda: "upgrading stored keys" in server.tail() and "upgrading recovery key" in server.tail())
    server.stop()
    set_config(server, static("two"))
    server.start()
    server.active()
    for key in server.keys[:2]:
        server.call("PUT", "sys/unseal", {"key": key}, token=None)
    server.stop()
    set_config(server, static("one"))
    server.start()
    wait_until(lambda: "unknown key id for data: `two`" in server.tail())
    assert sealed(server) and server.call("GET", "sys/health", token=None).status == 503


def test_wrong_configurations_end_it(lab):
    for text, error in (
            ('seal "nonsense" {}', 'Error parsing Seal configuration: Unknown KMS type "nonsense"'),
            ('seal "pkcs11" {}', "Error parsing Seal configuration: KMS type 'pkcs11' requires the Vault Enterprise HSM binary"),
            ('seal "static" { current_key_id = "a" }', "Error parsing Seal configuration: static: current_key is required"),
            ('seal "static" { current_key = "aa" current_key_id = "a" }', "current_key must be 32 bytes"),
            ('seal "shamir" { disabled = "true" }', "Shamir seals cannot be set disabled"),
            ('seal "exec" { command = "relative" }', "begins with an absolute path")):
        server = lab.server("s%d" % abs(hash(text)), start=False, config=text)
        out = subprocess.run([server.binary, "server", "-config=%s" % server.config], capture_output=True, text=True, timeout=20,
                             env=lab_module.clean_env(), check=False)
        assert out.returncode == 1 and error in out.stdout + out.stderr, (text, out)


def test_a_program_is_asked(lab):
    program = key_program(lab.folder)
    server = lab.server(config='# seals\nseal "exec" {\n  command = ["%s"]\n  key_id = "k1"\n}\n' % program)
    init(server)
    calls = (program.parent / "keys.calls").read_text().split("\n")
    assert "encrypt k1" in calls and "decrypt k1" in calls
    server.stop()
    away = program.parent / "keys.away"
    away.touch()
    server.start()
    wait_until(lambda: "exec: decrypt: the program ended with status 3" in server.tail())
    assert 'stderr="the token is away"' in server.tail()
    assert sealed(server) and server.call("GET", "sys/health", token=None).status == 503
    away.unlink()
    server.active()
    out = server.cli("status", token=None)
    assert out.returncode == 0 and "Recovery Seal Type" in out.stdout and "Total Recovery Shares    3" in out.stdout, out.stdout


def rekey(server, target, body, keys):
    begun = server.call("PUT", "sys/%s/init" % target, body, token=None)
    assert begun.status == 200, begun
    for key in keys:
        last = server.call("PUT", "sys/%s/update" % target, {"key": key, "nonce": begun.body["nonce"]}, token=None)
        if last.status != 200:
            return last
    return last


@pytest.mark.parametrize("storage", ["sqlite", "file"])
def test_new_recovery_shares(lab, storage):
    server = lab.server(storage=storage, config="# seals\n" + static())
    init(server)
    wrong = [server.keys[0], base64.b64encode(os.urandom(33)).decode()]
    assert "recovery key does not match" in rekey(server, "rekey-recovery-key", {"secret_shares": 4, "secret_threshold": 3}, wrong).body["errors"][0]
    server.call("DELETE", "sys/rekey-recovery-key/init", token=None)
    done = rekey(server, "rekey-recovery-key", {"secret_shares": 4, "secret_threshold": 3}, server.keys[:2])
    assert done.body["complete"] and len(done.body["keys"]) == 4, done
    old, server.keys = server.keys, done.body["keys_base64"]
    status = server.call("GET", "sys/seal-status", token=None).body
    assert (status["t"], status["n"]) == (3, 4)
    verified = rekey(server, "rekey-recovery-key", {"secret_shares": 3, "secret_threshold": 2, "require_verification": True}, server.keys[:3])
    new, nonce = verified.body["keys_base64"], verified.body["verification_nonce"]
    assert server.call("GET", "sys/seal-status", token=None).body["n"] == 4
    for key in new[:2]:
        last = server.call("PUT", "sys/rekey-recovery-key/verify", {"key": key, "nonce": nonce}, token=None)
    assert last.body["complete"], last
    server.ok("PUT", "sys/seal")
    for key in old[:2]:
        last = server.call("PUT", "sys/unseal", {"key": key}, token=None)
    assert last.status == 400
    for key in new[:2]:
        last = server.call("PUT", "sys/unseal", {"key": key}, token=None)
    assert last.body["sealed"] is False
    server.active()


@pytest.mark.parametrize("storage", ["sqlite", "file"])
def test_new_root_key_and_root_token_by_recovery_shares(lab, storage):
    server = lab.server(storage=storage, config="# seals\n" + static())
    init(server)
    server.ok("POST", "sys/mounts/kv", {"type": "kv"})
    server.ok("POST", "kv/a", {"v": "1"})
    for body, error in (({"require_verification": True}, "requiring verification not supported when rekeying the barrier key with recovery keys"),):
        refused = server.call("PUT", "sys/rekey/init", {"secret_shares": 3, "secret_threshold": 2, **body}, token=None)
        assert refused.status == 400 and refused.body["errors"] == [error], refused
    done = rekey(server, "rekey", {"secret_shares": 3, "secret_threshold": 2}, server.keys[:2])
    assert done.body["complete"] and done.body["keys"] == [], done
    status = server.call("GET", "sys/seal-status", token=None).body
    assert (status["t"], status["n"]) == (2, 3)
    begun = server.call("PUT", "sys/generate-root/attempt", {}, token=None).body
    for key in server.keys[1:]:
        last = server.call("PUT", "sys/generate-root/update", {"key": key, "nonce": begun["nonce"]}, token=None)
    encoded = base64.b64decode(last.body["encoded_token"] + "==")
    token = bytes(a ^ b for a, b in zip(encoded, begun["otp"].encode())).decode()
    assert server.ok("GET", "auth/token/lookup-self", token=token).data["policies"] == ["root"]
    server.stop()
    server.start()
    server.active()
    assert server.ok("GET", "kv/a").data == {"v": "1"}


def test_flipped_bits_are_noticed(lab):
    """Any bit of what the key service opens: the store stays shut, or the bit said nothing; and it opens once it is mended."""
    import sqlite3
    server = lab.server(config="# seals\n" + static())
    init(server)
    server.stop()
    path = next(p for p in server.store.iterdir() if p.suffix in (".db", ".sqlite"))
    with sqlite3.connect(path) as db:
        (blob,) = db.execute("select value from kv where key = ?", (b"core/hsm/barrier-unseal-keys",)).fetchone()
    for bit in range(0, 8 * len(blob), 97):
        bad = bytearray(blob)
        bad[bit // 8] ^= 1 << bit % 8
        with sqlite3.connect(path) as db:
            db.execute("update kv set value = ? where key = ?", (bytes(bad), b"core/hsm/barrier-unseal-keys"))
        server.start()
        wait_until(lambda: "failed to unseal core" in server.tail().rsplit("attempting fetch", 1)[-1] or not sealed(server))
        server.stop()
    with sqlite3.connect(path) as db:
        db.execute("update kv set value = ? where key = ?", (blob, b"core/hsm/barrier-unseal-keys"))
    server.start()
    server.active()


def test_the_same_share_counts_once(lab):
    server = lab.server(config="# seals\n" + static())
    init(server)
    server.ok("PUT", "sys/seal")
    for _ in range(3):
        assert server.call("PUT", "sys/unseal", {"key": server.keys[0]}, token=None).body["progress"] == 1
    assert sealed(server)


def test_settings_of_recovery_shares_inside_the_barrier(lab):
    """As very old stores have them: they move out once the node is active; what cannot be read stays where it is."""
    server = lab.server(storage="file", config="raw_storage_endpoint = true\n# seals\n" + static())
    init(server)
    outside, inside = (server.store / "core" / name for name in ("_recovery-config", "_recovery-seal-config"))
    text = base64.b64decode(json.loads(outside.read_text())["Value"]).decode()

    def as_it_was(value):
        server.ok("PUT", "sys/raw/core/recovery-seal-config", {"value": value})
        server.stop()
        outside.unlink(missing_ok=True)
        return server

    as_it_was("{}").start()
    server.active()
    wait_until(lambda: "the settings of the recovery shares cannot be moved" in server.tail())
    assert server.call("GET", "sys/seal-status", token=None).body["t"] == 0 and inside.exists() and not outside.exists()
    as_it_was(text)
    set_config(server, static().replace("{\n", '{\n  disabled = "true"\n', 1))
    with pytest.raises(AssertionError, match="Cannot migrate seals while using a legacy recovery seal config"):
        server.start()
    server.proc = None
    set_config(server, static())
    server.start()
    server.active()
    wait_until(lambda: server.call("GET", "sys/seal-status", token=None).body["t"] == 2)
    assert not inside.exists()
    assert base64.b64decode(json.loads(outside.read_text())["Value"]).decode() == text
    server.ok("PUT", "sys/seal")
    for key in server.keys[:2]:
        last = server.call("PUT", "sys/unseal", {"key": key}, token=None)
    assert last.body["sealed"] is False
