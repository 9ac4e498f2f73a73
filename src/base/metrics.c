#include "base/metrics.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    BUCKET_UNIT_BITS = 8,
    SUB_BITS = 2,
    HASH_SLOTS = 4096,
    RING_EVENTS = 1024,
    CACHE_LINE = 64,
    PAGE_CELLS = 32
};

/* ---- cells: each has one writer ---- */

struct cell {
    _Alignas(CACHE_LINE) _Atomic(uint64_t) count;
    _Atomic(uint64_t) sum_ns;
    _Atomic(double) squares; /* of milliseconds */
    _Atomic(uint32_t) buckets[];
};

struct ring { /* written by its thread, read by the one that takes events */
    _Alignas(CACHE_LINE) _Atomic(uint32_t) head;
    _Atomic(uint64_t) dropped;
    _Alignas(CACHE_LINE) _Atomic(uint32_t) tail;
    uint64_t dropped_seen;
    struct metric_event events[RING_EVENTS];
};

struct cell_page {
    _Atomic(struct cell *) cells[PAGE_CELLS];
};

struct cell_table { /* of a thread, later of the next one with its number */
    _Atomic(struct ring *) ring;
    _Atomic(struct cell_page *) pages[METRICS_MAX / PAGE_CELLS];
};

struct totals {
    uint64_t count, sum_ns;
    double squares;
    uint32_t buckets[METRIC_BUCKETS];
};

struct series {
    enum metric_kind kind;
    str name;
    struct metric_label *labels;
    size_t n_labels;
    uint16_t next;        /* of its hash slot; METRIC_NONE ends */
    struct totals *at[2]; /* when the last ended interval began, when it ended; NULL: nothing yet */
    uint64_t seen;
    int64_t touched_ns;
};

struct gauge {
    struct gauge *next;
    struct series series;
    double value;
};

static struct {
    struct mutex lock;
    bool filled;                       /* lock: lock; the fixed series are in it */
    struct series series[METRICS_MAX]; /* lock: lock; name and labels never change once there */
    uint16_t n;                        /* lock: lock */
    uint16_t slots[HASH_SLOTS];        /* lock: lock */
    struct gauge *gauges[HASH_SLOTS];  /* lock: lock */
    size_t n_gauges;                   /* lock: lock */
    int64_t interval;                  /* lock: lock; number of the one under way, 0: none yet */
    unsigned ended;                    /* lock: lock; intervals */
    _Atomic(bool) events;              /* read on the path of a request, hardly ever written */
    _Atomic(struct cell_table *) tables[THREADS_MAX];
} registry = {.lock = {PTHREAD_MUTEX_INITIALIZER}};

