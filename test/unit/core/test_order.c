/* One order of things: clients that count, write pairs and move entries about, while groups fail, cached
 * entries go missing and
 * versions seem to change. Nothing acknowledged is lost, nothing unacknowledged is seen, no read is torn, the
 * audit is whole. */
#include "base/fault.h"
#include "base/log.h"
#include "counting.h"
#include "harness.h"
#include "watched.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SLOW 1
#endif
#endif
#ifndef SLOW
#define SLOW 0
#endif

enum {
    CLIENTS = 64,
    CALLS = SLOW ? 60 : 120,
    COUNTERS = 8,
    PAIRS = 32,
    MOVERS = 6,
    MOUNTS = 16,
    N_MAX = CLIENTS * CALLS
};

struct counter {
    _Atomic(int64_t) acknowledged_max, acknowledged;
    _Atomic(bool) seen[N_MAX + 1]; /* answers by their number */
};

struct trial {
    struct harness h;
    struct storage *storage;
    str token;
    struct counter counters[COUNTERS];
    _Atomic(unsigned) wrong, refused;
    _Atomic(size_t) calls;
    bool may_be_full; /* commits may end in a 500 */
};

struct client {
    struct trial *t;
    struct thread thread;
    struct arena *arena;
    unsigned number;
    uint64_t random;
    unsigned calls;
};

#define WRONG(c, ...)                                                                                        \
    do {                                                                                                     \
        if (atomic_fetch_add(&(c)->t->wrong, 1) < 5)                                                         \
            print_error(__VA_ARGS__);                                                                        \
    } while (0)

static unsigned draw(struct client *c, unsigned below)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return (unsigned)(c->random % below);
}

static struct answer call(struct client *c, enum op op, const char *path, str id)
{
    const char *body = id.n ? arena_fmt(c->arena, "{\"id\":\"%.*s\"}", PSTR(id)).p : NULL;

    atomic_fetch_add(&c->t->calls, 1);
    return harness_call(&c->t->h, c->arena, op, path, c->t->token, body);
}

static struct json *data_of(struct client *c, const struct answer *a)
{
    struct json *v = NULL;

    if (a->failed || json_parse(c->arena, a->data, false, &v))
        WRONG(c, "an answer without data: %d %.*s\n", a->status, PSTR(a->error));
    return v;
}

static str new_id(struct client *c)
{
    return arena_fmt(c->arena, "%u-%u", c->number, c->calls);
}

/* ---- what clients do ---- */

static void add(struct client *c)
{
    unsigned i = draw(c, COUNTERS);
    struct counter *counter = &c->t->counters[i];
    str id = new_id(c);
    struct answer a = call(c, OP_UPDATE, arena_fmt(c->arena, "m%u/counter/c%u", i, i).p, id);
    uint64_t puts = watched_puts(c->t->storage, arena_fmt(c->arena, "done/c%u/%.*s", i, PSTR(id)));

    if (a.failed && c->t->may_be_full && a.status == 500) {
        atomic_fetch_add(&c->t->refused, 1);
        if (puts != 0)
            WRONG(c, "a write that was refused is there\n");
        return;
    }
    int64_t n = json_get_int(data_of(c, &a), STR("n"));

    if (n < 1 || n > N_MAX || puts != 1) {
        WRONG(c, "answer %d came before its commit, or it was made %d times\n", (int)n, (int)puts);
        return;
    }
    if (atomic_exchange(&counter->seen[n], true))
        WRONG(c, "two updates made the same number %d: one is lost\n", (int)n);
    atomic_fetch_add(&counter->acknowledged, 1);
    for (int64_t max = atomic_load(&counter->acknowledged_max); max < n;)
        if (atomic_compare_exchange_weak(&counter->acknowledged_max, &max, n))
            break;
}

static void read_counter(struct client *c)
{
    unsigned i = draw(c, COUNTERS);
    int64_t least = atomic_load(&c->t->counters[i].acknowledged_max);
    struct answer a = call(c, OP_READ, arena_fmt(c->arena, "m%u/counter/c%u", i, i).p, (str){0});
    int64_t n = json_get_int(data_of(c, &a), STR("n"));
    int64_t durable = (int64_t)watched_puts(c->t->storage, arena_fmt(c->arena, "done/c%u/", i));

    if (n < least)
        WRONG(c, "a read found %d after %d was acknowledged\n", (int)n, (int)least);
    if (n > durable)
        WRONG(c, "a read found %d when only %d were durable\n", (int)n, (int)durable);
}

static void write_pair(struct client *c)
{
    unsigned i = draw(c, PAIRS);
    struct answer a = call(c, OP_UPDATE, arena_fmt(c->arena, "m%u/pair/p%u", i % MOUNTS, i).p, new_id(c));

    if (a.failed && !(c->t->may_be_full && a.status == 500))
        WRONG(c, "a pair was refused: %d %.*s\n", a.status, PSTR(a.error));
}

