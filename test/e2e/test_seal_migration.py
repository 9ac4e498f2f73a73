"""From shares to a key service, back, and between services: by the API, by the command line, and cut short anywhere."""
import base64
import os
import re

import pytest
from test_awskms import NO_AWS, stanza
from test_seals import KEYS, init, sealed, set_config, static, wait_until

import kms

PENDING = "migrate option not provided and seal migration is pending"


def give(server, keys, migrate=True, status=200):
    for key in keys:
        last = server.call("PUT", "sys/unseal", {"key": key, "migrate": migrate}, token=None)
    assert last.status == status, last
    return last.body


def seal_status(server):
    return server.call("GET", "sys/seal-status", token=None).body


def shamir(lab, storage="sqlite", name="server"):
    server = lab.server(name, storage=storage)
    made = server.ok("PUT", "sys/init", {"secret_shares": 3, "secret_threshold": 2}).body
    server.root, server.keys = made["root_token"], made["keys_base64"]
    give(server, server.keys[:2], migrate=False)
    server.active()
    server.ok("POST", "sys/mounts/kv", {"type": "kv"})
    server.ok("POST", "kv/a", {"v": "1"})
    server.stop()
    return server


def usable(server):
    server.active()
    assert server.ok("GET", "kv/a").data == {"v": "1"}


def disabled(text):
    return text.replace("seal \"static\" {\n", "seal \"static\" {\n  disabled = \"true\"\n")


@pytest.mark.parametrize("storage", ["sqlite", "file"])
def test_there_and_back(lab, storage):
    server = shamir(lab, storage)
    set_config(server, static())
    server.start()
    s = seal_status(server)
    assert (s["type"], s["t"], s["n"], s["migration"], s["recovery_seal"], s["sealed"]) == ("shamir", 2, 3, True, True, True)
    assert server.call("PUT", "sys/unseal", {"key": server.keys[0]}, token=None).body["errors"] == [PENDING]
    one = give(server, server.keys[:1])
    assert (one["progress"], one["migration"], one["recovery_seal"]) == (1, True, True)
    done = give(server, server.keys[1:2])
    assert (done["sealed"], done["migration"], done["recovery_seal"], done["type"], done["t"]) == (False, False, True, "shamir", 2)
    usable(server)
    for line in ("entering seal migration mode", "seal migration initiated", "migrating from shamir to auto-unseal", "seal migration complete"):
        assert line in server.log.read_text(), line
    server.stop()
    server.start()
    usable(server)
    refused = server.call("PUT", "sys/unseal", {"key": server.keys[0], "migrate": True}, token=None)
    assert refused.status == 500 and refused.body["errors"] == ["can't perform a seal migration, no migration seal found"]
    server.ok("PUT", "sys/seal")
    give(server, server.keys[1:], migrate=False)  # the old unseal shares are recovery shares
    usable(server)
    server.stop()

    set_config(server, disabled(static()))
    server.start()
    s = seal_status(server)
    assert (s["type"], s["t"], s["n"], s["migration"], s["recovery_seal"]) == ("shamir", 2, 3, True, False)
    wrong = base64.b64encode(os.urandom(33)).decode()
    assert "recovery key does not match" in give(server, [server.keys[0], wrong], status=400)["errors"][0]
    give(server, server.keys[:2])
    usable(server)
    assert "migrating from one auto-unseal to shamir" in server.log.read_text()
    server.stop()
    server.start()  # the stanza may stay for a while
    assert seal_status(server)["migration"] is False
    give(server, server.keys[:2], migrate=False)
    usable(server)
    server.stop()
    set_config(server, "")
    server.start()
    assert sealed(server)
    give(server, server.keys[1:], migrate=False)
    usable(server)


@pytest.mark.parametrize("same_type", [False, True])
def test_from_service_to_service(lab, same_type):
    with kms.AwsKms() as service:
        service.new_key("alias/unseal")
        first = static() if same_type else stanza(service).split("# seals\n")[1]
        server = lab.server(config="# seals\n" + first, env=NO_AWS)
        init(server)
        server.ok("POST", "sys/mounts/kv", {"type": "kv"})
        server.ok("POST", "kv/a", {"v": "1"})
        server.stop()
        old = disabled(first) if same_type else stanza(service, disabled=True).split("# seals\n")[1]
        set_config(server, old + static("two"))
        server.start()
        wait_until(lambda: seal_status(server)["migration"])
        assert give(server, server.keys[:1], migrate=False, status=500)["errors"] == [PENDING]
        give(server, server.keys[:2])
        usable(server)
        assert "migrating from one auto-unseal to another" in server.log.read_text()
        server.stop()
        server.start()
        wait_until(lambda: not seal_status(server)["migration"])
        give(server, server.keys[1:], migrate=False)
        usable(server)
        server.stop()
    set_config(server, static("two"))
    server.start()
    usable(server)


