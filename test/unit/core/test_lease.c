/* The parts of the expiration manager that need no core: the index, the stored form, durations. */
#include "../base/check.h"

#undef fail /* cmocka's; the engine contract has its own */
#include "base/rand.h"
#include "core/lease/lease.h"
#include "core/lease/lease_index.h"
#include "core/lease/member.h"
#include "core/lease/ttl.h"

static str id_of(struct arena *a, unsigned i)
{
    switch (i % 4) { /* the forms a last segment has */
    case 0: return arena_fmt(a, "auth/token/create/h%064x", i);
    case 1: return arena_fmt(a, "auth/userpass/login/user%u/%040x", i % 7, i);
    case 2: return arena_fmt(a, "database/creds/r/%024u", i);
    default: return arena_fmt(a, "lonely-%u", i);
    }
}

static void test_index_order(void **state)
{
    enum { N = 5000 };
    struct lease_index *ix = lease_index_new();
    struct arena *a = arena_new(0);
    struct rng *rng = rng_seeded_new(7);
    static int64_t due[N];
    str ids[64];
    size_t taken = 0;

    (void)state;
    for (unsigned i = 0; i < N; i++) {
        due[i] = (int64_t)rng_below(rng, 1000);
        lease_index_put(ix, id_of(a, i), 5);
        lease_index_put(ix, id_of(a, i), due[i]);
    }
    assert_int_equal(lease_index_total(ix), N);
    for (int64_t now = 0; now < 1000; now += 50) {
        size_t n, expected = 0;

        for (unsigned i = 0; i < N; i++)
            expected += due[i] <= now;
        while ((n = lease_index_take_due(ix, a, now, COUNT_OF(ids), ids)) > 0) {
            for (size_t k = 0; k < n; k++)
                lease_index_remove(ix, ids[k], false);
            taken += n;
        }
        assert_int_equal(taken, expected);
        assert_int_equal(lease_index_total(ix), N - taken);
        assert_true(lease_index_next_due(ix) > now);
    }
    rng_seeded_free(rng);
    arena_free(a);
    lease_index_free(ix);
}

static void test_index_live(void **state)
{
    struct lease_index *ix = lease_index_new();
    str path = STR("auth/token/create"), name = STR("d4fe921713ae0f44a7145a508c4319d89017f665");
    str id = STR("auth/token/create/d4fe921713ae0f44a7145a508c4319d89017f665");

    (void)state;
    assert_false(lease_index_is_live(ix, path, name, 0));
    lease_index_put(ix, id, 100);
    assert_true(lease_index_is_live(ix, path, name, 99));
    assert_false(lease_index_is_live(ix, path, name, 100));
    assert_false(lease_index_is_live(ix, STR("auth/token"), name, 0));
    assert_false(lease_index_is_live(ix, path, STR("D4fe921713ae0f44a7145a508c4319d89017f665"), 0));
    lease_index_put(ix, id, INT64_MIN); /* never expires */
    assert_true(lease_index_is_live(ix, path, name, INT64_MAX));
    assert_int_equal(lease_index_next_due(ix), INT64_MAX);
    lease_index_remove(ix, id, false);
    assert_false(lease_index_is_live(ix, path, name, 0));
    lease_index_free(ix);
}

/* A renewal, a failure, a deletion while a revocation is under way. */
static void test_index_states(void **state)
{
    struct lease_index *ix = lease_index_new();
    struct arena *a = arena_new(0);
    str id = STR("auth/token/create/x"), ids[4];

    (void)state;
    lease_index_put(ix, id, 10);
    assert_int_equal(lease_index_take_due(ix, a, 10, 4, ids), 1);
    assert_true(str_eq(ids[0], id));
    assert_int_equal(lease_index_take_due(ix, a, 10, 4, ids), 0);
    lease_index_put(ix, id, 50); /* renewed meanwhile: the end of the revocation changes nothing */
    assert_int_equal(lease_index_retry(ix, id, 10, 10, true), 0);
    assert_int_equal(lease_index_next_due(ix), 50);

    assert_int_equal(lease_index_take_due(ix, a, 60, 4, ids), 1);
    lease_index_live(ix, id, 70); /* it was not due after all */
    assert_true(lease_index_is_live(ix, STR("auth/token/create"), STR("x"), 69));

    for (unsigned attempt = 1; attempt <= 3; attempt++) {
        assert_int_equal(lease_index_take_due(ix, a, 100, 4, ids), 1);
        assert_int_equal(lease_index_retry(ix, id, 10, 10, true), attempt);
        assert_int_equal(lease_index_next_due(ix), 10 + (10 << (attempt - 1)));
        assert_false(lease_index_is_live(ix, STR("auth/token/create"), STR("x"), 0));
    }
    lease_index_give_up(ix, id);
    assert_int_equal(lease_index_count(ix, LEASE_IRREVOCABLE), 1);
    assert_int_equal(lease_index_take_due(ix, a, 1000, 4, ids), 0);
    assert_int_equal(lease_index_total(ix), 1);
    lease_index_remove(ix, id, false);
    assert_int_equal(lease_index_retry(ix, id, 100, 1, true), 0);
    assert_int_equal(lease_index_total(ix), 0);
    arena_free(a);
    lease_index_free(ix);
}

