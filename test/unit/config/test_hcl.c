/* Texts and the trees, or errors, they give. */
#include "config/hcl.h"
#include "hcl_dump.h"

#include <setjmp.h>
#include <stdarg.h>
/* clang-format off: it needs the ones above */
#include <cmocka.h>
/* clang-format on */

struct tree {
    const char *text, *dump;
};

/* clang-format off */
static const struct tree items[] = {
    {"", ""},
    {"# only a comment\n", ""},
    {"a = 1", "a=1"},
    {"a = 1 b = 2", "a=1 b=2"},
    {"a = 1, b = 2,\nc = 3", "a=1 b=2 c=3"},
    {"a = 1\r\nb = 2\r\n", "a=1 b=2"},
    {"a {}", "a {}"},
    {"a = {}", "a={}"},
    {"a \"b\" { c = 1 }", "a \"b\" {c=1}"},
    {"\"a\" b \"c d\" {}", "\"a\" b \"c d\" {}"},
    {"\"\" = 1", "\"\"=1"},
    {"listener.tcp {}", "listener.tcp {}"},
    {"a-b.c_1 = true", "a-b.c_1=true"},
    {"\xC3\xA9t\xC3\xA9 = false", "\xC3\xA9t\xC3\xA9=false"},
    {"a { b { c = 1 } d = 2 }", "a {b {c=1} d=2}"},
    {"a = 1 a = 2", "a=1 a=2"},
    {"a =", ""},
    {"a = 1 b =", "a=1"},
    {"a { k = } } b = 1", "a {} b=1"},
    {"/* a */ a /* b */ = // c\n 1 # d", "a=1"},
    {"a = 1 /* open * / **/ b = 2", "a=1 b=2"},
    {"a = [] b = [1,\"x\",true,1.5]", "a=[] b=[1,\"x\",true,float(1.5)]"},
    {"a = [1,,2,]", "a=[1,2]"},
    {"a = [,1]", "a=[1]"},
    {"a = [{b=1},{c=2}]", "a=[{b=1},{c=2}]"},
    {"a = [[1] [2], [3]]", "a=[[1],[2],[3]]"},
    {"a = [# c\n 1, // d\n 2\n]", "a=[1,2]"},
    {"a = [<<E\nx\nE\n, 1]", "a=[heredoc\"x\\x0a\",1]"},
};

static const struct tree literals[] = {
    {"a = 42", "a=42"}, {"a = -7", "a=-7"}, {"a = 0x1F", "a=0x1F"}, {"a = 0X1f", "a=0X1f"}, {"a = -0x1F", "a=-0x1F"},
    {"a = 017", "a=017"}, {"a = 08", "a=08"}, {"a = 0", "a=0"}, {"a = 99999999999999999999", "a=99999999999999999999"},
    {"a = 1.50", "a=float(1.50)"}, {"a = .5", "a=float(.5)"}, {"a = 1.", "a=float(1.)"},
    {"a = 1e3", "a=float(1e3)"}, {"a = 1E-3", "a=float(1E-3)"}, {"a = 1.5e+3", "a=float(1.5e+3)"},
    {"a = 0159.2", "a=float(0159.2)"},
    {"a = \"\"", "a=\"\""},
    {"a = \"\\a\\b\\f\\n\\r\\t\\v\\\\\\\"\"", "a=\"\\x07\\x08\\x0c\\x0a\\x0d\\x09\\x0b\\x5c\\x22\""},
    {"a = \"\\101\\x41\\u00e9\\U0001F600\"", "a=\"AA\\xc3\\xa9\\xf0\\x9f\\x98\\x80\""},
    {"a = \"\\xff\\ud800\"", "a=\"\\xff\\xef\\xbf\\xbd\""},
    {"a = \"${f(\"x\", {y}) \n}z\"", "a=\"${f(\\x22x\\x22, {y}) \\x0a}z\""},
    {"a = \"$${x} $ {\"", "a=\"$${x} $ {\""},
    {"a = \"\\\\${\\n}\\t\"", "a=\"\\x5c${\\x5cn}\\x09\""},
    {"a = <<EOF\nx ${y} \\n\n z\nEOF\n", "a=heredoc\"x ${y} \\x5cn\\x0a z\\x0a\""},
    {"a = <<EOF\nEOF\n", "a=heredoc\"\""},
    {"a = <<EOF\r\nx\r\nEOF\r\nb = 1", "a=heredoc\"x\\x0a\" b=1"},
    {"a = <<EOF\nx\n  EOF\n", "a=heredoc\"x\\x0a  \""},
    {"a = <<EOF\nEOFx\n xEOF\nEOF\n", "a=heredoc\"EOFx\\x0a xEOF\\x0a\""},
    {"a = <<-EOF\n  x\n    y\n  EOF\n", "a=heredoc\"x\\x0a  y\\x0a\""},
    {"a = <<-EOF\n x\n    y\n  EOF\n", "a=heredoc\" x\\x0a    y\\x0a\""},
    {"a = <<-EOF\n\t\tx\n\tEOF\n", "a=heredoc\"\\x09x\\x0a\""},
    {"a = <<-EOF\n  EOF\n", "a=heredoc\"\""},
    {"a = <<_e1\nx\n_e1\n", "a=heredoc\"x\\x0a\""},
};

