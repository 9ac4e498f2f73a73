/* What a rule says of the data of a request: values, lists, names in any case, rules of several policies
 * for one path. */
#include "../base/check.h"

#undef fail
#include "core/policy/policy.h"

static const struct {
    const char *policies[2]; /* the members of path "p" in each */
    const char *data;
    bool allowed;
} cases[] = {
    /* nothing said, nothing sent */
    {{""}, "{\"a\":1}", true},
    {{"allowed_parameters = { }"}, "{\"a\":1}", true},
    {{"allowed_parameters = { \"a\" = [] }"}, "{}", true},
    {{"denied_parameters = { \"*\" = [] }"}, "{}", true},
    {{"denied_parameters = { \"*\" = [] }"}, "null", true},
    /* allowed */
    {{"allowed_parameters = { \"a\" = [] }"}, "{\"a\":\"x\"}", true},
    {{"allowed_parameters = { \"a\" = [] }"}, "{\"a\":{\"b\":[1]}}", true},
    {{"allowed_parameters = { \"a\" = [] }"}, "{\"A\":\"x\"}", true},
    {{"allowed_parameters = { \"Ab\" = [] }"}, "{\"aB\":\"x\"}", true},
    {{"allowed_parameters = { \"a\" = [] }"}, "{\"a\":\"x\",\"c\":1}", false},
    {{"allowed_parameters = { \"a\" = [] }"}, "{\"ab\":1}", false},
    {{"allowed_parameters = { \"ab\" = [] }"}, "{\"a\":1}", false},
    {{"allowed_parameters = { \"b\" = [\"one\", \"two*\"] }"}, "{\"b\":\"one\"}", true},
    {{"allowed_parameters = { \"b\" = [\"one\", \"two*\"] }"}, "{\"b\":\"two\"}", true},
    {{"allowed_parameters = { \"b\" = [\"one\", \"two*\"] }"}, "{\"b\":\"two-and\"}", true},
    {{"allowed_parameters = { \"b\" = [\"one\", \"two*\"] }"}, "{\"b\":\"ones\"}", false},
    {{"allowed_parameters = { \"b\" = [\"one\"] }"}, "{\"b\":\"One\"}", false},
    {{"allowed_parameters = { \"*\" = [] }"}, "{\"z\":1}", true},
    {{"allowed_parameters = { \"a\" = [\"x\"] \"*\" = [] }"}, "{\"z\":1,\"a\":\"x\"}", true},
    {{"allowed_parameters = { \"a\" = [\"x\"] \"*\" = [] }"}, "{\"z\":1,\"a\":\"y\"}", false},
    /* patterns */
    {{"allowed_parameters = { \"a\" = [\"*b\"] }"}, "{\"a\":\"ab\"}", true},
    {{"allowed_parameters = { \"a\" = [\"*b\"] }"}, "{\"a\":\"ba\"}", false},
    {{"allowed_parameters = { \"a\" = [\"*b*\"] }"}, "{\"a\":\"abc\"}", true},
    {{"allowed_parameters = { \"a\" = [\"*b*\"] }"}, "{\"a\":\"ac\"}", false},
    {{"allowed_parameters = { \"a\" = [\"**\"] }"}, "{\"a\":\"\"}", true},
    {{"allowed_parameters = { \"a\" = [\"*\"] }"}, "{\"a\":\"x\"}", false},
    {{"allowed_parameters = { \"a\" = [\"*\"] }"}, "{\"a\":\"*\"}", true},
    {{"allowed_parameters = { \"a\" = [\"x*y\"] }"}, "{\"a\":\"xzy\"}", false},
    {{"allowed_parameters = { \"a\" = [\"\"] }"}, "{\"a\":\"\"}", true},
    {{"allowed_parameters = { \"a\" = [\"\"] }"}, "{\"a\":\"x\"}", false},
    /* types */
    {{"allowed_parameters = { \"n\" = [1, true] }"}, "{\"n\":1}", false},
    {{"allowed_parameters = { \"n\" = [1.5] }"}, "{\"n\":1.5}", false},
    {{"allowed_parameters = { \"n\" = [1, true] }"}, "{\"n\":\"1\"}", false},
    {{"allowed_parameters = { \"n\" = [1, true] }"}, "{\"n\":true}", true},
    {{"allowed_parameters = { \"n\" = [1, true] }"}, "{\"n\":false}", false},
    {{"allowed_parameters = { \"n\" = [\"true\"] }"}, "{\"n\":true}", false},
    {{"allowed_parameters = { \"l\" = [\"a\"] }"}, "{\"l\":[\"a\"]}", false},
    {{"allowed_parameters = { \"l\" = [[\"a\", \"b\"]] }"}, "{\"l\":[\"a\",\"b\"]}", true},
    {{"allowed_parameters = { \"l\" = [[\"a\", \"b\"]] }"}, "{\"l\":[\"b\",\"a\"]}", false},
    {{"allowed_parameters = { \"l\" = [[\"a*\"]] }"}, "{\"l\":[\"ab\"]}", false},
    {{"allowed_parameters = { \"l\" = [\"a\"] }"}, "{\"l\":null}", false},
    {{"allowed_parameters = { \"o\" = [{ \"k\" = \"v\" }] }"}, "{\"o\":{\"k\":\"v\"}}", true},
    {{"allowed_parameters = { \"o\" = [{ \"k\" = \"v\" }] }"}, "{\"o\":{\"k\":\"w\"}}", false},
    /* denied */
    {{"denied_parameters = { \"s\" = [] \"b\" = [\"bad*\"] }"}, "{\"a\":1}", true},
    {{"denied_parameters = { \"s\" = [] \"b\" = [\"bad*\"] }"}, "{\"s\":\"\"}", false},
    {{"denied_parameters = { \"s\" = [] \"b\" = [\"bad*\"] }"}, "{\"S\":\"\"}", false},
    {{"denied_parameters = { \"s\" = [] \"b\" = [\"bad*\"] }"}, "{\"b\":\"bad-one\"}", false},
    {{"denied_parameters = { \"s\" = [] \"b\" = [\"bad*\"] }"}, "{\"b\":\"good\"}", true},
    {{"denied_parameters = { \"b\" = [\"bad\"] }"}, "{\"b\":[\"good\",\"bad\"]}", false},
    {{"denied_parameters = { \"b\" = [\"bad\"] }"}, "{\"b\":[\"good\"]}", true},
    {{"denied_parameters = { \"*\" = [\"x\"] }"}, "{\"b\":\"y\"}", false},
    {{"allowed_parameters = { \"a\" = [] }\ndenied_parameters = { \"a\" = [\"x\"] }"},
     "{\"a\":\"x\"}",
     false},
    {{"allowed_parameters = { \"a\" = [] }\ndenied_parameters = { \"a\" = [\"x\"] }"}, "{\"a\":\"y\"}", true},
    /* required: looked for in lower case */
    {{"required_parameters = [\"need\"]"}, "{\"a\":1}", false},
    {{"required_parameters = [\"need\"]"}, "null", false},
    {{"required_parameters = [\"need\"]"}, "{\"need\":null}", true},
    {{"required_parameters = [\"Need\", \"b\"]"}, "{\"need\":1,\"b\":2}", true},
    {{"required_parameters = [\"Need\", \"b\"]"}, "{\"need\":1}", false},
    {{"required_parameters = [\"need\"]"}, "{\"Need\":1}", false},
    {{"required_parameters = []"}, "{\"a\":1}", true},
    /* said twice in one rule: lists add up, also one that took any value */
    {{"allowed_parameters = { \"a\" = [\"x\"] \"a\" = [\"y\"] }"}, "{\"a\":\"x\"}", true},
    {{"allowed_parameters = { \"a\" = [] \"a\" = [\"y\"] }"}, "{\"a\":\"x\"}", false},
    {{"allowed_parameters = { \"a\" = [] }\nallowed_parameters = { \"b\" = [] }"}, "{\"a\":1,\"b\":2}", true},
    {{"required_parameters = [\"a\"]\nrequired_parameters = [\"b\"]"}, "{\"b\":2}", false},
    /* two policies */
    {{"allowed_parameters = { \"a\" = [\"x\"] }", "allowed_parameters = { \"a\" = [\"y\"] }"},
     "{\"a\":\"x\"}",
     true},
    {{"allowed_parameters = { \"a\" = [\"x\"] }", "allowed_parameters = { \"a\" = [\"y\"] }"},
     "{\"a\":\"y\"}",
     true},
    {{"allowed_parameters = { \"a\" = [\"x\"] }", "allowed_parameters = { \"a\" = [\"y\"] }"},
     "{\"a\":\"z\"}",
     false},
    {{"allowed_parameters = { \"a\" = [\"x\"] }", "allowed_parameters = { \"a\" = [] }"},
     "{\"a\":\"z\"}",
     true},
    {{"allowed_parameters = { \"a\" = [] }", "allowed_parameters = { \"a\" = [\"x\"] }"},
     "{\"a\":\"z\"}",
     true},
    {{"allowed_parameters = { \"a\" = [] }", "allowed_parameters = { \"b\" = [] }"},
     "{\"a\":1,\"b\":1}",
     true},
    {{"allowed_parameters = { \"a\" = [] }", ""}, "{\"b\":1}", false}, /* saying nothing adds nothing */
    {{"", "allowed_parameters = { \"a\" = [] }"}, "{\"b\":1}", false},
    {{"denied_parameters = { \"a\" = [\"x\"] }", "denied_parameters = { \"a\" = [] }"},
     "{\"a\":\"z\"}",
     false},
    {{"denied_parameters = { \"a\" = [\"x\"] }", ""}, "{\"a\":\"x\"}", false},
    {{"required_parameters = [\"a\"]", "required_parameters = [\"b\"]"}, "{\"a\":1}", false},
    {{"required_parameters = [\"a\"]", "required_parameters = [\"b\"]"}, "{\"a\":1,\"b\":1}", true},
};