static const struct {
    enum metric_kind kind;
    const char *name;
} fixed[METRIC_FIXED_COUNT_] = {
    [METRIC_HANDLE_REQUEST] = {METRIC_SAMPLE, "core.handle_request"},
    [METRIC_HANDLE_LOGIN_REQUEST] = {METRIC_SAMPLE, "core.handle_login_request"},
    [METRIC_CHECK_TOKEN] = {METRIC_SAMPLE, "core.check_token"},
    [METRIC_FETCH_ACL_AND_TOKEN] = {METRIC_SAMPLE, "core.fetch_acl_and_token"},
    [METRIC_BARRIER_GET] = {METRIC_SAMPLE, "barrier.get"},
    [METRIC_BARRIER_PUT] = {METRIC_SAMPLE, "barrier.put"},
    [METRIC_BARRIER_DELETE] = {METRIC_SAMPLE, "barrier.delete"},
    [METRIC_BARRIER_LIST] = {METRIC_SAMPLE, "barrier.list"},
    [METRIC_CACHE_HIT] = {METRIC_COUNTER, "cache.hit"},
    [METRIC_CACHE_MISS] = {METRIC_COUNTER, "cache.miss"},
    [METRIC_CACHE_WRITE] = {METRIC_COUNTER, "cache.write"},
    [METRIC_CACHE_DELETE] = {METRIC_COUNTER, "cache.delete"},
    [METRIC_AUDIT_REQUEST] = {METRIC_SAMPLE, "audit.log_request"},
    [METRIC_AUDIT_RESPONSE] = {METRIC_SAMPLE, "audit.log_response"},
    [METRIC_AUDIT_REQUEST_FAILURE] = {METRIC_COUNTER, "audit.log_request_failure"},
    [METRIC_AUDIT_RESPONSE_FAILURE] = {METRIC_COUNTER, "audit.log_response_failure"},
    [METRIC_UNSEAL] = {METRIC_SAMPLE, "core.unseal"},
    [METRIC_SEAL] = {METRIC_SAMPLE, "core.seal"},
    [METRIC_POST_UNSEAL] = {METRIC_SAMPLE, "core.post_unseal"},
    [METRIC_PRE_SEAL] = {METRIC_SAMPLE, "core.pre_seal"},
    [METRIC_STEP_DOWN] = {METRIC_SAMPLE, "core.step_down"},
    [METRIC_LEADERSHIP_LOST] = {METRIC_SAMPLE, "core.leadership_lost"},
    [METRIC_LEADERSHIP_SETUP_FAILED] = {METRIC_SAMPLE, "core.leadership_setup_failed"},
    [METRIC_EXPIRE_REGISTER] = {METRIC_SAMPLE, "expire.register"},
    [METRIC_EXPIRE_REGISTER_AUTH] = {METRIC_SAMPLE, "expire.register_auth"},
    [METRIC_EXPIRE_RENEW] = {METRIC_SAMPLE, "expire.renew"},
    [METRIC_EXPIRE_RENEW_TOKEN] = {METRIC_SAMPLE, "expire.renew_token"},
    [METRIC_EXPIRE_REVOKE] = {METRIC_SAMPLE, "expire.revoke"},
    [METRIC_EXPIRE_REVOKE_COMMON] = {METRIC_SAMPLE, "expire.revoke-common"},
    [METRIC_EXPIRE_REVOKE_BY_TOKEN] = {METRIC_SAMPLE, "expire.revoke-by-token"},
    [METRIC_EXPIRE_REVOKE_PREFIX] = {METRIC_SAMPLE, "expire.revoke-prefix"},
    [METRIC_EXPIRE_REVOKE_FORCE] = {METRIC_SAMPLE, "expire.revoke-force"},
    [METRIC_EXPIRE_LAZY_REVOKE] = {METRIC_SAMPLE, "expire.lazy-revoke"},
    [METRIC_EXPIRE_FETCH_LEASE_TIMES] = {METRIC_SAMPLE, "expire.fetch-lease-times"},
    [METRIC_TOKEN_CREATE] = {METRIC_SAMPLE, "token.create"},
    [METRIC_TOKEN_CREATE_ACCESSOR] = {METRIC_SAMPLE, "token.createAccessor"},
    [METRIC_TOKEN_CREATE_ROOT] = {METRIC_COUNTER, "token.create_root"},
    [METRIC_TOKEN_LOOKUP] = {METRIC_SAMPLE, "token.lookup"},
    [METRIC_TOKEN_REVOKE] = {METRIC_SAMPLE, "token.revoke"},
    [METRIC_TOKEN_REVOKE_TREE] = {METRIC_SAMPLE, "token.revoke-tree"},
    [METRIC_TOKEN_STORE] = {METRIC_SAMPLE, "token.store"},
    [METRIC_POLICY_GET] = {METRIC_SAMPLE, "policy.get_policy"},
    [METRIC_POLICY_SET] = {METRIC_SAMPLE, "policy.set_policy"},
    [METRIC_POLICY_DELETE] = {METRIC_SAMPLE, "policy.delete_policy"},
    [METRIC_POLICY_LIST] = {METRIC_SAMPLE, "policy.list_policies"},
    [METRIC_IDENTITY_UPSERT_ENTITY] = {METRIC_SAMPLE, "identity.upsert_entity_txn"},
    [METRIC_IDENTITY_CREATE_OR_FETCH] = {METRIC_SAMPLE, "identity.create_or_fetch_entity"},
    [METRIC_IDENTITY_REFRESH_GROUPS] = {METRIC_SAMPLE, "identity.refresh_external_groups"},
    [METRIC_SINK_DROPPED] = {METRIC_COUNTER, "telemetry.dropped"},
};

