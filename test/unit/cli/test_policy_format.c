#include "../base/check.h"
#include "cli/policy_format.h"

static const struct {
    const char *in, *want;
} rows[] = {
    {"path \"a/*\" { capabilities=[\"read\",\"list\"] }\n# c\npath \"b\" {\ncapabilities = [ \"sudo\" ]\n}\n",
     "path \"a/*\" {\n  capabilities = [\"read\", \"list\"]\n}\n\n# c\npath \"b\" {\n  capabilities = "
     "[\"sudo\"]\n}\n"},
    {"", ""},
    {"path//a\n\"b\" {}", "path //a\n\"b\" {}\n"}, /* a comment right behind a word */
    {"/*/ one */ path \"x\" {}", "/*/ one */\npath \"x\" {}\n"},
    {"path \"x\" {}", "path \"x\" {}\n"},
    {"path \"x\" {\n capabilities = [\n\"read\", \"list\" ]\n}",
     "path \"x\" {\n  capabilities = [\n    \"read\",\n    \"list\",\n  ]\n}\n"},
    {"path \"x\" {\nmin_wrapping_ttl=\"1s\" # why\nmax_wrapping_ttl   = "
     "90\npolicy=\"read\"\n\n\n\ncapabilities=[\"read\"]\n}",
     "path \"x\" {\n  min_wrapping_ttl = \"1s\" # why\n  max_wrapping_ttl = 90\n  policy           = "
     "\"read\"\n\n"
     "  capabilities = [\"read\"]\n}\n"},
    {"# alone\n\n/* above */\npath \"x\" {\n  # only\n}",
     "# alone\n\n/* above */\npath \"x\" {\n  # only\n}\n"},
    {"path \"x\" {\n allowed_parameters = {\n \"*\" = []\n \"k\"=[\"v\"]\n}\n}",
     "path \"x\" {\n  allowed_parameters = {\n    \"*\" = []\n    \"k\" = [\"v\"]\n  }\n}\n"},
};

static void formats(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        str got;
        str again;
        assert_ok(policy_check(a, str_from_cstr(rows[i].in)));
        assert_ok(policy_format(a, str_from_cstr(rows[i].in), &got));
        assert_str(got, rows[i].want);
        assert_ok(policy_format(a, got, &again));
        assert_str(again, rows[i].want);
        arena_free(a);
    }
}

static void refuses(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    str text;
    assert_error(policy_check(a, STR("path \"s/*\" {\n  capabilities = [\"nope\"]\n}\n")), ERR_BAD_REQUEST,
                 "failed to parse policy: path \"s/*\": invalid capability \"nope\"");
    assert_error(policy_check(a, STR("path \"a\" {\n  capability = [\"read\"]\n}\n")), ERR_BAD_REQUEST,
                 "failed to parse policy: path \"a\": invalid key \"capability\" on line 2");
    assert_error(policy_check(a, STR("path \"x\" {\n")), ERR_BAD_REQUEST,
                 "failed to parse policy: At 2:2: object expected closing RBRACE got: EOF");
    assert_error(policy_check(a, STR("\nfoo = 1\n")), ERR_BAD_REQUEST,
                 "failed to parse policy: invalid key \"foo\" on line 2");
    assert_error(policy_format(a, STR("path \"x\" {\n"), &text), ERR_BAD_REQUEST,
                 "At 2:2: object expected closing RBRACE got: EOF");
    assert_error(policy_format(a, STR("\n{\"path\":{\"a\":{\"policy\":\"read\"}}}"), &text), ERR_BAD_REQUEST,
                 "Error printing result: the policy is JSON, not HCL");
    assert_error(
        policy_format(a, STR("path \"x\" {\n  required_parameters = [<<E\na\nE\n, \"b\"]\n}"), &text),
        ERR_BAD_REQUEST, "Error printing result: the policy would not be the same");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(formats), cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
