/* rate limits: counting of addresses; which rule counts what, on a whole core with a clock that stands
 * still. */
#include "base/fault.h"
#include "core/quota/quota_private.h"
#include "harness.h"

#include <unistd.h>

/* ---- counting ---- */

static void test_windows(void **state)
{
    struct quota_counts *c = quota_counts_new(2, 10 * NS_PER_S, 0);
    struct quota_told t;
    int64_t start = 5 * NS_PER_S;

    (void)state;
    assert_true(quota_counts_take(c, STR("a"), start, &t));
    assert_int_equal(t.remaining, 1);
    assert_int_equal(t.reset_s, 10);
    assert_true(quota_counts_take(c, STR("a"), start + 4 * NS_PER_S, &t));
    assert_int_equal(t.reset_s, 6);
    assert_int_equal(t.retry_after_s, -1);
    assert_false(quota_counts_take(c, STR("a"), start + 5 * NS_PER_S, &t));
    assert_int_equal(t.remaining, 0);
    assert_int_equal(t.retry_after_s, 5);
    assert_true(quota_counts_take(c, STR("b"), start + 5 * NS_PER_S, &t)); /* each for itself */
    assert_true(quota_counts_take(c, STR("a"), start + 10 * NS_PER_S, &t));
    assert_true(quota_counts_take(c, STR("a"), start + 95 * NS_PER_S, &t));
    assert_int_equal(t.remaining, 1);
    assert_int_equal(t.reset_s, 5); /* windows follow each other from the first request on */
    assert_true(quota_counts_take(c, STR("a"), 0, &t)); /* a clock that goes back is no harm */
    quota_counts_free(c);
}

static void test_block(void **state)
{
    struct quota_counts *c = quota_counts_new(1, NS_PER_S, 30 * NS_PER_S);
    struct quota_told t;

    (void)state;
    assert_true(quota_counts_take(c, STR("a"), NS_PER_S, &t));
    assert_false(quota_counts_take(c, STR("a"), NS_PER_S, &t));
    assert_int_equal(t.limit, 1);
    assert_int_equal(t.retry_after_s, 30);
    assert_false(quota_counts_take(c, STR("a"), 21 * NS_PER_S, &t));
    assert_int_equal(t.limit, 0); /* nothing to tell but when it ends */
    assert_int_equal(t.retry_after_s, 10);
    assert_true(quota_counts_take(c, STR("a"), 31 * NS_PER_S, &t));
    quota_counts_free(c);
    c = quota_counts_new(1, NS_PER_S, INT64_MAX - 1); /* longer than the clock lasts */
    assert_true(quota_counts_take(c, STR("a"), NS_PER_S, &t));
    assert_false(quota_counts_take(c, STR("a"), NS_PER_S, &t));
    assert_false(quota_counts_take(c, STR("a"), 3 * NS_PER_S, &t));
    quota_counts_free(c);
}

/* More addresses than there are places: the limit of one that comes again at once holds, and all is
 * bounded. */
static void test_many_addresses(void **state)
{
    struct quota_counts *c = quota_counts_new(1, 3600 * NS_PER_S, 0);
    struct quota_told t;
    char text[32];

    (void)state;
    for (int i = 0; i < 3 * QUOTA_ADDRESSES_MAX; i++) {
        int n = snprintf(text, sizeof(text), "10.%d.%d.%d", i >> 16, (i >> 8) & 255, i & 255);

        quota_counts_take(c, (str){text, (size_t)n}, (i + 1) * (int64_t)1000, &t);
        assert_false(quota_counts_take(c, (str){text, (size_t)n}, (i + 1) * (int64_t)1000, &t));
    }
    quota_counts_free(c);
}

struct together {
    struct quota_counts *counts;
    _Atomic(unsigned) good;
};

static void take_many(void *arg)
{
    struct together *g = arg;
    struct quota_told t;

    for (int i = 0; i < 1000; i++)
        if (quota_counts_take(g->counts, STR("192.0.2.1"), NS_PER_S, &t))
            atomic_fetch_add(&g->good, 1);
}

