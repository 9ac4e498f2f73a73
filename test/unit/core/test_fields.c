/* Weak typing of fields with the API's error texts; defaults; warnings; what handlers read and answer. */
#include "../base/check.h"

#undef fail
#include "core/route.h"

static struct error *nothing(struct request *rq, struct response *rs)
{
    (void)rq;
    (void)rs;
    return NULL;
}

static struct error *exists(struct request *rq, bool *ret)
{
    (void)rq;
    *ret = false;
    return NULL;
}

static const struct field fields[] = {
    {"name", FT_STRING, FIELD_PATH, "n"},
    {"s", FT_STRING, 0, "s"},
    {"word", FT_NAME, 0, "s"},
    {"lower", FT_LOWER, 0, "s"},
    {"i", FT_INT, 0, "i", "7"},
    {"b", FT_BOOL, 0, "b", "true"},
    {"ttl", FT_SECONDS, 0, "t", "1h"},
    {"shift", FT_SIGNED_SECONDS, 0, "t"},
    {"at", FT_TIME, 0, "t"},
    {"strings", FT_STRINGS, 0, "l", "x, y"},
    {"list", FT_LIST, 0, "l"},
    {"kv", FT_KV, 0, "m"},
    {"map", FT_MAP, 0, "m"},
    {"any", FT_ANY, 0, "a"},
    {"secret", FT_INT, FIELD_SENSITIVE, "s"},
    {0},
};
static const struct field strict_fields[] = {{"need", FT_STRING, FIELD_REQUIRED, "s"}, {0}};
static const struct field name_fields[] = {{"name", FT_NAME, FIELD_PATH, "n"}, {0}};

#define OPS .ops = {[OP_READ] = {nothing}, [OP_UPDATE] = {nothing}}
static const struct route plain_route = {"r/{name}", fields, OPS},
                          exists_route = {"r/{name}", fields, OPS, .exists = exists},
                          raw_route = {"r/{name...}", fields, OPS, .flags = ROUTE_RAW_BODY},
                          strict_route = {"s", strict_fields, OPS},
                          name_route = {"n/{name}", name_fields, OPS};

static struct request request(struct arena *a, const struct route *r, const char *body)
{
    struct request rq = {.arena = a, .route = r, .op = OP_UPDATE, .params = {{"nm", 2}}};

    if (body)
        assert_ok(json_parse(a, str_from_cstr(body), false, &rq.data));
    return rq;
}

