/* Password policies: the words for each way a text can be wrong, and what passwords are made of. */
#include "../base/check.h"

#undef fail
#include "core/password/password.h"

#define C     "rule \"charset\" { charset = \"ab\" }"
#define RULES "unable to parse rules: "
#define CHARSET                                                                                              \
    RULES "unable to parse rule charset: failed to parse charset restriction: 1 error(s) decoding:\n\n* "

static const struct {
    const char *text, *error;
} bad[] = {
    {"length = \"20\"\n" C,
     "failed to decode configuration: 1 error(s) decoding:\n\n* 'length' expected type 'int', "
     "got unconvertible type 'string', value: '20'"},
    {"length = true\n" C,
     "failed to decode configuration: 1 error(s) decoding:\n\n* 'length' expected type 'int', "
     "got unconvertible type 'bool', value: 'true'"},
    {C, "1 error occurred:\n\t* length must be > 0\n\n"},
    {"length = -4\n" C, "1 error occurred:\n\t* length must be > 0\n\n"},
    {"length = ", "2 errors occurred:\n\t* length must be > 0\n\t* no charset specified\n\n"},
    {"length = 10", "1 error occurred:\n\t* no charset specified\n\n"},
    {"length = 10\nrule \"charset\" \"more\" { charset = \"ab\" }",
     "1 error occurred:\n\t* no charset specified\n\n"},
    {"length = 10\nrule = \"x\"",
     "unable to retrieve rules: 1 error(s) decoding:\n\n* '': source data must be an array "
     "or slice, got string"},
    {"length = 10\nrule {}", RULES "unable to get rule info: rule type not specified"},
    {"length = 10\nrule = [{charset = []}]", RULES "unable to get rule info: rule info cannot be empty"},
    {"length = 10\nrule { a = 1 }",
     RULES "unable to get rule info: unable to get rule data: 1 error(s) decoding:\n\n* '': "
           "source data must be an array or slice, got int"},
    {"length = 10\nrule \"magic\" { a = 1 }",
     RULES "unable to parse rule magic: unrecognized rule type magic"},
    {"length = 10\nrule \"charset\" { charset = 5 }",
     CHARSET "'charset': source data must be an array or slice, got int"},
    {"length = 10\nrule \"charset\" { charset = [\"a\"] }",
     CHARSET "'charset[0]' expected type 'int32', got unconvertible type 'string', value: 'a'"},
    {"length = 10\nrule \"charset\" { charset = \"ab\" min-chars = \"3\" }",
     CHARSET "'min-chars' expected type 'int', got unconvertible type 'string', value: '3'"},
    {"length = 5\nrule \"charset\" { charset = \"ab\" min-chars = 6 }",
     "1 error occurred:\n\t* specified rules require at least 6 characters but 5 is specified\n\n"},
    {"length = 5\nrule \"charset\" { charset = \"ab\" min-chars = 9223372036854775807 }\n"
     "rule \"charset\" { charset = \"ab\" min-chars = 1 }",
     "1 error occurred:\n\t* specified rules require at least 9223372036854775807 characters but 5 is "
     "specified\n\n"},
    {"length = 3\nrule \"charset\" { charset = \"a\tb\" min-chars = 4 }",
     "2 errors occurred:\n\t* specified rules require at least 4 characters but 3 is specified\n"
     "\t* non-printable character in charset\n\n"},
    {"length = 10\nrule \"charset\" { charset = \"a\xc2\xa0z\" }",
     "1 error occurred:\n\t* non-printable character in charset\n\n"},
    {"length = 10\nrule \"charset\" { charset = \"a\xc2\xadz\" }",
     "1 error occurred:\n\t* non-printable character in charset\n\n"},
    {"length=5 rule",
     "unable to decode: At 1:15: key 'rule' expected start of object ('{') or assignment ('=')"},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct arena *a = arena_new(0);
        struct password_policy *p = NULL;

        assert_error(password_policy_parse(a, str_from_cstr(bad[i].text), &p), ERR_BAD_REQUEST, bad[i].error);
        assert_null(p);
        arena_free(a);
    }
}

static struct password_policy *parse(struct arena *a, const char *text)
{
    struct password_policy *p = NULL;

    assert_ok(password_policy_parse(a, str_from_cstr(text), &p));
    return p;
}

static void test_forms(void **state)
{
    static const char *const same[] = {
        "length = 10\nrule \"charset\" { charset = \"ab\" min-chars = 2 }",
        "Length = 10.9\nother = 1\nrule \"charset\" { CHARSET = \"ab\" Min-Chars = 2.5 min_chars = 7 }",
        "{\"length\":10,\"rule\":[{\"charset\":[{\"charset\":\"ab\",\"min-chars\":2}]}]}",
        "{\"length\":10,\"rule\":{\"charset\":{\"charset\":\"ab\",\"min-chars\":2}}}",
        "length = 0xa\nrule = [{charset = {charset = \"ab\", min-chars = 2}}]",
    };
    struct arena *a = arena_new(0);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(same); i++) {
        struct password_policy *p = parse(a, same[i]);

        assert_int_equal(p->length, 10);
        assert_int_equal(p->n_rules, 1);
        assert_int_equal(p->rules[0].chars_min, 2);
        assert_int_equal(p->n_charset, 2);
    }
    arena_free(a);
}

/* Each character as likely as any other, and never fewer than the rules want. */
static void test_passwords(void **state)
{
    enum { N = 3000, LENGTH = 8 };
    static const char text[] = "length = 8\nrule \"charset\" { charset = \"cba\xc3\xa4\" }\n"
                               "rule \"charset\" { charset = \"a1\" min-chars = 1 }";
    struct arena *a = arena_new(0);
    struct password_policy *p = parse(a, text);
    struct rng *rng = rng_seeded_new(7);
    unsigned letters[256] = {0}, of_second;

    (void)state;
    for (int i = 0; i < N; i++) {
        size_t n = 0;
        str made;

        of_second = 0;
        password_generate(a, rng, p, &made);
        for (str rest = made; rest.n > 0; rest = str_from(rest, str_utf8_len(rest)), n++) {
            letters[(uint8_t)rest.p[0]]++;
            of_second += rest.p[0] == 'a' || rest.p[0] == '1';
        }
        assert_int_equal(n, LENGTH);
        assert_true(of_second >= 1);
    }
    assert_int_equal(letters['a'] + letters['b'] + letters['c'] + letters['1'] + letters[0xc3], N * LENGTH);
    assert_in_range(letters['b'], N * LENGTH / 5 * 9 / 10, N * LENGTH / 5 * 11 / 10);
    assert_in_range(letters[0xc3], N * LENGTH / 5 * 9 / 10, N * LENGTH / 5 * 11 / 10);
    rng_seeded_free(rng);
    arena_free(a);
}

static void test_impossible(void **state)
{
    static const char text[] = "length = 100\nrule \"charset\" { charset = \"a\" min-chars = 100 }\n"
                               "rule \"charset\" { charset = \"bcdefgh\" }";
    struct arena *a = arena_new(0);
    struct rng *rng = rng_seeded_new(7);
    str made = STR("before");

    (void)state;
    password_generate(a, rng, parse(a, text), &made);
    assert_int_equal(made.n, 0);
    rng_seeded_free(rng);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_passwords),
        cmocka_unit_test(test_impossible),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