def test_what_does_not_fit_ends_the_start(lab):
    server = shamir(lab)
    set_config(server, static())
    server.start()
    give(server, server.keys[:2])
    server.stop()
    for text, error in (("", 'Error initializing core: cannot seal migrate from "static" to Shamir, no disabled seal in configuration'),
                        ('seal "exec" { command = "/bin/cat" }', 'cannot seal migrate from "static" to "exec", no disabled seal in configuration')):
        set_config(server, text)
        with pytest.raises(AssertionError, match=re.escape(error)):
            server.start()
        server.proc = None


def test_a_service_that_refuses_leaves_the_store_as_it_was(lab):
    server = shamir(lab)
    with kms.AwsKms() as service:
        service.new_key("alias/unseal")
        server.env = NO_AWS
        set_config(server, stanza(service).split("# seals\n")[1])
        server.start()
        service.faults = {"Encrypt"}
        assert "AccessDeniedException" in give(server, server.keys[:2], status=500)["errors"][0]
        assert sealed(server) and seal_status(server)["migration"] is True
        service.faults = set()
        give(server, server.keys[:2])
        usable(server)
        server.stop()


def test_story_1(lab):
    """A single server with shares, then auto-unseal, then back: by the command line."""
    with kms.AwsKms() as service:
        service.new_key("alias/unseal")
        server = lab.server(storage="file", env=NO_AWS)
        out = server.cli("operator", "init", token=None).stdout.splitlines()
        keys = [line.split(": ")[1] for line in out if line.startswith("Unseal Key")]
        server.root = [line.split(": ")[1] for line in out if line.startswith("Initial Root Token")][0]
        assert len(keys) == 5

        def rows(args=("status",)):
            return dict(re.split(r"\s{2,}", line, maxsplit=1) for line in server.cli(*args, token=None).stdout.splitlines()[2:])

        def unseal(*flags):
            return [rows(("operator", "unseal", *flags, key)) for key in keys[:3]]

        status = rows()
        assert (status["Seal Type"], status["Sealed"], status["Total Shares"], status["Threshold"], status["Unseal Progress"],
                status["Unseal Nonce"]) == ("shamir", "true", "5", "3", "0/3", "n/a"), status
        assert [r.get("Unseal Progress") for r in unseal()] == ["1/3", "2/3", None]
        server.active()
        server.ok("POST", "sys/mounts/kv", {"type": "kv"})
        server.ok("POST", "kv/a", {"v": "1"})
        server.stop()
        server.start()
        assert rows()["Sealed"] == "true"
        unseal()
        server.stop()

        set_config(server, stanza(service).split("# seals\n")[1])
        server.start()
        assert rows()["Seal Migration in Progress"] == "true"
        assert unseal("-migrate")[2]["Sealed"] == "false"
        usable(server)
        assert rows()["Recovery Seal Type"] == "shamir" and rows()["Total Recovery Shares"] == "5"
        server.stop()
        server.start()
        usable(server)
        server.stop()

        set_config(server, stanza(service, disabled=True).split("# seals\n")[1])
        server.start()
        assert unseal("-migrate")[2]["Sealed"] == "false"
        usable(server)
        server.stop()
    set_config(server, "")
    server.start()
    unseal()
    usable(server)
    assert rows()["Seal Type"] == "shamir"


@pytest.mark.parametrize("storage", ["sqlite", "file"])
def test_offline_in_one_go(lab, storage):
    server = shamir(lab, storage)

    def run(*args):
        return server.cli("operator", "seal-migrate", "-config=%s" % server.config, *args, token=None)

    out = run()
    assert out.returncode == 0 and 'Nothing to do: the store is sealed by "shamir"' in out.stdout, out
    set_config(server, static())
    wrong = base64.b64encode(os.urandom(33)).decode()
    before = {p: p.read_bytes() for p in server.store.rglob("*") if p.is_file()} if storage == "file" else {}
    for args in (("-dry-run", server.keys[0], wrong), (server.keys[0], wrong), (server.keys[0], server.keys[0])):
        out = run(*args)
        assert out.returncode == 1, out
    out = run("-dry-run", *server.keys[:2])
    assert out.returncode == 0 and "Nothing was changed" in out.stdout, out
    assert all(p.read_bytes() == data for p, data in before.items())
    out = run(*server.keys[:2])
    assert out.returncode == 0 and 'Success! The store is sealed by "static" now' in out.stdout, out
    server.start()
    usable(server)
    server.stop()
    set_config(server, disabled(static()))
    out = run(*server.keys[1:])
    assert out.returncode == 0 and 'sealed by "shamir" now' in out.stdout, out
    set_config(server, "")
    server.start()
    assert run().returncode == 1  # a server has the store
    give(server, server.keys[:2], migrate=False)
    usable(server)
