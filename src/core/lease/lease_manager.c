#include "base/log.h"
#include "core/lease/lease_private.h"
#include "core/token/token.h"

#include <stdlib.h>

enum { BACKOFF_S = 10, LOOK_S_MAX = 60 };

struct expiry { /* one revocation under way */
    struct lease_manager *m;
    int64_t not_due_until_ns; /* 0: it was due */
    char error[256];          /* of the last attempt; kept with an irrevocable lease */
    size_t error_n;
    size_t n;
    char id[];
};

/* Sets the timer for `due_ns` unless it fires earlier anyway. The wall clock may be moved: it is looked at
 * every LOOK_S_MAX. */
static void arm(struct lease_manager *m, int64_t due_ns)
{
    int64_t now = clock_wall_ns(active_clock(m->active));
    int64_t latest = now + LOOK_S_MAX * NS_PER_S;
    bool set = false;

    due_ns = MAX(MIN(due_ns, latest), now);
    mutex_lock(&m->mutex);
    if (!m->stopped && due_ns < m->armed_ns) {
        m->armed_ns = due_ns;
        set = true;
    }
    mutex_unlock(&m->mutex);
    if (set)
        control_timer_set(m->active, &m->timer, due_ns - now);
}

/* ---- revoking, in the lane ---- */

static struct error *expire(struct request *rq, struct response *rs)
{
    struct expiry *x = rq->internal_arg;
    int64_t begun_ns = clock_mono_ns(clock_real());
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);
    unsigned left = TOKEN_STEP_ENTRIES;
    struct lease *l;
    bool done;

    x->not_due_until_ns = 0;
    TRY(lease_get(&v, rq->arena, (str){x->id, x->n}, &l));
    if (!l)
        return lease_delete(rq, (str){x->id, x->n}); /* the record goes too */
    if (!lease_is_due(l, clock_wall_ns(rq->clock))) {
        x->not_due_until_ns = l->expire_time_ns;
        return NULL;
    }
    TRY(lease_revoke_within(rq, l, LEASE_STRICT, &left, &done));
    if (!done)
        return response_again(rs);
    txn_time(rq->txn, METRIC_EXPIRE_REVOKE, begun_ns);
    return NULL;
}

static struct error *mark_irrevocable(struct request *rq, struct response *rs)
{
    struct expiry *x = rq->internal_arg;
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);
    struct lease *l;

    (void)rs;
    TRY(lease_get(&v, rq->arena, (str){x->id, x->n}, &l));
    if (!l)
        return NULL;
    l->revoke_err = x->error_n ? (str){x->error, x->error_n} : STR("failed to revoke the lease");
    lease_encode(rq->arena, l);
    return view_put_json(&v, arena_fmt(rq->arena, "id/%.*s", PSTR(l->id)), l->stored);
}

static void marked(const struct error *e, void *arg)
{
    if (e)
        log_error("expiration", "cannot mark a lease as irrevocable", F_STR("error", e->text));
    free(arg);
}

static bool is_nobodys_fault(const struct error *e)
{
    return e->kind == ERR_SEALED || e->kind == ERR_BUSY || e->kind == ERR_TIMEOUT || e->kind == ERR_FENCED;
}

/* The failed one comes back later; true: it is given up, and marked so (the mark owns x). */
static bool failed(struct expiry *x, const struct error *e)
{
    struct lease_manager *m = x->m;
    str id = {x->id, x->n};
    bool counted = !is_nobodys_fault(e);
    int64_t now = clock_wall_ns(active_clock(m->active));
    unsigned attempts = lease_index_retry(m->index, id, now, BACKOFF_S * NS_PER_S, counted);

    if (!counted)
        return false;
    log_warn("expiration", "revoking a lease failed", F_STR("error", e->text), F_INT("attempt", attempts));
    if (attempts < LEASE_ATTEMPTS_MAX)
        return false;
    lease_index_give_up(m->index, id);
    x->error_n = MIN(e->text.n, sizeof(x->error));
    memcpy(x->error, e->text.p, x->error_n);
    return internal_submit(m->active, mark_irrevocable, x, marked);
}

static void ended(const struct error *e, void *arg)
{
    struct expiry *x = arg;
    struct lease_manager *m = x->m;
    bool kept = false;

    if (e)
        kept = failed(x, e);
    else if (x->not_due_until_ns)
        lease_index_live(m->index, (str){x->id, x->n}, x->not_due_until_ns);
    if (!kept)
        free(x);
    mutex_lock(&m->mutex);
    unsigned left = --m->in_flight;

    mutex_unlock(&m->mutex);
    if (left == 0 || left == LEASE_REVOKING_MAX / 2)
        arm(m, lease_index_next_due(m->index));
}

