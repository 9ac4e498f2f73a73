/* txn: every request is a transaction over the barrier; a view is the part of it under one prefix.
 *
 * A handler sees its own writes, and in the lane those of the groups in flight. Success commits all writes;
 * an error drops
 * all but those made after txn_keep(). Paths are relative to the view. Clear values live in the request's
 * arena.
 * Errors: ERR_WOULD_BLOCK (pass it on: core runs the handler again where it may wait), ERR_INTERNAL naming
 * the path when a
 *   record does not open or storage fails, ERR_TOO_LARGE past the backend's limits or the request's memory.
 * Threads: of the request.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "base/metrics.h"

struct active;
struct mount;
struct txn;
struct space; /* a prefix with its version counters; lives as long as struct active */

struct view {
    struct txn *txn;
    struct space *space;
};

struct arena *view_arena(const struct view *v); /* of the request */
/* Absent: ret->p == NULL. A present empty value has p != NULL. */
struct error *view_get(struct view *v, str path, bytes *ret) MUST_USE;
struct error *view_get_json(struct view *v, str path, struct json **ret) MUST_USE; /* NULL: absent */
/* JSON that was stored; an error names `path`. */
struct error *entry_json(struct arena *a, str path, bytes clear, struct json **ret) MUST_USE;
struct error *view_has(struct view *v, str path, bool *ret) MUST_USE;
/* copied at once (sealed); the caller's memory is free after */
struct error *view_put(struct view *v, str path, bytes clear) MUST_USE;
/* as Vault: compact text and a newline */
struct error *view_put_json(struct view *v, str path, const struct json *value) MUST_USE;
/* Of SPACE_MEMORY: for so long; view_put() there: for as long as the node is active. ERR_BUSY: no room. */
struct error *view_put_for(struct view *v, str path, bytes clear, int64_t ttl_ns) MUST_USE;
struct error *view_delete(struct view *v, str path) MUST_USE; /* an absent entry is no error */
/* One level below prefix ("" or ending in '/'), folders with '/', sorted; sees this transaction's own writes.
 * */
struct error *view_list(struct view *v, str prefix, str **ret_names, size_t *ret_n) MUST_USE;
/* All entries below prefix, without it: a level's names sorted, then its folders' entries, the last folder
 * first. There is room for one more name. ERR_TOO_LARGE past the request's memory. */
struct error *view_list_all(struct view *v, str prefix, str **ret_names, size_t *ret_n) MUST_USE;
/* Deletes at most `max` entries anywhere below prefix; ret_done when none are left: the step of a bulk
 * handler. */
struct error *view_clear(struct view *v, str prefix, unsigned max, bool *ret_done) MUST_USE;

/* Decoded objects hang on the cache entry of their path and die with it, wiped: the only decoded cache there
 * is.
 * `parse` builds one heap block from the clear bytes; object_ref/unref count. The reference returned is held
 * by the arena. */
struct object {
    _Atomic(uint32_t) refs;
    uint32_t bytes; /* of the whole block: wiped and freed */
};
struct object *object_new(size_t bytes); /* zeroed, one reference */
void object_ref(struct object *o);
void object_unref(struct object *o);
typedef struct error *object_parse_fn(struct arena *scratch, str path, bytes clear,
                                      struct object **ret_object);
/* NULL: absent. */
struct error *view_get_object(struct view *v, str path, object_parse_fn *parse, struct object **ret) MUST_USE;

/* Keeps the writes made so far even when the handler ends in an error (a spent use, a failed-login count). */
void txn_keep(struct txn *t);
/* At publication, in commit order, on the commit thread; cannot fail; runs at most once. What can fail is
 * done in the handler.
 * arg must outlive the arena's reset: heap, or memory that fn frees. If the txn is dropped, drop(arg) is
 * called instead. */
void txn_on_commit(struct txn *t, void (*fn)(struct active *a, void *arg), void (*drop)(void *arg),
                   void *arg);
/* Before a handler changes what later handlers read from memory (mount table, audit devices): it runs alone,
 * on published
 * data. Pass the error on: core arranges it and runs the handler again. */
struct error *txn_exclusive(struct txn *t) MUST_USE;
/* A raw entry (no barrier record) in the same batch; core only: seal config, keyring, seal blobs. */
struct error *txn_put_raw(struct txn *t, str path, bytes value) MUST_USE;
struct error *txn_get_raw(struct txn *t, str path, bytes *ret) MUST_USE; /* absent: p == NULL */
/* A sample of base/metrics.h, from begun_ns (monotonic) to now; one more of a counter. Nothing when the run
 * is thrown away. */
void txn_time(struct txn *t, uint16_t metric, int64_t begun_ns);
void txn_count(struct txn *t, uint16_t metric);
bool txn_has_writes(const struct txn *t);

/* The core's own views. */
enum core_space {
    SPACE_CORE /* core/ */,
    SPACE_POLICY /* sys/policy/ */,
    SPACE_TOKEN /* sys/token/ */,
    SPACE_EXPIRE /* sys/expire/ */,
    SPACE_SYS /* sys/ : the rest */,
    SPACE_AUDIT /* audit/ */,
    SPACE_MEMORY /* ~mem/ : in memory only, gone with struct active (core/volatile.h); cannot be listed */,
    SPACE_CORE_COUNT_
};
struct view txn_view(struct txn *t, enum core_space which);
struct view txn_mount_view(struct txn *t, const struct mount *m);
uint64_t space_version(struct space *s); /* changes with every publication into it */
struct space *txn_space(struct txn *t, enum core_space which);