static const struct tree errors[] = {
    {"path \"x\" {\n", "! At 2:2: object expected closing RBRACE got: EOF"},
    {"a { b = 1", "! At 1:13: object expected closing RBRACE got: EOF"},
    {"a { k = }", "! At 1:10: object expected closing RBRACE got: EOF"},
    {"}", "! At 1:1: expected: IDENT | STRING | ASSIGN | LBRACE got: RBRACE"},
    {"a 1", "! At 1:3: expected: IDENT | STRING | ASSIGN | LBRACE got: NUMBER"},
    {"true = 1", "! At 1:1: expected: IDENT | STRING | ASSIGN | LBRACE got: BOOL"},
    {"1 = 1", "! At 1:1: expected: IDENT | STRING | ASSIGN | LBRACE got: NUMBER"},
    {"= 1", "! At 1:1: no object keys found!"},
    {"a b = {}", "! At 1:5: nested object expected: LBRACE got: ASSIGN"},
    {"a {{}}", "! At 1:4: expected: IDENT | STRING got: LBRACE"},
    {"foo", "! At 1:5: key 'foo' expected start of object ('{') or assignment ('=')"},
    {"foo  \"b\"\n", "! At 2:1: key 'foo \"b\"' expected start of object ('{') or assignment ('=')"},
    {"a { foo }", "! At 1:9: key 'foo' expected start of object ('{') or assignment ('=')"},
    {"a = yes", "! At 1:5: Unknown token: 1:5 IDENT yes"},
    {"a = TRUE", "! At 1:5: Unknown token: 1:5 IDENT TRUE"},
    {"a = null", "! At 1:5: Unknown token: 1:5 IDENT null"},
    {"a = a.b", "! At 1:5: Unknown token: 1:5 IDENT a.b"},
    {"a = +1", "! At 1:5: Unknown token: 1:5 ADD +"},
    {"a = 1_000", "! At 1:11: key '_000' expected start of object ('{') or assignment ('=')"},
    {"a = [1 2]", "! At 1:8: error parsing list, expected comma or list end, got: NUMBER"},
    {"a = [=]", "! At 1:6: unexpected token while parsing list: ASSIGN"},
    {"a = [x]", "! At 1:6: unexpected token while parsing list: IDENT"},
    {"a = [{b}]", "! At 1:6: error while trying to parse object within list: "
                   "At 1:8: key 'b' expected start of object ('{') or assignment ('=')"},
    {"a = [[x]]", "! At 1:6: error while trying to parse list within list: At 1:7: unexpected token while parsing list: IDENT"},
    {"a = \"b", "! At 1:7: literal not terminated"},
    {"a = \"b\nc\"", "! At 2:3: literal not terminated"},
    {"a = \"b\n", "! At 1:7: literal not terminated"},
    {"a = \"${b\"", "! At 1:10: literal not terminated"},
    {"a = \"\\q\"", "! At 1:7: illegal char escape"},
    {"a = \"\\/\"", "! At 1:7: illegal char escape"},
    {"a = \"\\'\"", "! At 1:7: illegal char escape"},
    {"a = \"\\08\"", "! At 1:8: illegal char escape"},
    {"a = \"\\x4g\"", "! At 1:9: illegal char escape"},
    {"a = \"\\u12\"", "! At 1:10: illegal char escape"},
    {"a = \"\\400\"", "! At 1:5: illegal char escape in \"\\400\""},
    {"a = \"\\U00110000\"", "! At 1:5: illegal char escape in \"\\U00110000\""},
    {"/* x", "! At 1:5: comment not terminated"},
    {"/x", "! At 1:1: expected '/' for comment"},
    {"a = 'b'", "! At 1:5: illegal char"},
    {"a = 1; b = 2", "! At 1:6: illegal char"},
    {"a: 1", "! At 1:2: illegal char"},
    {"\xEF\xBB\xBF" "a = 1", "! At 1:1: illegal char"},
    {"a = \"\xFF\"", "! At 1:6: illegal UTF-8 encoding"},
    {"a = \"\xC0\x80\xED\xA0\x80\"", "! At 1:10: illegal UTF-8 encoding"},
    {"a = 018", "! At 1:8: illegal octal number"},
    {"a = 0x", "! At 1:7: illegal hexadecimal number"},
    {"a = 1e", "! At 1:7: illegal exponent"},
    {"a = <<EOF\nx\nEOF", "! At 3:4: heredoc not terminated"},
    {"a = <<-EOF\nx\nEOF\n", "! At 4:1: heredoc not terminated"},
    {"a = <<EOF", "! At 1:10: heredoc not terminated"},
    {"a = <<\"E\"\nx\nE\n", "! At 1:10: literal not terminated"},
    {"a = <<E F\nx\nE F\n", "! At 1:8: invalid characters in heredoc anchor"},
    {"a = <<\n", "! At 1:7: zero-length heredoc anchor"},
    {"a = <E\n", "! At 1:6: heredoc expected second '<', didn't see it"},
    /* columns count characters, and the last ill-formed token is the one reported */
    {"\xC3\xA9 = \"\\q\"", "! At 1:7: illegal char escape"},
    {"a = \"\\q\" b = \"\\r\\q\"", "! At 1:18: illegal char escape"},
};

