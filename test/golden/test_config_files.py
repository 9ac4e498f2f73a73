"""Configuration files and what Vault 1.14 makes of each: accepted, accepted with a warning, or refused with a text.

`missing` names the text with which this server still refuses a file that it should accept: when it accepts it, the row is out of date.
"""
import json
import pathlib
import subprocess

import pytest

from lab import BINARY, clean_env

FOLDER = pathlib.Path(__file__).parent / "config"
VERDICTS = json.loads((FOLDER / "verdicts.json").read_text())


def test_each_file_has_a_verdict():
    assert {p.name for p in FOLDER.iterdir()} == {*VERDICTS, "verdicts.json"}


@pytest.mark.parametrize("name", sorted(VERDICTS))
def test_config_file(name, tmp_path):
    expected = VERDICTS[name]
    done = subprocess.run([BINARY, "server", "-check", "-config=%s" % (FOLDER / name)], cwd=tmp_path, capture_output=True, text=True,
                          env=clean_env(), timeout=30, check=False)
    said = done.stdout.replace(str(FOLDER / name), "FILE")
    if "missing" in expected:
        assert (done.returncode, expected["missing"] in said) == (1, True), said
    elif expected["verdict"] == "ok":
        assert (done.returncode, done.stderr) == (0, ""), said
        assert ("Warning: %s" % expected["warning"] in said) if "warning" in expected else "Warning" not in said, said
    else:
        assert (done.returncode, expected["text"] in said) == (1, True), said