static void test_threads(void **state)
{
    struct together g = {.counts = quota_counts_new(1500, 3600 * NS_PER_S, 0)};
    struct thread threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        thread_start(&threads[i], "taker", take_many, &g);
    for (int i = 0; i < 4; i++)
        thread_join(&threads[i]);
    assert_int_equal(g.good, 1500);
    quota_counts_free(g.counts);
}

/* ---- on a core ---- */

static struct harness h;
static struct clock *now;

static int setup(void **state)
{
    (void)state;
    now = clock_manual_new(1795322188 * NS_PER_S);
    harness_start(&h, &(struct harness_options){.storage_type = "sqlite", .clock = now});
    harness_mount(&h, "kv", "kv");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    harness_stop(&h);
    clock_manual_free(now);
    return 0;
}

static void rule(const char *name, const char *body)
{
    harness_must(&h, 204, OP_UPDATE, arena_fmt(h.arena, "sys/quotas/rate-limit/%s", name).p, body);
}

/* How many of 20 requests get through. */
static unsigned through(const char *path)
{
    unsigned n = 0;

    for (int i = 0; i < 20; i++)
        n += harness_call(&h, h.arena, OP_READ, path, h.root, NULL).status != 429;
    return n;
}

static void test_most_specific(void **state)
{
    (void)state;
    assert_int_equal(through("kv/a"), 20);
    rule("all", "{\"rate\":15,\"interval\":\"1h\"}");
    rule("mount", "{\"rate\":9,\"interval\":\"1h\",\"path\":\"kv\"}");
    rule("pattern", "{\"rate\":7,\"interval\":\"1h\",\"path\":\"kv/d*\"}");
    rule("longer", "{\"rate\":5,\"interval\":\"1h\",\"path\":\"kv/deep/*\"}");
    rule("path", "{\"rate\":3,\"interval\":\"1h\",\"path\":\"kv/deep/a\"}");
    assert_int_equal(through("kv/deep/a"), 3);
    assert_int_equal(through("kv/deep/b"), 5);
    assert_int_equal(through("kv/door"), 7);
    assert_int_equal(through("kv/a"), 9);
    assert_int_equal(through("nosuch/a"), 11); /* the four rules after it were counted too */
    assert_int_equal(through("kv/a"), 0);
    clock_manual_advance(now, 3600 * NS_PER_S);
    assert_int_equal(through("kv/deep/a"), 3);
    assert_int_equal(through("kv/a"), 9);
}

static void test_refused(void **state)
{
    (void)state;
    rule("q", "{\"rate\":1,\"interval\":\"1h\",\"path\":\"kv\"}");
    harness_must(&h, 404, OP_READ, "kv/a", NULL);
    assert_str(harness_must(&h, 429, OP_UPDATE, "kv/a", "{\"v\":1}").error,
               "request path \"kv/a\": rate limit quota exceeded");
    harness_must(&h, 204, OP_UPDATE, "sys/quotas/config",
                 "{\"rate_limit_exempt_paths\":[\"kv/*\",\"!kv/x\"]}");
    harness_must(&h, 404, OP_READ, "kv/a", NULL); /* nothing was written */
    harness_must(&h, 429, OP_READ, "kv/x", NULL);
}

static void test_counts_stay(void **state)
{
    (void)state;
    rule("q", "{\"rate\":3,\"interval\":\"1h\",\"path\":\"kv\"}");
    assert_int_equal(through("kv/a"), 3);
    rule("other", "{\"rate\":100,\"path\":\"sys\"}");
    assert_int_equal(through("kv/a"), 0);
    rule("q", "{\"rate\":4,\"interval\":\"1h\",\"path\":\"kv\"}"); /* another rule now */
    assert_int_equal(through("kv/a"), 4);
    harness_restart(&h); /* counts are not stored; rules are */
    assert_int_equal(through("kv/a"), 4);
    harness_must(&h, 204, OP_DELETE, "sys/quotas/rate-limit/q", NULL);
    assert_int_equal(through("kv/a"), 20);
}

