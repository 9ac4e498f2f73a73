/* Policy texts: what they compile to, and the API's words for each way they can be wrong. */
#include "../base/check.h"

#undef fail
#include "core/policy/policy.h"

#define P "failed to parse policy: "

static const struct {
    const char *text, *error;
} bad[] = {
    {"path \"a\" { capabilities = [\"fly\"] }", P "path \"a\": invalid capability \"fly\""},
    {"path \"/a\" { capabilities = [\"fly\"] }", P "path \"/a\": invalid capability \"fly\""},
    {"path \"a\" { capabilities = [5] }", P "path \"a\": invalid capability \"5\""},
    {"path \"a\" { capabilities = [\"read\", \"Read\"] }", P "path \"a\": invalid capability \"Read\""},
    {"path \"a\" { policy = \"fly\" }", P "path \"a\": invalid policy \"fly\""},
    {"path \"a\" { policy = 5 }", P "path \"a\": invalid policy \"5\""},
    {"path \"a\" { capabilities = \"read\" }", P "path \"a\": At 1:27: unknown slice type: *ast.LiteralType"},
    {"path \"a\" { capabilities = [true] }",
     P "path \"a\": At 1:28: root.Capabilities[0]: unknown type for string *ast.LiteralType"},
    {"path \"a\" { capabilities = [[\"read\"]] }",
     P "path \"a\": At 1:28: root.Capabilities[0]: unknown type for string *ast.ListType"},
    {"path \"a\" { capabilities = [{}] }",
     P "path \"a\": At 1:28: root.Capabilities[0]: unknown type for string *ast.ObjectType"},
    {"path \"a\" { policy = [\"read\"] }",
     P "path \"a\": At 1:21: root.Policy: unknown type for string *ast.ListType"},
    {"path \"a\" { policy = true }",
     P "path \"a\": At 1:21: root.Policy: unknown type for string *ast.LiteralType"},
    {"path \"a\" { policy { } }", P "path \"a\": At -: root.Policy: unknown type for string *ast.ObjectList"},
    {"path \"a\" { policy = \"read\" policy { } }",
     P "path \"a\": At -: root.Policy: unknown type for string *ast.ObjectList"},
    {"path \"a\" { allowed_parameters = \"x\" }",
     P "path \"a\": At 1:33: root.allowed_parameters: not an object type for map (*ast.LiteralType)"},
    {"path \"a\" { denied_parameters = [\"x\"] }",
     P "path \"a\": At 1:32: root.denied_parameters: not an object type for map (*ast.ListType)"},
    {"path \"a\" { allowed_parameters { \"a\" = \"x\" } }",
     P "path \"a\": At 1:39: unknown slice type: *ast.LiteralType"},
    {"path \"a\" { required_parameters = \"x\" }",
     P "path \"a\": At 1:34: unknown slice type: *ast.LiteralType"},
    {"path \"a\" { mfa_methods = \"x\" }", P "path \"a\": At 1:26: unknown slice type: *ast.LiteralType"},
    {"path \"a\" { min_wrapping_ttl = [\"x\"] }",
     P "error parsing min_wrapping_ttl: could not parse duration from input"},
    {"path \"a\" { min_wrapping_ttl = true }",
     P "error parsing min_wrapping_ttl: could not parse duration from input"},
    {"path \"a\" { min_wrapping_ttl { } }",
     P "error parsing min_wrapping_ttl: could not parse duration from input"},
    {"path \"a\" { min_wrapping_ttl = \"x\" }",
     P "error parsing min_wrapping_ttl: time: invalid duration \"x\""},
    {"path \"a\" { max_wrapping_ttl = \"1x\" }",
     P "error parsing max_wrapping_ttl: time: unknown unit \"x\" in duration \"1x\""},
    {"path \"a\" { min_wrapping_ttl = \"1h\" max_wrapping_ttl = \"1m\" }",
     P "max_wrapping_ttl cannot be less than min_wrapping_ttl"},
    {"path \"a\" { control_group { } }", P "no control group factors provided"},
    {"path \"a\" { control_group { ttl = \"x\" } }",
     P "error parsing control group max ttl: time: invalid duration \"x\""},
    {"path \"a\" { control_group { factor \"f\" { } } }", P "no control_group identity factor provided"},
    {"path \"a\" { control_group { factor \"f\" { identity { group_names = [\"g\"] } } } }",
     P "must provide more than one identity group and approvals > 0"},
    {"path \"a\" { control_group { factor \"f\" { identity { approvals = 1 } } } }",
     P "must provide more than one identity group and approvals > 0"},
    {"path \"a\" { foo = 1 }", P "1 error occurred:\n\t* path \"a\": invalid key \"foo\" on line 1\n\n"},
    {"path \"a\" { foo = 1\n bar = 2 }", P "2 errors occurred:\n\t* path \"a\": invalid key \"foo\" on line "
                                           "1\n\t* path \"a\": invalid key \"bar\" on line 2\n\n"},
    {"path \"a\" { Capabilities = [\"deny\"] }",
     P "1 error occurred:\n\t* path \"a\": invalid key \"Capabilities\" on line 1\n\n"},
    {"paht \"a\" { }", P "1 error occurred:\n\t* invalid key \"paht\" on line 0\n\n"},
    {"foo = 1\nbar = 2",
     P "2 errors occurred:\n\t* invalid key \"foo\" on line 1\n\t* invalid key \"bar\" on line 2\n\n"},
    {"path = \"a\"", P "path \"path\": cannot check HCL keys of type *ast.LiteralType"},
    {"path = [\"a\"]", P "path \"path\": cannot check HCL keys of type *ast.ListType"},
    {"path \"a+*\" { }", P "path \"a+*\": invalid use of wildcards ('+*' is forbidden)"},
    {"path \"/a/+*\" { }", P "path \"a/+*\": invalid use of wildcards ('+*' is forbidden)"},
    {"path \"a{{\" { }", P "failed to validate policy templating: unbalanced templating characters"},
    {"path \"a}}\" { }", P "failed to validate policy templating: unbalanced templating characters"},
    {"path \"a}}{{b\" { }", P "failed to validate policy templating: unbalanced templating characters"},
    {"path \"{{a {{b}}\" { }", P "failed to validate policy templating: unbalanced templating characters"},
    {"path \"{{a}}}}\" { }", P "failed to validate policy templating: unbalanced templating characters"},
    {"path \"a\" = { }", P "At 1:10: nested object expected: LBRACE got: ASSIGN"},
    {"name { }", P "At -: root.name: unknown type for string *ast.ObjectList"},
    {"name = [\"a\"]", P "At 1:8: root.name: unknown type for string *ast.ListType"},
    {"{\"path\":{\"a\":{\"foo\":1}}}",
     P "1 error occurred:\n\t* path \"a\": invalid key \"foo\" on line 1\n\n"},
    {"{\"foo\":{\"a\":{}}}", P "1 error occurred:\n\t* invalid key \"foo\" on line 1\n\n"},
    {"{\"path\":[{\"a\":{\"capabilities\":[\"fly\"]}}]}", P "path \"a\": invalid capability \"fly\""},
    {"{\"path\":\"a\"}", P "path \"path\": cannot check HCL keys of type *ast.LiteralType"},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct arena *a = arena_new(0);
        struct policy *p = NULL;

        assert_error(policy_parse(a, STR("p"), str_from_cstr(bad[i].text), &p), ERR_BAD_REQUEST,
                     bad[i].error);
        assert_null(p);
        arena_free(a);
    }
}

