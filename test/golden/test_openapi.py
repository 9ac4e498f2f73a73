"""openapi: what the recorded server says its API takes is taken here: every path, operation and field of the areas that are here.

The document is made from the route tables. openapi/differences.txt lists what is not there, or named otherwise, with the reason; a line that
hides nothing any more is a failure, unless its reason begins with "being written".
"""
import functools
import json
import os
import re

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
AREAS = ("sys/", "auth/token/", "auth/approle/", "identity/", "cubbyhole/", "kv/", "kv-v2/")
VERBS = ("get", "post", "patch", "delete")


def operations(document):
    """{(path without the names of its values, verb): names of its query and body}"""
    schemas, out = document.get("components", {}).get("schemas", {}), {}
    for path, item in document["paths"].items():
        path = re.sub(r"\{[^}]*\}", "{}", path).strip("/")
        if not (path + "/").startswith(AREAS):
            continue
        shared = {p["name"] for p in item.get("parameters", ()) if p["in"] == "query"}
        for verb in set(VERBS) & item.keys():
            operation = item[verb]
            names = shared | {p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"}
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if "$ref" in schema:
                schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
            out.setdefault((path, verb), set()).update(names | schema.get("properties", {}).keys())
    return out


def recorded():
    with open(os.path.join(HERE, "openapi/vault-1.14.7.json"), encoding="utf-8") as f:
        return operations(json.load(f))


@functools.lru_cache(None)
def differences():
    """[(pattern of "PATH VERB [FIELD]", reason)]"""
    out = []
    with open(os.path.join(HERE, "openapi/differences.txt"), encoding="utf-8") as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                what, reason = re.split(r"\s{2,}", line.strip(), maxsplit=1)
                out.append((re.compile(re.escape(what).replace(r"\*", ".*") + r"( .*)?$"), reason))
    return out


@pytest.fixture(name="ours", scope="module")
def served(tmp_path_factory):
    import lab
    place = lab.Lab(tmp_path_factory.mktemp("openapi"))
    server = place.server().ready()
    server.ok("POST", "sys/mounts/kv-v2", {"type": "kv", "options": {"version": "2"}})
    server.ok("POST", "sys/auth/approle", {"type": "approle"})
    yield operations(server.ok("GET", "sys/internal/specs/openapi").body)
    place.close()


def missing(wanted, ours):
    for (path, verb), names in sorted(wanted.items()):
        if (path, verb) not in ours:
            yield "%s %s" % (path, verb)
        else:
            for name in sorted(names - ours[path, verb]):
                yield "%s %s %s" % (path, verb, name)


def test_all_that_is_recorded_is_here(ours):
    lacking = [m for m in missing(recorded(), ours) if not any(p.match(m) for p, _ in differences())]
    assert lacking == []


def test_no_difference_is_listed_in_vain(ours):
    all_missing = list(missing(recorded(), ours))
    vain = [p.pattern for p, reason in differences() if not reason.startswith("being written") and not any(p.match(m) for m in all_missing)]
    assert vain == []
