/* pairs: the K=V arguments of read, write, kv put, login ….
 *
 * Without "=": "-" is a JSON object on stdin, "@file" one in a file. With it: a value "@file" is the file's
 * bytes, "\@x" the literal
 * "@x", "-" all of stdin (once per call), anything else itself. Values are strings; a key seen before becomes
 * an array. Errors: ERR_BAD_REQUEST, "invalid key/value pair "ARG": REASON". Lifetime: the arena.
 */
#pragma once
#include "base/json.h"

struct error *pairs_parse(struct arena *a, int stdin_fd, const str *args, size_t n, struct json **ret_object)
    MUST_USE;
