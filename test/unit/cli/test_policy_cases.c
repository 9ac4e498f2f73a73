/* The lines of a file of cases, and what is wrong with them. */
#include "../base/check.h"
#include "cli/policy_cases.h"

static void cases(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct policy_case *v;
    size_t n;
    assert_ok(policy_cases_parse(
        a, STR("# head\n\nread secret/a allow\r\n  update \t a path with blanks  deny"), &v, &n));
    assert_int_equal(n, 2);
    assert_int_equal(v[0].line, 3);
    assert_str(v[0].operation, "read");
    assert_str(v[0].path, "secret/a");
    assert_true(v[0].allow);
    assert_int_equal(v[1].line, 4);
    assert_str(v[1].path, "a path with blanks");
    assert_false(v[1].allow);
    assert_ok(policy_cases_parse(a, STR(""), &v, &n));
    assert_int_equal(n, 0);
    arena_free(a);
}

static void refused(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"read", "line 1: a case is OPERATION PATH allow|deny"},
        {"read allow", "line 1: a case is OPERATION PATH allow|deny"},
        {"read  allow", "line 1: a case is OPERATION PATH allow|deny"},
        {"\nread a maybe", "line 2: \"maybe\" is neither allow nor deny"},
    };
    struct arena *a = arena_new(0);
    struct policy_case *v;
    size_t n;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_error(policy_cases_parse(a, str_from_cstr(rows[i][0]), &v, &n), ERR_BAD_REQUEST, rows[i][1]);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(cases), cmocka_unit_test(refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
