"""The seal awskms: beside moto, and beside a stand-in that checks every signature with botocore and can misbehave."""
import base64
import json
import os
import subprocess
import sys
import time
import urllib.request

import pytest
from test_seals import init, sealed, set_config, wait_until

import kms
import lab as lab_module

NO_AWS = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_CONFIG_FILE": "/nonexistent"}


def stanza(service, key="alias/unseal", more='access_key = "AKIDEXAMPLE"\n  secret_key = "secretexample"', disabled=False):
    return '# seals\nseal "awskms" {\n  kms_key_id = "%s"\n  endpoint = "%s"\n  region = "us-east-1"\n  %s\n%s}\n' % (
        key, service.url, more, '  disabled = "true"\n' if disabled else "")


@pytest.fixture
def service():
    with kms.AwsKms() as s:
        s.new_key("alias/unseal")
        yield s


def test_beside_moto(lab):
    port = lab_module.free_port()
    with open(lab.folder / "moto.log", "wb") as log:
        moto = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=log, stderr=log)
    try:
        import boto3
        url = "http://127.0.0.1:%d" % port
        client = boto3.client("kms", region_name="us-east-1", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b")

        def up():
            try:
                return urllib.request.urlopen(url + "/moto-api/", timeout=2).status == 200
            except OSError:
                return False
        wait_until(up, 60)
        key = client.create_key(Description="unseal")["KeyMetadata"]
        client.create_alias(AliasName="alias/vault", TargetKeyId=key["KeyId"])
        server = lab.server(env=dict(NO_AWS, AWS_KMS_ENDPOINT=url, AWS_REGION="us-east-1", VAULT_SEAL_TYPE="awskms",
                                     VAULT_AWSKMS_SEAL_KEY_ID="alias/vault", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b"))
        init(server)
        server.ok("POST", "sys/mounts/kv", {"type": "kv"})
        server.ok("POST", "kv/a", {"v": "1"})
        server.stop()
        server.start()
        server.active()
        assert server.ok("GET", "kv/a").data == {"v": "1"}
        client.disable_key(KeyId=key["KeyId"])
    finally:
        moto.terminate()
        moto.wait(20)


def test_story_2(lab, service):
    """A new server with AWS KMS, by the command line."""
    server = lab.server(storage="file", config=stanza(service), env=NO_AWS)
    wait_until(lambda: "core: stored unseal keys supported, attempting fetch" in server.tail())
    out = server.cli("status", token=None)
    assert out.returncode == 2 and "awskms" in out.stdout, out.stdout
    out = server.cli("operator", "init", token=None)
    assert out.returncode == 0, out
    lines = out.stdout.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("Recovery Key")] == ["Recovery Key %d" % i for i in range(1, 6)]
    assert any(line.startswith("Initial Root Token: hvs.") for line in lines)
    server.root = [line.split(": ")[1] for line in lines if line.startswith("Initial Root Token")][0]
    server.active()
    assert "core: vault is unsealed" in server.tail() and "core: unsealed with stored key" in server.tail()
    rows = dict(line.rsplit(None, 1) for line in server.cli("status", token=None).stdout.splitlines()[2:])
    for name, value in {"Recovery Seal Type": "shamir", "Initialized": "true", "Sealed": "false", "Total Recovery Shares": "5",
                        "Threshold": "3", "Storage Type": "file", "HA Enabled": "false"}.items():
        assert rows[name] == value, rows
    assert "Cluster Name" in rows and "Cluster ID" in rows and "Version" in rows
    server.stop()
    server.start()
    server.active()
    assert server.cli("status", token=None).returncode == 0
    ops = [h["X-Amz-Target"].split(".")[1] for _, _, h, _ in service.requests if "X-Amz-Target" in h]
    assert set(ops) == {"DescribeKey", "Encrypt", "Decrypt"}


@pytest.mark.parametrize("fault", ["deny", "Decrypt", "error", "garbage", "wrong", "gone", "disabled", "slow"])
def test_a_service_that_fails_is_waited_for(lab, service, fault):
    server = lab.server(config=stanza(service), env=NO_AWS)
    init(server)
    server.stop()
    port = service.port
    if fault == "gone":
        service.stop()
    elif fault == "disabled":
        service.keys = dict.fromkeys(service.keys, False)
    elif fault == "slow":
        service.slow_s = 3.0
    else:
        service.faults = {fault}
    words = {"deny": "AccessDeniedException: no permission for kms:DescribeKey", "Decrypt": "AccessDeniedException: no permission for kms:Decrypt",
             "error": "UnknownError", "garbage": "SerializationError", "wrong": "message authentication failed",
             "gone": "connection refused", "disabled": "DisabledException"}
    server.start()
    if fault == "slow":
        assert server.call("GET", "sys/health", token=None, timeout=2).status == 503
        service.slow_s = 0.0
        server.active()
        return
    wait_until(lambda: "failed to unseal core" in server.tail() and words[fault] in server.tail())
    assert sealed(server) and server.call("GET", "sys/health", token=None).status == 503
    if fault == "gone":
        again = kms.AwsKms(port)
        again.keys, again.aliases = service.keys, service.aliases
    service.faults = set()
    service.keys = dict.fromkeys(service.keys, True)
    server.active()
    if fault == "gone":
        again.stop()


def test_recovery_shares_while_the_service_refuses(lab, service):
    server = lab.server(config=stanza(service), env=NO_AWS)
    init(server)
    server.ok("PUT", "sys/seal")
    service.faults = {"Decrypt"}
    server.call("PUT", "sys/unseal", {"key": server.keys[0]}, token=None)
    bad = server.call("PUT", "sys/unseal", {"key": server.keys[1]}, token=None)
    assert bad.status == 500 and "AccessDeniedException" in bad.body["errors"][0], bad


def test_losing_it_later_stops_nothing(lab, service):
    server = lab.server(config=stanza(service, more='access_key = "AKIDEXAMPLE"\n  secret_key = "secretexample"\n'
                                      '  health_check_interval = "300ms"\n  health_check_interval_unhealthy = "200ms"'), env=NO_AWS)
    init(server)
    service.faults = {"deny"}
    wait_until(lambda: "failed to encrypt seal health test value, seal backend may be unreachable" in server.tail())
    server.ok("POST", "sys/mounts/kv", {"type": "kv"})
    service.faults = set()
    wait_until(lambda: "seal backend is now healthy again: downtime=" in server.tail())


def test_a_wrong_clock(lab, service):
    service.ahead = 7200
    server = lab.server(config=stanza(service), env=NO_AWS)
    init(server)
    assert "clock is wrong" in server.tail()


def test_another_key_behind_the_alias(lab, service):
    server = lab.server(config=stanza(service), env=NO_AWS)
    init(server)
    server.stop()
    assert "upgrade seal keys failed" not in server.tail()  # broken off by the end of the process: no failure
    old = service.aliases["alias/unseal"]
    service.new_key("alias/unseal")
    server.start()
    server.active()
    wait_until(lambda: "upgrading stored keys" in server.tail() and "upgrading recovery key" in server.tail())
    time.sleep(0.3)
    server.stop()
    service.keys[old] = False
    server.start()
    server.active()


def test_sources_of_credentials(lab, service):
    with kms.AwsMetadata(service) as metadata:
        token_file, credentials = lab.folder / "token", lab.folder / "credentials"
        token_file.write_text("web-token\n")
        credentials.write_text("[other]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secretexample\n")
        none = dict(NO_AWS, AWS_ENDPOINT_URL_STS=metadata.url)
        role = 'role_arn = "arn:aws:iam::123456789012:role/r"'
        cases = {
            "instance": ("", dict(none, AWS_EC2_METADATA_DISABLED="", AWS_EC2_METADATA_SERVICE_ENDPOINT=metadata.url)),
            "container": ("", dict(none, AWS_CONTAINER_CREDENTIALS_FULL_URI=metadata.url + "/container",
                                   AWS_CONTAINER_AUTHORIZATION_TOKEN="container-token")),
            "profile": ('shared_creds_filename = "%s"\n  shared_creds_profile = "other"' % credentials, none),
            "web": (role + '\n  web_identity_token_file = "%s"' % token_file, none),
            "assumed": (role, dict(none, AWS_CONTAINER_CREDENTIALS_FULL_URI=metadata.url + "/container",
                                   AWS_CONTAINER_AUTHORIZATION_TOKEN="container-token")),
        }
        for name, (more, env) in cases.items():
            metadata.lifetime_s = 3600
            server = lab.server(name, config=stanza(service, more=more), env=env)
            init(server, 1, 1)
            server.stop()
        before = metadata.count
        metadata.lifetime_s = 301  # stale after a second
        server = lab.server("refresh", config=stanza(service, more='health_check_interval = "400ms"'), env=cases["instance"][1])
        init(server, 1, 1)
        wait_until(lambda: metadata.count >= before + 3)


def test_a_store_that_vault_wrote(lab, service):
    """dynamodb-awskms.json of the recorded stores in a file store: the stand-in holds its recorded data keys."""
    source = pathlib_golden("dynamodb-awskms.json")
    for blob in source["kms"].values():
        service.recorded[base64.b64decode(blob["kms_ciphertext_b64"])] = base64.b64decode(blob["kms_plaintext_dek_b64"])
    service.keys["recorded"] = True
    service.aliases["alias/unseal"] = "recorded"
    server = lab.server(storage="sqlite", config=stanza(service), env=NO_AWS, start=False)
    load(server, [("%s/%s" % (i["Path"]["S"], i["Key"]["S"]), base64.b64decode(i["Value"]["B"]))
                  for i in source["items"] if "B" in i.get("Value", {}) and i["Path"]["S"].strip()] +
         [(i["Key"]["S"], base64.b64decode(i["Value"]["B"])) for i in source["items"]
          if "B" in i.get("Value", {}) and not i["Path"]["S"].strip()])
    server.start()
    server.root, server.keys = source["root_token"], source["recovery_keys_base64"]
    server.active()
    answers_as_recorded(server, source)


def test_a_store_that_openbao_wrote(lab):
    source = pathlib_golden("postgresql-openbao-static.json")
    s = source["seal"]
    server = lab.server(storage="sqlite", start=False, config=(
        'seal "static" {\n current_key = "%s"\n current_key_id = "%s"\n previous_key = "%s"\n previous_key_id = "%s"\n}\n' % (
            s["current_key_hex"], s["current_key_id"], s["previous_key_hex"], s["previous_key_id"])))
    load(server, [((i["path"] + i["key"]).lstrip("/"), base64.b64decode(i["value_b64"])) for i in source["items"]])
    server.start()
    server.root = source["root_token"]
    server.active()
    answers_as_recorded(server, source)


def pathlib_golden(name):
    return json.loads((lab_module.ROOT / "test/golden/backends" / name).read_text())


def load(server, entries):
    """Into a store that the server has made and left."""
    import sqlite3
    server.start()
    server.stop()
    (path,) = [p for p in server.store.iterdir() if p.suffix == ".db" or p.name.endswith(".sqlite")]
    with sqlite3.connect(path) as db:
        db.executemany("insert or replace into kv(key, value) values(?, ?)", [(k.encode(), v) for k, v in entries])
    db.close()


def answers_as_recorded(server, source):
    for path, data in source["expect"].items():
        assert server.ok("GET", path.replace(" ", "%20")).data == data
        assert server.ok("GET", path.replace(" ", "%20"), token=source["child_token"]).data == data
    for name in ("kv/", "kv/dir"):
        assert sorted(server.ok("LIST", name).data["keys"]) == sorted(source["list " + name])