/* What the loader reads never replaces what was published meanwhile. */
static void test_index_load(void **state)
{
    struct lease_index *ix = lease_index_new();
    struct arena *a = arena_new(0);
    str ids[4];

    (void)state;
    lease_index_put(ix, STR("p/renewed"), 90);
    lease_index_remove(ix, STR("p/deleted"), true);
    lease_index_load(ix, STR("p/renewed"), 10, LEASE_LIVE);
    lease_index_load(ix, STR("p/deleted"), 10, LEASE_LIVE);
    lease_index_load(ix, STR("p/other"), 20, LEASE_LIVE);
    lease_index_load(ix, STR("p/secret"), 5, LEASE_FOREIGN);
    lease_index_load(ix, STR("p/failed"), 5, LEASE_IRREVOCABLE);
    assert_int_equal(lease_index_total(ix), 4);
    lease_index_loaded(ix);
    assert_int_equal(lease_index_total(ix), 4);
    assert_int_equal(lease_index_count(ix, LEASE_GONE), 0);
    assert_int_equal(lease_index_count(ix, LEASE_FOREIGN), 1);
    assert_int_equal(lease_index_take_due(ix, a, 89, 4, ids), 1);
    assert_str(ids[0], "p/other");
    arena_free(a);
    lease_index_free(ix);
}

/* As Vault wrote it, with a member nobody knows. */
static void test_stored_form(void **state)
{
    struct arena *a = arena_new(0);
    str text = STR("{\"auth\":{\"accessor\":\"acc\",\"future\":[1.50],\"lease\":600000000000,\"renewable\":"
                   "true},\"client_token\":\"hvs.x\",\"data\":null,"
                   "\"expire_time\":\"2056-11-14T04:36:28.441429267Z\",\"issue_time\":\"2026-11-22T04:36:28."
                   "441436247Z\","
                   "\"last_renewal_time\":\"0001-01-01T00:00:00Z\",\"lease_id\":\"auth/token/create/"
                   "x\",\"path\":\"auth/token/create\","
                   "\"revokeErr\":\"\",\"secret\":null,\"unknown\":{\"a\":1e3},\"version\":1}");
    struct json *j;
    struct lease l;

    (void)state;
    assert_null(json_parse(a, text, false, &j));
    lease_decode(j, &l);
    assert_str(l.id, "auth/token/create/x");
    assert_str(l.client_token, "hvs.x");
    assert_true(l.of_token);
    assert_true(l.renewable);
    assert_int_equal(l.ttl_ns, 600 * NS_PER_S);
    assert_int_equal(l.last_renewal_ns, TIME_ZERO_NS);
    lease_encode(a, &l);
    assert_true(str_eq(json_text(a, l.stored), text));

    l.ttl_ns = NS_PER_S;
    l.expire_time_ns += NS_PER_S;
    l.last_renewal_ns = l.issue_time_ns;
    lease_encode(a, &l);
    assert_null(json_parse(a, json_text(a, l.stored), false, &j));
    assert_str(member_str(j, "expire_time"), "2056-11-14T04:36:29.441429267Z");
    assert_str(member_str(j, "last_renewal_time"), "2026-11-22T04:36:28.441436247Z");
    assert_int_equal(member_int(member_object(j, "auth"), "lease"), NS_PER_S);
    assert_str(json_text(a, json_get(member_object(j, "auth"), STR("future"))), "[1.50]");
    assert_str(json_text(a, json_get(j, STR("unknown"))), "{\"a\":1e3}");
    arena_free(a);
}

