/* call: one request on its way through loops, pools and the lane. For core only.
 *
 *   loop     call_run read-only ── done ────────────────→ finished list: the turn's audit lines, answers
 *            ├─ WOULD_BLOCK → storage pool: run there ──→ posted to the loop
 *            └─ WANTS_LANE, or the route writes → lane
 *   lane     call_run on committed + overlay ── done ───→ joins the filling group
 *            └─ WOULD_BLOCK → storage pool: rehearsal ──→ lane again
 *   commit   request lines → storage commit → publish ──→ posted to the loop: response lines, answers
 * Threads: a call belongs to one thread at a time; it is handed over through queues.
 */
#pragma once
#include "core/active_private.h"
#include "core/txn_private.h"
#include "crypto/crypto.h"

enum { CALL_REHEARSALS_MAX = 3, CALL_LOOP_RUNS_MAX = 3 };

struct memo { /* of request_memo(): heap, wiped with the request */
    struct memo *next;
    memo_fn *compute;
    uint8_t digest[SHA256_BYTES]; /* of x and y */
    size_t x_n, n;
    uint8_t value[];
};

struct call_state {
    struct call_state *next;                  /* of the queue it is in */
    struct call_state *live_next, *live_prev; /* of its loop: all that are not answered */
    enum op op_asked;
    struct core_call *call;
    struct active *active;
    struct inflight *slot; /* NULL: internal */
    unsigned parity;
    struct arena_mark mark; /* the request as it came; every run begins here */
    struct txn txn;
    struct snapshot *snapshot; /* of the last run; held by the arena */
    struct job job;
    struct post post;
    int64_t started_ns, deadline_ns;
    int64_t run_ns;                           /* monotonic: begin of the last run */
    int64_t token_ns, checked_ns, handled_ns; /* of it: how long; -1: it did not come so far */
    unsigned rehearsals, loop_runs;
    bool in_lane;   /* once there, it comes back there */
    bool exclusive; /* runs alone, on published data */
    bool solo;      /* a group of its own after its group failed */
    bool may_block;
    bool request_line_written;
    bool request_only; /* sys/seal: no response line */
    bool unaudited;
    bool ran;        /* to its end, at least once */
    bool later_step; /* of a bulk request: it was authenticated in its first */
    str *warnings;   /* of the first step */
    size_t n_warnings;
    bool refused; /* by token or ACL: the request line carries the error */
    enum txn_mode pool_mode;
    bool on_slow_pool; /* when it runs in a pool: which */
    struct memo *memos;
    uint64_t epoch;                     /* of the lane, when it began to run */
    bool quota_counted, quota_exceeded; /* by quota_login() */
    struct quota_told quota;
    struct acl_result decision;
    bool decided;
    struct audit_lines request_lines, response_lines;
    /* internal requests */
    handler_fn *internal_fn;
    void (*internal_done)(const struct error *e, void *arg);
    struct core_call internal_call;
};

/* Runs the request once from its start. cs->txn.stop tells whether it must be run elsewhere; else rs or error
 * are set. */
void call_run(struct call_state *cs, enum txn_mode mode);
/* After a run in the lane: published (or refused without kept writes); from the commit thread. */
void call_committed(struct call_state *cs);
/* The call ends with this error instead (made in its own arena); from lane or commit thread. */
void call_failed(struct call_state *cs, struct error *e);
void call_make_request_line(struct call_state *cs);
/* Sends the call to the storage pool in `mode`; false: the pool's queue is full. */
bool call_to_pool(struct call_state *cs, enum txn_mode mode) MUST_USE;
/* measure.c: the request is done: its times into the registry. Once, on its loop. */
void call_measure(struct call_state *cs, int64_t now_ns);
void memos_free(void *call_state); /* memo.c; deferred in the request's arena */
/* The same with the pool for what takes long; the call fails when that is full. */
void call_to_slow_pool(struct call_state *cs);
