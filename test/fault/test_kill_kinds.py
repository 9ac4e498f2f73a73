"""kill -9 under load of every kind of state beside plain secrets: tokens, leases, wrapped answers, kv version 2.

As in test_kill.py: what was acknowledged holds after the restart, and of a change that was under way either the old or the new state.
Each writer has its own connection and its own things; what is gone is looked at once more after the kill and then forgotten.
"""
import http.client
import os
import random
import threading
import time

import lab as lab_module
import pytest

KILLS = int(os.environ.get("COFFER_KILLS", "25"))
THINGS = 8  # that a writer keeps
OF_EACH = 2  # writers
GONE = "gone"


class Writer(threading.Thread):
    """ledger: thing -> its state; pending: the one thing under way and the state that it may have got."""

    new = GONE  # the state of a thing before it is made

    def __init__(self, server, number, ledger, seed):
        super().__init__(daemon=True)
        self.server, self.client, self.number = server, server.client(timeout=30), number
        self.ledger, self.random = ledger, random.Random(seed)
        self.pending, self.acknowledged, self.problem = {}, 0, None

    def run(self):
        try:
            while True:
                self.step()
        except (OSError, http.client.HTTPException):
            pass  # the kill
        except Exception as e:  # a refused request, or an answer that is not what it must be
            self.problem = e

    def ask(self, method, path, body=None, wanted=(200, 204), headers=None):
        answer = self.client.call(method, path, body, headers)
        assert answer.status in wanted, (method, path, answer)
        return answer

    def change(self, thing, state, *request, **more):
        self.pending = {thing: state}
        answer = self.ask(*request, **more)
        self.ledger[thing], self.pending = state, {}
        self.acknowledged += 1
        return answer

    def living(self):
        return [thing for thing, state in self.ledger.items() if state != GONE]

    def is_full(self):
        return len(self.living()) >= THINGS or self.living() and self.random.random() < 0.4

    def open_round(self, client):
        pass

    def close_round(self, client):
        pass


class Tokens(Writer):
    """Made with a chosen name, renewed, revoked. The thing is the token."""

    def step(self):
        if not self.is_full():
            name = "t%d-%x" % (self.number, self.random.getrandbits(60))
            self.change(name, "alive", "POST", "auth/token/create", {"id": name, "policies": ["default"], "ttl": "1h"})
            return
        name = self.random.choice(self.living())
        if self.random.random() < 0.5:
            self.change(name, "alive", "POST", "auth/token/renew", {"token": name, "increment": "2h"})
        else:
            self.change(name, GONE, "POST", "auth/token/revoke", {"token": name})

    @staticmethod
    def look(client, name):
        if not is_alive(client, name):
            return GONE
        accessor = client.call("GET", "auth/token/lookup-self", headers={"X-Vault-Token": name}).data["accessor"]
        found = client.call("POST", "auth/token/lookup-accessor", {"accessor": accessor})
        assert found.status == 200 and 0 < found.data["ttl"] <= 7200, "a token without its accessor or its lease: %r" % found
        return "alive"


class Leases(Writer):
    """Of tokens of a role, so that each writer has its own prefix, which is revoked whole after each round. The thing is (lease, token)."""

    def step(self):
        if not self.is_full():
            role = "auth/token/create/w%d" % self.number
            token = self.ask("POST", role, {"policies": ["default"], "ttl": "1h"}).body["auth"]["client_token"]
            leases = {"%s/%s" % (role, k) for k in self.ask("LIST", "sys/leases/lookup/" + role).data["keys"]}
            (new,) = leases - {lease for lease, _ in self.ledger}
            self.ledger[new, token] = "alive"
            self.acknowledged += 1
            return
        thing = self.random.choice(self.living())
        if self.random.random() < 0.5:
            self.change(thing, "alive", "POST", "auth/token/renew", {"token": thing[1], "increment": "2h"})
        else:
            self.change(thing, GONE, "PUT", "sys/leases/revoke", {"lease_id": thing[0], "sync": True})

    @staticmethod
    def look(client, thing):
        answer = client.call("PUT", "sys/leases/lookup", {"lease_id": thing[0]})
        assert answer.status in (200, 400), (thing, answer)
        assert (answer.status == 200) == is_alive(client, thing[1]), "a lease and its token do not agree"
        return "alive" if answer.status == 200 else GONE

    def close_round(self, client):
        answer = client.call("PUT", "sys/leases/revoke-prefix/auth/token/create/w%d" % self.number, {"sync": True})
        assert answer.status == 204, answer
        assert not any(is_alive(client, token) for _, token in self.ledger), "a token outlives its prefix"
        self.ledger.clear()


class Wrapped(Writer):
    """Wrapped and unwrapped. The thing is (the wrapping token, what is in it)."""

    def step(self):
        if not self.is_full():
            content = "%x" % self.random.getrandbits(60)
            made = self.ask("POST", "sys/wrapping/wrap", {"v": content}, headers={"X-Vault-Wrap-TTL": "1h"})
            self.ledger[made.body["wrap_info"]["token"], content] = "alive"
            self.acknowledged += 1
            return
        thing = self.random.choice(self.living())
        answer = self.change(thing, GONE, "POST", "sys/wrapping/unwrap", {"token": thing[0]})
        assert answer.data == {"v": thing[1]}, answer

    @staticmethod
    def look(client, thing):
        answer = client.call("POST", "sys/wrapping/lookup", {"token": thing[0]})
        assert answer.status in (200, 400), answer
        return "alive" if answer.status == 200 else GONE

    def close_round(self, client):
        """Half of what is left is opened: once, and never again."""
        for thing in self.living()[::2]:
            opened = client.call("POST", "sys/wrapping/unwrap", {"token": thing[0]})
            assert opened.status == 200 and opened.data == {"v": thing[1]}, opened
            assert client.call("POST", "sys/wrapping/unwrap", {"token": thing[0]}).status == 400
            del self.ledger[thing]


