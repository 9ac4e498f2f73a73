/* Token roles on a whole core: what they allow, what they set, what is stored. */
#include "core/active_private.h"
#include "core/token/token_role.h"
#include "rig.h"

#include <stdatomic.h>

static struct rig r;

static int setup(void **state)
{
    (void)state;
    rig_init(&r, "inmem");
    rig_must(&r, 204, OP_UPDATE, "sys/policies/acl/maker", r.root,
             "{\"policy\":\"path \\\"auth/token/create/*\\\" { capabilities = [\\\"update\\\"] }\"}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    rig_done(&r);
    return 0;
}

static const struct {
    const char *pattern, *text;
    bool matches;
} glob_rows[] = {
    {"a", "a", true},          {"a", "ab", false},      {"a*", "a", true},    {"a*", "abc", true},
    {"*c", "abc", true},       {"*c", "abd", false},    {"a*c", "abc", true}, {"a*c", "ac", true},
    {"a*c", "a", false},       {"*", "", true},         {"**", "x", true},    {"a*b*c", "aXbYc", true},
    {"a*b*c", "aXcYb", false}, {"ab*ba", "aba", false}, {"", "", true},       {"", "x", false},
};

static void test_globs(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(glob_rows); i++)
        assert_int_equal(
            token_glob_matches(str_from_cstr(glob_rows[i].pattern), str_from_cstr(glob_rows[i].text)),
            glob_rows[i].matches);
}

static const struct {
    const char *role,
        *body; /* the role, and what is asked of it by a token with the policies default, maker */
    int status;
    const char *text; /* the policies given, or the error */
} create_rows[] = {
    {"{}", "{}", 200, "default,maker"},
    {"{}", "{\"policies\":[\"other\"]}", 400, "child policies must be subset of parent"},
    {"{\"allowed_policies\":[\"B\",\"a\"]}", "{}", 200, "a,b,default"},
    {"{\"allowed_policies\":[\"a\"]}", "{\"no_default_policy\":true}", 200, "a"},
    {"{\"allowed_policies\":[\"a\"]}", "{\"policies\":[\"a\",\"x\"]}", 400,
     "token policies ([\"a\" \"default\" \"x\"]) must be subset of the role's allowed policies ([\"a\" "
     "\"default\"]) or glob policies ([])"},
    {"{\"allowed_policies_glob\":[\"dev-*\"]}", "{\"policies\":[\"dev-1\"]}", 200, "default,dev-1"},
    {"{\"disallowed_policies\":[\"default\"]}", "{\"policies\":[\"a\"]}", 200, "a"},
    {"{\"disallowed_policies\":[\"default\"]}", "{\"policies\":[\"default\"]}", 400,
     "token policy \"default\" is disallowed by this role"},
    {"{\"disallowed_policies\":[\"root\"]}", "{\"policies\":[\"root\"]}", 400,
     "token policy \"root\" is disallowed by this role"},
    {"{\"disallowed_policies_glob\":[\"r*t\"]}", "{\"policies\":[\"root\"]}", 400,
     "token policy \"root\" is disallowed by this role"},
    {"{\"allowed_policies_glob\":[\"*\"]}", "{\"policies\":[\"root\"]}", 400,
     "root tokens may not be created without parent token being root"},
    {"{\"allowed_policies\":[\"response-wrapping\"]}", "{}", 400,
     "cannot assign policy \"response-wrapping\""},
    {"{\"token_type\":\"batch\",\"orphan\":true,\"renewable\":false}", "{\"num_uses\":3}", 400,
     "batch tokens cannot have \"num_uses\" set"},
    {"{\"token_type\":\"service\"}", "{\"type\":\"batch\"}", 200, "default,maker"},
};

static void test_create(void **state)
{
    str maker = rig_must(&r, 200, OP_UPDATE, "auth/token/create", r.root, "{\"policies\":[\"maker\"]}")
                    .auth->client_token;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(create_rows); i++) {
        rig_must(&r, 204, OP_DELETE, "auth/token/roles/one", r.root, NULL);
        rig_must(&r, 204, OP_UPDATE, "auth/token/roles/one", r.root, create_rows[i].role);
        struct answer a = rig_call(&r, OP_UPDATE, "auth/token/create/one", maker, create_rows[i].body);
        str text = a.error;

        for (size_t k = 0; a.auth && k < a.auth->n_policies; k++)
            text = arena_fmt(r.arena, "%.*s%s%.*s", PSTR(text), k ? "," : "", PSTR(a.auth->policies[k]));
        assert_str(text, create_rows[i].text);
        assert_int_equal(a.status, create_rows[i].status);
    }
}