static const struct tree json[] = {
    {"{}", ""},
    {" \n{\"a\":1,\"b\":\"x\",\"c\":true,\"d\":null,\"e\":1.5}", "\"a\"=1 \"b\"=\"x\" \"c\"=true \"d\"=null \"e\"=float(1.5)"},
    {"{\"a\":1,}", "\"a\"=1"},
    {"{\"a\":[1,\"x\",]}", "\"a\"=[1,\"x\"]"},
    {"{\"a\":\"\\u00e9\\ud83d\\ude00\\/\\n\"}", "\"a\"=\"\\xc3\\xa9\\xf0\\x9f\\x98\\x80/\\x0a\""},
    {"{\"a\":\"\\ud83dx\"}", "\"a\"=\"\\xef\\xbf\\xbdx\""},
    {"{\"a\":\"${b\"}", "\"a\"=\"${b\""},
    {"{\"path\":{\"a\":{\"x\":1}}}", "\"path\" \"a\"={\"x\"=1}"},
    {"{\"path\":[{\"a\":{\"x\":1}},{\"b\":{\"x\":2}}]}", "\"path\" \"a\"={\"x\"=1} \"path\" \"b\"={\"x\"=2}"},
    {"{\"path\":{\"a\":{},\"b\":{}}}", "\"path\" \"a\"={} \"path\" \"b\"={}"},
    {"{\"a\":{\"b\":{\"c\":{\"d\":1}}}}", "\"a\" \"b\" \"c\"={\"d\"=1}"},
    {"{\"listener\":{\"tcp\":[{},{}]}}", "\"listener\"={\"tcp\"={} \"tcp\"={}}"},
    {"{\"a\":{\"b\":{},\"c\":1}}", "\"a\"={\"b\"={} \"c\"=1}"},
    {"{\"a\":[{\"b\":1},2]}", "\"a\"=[{\"b\"=1},2]"},
    {"{\"a\":[]}", "\"a\"=[]"},
    {"{\"a\" 1}", "! 1:6: expected: COLON got: NUMBER"},
    {"{a:1}", "! 1:2: illegal char"},
    {"{1:1}", "! 1:2: expected: STRING got: NUMBER"},
    {"{\"a\":}", "! 1:6: Expected object value, got unknown token: RBRACE"},
    {"{\"a\":[:]}", "! 1:7: unexpected token while parsing list: COLON"},
    {"{\"a\":1 // c\n}", "! 1:8: illegal char"},
    {"{\"a\":-}", "! 1:6: illegal char"},
    {"{\"a\":01}", "! 1:7: numbers cannot start with 0"},
    {"{\"a\":\"b\nc\"}", "! 2:1: illegal char"},
    {"{\"a\":1", "! 1:9: object expected closing RBRACE got: EOF"},
    {"{\"a\":{\"b\":1}", "! 1:13: object expected closing RBRACE got: EOF"},
    {"{\"a\":[1}", "! 1:8: unexpected token while parsing list: RBRACE"},
    {"{} {}", "! 1:4: expected: EOF got: LBRACE"},
};
/* clang-format on */

