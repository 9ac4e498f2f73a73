"""The command line against another server: the recorded command lines, typed with coffer, answered by a real OpenBao.

OpenBao answers some of them otherwise than the recorded server; openbao.txt lists the steps that its own command line fails too.
What that one passes, coffer's passes. `test_openbao.py record` makes the list anew.
"""
import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import lab  # noqa: E402  pylint: disable=wrong-import-position
import pytest  # noqa: E402  pylint: disable=wrong-import-position

BAO = lab.ROOT / "build/venv/bin/bao"
FILES = sorted(p.stem for p in (HERE / "cli").glob("*.jsonl"))
CONFIG = 'storage "inmem" {}\nlistener "tcp" { address = "127.0.0.1:${port}" tls_disable = true }\ndisable_mlock = true\napi_addr = "${addr}"\n'


def failed(name, program, folder):
    """The steps that fail; the storage is one that OpenBao has."""
    lines = (HERE / "cli" / (name + ".jsonl")).read_text().splitlines()
    head = json.loads(lines[0])
    if head.get("server") == "fresh":
        lines[0] = json.dumps({**head, "config": CONFIG})
    played = pathlib.Path(folder, name + ".jsonl")
    played.write_text("\n".join(lines) + "\n")
    out = subprocess.run([sys.executable, str(HERE / "tools/golden-cli"), "play", "--bin", str(program), "--server-bin", str(BAO), str(played)],
                         capture_output=True, text=True, env=lab.clean_env(), cwd=folder, check=False)
    assert "total: " in out.stdout, out
    return {name + "/" + line.split()[1]: line for line in out.stdout.splitlines() if line.startswith("FAIL ")}, out.stdout


def steps(path):
    return {line.split()[0] for line in path.read_text().splitlines() if line and not line.startswith("#")}


@pytest.mark.parametrize("name", FILES)
def test_what_its_own_command_line_passes(name, tmp_path):
    if not BAO.exists():
        pytest.skip("build/venv has no bao")
    bad, said = failed(name, lab.BINARY, tmp_path)
    excused = steps(HERE / "openbao.txt") | steps(HERE / "deviations.txt")
    assert not set(bad) - excused, said


def record(folder):
    out = ["# Steps that OpenBao 2.7.2 answers otherwise than recorded, also to its own command line. Made by `test_openbao.py record`."]
    for name in FILES:
        out += sorted(failed(name, BAO, folder)[0])
    (HERE / "openbao.txt").write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    import tempfile
    with tempfile.TemporaryDirectory() as made:
        record(made)
