"""After a seal no key is left in the process: neither raw nor in hex nor in base64. The keys come from an independent reader."""
import base64
import re
import subprocess
import sys

import lab as lab_module

READER = str(lab_module.ROOT / "test/golden/tools/read-store")


def keys_of(server):
    """Root key, keyring keys and unseal key, raw. The store is read while the server runs: it is not written to then."""
    shares = [word for key in server.keys for word in ("-k", key)]
    out = ""
    for command in ("keyring", "seal"):
        done = subprocess.run([sys.executable, READER, *shares, str(server.store), command], capture_output=True, text=True, check=True)
        out += done.stdout
    found = {bytes.fromhex(h) for h in re.findall(r"\b[0-9a-f]{64}\b", out)} | \
        {base64.b64decode(b) for b in re.findall(r'"([A-Za-z0-9+/]{43}=)"', out)}
    assert len(found) == 3, out
    return found


def memory_of(pid):
    with open("/proc/%d/maps" % pid, encoding="ascii") as maps, open("/proc/%d/mem" % pid, "rb", 0) as mem:
        for line in maps:
            low, high, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if mode.startswith("rw"):
                try:
                    mem.seek(int(low, 16))
                    yield line.strip(), mem.read(int(high, 16) - int(low, 16))
                except OSError:
                    pass  # a guard page


def seen_in_memory(server, keys):
    forms = [(k, form) for k in keys for form in (k, k.hex().encode(), base64.b64encode(k)[:42], base64.urlsafe_b64encode(k)[:42])]
    return [(key.hex(), where) for where, content in memory_of(server.proc.pid) for key, form in forms if form in content]


def test_no_key_is_left_after_seal(lab):
    server = lab.server(storage="file")
    server.init(shares=3, threshold=2)
    server.ok("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    keys = keys_of(server)
    clients = [server.client() for _ in range(8)]
    for n in range(400):
        clients[n % 8].call("POST", "kv/a%d" % (n % 50), {"v": n})
        clients[n % 8].call("GET", "kv/a%d" % (n % 50))
    assert seen_in_memory(server, keys), "the search finds nothing even while the server is open"
    server.ok("PUT", "sys/seal")
    assert server.ok("GET", "sys/seal-status", token=None).body["sealed"] is True
    assert seen_in_memory(server, keys) == []
    server.unseal()
    assert clients[0].call("GET", "kv/a1").status == 200
    server.ok("PUT", "sys/seal")
    assert seen_in_memory(server, keys) == []
