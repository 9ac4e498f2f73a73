/* sweep: every operation of every route of every mount of a running core, each with a path and a body that
 * fit it.
 *
 * Use: sweep_mounts() once, so that each engine has a mount; sweep_of() for the list. Lifetime: of the
 * harness.
 */
#pragma once
#include "harness.h"

struct sweep_op {
    const char *mount; /* "secret/" */
    const struct engine *engine;
    const struct route *route;
    enum op op; /* OP_UPDATE stands for creates too */
    unsigned flags;
};

void sweep_mounts(
    struct harness *h); /* kv 1 at secret/, kv 2 at kv2/, userpass at auth/up/ with the user ann,
 * approle at auth/ar/ with the role sweep */
const struct sweep_op *sweep_of(struct harness *h, size_t *ret_n);
/* The path with usual values, but `value` for the path's value `name` (NULL: none). */
str sweep_path(struct arena *a, const struct sweep_op *o, const char *name, str value);
/* A body that the operation takes, so that it does what it does when nothing forbids it; may be empty. */
struct json *sweep_body(struct arena *a, const struct sweep_op *o);
bool sweep_op_writes(const struct sweep_op *o);
/* Does it end the core's service: sealing, stepping down? */
bool sweep_op_stops(const struct sweep_op *o);
/* All of the store, path by path: a digest. */
str sweep_store_digest(struct harness *h, struct arena *a);
