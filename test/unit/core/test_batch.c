/* Batch tokens on a whole core: what they are, what they may not, when they end. */
#include "base/encode.h"
#include "core/active_private.h"
#include "core/lease/lease.h"
#include "rig.h"

static struct rig r;

static int setup(void **state)
{
    (void)state;
    rig_init(&r, "inmem");
    rig_must(&r, 204, OP_UPDATE, "sys/policies/acl/maker", r.root,
             "{\"policy\":\"path \\\"auth/token/create\\\" { capabilities = [\\\"update\\\"] } "
             "path \\\"cubbyhole/*\\\" { capabilities = [\\\"read\\\", \\\"create\\\", \\\"update\\\"] }\"}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_done(&r);
    return 0;
}

static struct answer make(str by, const char *body)
{
    return rig_must(&r, 200, OP_UPDATE, "auth/token/create", by, body);
}

static bool is_alive(str token)
{
    return rig_call(&r, OP_READ, "auth/token/lookup-self", token, NULL).status == 200;
}

static const char *json_with(const char *name, str value)
{
    return arena_cstr(r.arena, arena_fmt(r.arena, "{\"%s\":\"%.*s\"}", name, PSTR(value)));
}

static size_t count_below(const char *folder)
{
    str *names;
    size_t n;

    assert_ok(storage_list(r.storage, r.arena, str_from_cstr(folder), &names, &n));
    return n;
}

static void test_shape(void **state)
{
    size_t ids = count_below("sys/token/id/"), accessors = count_below("sys/token/accessor/");
    struct answer a = make(r.root, "{\"type\":\"batch\",\"policies\":[\"maker\"],\"ttl\":\"10m\","
                                   "\"meta\":{\"a\":\"\xc3\xa9\",\"b\":\"\"},\"display_name\":\"x\"}");
    str token = a.auth->client_token;

    (void)state;
    assert_true(str_starts(token, STR("hvb.")));
    assert_str(a.auth->accessor, "");
    assert_false(a.auth->renewable);
    assert_int_equal(a.auth->ttl_ns, 600 * NS_PER_S);
    assert_int_equal(count_below("sys/token/id/"), ids); /* nothing is stored */
    assert_int_equal(count_below("sys/token/accessor/"), accessors);
    assert_int_equal(count_below("sys/expire/id/"), 0);
    a = rig_must(&r, 200, OP_UPDATE, "auth/token/lookup", r.root, json_with("token", token));
    assert_str(json_get_str(a.data, STR("type")), "batch");
    assert_str(json_get_str(a.data, STR("display_name")), "token-x");
    assert_true(str_eq(json_get_str(a.data, STR("id")), token));
    assert_str(json_get_str(json_get(a.data, STR("meta")), STR("a")), "\xc3\xa9");
    assert_str(json_text(r.arena, json_get(a.data, STR("policies"))), "[\"default\",\"maker\"]");
    assert_str(json_get_str(a.data, STR("expire_time")), "2026-11-22T04:46:28Z");
    assert_int_equal(json_get_int(a.data, STR("ttl")), 600);
    rig_restart(&r); /* it lives as long as the keyring has its term */
    assert_true(is_alive(token));
}

static void test_refusals(void **state)
{
    static const struct {
        enum op op;
        const char *path, *body, *error;
    } rows[] = {
        {OP_UPDATE, "auth/token/create", "{}", "batch tokens cannot create more tokens"},
        {OP_UPDATE, "auth/token/renew-self", NULL, "batch tokens cannot be renewed"},
        {OP_UPDATE, "auth/token/revoke-self", NULL, "batch tokens cannot be revoked"},
        {OP_UPDATE, "cubbyhole/a", "{\"a\":1}",
         "cubbyhole operations are only supported by \"service\" type tokens"},
        {OP_READ, "cubbyhole/a", NULL, "cubbyhole operations are only supported by \"service\" type tokens"},
    };
    static const struct {
        const char *body, *error;
    } makes[] = {
        {"{\"type\":\"batch\"}", "batch tokens cannot be root tokens"},
        {"{\"type\":\"batch\",\"policies\":[\"a\"],\"num_uses\":1}",
         "batch tokens cannot have \"num_uses\" set"},
        {"{\"type\":\"batch\",\"policies\":[\"a\"],\"period\":\"1h\"}",
         "batch tokens cannot have \"period\" set"},
        {"{\"type\":\"batch\",\"policies\":[\"a\"],\"explicit_max_ttl\":\"1h\"}",
         "batch tokens cannot have \"explicit_max_ttl\" set"},
    };
    str token = make(r.root, "{\"type\":\"batch\",\"policies\":[\"maker\"]}").auth->client_token;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_str(rig_must(&r, 400, rows[i].op, rows[i].path, token, rows[i].body).error, rows[i].error);
    for (size_t i = 0; i < COUNT_OF(makes); i++)
        assert_str(rig_must(&r, 400, OP_UPDATE, "auth/token/create", r.root, makes[i].body).error,
                   makes[i].error);
    assert_str(rig_must(&r, 400, OP_UPDATE, "auth/token/revoke", r.root, json_with("token", token)).error,
               "batch tokens cannot be revoked");
    assert_str(rig_must(&r, 400, OP_UPDATE, "auth/token/renew", r.root, json_with("token", token)).error,
               "batch tokens cannot be renewed");
}

static void test_ends(void **state)
{
    str parent = make(r.root, "{\"ttl\":\"1h\"}").auth->client_token;
    str child = make(parent, "{\"type\":\"batch\",\"policies\":[\"default\"]}").auth->client_token;
    str orphan =
        make(r.root, "{\"type\":\"batch\",\"policies\":[\"default\"],\"no_parent\":true,\"ttl\":\"2h\"}")
            .auth->client_token;

    (void)state;
    assert_true(is_alive(child) && is_alive(orphan));
    rig_must(&r, 204, OP_UPDATE, "auth/token/revoke", r.root, json_with("token", parent));
    assert_false(is_alive(child));
    clock_manual_advance(r.clock, 7199 * NS_PER_S);
    assert_true(is_alive(orphan));
    clock_manual_advance(r.clock, NS_PER_S);
    assert_false(is_alive(orphan));
}

/* Any bit of a token changed, and tokens cut short: no token. */
static void test_damage(void **state)
{
    str token = make(r.root, "{\"type\":\"batch\",\"policies\":[\"default\"]}").auth->client_token;
    bytes record;

    (void)state;
    assert_true(base64url_decode(r.arena, str_from(token, 4), &record));
    for (size_t i = 0; i < record.n; i++) {
        uint8_t *copy = arena_copy(r.arena, record.p, record.n);

        copy[i] ^= (uint8_t)(1u << i % 8);
        assert_false(
            is_alive(arena_join(r.arena, STR("hvb."), base64url_encode(r.arena, (bytes){copy, record.n}))));
    }
    for (size_t n = 0; n < token.n; n++)
        assert_false(is_alive(str_slice(token, 0, n)));
    assert_true(is_alive(token));
}

/* A record of the barrier that was made for an entry is no token, whatever it holds. */
static void test_other_records(void **state)
{
    str *names;
    size_t n;
    bytes record;

    (void)state;
    assert_ok(storage_list(r.storage, r.arena, STR("sys/token/id/"), &names, &n));
    assert_true(n > 0);
    assert_ok(storage_get(r.storage, r.arena, arena_join(r.arena, STR("sys/token/id/"), names[0]), &record));
    assert_false(is_alive(arena_join(r.arena, STR("hvb."), base64url_encode(r.arena, record))));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_shape), TEST(test_refusals), TEST(test_ends),
                                       TEST(test_damage), TEST(test_other_records)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
