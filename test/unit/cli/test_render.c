#include "../base/check.h"
#include "cli/render.h"

static struct json *parsed(struct arena *a, const char *text)
{
    struct json *v;
    assert_ok(json_parse(a, str_from_cstr(text), false, &v));
    return v;
}

static void values_as_go_prints_them(void **state)
{
    (void)state;
    static const struct {
        const char *json, *want;
    } rows[] = {
        {"null", "<nil>"},
        {"true", "true"},
        {"1.50", "1.50"},
        {"12345678901234567890", "12345678901234567890"},
        {"\" a b \"", " a b "},
        {"[]", "[]"},
        {"[1,\"2\",{\"z\":true}]", "[1 2 map[z:true]]"},
        {"{\"b\":1,\"a\":{\"k\":null}}", "map[a:map[k:<nil>] b:1]"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        assert_str(value_text(a, parsed(a, rows[i].json)), rows[i].want);
        arena_free(a);
    }
    struct arena *a = arena_new(0);
    assert_str(strings_quoted(a, parsed(a, "[\"default\",\"p\"]")), "[\"default\" \"p\"]");
    assert_str(strings_quoted(a, NULL), "[]");
    arena_free(a);
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        int64_t seconds;
        const char *want;
    } rows[] = {{0, "0s"},         {1, "1s"},        {60, "1m"},
                {90, "1m30s"},     {3600, "1h"},     {5400, "1h30m"},
                {2764800, "768h"}, {3601, "1h0m1s"}, {INT64_MAX, "9223372036854775807s"}};
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_str(duration_human(a, rows[i].seconds), rows[i].want);
    assert_str(member_text(a, STR("ttl"), parsed(a, "3600")), "1h");
    assert_str(member_text(a, STR("auto_rotate_period"), parsed(a, "0")), "0s");
    assert_str(member_text(a, STR("ttl"), parsed(a, "\"3600\"")), "3600");
    assert_str(member_text(a, STR("ttl"), parsed(a, "1.5")), "1.5");
    assert_str(member_text(a, STR("subtotal"), parsed(a, "3600")), "3600");
    arena_free(a);
}

static void tables(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct table t;
    struct buf b;
    table_init(&t, a, 3);
    table_row(&t, (const str[]){STR("Key"), STR("Value"), STR("More")});
    table_row(&t, (const str[]){STR("long key"), STR(""), STR(" x ")});
    table_row(&t, (const str[]){STR("∞"), STR("a\nb"), STR("")});
    buf_init(&b, a, 4096);
    table_write(&b, &t, true);
    assert_str(buf_str(&b), "Key         Value    More\n"
                            "---         -----    ----\n"
                            "long key    n/a      x\n"
                            "∞           a\nb      n/a\n");
    buf_init(&b, a, 4096);
    t.rows = 1;
    table_write(&b, &t, false);
    assert_str(buf_str(&b), "Key    Value    More\n");
    arena_free(a);
}

static void wraps(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct buf b;
    buf_init(&b, a, 4096);
    wrapped_write(&b, STR("one two three four"), 9, "  ");
    assert_str(buf_str(&b), "  one two\n  three\n  four\n");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_as_go_prints_them),
        cmocka_unit_test(durations),
        cmocka_unit_test(tables),
        cmocka_unit_test(wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
