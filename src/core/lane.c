#include "core/lane.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/metrics.h"
#include "core/volatile.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { OVERLAY_BUCKETS = 4096, COMMIT_RETRY_NS_MAX = 10 };

struct overlay_entry { /* in the arena of the call that wrote it */
    struct overlay_entry *next;
    uint64_t hash;
    str path;
    bytes record;
    bool deletes;
};

struct write_group {
    struct call_state *first, **end;
    size_t n_calls, n_writes, n_bytes;
    bool solo;
};

struct queue {
    struct call_state *first, **end;
    size_t n;
};

struct lane {
    struct active *active;
    struct thread runner, committer;
    struct mutex mutex;    /* everything below */
    struct cond to_runner; /* queue, or idle commit, or room in the group */
    struct cond to_committer;
    struct queue queue;
    struct write_group filling;
    bool committing;
    bool closed; /* nothing more is run */
    bool broken; /* storage failed: closed until rebuilt */
    bool runner_gone;
    uint64_t epoch; /* rises when a group fails: what ran on its overlay is void */
    struct overlay_entry *overlay[OVERLAY_BUCKETS];
    size_t n_overlay;
    uint64_t walks; /* commit thread: see each_space */
};

static void queue_init(struct queue *q)
{
    q->first = NULL;
    q->end = &q->first;
    q->n = 0;
}

static void queue_push(struct queue *q, struct call_state *cs)
{
    cs->next = NULL;
    *q->end = cs;
    q->end = &cs->next;
    q->n++;
}

static struct call_state *queue_pop(struct queue *q)
{
    struct call_state *cs = q->first;

    if (cs) {
        q->first = cs->next;
        if (!q->first)
            q->end = &q->first;
        q->n--;
        cs->next = NULL;
    }
    return cs;
}

static void queue_push_front(struct queue *q, struct call_state *cs)
{
    cs->next = q->first;
    if (!q->first)
        q->end = &cs->next;
    q->first = cs;
    q->n++;
}

static void group_init(struct write_group *g)
{
    *g = (struct write_group){0};
    g->end = &g->first;
}

static void group_move(struct write_group *to, struct write_group *from)
{
    *to = *from;
    if (!to->first)
        to->end = &to->first;
    group_init(from);
}

static const struct overlay_entry *overlay_find_locked(struct lane *l, str path) REQUIRES(&l->mutex)
{
    uint64_t hash = str_hash(path);
    const struct overlay_entry *e = l->overlay[hash % OVERLAY_BUCKETS];

    while (e && !(e->hash == hash && str_eq(e->path, path)))
        e = e->next;
    return e;
}

bool lane_overlay_get(struct lane *l, struct arena *a, str path, bytes *ret)
{
    mutex_lock(&l->mutex);
    const struct overlay_entry *e = overlay_find_locked(l, path);

    if (e)
        *ret = e->deletes ? (bytes){0} : arena_bytes(a, e->record);
    mutex_unlock(&l->mutex);
    return e != NULL;
}

bool lane_overlay_has(struct lane *l, str path)
{
    mutex_lock(&l->mutex);
    bool found = overlay_find_locked(l, path) != NULL;

    mutex_unlock(&l->mutex);
    return found;
}

void lane_overlay_each(struct lane *l, struct arena *a, void (*fn)(void *arg, str path, bool deletes),
                       void *arg)
{
    mutex_lock(&l->mutex);
    for (size_t i = 0; l->n_overlay > 0 && i < OVERLAY_BUCKETS; i++) {
        /* the newest write of a path stands first in its chain: oldest first for the callee */
        size_t n = 0;

        for (struct overlay_entry *e = l->overlay[i]; e; e = e->next)
            n++;
        struct overlay_entry **oldest_first = ARENA_ARRAY(a, struct overlay_entry *, n + 1);

        for (struct overlay_entry *e = l->overlay[i]; e; e = e->next)
            oldest_first[--n] = e;
        for (; oldest_first[n]; n++)
            fn(arg, arena_str(a, oldest_first[n]->path), oldest_first[n]->deletes);
    }
    mutex_unlock(&l->mutex);
}

static void overlay_add_locked(struct lane *l, struct call_state *cs) REQUIRES(&l->mutex)
{
    for (unsigned i = 0; i < cs->txn.n_writes; i++) {
        const struct txn_write *w = &cs->txn.writes[i];
        struct overlay_entry *e = ARENA_NEW(cs->call->rq.arena, struct overlay_entry);

        *e = (struct overlay_entry){
            .hash = str_hash(w->path), .path = w->path, .record = w->record, .deletes = w->deletes};
        e->next = l->overlay[e->hash % OVERLAY_BUCKETS];
        l->overlay[e->hash % OVERLAY_BUCKETS] = e;
        l->n_overlay++;
    }
}

