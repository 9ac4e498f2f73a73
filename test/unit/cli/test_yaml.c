#include "../base/check.h"
#include "cli/yaml.h"

static const struct {
    const char *json, *want;
} rows[] = {
    {"null", "null\n"},
    {"{}", "{}\n"},
    {"[]", "[]\n"},
    {"\"str\"", "str\n"},
    {"[1,\"2\",{\"z\":true,\"a\":[]}]", "- 1\n- \"2\"\n- a: []\n  z: true\n"},
    {"{\"b\":false,\"l\":[1,[2,3],{\"x\":[4]}],\"m\":{\"k\":{}},\"n\":null}",
     "b: false\nl:\n- 1\n- - 2\n  - 3\n- x:\n  - 4\nm:\n  k: {}\n\"n\": null\n"},
    {"{\"big\":12345678901234567890,\"e\":1e3,\"f\":1.50,\"i\":-5,\"t\":1e30,\"s\":0.000001}",
     "big: 12345678901234567890\ne: 1000\nf: 1.5\ni: -5\ns: 1e-06\nt: 1e+30\n"},
};

static const struct {
    const char *text, *want; /* as the value of a key */
} strings[] = {
    {"", "\"\""},
    {"y", "\"y\""},
    {"yes", "\"yes\""},
    {"NULL", "\"NULL\""},
    {"~", "\"~\""},
    {"1", "\"1\""},
    {"-0x1f", "\"-0x1f\""},
    {"1_000", "\"1_000\""},
    {".5", "\".5\""},
    {"1e5", "\"1e5\""},
    {"190:20:30", "\"190:20:30\""},
    {"2026-11-22", "\"2026-11-22\""},
    {"2026-11-22T05:01:48.01Z", "\"2026-11-22T05:01:48.01Z\""},
    {"1.2.3", "1.2.3"},
    {"1h0m0s", "1h0m0s"},
    {"-", "'-'"},
    {"-a", "-a"},
    {"- a", "'- a'"},
    {"#a", "'#a'"},
    {"a #b", "'a #b'"},
    {"a#b", "a#b"},
    {"a: b", "'a: b'"},
    {"a:b", "a:b"},
    {"[a", "'[a'"},
    {"it's", "it's"},
    {"'q'", "'''q'''"},
    {" lead", "' lead'"},
    {"tail ", "'tail '"},
    {"tab\there", "\"tab\\there\""},
    {"a\nb", "|-\n  a\n  b"},
    {"a\nb\n", "|\n  a\n  b"},
    {"a\n\n", "|+\n  a\n"},
    {"a \nb", "\"a \\nb\""},
    {"---", "'---'"},
    {"grüße", "grüße"},
    {"\x01", "\"\\x01\""},
};

static void values(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        struct json *v;
        struct buf b;
        assert_ok(json_parse(a, str_from_cstr(rows[i].json), false, &v));
        buf_init(&b, a, 65536);
        yaml_write(&b, v);
        assert_str(buf_str(&b), rows[i].want);
        arena_free(a);
    }
}

static void quoting(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(strings); i++) {
        struct arena *a = arena_new(0);
        struct json *v = json_object(a);
        struct buf b;
        json_set_str(a, v, STR("k"), str_from_cstr(strings[i].text));
        buf_init(&b, a, 65536);
        yaml_write(&b, v);
        assert_str(buf_str(&b), arena_cstr(a, arena_fmt(a, "k: %s\n", strings[i].want)));
        arena_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(quoting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
