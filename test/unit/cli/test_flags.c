#include "../base/check.h"
#include "base/clock.h"
#include "cli/flags.h"

static const struct flag own[] = {
    {"name", FLAG_STRING, .alias = "n", .setting = "NAME"},
    {"yes", FLAG_BOOL, .setting = "YES"},
    {"count", FLAG_INT, .initial = "7"},
    {"ttl", FLAG_DURATION, .setting = "TTL"},
    {"policy", FLAG_STRINGS},
    {"versions", FLAG_COMMAS},
    {"meta", FLAG_PAIRS},
    {0},
};
static const struct flag *const sets[FLAG_SETS_MAX] = {own};

static void setup(struct flags *f, struct arena *a, const char *const *vars)
{
    static const char *const none[] = {NULL};
    struct environment e = {STR("coffer"), vars ? vars : none};
    flags_init(f, a, &e, sets);
}

static void test_values(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct flags f;
    size_t used;
    setup(&f, a, NULL);
    const str args[] = {STR("-n"),          STR("x"),           STR("--yes"),       STR("-ttl=1h30m"),
                        STR("-policy= a "), STR("-policy"),     STR("b,c"),         STR("-versions"),
                        STR("1,2"),         STR("-versions=3"), STR("-meta=k=v=w"), STR("-meta"),
                        STR("k=z"),         STR("-count=-3"),   STR("path"),        STR("-yes=maybe")};
    assert_null(flags_parse(&f, a, args, COUNT_OF(args), &used));
    assert_int_equal(used, 14);
    assert_true(str_eq(flag_text(&f, "name"), STR("x")));
    assert_true(flag_bool(&f, "yes"));
    assert_true(flag_number(&f, "ttl") == 5400 * NS_PER_S);
    assert_true(flag_number(&f, "count") == -3);
    const struct flag_value *policy = flag_value(&f, "policy");
    assert_int_equal(policy->n, 2);
    assert_true(str_eq(policy->items[0], STR("a")));
    assert_true(str_eq(policy->items[1], STR("b,c")));
    assert_int_equal(flag_value(&f, "versions")->n, 3);
    assert_int_equal(flag_value(&f, "meta")->pairs->n, 1);
    assert_true(str_eq(json_get_str(flag_value(&f, "meta")->pairs, STR("k")), STR("z")));
    assert_null(flag_find(&f, "format"));
    arena_free(a);
}

static void test_stops(void **state)
{
    (void)state;
    const struct {
        str args[3];
        size_t n, used;
    } rows[] = {
        {{STR("-yes"), STR("--"), STR("-n")}, 3, 2},
        {{STR("-"), STR("-yes")}, 2, 0},
        {{STR("a"), STR("-yes")}, 2, 0},
        {{STR("-yes=0"), STR("-yes"), STR("a")}, 3, 2},
        {{STR("")}, 1, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        struct flags f;
        size_t used;
        setup(&f, a, NULL);
        assert_null(flags_parse(&f, a, rows[i].args, rows[i].n, &used));
        assert_int_equal(used, rows[i].used);
        arena_free(a);
    }
}

static void test_errors(void **state)
{
    (void)state;
    const struct {
        const char *arg, *text;
    } rows[] = {
        {"-bogus", "flag provided but not defined: -bogus"},
        {"--bogus=1", "flag provided but not defined: -bogus"},
        {"---x", "bad flag syntax: ---x"},
        {"-=x", "bad flag syntax: -=x"},
        {"-name", "flag needs an argument: -name"},
        {"-yes=maybe",
         "invalid boolean value \"maybe\" for -yes: strconv.ParseBool: parsing \"maybe\": invalid syntax"},
        {"-count=x", "invalid value \"x\" for flag -count: strconv.ParseInt: parsing \"x\": invalid syntax"},
        {"-count=-", "invalid value \"-\" for flag -count: strconv.ParseInt: parsing \"-\": invalid syntax"},
        {"-count=99999999999999999999",
         "invalid value \"99999999999999999999\" for flag -count: strconv.ParseInt: parsing "
         "\"99999999999999999999\": value out of range"},
        {"-ttl=bogus", "invalid value \"bogus\" for flag -ttl: time: invalid duration \"bogus\""},
        {"-meta=bad", "invalid value \"bad\" for flag -meta: missing = in KV pair: \"bad\""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        struct flags f;
        size_t used;
        setup(&f, a, NULL);
        str arg = str_from_cstr(rows[i].arg);
        struct error *e = flags_parse(&f, a, &arg, 1, &used);
        assert_non_null(e);
        assert_string_equal(arena_cstr(a, e->text), rows[i].text);
        arena_free(a);
    }
}

static void test_environment(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct flags f;
    static const char *const vars[] = {"VAULT_NAME=env", "COFFER_YES=nonsense", "BAO_TTL=system", NULL};
    setup(&f, a, vars);
    assert_true(str_eq(flag_text(&f, "name"), STR("env")));
    assert_false(flag_given(&f, "name"));
    assert_false(flag_bool(&f, "yes"));
    assert_true(flag_number(&f, "ttl") == -NS_PER_S);
    assert_true(flag_number(&f, "count") == 7);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