/* A published group's writes are the oldest: in each chain they stand at the end. */
static void overlay_remove_locked(struct lane *l, const struct write_group *g) REQUIRES(&l->mutex)
{
    for (const struct call_state *cs = g->first; cs; cs = cs->next)
        for (unsigned i = 0; i < cs->txn.n_writes; i++) {
            const struct txn_write *w = &cs->txn.writes[i];
            struct overlay_entry **at = &l->overlay[str_hash(w->path) % OVERLAY_BUCKETS], **match = NULL;

            for (; *at; at = &(*at)->next)
                if ((*at)->record.p == w->record.p && (*at)->path.p == w->path.p)
                    match = at;
            if (match) {
                *match = (*match)->next;
                l->n_overlay--;
            }
        }
}

static void overlay_clear_locked(struct lane *l) REQUIRES(&l->mutex)
{
    memset(l->overlay, 0, sizeof(l->overlay));
    l->n_overlay = 0;
}

/* ---- the lane thread ---- */

static bool seal_writes(struct call_state *cs)
{
    struct active *a = cs->active;

    for (unsigned i = 0; i < cs->txn.n_writes; i++) {
        struct txn_write *w = &cs->txn.writes[i];

        if (w->deletes)
            continue;
        if (w->raw || w->in_memory) {
            w->record = w->clear;
            continue;
        }
        uint8_t *out = arena_alloc(cs->call->rq.arena, w->clear.n + BARRIER_OVERHEAD_BYTES);

        if (barrier_seal(a->barrier, a->core->config.rng, out, w->path, w->clear) != BARRIER_OK)
            return false;
        w->record = (bytes){out, w->clear.n + BARRIER_OVERHEAD_BYTES};
    }
    return true;
}

static size_t write_bytes(const struct call_state *cs)
{
    size_t n = 0;

    for (unsigned i = 0; i < cs->txn.n_writes; i++)
        n += cs->txn.writes[i].path.n + cs->txn.writes[i].record.n;
    return n;
}

static bool fits_locked(struct lane *l, const struct call_state *cs, size_t n_bytes) REQUIRES(&l->mutex)
{
    const struct storage_caps *caps = &l->active->core->config.storage->caps;

    if (l->filling.n_calls == 0)
        return true;
    return !cs->solo && !l->filling.solo && l->filling.n_calls < LANE_GROUP_REQUESTS_MAX &&
           l->filling.n_writes + cs->txn.n_writes <= caps->batch_max &&
           l->filling.n_bytes + n_bytes <= LANE_GROUP_BYTES_MAX;
}

static void requeue_locked(struct lane *l, struct call_state *cs) REQUIRES(&l->mutex)
{
    txn_drop_hooks(&cs->txn);
    queue_push_front(&l->queue, cs);
}

static void join(struct lane *l, struct call_state *cs)
{
    if (!seal_writes(cs)) {
        call_failed(cs, error_new(cs->call->rq.arena, ERR_SEALED, "Vault is sealed"));
        return;
    }
    size_t n_bytes = write_bytes(cs);

    mutex_lock(&l->mutex);
    while (!fits_locked(l, cs, n_bytes) && cs->epoch == l->epoch)
        cond_wait(&l->to_runner, &l->mutex);
    if (cs->epoch != l->epoch) {
        requeue_locked(l, cs); /* what it read was never committed */
    } else {
        cs->next = NULL;
        *l->filling.end = cs;
        l->filling.end = &cs->next;
        l->filling.n_calls++;
        l->filling.n_writes += cs->txn.n_writes;
        l->filling.n_bytes += n_bytes;
        l->filling.solo = cs->solo;
        overlay_add_locked(l, cs);
        cond_signal(&l->to_committer);
    }
    mutex_unlock(&l->mutex);
}

static void wait_idle_locked(struct lane *l) REQUIRES(&l->mutex)
{
    while (l->committing || l->filling.n_calls > 0)
        cond_wait(&l->to_runner, &l->mutex);
}

static void rehearse(struct lane *l, struct call_state *cs)
{
    cs->rehearsals++;
    if (cs->rehearsals > CALL_REHEARSALS_MAX || (cs->txn.stopped_by_list && cs->rehearsals > 1) ||
        !call_to_pool(cs, TXN_REHEARSAL)) {
        cs->may_block = true; /* what still misses may wait here */
        mutex_lock(&l->mutex);
        queue_push_front(&l->queue, cs);
        mutex_unlock(&l->mutex);
    }
}

