/* volatile: entries that live in memory only, with a time to live: progress that nobody else may see, used
 * codes, counts of failures. Part of struct active, gone with it.
 *
 * Handlers use them as entries of a view, txn_view(t, SPACE_MEMORY): with the same semantics (own writes,
 * groups in flight, publication, txn_keep()). A time ends by the monotonic clock.
 * Memory: a value of more than VOLATILE_INLINE_BYTES is a `struct secret`; a shorter one (a count) is not.
 * Bounds: VOLATILE_ENTRIES_MAX entries, VOLATILE_SECRETS_MAX of them with a secret: 503 beyond.
 * Threads: any; one lock, a leaf.
 */
#pragma once
#include "core/engine.h"

enum {
    VOLATILE_ENTRIES_MAX = 65536,
    VOLATILE_SECRETS_MAX = 4096,
    VOLATILE_INLINE_BYTES = 16,
    VOLATILE_BYTES_MAX = 512 * 1024 /* of a value: 255 PGP keys of a rekey */
};
#define VOLATILE_NEVER_NS INT64_MAX

struct volatile_store;
struct volatile_store *volatile_new(struct active *a);
void volatile_free(struct volatile_store *v); /* wipes; control thread; NULL is fine */

/* A copy in `a`. Absent, or its time is over: ret->p == NULL. */
void volatile_get(struct volatile_store *v, struct arena *a, str path, bytes *ret);
/* Will one more be taken? What is in flight is not counted. */
bool volatile_has_room(struct volatile_store *v, size_t value_bytes);
/* At publication. value.p == NULL: deletes. expires_ns: of the monotonic clock. */
void volatile_set(struct volatile_store *v, str path, bytes value, int64_t expires_ns);
size_t volatile_count(struct volatile_store *v); /* what it holds, for tests */
