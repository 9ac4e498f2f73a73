/* Sealing, unsealing and the loss of the lock under full load: nothing is answered from the old state. The
 * clients count: each has a counter that it adds one to, and knows the last sum that was acknowledged. */
#include "harness.h"

#include <sched.h>
#include <stdlib.h>

enum { CLIENTS = 24, SEALS = 12, LOCK_LOSSES = 10, STORMS = 10, STORM_LOSSES = 200, MAX_CORES = 2 };

/* ---- the engine: a counter that is read, added to and written in one request ---- */

static struct error *counter_read(struct request *rq, struct response *rs)
{
    TRY(view_get_json(rq->view, rq->rel, &rs->data));
    return rs->data ? NULL : fail_absent(rq);
}

static struct error *counter_add(struct request *rq, struct response *rs)
{
    struct json *v, *sum = response_data(rq, rs);

    TRY(view_get_json(rq->view, rq->rel, &v));
    json_set_int(rq->arena, sum, STR("n"), json_get_int(v, STR("n")) + 1);
    TRY(view_put_json(rq->view, arena_join(rq->arena, STR("shadow/"), rq->rel),
                      sum)); /* always equal to the counter */
    return view_put_json(rq->view, rq->rel, sum);
}

static const struct field counter_fields[] = {{"name", FT_STRING, FIELD_PATH, .help = "Of the counter."},
                                              {0}};
static const struct route counter_routes[] = {
    {"{name...}", counter_fields, .ops = {[OP_READ] = {counter_read}, [OP_UPDATE] = {counter_add}},
     .help = "A counter."},
    {0},
};
static const struct engine counter_engine = {.type = "counter",
                                             .kind = ENGINE_SECRETS,
                                             .routes = counter_routes,
                                             .help = "Counts.",
                                             .plugin_version = "v0"};
static const struct engine *const engines[] = {&counter_engine, NULL};

/* ---- clients: each sends one request after the other, writes and reads in turn, to whichever core ---- */

struct load;
struct client {
    struct load *load;
    char path[24], shadow[24];
    unsigned core;
    bool reads;
    uint64_t epoch;       /* of the load, when the request was sent */
    int64_t acknowledged; /* the last sum that was answered */
    int64_t maybe;        /* writes since then whose end is not known */
    uint64_t n_done, n_refused;
};

struct load {
    struct harness *cores[MAX_CORES];
    unsigned n_cores;
    struct client clients[CLIENTS];
    _Atomic(bool) over;
    _Atomic(unsigned) running;
    _Atomic(uint64_t) epoch; /* odd: core_seal has returned and no unseal has begun */
    _Atomic(uint64_t) n_ok;
    _Atomic(unsigned) n_wrong;
};

static void wrong(struct client *c, const char *what, const struct answer *a)
{
    print_error("%s: %s: %d \"%.*s\" %.*s (acknowledged %lld, unknown %lld)\n", c->path, what, a->status,
                PSTR(a->error), PSTR(a->data), (long long)c->acknowledged, (long long)c->maybe);
    atomic_fetch_add(&c->load->n_wrong, 1);
}

static void next(struct client *c);

static bool is_refusal(const struct answer *a)
{
    return a->failed && (a->kind == ERR_SEALED || a->kind == ERR_STANDBY);
}

static int64_t sum_of(const struct answer *a)
{
    int64_t n = -1;
    str digits = str_slice(a->data, 5, a->data.n - 1); /* {"n":7} */

    return str_parse_i64(digits, &n) ? n : -1;
}

static void check(struct client *c, const struct answer *a)
{
    bool absent = a->failed && a->kind == ERR_NOT_FOUND;
    int64_t n = a->failed ? 0 : sum_of(a);

    if (!a->failed || absent) {
        if ((c->epoch & 1) && c->epoch == atomic_load(&c->load->epoch))
            wrong(c, "answered though the core was sealed all the time", a);
        if (n < c->acknowledged + !c->reads || n > c->acknowledged + c->maybe + !c->reads)
            wrong(c, c->reads ? "read another sum" : "wrote another sum", a);
        c->acknowledged = n;
        c->maybe = 0;
        c->n_done++;
        atomic_fetch_add(&c->load->n_ok, 1);
        return;
    }
    if (!is_refusal(a) && (a->kind != ERR_INTERNAL || c->load->n_cores == 1))
        wrong(c, "failed", a);
    if (!c->reads && !is_refusal(a))
        c->maybe++; /* the answer says that it is not known */
    c->n_refused++;
    c->core = (c->core + 1) % c->load->n_cores;
}