static void run_one(struct lane *l, struct call_state *cs)
{
    call_run(cs, TXN_LANE);
    switch (cs->txn.stop) {
    case TXN_GO: join(l, cs); return;
    case TXN_WOULD_BLOCK:
        txn_drop_hooks(&cs->txn);
        rehearse(l, cs);
        return;
    case TXN_WANTS_SLOW: /* what it works on has changed since it ran there */
        txn_drop_hooks(&cs->txn);
        call_to_slow_pool(cs);
        return;
    case TXN_WANTS_EXCLUSIVE:
    case TXN_WANTS_LANE:
        cs->exclusive = true;
        mutex_lock(&l->mutex);
        requeue_locked(l, cs);
        mutex_unlock(&l->mutex);
        return;
    }
}

/* Of a closed lane: nobody else will take them. */
static void fail_queued(struct lane *l)
{
    mutex_lock(&l->mutex);
    struct call_state *rest = l->queue.first;

    queue_init(&l->queue);
    mutex_unlock(&l->mutex);
    for (struct call_state *cs = rest, *next; cs; cs = next) {
        next = cs->next;
        call_failed(cs, error_new(cs->call->rq.arena, ERR_SEALED, "Vault is sealed"));
    }
}

static void runner_main(void *arg)
{
    struct lane *l = arg;

    mutex_lock(&l->mutex);
    for (;;) {
        while (!l->closed && l->queue.n == 0)
            cond_wait(&l->to_runner, &l->mutex);
        if (l->closed)
            break;
        struct call_state *cs = queue_pop(&l->queue);
        bool alone = cs->exclusive || cs->solo;

        if (alone)
            wait_idle_locked(l);
        cs->epoch = l->epoch;
        mutex_unlock(&l->mutex);
        run_one(l, cs); /* may hand cs over: not to be touched after */
        mutex_lock(&l->mutex);
        if (alone)
            wait_idle_locked(l);
    }
    l->runner_gone = true;
    cond_signal(&l->to_committer);
    mutex_unlock(&l->mutex);
    fail_queued(l);
}

/* ---- the commit thread ---- */

static struct storage_batch batch_of(struct arena *scratch, const struct active *a,
                                     const struct write_group *g)
{
    struct storage_batch b = {.puts = ARENA_ARRAY(scratch, struct storage_put, g->n_writes + 1),
                              .fence = a->lock ? &a->fence : NULL};

    for (const struct call_state *cs = g->first; cs; cs = cs->next)
        for (unsigned i = 0; i < cs->txn.n_writes; i++) {
            const struct txn_write *w = &cs->txn.writes[i];

            if (w->in_memory)
                continue;
            b.puts[b.n++] = (struct storage_put){.path = w->path, .value = w->record, .deletes = w->deletes};
        }
    return b;
}

/* Every entry of a group took as long as its commit. */
static void measure_commit(const struct core *c, const struct storage_batch *b, int64_t ns)
{
    size_t deletes = 0;

    for (size_t i = 0; i < b->n; i++)
        deletes += b->puts[i].deletes;
    if (b->n > deletes) {
        metric_time(c->storage_metrics[STORAGE_PUT], ns, b->n - deletes);
        metric_time(METRIC_BARRIER_PUT, ns, b->n - deletes);
        metric_count(METRIC_CACHE_WRITE, b->n - deletes);
    }
    if (deletes > 0) {
        metric_time(c->storage_metrics[STORAGE_DELETE], ns, deletes);
        metric_time(METRIC_BARRIER_DELETE, ns, deletes);
        metric_count(METRIC_CACHE_DELETE, deletes);
    }
}

static struct error *commit_storage(struct lane *l, struct arena *scratch, const struct write_group *g)
{
    struct storage_batch b = batch_of(scratch, l->active, g);
    int64_t begun_ns = clock_mono_ns(clock_real()), give_up_ns = begun_ns + COMMIT_RETRY_NS_MAX * NS_PER_S;
    struct error *e;

    if (b.n == 0)
        return NULL;
    if (!g->solo && FAULT(FAULT_COMMIT_GROUP))
        return error_new(scratch, ERR_FULL, "injected failure of a group");
    (void)FAULT(FAULT_COMMIT_BEFORE);
    do { /* unknown outcome: the identical batch again, until the answer is definite */
        e = storage_commit(l->active->core->config.storage, scratch, &b);
    } while (e && e->kind == ERR_UNKNOWN_OUTCOME && clock_mono_ns(clock_real()) < give_up_ns);
    (void)FAULT(FAULT_COMMIT_AFTER);
    if (!e)
        measure_commit(l->active->core, &b, clock_mono_ns(clock_real()) - begun_ns);
    return e;
}