static const struct {
    const char *body, *error; /* without "Field validation failed: " */
} bad[] = {
    {"{\"s\":[1,\"b\"]}", "error converting input [1 b] for field \"s\": '' expected type 'string', got "
                          "unconvertible type '[]interface {}', value: '[1 b]'"},
    {"{\"s\":{\"b\":[true,null],\"a\":1.50}}",
     "error converting input map[a:1.50 b:[true <nil>]] for field \"s\": '' expected type 'string', got "
     "unconvertible type 'map[string]interface {}', "
     "value: 'map[a:1.50 b:[true <nil>]]'"},
    {"{\"word\":\"-a\"}", "error converting input -a for field \"word\": field validation failed"},
    {"{\"word\":\"\"}", "error converting input  for field \"word\": field validation failed"},
    {"{\"word\":\"a/b\"}", "error converting input a/b for field \"word\": field validation failed"},
    {"{\"i\":\"few\"}", "error converting input few for field \"i\": cannot parse '' as int: "
                        "strconv.ParseInt: parsing \"few\": invalid syntax"},
    {"{\"i\":1.5}", "error converting input 1.5 for field \"i\": cannot parse '' as int: strconv.ParseInt: "
                    "parsing \"1.5\": invalid syntax"},
    {"{\"i\":99999999999999999999}",
     "error converting input 99999999999999999999 for field \"i\": cannot parse '' as int: strconv.ParseInt: "
     "parsing \"99999999999999999999\": value out of range"},
    {"{\"i\":[]}", "error converting input [] for field \"i\": '' expected type 'int', got unconvertible "
                   "type '[]interface {}', value: '[]'"},
    {"{\"b\":\"maybe\"}", "error converting input maybe for field \"b\": cannot parse '' as bool: "
                          "strconv.ParseBool: parsing \"maybe\": invalid syntax"},
    {"{\"b\":2}", "error converting input 2 for field \"b\": cannot parse '' as bool: strconv.ParseBool: "
                  "parsing \"2\": invalid syntax"},
    {"{\"b\":{}}", "error converting input map[] for field \"b\": '' expected type 'bool', got unconvertible "
                   "type 'map[string]interface {}', value: 'map[]'"},
    {"{\"ttl\":-5}", "error converting input -5 for field \"ttl\": cannot provide negative value '-5'"},
    {"{\"ttl\":\"-1h\"}",
     "error converting input -1h for field \"ttl\": cannot provide negative value '-3600'"},
    {"{\"ttl\":\"soon\"}", "error converting input soon for field \"ttl\": time: invalid duration \"soon\""},
    {"{\"ttl\":1.5}", "error converting input 1.5 for field \"ttl\": time: missing unit in duration \"1.5\""},
    {"{\"ttl\":true}", "error converting input true for field \"ttl\": could not parse duration from input"},
    {"{\"strings\":{\"a\":1}}", "error converting input map[a:1] for field \"strings\": 1 error(s) "
                                "decoding:\n\n* '[0]' expected type 'string', got unconvertible type "
                                "'map[string]interface {}', value: 'map[a:1]'"},
    {"{\"list\":[\"x\",[1],{}]}",
     "error converting input [x [1] map[]] for field \"list\": 2 error(s) decoding:\n\n* '[1]' expected type "
     "'string', got unconvertible type '[]interface {}', "
     "value: '[1]'\n* '[2]' expected type 'string', got unconvertible type 'map[string]interface {}', value: "
     "'map[]'"},
    {"{\"kv\":\"x\"}", "error converting input x for field \"kv\": invalid key pair \"x\""},
    {"{\"kv\":[\"=x\"]}", "error converting input [=x] for field \"kv\": invalid key pair \"=x\""},
    {"{\"kv\":{\"a\":{\"b\":1}}}", "error converting input map[a:map[b:1]] for field \"kv\": 1 error(s) "
                                   "decoding:\n\n* '[0]' expected type 'string', got unconvertible type "
                                   "'map[string]interface {}', value: 'map[a:map[b:1]]'"},
    {"{\"map\":\"text\"}", "error converting input text for field \"map\": '' expected a map, got 'string'"},
    {"{\"map\":5}", "error converting input 5 for field \"map\": '' expected a map, got 'string'"},
    {"{\"map\":true}", "error converting input true for field \"map\": '' expected a map, got 'bool'"},
    {"{\"map\":[{},5]}",
     "error converting input [map[] 5] for field \"map\": '[1]' expected a map, got 'string'"},
    {"{\"at\":\"noon\"}", "error converting input noon for field \"at\": could not parse time \"noon\""},
    {"{\"secret\":\"hush\"}", "error converting input for field \"secret\""},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct arena *a = arena_new(0);
        struct request plain = request(a, &plain_route, bad[i].body),
                       checked = request(a, &exists_route, bad[i].body);

        assert_error(fields_parse(&plain), ERR_BAD_REQUEST,
                     arena_fmt(a, "Field validation failed: %s", bad[i].error).p);
        assert_error(fields_parse(&checked), ERR_BAD_REQUEST, bad[i].error);
        arena_free(a);
    }
}

/* Shows the values of all fields as one text. */
static const char *shown(struct arena *a, const struct request *rq)
{
    struct buf b;
    const str *items;
    size_t n;

    buf_init(&b, a, 10000);
    buf_put_fmt(&b, "%.*s %.*s %.*s %.*s %d %d %d %d", PSTR(field_str(rq, "name")), PSTR(field_str(rq, "s")),
                PSTR(field_str(rq, "word")), PSTR(field_str(rq, "lower")), (int)field_int(rq, "i"),
                field_bool(rq, "b"), (int)(field_ns(rq, "ttl") / 1000000000),
                (int)(field_ns(rq, "shift") / 1000000000));
    for (int k = 0; k < 2; k++) {
        items = field_strs(rq, k ? "list" : "strings", &n);
        for (size_t i = 0; i < n; i++)
            buf_put_fmt(&b, "%s<%.*s>", i ? "" : " ", PSTR(items[i]));
    }
    for (int k = 0; k < 3; k++) {
        static const char *const names[] = {"kv", "map", "any"};

        if (field_given(rq, names[k]))
            buf_put_fmt(&b, " %.*s", PSTR(json_text(a, field_json(rq, names[k]))));
    }
    buf_put_byte(&b, 0);
    return (const char *)b.p;
}

