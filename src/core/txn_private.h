/* txn_private: a transaction from inside: how a request is run, what it wrote, what it rests on. For core
 * only. */
#pragma once
#include "core/lru.h"
#include "core/spaces.h"
#include "storage/storage.h"

enum txn_mode {
    TXN_LOOP,      /* read-only, never waits: a miss stops with WOULD_BLOCK, a put with WANTS_LANE */
    TXN_POOL,      /* read-only, may wait */
    TXN_REHEARSAL, /* may wait, fills the LRU, writes are dropped */
    TXN_LANE,      /* sees the groups in flight, writes; waits only with may_block */
};

enum txn_stop { TXN_GO, TXN_WOULD_BLOCK, TXN_WANTS_LANE, TXN_WANTS_EXCLUSIVE, TXN_WANTS_SLOW };

enum { TXN_WRITES_MAX = 128, TXN_SPACES_MAX = 12, TXN_LIST_MAX = 1000000 };

struct txn_write {
    struct space *space;
    str path;     /* full */
    bytes clear;  /* of a put */
    bytes record; /* what the backend gets: made when the request joins a group */
    bool deletes, raw;
    bool in_memory;     /* of SPACE_MEMORY: not for the backend */
    int64_t expires_ns; /* then */
};

struct txn_hook {
    struct txn_hook *next;
    void (*fn)(struct active *a, void *arg);
    void (*drop)(void *arg);
    void *arg;
};

struct txn_measure {
    struct txn_measure *next;
    uint16_t metric;
    int64_t ns; /* -1: of a counter */
};

struct txn_read {
    struct space *space;
    uint64_t seq, begun;
    bool under_way; /* a commit into the space was under way at the first read */
};

struct txn {
    struct active *active;
    struct arena *arena;
    enum txn_mode mode;
    bool may_block, exclusive;
    bool slow_ok; /* on the pool for what takes long */
    enum txn_stop stop;
    bool stopped_by_list;
    bool past_lru;        /* read from the backend */
    bool past_lru_always; /* read what the cache does not take: the next run misses it too */
    unsigned n_reads;     /* since txn_reads_begin */
    struct txn_read reads[TXN_SPACES_MAX];
    unsigned n_spaces;
    bool too_many_spaces; /* consistency can't be shown: run in the lane */
    struct txn_write *writes;
    unsigned n_writes, n_kept, cap_writes;
    struct txn_hook *hooks, **hooks_end, **hooks_kept;
    struct txn_measure *measures;
};

void txn_begin(struct txn *t, struct active *a, struct arena *arena, enum txn_mode mode);
/* The reads from here on must be consistent with each other (before: the core's own token look-up). */
void txn_reads_begin(struct txn *t);
bool txn_reads_are_consistent(const struct txn *t);
/* Drops what an error drops: all writes and hooks but the kept ones. */
void txn_fail(struct txn *t);
void txn_drop_hooks(struct txn *t);
void txn_measured(struct txn *t); /* the run stands: its measures into the registry, once */