static bool permitted(struct arena *a, const char *const members[2], enum op op, const char *data_text)
{
    const struct policy *set[2];
    struct json *data;
    struct acl_result r;
    size_t n = members[1] ? 2 : 1;

    for (size_t i = 0; i < n; i++) {
        str text = arena_fmt(
            a, "path \"p\" { capabilities = [\"create\", \"read\", \"delete\", \"patch\"]\n%s }", members[i]);
        struct policy *p;

        assert_ok(policy_parse(a, STR("one"), text, &p));
        set[i] = p;
    }
    struct acl *acl = acl_compile(set, n, false, NULL);

    assert_ok(json_parse(a, str_from_cstr(data_text), false, &data));
    acl_decide(acl, op, STR("p"), &r);
    assert_true(r.allowed);
    bool ok = acl_result_allows_data(&r, op, data->type == JSON_OBJECT ? data : NULL);

    acl_unref(acl);
    return ok;
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct arena *a = arena_new(0);

        for (int k = 0; k < 3; k++)
            if (permitted(a, cases[i].policies, (enum op[]){OP_CREATE, OP_READ, OP_PATCH}[k],
                          cases[i].data) != cases[i].allowed) {
                print_error("case %zu: %s with %s\n", i, cases[i].policies[0], cases[i].data);
                assert_true(false);
            }
        arena_free(a);
    }
}

