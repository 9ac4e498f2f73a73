#include "base/base.h"
#include "check.h"

static void compare(void **state)
{
    (void)state;
    static const struct {
        str a, b;
        int want;
    } cases[] = {
        {STR(""), STR(""), 0},       {STR("a"), STR(""), 1},          {STR("a"), STR("b"), -1},
        {STR("ab"), STR("a"), 1},    {STR("a\xff"), STR("a\x01"), 1}, {STR("a\0b"), STR("a\0c"), -1},
        {STR("abc"), STR("abc"), 0}, {STR("a/"), STR("a-b"), 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int c = str_cmp(cases[i].a, cases[i].b), back = str_cmp(cases[i].b, cases[i].a);
        assert_int_equal((c > 0) - (c < 0), cases[i].want);
        assert_int_equal((back > 0) - (back < 0), -cases[i].want);
        assert_int_equal(str_eq(cases[i].a, cases[i].b), cases[i].want == 0);
    }
    assert_true(str_eq((str){0}, STR("")));
    assert_true(str_eq_nocase(STR("LiSt-1"), STR("list-1")));
    assert_false(str_eq_nocase(STR("list["), STR("list{")));
    assert_false(str_eq_nocase(STR("list"), STR("lis")));
    assert_true(str_starts(STR("sys/mounts"), STR("sys/")));
    assert_true(str_starts(STR("sys"), (str){0}));
    assert_false(str_starts(STR("sy"), STR("sys")));
    assert_true(str_ends(STR("config/"), STR("/")));
    assert_false(str_ends(STR(""), STR("/")));
}

static void search_and_cut(void **state)
{
    (void)state;
    str before, after;
    assert_int_equal(str_index(STR("a/b/c"), '/'), 1);
    assert_int_equal(str_rindex(STR("a/b/c"), '/'), 3);
    assert_int_equal(str_index(STR("abc"), '/'), 3);
    assert_int_equal(str_rindex((str){0}, '/'), 0);
    assert_int_equal(str_find(STR("one two"), STR("two")), 4);
    assert_int_equal(str_find(STR("one two"), STR("six")), 7);
    assert_int_equal(str_find(STR("one"), STR("")), 0);
    assert_str(str_trim(STR(" \t x y \r\n")), "x y");
    assert_str(str_trim(STR(" \v\f ")), "");
    assert_true(str_cut(STR("a=b=c"), '=', &before, &after));
    assert_str(before, "a");
    assert_str(after, "b=c");
    assert_false(str_cut(STR("abc"), '=', &before, &after));
    assert_str(before, "abc");
    assert_str(after, "");
    assert_str(str_slice(STR("abc"), 1, 99), "bc");
    assert_str(str_slice(STR("abc"), 5, 2), "");
    assert_str(str_from((str){0}, 3), "");
}

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_unsigned, is_signed;
        int64_t value;
    } cases[] = {
        {"0", true, true, 0},
        {"007", true, true, 7},
        {"9223372036854775807", true, true, INT64_MAX},
        {"9223372036854775808", true, false, INT64_MIN},
        {"18446744073709551615", true, false, -1},
        {"18446744073709551616", false, false, 0},
        {"-9223372036854775808", false, true, INT64_MIN},
        {"-9223372036854775809", false, false, 0},
        {"-1", false, true, -1},
        {"+1", false, true, 1},
        {"", false, false, 0},
        {"-", false, false, 0},
        {"--1", false, false, 0},
        {" 1", false, false, 0},
        {"1 ", false, false, 0},
        {"0x1", false, false, 0},
        {"1e3", false, false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint64_t u = 99;
        int64_t v = 99;
        str s = str_from_cstr(cases[i].text);
        assert_int_equal(str_parse_u64(s, &u), cases[i].is_unsigned);
        assert_int_equal(u, cases[i].is_unsigned ? (uint64_t)cases[i].value : 99);
        assert_int_equal(str_parse_i64(s, &v), cases[i].is_signed);
        assert_int_equal(v, cases[i].is_signed ? cases[i].value : 99);
    }
}

static void utf8(void **state)
{
    (void)state;
    static const struct {
        str s;
        size_t want;
    } cases[] = {
        {STR(""), 0},
        {STR("a"), 1},
        {STR("\0"), 1},
        {STR("\x7f"), 1},
        {STR("\x80"), 0},
        {STR("\xc3\xa4x"), 2},
        {STR("\xc3"), 0},
        {STR("\xc3\x28"), 0},
        {STR("\xc1\x81"), 0}, /* overlong */
        {STR("\xe2\x82\xac"), 3},
        {STR("\xe0\x9f\xbf"), 0},
        {STR("\xed\xa0\x80"), 0}, /* a surrogate */
        {STR("\xed\x9f\xbf"), 3},
        {STR("\xf0\x9f\x98\x80"), 4},
        {STR("\xf0\x8f\xbf\xbf"), 0},
        {STR("\xf4\x8f\xbf\xbf"), 4},
        {STR("\xf4\x90\x80\x80"), 0},
        {STR("\xf5\x80\x80\x80"), 0},
        {STR("\xff"), 0},
        {STR("\xf0\x9f\x98"), 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(str_utf8_len(cases[i].s), cases[i].want);
}

static void hash(void **state)
{
    (void)state;
    char text[64] = {0};
    uint64_t seen[64];
    for (size_t n = 0; n < 64; n++) { /* zero bytes of each length differ */
        seen[n] = str_hash((str){text, n});
        for (size_t i = 0; i < n; i++)
            assert_true(seen[i] != seen[n]);
    }
    unsigned buckets[16] = {0};
    for (unsigned i = 0; i < 16000; i++) {
        int n = snprintf(text, sizeof(text), "auth/token/%u", i);
        buckets[str_hash((str){text, (size_t)n}) % 16]++;
    }
    for (int i = 0; i < 16; i++)
        assert_in_range(buckets[i], 700, 1300);
    assert_true(str_hash(STR("same")) == str_hash(STR("same")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare), cmocka_unit_test(search_and_cut), cmocka_unit_test(numbers),
        cmocka_unit_test(utf8),    cmocka_unit_test(hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