static void *zeroed(size_t n)
{
    void *p = aligned_alloc(CACHE_LINE, (n + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);

    if (!p)
        die("out of memory");
    return memset(p, 0, n);
}

/* Pairs with the acquiring loads of those who add up. */
static struct cell_table *table_make(void)
{
    unsigned i = thread_index();
    struct cell_table *t = atomic_load_explicit(&registry.tables[i], memory_order_acquire);

    if (!t) {
        t = zeroed(sizeof(*t));
        atomic_store_explicit(&registry.tables[i], t, memory_order_release);
    }
    return t;
}

static struct cell_table *my_table(void)
{
    static _Thread_local struct cell_table *mine;

    if (!mine)
        mine = table_make();
    return mine;
}

static struct cell *my_cell(struct cell_table *t, uint16_t id, size_t buckets)
{
    struct cell_page *page = atomic_load_explicit(&t->pages[id / PAGE_CELLS], memory_order_relaxed);

    if (!page) {
        page = zeroed(sizeof(*page));
        atomic_store_explicit(&t->pages[id / PAGE_CELLS], page, memory_order_release);
    }
    struct cell *c = atomic_load_explicit(&page->cells[id % PAGE_CELLS], memory_order_relaxed);

    if (!c) {
        c = zeroed(sizeof(*c) + buckets * sizeof(c->buckets[0]));
        atomic_store_explicit(&page->cells[id % PAGE_CELLS], c, memory_order_release);
    }
    return c;
}

/* One writer: a load and a store, no locked instruction. */
#define ADD(field, v)                                                                                        \
    atomic_store_explicit(&(field), atomic_load_explicit(&(field), memory_order_relaxed) + (v),              \
                          memory_order_relaxed)

void metric_count(uint16_t id, uint64_t n)
{
    struct cell *c = my_cell(my_table(), id, 0);

    ADD(c->count, n);
}

/* Units of 256 ns: below four each its own bucket, then four to an octave. */
static unsigned bucket_of(uint64_t ns)
{
    uint64_t v = ns >> BUCKET_UNIT_BITS;

    if (v < 1U << SUB_BITS)
        return (unsigned)v;
    unsigned shift = 63U - (unsigned)__builtin_clzll(v) - SUB_BITS;
    unsigned i = ((shift + 1) << SUB_BITS) + (unsigned)((v >> shift) & ((1U << SUB_BITS) - 1));

    return MIN(i, METRIC_BUCKETS - 1U);
}

static double bucket_start_ms(unsigned i)
{
    uint64_t v = i;

    if (i >= 1U << SUB_BITS) {
        unsigned shift = (i >> SUB_BITS) - 1;

        v = (uint64_t)((1U << SUB_BITS) + (i & ((1U << SUB_BITS) - 1))) << shift;
    }
    return (double)(v << BUCKET_UNIT_BITS) / (double)NS_PER_MS;
}

static void event_push(struct cell_table *t, struct metric_event e)
{
    struct ring *r = atomic_load_explicit(&t->ring, memory_order_relaxed);

    if (!r) {
        r = zeroed(sizeof(*r));
        atomic_store_explicit(&t->ring, r, memory_order_release);
    }
    uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

    if (head - atomic_load_explicit(&r->tail, memory_order_acquire) == RING_EVENTS) {
        ADD(r->dropped, 1);
        return;
    }
    r->events[head % RING_EVENTS] = e;
    atomic_store_explicit(&r->head, head + 1, memory_order_release); /* pairs with metrics_events_take() */
}

void metric_time(uint16_t id, int64_t ns, uint64_t n)
{
    struct cell_table *t = my_table();
    struct cell *c = my_cell(t, id, METRIC_BUCKETS);
    uint64_t u = (uint64_t)MAX(ns, 0);
    double ms = (double)u / (double)NS_PER_MS;
    _Atomic(uint32_t) *bucket = &c->buckets[bucket_of(u)];

    ADD(c->count, n);
    ADD(c->sum_ns, u * n);
    ADD(c->squares, ms * ms * (double)n);
    ADD(*bucket, (uint32_t)n);
    if (atomic_load_explicit(&registry.events, memory_order_relaxed))
        event_push(t, (struct metric_event){id, (uint32_t)n, ms});
}

/* ---- names ---- */

static uint64_t hash_of(str name, const struct metric_label *labels, size_t n)
{
    uint64_t h = str_hash(name);

    for (size_t i = 0; i < n; i++)
        h = (h * 31 + str_hash(labels[i].name)) * 31 + str_hash(labels[i].value);
    return h % HASH_SLOTS;
}

static bool is_series(const struct series *s, str name, const struct metric_label *labels, size_t n)
{
    bool same = s->n_labels == n && str_eq(s->name, name);

    for (size_t i = 0; same && i < n; i++)
        same = str_eq(s->labels[i].name, labels[i].name) && str_eq(s->labels[i].value, labels[i].value);
    return same;
}

static str kept(char **at, str s)
{
    str copy = {*at, s.n};

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return copy;
}

/* One block: labels, then the texts. */
static void series_name(struct series *s, enum metric_kind kind, str name, const struct metric_label *labels,
                        size_t n)
{
    size_t room = name.n + n * sizeof(*labels);

    for (size_t i = 0; i < n; i++)
        room += labels[i].name.n + labels[i].value.n;
    s->labels = malloc(room + 1);
    if (!s->labels)
        die("out of memory");
    char *at = (char *)(s->labels + n);

    s->kind = kind;
    s->name = kept(&at, name);
    s->n_labels = n;
    for (size_t i = 0; i < n; i++) {
        s->labels[i].name = kept(&at, labels[i].name);
        s->labels[i].value = kept(&at, labels[i].value);
    }
}

static uint16_t series_add_locked(enum metric_kind kind, str name, const struct metric_label *labels,
                                  size_t n)
{
    uint16_t id = registry.n;
    uint64_t slot = hash_of(name, labels, n);

    if (id == METRICS_MAX)
        return METRIC_NONE;
    series_name(&registry.series[id], kind, name, labels, n);
    registry.series[id].next = registry.slots[slot];
    registry.slots[slot] = id;
    registry.n++;
    return id;
}

static void fill_locked(void)
{
    if (registry.filled)
        return;
    registry.filled = true;
    registry.n = 1;
    for (int i = 1; i < METRIC_FIXED_COUNT_; i++)
        (void)series_add_locked(fixed[i].kind, str_from_cstr(fixed[i].name), NULL, 0); /* there is room */
}

uint16_t metric_id(enum metric_kind kind, str name, const struct metric_label *labels, size_t n)
{
    mutex_lock(&registry.lock);
    fill_locked();
    uint16_t id = registry.slots[hash_of(name, labels, n)];

    while (id != METRIC_NONE && !is_series(&registry.series[id], name, labels, n))
        id = registry.series[id].next;
    if (id == METRIC_NONE)
        id = series_add_locked(kind, name, labels, n);
    else if (registry.series[id].kind != kind)
        id = METRIC_NONE;
    mutex_unlock(&registry.lock);
    return id;
}

void metric_of_id(uint16_t id, struct metric_read *ret)
{
    mutex_lock(&registry.lock);
    fill_locked();
    const struct series *s = &registry.series[id];

    *ret =
        (struct metric_read){.kind = s->kind, .name = s->name, .labels = s->labels, .n_labels = s->n_labels};
    mutex_unlock(&registry.lock);
}

/* ---- gauges ---- */

void metric_gauge(str name, const struct metric_label *labels, size_t n, double value)
{
    mutex_lock(&registry.lock);
    struct gauge **slot = &registry.gauges[hash_of(name, labels, n)], *g = *slot;

    while (g && !is_series(&g->series, name, labels, n))
        g = g->next;
    if (!g && registry.n_gauges < METRICS_GAUGES_MAX) {
        g = zeroed(sizeof(*g));
        series_name(&g->series, METRIC_GAUGE, name, labels, n);
        g->next = *slot;
        *slot = g;
        registry.n_gauges++;
    }
    if (g) {
        g->value = value;
        g->series.touched_ns = clock_wall_ns(clock_real());
    }
    mutex_unlock(&registry.lock);
}

static void gauges_forget_locked(int64_t before_ns)
{
    for (size_t i = 0; i < HASH_SLOTS; i++)
        for (struct gauge **at = &registry.gauges[i]; *at;) {
            struct gauge *g = *at;

            if (g->series.touched_ns >= before_ns) {
                at = &g->next;
                continue;
            }
            *at = g->next;
            free(g->series.labels);
            free(g);
            registry.n_gauges--;
        }
}

/* ---- adding up ---- */

/* False: no thread ever wrote to it. */
static bool totals_of(uint16_t id, bool sample, struct totals *t)
{
    bool touched = false;

    *t = (struct totals){0};
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        struct cell_table *table = atomic_load_explicit(&registry.tables[i], memory_order_acquire);
        struct cell_page *page =
            table ? atomic_load_explicit(&table->pages[id / PAGE_CELLS], memory_order_acquire) : NULL;
        struct cell *c =
            page ? atomic_load_explicit(&page->cells[id % PAGE_CELLS], memory_order_acquire) : NULL;

        if (!c)
            continue;
        touched = true;
        t->count += atomic_load_explicit(&c->count, memory_order_relaxed);
        if (!sample)
            continue;
        t->sum_ns += atomic_load_explicit(&c->sum_ns, memory_order_relaxed);
        t->squares += atomic_load_explicit(&c->squares, memory_order_relaxed);
        for (unsigned k = 0; k < METRIC_BUCKETS; k++)
            t->buckets[k] += atomic_load_explicit(&c->buckets[k], memory_order_relaxed);
    }
    return touched;
}

