"""What a running server takes from its configuration, and what it takes over at SIGHUP."""
import re
import signal
import time

HEADERS = 'tls_disable = true\n  custom_response_headers {\n    "default" = { "X-Mine" = ["%s"] }\n  }'


def until(check, seconds=10):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def headers(server):
    return server.call("GET", "sys/seal-status").headers


def test_reload_takes_over_headers_and_level(lab):
    server = lab.server(listener=HEADERS % "first", config='log_level = "info"').ready()
    assert headers(server)["x-mine"] == "first"
    text = server.config.read_text()
    server.config.write_text(text.replace("first", "second").replace('"info"', '"error"') + 'colour = "red"\n')
    server.signal(signal.SIGHUP)
    until(lambda: headers(server)["x-mine"] == "second")
    assert "[WARN]" not in server.tail()
    server.config.write_text(text.replace("first", "third") + 'colour = "red"\n')
    server.signal(signal.SIGHUP)
    until(lambda: headers(server)["x-mine"] == "third")
    until(lambda: "unknown or unsupported field colour found in configuration at %s" % server.config in server.tail())


def test_a_broken_file_keeps_what_is(lab):
    server = lab.server(listener=HEADERS % "first").ready()
    server.config.write_text("storage {")
    server.signal(signal.SIGHUP)
    until(lambda: "[ERROR] could not reload config: path=%s" % server.config in server.tail())
    assert headers(server)["x-mine"] == "first"
    assert server.call("GET", "sys/mounts").status == 200


def test_what_the_listener_keeps_to_itself(lab):
    server = lab.server(listener="tls_disable = true\n  redact_version = true\n  redact_addresses = true\n  redact_cluster_name = true",
                        config="enable_response_header_hostname = true").ready()
    status = server.call("GET", "sys/seal-status", token=None)
    health = server.call("GET", "sys/health", token=None)
    assert (status.body["version"], status.body["cluster_name"], health.body["version"], health.body["cluster_name"]) == ("", "", "", "")
    assert status.body["cluster_id"]
    assert server.call("GET", "sys/leader", token=None).body["leader_address"] == ""
    assert status.headers["x-vault-hostname"]


def test_signals_say_what_happens(lab):
    server = lab.server().ready()
    server.signal(signal.SIGHUP)
    until(lambda: "==> Vault reload triggered" in server.log.read_text())
    server.signal(signal.SIGUSR1)
    until(lambda: re.search(r"^\[.*\]\[S\] 'vault.core.handle_request': Count: \d+ ", server.log.read_text(), re.M))
    server.signal(signal.SIGUSR2)
    until(lambda: re.search(r"core: state: state=active threads=\d+ .*open_files=\d+", server.log.read_text()))
    assert "core: listener: address=127.0.0.1:%d port=%d connections=" % (server.port, server.port) in server.log.read_text()
    server.stop()
    assert "==> Vault shutdown triggered" in server.log.read_text()
