"""./dev run --once: a first server from nothing, and its data still there the second time; `server -dev-tls`."""
import json
import os
import pathlib
import ssl
import stat
import subprocess
import time
import urllib.request

import lab as lab_module


def run_once(folder, port):
    env = lab_module.clean_env({"COFFER_DATA": str(folder), "COFFER_PORT": str(port)})
    return subprocess.run([str(lab_module.ROOT / "dev"), "run", "--once"], capture_output=True, text=True, timeout=300, env=env,
                          stdin=subprocess.DEVNULL, check=False)


def test_twice(lab):
    data, port = lab.folder / "data", lab_module.free_port()
    first = run_once(data, port)
    assert first.returncode == 0, first
    assert "hello from coffer" in first.stdout
    keys = data / "keys.json"
    assert stat.S_IMODE(os.stat(keys).st_mode) == 0o600
    token = json.loads(keys.read_text())["root_token"]
    assert "token    " + token in first.stdout
    assert "http://127.0.0.1:%d" % port in first.stdout
    second = run_once(data, port)
    assert second.returncode == 0, second
    assert "hello from coffer" in second.stdout and token in second.stdout
    assert len(lab_module.audit_entries(data / "audit.log")) > 4
    for name in ("audit.log", "coffer.log"):
        assert token not in (data / name).read_text()


def test_dev_tls(lab):
    """The certificate is good for the address under the CA that is printed; both are gone when the server ends."""
    port, note = lab_module.free_port(), lab.folder / "cluster.json"
    argv = [lab_module.BINARY, "server", "-dev-tls", "-dev-listen-address=127.0.0.1:%d" % port, "-dev-cluster-json=%s" % note,
            "-dev-no-store-token", "-dev-root-token-id=known"]
    server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              env=lab_module.clean_env({"HOME": str(lab.folder)}))
    try:
        deadline = time.monotonic() + 20
        while not note.exists() or not note.read_text():
            assert server.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        told = json.loads(note.read_text())
        ca = pathlib.Path(told["ca_cert_path"])
        assert (told["root_token"], stat.S_IMODE(note.stat().st_mode)) == ("known", 0o600)
        assert stat.S_IMODE((ca.parent / "vault-key.pem").stat().st_mode) == 0o400
        asked = urllib.request.Request(told["nodes"][0]["api_address"] + "/v1/sys/mounts", headers={"X-Vault-Token": "known"})
        with urllib.request.urlopen(asked, context=ssl.create_default_context(cafile=ca), timeout=10) as answer:
            assert "secret/" in json.load(answer)["data"]
    finally:
        server.terminate()
        out = server.communicate(timeout=20)[0]
    assert "    $ export VAULT_CACERT='%s'\n" % ca in out
    assert not ca.parent.exists()
