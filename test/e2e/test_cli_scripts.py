"""Scripts as operators have them run unchanged, whatever the program is called; and nothing secret stands in a process list."""
import pathlib
import subprocess

import lab as lab_module
import pytest

SCRIPTS = pathlib.Path(__file__).parent / "scripts"


@pytest.mark.parametrize("name", ["vault", "coffer", "bao"])
def test_first_day(lab, name):
    server = lab.server(storage="file")
    bin_folder, home = lab.folder / "bin", lab.folder / "home"
    bin_folder.mkdir()
    home.mkdir()
    (bin_folder / name).symlink_to(pathlib.Path(lab_module.BINARY).resolve())
    script = (SCRIPTS / "first-day.sh").read_text()
    if name != "vault":
        script = script.replace("vault ", name + " ")
    env = lab_module.clean_env({"VAULT_ADDR": server.addr, "HOME": str(home), "PATH": "%s:/usr/bin:/bin" % bin_folder})
    out = subprocess.run(["bash", "-x", "-c", script], cwd=home, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert out.returncode == 0 and out.stdout.endswith("done\n"), out.stderr[-3000:]


def test_diagnose(lab):
    server = lab.server(start=False, storage="file")
    out = server.cli("operator", "diagnose", "-config=%s" % server.config, token=None)
    assert out.returncode in (0, 2) and "the first start makes it" in out.stdout and "[ failure ]" not in out.stdout, out
    assert not server.store.exists(), "diagnose changes nothing"
    server.start()
    server.init()
    out = server.cli("operator", "diagnose", "-config=%s" % server.config, token=None)
    assert out.returncode == 2 and "in use by another server" in out.stdout and "address already in use" in out.stdout, out
    assert server.ok("GET", "sys/health").body["sealed"] is False
    server.stop()
    out = server.cli("operator", "diagnose", "-format=json", "-config=%s" % server.config, token=None)
    assert "storage opens, initialized" in out.stdout and out.returncode in (0, 2), out
    server.config.write_text(server.config.read_text().replace("tls_disable = true", 'tls_cert_file = "none.pem"\n tls_key_file = "none.key"'))
    out = server.cli("operator", "diagnose", "-skip=check storage", "-config=%s" % server.config, token=None)
    assert out.returncode == 1 and "none.pem" in out.stdout and "Check Storage" not in out.stdout, out
    server.config.write_text("storage {")
    out = server.cli("operator", "diagnose", "-config=%s" % server.config, token=None)
    assert out.returncode == 3 and "error loading configuration" in out.stderr, out