class Logins(Writer):
    """AppRole logins. The thing is (role, a secret id); the state how often it may still be used: a spent use never comes back."""

    USES = 4

    def step(self):
        role = "w%d" % self.number
        if not self.is_full():
            made = self.ask("POST", "auth/approle/role/%s/secret-id" % role, {"num_uses": self.USES})
            self.ledger[role, made.data["secret_id"]] = self.USES
            self.acknowledged += 1
            return
        thing = self.random.choice(self.living())
        left = self.ledger[thing] - 1
        self.change(thing, left or GONE, "POST", "auth/approle/login", {"role_id": role, "secret_id": thing[1]})

    @staticmethod
    def look(client, thing):
        answer = client.call("POST", "auth/approle/role/%s/secret-id/lookup" % thing[0], {"secret_id": thing[1]})
        assert answer.status in (200, 204), answer
        return answer.data["secret_id_num_uses"] if answer.status == 200 else GONE

    def close_round(self, client):
        """Some are used up: as often as they say, and not once more."""
        for thing in self.living()[::3]:
            login = {"role_id": thing[0], "secret_id": thing[1]}
            for _ in range(self.ledger[thing]):
                assert client.call("POST", "auth/approle/login", login).status == 200
            assert client.call("POST", "auth/approle/login", login).status == 400
            del self.ledger[thing]


class Versions(Writer):
    """kv version 2: written with check-and-set, deleted, destroyed, removed whole. The state is (version, value or None)."""

    new = (0, None)

    def step(self):
        path = "two/data/w%d/k%d" % (self.number, self.random.randrange(THINGS))
        version, value = self.ledger.get(path, self.new)
        do = self.random.random()
        if version and do < 0.2:
            self.change(path, (version, None), "DELETE", path)
        elif value is not None and do < 0.3:
            self.change(path, (version, None), "PUT", path.replace("/data/", "/destroy/"), {"versions": [version]})
        elif version and do < 0.4:
            self.change(path, self.new, "DELETE", path.replace("/data/", "/metadata/"))
        else:
            value = "%x" % self.random.getrandbits(60)
            answer = self.change(path, (version + 1, value), "POST", path, {"options": {"cas": version}, "data": {"v": value}})
            assert answer.data["version"] == version + 1, answer

    @staticmethod
    def look(client, path):
        answer = client.call("GET", path)
        assert answer.status in (200, 404), (path, answer)
        if not answer.data:
            return Versions.new
        about = client.call("GET", path.replace("/data/", "/metadata/")).data
        assert about["current_version"] == answer.data["metadata"]["version"] == max(map(int, about["versions"])), about
        for number, version in about["versions"].items():
            there = client.call("GET", "%s?version=%s" % (path, number)).status
            assert there == (404 if version["destroyed"] or version["deletion_time"] else 200), (path, number, version, there)
        return about["current_version"], answer.data["data"] and answer.data["data"]["v"]


KINDS = [Tokens, Leases, Wrapped, Logins, Versions]


def is_alive(client, token):
    answer = client.call("GET", "auth/token/lookup-self", headers={"X-Vault-Token": token})
    assert answer.status in (200, 403), (token, answer)
    return answer.status == 200


def check_ledger(client, writer):
    writer.open_round(client)
    for thing in list({**writer.ledger, **writer.pending}):
        states = {writer.ledger.get(thing, writer.new)} | ({writer.pending[thing]} if thing in writer.pending else set())
        found = writer.look(client, thing)
        assert found in states, "%s: one of %r was due, found %r" % (thing, states, found)
        writer.ledger[thing] = found
        if found == GONE:
            del writer.ledger[thing]
    writer.close_round(client)


@pytest.mark.parametrize("storage", ["sqlite", "file"])
def test_acknowledged_changes_survive(lab, storage):
    chance = lab_module.chance()
    server = lab.server(storage=storage).init()
    server.ok("POST", "sys/mounts/two", {"type": "kv", "options": {"version": "2"}})
    server.ok("POST", "sys/auth/approle", {"type": "approle"})
    kinds = [kind for kind in KINDS for _ in range(OF_EACH)]
    for number in range(len(kinds)):
        server.ok("POST", "auth/token/roles/w%d" % number, {"orphan": True})
        server.ok("POST", "auth/approle/role/w%d" % number, {"role_id": "w%d" % number, "token_ttl": "1h"})
    ledgers, total = [{} for _ in kinds], {kind.__name__: 0 for kind in KINDS}
    for _ in range(KILLS):
        writers = [kind(server, n, ledgers[n], chance.random()) for n, kind in enumerate(kinds)]
        for w in writers:
            w.start()
        time.sleep(chance.uniform(0.02, 0.5))
        server.kill()
        for w in writers:
            w.join(40)
            assert not w.is_alive() and w.problem is None, w.problem
            w.client.close()
        server.start()
        server.unseal()
        client = server.client()
        for w in writers:
            check_ledger(client, w)
            total[type(w).__name__] += w.acknowledged
        client.close()
    print("%d kills, acknowledged: %s" % (KILLS, total))
    assert all(total.values()) and sum(total.values()) > 2 * KILLS, "too little was written for the kills to mean anything"
