#!/usr/bin/env python3
"""tidy: the house style as a test. Each check looks at a tree and returns what is wrong with it, as "place: what".

    tidy.py [ROOT]      all checks; the exit status is 1 when one found something

tidy_ratchet.txt lists what stood before its rule: `PATH WHAT NUMBER reason`. A number may only shrink; an entry that is no longer
needed is a fault. tidy_selftest.py shows of each check that it can fail.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
FILE_LINES, FUNCTION_LINES, BLOB_BYTES = 800, 70, 2 << 20
COLUMNS = {".c": 110, ".h": 110, ".py": 150, ".sh": 150, "": 150}

# Which rooms a room may include from. A value with a dot is one header of a room.
DOORS = {
    "base": "",
    "crypto": "base",
    "config": "base",
    "net": "base crypto config",
    "client": "base crypto config net",
    "storage": "base config",
    "cloud": "base crypto config net",
    "seal": "base crypto config net client cloud",
    "core": "base crypto config net storage seal",
    "engine": "base crypto core/engine.h core/mount.h",
    "auth": "base crypto core/engine.h core/mount.h",
    "audit": "base core/audit/audit.h",
    "api": "base crypto config net storage core",
    "cli": "base crypto config net client cloud/aws/aws.h",
}
# The one place where the program is put together.
ASSEMBLY = {"cli/server.c": "storage seal core engine auth audit api", "cli/server_private.h": "storage seal core api",
            "cli/diagnose.c": "storage", "cli/cmd_policy_test.c": "core",
            "cli/cmd_seal_migrate.c": "storage seal core engine auth"}
# The lists of what is built in: one line an engine or method.
LISTS = ("engine/engines.c", "auth/methods.c")

BANNED_CALLS = ("strcpy strcat strncpy strncat sprintf vsprintf strtok strtok_r atoi atol atoll strtol strtoul strtoll strtoull sscanf "
                "gets alloca setjmp longjmp rand srand random localtime gmtime localtime_r gmtime_r ctime ctime_r asctime system popen getenv "
                "sleep usleep nanosleep").split()
BANNED_WORDS = "TODO FIXME XXX HACK".split()
BANNED_NAMES = "manager helper helpers util utils common misc".split()
NEEDED = "libssl libcrypto libsqlite3 libz libprotobuf-c libsnappy libcrypt libpcre2-8 libc libm libpthread ld-linux-x86-64 libgcc_s".split()
IN_ENGINES = re.compile(r"\b(mutex|pthread_|malloc|calloc|realloc|free|json_parse)[a-z_]*\(|\bHTTP_[0-9A-Z_]+")
NOT_CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def files(root, *patterns):
    return sorted(p for pattern in patterns for p in root.glob(pattern) if p.is_file() and "__pycache__" not in p.parts)


def c_files(root):
    return files(root, "src/**/*.[ch]", "test/**/*.[ch]")


def text_of(path):
    return path.read_text(encoding="utf-8", errors="replace")


def code_of(path):
    """The text with comments and literals blanked, lines kept."""
    return NOT_CODE.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text_of(path))


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def name_of(root, path):
    return str(path.relative_to(root))


def ratchet(root, found, over):
    """`found`: (path, what) -> number. What is over the bound and not excused by tidy_ratchet.txt, and stale excuses of this kind."""
    listed, out = {}, []
    source = root / "test/tidy_ratchet.txt"
    for line in text_of(source).splitlines() if source.exists() else []:
        if line.strip() and not line.startswith("#"):
            path, what, number, *reason = line.split(None, 3)
            if not reason:
                out.append("tidy_ratchet.txt: %s %s: no reason" % (path, what))
            listed[path, what] = int(number)
    kinds = {what.split(":")[0] for _, what in found} | {over[1]}
    for key, number in sorted(found.items()):
        if number > max(over[0], listed.get(key, 0)):
            out.append("%s: %s: %d, the bound is %d" % (*key, number, max(over[0], listed.get(key, 0))))
    for key, number in sorted(listed.items()):
        if key[1].split(":")[0] in kinds and found.get(key, 0) < number:
            out.append("tidy_ratchet.txt: %s %s: it is %d now, not %d: lower or remove the entry" % (*key, found.get(key, 0), number))
    return out


def check_doors(root):
    """A room includes only the rooms beside it in design and ARCHITECTURE.md; an engine never another engine; no _private.h from outside."""
    out = []
    for path in files(root, "src/**/*.[ch]"):
        rel = path.relative_to(root / "src")
        room, text = rel.parts[0], text_of(path)
        if len(rel.parts) == 1:
            continue  # main.c
        doors = (DOORS.get(room, "") + " " + ASSEMBLY.get(str(rel), "")).split()
        for m in re.finditer(r'^#include "([^"]+)"', text, re.M):
            target = m.group(1)
            other = target.split("/")[0]
            where = "src/%s:%d" % (rel, line_of(text, m.start()))
            if "/" not in target and target.endswith(".pb-c.h"):
                continue  # made by protoc beside the file
            if "/" not in target:
                out.append("%s: %s is named without its room" % (where, target))
            elif other != room and other not in doors and target not in doors:
                out.append("%s: %s may not include %s" % (where, room, target))
            elif room in ("engine", "auth") and other == room and target.count("/") > 1 and target.split("/")[1] != rel.parts[1] \
                    and str(rel) not in LISTS:
                out.append("%s: an engine includes another engine: %s" % (where, target))
            elif target.endswith("_private.h") and other != room:
                out.append("%s: a private header of another room: %s" % (where, target))
    return out


def check_sizes(root):
    """Files of at most 800 lines."""
    found = {(name_of(root, p), "file"): text_of(p).count("\n") for p in files(root, "src/**/*.[ch]", "test/**/*.[ch]", "test/**/*.py")}
    return ratchet(root, found, (FILE_LINES, "file"))


def check_functions(root):
    """Functions of at most 70 lines."""
    found = {}
    for path in c_files(root):
        start = name = None
        for n, line in enumerate(text_of(path).splitlines(), 1):
            if line == "{":
                start = n
            elif line == "}" and start:
                found[name_of(root, path), "function:%s" % name] = n - start - 1
                start = None
            elif m := re.match(r"\w.*?\b(\w+)\(", line):
                name = m.group(1)
    return ratchet(root, found, (FUNCTION_LINES, "function"))


def check_calls(root):
    """No function of the list of those that are never needed."""
    found, regex = {}, re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(BANNED_CALLS))
    for path in files(root, "src/**/*.[ch]"):
        for m in regex.finditer(code_of(path)):
            key = (name_of(root, path), "call:" + m.group(1))
            found[key] = found.get(key, 0) + 1
    return ratchet(root, found, (0, "call"))


def check_secret_compare(root):
    """Secrets are compared in constant time."""
    out = []
    for path in files(root, "src/**/*.c"):
        code = code_of(path)
        for m in re.finditer(r"\b(memcmp|str_eq|strcmp)\(([^;]*)", code):
            if re.search(r"secret|->root_key|password", m.group(2)):
                out.append("%s:%d: a secret compared by %s" % (name_of(root, path), line_of(code, m.start()), m.group(1)))
    return out


def check_words(root):
    """Nothing unfinished, and no path of a machine."""
    out = []
    patterns = ("src/**/*", "docs/**/*.md", "*.md", "bench/*", "dev", ".ci/run", "test/*.py", "test/run", "test/unit/**/*", "test/fuzz/*.*",
                "test/e2e/*", "test/fault/*")
    words = re.compile(r"\b(%s)\b" % "|".join(BANNED_WORDS))
    for path in files(root, *patterns):
        text = text_of(path)
        if path.name in ("tidy.py", "tidy_selftest.py", "ban.md"):
            continue
        for m in list(words.finditer(text)) + list(re.finditer(r"(?<![\w./])/(work|farm|root|home)/", text)):
            out.append("%s:%d: %s" % (name_of(root, path), line_of(text, m.start()), m.group()))
    return out


def check_names(root):
    """A file is a noun that says what is in it."""
    return ["%s: a name that says nothing" % name_of(root, p) for p in files(root, "src/**/*")
            if p.stem in BANNED_NAMES or p.parent.name in BANNED_NAMES]


def check_headers(root):
    """Every header begins with what it is, and is included once."""
    out = []
    for path in files(root, "src/**/*.h"):
        text = text_of(path)
        if not re.match(r"/\* [\w/ -]+: \S", text):
            out.append("%s: no head comment `/* name: what it is`" % name_of(root, path))
        if "#pragma once" not in text:
            out.append("%s: no #pragma once" % name_of(root, path))
    return out


def check_engines(root):
    """No lock, allocation, JSON parsing or HTTP status in an engine."""
    out = []
    for path in files(root, "src/engine/*/*.[ch]"):
        code = code_of(path)
        out += ["%s:%d: %s in an engine" % (name_of(root, path), line_of(code, m.start()), m.group()) for m in IN_ENGINES.finditer(code)]
    return out


def check_columns(root):
    """No long line; a line of C that holds a literal may be longer, clang-format keeps the others."""
    out = []
    for path in c_files(root) + files(root, "test/**/*.py", "bench/*.py", "dev", "test/run"):
        for n, line in enumerate(text_of(path).splitlines(), 1):
            if len(line) > COLUMNS.get(path.suffix, 150) and not (path.suffix in (".c", ".h") and '"' in line):
                out.append("%s:%d: %d columns" % (name_of(root, path), n, len(line)))
    return out


def check_format(root):
    """clang-format 14 would change nothing."""
    paths = c_files(root)
    if not paths:
        return ["src: no C file"]
    done = subprocess.run(["clang-format-14", "--dry-run", "--ferror-limit=1", "-Werror", *map(str, paths)], cwd=root, capture_output=True, text=True,
                          check=False)
    if not done.returncode:
        return []
    found = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error", done.stderr, re.M)))
    return [str(pathlib.Path(f).relative_to(root)) + ": ./dev fmt" for f in found] or [done.stderr[:500]]


def check_listed(root):
    """Every source file is compiled: its meson.build names it."""
    out = []
    for path in files(root, "src/**/*.c", "test/unit/**/*.c", "test/fuzz/*.c"):
        place, found = path.parent, False
        word = path.stem.removeprefix("test_").removeprefix("fuzz_")
        while place != root.parent and not found:
            made = place / "meson.build"
            found = made.exists() and re.search(r"['/](test_|fuzz_)?%s(\.c)?'" % re.escape(word), text_of(made)) is not None
            place = place.parent
        if not found:
            out.append("%s: no meson.build names it" % name_of(root, path))
    return out


def check_references(root):
    """Every path that a document names is there, and every symbol that ARCHITECTURE.md names stands in src/."""
    out, sources = [], None
    for path in files(root, "*.md", "docs/**/*.md"):
        text = text_of(path)
        links = [m.group(1) for m in re.finditer(r"\]\(([^)#:]+)\)", text)]
        for link in links:
            if not (path.parent / link).exists():
                out.append("%s: %s is not there" % (name_of(root, path), link))
        for m in re.finditer(r"`([^`\n]+)`", text):
            word = m.group(1)
            if re.fullmatch(r"\.?/?(src|test|docs|bench|packaging|\.ci)/[\w./-]*", word) and not (root / word).exists():
                out.append("%s: %s is not there" % (name_of(root, path), word))
            elif path.name == "ARCHITECTURE.md" and re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+(\(\))?|struct \w+", word):
                sources = sources if sources is not None else "\n".join(map(text_of, files(root, "src/**/*.[ch]", "meson_options.txt")))
                if not re.search(r"\b%s\b" % re.escape(word.removesuffix("()").removeprefix("struct ")), sources):
                    out.append("%s: nothing in src/ is called %s" % (name_of(root, path), word))
    return out


def check_source_pages(root):
    """Every page of docs/ that a comment cites is there."""
    out = []
    for path in c_files(root):
        text = text_of(path)
        for m in re.finditer(r"\bdocs/[\w./-]+\.md\b", text):
            if not (root / m.group()).exists():
                out.append("%s:%d: %s is not there" % (name_of(root, path), line_of(text, m.start()), m.group()))
    return out


def check_needed(root):
    """The release program is linked to these libraries and no others."""
    program = root / "build/release/coffer"
    if not program.exists():
        return ["build/release/coffer: not built: ./dev build"]
    out = subprocess.run(["readelf", "-d", str(program)], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"\(NEEDED\).*\[(.+?)\.so", out)
    return ["build/release/coffer: linked to %s" % n for n in names if n not in NEEDED]


def check_blobs(root):
    """No big file in the tree."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=root, capture_output=True, text=True, check=False).stdout
    sizes = {f: (root / f).stat().st_size for f in listed.splitlines() if (root / f).is_file()}
    return ["%s: %d bytes" % (f, n) for f, n in sizes.items() if n > BLOB_BYTES]


CHECKS = {name[6:]: check for name, check in list(globals().items()) if name.startswith("check_")}


def main(argv):
    root, bad = pathlib.Path(argv[0]).resolve() if argv else ROOT, False
    for name, check in CHECKS.items():
        problems = check(root)
        for problem in problems:
            print("  %s" % problem)
        print("%s %s%s" % ("FAIL" if problems else "ok", name, ": %d" % len(problems) if problems else ""))
        bad = bad or bool(problems)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
