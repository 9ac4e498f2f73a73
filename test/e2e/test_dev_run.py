"""./dev run --once: a first server from nothing, and its data still there the second time."""
import json
import os
import stat
import subprocess

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