static void read_pair(struct client *c)
{
    unsigned i = draw(c, PAIRS);
    struct answer a = call(c, OP_READ, arena_fmt(c->arena, "m%u/pair/p%u", i % MOUNTS, i).p, (str){0});
    struct json *d = data_of(c, &a);

    if (!str_eq(json_get_str(d, STR("a")), json_get_str(d, STR("b"))))
        WRONG(c, "a torn pair: %.*s\n", PSTR(a.data));
}

static void move(struct client *c)
{
    struct answer a = call(c, OP_UPDATE, arena_fmt(c->arena, "m0/moving/x%u", draw(c, MOVERS)).p, (str){0});

    if (a.failed && !(c->t->may_be_full && a.status == 500))
        WRONG(c, "a move was refused: %d %.*s\n", a.status, PSTR(a.error));
}

static void list(struct client *c)
{
    bool in_lane = draw(c, 3) == 0;
    struct answer a = call(c, in_lane ? OP_READ : OP_LIST, in_lane ? "m0/lane" : "m0/moving/", (str){0});
    const struct json *keys = json_get(data_of(c, &a), STR("keys"));
    unsigned seen[MOVERS] = {0};

    for (uint32_t i = 0; keys && i < keys->n; i++)
        seen[(unsigned)(keys->items[i]->text.p[1] - '0') % MOVERS]++;
    for (unsigned i = 0; i < MOVERS; i++)
        if (seen[i] != 1) {
            WRONG(c, "a list of no moment (in the lane: %d): %.*s\n", in_lane, PSTR(a.data));
            break;
        }
}

static void client_main(void *arg)
{
    struct client *c = arg;
    static void (*const acts[])(struct client * c) = {
        add, add, add, add, read_counter, read_counter, write_pair, read_pair, read_pair, move, list};

    for (c->calls = 0; c->calls < CALLS; c->calls++) {
        acts[draw(c, COUNT_OF(acts))](c);
        arena_reset(c->arena);
    }
}

static void run_clients(struct trial *t)
{
    struct client *clients = calloc(CLIENTS, sizeof(*clients));

    for (unsigned i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){
            .t = t, .number = i, .random = 0x9e3779b97f4a7c15 * (i + 1), .arena = arena_new(0)};
        thread_start(&clients[i].thread, "client", client_main, &clients[i]);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        thread_join(&clients[i].thread);
        arena_free(clients[i].arena);
    }
    free(clients);
}

/* ---- afterwards ---- */

static void check_counters(struct trial *t)
{
    struct arena *a = t->h.arena;
    int64_t sum = 0;

    for (unsigned i = 0; i < COUNTERS; i++) {
        struct answer answer =
            harness_must(&t->h, 200, OP_READ, arena_fmt(a, "m%u/counter/c%u", i, i).p, NULL);
        int64_t n = json_get_int(answer_data(a, &answer), STR("n"));

        assert_int_equal(n, atomic_load(&t->counters[i].acknowledged));
        assert_int_equal(n, watched_puts(t->storage, arena_fmt(a, "done/c%u/", i)));
        sum += n;
    }
    atomic_fetch_add(&t->calls, COUNTERS);
    assert_true(sum > 0);
}

struct seen {
    struct seen *next;
    str id;
    unsigned lines;
};

static str read_all(struct arena *a, const char *path)
{
    FILE *f = fopen(path, "r");

    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t n = (size_t)ftell(f);
    char *text = arena_alloc(a, n + 1);

    rewind(f);
    assert_int_equal(fread(text, 1, n, f), n);
    fclose(f);
    return (str){text, n};
}

/* Every request has one request line and after it one response line. */
static void check_audit(const char *path, size_t calls)
{
    enum { BUCKETS = 4096 };
    struct arena *a = arena_new(0), *one = arena_new(0);
    struct seen **seen = ARENA_ARRAY(a, struct seen *, BUCKETS);
    size_t n = 0, whole = 0;

    for (str rest = read_all(a, path), line; rest.n > 0; n++) {
        struct json *j;

        assert_true(str_cut(rest, '\n', &line, &rest));
        assert_ok(json_parse(one, line, false, &j));
        str id = json_get_str(json_get(j, STR("request")), STR("id"));
        bool is_request = str_eq(json_get_str(j, STR("type")), STR("request"));
        struct seen **at = &seen[str_hash(id) % BUCKETS];

        while (*at && !str_eq((*at)->id, id))
            at = &(*at)->next;
        if (!*at) {
            *at = ARENA_NEW(a, struct seen);
            (*at)->id = arena_str(a, id);
        }
        if ((*at)->lines != (is_request ? 0 : 1))
            print_error("out of order: %.*s\n", PSTR(line));
        assert_int_equal((*at)->lines++, is_request ? 0 : 1);
        whole += !is_request;
        arena_reset(one);
    }
    assert_int_equal(whole, calls);
    assert_int_equal(n, 2 * calls);
    arena_free(one);
    arena_free(a);
}

/* ---- trials ---- */

static void small_cache(struct config *c)
{
    c->cache_size = 160; /* ten entries a shard: much is read past it */
}

