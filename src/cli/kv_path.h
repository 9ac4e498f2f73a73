/* kv_path: where a kv command's argument leads: the mount asked for, its version, the paths of the API.
 * Lifetime: the call's arena.
 */
#pragma once
#include "cli/cli.h"

struct kv_path {
    bool v2;
    str mount; /* without slashes at the ends; empty if there is none (v1) */
    str rest;  /* inside the mount */
};

/* From the first argument and -mount, with one look-up at the server. Its errors are printed bare. */
struct error *kv_resolve(struct cli *c, struct kv_path *ret_path) MUST_USE;
/* v1: mount/rest; v2: mount/KIND/rest with KIND data, metadata, delete, undelete or destroy. */
str kv_full(struct cli *c, const struct kv_path *p, const char *kind);

/* "== TITLE ==" for a table whose longest key (or a path whose length) is given; table format only. */
void kv_heading(struct cli *c, const char *title, size_t total);
void kv_path_print(struct cli *c, const char *title, str path);
/* Heading and Key/Value table of an object. */
void kv_table_print(struct cli *c, const char *title, const struct json *object);
/* What kv put and patch print: path and metadata of the new version, or a success line. */
struct error *kv_written_print(struct cli *c, const struct kv_path *p, str path, const struct json *secret)
    MUST_USE;
struct error *kv_not_found(struct cli *c, const char *what, str path) MUST_USE;