static const struct {
    const char *body, *values;
} good[] = {
    {NULL, "nm    7 1 3600 0 <x><y>"},
    {"{}", "nm    7 1 3600 0 <x><y>"},
    {"{\"name\":\"other\"}", "nm    7 1 3600 0 <x><y>"},
    {"{\"s\":5,\"word\":\"a.b-c_d\",\"lower\":\"AbC\"}", "nm 5 a.b-c_d abc 7 1 3600 0 <x><y>"},
    {"{\"s\":true,\"lower\":false}", "nm 1  0 7 1 3600 0 <x><y>"},
    {"{\"s\":null,\"i\":null,\"b\":null,\"ttl\":null,\"strings\":null}", "nm    0 0 3600 0"},
    {"{\"i\":\"0x10\"}", "nm    16 1 3600 0 <x><y>"},
    {"{\"i\":\"\",\"b\":\"\"}", "nm    0 0 3600 0 <x><y>"},
    {"{\"i\":true,\"b\":0}", "nm    1 0 3600 0 <x><y>"},
    {"{\"i\":-3,\"b\":\"F\"}", "nm    -3 0 3600 0 <x><y>"},
    {"{\"ttl\":90,\"shift\":\"-1m30s\"}", "nm    7 1 90 -90 <x><y>"},
    {"{\"ttl\":\"1d\",\"shift\":-7}", "nm    7 1 86400 -7 <x><y>"},
    {"{\"ttl\":\"1500ms\",\"shift\":\"\"}", "nm    7 1 1 0 <x><y>"},
    {"{\"strings\":\" a , b,,c\",\"list\":\" a , b\"}", "nm    7 1 3600 0 <a><b><><c> <a , b>"},
    {"{\"strings\":[\" a \",5,true,null],\"list\":[\"a,b\"]}", "nm    7 1 3600 0 <a><5><1><> <a,b>"},
    {"{\"strings\":\"\",\"list\":\"\"}", "nm    7 1 3600 0"},
    {"{\"strings\":5,\"list\":true}", "nm    7 1 3600 0 <5> <1>"},
    {"{\"strings\":{},\"list\":[]}", "nm    7 1 3600 0"},
    {"{\"kv\":{\"a\":1,\"b\":true,\"c\":null,\"d\":\"x\"}}",
     "nm    7 1 3600 0 <x><y> {\"a\":\"1\",\"b\":\"1\",\"c\":\"\",\"d\":\"x\"}"},
    {"{\"kv\":[\"a=b\",\"c=d=e\"]}", "nm    7 1 3600 0 <x><y> {\"a\":\"b\",\"c\":\"d=e\"}"},
    {"{\"kv\":\"a=b\"}", "nm    7 1 3600 0 <x><y> {\"a\":\"b\"}"},
    {"{\"kv\":[{\"a\":\"b\"},{\"c\":\"d\"}]}", "nm    7 1 3600 0 <x><y> {\"a\":\"b\",\"c\":\"d\"}"},
    {"{\"kv\":[\"a=b\",\"c=1\",\"a=x\"]}", "nm    7 1 3600 0 <x><y> {\"a\":\"x\",\"c\":\"1\"}"},
    {"{\"kv\":[{\"a\":\"b\",\"c\":\"1\"},{\"a\":\"x\"}]}",
     "nm    7 1 3600 0 <x><y> {\"a\":\"x\",\"c\":\"1\"}"},
    {"{\"kv\":[]}", "nm    7 1 3600 0 <x><y> {}"},
    {"{\"map\":{\"a\":1e3},\"any\":[1.10]}", "nm    7 1 3600 0 <x><y> {\"a\":1e3} [1.10]"},
    {"{\"map\":[{\"a\":1},{\"b\":2}]}", "nm    7 1 3600 0 <x><y> {\"a\":1,\"b\":2}"},
    {"{\"map\":null}", "nm    7 1 3600 0 <x><y> {}"},
};