static void check(const struct tree *t, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct arena *a = arena_new(0);
        str got = hcl_dump(a, str_from_cstr(t[i].text), false);
        if (!str_eq(got, str_from_cstr(t[i].dump)))
            fail_msg("%s\n gave     %.*s\n expected %s", t[i].text, PSTR(got), t[i].dump);
        arena_free(a);
    }
}

static void test_items(void **state)
{
    (void)state;
    check(items, COUNT_OF(items));
}

static void test_literals(void **state)
{
    (void)state;
    check(literals, COUNT_OF(literals));
}

static void test_errors(void **state)
{
    (void)state;
    check(errors, COUNT_OF(errors));
}

static void test_json(void **state)
{
    (void)state;
    check(json, COUNT_OF(json));
}

static void test_places(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    str got = hcl_dump(a, STR("a = 1\n\n  b \"c\" {\n\td = [ \"\xC3\xA9\", 2]\n}\n"), true);
    assert_true(str_eq(got, STR("a@1:1=1@1:5 b@3:3 \"c\"@3:5 {d@4:2=[\"\\xc3\\xa9\"@4:8,2@4:13]@4:6}@3:9")));
    arena_free(a);
}

static str repeat(struct arena *a, str part, size_t n)
{
    struct buf b;
    buf_init(&b, a, part.n * n);
    while (n-- > 0)
        buf_put_str(&b, part);
    return buf_str(&b);
}