enum {
    C = CAP_CREATE,
    R = CAP_READ,
    U = CAP_UPDATE,
    D = CAP_DELETE,
    L = CAP_LIST,
    S = CAP_SUDO,
    X = CAP_DENY,
    H = CAP_PATCH
};

static const struct {
    const char *text, *path; /* of the last rule; NULL: no rules */
    unsigned capabilities;
    bool prefix, segments, templated;
} good[] = {
    {"# only words", NULL, 0, false, false, false},
    {"{}", NULL, 0, false, false, false},
    {"name = \"x\"", NULL, 0, false, false, false},
    {"name = 5", NULL, 0, false, false, false},
    {"path \"a\" { }", "a", 0, false, false, false},
    {"path { }", "path", 0, false, false, false},
    {"path \"a\" \"b\" { capabilities = [\"read\"] }", "a", R, false, false, false},
    {"path \"\" { capabilities = [\"read\"] }", "", R, false, false, false},
    {"path \"/a/*\" { capabilities = [\"read\"] }", "a/", R, true, false, false},
    {"path \"*\" { capabilities = [\"read\"] }", "", R, true, false, false},
    {"path \"a*b\" { capabilities = [\"read\"] }", "a*b", R, false, false, false},
    {"path \"+\" { capabilities = [\"read\"] }", "+", R, false, true, false},
    {"path \"+/b\" { capabilities = [\"read\"] }", "+/b", R, false, true, false},
    {"path \"a/+/b*\" { capabilities = [\"read\"] }", "a/+/b", R, true, true, false},
    {"path \"a+b\" { capabilities = [\"read\"] }", "a+b", R, false, false, false},
    {"path \"a\" { capabilities = [\"create\",\"read\",\"update\",\"delete\",\"list\",\"sudo\",\"patch\"] }",
     "a", C | R | U | D | L | S | H, false, false, false},
    {"path \"a\" { capabilities = [\"read\",\"deny\"] }", "a", X, false, false, false},
    {"path \"a\" { capabilities = [\"deny\",\"fly\"] }", "a", X, false, false, false},
    {"path \"a\" { capabilities = [\"deny\"] min_wrapping_ttl = \"x\" }", "a", X, false, false, false},
    {"path \"a\" { capabilities = [\"read\"] capabilities = [\"list\"] }", "a", R | L, false, false, false},
    {"path \"a\" { capabilities = [\"read\"] capabilities = [\"deny\"] }", "a", X, false, false, false},
    {"path \"a\" { capabilities { } }", "a", 0, false, false, false},
    {"path \"a\" { policy = \"deny\" }", "a", X, false, false, false},
    {"path \"a\" { policy = \"deny\" capabilities = [\"fly\"] }", "a", X, false, false, false},
    {"path \"a\" { policy = \"read\" }", "a", R | L, false, false, false},
    {"path \"a\" { policy = \"write\" }", "a", C | R | U | D | L, false, false, false},
    {"path \"a\" { policy = \"sudo\" }", "a", C | R | U | D | L | S, false, false, false},
    {"path \"a\" { policy = \"read\" capabilities = [\"patch\"] }", "a", R | L | H, false, false, false},
    {"path \"a\" { policy = \"fly\" policy = \"read\" }", "a", R | L, false, false, false},
    {"path \"a\" { policy = \"\" }", "a", 0, false, false, false},
    {"path \"{{identity.entity.id}}/x\" { }", "{{identity.entity.id}}/x", 0, false, false, true},
    {"path \"a/{{x}}/{{y}}*\" { capabilities = [\"read\"] }", "a/{{x}}/{{y}}", R, true, false, true},
    {"path \"a\" { comment = { x = 1 } }", "a", 0, false, false, false},
    {"path \"a\" { denied_parameters { \"a\" = [\"x\", 1, true] \"B\" = [] } required_parameters = [\"q\"] "
     "mfa_methods = [\"m\"] }",
     "a", 0, false, false, false},
    {"path \"a\" { control_group { ttl = \"1h\" factor \"f\" { identity { group_names = [\"g\"] approvals = "
     "1 } } } }",
     "a", 0, false, false, false},
    {"{\"path\":{\"a/*\":{\"capabilities\":[\"create\"]}}}", "a/", C, true, false, false},
    {"{\"path\":[{\"a\":{\"capabilities\":[\"create\"]}},{\"b\":{\"policy\":\"read\"}}]}", "b", R | L, false,
     false, false},
    {"{\"path\":{\"a\":{\"policy\":null}}}", "a", 0, false, false, false},
    {"{\"path\":{\"a\":{\"min_wrapping_ttl\":5}}}", "a", 0, false, false, false},
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct arena *a = arena_new(0);
        struct policy *p;

        assert_ok(policy_parse(a, STR("p"), str_from_cstr(good[i].text), &p));
        assert_str(p->raw, good[i].text);
        assert_int_equal(p->templated, good[i].templated);
        if (!good[i].path) {
            assert_int_equal(p->n, 0);
        } else {
            const struct policy_rule *r = &p->rules[p->n - 1];

            assert_str(r->path, good[i].path);
            assert_int_equal(r->capabilities, good[i].capabilities);
            assert_int_equal(r->prefix, good[i].prefix);
            assert_int_equal(r->segments, good[i].segments);
            assert_int_equal(r->templated, good[i].templated);
        }
        arena_free(a);
    }
}

static void test_wrapping_ttl(void **state)
{
    struct arena *a = arena_new(0);
    struct policy *p;

    (void)state;
    assert_ok(policy_parse(
        a, STR("p"),
        STR("path \"a\" { capabilities = [\"read\"] min_wrapping_ttl = 1.5 max_wrapping_ttl = \"2m\" }"),
        &p));
    assert_int_equal(p->rules[0].min_wrapping_ttl_ns, INT64_C(1000000000));
    assert_int_equal(p->rules[0].max_wrapping_ttl_ns, INT64_C(120000000000));
    arena_free(a);
}

/* Many mistakes make a text of bounded length. */
static void test_many_errors(void **state)
{
    struct arena *a = arena_new(0);
    str text = {0};
    struct policy *p;

    (void)state;
    for (int i = 0; i < 15; i++)
        text = i ? arena_join(a, text, text) : STR("q=1\n");
    const struct error *e = policy_parse(a, STR("p"), text, &p);

    assert_non_null(e);
    assert_true(str_starts(e->text, STR(P "16384 errors occurred:\n\t* invalid key \"q\" on line 1\n")));
    assert_true(e->text.n < 100000);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_wrapping_ttl),
        cmocka_unit_test(test_many_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
