#include "base/json.h"
#include "check.h"

/* Parses and writes again. */
static str round_trip(struct arena *a, str text)
{
    struct json *v = NULL;
    assert_ok(json_parse(a, text, false, &v));
    return json_text(a, v);
}

static void round_trips(void **state)
{
    (void)state;
    static const struct {
        str in;
        const char *want;
    } cases[] = {
        {STR(" null "), "null"},
        {STR("[true,false , null]"), "[true,false,null]"},
        {STR("[12345678901234567890,1.10,1e3,-0,0.5E-7]"), "[12345678901234567890,1.10,1e3,-0,0.5E-7]"},
        {STR("{\"b\":1,\"a\":{\"d\":[],\"c\":{}}}"), "{\"a\":{\"c\":{},\"d\":[]},\"b\":1}"},
        {STR("{\"a\":1,\"b\":2,\"a\":3}"), "{\"a\":3,\"b\":2}"},
        {STR("{\"a\":1,\"a\":2,\"a\":3}"), "{\"a\":3}"},
        {STR("\"a\\u0041\\n\\/\\b\\f\\t\\r\\\"\\\\\""), "\"aA\\n/\\u0008\\u000c\\t\\r\\\"\\\\\""},
        {STR("\"\\u00e4\\u20ac\\ud83d\\ude00\""), "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {STR("\"\\ud800x\\udc00\\ud800\\u0041\""), "\"\xef\xbf\xbdx\xef\xbf\xbd\xef\xbf\xbd"
                                                   "A\""},
        {STR("\"\\ud800\\ud83d\\ude00\""), "\"\xef\xbf\xbd\xf0\x9f\x98\x80\""},
        {STR("\"\xff\xc3\xe4\xb8\""), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {STR("\"\xff\\n\""), "\"\xef\xbf\xbd\\n\""},
        {STR("\"<a>&\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa\x7f\\u0000\\u001f\""),
         "\"\\u003ca\\u003e\\u0026\\u2028\\u2029\xe2\x80\xaa\x7f\\u0000\\u001f\""},
        {STR("\"\""), "\"\""},
        {STR("{\"\":\"\"}"), "{\"\":\"\"}"},
    };
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_str(round_trip(a, cases[i].in), cases[i].want);
    arena_free(a);
}

/* The texts of Go's encoding/json; the second column is its Decoder's where that differs. */
static void errors(void **state)
{
    (void)state;
    static const struct {
        str in;
        const char *unmarshal, *decoder;
    } cases[] = {
        {STR(""), "unexpected end of JSON input", "EOF"},
        {STR("  \n"), "unexpected end of JSON input", "EOF"},
        {STR("{"), "unexpected end of JSON input", "unexpected EOF"},
        {STR("{\"a\":"), "unexpected end of JSON input", "unexpected EOF"},
        {STR("[1"), "unexpected end of JSON input", "unexpected EOF"},
        {STR("\"abc"), "unexpected end of JSON input", "unexpected EOF"},
        {STR("tru"), "unexpected end of JSON input", "unexpected EOF"},
        {STR("-"), "unexpected end of JSON input", "unexpected EOF"},
        {STR("1."), "unexpected end of JSON input", "unexpected EOF"},
        {STR("not json"), "invalid character 'o' in literal null (expecting 'u')", NULL},
        {STR("j"), "invalid character 'j' looking for beginning of value", NULL},
        {STR("'"), "invalid character '\\'' looking for beginning of value", NULL},
        {STR("\\"), "invalid character '\\\\' looking for beginning of value", NULL},
        {STR("\x01"), "invalid character '\\x01' looking for beginning of value", NULL},
        {STR("\xe4"), "invalid character '\xc3\xa4' looking for beginning of value", NULL},
        {STR("\x80"), "invalid character '\\u0080' looking for beginning of value", NULL},
        {STR("\x7f"), "invalid character '\\x7f' looking for beginning of value", NULL},
        {STR("{]"), "invalid character ']' looking for beginning of object key string", NULL},
        {STR("{o}"), "invalid character 'o' looking for beginning of object key string", NULL},
        {STR("{\"a\" 1}"), "invalid character '1' after object key", NULL},
        {STR("{\"a\":1 \"b\"}"), "invalid character '\"' after object key:value pair", NULL},
        {STR("{\"a\":1,}"), "invalid character '}' looking for beginning of object key string", NULL},
        {STR("[1 2]"), "invalid character '2' after array element", NULL},
        {STR("[1,]"), "invalid character ']' looking for beginning of value", NULL},
        {STR("[01]"), "invalid character '1' after array element", NULL},
        {STR("+1"), "invalid character '+' looking for beginning of value", NULL},
        {STR("-a"), "invalid character 'a' in numeric literal", NULL},
        {STR("1.a"), "invalid character 'a' after decimal point in numeric literal", NULL},
        {STR("1ex"), "invalid character 'x' in exponent of numeric literal", NULL},
        {STR("\"\n\""), "invalid character '\\n' in string literal", NULL},
        {STR("\"\\x\""), "invalid character 'x' in string escape code", NULL},
        {STR("\"\\u12g4\""), "invalid character 'g' in \\u hexadecimal character escape", NULL},
        {STR("nul1"), "invalid character '1' in literal null (expecting 'l')", NULL},
        {STR("faLse"), "invalid character 'L' in literal false (expecting 'l')", NULL},
    };
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json *v = NULL;
        assert_error(json_parse(a, cases[i].in, false, &v), ERR_BAD_REQUEST, cases[i].unmarshal);
        assert_null(v);
        assert_error(json_parse(a, cases[i].in, true, &v), ERR_BAD_REQUEST,
                     cases[i].decoder ? cases[i].decoder : cases[i].unmarshal);
    }
    struct json *v = NULL;
    assert_error(json_parse(a, STR("{} x"), false, &v), ERR_BAD_REQUEST,
                 "invalid character 'x' after top-level value");
    assert_ok(json_parse(a, STR("{} x"), true, &v));
    assert_ok(json_parse(a, STR("1 2"), true, &v));
    assert_str(v->text, "1");
    arena_free(a);
}