static void start_one(struct lease_manager *m, str id)
{
    struct expiry *x = malloc(sizeof(*x) + id.n);

    if (!x)
        die("out of memory");
    x->m = m;
    x->not_due_until_ns = 0;
    x->error_n = 0;
    x->n = id.n;
    memcpy(x->id, id.p, id.n);
    mutex_lock(&m->mutex);
    m->in_flight++;
    mutex_unlock(&m->mutex);
    if (!internal_submit(m->active, expire, x, ended)) {
        struct error closed = {.kind = ERR_SEALED};

        ended(&closed, x);
    }
}

/* ---- the control thread ---- */

static void tick(struct loop *loop, struct loop_timer *t)
{
    struct lease_manager *m = CONTAINER_OF(t, struct lease_manager, timer);
    str ids[LEASE_REVOKING_MAX];

    (void)loop;
    mutex_lock(&m->mutex);
    size_t room = m->stopped || m->in_flight >= LEASE_REVOKING_MAX ? 0 : LEASE_REVOKING_MAX - m->in_flight;
    bool load = m->load_again && !m->stopped;

    m->load_again = false;
    m->armed_ns = INT64_MAX;
    mutex_unlock(&m->mutex);
    if (load)
        lease_load_start(m);
    if (room > 0) {
        struct arena *a = arena_new(0);
        size_t n = lease_index_take_due(m->index, a, clock_wall_ns(active_clock(m->active)), room, ids);

        for (size_t i = 0; i < n; i++)
            start_one(m, ids[i]);
        arena_free(a);
        room -= n;
    }
    if (room > 0) /* else the end of one of those in flight looks again */
        arm(m, lease_index_next_due(m->index));
}

/* ---- from outside ---- */

struct lease_manager *lease_manager_new(struct active *a)
{
    struct lease_manager *m = calloc(1, sizeof(*m));

    if (!m)
        die("out of memory");
    m->active = a;
    m->index = lease_index_new();
    m->timer.fn = tick;
    m->armed_ns = INT64_MAX;
    mutex_init(&m->mutex);
    return m;
}

void lease_manager_start(struct lease_manager *m)
{
    lease_load_start(m);
    arm(m, INT64_MAX);
}

void lease_manager_stop(struct lease_manager *m)
{
    mutex_lock(&m->mutex);
    m->stopped = true;
    mutex_unlock(&m->mutex);
}

bool lease_manager_is_stopped(struct lease_manager *m)
{
    mutex_lock(&m->mutex);
    bool stopped = m->stopped;

    mutex_unlock(&m->mutex);
    return stopped;
}

void lease_manager_free(struct lease_manager *m)
{
    if (!m)
        return;
    control_timer_clear(m->active, &m->timer);
    lease_index_free(m->index);
    mutex_done(&m->mutex);
    free(m);
}

size_t lease_manager_count(struct lease_manager *m)
{
    return lease_index_total(m->index);
}

void lease_manager_count_due(struct lease_manager *m, int64_t from_ns, int64_t step_ns, uint64_t *counts,
                             size_t n)
{
    lease_index_count_due(m->index, from_ns, step_ns, counts, n);
}

size_t lease_manager_count_path(struct lease_manager *m, str path, bool below)
{
    return lease_index_count_path(m->index, path, below);
}

size_t lease_manager_irrevocable(struct lease_manager *m)
{
    return lease_index_count(m->index, LEASE_IRREVOCABLE);
}

size_t lease_manager_irrevocable_ids(struct lease_manager *m, struct arena *a, size_t max, str *ret_ids)
{
    return lease_index_ids(m->index, a, LEASE_IRREVOCABLE, max, ret_ids);
}

bool lease_manager_is_loaded(struct lease_manager *m)
{
    mutex_lock(&m->mutex);
    bool loaded = m->loaded;

    mutex_unlock(&m->mutex);
    return loaded;
}

void lease_manager_poke(struct lease_manager *m)
{
    mutex_lock(&m->mutex);
    m->armed_ns = INT64_MAX; /* the clock may have passed the time it is set for */
    mutex_unlock(&m->mutex);
    arm(m, INT64_MIN);
}

bool lease_manager_is_live(struct lease_manager *m, str path, str name, int64_t now_ns)
{
    return lease_index_is_live(m->index, path, name, now_ns);
}

void lease_manager_learn(struct lease_manager *m, str lease_id, int64_t expire_ns)
{
    lease_index_put(m->index, lease_id, expire_ns);
    if (expire_ns != TIME_ZERO_NS)
        arm(m, expire_ns);
}

void lease_manager_forget(struct lease_manager *m, str lease_id)
{
    lease_index_remove(m->index, lease_id, !lease_manager_is_loaded(m));
}

void lease_manager_loaded(struct lease_manager *m, bool complete)
{
    mutex_lock(&m->mutex);
    m->loaded = complete;
    m->load_again = !complete;
    mutex_unlock(&m->mutex);
    if (complete) {
        lease_index_loaded(m->index);
        log_info("expiration", "lease restore complete", F_INT("leases", lease_index_total(m->index)));
        arm(m, lease_index_next_due(m->index));
    } else {
        arm(m, clock_wall_ns(active_clock(m->active)) + BACKOFF_S * NS_PER_S);
    }
}