static void test_secret_lease(void **state)
{
    struct arena *a = arena_new(0);
    struct json *j;
    struct lease l;

    (void)state;
    assert_null(
        json_parse(a, STR("{\"auth\":null,\"secret\":{\"lease\":5},\"revokeErr\":\"no\"}"), false, &j));
    lease_decode(j, &l);
    assert_false(l.of_token);
    assert_str(l.revoke_err, "no");
    assert_int_equal(l.expire_time_ns, TIME_ZERO_NS);
    arena_free(a);
}

static void test_ttl_text(void **state)
{
    static const struct {
        int64_t s;
        const char *text;
    } rows[] = {{0, "0s"},    {1, "1s"},       {60, "1m"},       {90, "1m30s"},
                {3600, "1h"}, {5400, "1h30m"}, {3601, "1h0m1s"}, {2764800, "768h"}};
    struct arena *a = arena_new(0);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_str(ttl_text(a, rows[i].s * NS_PER_S), rows[i].text);
    arena_free(a);
}

enum { H = 3600 };
static const struct {
    const char *title;
    int64_t increment, usual, period, max, explicit_max,
        age;     /* seconds; the mount gives 10 h, at most 100 h */
    int64_t ttl; /* 0: refused */
    const char *warning;
} ttl_rows[] = {
    {"nothing asked", 0, 0, 0, 0, 0, 0, 10 * H, NULL},
    {"the usual", 0, 2 * H, 0, 0, 0, 0, 2 * H, NULL},
    {"asked", 3 * H, 2 * H, 0, 0, 0, 0, 3 * H, NULL},
    {"over the mount", 9999 * H, 0, 0, 0, 0, 0, 100 * H,
     "TTL of \"9999h\" exceeded the effective max_ttl of \"100h\"; TTL value is capped accordingly"},
    {"over the role", 9 * H, 0, 0, H, 0, 0, H,
     "TTL of \"9h\" exceeded the effective max_ttl of \"1h\"; TTL value is capped accordingly"},
    {"what is left", 9 * H, 0, 0, 0, 4 * H, 3 * H, H,
     "TTL of \"9h\" exceeded the effective max_ttl of \"1h\"; TTL value is capped accordingly"},
    {"nothing left", H, 0, 0, 0, 4 * H, 4 * H, 0, NULL},
    {"periodic for ever", H, 0, 5 * H, 0, 0, 5000 * H, 5 * H, NULL},
    {"period over the mount", 0, 0, 101 * H, 0, 0, 0, 100 * H,
     "period of \"101h\" exceeded the effective max_ttl of \"100h\"; period value is capped accordingly"},
    {"periodic with an end", 0, 0, H, 0, 2 * H, 3 * H / 2, H / 2,
     "TTL of \"1h\" exceeded the effective max_ttl of \"30m\"; TTL value is capped accordingly"},
    {"periodic past its end", 0, 0, H, 0, 2 * H, 2 * H, 0, NULL},
};

static void test_ttl(void **state)
{
    struct arena *a = arena_new(0);
    int64_t start = 1795322188 * NS_PER_S + 999999999;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(ttl_rows); i++) {
        struct clock *clock = clock_manual_new(start + ttl_rows[i].age * NS_PER_S);
        struct request rq = {.arena = a, .clock = clock};
        struct response rs = {0};
        struct ttl_ask ask = {.increment_ns = ttl_rows[i].increment * NS_PER_S,
                              .usual_ns = ttl_rows[i].usual * NS_PER_S,
                              .period_ns = ttl_rows[i].period * NS_PER_S,
                              .max_ns = ttl_rows[i].max * NS_PER_S,
                              .explicit_max_ns = ttl_rows[i].explicit_max * NS_PER_S,
                              .start_ns = start,
                              .mount_default_ns = 10 * H * NS_PER_S,
                              .mount_max_ns = 100 * H * NS_PER_S};
        int64_t ttl = 0;
        struct error *e = ttl_decide(&rq, &rs, &ask, &ttl);

        print_message("%s\n", ttl_rows[i].title);
        assert_int_equal(ttl, ttl_rows[i].ttl * NS_PER_S);
        assert_int_equal(e == NULL, ttl_rows[i].ttl > 0);
        assert_int_equal(rs.n_warnings, ttl_rows[i].warning != NULL);
        if (rs.n_warnings)
            assert_str(rs.warnings[0], ttl_rows[i].warning);
        clock_manual_free(clock);
    }
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_order),  cmocka_unit_test(test_index_live),
        cmocka_unit_test(test_index_states), cmocka_unit_test(test_index_load),
        cmocka_unit_test(test_stored_form),  cmocka_unit_test(test_secret_lease),
        cmocka_unit_test(test_ttl_text),     cmocka_unit_test(test_ttl),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