/* Deletes and lists are not asked; what is denied has no parameters to judge; root may send anything. */
static void test_other_operations(void **state)
{
    static const char *const members[2] = {"denied_parameters = { \"*\" = [] }", NULL};
    struct arena *a = arena_new(0);
    struct acl *root = acl_compile(NULL, 0, true, NULL);
    struct acl_result r;
    struct json *data = json_object(a);

    (void)state;
    json_set_str(a, data, STR("x"), STR("y"));
    assert_true(permitted(a, members, OP_DELETE, "{\"a\":1}"));
    assert_false(permitted(a, members, OP_CREATE, "{\"a\":1}"));
    acl_decide(root, OP_CREATE, STR("p"), &r);
    assert_true(r.allowed && acl_result_allows_data(&r, OP_CREATE, data));
    acl_unref(root);
    arena_free(a);
}

/* The text of JSON policies, where objects of objects read as blocks. */
static void test_json_text(void **state)
{
    static const char text[] = "{\"path\":{\"p\":{\"capabilities\":[\"create\"],\"allowed_parameters\":{"
                               "\"a\":[\"x\",true],\"b\":[]},"
                               "\"required_parameters\":[\"b\"]}}}";
    struct arena *a = arena_new(0);
    struct policy *p;

    (void)state;
    assert_ok(policy_parse(a, STR("one"), str_from_cstr(text), &p));
    const struct parameters *v = p->rules[0].parameters;

    assert_non_null(v);
    assert_int_equal(v->n_allowed, 2);
    assert_int_equal(v->allowed[0].n, 2);
    assert_int_equal(v->allowed[1].n, 0);
    assert_int_equal(v->n_denied, 0);
    assert_int_equal(v->n_required, 1);
    arena_free(a);
}

/* Many keys: looked up by halves. */
static void test_many(void **state)
{
    struct arena *a = arena_new(0);
    struct buf b;
    struct policy *p;
    struct json *data = json_object(a);

    (void)state;
    buf_init(&b, a, 1 << 20);
    buf_put_str(&b, STR("path \"p\" { capabilities = [\"create\"] allowed_parameters = {"));
    for (int i = 0; i < 500; i++) {
        str key = arena_fmt(a, "Key%d", i * 7919 % 500);

        buf_put_fmt(&b, " \"%.*s\" = [\"v%d\"]\n", PSTR(key), i);
        json_set(a, data, key, json_string(a, arena_fmt(a, "v%d", i)));
    }
    buf_put_str(&b, STR("} }"));
    assert_ok(policy_parse(a, STR("one"), buf_str(&b), &p));
    assert_true(parameters_permit(p->rules[0].parameters, data));
    json_set_str(a, data, STR("key500"), STR("x"));
    assert_false(parameters_permit(p->rules[0].parameters, data));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_other_operations),
        cmocka_unit_test(test_json_text),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