static struct totals difference(const struct totals *now, const struct totals *before)
{
    struct totals d = *now;

    if (!before)
        return d;
    d.count -= before->count;
    d.sum_ns -= before->sum_ns;
    d.squares -= before->squares;
    for (unsigned i = 0; i < METRIC_BUCKETS; i++)
        d.buckets[i] -= before->buckets[i];
    return d;
}

static void series_roll(uint16_t id, int64_t wall_ns)
{
    struct series *s = &registry.series[id];
    struct totals now;

    if (!totals_of(id, s->kind == METRIC_SAMPLE, &now))
        return;
    if (now.count != s->seen || !s->at[1])
        s->touched_ns = wall_ns;
    s->seen = now.count;
    struct totals *oldest = s->at[0] ? s->at[0] : zeroed(sizeof(*oldest));

    s->at[0] = s->at[1];
    s->at[1] = oldest;
    *oldest = now;
}

static void roll_locked(int64_t wall_ns)
{
    int64_t interval = wall_ns / (METRICS_INTERVAL_S * NS_PER_S);

    fill_locked();
    if (interval == registry.interval)
        return;
    registry.ended += registry.interval != 0;
    registry.interval = interval;
    for (uint16_t id = 1; id < registry.n; id++)
        series_roll(id, wall_ns);
}

