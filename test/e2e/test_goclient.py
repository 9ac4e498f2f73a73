"""The Go client over TLS: goclient/main.go holds the conversations. Its modules lie in build/gomod since ./dev setup."""
import subprocess

import lab as lab_module
import verified

ROOT = lab_module.ROOT
CONVERSATIONS = "login approle kv1 kv2 tokens family policies wrapping leases audit mounts identity".split()


def built():
    program, modules = ROOT / "build/goclient", ROOT / "build/gomod"
    env = lab_module.clean_env({"GOFLAGS": "-mod=readonly -buildvcs=false -modcacherw", "GOPROXY": "off", "GOMODCACHE": str(modules),
                                "GOCACHE": str(ROOT / "build/gocache"), "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"})
    done = subprocess.run(["/usr/bin/go", "build", "-o", str(program), "."], cwd=ROOT / "test/e2e/goclient", env=env, capture_output=True,
                          text=True, timeout=300, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr
    return program


def test_conversations(lab):
    program = built()
    server, authority = verified.tls_server(lab)
    done = subprocess.run([str(program), server.addr, str(authority), server.root, str(lab.folder / "audit.log")], capture_output=True,
                          text=True, timeout=120, stdin=subprocess.DEVNULL, env=lab_module.clean_env({"HOME": str(lab.folder)}), check=False)
    assert done.stdout.split("\n")[:-1] == ["ok " + name for name in CONVERSATIONS], done.stdout + done.stderr
    assert done.returncode == 0
