"""The command line on a terminal: prompts that echo nothing, colours, hints, completion."""
import os
import pathlib
import signal
import subprocess
import time

import lab as lab_module
import pytest
from peer import Peer
from terminal import Terminal
from test_mfa import PERIOD, enrolled, fresh

SECRET = {"data": {"a": "b"}}
LOGIN = {"auth": {"client_token": "hvs.new", "accessor": "acc", "policies": ["default"], "lease_duration": 60, "renewable": True}}


def mfa(uses_passcode, methods=1):
    any_of = [{"id": "m%d" % i, "type": "totp" if uses_passcode else "duo", "uses_passcode": uses_passcode, "name": ""} for i in range(methods)]
    return {"auth": {"client_token": "", "mfa_requirement": {"mfa_request_id": "req", "mfa_constraints": {"c": {"any": any_of}}}}}


def coffer(tmp_path, *args, **env):
    return Terminal(lab_module.BINARY, *args, env={"HOME": str(tmp_path), **env})


def test_unseal_key_is_not_shown(lab):
    server = lab.server()
    made = server.ok("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1}).body
    key = made["keys_base64"][0]
    with coffer(lab.folder, "operator", "unseal", VAULT_ADDR=server.addr) as t:
        t.expect("Unseal Key (will be hidden): ")
        assert not t.echoes()
        code, seen = t.type(key + "\n").end()
        assert code == 0 and key not in seen and "Sealed          false" in seen and t.echoes()
        assert "Next: coffer login" in seen


@pytest.mark.parametrize("how", ["byte", "signal"])
def test_an_interrupted_prompt_gives_the_terminal_back(tmp_path, how):
    with coffer(tmp_path, "login", "-method=userpass", "username=u", VAULT_ADDR="http://127.0.0.1:1") as t:
        t.expect("Password (will be hidden): ").type("secr")
        assert not t.echoes()
        if how == "byte":
            t.type("\x03")
        else:
            t.proc.send_signal(signal.SIGINT)
        code, seen = t.end()
        assert code == 2 and t.echoes() and "interrupted" in seen and "secr" not in seen


def test_token_prompt(lab):
    server = lab.server().ready()
    with coffer(lab.folder, "login", VAULT_ADDR=server.addr) as t:
        code, seen = t.expect("Token (will be hidden): ").type(server.root + "\n").end()
        assert code == 0 and "Success! You are now authenticated." in seen
        assert (lab.folder / ".vault-token").read_text() == server.root
    with coffer(lab.folder, "print", "token", VAULT_ADDR=server.addr) as t:
        assert t.end() == (0, server.root + "\n")


def test_without_a_terminal_nothing_is_asked(tmp_path):
    env = lab_module.clean_env({"HOME": str(tmp_path), "VAULT_ADDR": "http://127.0.0.1:1"})
    for args, code in ((["login"], 2), (["login", "-method=userpass", "username=u"], 2), (["operator", "unseal"], 1)):
        out = subprocess.run([lab_module.BINARY, *args], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20, check=False)
        assert out.returncode == code and "not a terminal" in out.stderr and "\x1b" not in out.stderr, out


def test_second_factor_is_asked_for(tmp_path):
    with Peer((200, mfa(True)), (200, LOGIN)) as peer, \
            coffer(tmp_path, "login", "-method=userpass", "username=u", "password=p", VAULT_ADDR=peer.addr) as t:
        t.expect('Enter the passphrase for methodID "m0" of type "totp": ')
        assert not t.echoes()
        code, seen = t.type("123456\n").end()
        assert code == 0 and "123456" not in seen and "hvs.new" in seen
        assert peer.asked[1].path == "/v1/sys/mfa/validate" and peer.asked[1].json == {"mfa_request_id": "req", "mfa_payload": {"m0": ["123456"]}}
        assert (tmp_path / ".vault-token").read_text() == "hvs.new"
    with Peer((200, mfa(False)), (200, LOGIN)) as peer, \
            coffer(tmp_path, "write", "auth/approle/login", "role_id=r", VAULT_ADDR=peer.addr) as t:
        assert t.end()[0] == 0 and peer.asked[1].json == {"mfa_request_id": "req", "mfa_payload": {"m0": []}}
    for flags, methods in ((["-non-interactive"], 1), ([], 2)):
        with Peer((200, mfa(True, methods))) as peer, \
                coffer(tmp_path, "login", "-method=userpass", *flags, "username=u", "password=p", VAULT_ADDR=peer.addr) as t:
            code, seen = t.end()
            assert code == 0 and "mfa_request_id" in seen and "sys/mfa/validate" in seen and len(peer.asked) == 1


def test_second_factor_of_a_real_server(lab):
    server = lab.server().ready()
    method, secret = enrolled(server, "SHA1")
    time.sleep(PERIOD)
    args = ("login", "-method=userpass", "username=ann", "password=x")
    with coffer(lab.folder, *args, VAULT_ADDR=server.addr) as t:
        t.expect('Enter the passphrase for methodID "%s" of type "totp": ' % method)
        code, seen = t.type(fresh(secret, "SHA1") + "\n").end()
        assert code == 0 and "token_meta_username" in seen, seen
    token = (lab.folder / ".vault-token").read_text()
    assert server.ok("GET", "auth/token/lookup-self", token=token).data["path"] == "auth/userpass/login/ann"
    out = server.cli("login", "-method=userpass", "-mfa=app:" + fresh(secret, "SHA1"), "-token-only", *args[2:], token=None)
    assert out.returncode == 0 and server.ok("GET", "auth/token/lookup-self", token=out.stdout).data["display_name"] == "userpass-ann"
    out = server.cli(*args, token=None)
    assert out.returncode == 0 and "mfa_request_id" in out.stdout and "sys/mfa/validate" in out.stderr


def test_colours(tmp_path):
    with Peer((404, {"errors": []})) as peer:
        with coffer(tmp_path, "read", "x", VAULT_ADDR=peer.addr) as t:
            assert t.end() == (2, "\x1b[91mNo value found at x\x1b[0m\n")
        with coffer(tmp_path, "read", "x", "-bogus", VAULT_ADDR=peer.addr) as t:
            assert "\x1b[93mCommand flags must be provided before" in t.end()[1]
        for env in ({"NO_COLOR": "1"}, {"VAULT_CLI_NO_COLOR": "1"}, {"TERM": "dumb"}, {"VAULT_FORMAT": "json"}):
            with coffer(tmp_path, "read", "x", VAULT_ADDR=peer.addr, **env) as t:
                assert "\x1b" not in t.end()[1], env


def test_a_field_ends_its_line_on_a_terminal(tmp_path):
    with Peer((200, SECRET)) as peer:
        with coffer(tmp_path, "read", "-field=a", "x", VAULT_ADDR=peer.addr) as t:
            assert t.end() == (0, "b\n")


def test_the_first_run_names_the_next_command(lab):
    server = lab.server()
    with coffer(lab.folder, "status", VAULT_ADDR=server.addr) as t:
        assert "Next: coffer operator init" in t.end()[1]
    with coffer(lab.folder, "operator", "init", "-n=1", "-t=1", VAULT_ADDR=server.addr) as t:
        assert "Next: coffer operator unseal" in t.end()[1]
    with coffer(lab.folder, "status", VAULT_ADDR=server.addr) as t:
        assert "Next: coffer operator unseal" in t.end()[1]
    out = server.cli("status", token=None)
    assert "Next" not in out.stdout + out.stderr


# Completion.

def candidates(line, **env):
    out = subprocess.run([lab_module.BINARY, "vault", "word", "before"], env=lab_module.clean_env({"COMP_LINE": line, **env}), capture_output=True,
                         text=True, stdin=subprocess.DEVNULL, timeout=20, check=False)
    assert out.returncode == 0 and out.stderr == "", out
    return out.stdout.split("\n")[:-1]


def test_candidates():
    assert {"kv", "status", "policy"} <= set(candidates("vault ")) and "pki" not in candidates("vault ")
    assert candidates("vault kv g") == ["get"] and candidates("/usr/bin/vault operator uns") == ["unseal"]
    assert candidates("vault kv metadata p") == ["patch", "put"]
    assert candidates("vault read -ou") == ["-output-curl-string", "-output-policy"]
    assert candidates("vault read -format j") == candidates("vault read -format=j") == candidates("vault read --format=j") == ["json"]
    assert candidates("vault audit enable s") == ["socket", "syslog"]
    assert candidates("vault status nothing") == [] and candidates("vault bogus ") == [] and candidates("vault") == []
    assert candidates("vault kv get secret", COMP_POINT="8") == candidates("vault kv")
    assert candidates("vault status -address=http://127.0.0.1:1 -") and candidates("vault read x", VAULT_ADDR="http://127.0.0.1:1") == []


def test_candidates_of_the_server(lab):
    server = lab.server().ready()
    server.ok("POST", "sys/mounts/two", {"type": "kv", "options": {"version": "2"}})
    for path, body in (("kv/app/db", {"v": 1}), ("kv/apple", {"v": 1}), ("two/data/app/db", {"data": {"v": 1}})):
        server.ok("POST", path, body)
    server.ok("PUT", "sys/policies/acl/app", {"policy": 'path "x" { capabilities = ["read"] }'})
    env = {"VAULT_ADDR": server.addr, "VAULT_TOKEN": server.root, "HOME": str(lab.folder)}
    assert candidates("vault policy read a", **env) == ["app"]
    assert candidates("vault read k", **env) == ["kv/"] and candidates("vault secrets disable t", **env) == ["two/"]
    assert candidates("vault kv get kv/ap", **env) == ["kv/app/", "kv/apple"]
    assert candidates("vault kv get two/app/", **env) == ["two/app/db"]
    assert candidates("vault token create -policy a", **env) == ["app"]
    assert candidates("vault kv get -address=%s kv/apple" % server.addr, VAULT_TOKEN=server.root) == ["kv/apple"]
    assert candidates("vault kv get kv/ap", VAULT_ADDR=server.addr, HOME=str(lab.folder)) == []


def test_completion_in_bash(tmp_path):
    program = tmp_path / "vault"
    program.symlink_to(pathlib.Path(lab_module.BINARY).resolve())
    with Terminal("bash", "--norc", "--noprofile", "-i", env={"PS1": "> ", "PATH": "%s:/usr/bin:/bin" % tmp_path}, cwd=tmp_path) as t:
        t.expect("> ").type("complete -C %s vault\n" % program)
        t.type("vault operator key-s\t")
        t.expect("vault operator key-status")


def test_install(tmp_path):
    """In a mount namespace where the user database names a home of the test's."""
    home, users = tmp_path / "home", tmp_path / "passwd"
    (home / ".config/fish").mkdir(parents=True)
    (home / ".bashrc").write_text("alias ll='ls -l'")
    (home / ".zshrc").write_text("# mine\n")
    users.write_text("root:x:0:0:root:%s:/bin/bash\n" % home)
    wrap = ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/passwd && exec "$@"', str(users)]
    if os.geteuid() != 0 or subprocess.run(wrap + ["true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespace here")
    run = lambda flag: subprocess.run(wrap + [lab_module.BINARY, flag], capture_output=True, text=True, check=False, timeout=20,  # noqa: E731
                                      env=lab_module.clean_env({"HOME": "/nonexistent"}))
    binary = str(pathlib.Path(lab_module.BINARY).resolve())
    assert run("-autocomplete-uninstall").returncode == 1
    out = run("-autocomplete-install")
    assert out.returncode == 0 and out.stdout.count("Added to") == 3, out
    assert (home / ".bashrc").read_text() == "alias ll='ls -l'\ncomplete -C %s coffer\n" % binary
    assert "complete -o nospace -C %s coffer\n" % binary in (home / ".zshrc").read_text()
    assert "COMP_LINE" in (home / ".config/fish/completions/coffer.fish").read_text()
    again = run("--autocomplete-install")
    assert again.returncode == 1 and "already" in again.stderr
    assert run("-autocomplete-uninstall").returncode == 0
    assert (home / ".bashrc").read_text() == "alias ll='ls -l'\n" and (home / ".zshrc").read_text() == "# mine\n"
    assert not (home / ".config/fish/completions/coffer.fish").exists()