static void done(const struct answer *a, void *arg)
{
    struct client *c = arg;

    check(c, a);
    c->reads = !c->reads;
    if (atomic_load(&c->load->over))
        atomic_fetch_sub(&c->load->running, 1);
    else
        next(c);
}

static void next(struct client *c)
{
    struct harness *h = c->load->cores[c->core];

    c->epoch = atomic_load(&c->load->epoch);
    harness_send(h, c->reads ? OP_READ : OP_UPDATE, c->reads && c->n_done % 4 == 1 ? c->shadow : c->path,
                 h->root, NULL, done, c);
}

static void load_start(struct load *l)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &l->clients[i];

        *c = (struct client){.load = l, .core = i % l->n_cores, .reads = i & 1};
        snprintf(c->path, sizeof(c->path), "count/%u", i);
        snprintf(c->shadow, sizeof(c->shadow), "count/shadow/%u", i);
        atomic_fetch_add(&l->running, 1);
        next(c);
    }
}

static void wait_for(struct load *l, uint64_t n_more)
{
    uint64_t until = atomic_load(&l->n_ok) + n_more;

    while (atomic_load(&l->n_ok) < until && atomic_load(&l->n_wrong) == 0)
        sched_yield();
}

static void load_stop(struct load *l, struct harness *reader)
{
    struct arena *a = arena_new(0);
    uint64_t n_done = 0, n_refused = 0;

    atomic_store(&l->over, true);
    while (atomic_load(&l->running) > 0)
        sched_yield();
    assert_int_equal(atomic_load(&l->n_wrong), 0);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &l->clients[i];
        struct answer x = harness_call(reader, a, OP_READ, c->path, reader->root, NULL);
        struct answer y = harness_call(reader, a, OP_READ, c->shadow, reader->root, NULL);

        assert_int_equal(x.status, 200);
        assert_true(str_eq(x.data, y.data));
        assert_in_range(sum_of(&x), c->acknowledged, c->acknowledged + c->maybe);
        n_done += c->n_done;
        n_refused += c->n_refused;
    }
    print_message("%llu answered, %llu refused\n", (unsigned long long)n_done, (unsigned long long)n_refused);
    arena_free(a);
}

/* ---- seal and unseal ---- */

static void configure_uncached(struct config *c)
{
    c->disable_cache = true;
}

static void seal_in_a_loop(const char *storage_type, void (*configure)(struct config *c))
{
    struct harness h;
    struct load *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    harness_start(&h,
                  &(struct harness_options){
                      .storage_type = storage_type, .engines = engines, .configure = configure, .loops = 3});
    harness_mount(&h, "count", "counter");
    l->cores[0] = &h;
    l->n_cores = 1;
    load_start(l);
    for (int i = 0; i < SEALS; i++) {
        wait_for(l, i % 3 == 0 ? 1 : 300);
        if (i % 2)
            harness_must(&h, 204, OP_UPDATE, "sys/seal", NULL);
        else
            core_seal(h.core);
        atomic_fetch_add(&l->epoch, 1);
        assert_int_equal(core_state(h.core), CORE_SEALED);
        for (int k = 0; k < 20; k++)
            assert_int_equal(harness_call(&h, h.arena, OP_READ, "count/0", h.root, NULL).kind, ERR_SEALED);
        atomic_fetch_add(&l->epoch, 1);
        harness_unseal(&h);
    }
    wait_for(l, 300);
    load_stop(l, &h);
    harness_stop(&h);
    free(l);
}

static void seals_in_memory(void **state)
{
    (void)state;
    seal_in_a_loop("inmem", NULL);
}

static void seals_on_sqlite(void **state)
{
    (void)state;
    seal_in_a_loop("sqlite", NULL);
}

static void seals_without_cache(void **state)
{
    (void)state;
    seal_in_a_loop("sqlite", configure_uncached);
}

/* ---- the lock, between two cores on one store ---- */

