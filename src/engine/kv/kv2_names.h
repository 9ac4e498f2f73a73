/* kv2_names: the names under which a kv2 mount keeps its keys: each segment sealed under a key of the mount.
 *
 * Form:     docs/formats/kv2.md, "Names". A name depends on the segments before it and on nothing else, so a
 *           key is found by its sealed path and a folder is listed by opening the names in it.
 * Lifetime: struct kv2_names is a decoded object on the cache entry of its key policy, held by the request's
 *           arena.
 * Errors:   ERR_INTERNAL for a key policy or a name that this program cannot have written and cannot read.
 */
#pragma once
#include "core/engine.h"

struct kv2_names;

/* Of the mount whose entries lie under `base` ("UUID/"). NULL: no key was made yet. */
struct error *kv2_names_load(struct view *v, str base, const struct kv2_names **ret) MUST_USE;
/* The decoder behind it: a key policy's JSON becomes a struct kv2_names, whose first member is the object. */
struct error *kv2_names_parse(struct arena *scratch, str path, bytes clear, struct object **ret) MUST_USE;
/* Draws the key and stores it, to be loaded in the same transaction. */
struct error *kv2_names_make(struct request *rq, struct view *v, str base) MUST_USE;

/* The path of `key` ("apps/db"; empty segments are left out): base, "metadata", sealed segments. */
str kv2_names_seal(const struct kv2_names *names, struct arena *a, str base, str key);
/* The clear text of the sealed name `name` in the folder `folder` ("" or "apps"). */
struct error *kv2_names_open(const struct kv2_names *names, struct arena *a, str base, str folder, str name,
                             str *ret) MUST_USE;

/* Bytes as one big-endian number in base 62 (digits, lower case, upper case), and back without leading
 * zero bytes. */
str kv2_base62_encode(struct arena *a, bytes b);
bool kv2_base62_decode(struct arena *a, str s, bytes *ret) MUST_USE;