void metrics_roll(int64_t wall_ns, int64_t keep_ns)
{
    mutex_lock(&registry.lock);
    roll_locked(wall_ns);
    gauges_forget_locked(wall_ns - keep_ns);
    mutex_unlock(&registry.lock);
}

/* ---- reading ---- */

static double quantile_ms(const struct totals *w, double q)
{
    uint64_t all = 0, seen = 0;

    for (unsigned i = 0; i < METRIC_BUCKETS; i++)
        all += w->buckets[i];
    if (all == 0)
        return NAN;
    double rank = q * (double)all;

    for (unsigned i = 0; i < METRIC_BUCKETS; i++) {
        seen += w->buckets[i];
        if (w->buckets[i] && (double)seen >= rank) {
            if (w->buckets[i] == all) /* the only bucket */
                return (double)w->sum_ns / (double)NS_PER_MS / (double)all;
            return (bucket_start_ms(i) + bucket_start_ms(i + 1)) / 2;
        }
    }
    return NAN;
}

static void interval_of(const struct totals *d, bool sample, struct metric_read *r)
{
    r->interval_count = d->count;
    if (!sample || d->count == 0) {
        r->sum = (double)d->count;
        r->min = r->max = d->count ? 1 : 0;
        return;
    }
    double n = (double)d->count, mean;
    unsigned low = 0, high = METRIC_BUCKETS - 1;

    r->sum = (double)d->sum_ns / (double)NS_PER_MS;
    mean = r->sum / n;
    while (low < high && d->buckets[low] == 0)
        low++;
    while (high > low && d->buckets[high] == 0)
        high--;
    r->min = d->count == 1 ? mean : MIN(bucket_start_ms(low), mean);
    r->max = d->count == 1 ? mean : MAX(bucket_start_ms(high + 1), mean);
    r->stddev = d->count > 1 ? sqrt(MAX(d->squares - n * mean * mean, 0) / (n - 1)) : 0;
}

