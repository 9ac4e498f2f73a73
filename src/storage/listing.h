/* listing: one level of sorted paths, made from a walk over all of them that skips what is inside folders.
 * For backends that keep whole paths in order.
 *
 * Use: seek to the first path at or after the prefix; then for each path listing_add(), until it returns
 * false; go on with the next path, or, when `skip_to` is not empty, with the first one at or after it.
 * Lifetime: names are copies in the arena; `skip_to` is valid until the next call.
 */
#pragma once
#include "base/arena.h"

struct listing {
    struct arena *arena;
    str prefix;
    str *names;
    size_t n, cap;
    char *skip; /* the last skip_to: its memory is used again */
    size_t skip_cap;
};

/* False: `path` and all after it lie outside the prefix. */
bool listing_add(struct listing *l, str path, str *ret_skip_to) MUST_USE;
void listing_add_name(struct listing *l, str name);
