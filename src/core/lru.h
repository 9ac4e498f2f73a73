/* lru: the cache of ciphertext in struct active, sharded: the only locks on the read path.
 *
 * An entry is immutable but for its decoded object, set once; references are counted. Absent entries are
 * cached too.
 * Fill rule: a value read from the backend enters only if its space is unchanged since before that read
 * (checked under the shard's lock; a publisher changes the space before it touches any shard), so an old
 * value can never replace a newer one; and, asked of the lane after the read, no group in flight writes it,
 * so a newer one never stands beside what its group has yet to replace.
 */
#pragma once
#include "core/spaces.h"

struct lru;
struct lru_entry {
    struct lru_entry *hash_next, *newer, *older;
    uint64_t hash;
    _Atomic(uint32_t) refs;
    _Atomic(struct object *) object;
    str path;
    bytes value; /* p == NULL: absent */
};

struct lru *lru_new(size_t entries_max, size_t bytes_max);
void lru_free(struct lru *l);
struct lru_entry *lru_get(struct lru *l, str path); /* a reference, or NULL */
void lru_entry_unref(struct lru_entry *e);
/* An entry may be as big as a shard, a sixteenth of bytes_max. */
bool lru_takes(const struct lru *l, str path, size_t value_bytes);
/* The reader's fill: only if space->seq is still seq_before. */
void lru_fill(struct lru *l, struct space *s, uint64_t seq_before, str path, bytes value);
/* The publisher's: replaces. `insert`: also when the path was not cached. */
void lru_put(struct lru *l, str path, bytes value, bool insert);
struct object *lru_entry_object(struct lru_entry *e); /* a reference, or NULL */
/* takes a reference; the first one set stays */
void lru_entry_set_object(struct lru *l, struct lru_entry *e, struct object *o);
struct lru_stats {
    size_t entries, bytes;
};
struct lru_stats lru_stats(struct lru *l);
