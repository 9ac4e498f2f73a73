"""Every command of the program: help, a wrong flag, a server that is not there, and what would be sent."""
import functools
import re
import subprocess

import lab as lab_module
import pytest

ABSENT = re.compile(r"is not there: ")
LOCAL = {"policy fmt", "policy write", "print token", "debug"}  # and those that have no -address


@functools.lru_cache(None)
def run(*args, addr="http://127.0.0.1:1"):
    return subprocess.run([lab_module.BINARY, *args], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
                          env=lab_module.clean_env({"VAULT_ADDR": addr, "VAULT_TOKEN": "t", "HOME": "/nonexistent"}))


def commands(group=()):
    """Every command that -help shows, as its words."""
    out = run(*group, "-h").stdout
    listed = re.split(r"^(?:Commands|Subcommands):$", out, flags=re.M)
    for line in listed[1].splitlines() if len(listed) > 1 else []:
        if line.startswith("    "):
            yield from commands((*group, line.split()[0]))
    if len(listed) == 1:
        yield group


COMMANDS = [" ".join(c) for c in commands()] if lab_module.pathlib.Path(lab_module.BINARY).exists() else []


def arguments(command):
    """As many as the command wants, and flags that it cannot do without."""
    usage = run(*command.split(), "-h").stdout.splitlines()[0].split("[options]")[1]
    words = [w for w in re.sub(r"\[[^\]]*\]", "", usage.replace(" or PATH", "")).split() if w.isupper()]
    more = {"kv undelete": ["-versions=1"], "kv destroy": ["-versions=1"], "kv rollback": ["-version=1"], "write": ["-force"], "patch": ["-force"],
            "plugin register": ["-sha256=00"], "plugin reload": ["-plugin=kv"], "token revoke": ["-self"],
            "namespace patch": ["-custom-metadata=a=b"],
            "token capabilities": [], "operator rekey": ["-status"], "operator generate-root": ["-status"]}
    values = {"OPERATION": "read", "K=V": "k=v", "TYPE": "kv"}
    extra = {"kv put": ["k=v"], "kv patch": ["k=v"], "login": ["token=t"], "operator unseal": ["key"], "kv list": ["a/b"]}
    return more.get(command, []) + [values.get(w, "a/b") for w in words] + extra.get(command, [])


def test_the_commands_are_found():
    assert len(COMMANDS) > 80 and {"kv metadata patch", "operator raft list-peers", "status", "policy explain"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command(command):
    words = command.split()
    shown = run(*words, "-help")
    assert shown.returncode == 0 and shown.stderr == "" and shown.stdout.startswith("Usage: coffer " + command)
    bad = run(*words, "-no-such-flag")
    said = bad.stdout + bad.stderr
    if ABSENT.search(said):
        assert bad.returncode == 1
        return
    assert bad.returncode == (3 if command == "operator diagnose" else 1) and "flag provided but not defined: -no-such-flag" in said, bad
    if command in LOCAL or "\n  -address=" not in shown.stdout:
        return
    there = run(*words, *arguments(command))
    assert there.returncode in (1, 2) and "127.0.0.1:1: connect: connection refused" in there.stderr, there
    assert there.stdout == "" and there.stderr.count("connection refused") == 1
    if command.startswith("kv ") or command in ("operator init", "operator rekey", "operator generate-root", "monitor"):
        return  # ask the server first
    curl = run(*words, "-output-curl-string", *arguments(command))
    assert curl.returncode == 0 and re.match(r"curl (-X [A-Z]+ )?-H .*http://127\.0\.0\.1:1/v1/\S+\n$", curl.stdout) and curl.stderr == "", curl
    assert "$(coffer print token)" in curl.stdout or command.startswith("login") or command in ("status", "unwrap"), curl
    policy = run(*words, "-output-policy", *arguments(command))
    assert policy.returncode == 0 and re.match(r'path "[^"]+" {\n  capabilities = \[[^\]]+\]\n}\n$', policy.stdout), policy