static void test_limits(void **state)
{
    (void)state;
    rig_must(&r, 204, OP_UPDATE, "auth/token/roles/one", r.root,
             "{\"token_period\":\"1h\",\"token_explicit_max_ttl\":\"90m\",\"token_num_uses\":9,"
             "\"path_suffix\":\"team/app\",\"token_bound_cidrs\":\"127.0.0.0/8\",\"orphan\":true}");
    struct answer a = rig_must(&r, 200, OP_UPDATE, "auth/token/create/one", r.root,
                               "{\"policies\":[\"x\"],\"num_uses\":20}");
    str token = a.auth->client_token;

    assert_int_equal(a.auth->ttl_ns, 3600 * NS_PER_S);
    assert_int_equal(a.auth->num_uses, 9);
    assert_true(a.auth->orphan);
    a = rig_must(&r, 200, OP_READ, "auth/token/lookup-self", token, NULL);
    assert_str(json_get_str(a.data, STR("path")), "auth/token/create/one/team/app");
    assert_str(json_get_str(a.data, STR("role")), "one");
    assert_null(json_get(a.data, STR("period"))); /* it is the role's */
    assert_str(json_text(r.arena, json_get(a.data, STR("bound_cidrs"))), "[\"127.0.0.0/8\"]");
    clock_manual_advance(r.clock, 3000 * NS_PER_S);
    a = rig_must(&r, 200, OP_UPDATE, "auth/token/renew-self", token, "{\"increment\":\"5h\"}");
    assert_int_equal(a.auth->ttl_ns, 2400 * NS_PER_S); /* what is left of 90 minutes */
    rig_must(&r, 204, OP_UPDATE, "auth/token/roles/one", r.root, "{\"token_explicit_max_ttl\":0}");
    a = rig_must(&r, 200, OP_UPDATE, "auth/token/renew-self", token, NULL);
    assert_int_equal(a.auth->ttl_ns, 3600 * NS_PER_S); /* as the role is now */
    rig_must(&r, 204, OP_DELETE, "auth/token/roles/one", r.root, NULL);
    a = rig_must(&r, 500, OP_UPDATE, "auth/token/renew-self", token, NULL);
    assert_non_null(strstr(arena_cstr(r.arena, a.error), "original token role \"one\" could not be found"));
}

static const struct {
    const char *body, *error;
} bad_rows[] = {
    {"{\"path_suffix\":\"a\"}",
     "given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w"},
    {"{\"path_suffix\":\"a//b\"}",
     "given role path suffix contains invalid characters; must match \\w[\\w-.]+\\w"},
    {"{\"path_suffix\":\"a..b\"}", "error registering path suffix: path cannot contain parent references"},
    {"{\"token_type\":\"odd\"}", "invalid 'token_type' value \"odd\""},
    {"{\"token_type\":\"batch\"}",
     "'token_type' cannot be 'batch' when role is set to generate non-orphan tokens"},
    {"{\"token_type\":\"batch\",\"orphan\":true}",
     "'token_type' cannot be 'batch' when role is set to generate renewable tokens"},
    {"{\"token_type\":\"batch\",\"orphan\":true,\"renewable\":false,\"period\":60}",
     "'token_type' cannot be 'batch' when role is set to generate periodic tokens"},
    {"{\"token_num_uses\":-1}", "error parsing role fields: 'token_num_uses' cannot be negative"},
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_rows); i++)
        assert_str(rig_must(&r, 400, OP_UPDATE, "auth/token/roles/bad", r.root, bad_rows[i].body).error,
                   bad_rows[i].error);
    rig_must(&r, 404, OP_READ, "auth/token/roles/bad", r.root, NULL);
    assert_str(rig_must(&r, 400, OP_UPDATE, "auth/token/create/none", r.root, NULL).error,
               "unknown role none");
}

static struct error *plant(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    struct json *j;

    (void)rs;
    TRY(json_parse(rq->arena,
                   STR("{\"name\":\"old\",\"period\":3600000000000,\"explicit_max_ttl\":7200000000000,"
                       "\"bound_cidrs\":[\"127.0.0.1\"],\"renewable\":true,\"later\":[1.50]}"),
                   false, &j));
    return view_put_json(&v, STR("roles/old"), j);
}

static struct error *look(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    struct json *j;

    (void)rs;
    TRY(view_get_json(&v, STR("roles/old"), &j));
    assert_str(json_text(rq->arena, json_get(j, STR("later"))), "[1.50]"); /* kept though unknown */
    assert_int_equal(json_get_int(j, STR("token_type")), 2);
    assert_int_equal(json_get_int(j, STR("period")), 0);
    return NULL;
}

/* A role of before 1.2, with names that the token fields have replaced. */
static void test_old_form(void **state)
{
    (void)state;
    assert_ok(active_run(atomic_load(&r.core->active), r.arena, plant, NULL));
    struct answer a = rig_must(&r, 200, OP_READ, "auth/token/roles/old", r.root, NULL);

    assert_int_equal(json_get_int(a.data, STR("token_period")), 3600);
    assert_int_equal(json_get_int(a.data, STR("period")), 3600);
    assert_int_equal(json_get_int(a.data, STR("token_explicit_max_ttl")), 7200);
    assert_str(json_text(r.arena, json_get(a.data, STR("token_bound_cidrs"))), "[\"127.0.0.1\"]");
    assert_str(json_get_str(a.data, STR("token_type")), "default-service");
    rig_must(&r, 204, OP_UPDATE, "auth/token/roles/old", r.root,
             "{\"token_period\":0,\"token_explicit_max_ttl\":0,\"orphan\":true,\"renewable\":false,"
             "\"token_type\":\"batch\"}");
    assert_ok(active_run(atomic_load(&r.core->active), r.arena, look, NULL));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_globs), TEST(test_create), TEST(test_limits),
                                       TEST(test_bad), TEST(test_old_form)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
