#include "base/cursor.h"
#include "base/encode.h"
#include "core/active_private.h"
#include "core/rotation.h"
#include "crypto/crypto.h"
#include "harness.h"

static struct clock *hands; /* of the cores here: moved by hand */

static void start(struct harness *h, const char *type, struct storage *storage, const char *key,
                  const char *root)
{
    harness_start(h, &(struct harness_options){.storage_type = type,
                                               .storage = storage,
                                               .clock = hands,
                                               .key = key,
                                               .root = root,
                                               .may_stand_by = key != NULL});
}

static uint32_t term_of(struct harness *h, const char *path)
{
    bytes record;

    assert_ok(storage_get(h->storage, h->arena, str_from_cstr(path), &record));
    struct cursor c = cursor_from(record);

    return cursor_be32(&c);
}

static bool is_stored(struct harness *h, const char *path)
{
    bytes record;

    assert_ok(storage_get(h->storage, h->arena, str_from_cstr(path), &record));
    return record.p != NULL;
}

static int64_t status_of(struct harness *h, const char *member)
{
    struct answer a = harness_must(h, 200, OP_READ, "sys/key-status", NULL);

    return json_get_int(answer_data(h->arena, &a), str_from_cstr(member));
}

static void policy_put(struct harness *h, const char *name)
{
    const char *path = arena_cstr(h->arena, arena_fmt(h->arena, "sys/policies/acl/%s", name));

    harness_must(h, 204, OP_UPDATE, path,
                 "{\"policy\":\"path \\\"a\\\" { capabilities = [\\\"read\\\"] }\"}");
}

static void policy_reads(struct harness *h, const char *name)
{
    harness_must(h, 200, OP_READ, arena_cstr(h->arena, arena_fmt(h->arena, "sys/policies/acl/%s", name)),
                 NULL);
}

static void background(struct harness *h, handler_fn *fn)
{
    assert_ok(active_run(atomic_load(&h->core->active), h->arena, fn, NULL));
}

/* ---- on demand ---- */

static void old_entries_stay_readable(void **state)
{
    static const char *const types[] = {"inmem", "file", "sqlite"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        struct harness h;

        start(&h, types[i], NULL, NULL, NULL);
        policy_put(&h, "one");
        harness_must(&h, 204, OP_UPDATE, "sys/rotate", NULL);
        policy_put(&h, "two");
        harness_must(&h, 204, OP_UPDATE, "sys/rotate", NULL);
        policy_put(&h, "three");
        assert_int_equal(status_of(&h, "term"), 3);
        assert_int_equal(term_of(&h, "sys/policy/one"), 1);
        assert_int_equal(term_of(&h, "sys/policy/two"), 2);
        assert_int_equal(term_of(&h, "sys/policy/three"), 3);
        assert_int_equal(term_of(&h, "core/keyring"), KEYRING_TERM);
        assert_true(is_stored(&h, "core/canary-keyring"));
        assert_false(is_stored(&h, "core/upgrade/1")); /* there is nobody else */
        harness_restart(&h);
        policy_reads(&h, "one");
        policy_reads(&h, "two");
        policy_reads(&h, "three");
        assert_int_equal(status_of(&h, "term"), 3);
        harness_stop(&h);
    }
}

/* The copy of the root key stays where its first owner put it. */
static void newer_name_of_the_root_key(void **state)
{
    (void)state;
    struct harness h;
    struct storage_put put = {.path = STR("core/root-key"), .value = bytes_from_str(STR("of another"))};

    start(&h, "inmem", NULL, NULL, NULL);
    assert_ok(storage_commit(h.storage, h.arena, &(struct storage_batch){.puts = &put, .n = 1}));
    put = (struct storage_put){.path = STR("core/master"), .deletes = true};
    assert_ok(storage_commit(h.storage, h.arena, &(struct storage_batch){.puts = &put, .n = 1}));
    harness_restart(&h);
    harness_must(&h, 204, OP_UPDATE, "sys/rotate", NULL);
    assert_false(is_stored(&h, "core/master"));
    assert_int_equal(term_of(&h, "core/root-key"), 1);
    harness_stop(&h);
}

/* ---- by itself ---- */

static void counts_last(void **state)
{
    (void)state;
    struct harness h;

    start(&h, "inmem", NULL, NULL, NULL);
    for (int i = 0; i < 20; i++)
        policy_put(&h, "p");
    int64_t before = status_of(&h, "encryptions");

    background(&h, rotation_tick);
    harness_restart(&h);
    assert_true(status_of(&h, "encryptions") > before);
    background(&h, rotation_tick); /* what the start wrote */
    bytes once, again;

    assert_ok(storage_get(h.storage, h.arena, STR("core/keyring"), &once));
    background(&h, rotation_tick); /* idle: nothing is written */
    assert_ok(storage_get(h.storage, h.arena, STR("core/keyring"), &again));
    assert_true(once.n == again.n && memcmp(once.p, again.p, once.n) == 0);
    harness_stop(&h);
}