static void names_copy(struct arena *a, const struct series *s, struct metric_read *r)
{
    struct metric_label *labels = ARENA_ARRAY(a, struct metric_label, s->n_labels + 1);

    for (size_t i = 0; i < s->n_labels; i++)
        labels[i] = (struct metric_label){arena_str(a, s->labels[i].name), arena_str(a, s->labels[i].value)};
    *r = (struct metric_read){.kind = s->kind,
                              .name = arena_str(a, s->name),
                              .labels = labels,
                              .n_labels = s->n_labels,
                              .touched_ns = s->touched_ns};
}

/* False: it never had a value. */
static bool series_read(struct arena *a, uint16_t id, int64_t wall_ns, struct metric_read *r)
{
    const struct series *s = &registry.series[id];
    bool sample = s->kind == METRIC_SAMPLE;
    struct totals now, window, interval;

    if (!totals_of(id, sample, &now))
        return false;
    names_copy(a, s, r);
    if (now.count != s->seen || !s->at[1])
        r->touched_ns = wall_ns;
    r->count = now.count;
    r->sum_ms = (double)now.sum_ns / (double)NS_PER_MS;
    window = difference(&now, s->at[0]);
    interval = registry.ended == 0 ? now : s->at[1] ? difference(s->at[1], s->at[0]) : (struct totals){0};
    r->quantiles_ms[0] = quantile_ms(&window, 0.5);
    r->quantiles_ms[1] = quantile_ms(&window, 0.9);
    r->quantiles_ms[2] = quantile_ms(&window, 0.99);
    interval_of(&interval, sample, r);
    return true;
}

static int compare_str(str x, str y)
{
    int d = memcmp(x.p ? x.p : "", y.p ? y.p : "", MIN(x.n, y.n));

    return d ? d : x.n < y.n ? -1 : x.n > y.n;
}

static int compare(const void *px, const void *py)
{
    const struct metric_read *x = px, *y = py;
    int d = compare_str(x->name, y->name);

    for (size_t i = 0; !d && i < x->n_labels && i < y->n_labels; i++) {
        d = compare_str(x->labels[i].name, y->labels[i].name);
        d = d ? d : compare_str(x->labels[i].value, y->labels[i].value);
    }
    return d ? d : x->n_labels < y->n_labels ? -1 : x->n_labels > y->n_labels;
}

void metrics_read(struct arena *a, struct metric_read **ret, size_t *ret_n, int64_t *ret_interval_start_ns)
{
    int64_t wall_ns = clock_wall_ns(clock_real());
    size_t n = 0;

    mutex_lock(&registry.lock);
    roll_locked(wall_ns);
    struct metric_read *all = ARENA_ARRAY(a, struct metric_read, registry.n + registry.n_gauges + 1);

    for (uint16_t id = 1; id < registry.n; id++)
        n += series_read(a, id, wall_ns, &all[n]);
    for (size_t i = 0; i < HASH_SLOTS; i++)
        for (const struct gauge *g = registry.gauges[i]; g; g = g->next) {
            names_copy(a, &g->series, &all[n]);
            all[n++].value = g->value;
        }
    *ret_interval_start_ns = (registry.interval - (registry.ended > 0)) * METRICS_INTERVAL_S * NS_PER_S;
    mutex_unlock(&registry.lock);
    qsort(all, n, sizeof(*all), compare);
    *ret = all;
    *ret_n = n;
}

/* ---- events ---- */

void metrics_events_on(bool on)
{
    atomic_store_explicit(&registry.events, on, memory_order_relaxed);
}

size_t metrics_events_take(struct metric_event *events, size_t max, uint64_t *ret_dropped)
{
    size_t n = 0;

    *ret_dropped = 0;
    for (unsigned i = 0; i < THREADS_MAX; i++) {
        struct cell_table *t = atomic_load_explicit(&registry.tables[i], memory_order_acquire);
        struct ring *r = t ? atomic_load_explicit(&t->ring, memory_order_acquire) : NULL;

        if (!r)
            continue;
        uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed),
                 head = atomic_load_explicit(&r->head, memory_order_acquire);
        uint64_t dropped = atomic_load_explicit(&r->dropped, memory_order_relaxed);

        for (; tail != head && n < max; tail++)
            events[n++] = r->events[tail % RING_EVENTS];
        atomic_store_explicit(&r->tail, tail, memory_order_release);
        *ret_dropped += dropped - r->dropped_seen;
        r->dropped_seen = dropped;
    }
    return n;
}