static void limits(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct json *v = NULL;
    char deep[2 * JSON_DEPTH_MAX + 2];
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_error(json_parse(a, (str){deep, sizeof(deep)}, false, &v), ERR_TOO_LARGE, "exceeded max depth");
    assert_ok(json_parse(a, (str){deep + 1, sizeof(deep) - 2}, false, &v));
    struct json_limits few = {.depth_max = 2, .nodes_max = 4};
    assert_ok(json_parse_limited(a, STR("[1,2,3]"), false, few, &v));
    assert_error(json_parse_limited(a, STR("[1,2,3,4]"), false, few, &v), ERR_TOO_LARGE,
                 "JSON input too large");
    arena_reset(a);
    arena_set_limit(a, 1000);
    struct buf b;
    struct arena *text = arena_new(0);
    buf_init(&b, text, 100000);
    buf_put_byte(&b, '[');
    for (int i = 0; i < 1000; i++)
        buf_put_str(&b, STR("0,"));
    buf_put_str(&b, STR("0]"));
    assert_error(json_parse(a, buf_str(&b), false, &v), ERR_TOO_LARGE, "JSON input too large");
    arena_free(text);
    arena_free(a);
}

static void strings_point_into_the_text(void **state)
{
    (void)state;
    static const char text[] = "{\"key\":\"value\",\"e\":\"\\n\"}";
    struct arena *a = arena_new(0);
    struct json *v = NULL;
    assert_ok(json_parse(a, (str){text, sizeof(text) - 1}, false, &v));
    assert_ptr_equal(json_get_str(v, STR("key")).p, text + 8);
    assert_str(json_get_str(v, STR("e")), "\n");
    arena_free(a);
}

static void many_members(void **state)
{
    (void)state;
    enum { MEMBERS = 5000 };
    struct arena *a = arena_new(0);
    struct buf b;
    buf_init(&b, a, 1 << 20);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < MEMBERS; i++)
            buf_put_fmt(&b, "%s\"k%d\":%d", b.n ? "," : "{", i * 7919 % MEMBERS, i + round * MEMBERS);
    buf_put_byte(&b, '}');
    struct json *v = NULL;
    assert_ok(json_parse(a, buf_str(&b), false, &v));
    assert_int_equal(v->n, MEMBERS);
    assert_str(v->members[1].key, "k2919"); /* in the place of the first */
    assert_str(v->members[1].value->text, "5001");
    str sorted = json_text(a, v);
    assert_true(str_starts(sorted, STR("{\"k0\":5000,\"k1\":")));
    assert_str(v->members[1].key, "k2919"); /* writing left the tree alone */
    struct json *again = NULL;
    assert_ok(json_parse(a, sorted, false, &again));
    for (uint32_t i = 1; i < again->n; i++)
        assert_true(str_cmp(again->members[i - 1].key, again->members[i].key) < 0);
    assert_true(json_eq(v, again));
    arena_free(a);
}

static void building(void **state)
{
    (void)state;
    static const str list[] = {STR("x"), STR("y")};
    struct arena *a = arena_new(0);
    struct json *o = json_object(a), *ordered = json_object_ordered(a);
    json_set_str(a, o, STR("s"), STR("text"));
    json_set_int(a, o, STR("i"), INT64_MIN);
    json_set_bool(a, o, STR("b"), true);
    json_set(a, o, STR("l"), json_strings(a, list, 2));
    json_set(a, o, STR("n"), json_null(a));
    json_set(a, o, STR("d"), json_number(a, STR("1.50")));
    json_set(a, o, STR("none"), NULL);
    json_set_int(a, o, STR("i"), 5);
    json_unset(o, STR("none"));
    json_unset(o, STR("not there"));
    assert_str(json_text(a, o),
               "{\"b\":true,\"d\":1.50,\"i\":5,\"l\":[\"x\",\"y\"],\"n\":null,\"s\":\"text\"}");
    json_add(a, ordered, STR("z"), json_bool(a, false));
    json_add(a, ordered, STR("a"), json_copy(a, o));
    json_unset(o, STR("s"));
    assert_true(str_starts(json_text(a, ordered), STR("{\"z\":false,\"a\":{\"b\":true")));
    assert_true(str_find(json_text(a, ordered), STR("\"s\":\"text\"")) < json_text(a, ordered).n);
    assert_str(json_text(a, NULL), "null");
    for (int i = 0; i < 100; i++)
        json_append(a, json_get(o, STR("l")), json_int(a, i));
    assert_int_equal(json_get(o, STR("l"))->n, 102);
    arena_free(a);
}