static void test_with_the_mount(void **state)
{
    (void)state;
    rule("q", "{\"rate\":3,\"interval\":\"1h\",\"path\":\"kv/a\"}");
    harness_must(&h, 200, OP_UPDATE, "sys/remount", "{\"from\":\"kv\",\"to\":\"there\"}");
    struct answer a = harness_must(&h, 200, OP_READ, "sys/quotas/rate-limit/q", NULL);

    assert_str(json_get_str(answer_data(h.arena, &a), STR("path")), "there/a");
    assert_int_equal(through("there/a"), 3);
    harness_must(&h, 204, OP_DELETE, "sys/mounts/there", NULL);
    harness_must(&h, 404, OP_READ, "sys/quotas/rate-limit/q", NULL);
    harness_mount(&h, "there", "kv");
    assert_int_equal(through("there/a"), 20);
}

static unsigned logins(const char *role_id)
{
    unsigned n = 0;

    for (int i = 0; i < 20; i++)
        n += harness_call(&h, h.arena, OP_UPDATE, "auth/ar/login", (str){0},
                          arena_fmt(h.arena, "{\"role_id\":\"%s\"}", role_id).p)
                 .status != 429;
    return n;
}

static void test_roles(void **state)
{
    (void)state;
    harness_must(&h, 204, OP_UPDATE, "sys/auth/ar", "{\"type\":\"approle\"}");
    for (const char *const *name = (const char *const[]){"one", "two", NULL}; *name; name++)
        harness_must(&h, 204, OP_UPDATE, arena_fmt(h.arena, "auth/ar/role/%s", *name).p,
                     arena_fmt(h.arena,
                               "{\"role_id\":\"id-%s\",\"bind_secret_id\":false,\"token_bound_cidrs\":"
                               "\"127.0.0.0/8\"}",
                               *name)
                         .p);
    rule("mount", "{\"rate\":11,\"interval\":\"1h\",\"path\":\"auth/ar\"}");
    rule("role", "{\"rate\":4,\"interval\":\"1h\",\"path\":\"auth/ar\",\"role\":\"one\"}");
#ifdef COFFER_FAULTS
    assert_true(fault_set(STR("lru_miss=1/2"))); /* it runs again and again, and counts once */
#endif
    assert_int_equal(logins("id-one"), 4);
    assert_int_equal(logins("id-two"), 11);
    assert_int_equal(logins("nobody"), 0);
    harness_must(&h, 429, OP_UPDATE, "auth/ar/login", "{}");
    harness_must(&h, 429, OP_UPDATE, "auth/ar/login", "{\"role_id\":{}}");
#ifdef COFFER_FAULTS
    fault_clear();
#endif
    assert_str(harness_must(&h, 400, OP_UPDATE, "sys/quotas/rate-limit/x",
                            "{\"rate\":4,\"path\":\"auth/token\",\"role\":\"one\"}")
                   .error,
               "Mount path \"auth/token/\" does not support use with role-based quotas");
}

static size_t lines_of(const char *file)
{
    char text[1 << 16];
    FILE *f = fopen(file, "r");
    size_t n = 0, got = f ? fread(text, 1, sizeof(text), f) : 0;

    for (size_t i = 0; i < got; i++)
        n += text[i] == '\n';
    if (f)
        fclose(f);
    return n;
}

static void test_audited(void **state)
{
    char file[64];

    (void)state;
    snprintf(file, sizeof(file), "/tmp/coffer-quota-%d.log", (int)getpid());
    rule("q", "{\"rate\":1,\"interval\":\"1h\",\"path\":\"kv\"}");
    harness_must(&h, 404, OP_READ, "kv/a", NULL);
    harness_audit_file(&h, "file", file);
    size_t before = lines_of(file);

    harness_must(&h, 429, OP_READ, "kv/a", NULL);
    assert_int_equal(lines_of(file), before);
    harness_must(&h, 204, OP_UPDATE, "sys/quotas/config", "{\"enable_rate_limit_audit_logging\":true}");
    before = lines_of(file);
    harness_must(&h, 429, OP_READ, "kv/a", NULL);
    assert_int_equal(lines_of(file), before + 1);
    unlink(file);
}

/* ---- leases ---- */

static void count_leases(struct config *c)
{
    c->enable_lease_count_quotas = true;
}

