"""What a seal is given that it should not be: the list, with the tests that show each, and those that no other file has."""
import base64
import sqlite3

import pytest
import test_awskms
import test_cloud_seals
import test_openpgp
import test_seal_migration
import test_seals
import test_transit_seal
from test_awskms import NO_AWS, stanza
from test_seals import init, sealed, set_config, static, wait_until

import kms

INVALID_SHARE = "invalid key: failed to verify recovery key: recovery key does not match submitted values"


@pytest.fixture
def service():
    with kms.AwsKms() as made:
        made.new_key("alias/unseal")
        yield made


def give(server, *keys, **more):
    for key in keys:
        last = server.call("PUT", "sys/unseal", {"key": key, **more}, token=None)
    return last


def shamir(lab, name="server"):
    server = lab.server(name)
    made = server.ok("PUT", "sys/init", {"secret_shares": 3, "secret_threshold": 2}).body
    server.root, server.keys = made["root_token"], made["keys_base64"]
    return server


@pytest.mark.parametrize("fault", ["deny", "Encrypt", "error", "garbage", "gone", "disabled"])
def test_init_beside_a_service_that_fails(lab, service, fault):
    """Nothing is written, and init can be called again."""
    server = lab.server(storage="file", config=stanza(service), env=NO_AWS)
    port = service.port
    if fault == "gone":
        service.stop()
    elif fault == "disabled":
        service.keys = dict.fromkeys(service.keys, False)
    else:
        service.faults = {fault}
    refused = server.call("PUT", "sys/init", {"recovery_shares": 3, "recovery_threshold": 2}, token=None)
    assert refused.status == 500 and "failed to encrypt keys for storage" in refused.body["errors"][0], refused
    assert not server.call("GET", "sys/init").body["initialized"] and not list(server.store.rglob("_*"))
    service.faults, service.keys = set(), dict.fromkeys(service.keys, True)
    if fault == "gone":
        again = kms.AwsKms(port)
        again.keys, again.aliases = service.keys, service.aliases
    init(server)
    server.stop()
    if fault == "gone":
        again.stop()


@pytest.mark.parametrize("what", ["init", "start", "unseal"])
def test_the_end_does_not_wait_for_a_service_that_is_silent(lab, service, what):
    server = lab.server(config=stanza(service), env=NO_AWS)
    if what != "init":
        init(server)
    if what == "unseal":
        server.ok("PUT", "sys/seal")
    if what == "start":
        server.stop()
    service.slow_s = 25.0
    if what == "start":
        server.start()
    else:
        body = {"recovery_shares": 1, "recovery_threshold": 1} if what == "init" else {"key": server.keys[0]}
        path = "sys/init" if what == "init" else "sys/unseal"
        if what == "unseal":
            server.call("PUT", path, body, token=None)
            body = {"key": server.keys[1]}
        with pytest.raises(OSError):
            server.call("PUT", path, body, token=None, timeout=1)
        # while init is under way, whether there is a store is asked behind it
    assert what == "init" or server.call("GET", "sys/seal-status", token=None, timeout=5).body["sealed"]
    server.signal(15)
    assert server.proc.wait(15) == 0
    server.proc = None


def test_a_key_that_does_not_exist(lab, service):
    server = lab.server(config=stanza(service), env=NO_AWS)
    init(server)
    server.stop()
    set_config(server, stanza(service, key="alias/none").split("# seals\n")[1])
    server.start()
    wait_until(lambda: "NotFoundException" in server.tail())
    assert sealed(server) and server.call("GET", "sys/health", token=None).status == 503


def test_a_clock_that_is_behind(lab, service):
    service.ahead = -7200
    init(lab.server(config=stanza(service), env=NO_AWS))


def test_shares_of_another_set(lab):
    mine, other = shamir(lab), shamir(lab, "other")
    for keys in ((mine.keys[0], other.keys[1]), other.keys[:2]):
        bad = give(mine, *keys)
        assert bad.status == 400 and "message authentication failed" in bad.body["errors"][0], bad
        assert mine.call("GET", "sys/seal-status").body["progress"] == 0
    assert give(mine, *mine.keys[:2]).body["sealed"] is False
    mine.stop()
    before = {p.name: p.read_bytes() for p in mine.store.iterdir()}
    set_config(mine, static())
    mine.start()
    bad = give(mine, mine.keys[0], other.keys[1], migrate=True)
    assert bad.status == 400 and "message authentication failed" in bad.body["errors"][0], bad
    mine.stop()
    assert before == {p.name: p.read_bytes() for p in mine.store.iterdir()}