/* Each space that the group writes into, once: a second bump would make it look at rest. */
static void each_space(struct lane *l, const struct write_group *g, void (*fn)(struct space *s))
{
    l->walks++;
    for (const struct call_state *cs = g->first; cs; cs = cs->next)
        for (unsigned i = 0; i < cs->txn.n_writes; i++) {
            struct space *s = cs->txn.writes[i].space;

            if (s->visited != l->walks)
                fn(s);
            s->visited = l->walks;
        }
}

static void space_begin(struct space *s)
{
    atomic_fetch_add(&s->begun, 1);
}

static void space_end(struct space *s)
{
    atomic_fetch_add(&s->ended, 1);
}

static void space_bump(struct space *s)
{
    atomic_fetch_add(&s->seq, 1);
}

static bool is_inserted(const struct txn_write *w)
{
    return !w->raw && !str_starts(w->path, STR("sys/expire/"));
}

/* In order: the spaces turn odd, the cache changes, hooks, the spaces turn even; then the overlay goes (see
 * txn_reads_are_consistent). */
static void publish(struct lane *l, const struct write_group *g)
{
    each_space(l, g, space_bump);
    for (const struct call_state *cs = g->first; cs; cs = cs->next)
        for (unsigned i = 0; i < cs->txn.n_writes; i++) {
            const struct txn_write *w = &cs->txn.writes[i];

            if (w->in_memory) {
                volatile_set(l->active->volatiles, w->path, w->deletes ? (bytes){0} : w->record,
                             w->expires_ns);
                continue;
            }
            lru_put(l->active->lru, w->path, w->deletes ? (bytes){0} : w->record,
                    is_inserted(w) && l->active->core->config.storage->caps.blocking);
        }
    for (struct call_state *cs = g->first; cs; cs = cs->next) {
        for (struct txn_hook *h = cs->txn.hooks; h; h = h->next)
            h->fn(l->active, h->arg);
        cs->txn.hooks = NULL;
    }
    each_space(l, g, space_bump);
}

static bool write_request_lines(struct arena *scratch, const struct write_group *g)
{
    const struct audit_lines **lines = ARENA_ARRAY(scratch, const struct audit_lines *, g->n_calls);
    size_t n = 0;
    struct audit_set *set = NULL;

    for (struct call_state *cs = g->first; cs; cs = cs->next) {
        if (cs->request_line_written || !cs->request_lines.set)
            continue;
        cs->request_line_written = true;
        set = cs->request_lines.set; /* one for the whole group: sets change only in exclusive requests */
        lines[n++] = &cs->request_lines;
    }
    return n == 0 || audit_write(scratch, set, lines, n);
}

static void fail_group(struct write_group *g, enum err_kind kind, const char *text)
{
    for (struct call_state *cs = g->first, *next; cs; cs = next) {
        next = cs->next;
        txn_drop_hooks(&cs->txn);
        call_failed(cs, error_new(cs->call->rq.arena, kind, "%s", text));
    }
}

/* What was built on the failed group is void: it runs again, after the failed group's own requests, which run
 * one by one. */
static void drop_overlay(struct lane *l, struct write_group *failed, bool retry)
{
    mutex_lock(&l->mutex);
    struct write_group later;

    group_move(&later, &l->filling);
    l->epoch++;
    overlay_clear_locked(l);
    struct queue again;

    queue_init(&again);
    for (struct call_state *cs = retry ? failed->first : NULL, *next; cs; cs = next) {
        next = cs->next;
        txn_drop_hooks(&cs->txn);
        cs->solo = true;
        queue_push(&again, cs);
    }
    for (struct call_state *cs = later.first, *next; cs; cs = next) {
        next = cs->next;
        txn_drop_hooks(&cs->txn);
        queue_push(&again, cs);
    }
    if (again.n > 0) {
        *again.end = l->queue.first;
        if (l->queue.n == 0)
            l->queue.end = again.end;
        l->queue.first = again.first;
        l->queue.n += again.n;
    }
    cond_signal(&l->to_runner);
    mutex_unlock(&l->mutex);
}