static void set_up(struct trial *t)
{
    struct arena *a = t->h.arena;

    for (unsigned i = 0; i < MOUNTS; i++)
        harness_mount(&t->h, arena_fmt(a, "m%u", i).p, "counting");
    for (unsigned i = 0; i < MOVERS; i++)
        harness_must(&t->h, 204, OP_UPDATE, arena_fmt(a, "m0/moving/x%u", i).p, NULL);
    t->token = harness_token(&t->h, "all",
                             "path \"+/*\" { capabilities = [\"create\", \"read\", \"update\", \"list\"] }");
}

static void try_order(const char *type, bool blocking, bool is_small, const char *const *faults)
{
    static const struct engine *const engines[] = {&counting_engine, NULL};
    struct trial *t = calloc(1, sizeof(*t));
    struct arena *a = arena_new(0);
    char folder[32], audit[] = "/tmp/coffer-audit-XXXXXX";
    struct harness_options options = {.engines = engines, .configure = is_small ? small_cache : NULL};

    close(mkstemp(audit));
    t->storage = options.storage = watched_new(harness_storage_open(a, type, folder), blocking);
    harness_start(&t->h, &options);
    set_up(t);
    harness_audit_file(&t->h, "file", audit);
    assert_int_equal(truncate(audit, 0), 0); /* of the enabling itself there is only the answer's line */
    for (; *faults; faults++) {
        t->may_be_full |= str_starts(str_from_cstr(*faults), STR("storage_full"));
        assert_true(fault_set(str_from_cstr(*faults)));
    }
    run_clients(t);
    assert_int_equal(atomic_load(&t->wrong), 0);
    fault_clear();
    check_counters(t);
    if (t->may_be_full)
        assert_true(atomic_load(&t->refused) > 0);
    harness_stop(&t->h);
    check_audit(audit, atomic_load(&t->calls));
    storage_close(t->storage);
    harness_folder_remove(folder);
    assert_int_equal(unlink(audit), 0);
    arena_free(a);
    free(t);
}

static const char *const failing[] = {"commit_group=1/5", "lru_miss=1/10", "version_changed=1/10", NULL};
static const char *const full[] = {"commit_group=1/5", "lru_miss=1/10", "version_changed=1/10",
                                   "storage_full=1/10", NULL};
static const char *const none[] = {NULL};

static void inmem(void **state)
{
    (void)state;
    try_order("inmem", false, false, failing);
}

static void inmem_as_if_blocking(void **state)
{
    (void)state;
    try_order("inmem", true, true, full);
}

static void inmem_without_faults(void **state)
{
    (void)state;
    try_order("inmem", true, true, none);
}

static void sqlite(void **state)
{
    (void)state;
    try_order("sqlite", true, true, failing);
}

/* ---- seal ---- */

struct tally {
    struct mutex mutex;
    struct cond changed;
    unsigned answered, sealed, other; /* lock: mutex */
};

static void count_answer(const struct answer *answer, void *arg)
{
    struct tally *t = arg;

    mutex_lock(&t->mutex);
    t->answered++;
    t->sealed += answer->status == 503;
    t->other += answer->status != 503 && answer->status != 200;
    cond_signal(&t->changed);
    mutex_unlock(&t->mutex);
}

/* A seal while groups fail: what waits to be tried again is answered too. */
static void sealed_while_groups_fail(void **state)
{
    enum { ROUNDS = 30, WRITES = 200, PATIENCE_S = 30 };
    static const struct engine *const engines[] = {&counting_engine, NULL};
    struct tally t = {0};
    struct harness h;

    (void)state;
    mutex_init(&t.mutex);
    cond_init(&t.changed);
    harness_start(&h, &(struct harness_options){.engines = engines});
    harness_mount(&h, "m", "counting");
    assert_true(fault_set(STR("commit_group=1/2")));
    for (unsigned round = 1; round <= ROUNDS; round++) {
        bool in_time = true;

        for (unsigned i = 0; i < WRITES; i++)
            harness_send(&h, OP_UPDATE, "m/counter/c", h.root, "{\"id\":\"x\"}", count_answer, &t);
        core_seal(h.core);
        mutex_lock(&t.mutex);
        while (t.answered < round * WRITES && in_time)
            in_time = cond_wait_ns(&t.changed, &t.mutex, PATIENCE_S * NS_PER_S);
        assert_int_equal(t.answered, round * WRITES);
        mutex_unlock(&t.mutex);
        harness_unseal(&h);
    }
    fault_clear();
    assert_int_equal(t.other, 0);
    assert_true(t.sealed > 0);
    harness_stop(&h);
    cond_done(&t.changed);
    mutex_done(&t.mutex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(inmem), cmocka_unit_test(inmem_as_if_blocking),
                                       cmocka_unit_test(inmem_without_faults), cmocka_unit_test(sqlite),
                                       cmocka_unit_test(sealed_while_groups_fail)};

    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC)); /* each failed commit is logged */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