static void test_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct arena *a = arena_new(0);
        struct request rq = request(a, &plain_route, good[i].body);

        assert_ok(fields_parse(&rq));
        assert_string_equal(shown(a, &rq), good[i].values);
        arena_free(a);
    }
}

static void test_time(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = request(a, &plain_route, "{\"at\":\"2024-02-29T12:00:00Z\"}");

    (void)state;
    assert_ok(fields_parse(&rq));
    assert_int_equal(field_ns(&rq, "at"), INT64_C(1709208000000000000));
    rq = request(a, &plain_route, "{\"at\":1709208000}");
    assert_ok(fields_parse(&rq));
    assert_int_equal(field_ns(&rq, "at"), INT64_C(1709208000000000000));
    rq = request(a, &plain_route, NULL);
    assert_ok(fields_parse(&rq));
    assert_int_equal(field_ns(&rq, "at"), TIME_ZERO_NS);
    assert_false(field_given(&rq, "at"));
    arena_free(a);
}

static void test_required(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = request(a, &strict_route, "{}");

    (void)state;
    assert_error(fields_parse(&rq), ERR_BAD_REQUEST, "missing need");
    rq.op = OP_READ;
    assert_ok(fields_parse(&rq));
    arena_free(a);
}

static void test_bad_name_in_path(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = request(a, &name_route, NULL);

    (void)state;
    rq.params[0] = STR("a b");
    assert_error(fields_parse(&rq), ERR_NOT_FOUND, "1 error occurred:\n\t* unsupported path\n\n");
    arena_free(a);
}

/* The body of such a route is data: its members are no fields. */
static void test_raw_body(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = request(a, &raw_route, "{\"i\":\"few\",\"other\":1}");
    struct response rs = {0};

    (void)state;
    assert_ok(fields_parse(&rq));
    assert_int_equal(field_int(&rq, "i"), 7);
    response_data(&rq, &rs);
    fields_warn(&rq, &rs);
    assert_int_equal(rs.n_warnings, 0);
    arena_free(a);
}

static void test_warnings(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = request(a, &plain_route, "{\"zz\":1,\"name\":\"b\",\"i\":3,\"aa\":2}");
    struct response rs = {0};

    (void)state;
    assert_ok(fields_parse(&rq));
    fields_warn(&rq, &rs);
    assert_int_equal(rs.n_warnings, 0); /* nothing to carry them */
    response_data(&rq, &rs);
    fields_warn(&rq, &rs);
    assert_int_equal(rs.n_warnings, 2);
    assert_str(rs.warnings[0], "Endpoint ignored these unrecognized parameters: [aa zz]");
    assert_str(rs.warnings[1], "Endpoint replaced the value of these parameters with the values captured "
                               "from the endpoint's path: [name]");
    arena_free(a);
}

static void test_answers(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = {.arena = a};
    struct response rs = {0};
    const str names[] = {STR("a"), STR("b/")};

    (void)state;
    assert_error(response_list(&rq, &rs, NULL, 0), ERR_NOT_FOUND, "");
    assert_ok(response_list(&rq, &rs, names, 2));
    assert_str(json_text(a, rs.data), "{\"keys\":[\"a\",\"b/\"]}");
    for (int i = 0; i < 5; i++)
        response_warn(&rq, &rs, "w%d", i);
    assert_int_equal(rs.n_warnings, 5);
    assert_str(rs.warnings[0], "w0");
    assert_str(rs.warnings[4], "w4");
    assert_error(fail_wrapped(&rq, ERR_DENIED, "no %s", "way"), ERR_DENIED,
                 "1 error occurred:\n\t* no way\n\n");
    assert_error(fail_absent(&rq), ERR_NOT_FOUND, "");
    assert_ok(response_again(&rs));
    assert_true(rs.again);
    assert_string_equal(op_name(OP_READ), "read");
    assert_string_equal(op_name(OP_HEADER), "header");
    assert_string_equal(op_name(OP_NONE), "");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_time),
        cmocka_unit_test(test_required),
        cmocka_unit_test(test_bad_name_in_path),
        cmocka_unit_test(test_raw_body),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