static void commit_failed(struct lane *l, struct write_group *g, const struct error *e)
{
    struct arena *a = arena_new(0);
    bool definite = e->kind != ERR_IO && e->kind != ERR_UNKNOWN_OUTCOME && e->kind != ERR_FENCED;
    enum err_kind answer = e->kind == ERR_TOO_LARGE || e->kind == ERR_BUSY ? e->kind : ERR_INTERNAL;

    log_error("core", "a commit failed", F_STR("error", error_log_text(a, e)), F_INT("requests", g->n_calls));
    if (definite && !g->solo && e->kind != ERR_BUSY) {
        drop_overlay(l, g, true);
    } else {
        drop_overlay(l, g, false);
        if (!definite) {
            mutex_lock(&l->mutex);
            l->broken = true;
            mutex_unlock(&l->mutex);
            core_storage_failed(l->active, e->kind);
        }
        fail_group(g, answer,
                   definite ? "storage refused the write: nothing was changed"
                            : "storage failed: whether the write was done is not known");
    }
    arena_free(a);
}

static void commit_group(struct lane *l, struct arena *scratch, struct write_group *g)
{
    bool late = FAULT(FAULT_DEFECT_COMMIT_BEFORE_AUDIT);

    if (!late && !write_request_lines(scratch, g)) {
        for (struct call_state *cs = g->first; cs; cs = cs->next)
            cs->unaudited = true; /* no answer's line without its request's */
        drop_overlay(l, g, false);
        fail_group(g, ERR_INTERNAL, "internal error");
        return;
    }
    each_space(l, g, space_begin);
    struct error *e = commit_storage(l, scratch, g);

    if (!e)
        publish(l, g);
    each_space(l, g, space_end);
    if (late)
        (void)write_request_lines(scratch, g);
    if (e) {
        commit_failed(l, g, e);
        return;
    }
    mutex_lock(&l->mutex);
    overlay_remove_locked(l, g);
    mutex_unlock(&l->mutex);
    for (struct call_state *cs = g->first, *next; cs; cs = next) {
        next = cs->next;
        call_committed(cs);
    }
}

static void committer_main(void *arg)
{
    struct lane *l = arg;
    struct arena *scratch = arena_new(0);

    mutex_lock(&l->mutex);
    for (;;) {
        while (l->filling.n_calls == 0 && !l->runner_gone)
            cond_wait(&l->to_committer, &l->mutex);
        if (l->filling.n_calls == 0)
            break;
        struct write_group g;

        group_move(&g, &l->filling);
        l->committing = true;
        cond_signal(&l->to_runner); /* room */
        mutex_unlock(&l->mutex);
        commit_group(l, scratch, &g);
        arena_reset(scratch);
        mutex_lock(&l->mutex);
        l->committing = false;
        cond_signal(&l->to_runner);
    }
    mutex_unlock(&l->mutex);
    arena_free(scratch);
}

/* ---- from outside ---- */

struct lane *lane_new(struct active *a)
{
    struct lane *l = calloc(1, sizeof(*l));

    if (!l)
        die("out of memory");
    l->active = a;
    mutex_init(&l->mutex);
    cond_init(&l->to_runner);
    cond_init(&l->to_committer);
    queue_init(&l->queue);
    group_init(&l->filling);
    thread_start(&l->runner, "lane", runner_main, l);
    thread_start(&l->committer, "commit", committer_main, l);
    return l;
}

bool lane_submit(struct lane *l, struct call_state *cs, enum err_kind *ret_kind)
{
    bool ok = false;

    mutex_lock(&l->mutex);
    if (l->closed || l->broken) {
        *ret_kind = ERR_SEALED;
    } else if (l->queue.n >= LANE_QUEUE_MAX) {
        *ret_kind = ERR_BUSY;
    } else {
        queue_push(&l->queue, cs);
        cond_signal(&l->to_runner);
        ok = true;
    }
    mutex_unlock(&l->mutex);
    return ok;
}

void lane_resubmit(struct lane *l, struct call_state *cs)
{
    mutex_lock(&l->mutex);
    bool closed = l->closed;

    if (!closed) {
        queue_push(&l->queue, cs);
        cond_signal(&l->to_runner);
    }
    mutex_unlock(&l->mutex);
    if (closed)
        call_failed(cs, error_new(cs->call->rq.arena, ERR_SEALED, "Vault is sealed"));
}

void lane_close(struct lane *l)
{
    mutex_lock(&l->mutex);
    bool already = l->closed;

    l->closed = true;
    cond_broadcast(&l->to_runner);
    mutex_unlock(&l->mutex);
    if (already)
        return;
    thread_join(&l->runner);
    thread_join(&l->committer);
    fail_queued(l); /* of groups that failed after the runner was gone */
}

void lane_free(struct lane *l)
{
    if (!l)
        return;
    lane_close(l);
    cond_done(&l->to_runner);
    cond_done(&l->to_committer);
    mutex_done(&l->mutex);
    free(l);
}
