/* kv version 1 on a whole core. */
#include "../core/rig.h"

static struct rig r;

static int setup(void **state)
{
    (void)state;
    rig_init(&r, "inmem");
    rig_must(&r, 204, OP_UPDATE, "sys/mounts/k", r.root,
             "{\"type\":\"kv\",\"config\":{\"default_lease_ttl\":\"1h\",\"max_lease_ttl\":\"10h\"}}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_done(&r);
    return 0;
}

static void test_values(void **state)
{
    static const char *const bodies[] = {
        "{\"b\":true,\"i\":5,\"l\":[1,\"x\"],\"n\":null,\"o\":{\"k\":{\"d\":1.25}},\"s\":\"text\"}",
        "{\"big\":123456789012345678901234567890,\"e\":1e3,\"f\":1.50,\"neg\":-0}",
        "{\"A\":1,\"a\":2}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        rig_must(&r, 204, OP_UPDATE, "k/a", r.root, bodies[i]);
        assert_str(json_text(r.arena, rig_must(&r, 200, OP_READ, "k/a", r.root, NULL).data), bodies[i]);
    }
}

static void test_lease_duration(void **state)
{
    static const struct {
        const char *body;
        int64_t seconds;
    } rows[] = {
        {"{\"v\":1}", 3600},           {"{\"ttl\":\"30m\"}", 1800},         {"{\"ttl\":90}", 90},
        {"{\"lease\":\"2h\"}", 7200},  {"{\"ttl\":\"100h\"}", 360000},      {"{\"ttl\":\"soon\"}", 3600},
        {"{\"ttl\":{\"a\":1}}", 3600}, {"{\"ttl\":5,\"lease\":\"2h\"}", 5},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        rig_must(&r, 204, OP_UPDATE, "k/t", r.root, rows[i].body);
        assert_int_equal(rig_must(&r, 200, OP_READ, "k/t", r.root, NULL).lease_duration_s, rows[i].seconds);
    }
}

static void test_paths(void **state)
{
    struct answer a;

    (void)state;
    rig_must(&r, 204, OP_UPDATE, "k/dir/sub/leaf", r.root, "{\"v\":1}");
    rig_must(&r, 204, OP_UPDATE, "k/dir", r.root, "{\"v\":2}");
    a = rig_must(&r, 200, OP_LIST, "k/dir", r.root, NULL);
    assert_str(json_text(r.arena, a.data), "{\"keys\":[\"sub/\"]}");
    assert_int_equal(a.lease_duration_s, 0);
    assert_str(json_text(r.arena, rig_must(&r, 200, OP_READ, "k/dir", r.root, NULL).data), "{\"v\":2}");
    assert_str(rig_must(&r, 404, OP_LIST, "k/none", r.root, NULL).error, "");
    assert_str(rig_must(&r, 404, OP_READ, "k/none", r.root, NULL).error, "");
    rig_must(&r, 404, OP_READ, "k", r.root, NULL);
    rig_must(&r, 404, OP_READ, "k/", r.root, NULL);
    rig_must(&r, 404, OP_READ, "k/dir/", r.root, NULL);
    rig_must(&r, 204, OP_DELETE, "k/dir", r.root, NULL);
    rig_must(&r, 404, OP_READ, "k/dir", r.root, NULL);
    rig_must(&r, 200, OP_READ, "k/dir/sub/leaf", r.root, NULL);
    rig_must(&r, 204, OP_DELETE, "k/none", r.root, NULL);
}

static void test_refused(void **state)
{
    (void)state;
    assert_str(rig_must(&r, 400, OP_UPDATE, "k/e", r.root, "{}").error, "missing data fields");
    assert_str(rig_must(&r, 400, OP_UPDATE, "k/e", r.root, NULL).error, "missing data fields");
    assert_str(rig_must(&r, 400, OP_UPDATE, "k/x/", r.root, "{\"a\":1}").error,
               "cannot write to a path ending in '/'");
    assert_str(rig_must(&r, 500, OP_UPDATE, "k/x\xff", r.root, "{\"a\":1}").error,
               "1 error occurred:\n\t* failed to write: key contains invalid UTF-8 characters\n\n");
    assert_int_equal(rig_call(&r, OP_PATCH, "k/a", r.root, "{\"a\":1}").status, 405);
    assert_int_equal(
        rig_call(&r, OP_UPDATE, "sys/mounts/k2", r.root, "{\"type\":\"kv\",\"options\":{\"version\":\"3\"}}")
            .status,
        400);
    rig_must(&r, 403, OP_READ, "k/a", (str){0}, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_lease_duration),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
