/* lease_index: when each lease is due, in memory: a hash map by lease id and a binary heap by time, in
 * shards.
 *
 *   record   | next 8 | path 8 (shared by all leases of a path) | due 8 | heap slot 4 | attempts, state, form
 * 3 | n 1 | name n | The last segment of an id, mostly a salted hash in hex, is held as its bytes: about 100
 * bytes a lease in all. Threads: any; one lock a shard, never two at once.
 */
#pragma once
#include "base/arena.h"

enum lease_state {
    LEASE_LIVE,        /* due = its expiry */
    LEASE_RETRY,       /* revoking failed; due = the next attempt */
    LEASE_REVOKING,    /* an internal request has it; not in the heap */
    LEASE_IRREVOCABLE, /* not in the heap */
    LEASE_FOREIGN,     /* of an engine that is not here: not in the heap */
    LEASE_GONE,        /* deleted while the store was being loaded: keeps the loader from bringing it back */
};

struct lease_index;

struct lease_index *lease_index_new(void);
void lease_index_free(struct lease_index *ix);

/* A published lease. INT64_MIN (never expires) is live and never due. */
void lease_index_put(struct lease_index *ix, str lease_id, int64_t expire_ns);
/* A stored lease that the loader met: only if the id is not known. */
void lease_index_load(struct lease_index *ix, str lease_id, int64_t expire_ns, enum lease_state state);
/* keep_mark: loading is under way. */
void lease_index_remove(struct lease_index *ix, str lease_id, bool keep_mark);
void lease_index_loaded(struct lease_index *ix); /* drops the marks */

bool lease_index_is_live(struct lease_index *ix, str path, str name, int64_t now_ns);
/* Up to `max` due leases, now REVOKING; ids in the arena. */
size_t lease_index_take_due(struct lease_index *ix, struct arena *a, int64_t now_ns, size_t max,
                            str *ret_ids);
/* Ends a revocation that did not remove the lease; a lease written meanwhile stays as it is.
 * retry: due again after delay_ns, doubled with each failure so far; counted: one more. Returns the failures
 * so far. live: it turned out not to be due before expire_ns. */
unsigned lease_index_retry(struct lease_index *ix, str lease_id, int64_t now_ns, int64_t delay_ns,
                           bool counted);
void lease_index_live(struct lease_index *ix, str lease_id, int64_t expire_ns);
void lease_index_give_up(struct lease_index *ix, str lease_id);
/* Up to `max` ids in this state. */
size_t lease_index_ids(struct lease_index *ix, struct arena *a, enum lease_state state, size_t max,
                       str *ret_ids);
int64_t lease_index_next_due(struct lease_index *ix); /* INT64_MAX: nothing */
/* Live ones that end in each of n steps of step_ns from from_ns on: added to counts. */
void lease_index_count_due(struct lease_index *ix, int64_t from_ns, int64_t step_ns, uint64_t *counts,
                           size_t n);
size_t lease_index_count(struct lease_index *ix, enum lease_state state);
/* Leases whose path is this one, or with `below` begins so; the marks count too. Looks at every path. */
size_t lease_index_count_path(struct lease_index *ix, str path, bool below);
size_t lease_index_total(struct lease_index *ix); /* without the marks */
