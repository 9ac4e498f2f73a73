#!/usr/bin/env python3
"""tidy_selftest: every check of tidy.py can fail. Each plant breaks one rule in a copy of the tree; the check must then find more."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import tidy  # noqa: E402

HEAD = "/* planted: a file that breaks a rule. */\n"


def plant_doors(root):
    (root / "src/base/planted.c").write_text('#include "core/engine.h"\n')


def plant_doors_engine(root):
    (root / "src/engine/planted").mkdir(parents=True)
    (root / "src/engine/planted/planted.c").write_text('#include "engine/kv/kv.h"\n')


def plant_doors_private(root):
    (root / "src/core/planted.c").write_text('#include "net/planted_private.h"\n')


def plant_sizes(root):
    (root / "src/base/planted.c").write_text("int x;\n" * 801)


def plant_functions(root):
    (root / "src/base/planted.c").write_text("void planted(void)\n{\n" + "    x();\n" * 71 + "}\n")


def plant_calls(root):
    (root / "src/base/planted.c").write_text("void planted(void)\n{\n    strcpy(a, b);\n}\n")


def plant_secret_compare(root):
    (root / "src/core/planted.c").write_text("void planted(void)\n{\n    if (memcmp(secret, b, 32))\n        x();\n}\n")


def plant_words(root):
    (root / "src/base/planted.c").write_text("/* TO" + "DO: later */\n")


def plant_words_path(root):
    (root / "docs/planted.md").write_text("see /home" + "/someone/file\n")


def plant_names(root):
    (root / "src/base/util.c").write_text(HEAD)


def plant_headers(root):
    (root / "src/base/planted.h").write_text("#pragma once\nint x;\n")


def plant_headers_once(root):
    (root / "src/base/planted.h").write_text(HEAD)


def plant_engines(root):
    (root / "src/engine/kv").mkdir(parents=True, exist_ok=True)
    (root / "src/engine/kv/planted.c").write_text("void planted(void)\n{\n    pthread_mutex_lock(&m);\n}\n")


def plant_columns(root):
    (root / "src/base/planted.c").write_text("int x = " + "1 + " * 40 + "1;\n")


def plant_format(root):
    (root / "src/base/planted.c").write_text("int   x  ;\n")


def plant_listed(root):
    (root / "src/base/planted.c").write_text(HEAD)


def plant_references(root):
    (root / "docs/planted.md").write_text("see `src/base/nothing.c`\n")


def plant_references_link(root):
    (root / "docs/planted.md").write_text("see [it](nothing.md)\n")


def plant_references_symbol(root):
    with open(root / "ARCHITECTURE.md", "a", encoding="utf-8") as f:
        f.write("\n`planted_symbol_of_nothing()`\n")


def plant_source_pages(root):
    (root / "src/base/planted.c").write_text("/* docs/formats/" + "planted.md */\n")


def plant_needed(root):
    (root / "build/release").mkdir(parents=True, exist_ok=True)
    (root / "build/release/coffer").unlink(missing_ok=True)
    shutil.copy(shutil.which("curl"), root / "build/release/coffer")


def plant_blobs(root):
    (root / "docs/planted.bin").write_bytes(b"\0" * (tidy.BLOB_BYTES + 1))


def plant_sizes_ratchet(root):
    with open(root / "test/tidy_ratchet.txt", "a", encoding="utf-8") as f:
        f.write("src/base/nothing.c file 900 it was long once\n")


def copy_tree(into):
    """What git knows or would add, as a repository of its own, with the release program if there is one."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=tidy.ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        source = tidy.ROOT / name
        if source.is_file() and not name.startswith("test/golden/"):
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, into / name)
    program = tidy.ROOT / "build/release/coffer"
    if program.exists():
        (into / "build/release").mkdir(parents=True)
        shutil.copy(program, into / "build/release/coffer")
    subprocess.run(["git", "init", "-q", str(into)], check=True)


def check_of(plant):
    """The longest name of a check that the plant's name begins with."""
    return max((c for c in tidy.CHECKS if plant == c or plant.startswith(c + "_")), key=len)


def main():
    plants, bad, shown = {n[6:]: f for n, f in globals().items() if n.startswith("plant_")}, False, set()
    with tempfile.TemporaryDirectory() as folder:
        clean = pathlib.Path(folder, "clean").resolve()
        copy_tree(clean)
        before = {name: set(check(clean)) for name, check in tidy.CHECKS.items()}
        for plant, break_rule in plants.items():
            name = check_of(plant)
            shown.add(name)
            root = pathlib.Path(folder, "planted-" + plant).resolve()
            shutil.copytree(clean, root, symlinks=True)
            (root / "docs").mkdir(exist_ok=True)
            break_rule(root)
            more = set(tidy.CHECKS[name](root)) - before[name]
            print("%s selftest %s" % ("ok" if more else "FAIL", plant))
            bad = bad or not more
            shutil.rmtree(root)
    for name in sorted(set(tidy.CHECKS) - shown):
        print("FAIL selftest %s: nothing plants a fault for it" % name)
        bad = True
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
