"""What a server says of itself, state by state, beside what Vault answered: each recorded request is made again, in its order, in the state
that it was recorded in, and the answers are compared member by member, their order included where it was always the same.

The states of a standby are not played: two nodes need a storage with a lock that both reach.
"""
import json

import lab as lab_module
import pytest
from test_awskms import NO_AWS, stanza
from test_seals import set_config

import kms

RECORDED = json.loads((lab_module.ROOT / "test/golden/backends/status-by-state.json").read_text())
# Different in each run, on each machine, or with each storage: compared by their kind.
OWN = {"server_time_utc", "nonce", "version", "cluster_name", "cluster_id", "accessor", "uuid", "request_id", "hostname", "api_address",
       "cluster_address", "active_time", "leader_address", "leader_cluster_address", "storage_type", "root_token", "keys", "keys_base64",
       "recovery_keys", "recovery_keys_base64", "running_plugin_version"}
NO_ORDER = {"sys/mounts", "sys/ha-status"}  # members beside "data" again: before or behind the request's id
HA_NODE_COUNT = 1  # recorded with two


def kind(value):
    if isinstance(value, list):
        return [kind(v) for v in value]
    return (type(value).__name__, bool(value))


def shape(value):
    """With the members that differ by nature told by their kind; objects as lists of pairs."""
    if isinstance(value, dict):
        return [(k, kind(v) if k in OWN and not isinstance(v, dict) else shape(v)) for k, v in value.items()]
    return [shape(v) for v in value] if isinstance(value, list) else value


def sorted_shape(value):
    if isinstance(value, list):
        return sorted((sorted_shape(v) for v in value), key=repr)
    return tuple(sorted_shape(v) for v in value) if isinstance(value, tuple) else value


def compare(record, answer):
    what = "%s | %s %s %s" % (record["state"], record["method"], record["path"], record.get("request_body", ""))
    assert answer.status == record["status"], (what, answer)
    for name, value in record["headers"].items():
        if value == "no-store" or name == "Content-Type":
            assert answer.headers.get(name.lower()) == value, (what, name, answer.headers)
    if not record["body"]:
        assert not answer.raw, (what, answer)
        return
    expected, got = json.loads(record["body"]), json.loads(answer.raw)
    if record["path"] == "sys/metrics" and record["status"] == 200:  # the names are test_metrics.py's
        expected, got = list(expected), list(got)
    if record["path"] == "sys/ha-status" and record["status"] == 200:
        for part in (expected, expected["data"]):
            part["nodes"] = part["nodes"][:HA_NODE_COUNT]
    expected, got = shape(expected), shape(got)
    if record["path"] in NO_ORDER:
        expected, got = sorted_shape(expected), sorted_shape(got)
    assert got == expected, what


class Play:
    def __init__(self, server):
        self.server, self.keys, self.problems = server, {}, []

    def make(self, record):
        body = dict(record["request_body"]) if "request_body" in record else None
        if body and "key" in body:
            body["key"] = self.keys.get(body["key"], body["key"])
        answer = self.server.call(record["method"], record["path"], body)
        try:
            compare(record, answer)
        except AssertionError as e:
            self.problems.append(e)
        if record["path"] == "sys/init" and record["method"] == "PUT" and answer.status == 200:
            before = json.loads(record["body"])
            for name in ("keys_base64", "recovery_keys_base64"):
                self.keys.update(zip(before.get(name, []), answer.body.get(name, [])))
            self.server.root = answer.body["root_token"]

    def state(self, name):
        records = [r for r in RECORDED if r["state"] == name]
        assert records, name
        for record in records:
            self.make(record)

    def end(self):
        assert not self.problems, "\n".join(str(p) for p in self.problems)


@pytest.fixture
def service():
    with kms.AwsKms() as made:
        made.new_key("alias/unseal")
        yield made


def test_shares_and_migration(lab, service):
    server = lab.server(storage="file", env=NO_AWS)
    play = Play(server)
    for state in ("uninitialised", "sealed", "progress 1", "unsealing", "unsealed"):
        play.state("file shamir: " + state)
    server.stop()
    set_config(server, stanza(service).split("# seals\n")[1])
    server.start()
    for state in ("migration pending", "migrating"):
        play.state("file shamir->awskms: " + state)
    server.active()
    play.state("file awskms: unsealed after migration")
    play.end()


def test_key_service_with_a_lock(lab, service):
    server = lab.server(storage="inmem_ha", config=stanza(service), env=NO_AWS)
    play = Play(server)
    play.state("ha awskms: uninitialised")
    server.active()  # "just initialised" is gone before one can ask
    server.ok("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    server.ok("POST", "kv/hello", {"foo": "bar"})
    play.state("ha awskms: active")
    play.end()