static int setup_leases(void **state)
{
    (void)state;
    now = clock_manual_new(1795322188 * NS_PER_S);
    harness_start(
        &h, &(struct harness_options){.storage_type = "sqlite", .clock = now, .configure = count_leases});
    return 0;
}

struct crowd {
    struct mutex mutex;
    struct cond done;
    unsigned open, good, refused;
    str token;
};

static void crowd_done(const struct answer *a, void *arg)
{
    struct crowd *c = arg;

    mutex_lock(&c->mutex);
    c->good += a->status == 200;
    c->refused += a->status == 429;
    if (a->status == 200)
        c->token = arena_str(h.arena, a->client_token);
    c->open--;
    cond_signal(&c->done);
    mutex_unlock(&c->mutex);
}

static void create_many(struct crowd *c, unsigned n)
{
    *c = (struct crowd){.open = n};
    mutex_init(&c->mutex);
    cond_init(&c->done);
    for (unsigned i = 0; i < n; i++)
        harness_send(&h, OP_UPDATE, "auth/token/create", h.root, "{\"policies\":\"default\",\"ttl\":\"1h\"}",
                     crowd_done, c);
    mutex_lock(&c->mutex);
    while (c->open > 0)
        cond_wait(&c->done, &c->mutex);
    mutex_unlock(&c->mutex);
    cond_done(&c->done);
    mutex_done(&c->mutex);
}

static int64_t counter(void)
{
    struct answer a = harness_must(&h, 200, OP_READ, "sys/quotas/lease-count/q", NULL);

    return json_get_int(answer_data(h.arena, &a), STR("counter"));
}

static void test_leases(void **state)
{
    struct crowd c;

    (void)state;
    assert_str(harness_must(&h, 400, OP_UPDATE, "sys/quotas/lease-count/q", "{\"max_leases\":0}").error,
               "'max_leases' is invalid");
    harness_must(&h, 204, OP_UPDATE, "sys/quotas/lease-count/q",
                 "{\"max_leases\":25,\"path\":\"auth/token\"}");
#ifdef COFFER_FAULTS
    assert_true(fault_set(STR("commit_group=1/4")));
#endif
    create_many(&c, 60);
#ifdef COFFER_FAULTS
    fault_clear();
#endif
    assert_int_equal(c.good, 25); /* side by side, and not one more */
    assert_int_equal(c.refused, 35);
    assert_int_equal(counter(), 25);
    assert_str(harness_must(&h, 429, OP_UPDATE, "auth/token/create", "{\"ttl\":\"1h\"}").error,
               "request path \"auth/token/create\": lease count quota exceeded");
    harness_must(&h, 204, OP_UPDATE, "auth/token/revoke",
                 arena_fmt(h.arena, "{\"token\":\"%.*s\"}", PSTR(c.token)).p);
    create_many(&c, 3);
    assert_int_equal(c.good, 1);
    assert_int_equal(harness_call(&h, h.arena, OP_UPDATE, "auth/token/renew-self", c.token, "{}").status,
                     200);
    harness_restart(&h);
    for (int i = 0; i < 1000 && counter() < 25; i++)
        ; /* loaded in the background */
    harness_must(&h, 429, OP_UPDATE, "auth/token/create", "{\"ttl\":\"1h\"}");
    harness_must(&h, 204, OP_DELETE, "sys/quotas/lease-count/q", NULL);
    create_many(&c, 3);
    assert_int_equal(c.good, 3);
}

static void test_leases_off(void **state)
{
    (void)state;
    assert_str(harness_must(&h, 404, OP_UPDATE, "sys/quotas/lease-count/q", "{\"max_leases\":5}").error,
               "enterprise-only feature");
    harness_must(&h, 404, OP_LIST, "sys/quotas/lease-count", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_block),
        cmocka_unit_test(test_many_addresses),
        cmocka_unit_test(test_threads),
        cmocka_unit_test_setup_teardown(test_most_specific, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counts_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_with_the_mount, setup, teardown),
        cmocka_unit_test_setup_teardown(test_roles, setup, teardown),
        cmocka_unit_test_setup_teardown(test_audited, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leases, setup_leases, teardown),
        cmocka_unit_test_setup_teardown(test_leases_off, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
