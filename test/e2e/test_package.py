"""The Debian package: what is in it, its unit, and the program from it with the configuration from it; backup and restore as documented."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess

import pytest

from lab import BINARY, ROOT

HOW_TO = (ROOT / "docs/how-to/backup.md").read_text()


def run(argv, **more):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, **more)
    assert done.returncode == 0, "%s: %s%s" % (argv, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    deb = run([ROOT / "packaging/build", BINARY, folder]).strip()
    run(["dpkg-deb", "-R", deb, folder / "root"])
    return folder / "root"


def test_what_is_in_it(unpacked):
    files = {str(p.relative_to(unpacked)) for p in unpacked.rglob("*") if p.is_file()}
    assert {"usr/bin/coffer", "lib/systemd/system/coffer.service", "etc/coffer.d/coffer.hcl", "usr/lib/sysusers.d/coffer.conf",
            "usr/share/doc/coffer/copyright", "usr/share/man/man1/coffer.1.gz",
            "usr/share/bash-completion/completions/coffer", "DEBIAN/control", "DEBIAN/conffiles", "DEBIAN/postinst"} <= files
    control = (unpacked / "DEBIAN/control").read_text()
    assert re.search(r"^Version: \d+\.\d+\.\d+$", control, re.M)
    assert oct((unpacked / "etc/coffer.d/coffer.hcl").stat().st_mode & 0o777) == "0o640"
    for script in ("postinst", "prerm", "postrm"):
        run(["sh", "-n", unpacked / "DEBIAN" / script])


def test_each_linked_library_is_a_dependency(unpacked):
    """The package of every library that the program is linked to, by dpkg's own list."""
    control = (unpacked / "DEBIAN/control").read_text()
    depends = set(re.findall(r"[a-z0-9.+-]+", re.search(r"^Depends: (.*)$", control, re.M)[1]))
    for path in re.findall(r"=> (/\S+)", run(["ldd", unpacked / "usr/bin/coffer"])):
        owner = subprocess.run(["dpkg", "-S", os.path.realpath(path)], capture_output=True, text=True, check=False).stdout.split(":")[0]
        if owner and re.search(re.escape(os.path.basename(path)), run(["readelf", "-d", unpacked / "usr/bin/coffer"])):
            assert owner in depends, "%s of %s" % (path, owner)


def test_the_unit_is_hardened(unpacked):
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze")
    said = run(["systemd-analyze", "security", "--offline=yes", unpacked / "lib/systemd/system/coffer.service"])
    assert float(re.search(r"Overall exposure level for coffer.service: ([\d.]+)", said)[1]) < 2.0


def test_the_program_starts_as_the_unit_starts_it(unpacked, lab):
    """The unit's command, with the example configuration moved to a free port and a folder of the test."""
    unit = (unpacked / "lib/systemd/system/coffer.service").read_text()
    argv = shlex.split(re.search(r"^ExecStart=(.*)$", unit, re.M)[1])
    assert argv[0] == "/usr/bin/coffer" and argv[2] == "-config=/etc/coffer.d"
    server = lab.server(binary=str(unpacked) + argv[0], start=False)
    example = (unpacked / "etc/coffer.d/coffer.hcl").read_text()
    server.config.write_text(example.replace("/var/lib/coffer", str(server.store)).replace("127.0.0.1:8200", "127.0.0.1:%d" % server.port)
                             + "disable_mlock = true\n")
    assert "Success!" in run([server.binary, "server", "-check", "-config=%s" % server.config])
    server.start().ready()
    server.ok("POST", "kv/a", {"v": "1"})
    assert server.call("GET", "kv/a").data == {"v": "1"}


def shell_blocks():
    return re.findall(r"```sh\n(.*?)```", HOW_TO, re.S)


def test_backup_and_restore_as_documented(lab, tmp_path):
    backup, restore = shell_blocks()
    (tmp_path / "backup").mkdir()
    server = lab.server(storage="sqlite").ready()
    for n in range(200):
        server.ok("POST", "kv/n%d" % n, {"v": n})
    new = lab.server("new", storage="sqlite", start=False)
    env = {**os.environ, "DATA": str(server.store), "BACKUP": str(tmp_path / "backup"), "NEW_DATA": str(new.store)}
    assert run(["bash", "-euc", backup], env=env).strip() == "ok"
    server.ok("POST", "kv/later", {"v": "not in the copy"})
    run(["bash", "-euc", restore], env=env)
    new.keys, new.root = server.keys, server.root
    server.stop()
    new.start().unseal()
    new.active()
    assert len(new.call("LIST", "kv/").data["keys"]) == 200
    assert new.call("GET", "kv/n199").data == {"v": 199}
    assert new.call("GET", "kv/later").status == 404
    assert pathlib.Path(new.store / "coffer.db").stat().st_mode & 0o077 == 0