static struct harness *the_active(struct harness cores[2])
{
    for (;; sched_yield())
        for (int i = 0; i < 2; i++)
            if (core_state(cores[i].core) == CORE_ACTIVE)
                return &cores[i];
}

struct pair { /* of cores, in one process, on one store */
    struct harness cores[2];
    struct storage *stores[2];
    struct arena *arena;
};

static void pair_start(struct pair *p)
{
    p->arena = arena_new(0);
    p->stores[0] = harness_storage_open(p->arena, "inmem_ha", (char[32]){0});
    p->stores[1] = storage_inmem_share(p->stores[0]);
    struct harness_options o = {.storage = p->stores[0], .engines = engines, .may_stand_by = true};

    harness_start(&p->cores[0], &o);
    assert_true(core_wait_state(p->cores[0].core, CORE_ACTIVE, 60 * NS_PER_S));
    harness_mount(&p->cores[0], "count", "counter");
    o.storage = p->stores[1];
    o.key = arena_str(p->arena, p->cores[0].key).p;
    o.root = arena_str(p->arena, p->cores[0].root).p;
    harness_start(&p->cores[1], &o);
    assert_int_equal(core_state(p->cores[1].core), CORE_STANDBY);
}

static void pair_stop(struct pair *p)
{
    for (int i = 0; i < 2; i++)
        harness_stop(&p->cores[i]);
    for (int i = 0; i < 2; i++)
        storage_close(p->stores[i]);
    arena_free(p->arena);
}

static void lock_is_lost(void **state)
{
    (void)state;
    struct pair p;
    struct load *l = calloc(1, sizeof(*l));

    assert_non_null(l);
    pair_start(&p);
    l->cores[0] = &p.cores[0];
    l->cores[1] = &p.cores[1];
    l->n_cores = 2;
    load_start(l);
    for (int i = 0; i < LOCK_LOSSES; i++) {
        wait_for(l, 200);
        struct harness *h = the_active(p.cores), *other = h == &p.cores[0] ? &p.cores[1] : &p.cores[0];

        if (i % 3 < 2) {
            storage_inmem_break_lock(p.stores[i % 2], STR("core/lock"));
            continue;
        }
        core_seal(h->core); /* gives the lock back: the other one takes over */
        assert_true(core_wait_state(other->core, CORE_ACTIVE, 60 * NS_PER_S));
        harness_unseal(h);
        assert_int_equal(core_state(h->core), CORE_STANDBY);
    }
    wait_for(l, 200);
    load_stop(l, the_active(p.cores));
    pair_stop(&p);
    free(l);
}

static bool answers(struct harness *h)
{
    struct arena *a = arena_new(0);
    bool refused = is_refusal(&(struct answer[]){harness_call(h, a, OP_READ, "count/x", h->root, NULL)}[0]);

    arena_free(a);
    return !refused;
}

static void break_when_taken(struct storage *s)
{
    struct arena *a = arena_new(0);
    str holder = {0};

    while (holder.n == 0)
        assert_ok(s->ops->lock_holder(s, a, STR("core/lock"), &holder));
    storage_inmem_break_lock(s, STR("core/lock"));
    arena_free(a);
}

/* The lock goes as soon as it is won, perhaps before its winner has heard of it: whoever believes to have
 * it must learn that it has not. */
static void lock_is_lost_at_once(void **state)
{
    (void)state;
    struct pair p;

    pair_start(&p);
    for (int i = 0; i < STORMS; i++) {
        int64_t until = clock_mono_ns(clock_real()) + 60 * NS_PER_S;

        for (int k = 0; k < STORM_LOSSES; k++)
            break_when_taken(p.stores[0]);
        for (unsigned quiet = 0; quiet < 20; quiet++) { /* in a row: one answers, the other does not */
            if (answers(&p.cores[0]) + answers(&p.cores[1]) != 1)
                quiet = 0;
            assert_true(clock_mono_ns(clock_real()) < until);
        }
    }
    pair_stop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seals_in_memory),      cmocka_unit_test(seals_on_sqlite),
        cmocka_unit_test(seals_without_cache),  cmocka_unit_test(lock_is_lost),
        cmocka_unit_test(lock_is_lost_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
