/* Policies on a whole core: names, texts, the built-in ones; a change counts from the next request on. */
#include "base/fault.h"
#include "rig.h"

static struct rig r;

static int setup(void **state)
{
    (void)state;
    rig_init(&r, "file");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
#ifdef COFFER_FAULTS
    fault_clear();
#endif
    rig_done(&r);
    return 0;
}

static const char *policy_json(const char *text)
{
    struct json *body = json_object(r.arena);

    json_set_str(r.arena, body, STR("policy"), str_from_cstr(text));
    return arena_cstr(r.arena, json_text(r.arena, body));
}

static void put(const char *name, const char *text)
{
    rig_must(&r, 204, OP_UPDATE, arena_fmt(r.arena, "sys/policies/acl/%s", name).p, r.root,
             policy_json(text));
}

static str listed(void)
{
    return json_text(r.arena, rig_must(&r, 200, OP_LIST, "sys/policies/acl", r.root, NULL).data);
}

static str token_with(const char *policies)
{
    const char *body = arena_fmt(r.arena, "{\"policies\":%s,\"no_default_policy\":true}", policies).p;

    return rig_must(&r, 200, OP_UPDATE, "auth/token/create", r.root, body).auth->client_token;
}

static int status_of_list(str token)
{
    return rig_call(&r, OP_LIST, "sys/policies/acl", token, NULL).status;
}

static void test_built_in(void **state)
{
    static const char *const granted[] = {"auth/token/lookup-self", "cubbyhole/*", "{{identity.entity.id}}",
                                          "+/authorize"};

    (void)state;
    assert_str(listed(), "{\"keys\":[\"default\",\"root\"]}");
    str text = json_get_str(rig_must(&r, 200, OP_READ, "sys/policies/acl/default", r.root, NULL).data,
                            STR("policy"));

    for (size_t i = 0; i < COUNT_OF(granted); i++)
        assert_true(str_find(text, str_from_cstr(granted[i])) < text.n);
    rig_must(&r, 200, OP_READ, "sys/policies/acl/control-group", r.root, NULL);
    put("default", "path \"a\" { capabilities = [\"read\"] }");
    rig_restart(&r); /* kept: only the fixed ones are set back */
    text = json_get_str(rig_must(&r, 200, OP_READ, "sys/policies/acl/default", r.root, NULL).data,
                        STR("policy"));
    assert_str(text, "path \"a\" { capabilities = [\"read\"] }");
}

static void test_names(void **state)
{
    (void)state;
    put("b", "# b");
    put("x/y/z", "# xyz");
    put("x/a", "# xa");
    assert_str(listed(), "{\"keys\":[\"b\",\"default\",\"x/a\",\"x/y/z\",\"root\"]}");
    rig_must(&r, 204, OP_DELETE, "sys/policies/acl/X/A", r.root, NULL);
    assert_str(listed(), "{\"keys\":[\"b\",\"default\",\"x/y/z\",\"root\"]}");
    rig_restart(&r);
    assert_str(listed(), "{\"keys\":[\"b\",\"default\",\"x/y/z\",\"root\"]}");
}

/* The compiled set is kept; a change, a new policy and a removed one are seen at once. */
static void test_changes_count_at_once(void **state)
{
    (void)state;
#ifdef COFFER_FAULTS
    assert_true(fault_set(STR("lru_miss=1/4")) && fault_set(STR("commit_group=1/5")) &&
                fault_set(STR("version_changed=1/4")));
#endif
    str token = token_with("[\"one\",\"two\"]");

    for (int round = 0; round < 10; round++) {
        assert_int_equal(status_of_list(token), 403);
        put("one", "path \"sys/policies/acl\" { capabilities = [\"list\"] }");
        for (int i = 0; i < 3; i++)
            assert_int_equal(status_of_list(token), 200);
        put("two", "path \"sys/policies/acl\" { capabilities = [\"deny\"] }");
        assert_int_equal(status_of_list(token), 403);
        put("two", "# nothing");
        assert_int_equal(status_of_list(token), 200);
        rig_must(&r, 204, OP_DELETE, "sys/policies/acl/one", r.root, NULL);
    }
}

static void test_many_sets(void **state)
{
    str tokens[40];

    (void)state;
    put("p7", "path \"sys/policies/acl\" { capabilities = [\"list\"] }");
    for (int i = 0; i < 40; i++)
        tokens[i] = token_with(arena_fmt(r.arena, "[\"p%d\",\"q%d\"]", i % 10, i).p);
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 40; i++)
            assert_int_equal(status_of_list(tokens[i]), i % 10 == 7 ? 200 : 403);
}

/* The storage is file, whose files of "a/" and "a" are one. */
static void test_final_slash(void **state)
{
    static const char *const paths[] = {"sys/policies/acl/default", "sys/policies/acl/response-wrapping",
                                        "sys/policies/acl/one", "sys/policies/password/two"};

    (void)state;
    put("one", "# one");
    rig_must(&r, 204, OP_UPDATE, "sys/policies/password/two", r.root,
             policy_json("length = 20 rule \"charset\" { charset = \"ab\" }"));
    for (size_t i = 0; i < COUNT_OF(paths); i++) {
        const char *longer = arena_fmt(r.arena, "%s/", paths[i]).p;

        rig_must(&r, 404, OP_READ, longer, r.root, NULL);
        rig_must(&r, 204, OP_DELETE, longer, r.root, NULL);
        rig_must(&r, 400, OP_UPDATE, longer, r.root, policy_json("# two"));
    }
    assert_int_equal(status_of_list(token_with("[\"one/\"]")), 403);
    rig_restart(&r);
    for (size_t i = 0; i < COUNT_OF(paths); i++)
        rig_must(&r, 200, OP_READ, paths[i], r.root, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_built_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes_count_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_sets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_final_slash, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