static void reading(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct json *v = NULL;
    assert_ok(json_parse(
        a,
        STR("{\"TTL\":\"5\",\"ttl\":3,\"f\":-2.9,\"e\":1e3,\"big\":1e300,\"t\":true,\"n\":null,\"s\":\"x\","
            "\"long\":12345678901234567890,\"Mixed\":1}"),
        false, &v));
    assert_int_equal(json_get_int(v, STR("ttl")), 3);
    assert_int_equal(json_get_int(v, STR("TTL")), 5);
    assert_int_equal(json_get_int(v, STR("f")), -2);
    assert_int_equal(json_get_int(v, STR("e")), 1000);
    assert_int_equal(json_get_int(v, STR("big")), 0);
    assert_int_equal(json_get_int(v, STR("long")), 0);
    assert_int_equal(json_get_int(v, STR("s")), 0);
    assert_int_equal(json_get_int(v, STR("absent")), 0);
    assert_true(json_get_bool(v, STR("t")));
    assert_false(json_get_bool(v, STR("s")));
    assert_str(json_get_str(v, STR("s")), "x");
    assert_str(json_get_str(v, STR("t")), "");
    assert_true(json_is_null(json_get(v, STR("n"))));
    assert_true(json_is_null(json_get(v, STR("absent"))));
    assert_null(json_get(NULL, STR("x")));
    assert_null(json_get(json_get(v, STR("s")), STR("x")));
    assert_null(json_get(v, STR("mixed")));
    assert_non_null(json_get_nocase(v, STR("mixed")));
    assert_ptr_equal(json_get_nocase(v, STR("ttl")), json_get(v, STR("ttl")));
    assert_null(json_get_nocase(v, STR("absent")));
    arena_free(a);
}

static void equality(void **state)
{
    (void)state;
    static const struct {
        const char *x, *y;
        bool eq;
    } cases[] = {
        {"{\"a\":1,\"b\":[2]}", "{\"b\":[2],\"a\":1}", true},
        {"{\"a\":1}", "{\"a\":1,\"b\":2}", false},
        {"{\"a\":1}", "{\"b\":1}", false},
        {"[1,2]", "[2,1]", false},
        {"[1,2]", "[1]", false},
        {"1.0", "1", false},
        {"\"1\"", "1", false},
        {"true", "false", false},
        {"null", "null", true},
        {"\"x\"", "\"\\u0078\"", true},
    };
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json *x = NULL, *y = NULL;
        assert_ok(json_parse(a, str_from_cstr(cases[i].x), false, &x));
        assert_ok(json_parse(a, str_from_cstr(cases[i].y), false, &y));
        assert_int_equal(json_eq(x, y), cases[i].eq);
        assert_int_equal(json_eq(y, x), cases[i].eq);
    }
    assert_true(json_eq(NULL, NULL));
    assert_false(json_eq(NULL, json_null(a)));
    arena_free(a);
}

static void indented(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct json *v = NULL;
    struct buf b;
    buf_init(&b, a, 1000);
    assert_ok(json_parse(a, STR("{\"b\":[1,{\"x\":null}],\"a\":{},\"c\":[]}"), false, &v));
    json_write_indented(&b, v, 2);
    assert_str(buf_str(&b),
               "{\n  \"a\": {},\n  \"b\": [\n    1,\n    {\n      \"x\": null\n    }\n  ],\n  \"c\": []\n}");
    arena_free(a);
}

static void writing_replaces_what_is_no_utf8(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    assert_str(json_text(a, json_string(a, STR("a\xff"
                                               "b\xc3"))),
               "\"a\\ufffdb\\ufffd\"");
    struct buf small;
    buf_init(&small, a, 4);
    json_write(&small, json_string(a, STR("much too long")));
    assert_true(small.full);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trips),  cmocka_unit_test(errors),
        cmocka_unit_test(limits),       cmocka_unit_test(strings_point_into_the_text),
        cmocka_unit_test(many_members), cmocka_unit_test(building),
        cmocka_unit_test(reading),      cmocka_unit_test(equality),
        cmocka_unit_test(indented),     cmocka_unit_test(writing_replaces_what_is_no_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