static void due_by_age(void **state)
{
    (void)state;
    struct harness h;

    start(&h, "inmem", NULL, NULL, NULL);
    harness_must(&h, 204, OP_UPDATE, "sys/rotate/config", "{\"interval\":\"48h\"}");
    clock_manual_advance(hands, 47 * 3600 * NS_PER_S);
    background(&h, rotation_tick);
    assert_int_equal(status_of(&h, "term"), 1);
    harness_restart(&h); /* the setting is stored */
    clock_manual_advance(hands, 2 * 3600 * NS_PER_S);
    background(&h, rotation_tick);
    assert_int_equal(status_of(&h, "term"), 2);
    background(&h, rotation_tick);
    assert_int_equal(status_of(&h, "term"), 2);
    harness_stop(&h);
}

static void due_by_count(void **state)
{
    (void)state;
    static const struct {
        const char *key, *rotation;
        int64_t now_ns;
        const char *due;
    } cases[] = {
        {"\"encryptions\":1000001", "\"MaxOperations\":5", 0,
         "reached max operations"}, /* 5 reads as a million */
        {"\"encryptions\":1000000", "\"MaxOperations\":5", 0, NULL},
        {"\"encryptions\":3865470567", "\"MaxOperations\":0", 0, "reached max operations"},
        {"\"encryptions\":3865470567", "\"MaxOperations\":0,\"Disabled\":true", 0, NULL},
        {"\"encryptions\":1", "\"Interval\":1", 24 * 3600 * NS_PER_S, NULL}, /* 1 ns reads as a day */
        {"\"encryptions\":1", "\"Interval\":1", 25 * 3600 * NS_PER_S, "rotation interval reached"},
        {"\"X\":0", "\"Interval\":0", 364 * 24 * 3600 * NS_PER_S, NULL},
        {"\"X\":0", "\"Interval\":0", 366 * 24 * 3600 * NS_PER_S, "legacy rotation"},
        {"\"encryptions\":1", "\"Interval\":0", 366 * 24 * 3600 * NS_PER_S, NULL},
    };
    static const char value[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    struct arena *a = arena_new(0);

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct barrier *b;

        assert_ok(barrier_from_keyring(
            a,
            bytes_from_str(
                arena_fmt(a,
                          "{\"MasterKey\":\"%s\",\"Keys\":[{\"Term\":1,\"Version\":1,\"Value\":\"%s\","
                          "\"InstallTime\":\"1970-01-01T00:00:00Z\",%s}],\"RotationConfig\":{%s}}",
                          value, value, cases[i].key, cases[i].rotation)),
            &b));
        const char *due = barrier_rotation_due(b, cases[i].now_ns);

        assert_true(!due == !cases[i].due);
        if (due)
            assert_string_equal(due, cases[i].due);
        barrier_free(b);
    }
    arena_free(a);
}

/* ---- with others that wait ---- */

static void stand_by_learns(void **state)
{
    (void)state;
    struct harness one, two;

    start(&one, "inmem_ha", NULL, NULL, NULL);
    const char *key = arena_cstr(one.arena, one.key), *root = arena_cstr(one.arena, one.root);

    start(&two, NULL, one.storage, key, root);
    harness_must(&one, 204, OP_UPDATE, "sys/rotate", NULL);
    policy_put(&one, "new");
    assert_int_equal(term_of(&one, "core/upgrade/1"), 1);
    background(&one, rotation_clear_upgrades);
    assert_false(is_stored(&one, "core/upgrade/1"));
    harness_must(&one, 204, OP_UPDATE, "sys/step-down", NULL);
    assert_true(core_wait_state(two.core, CORE_ACTIVE, 20 * NS_PER_S));
    assert_int_equal(status_of(&two, "term"), 2);
    policy_reads(&two, "new");
    policy_put(&two, "newer");
    assert_int_equal(term_of(&two, "sys/policy/newer"), 2);
    harness_stop(&two);
    harness_stop(&one);
}

static int prepare(void **state)
{
    (void)state;
    hands = clock_manual_new(1795322188 * NS_PER_S);
    crypto_init();
    return 0;
}

static int clean(void **state)
{
    (void)state;
    clock_manual_free(hands);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_entries_stay_readable),
        cmocka_unit_test(newer_name_of_the_root_key),
        cmocka_unit_test(counts_last),
        cmocka_unit_test(due_by_age),
        cmocka_unit_test(due_by_count),
        cmocka_unit_test(stand_by_learns),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