static void test_limits(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct hcl_value *root;
    assert_null(hcl_parse(a, repeat(a, STR("a=1\n"), HCL_TEXT_BYTES_MAX / 4), &root));
    assert_int_equal(root->n, HCL_TEXT_BYTES_MAX / 4);
    struct error *e = hcl_parse(a, repeat(a, STR("\n"), HCL_TEXT_BYTES_MAX + 1), &root);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_BAD_REQUEST);

    str open[] = {STR("a {"), STR("["), STR("{\"a\":"), STR("{\"a\":[")};
    for (size_t i = 0; i < COUNT_OF(open); i++) {
        str text = arena_join(a, i == 1 ? STR("a = ") : STR(""), repeat(a, open[i], 100000));
        e = hcl_parse(a, text, &root);
        assert_non_null(e);
        assert_true(str_find(e->text, STR("nested deeper than 64 levels")) < e->text.n);
    }
    str deep = arena_join(a, repeat(a, STR("a {"), HCL_DEPTH_MAX), repeat(a, STR("}"), HCL_DEPTH_MAX));
    assert_null(hcl_parse(a, deep, &root));

    /* the keys of a flattened JSON object stay few */
    deep = arena_fmt(a, "%.*s{\"b\":{},\"c\":{}}%.*s", PSTR(repeat(a, STR("{\"a\":"), 40)),
                     PSTR(repeat(a, STR("}"), 40)));
    assert_null(hcl_parse(a, deep, &root));
    assert_int_equal(root->n, 1);
    assert_int_equal(root->first->n_keys, HCL_JSON_KEYS_MAX);
    arena_free(a);
}

static void test_integers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"42", true, 42},
        {"-7", true, -7},
        {"+7", true, 7},
        {"0x1F", true, 31},
        {"-0X1f", true, -31},
        {"017", true, 15},
        {"0o17", true, 15},
        {"0b101", true, 5},
        {"08", false, 0},
        {"0b2", false, 0},
        {"0x", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"1.5", false, 0},
        {"12a", false, 0},
        {"1e3", false, 0},
        {" 1", false, 0},
        {"--1", false, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775808", true, INT64_MIN},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999", false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t v = 0;
        assert_int_equal(hcl_int_from_str(str_from_cstr(rows[i].text), &v), rows[i].ok);
        assert_int_equal(v, rows[i].value);
    }
}

static void test_generic(void **state)
{
    (void)state;
    static const struct tree rows[] = {
        {"a = 1 a = 2 b = \"x\" c = true", "{\"a\":2,\"b\":\"x\",\"c\":true}"},
        {"a = 0x10 b = 017 c = -3", "{\"a\":16,\"b\":15,\"c\":-3}"},
        {"a = 1.50 b = .5 c = 1e3", "{\"a\":1.5,\"b\":0.5,\"c\":1e+03}"},
        {"a {} b = {c = 1}", "{\"a\":[{}],\"b\":[{\"c\":1}]}"},
        {"a \"two\" \"three\" { k = 2 }", "{\"a\":[{\"two\":[{\"three\":[{\"k\":2}]}]}]}"},
        {"a { x = 1 } a { x = 2 }", "{\"a\":[{\"x\":1},{\"x\":2}]}"},
        {"a = [1] a = [\"b\", {c=1}]", "{\"a\":[1,\"b\",{\"c\":1}]}"},
        {"a = <<E\nx\nE\n", "{\"a\":\"x\\n\"}"},
        {"{\"a\":{\"b\":{\"c\":1}},\"d\":null}", "{\"a\":[{\"b\":[{\"c\":1}]}],\"d\":null}"},
        {"a = 08", "At 1:5: \"08\" is no 64-bit integer"},
        {"a = 1e999", "At 1:5: \"1e999\" is no number"},
        {"a = 1\na {}", "At 2:3: a: given before with another type (*ast.ObjectType)"},
        {"a {}\na = 1", "At 2:5: a: given before with another type (*ast.LiteralType)"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        struct hcl_value *root;
        struct json *map;
        assert_null(hcl_parse(a, str_from_cstr(rows[i].text), &root));
        struct error *e = hcl_to_json(a, root, &map);
        str got = e ? e->text : json_text(a, map);
        if (!str_eq(got, str_from_cstr(rows[i].dump)))
            fail_msg("%s\n gave     %.*s\n expected %s", rows[i].text, PSTR(got), rows[i].dump);
        arena_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items),    cmocka_unit_test(test_literals), cmocka_unit_test(test_errors),
        cmocka_unit_test(test_json),     cmocka_unit_test(test_places),   cmocka_unit_test(test_limits),
        cmocka_unit_test(test_integers), cmocka_unit_test(test_generic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