def test_recovery_shares_of_another_set(lab):
    mine, other = (lab.server(name, config="# seals\n" + static()) for name in ("mine", "other"))
    init(mine), init(other)
    mine.ok("PUT", "sys/seal")
    for keys in ((mine.keys[0], other.keys[1]), other.keys[:2]):
        bad = give(mine, *keys)
        assert bad.status == 400 and bad.body["errors"] == [INVALID_SHARE], bad
    assert give(mine, *mine.keys[:2]).body["sealed"] is False


def test_two_shares_of_one_place(lab):
    server = shamir(lab)
    share = bytearray(base64.b64decode(server.keys[0]))
    share[0] ^= 1
    bad = give(server, server.keys[0], base64.b64encode(share).decode())
    assert bad.status == 400 and "duplicate part" in bad.body["errors"][0], bad
    assert give(server, server.keys[0], server.keys[0]).body["progress"] == 1
    assert give(server, server.keys[2]).body["sealed"] is False


@pytest.mark.parametrize("kind", ["static", "awskms"])
def test_flipped_bits_of_the_recovery_key(lab, service, kind):
    """It opens by itself, shares open nothing, and nothing is written over it."""
    server = lab.server(config=stanza(service) if kind == "awskms" else "# seals\n" + static(), env=NO_AWS)
    init(server)
    server.stop()
    path = next(p for p in server.store.iterdir() if p.suffix in (".db", ".sqlite"))
    with sqlite3.connect(path) as db:
        (blob,) = db.execute("select value from kv where key = ?", (b"core/recovery-key",)).fetchone()
        bad = bytes([*blob[:12], blob[12] ^ 1, *blob[13:]])
        db.execute("update kv set value = ? where key = ?", (bad, b"core/recovery-key"))
    db.close()
    server.start()
    server.active()
    server.ok("PUT", "sys/seal")
    refused = give(server, *server.keys[:2])
    assert refused.status >= 400 and sealed(server), refused
    server.stop()
    with sqlite3.connect(path) as db:
        assert db.execute("select value from kv where key = ?", (b"core/recovery-key",)).fetchone() == (bad,)
        db.execute("update kv set value = ? where key = ?", (blob, b"core/recovery-key"))
    db.close()
    server.start()
    server.active()
    server.ok("PUT", "sys/seal")
    assert give(server, *server.keys[:2]).body["sealed"] is False


FAILING = test_awskms.test_a_service_that_fails_is_waited_for  # deny, Decrypt, error, garbage, wrong, gone, disabled, slow
SHOWN_BY = {
    "the service refuses": [FAILING, test_init_beside_a_service_that_fails, test_awskms.test_recovery_shares_while_the_service_refuses,
                            test_cloud_seals.test_google_refuses, test_cloud_seals.test_azure_refuses, test_transit_seal.test_refused_and_gone,
                            test_seal_migration.test_a_service_that_refuses_leaves_the_store_as_it_was],
    "it is slow, or silent": [FAILING, test_the_end_does_not_wait_for_a_service_that_is_silent],
    "it is gone": [FAILING, test_init_beside_a_service_that_fails, test_awskms.test_losing_it_later_stops_nothing,
                   test_transit_seal.test_refused_and_gone, test_seals.test_a_program_is_asked],
    "it answers garbage": [FAILING, test_init_beside_a_service_that_fails],
    "it answers another plaintext": [FAILING],
    "a wrong key": [test_a_key_that_does_not_exist, test_seals.test_a_new_key_takes_over],
    "a disabled key": [FAILING, test_init_beside_a_service_that_fails],
    "a rotated key": [test_seals.test_a_new_key_takes_over, test_awskms.test_another_key_behind_the_alias,
                      test_cloud_seals.test_google_with_a_service_account, test_cloud_seals.test_azure_with_a_secret,
                      test_transit_seal.test_beside_openbao],
    "a wrong clock": [test_awskms.test_a_wrong_clock, test_a_clock_that_is_behind],
    "a flipped bit": [test_seals.test_flipped_bits_are_noticed, test_flipped_bits_of_the_recovery_key],
    "a share of another set": [test_shares_of_another_set, test_recovery_shares_of_another_set, test_seal_migration.test_there_and_back],
    "the same share twice": [test_two_shares_of_one_place, test_seals.test_the_same_share_counts_once],
    "a PGP key that cannot encrypt": [test_openpgp.test_life, test_openpgp.test_recovery_shares],
    "`migrate` when nothing is due": [test_seal_migration.test_there_and_back],
    "no `migrate` when it is": [test_seal_migration.test_there_and_back, test_seal_migration.test_from_service_to_service],
    "a stanza that does not fit": [test_seal_migration.test_what_does_not_fit_ends_the_start, test_seals.test_wrong_configurations_end_it,
                                   test_cloud_seals.test_missing_parameters_end_the_start, test_transit_seal.test_missing_parameters_end_the_start],
}
