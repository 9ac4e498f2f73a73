/* Decisions: the recorded cases, the order of wildcards, who grants; and random sets against the slow
 * reference. */
#include "../base/check.h"

#undef fail
#include "acl_reference.h"
#include "base/rand.h"

static struct arena *arena;

static int setup(void **state)
{
    (void)state;
    arena = arena_new(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return 0;
}

static const struct policy *parse(const char *name, const char *text)
{
    struct policy *p;

    assert_ok(policy_parse(arena, str_from_cstr(name), str_from_cstr(text), &p));
    return p;
}

#define RULE(path, caps) "path \"" path "\" { capabilities = [" caps "] }\n"

static const struct {
    const char *one, *two; /* texts of policies; two may be NULL */
    enum op op;
    const char *path;
    bool allowed;
} decisions[] = {
    {RULE("g/a", "\"read\""), NULL, OP_READ, "g/a", true},
    {RULE("g/a", "\"read\""), NULL, OP_READ, "g/a/b", false},
    {RULE("g/a", "\"read\""), NULL, OP_UPDATE, "g/a", false},
    {RULE("g/a", "\"read\""), NULL, OP_READ, "", false},
    {RULE("g/a*", "\"read\""), NULL, OP_READ, "g/a", true},
    {RULE("g/a*", "\"read\""), NULL, OP_READ, "g/abc/d", true},
    {RULE("g/a*", "\"read\""), NULL, OP_READ, "g/x", false},
    {RULE("*", "\"read\""), NULL, OP_READ, "anything/at/all", true},
    {RULE("g/+/leaf", "\"read\"") RULE("g/y/leaf", "\"deny\""), NULL, OP_READ, "g/x/leaf", true},
    {RULE("g/+/leaf", "\"read\"") RULE("g/y/leaf", "\"deny\""), NULL, OP_READ, "g/y/leaf", false},
    {RULE("g/+/leaf", "\"read\""), NULL, OP_READ, "g/x/y/leaf", false},
    {RULE("g/+/le*", "\"read\""), NULL, OP_READ, "g/x/leaf/more", true},
    {RULE("g/+", "\"list\""), NULL, OP_LIST, "g/", true}, /* an empty segment is one */
    {RULE("+", "\"read\""), NULL, OP_READ, "a", true},
    {RULE("+", "\"read\""), NULL, OP_READ, "a/b", false},
    {RULE("a/+b", "\"read\""), NULL, OP_READ, "a/+b", true},
    {RULE("a/+b", "\"read\""), NULL, OP_READ, "a/xb", false},
    /* exact, then the last first wildcard, then no '*' at the end, then fewer '+', then longer, then greater
     */
    {RULE("a/b", "\"read\"") RULE("a/+", "\"deny\"") RULE("a/*", "\"deny\""), NULL, OP_READ, "a/b", true},
    {RULE("a/+", "\"read\"") RULE("a/*", "\"deny\""), NULL, OP_READ, "a/c", true},
    {RULE("a/+/c", "\"deny\"") RULE("a/b/*", "\"read\""), NULL, OP_READ, "a/b/c", true},
    {RULE("a/b/+", "\"read\"") RULE("a/+/c", "\"deny\""), NULL, OP_READ, "a/b/c", true},
    {RULE("a/+/c", "\"read\"") RULE("a/+/*", "\"deny\""), NULL, OP_READ, "a/b/c", true},
    {RULE("a/+/c/+", "\"read\"") RULE("a/+/+/d", "\"deny\"") RULE("a/+/+/+", "\"deny\""), NULL, OP_READ,
     "a/b/c/d", true},
    {RULE("a/+/+/d", "\"deny\"") RULE("a/+/cc/+", "\"read\""), NULL, OP_READ, "a/b/cc/d", true},
    {RULE("a/*", "\"read\"") RULE("a/b/*", "\"deny\"") RULE("a/b/c*", "\"read\""), NULL, OP_READ, "a/b/cd",
     true},
    {RULE("a/*", "\"read\"") RULE("a/b/*", "\"deny\"") RULE("a/b/c*", "\"read\""), NULL, OP_READ, "a/b/x",
     false},
    {RULE("a/*", "\"read\"") RULE("a/b/*", "\"deny\"") RULE("a/b/c*", "\"read\""), NULL, OP_READ, "a/b",
     true},
    /* lists */
    {RULE("g/", "\"list\""), NULL, OP_LIST, "g/", true},
    {RULE("g", "\"list\""), NULL, OP_LIST, "g/", true},
    {RULE("g", "\"list\""), NULL, OP_LIST, "g//", false},
    {RULE("g", "\"read\""), NULL, OP_READ, "g/", false},
    {RULE("g/", "\"list\""), NULL, OP_LIST, "g", false},
    {RULE("g/", "\"list\""), NULL, OP_READ, "g/", false},
    /* several policies */
    {RULE("g/a", "\"read\""), RULE("g/a", "\"update\""), OP_UPDATE, "g/a", true},
    {RULE("g/a", "\"read\""), RULE("g/a", "\"deny\""), OP_READ, "g/a", false},
    {RULE("g/a", "\"deny\""), RULE("g/a", "\"read\""), OP_READ, "g/a", false},
    {RULE("g/a", "\"read\""), RULE("g/*", "\"deny\""), OP_READ, "g/a", true},
    /* others */
    {RULE("g/a", "\"read\""), NULL, OP_READ, "/g/a", true},
    {RULE("g/a", "\"read\""), NULL, OP_HELP, "nowhere", true},
    {RULE("g/a", "\"read\""), NULL, OP_HEADER, "g/a", false},
    {RULE("g/a", "\"read\""), NULL, OP_NONE, "g/a", false},
    {RULE("g/a", "\"patch\""), NULL, OP_PATCH, "g/a", true},
    {RULE("g/a", "\"patch\""), NULL, OP_UPDATE, "g/a", false},
    {RULE("g/a", "\"create\""), NULL, OP_CREATE, "g/a", true},
    {RULE("g/a", "\"delete\""), NULL, OP_DELETE, "g/a", true},
    {RULE("g/{{identity.entity.id}}", "\"read\""), NULL, OP_READ, "g/{{identity.entity.id}}", false},
    {"", NULL, OP_READ, "a", false},
};

static void test_decisions(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(decisions); i++) {
        const struct policy *set[2] = {parse("one", decisions[i].one),
                                       parse("two", decisions[i].two ? decisions[i].two : "")};
        struct acl *acl = acl_compile(set, 2, false, NULL);
        str path = str_from_cstr(decisions[i].path);
        struct acl_result r;

        acl_decide(acl, decisions[i].op, path, &r);
        if (r.allowed != decisions[i].allowed)
            print_error("row %zu\n", i);
        assert_int_equal(r.allowed, decisions[i].allowed);
        reference_check(acl, set, 2, decisions[i].op, path);
        acl_unref(acl);
    }
}

static void test_granting(void **state)
{
    const struct policy *set[] = {parse("a", RULE("p", "\"read\",\"sudo\"")),
                                  parse("b", RULE("p", "\"update\"")),
                                  parse("c", RULE("p", "\"read\"") RULE("q", "\"deny\""))};
    struct acl *acl = acl_ref(acl_compile(set, 3, false, NULL));
    struct acl_result r;

    (void)state;
    acl_unref(acl);
    acl_decide(acl, OP_READ, STR("p"), &r);
    assert_true(r.allowed && r.sudo && !r.is_root);
    assert_int_equal(r.capabilities, CAP_READ | CAP_SUDO | CAP_UPDATE);
    assert_int_equal(r.n_granting, 2);
    assert_str(r.granting[0], "a");
    assert_str(r.granting[1], "c");
    acl_decide(acl, OP_UPDATE, STR("p"), &r);
    assert_int_equal(r.n_granting, 1);
    assert_str(r.granting[0], "b");
    acl_decide(acl, OP_DELETE, STR("p"), &r);
    assert_false(r.allowed);
    assert_int_equal(r.n_granting, 0);
    acl_decide(acl, OP_READ, STR("q"), &r);
    assert_false(r.allowed);
    assert_int_equal(r.capabilities, CAP_DENY);
    acl_unref(acl);
}

static void test_rule_and_judgement(void **state)
{
    const struct policy *set[] = {
        parse("a", RULE("p/*",
                        "\"read\"") "path \"w\" { capabilities = [\"update\"] required_parameters = [\"x\"] "
                                    "min_wrapping_ttl = \"1m\" }"),
        parse("b", RULE("p/*", "\"deny\"")), parse("c", RULE("s/+", "\"read\",\"patch\""))};
    struct acl *acl = acl_compile(set, 3, false, NULL);
    struct acl_rule rule;
    struct acl_result r;
    struct json *data = json_object(arena);
    size_t n;

    (void)state;
    assert_true(acl_rule_of(acl, OP_READ, STR("/p/x"), &rule));
    assert_str(rule.path, "p/");
    assert_true(rule.prefix);
    assert_int_equal(rule.capabilities, CAP_DENY);
    assert_str(acl_rule_carriers(acl, &rule, CAP_DENY, &n)[0], "b");
    assert_int_equal(n, 1);
    acl_rule_carriers(acl, &rule, CAP_READ, &n);
    assert_int_equal(n, 0);
    assert_true(acl_rule_of(acl, OP_PATCH, STR("s/any"), &rule));
    assert_str(acl_rule_carriers(acl, &rule, CAP_PATCH, &n)[0], "c");
    assert_false(acl_rule_of(acl, OP_READ, STR("other"), &rule));
    acl_decide(acl, OP_READ, STR("p/x"), &r);
    assert_int_equal(acl_judge(&r, OP_READ, NULL, 0, false), ACL_LACKS_CAPABILITY);
    acl_decide(acl, OP_READ, STR("s/any"), &r);
    assert_int_equal(acl_judge(&r, OP_READ, NULL, 0, false), ACL_LACKS_NOTHING);
    assert_int_equal(acl_judge(&r, OP_READ, NULL, 0, true), ACL_LACKS_SUDO);
    acl_decide(acl, OP_UPDATE, STR("w"), &r);
    assert_int_equal(acl_judge(&r, OP_UPDATE, data, 0, false), ACL_LACKS_DATA);
    json_set_str(arena, data, STR("x"), STR("1"));
    assert_int_equal(acl_judge(&r, OP_UPDATE, data, 0, false), ACL_LACKS_WRAPPING);
    assert_int_equal(acl_judge(&r, OP_UPDATE, data, 60 * NS_PER_S, false), ACL_LACKS_NOTHING);
    acl_unref(acl);
}

static void test_root(void **state)
{
    struct acl *acl = acl_compile(NULL, 0, true, NULL);
    struct acl_result r;

    (void)state;
    for (int op = 0; op < OP_COUNT_; op++) {
        acl_decide(acl, (enum op)op, STR("any/thing"), &r);
        assert_true(r.allowed && r.sudo && r.is_root);
        assert_int_equal(r.n_granting, 1);
        assert_str(r.granting[0], "root");
    }
    acl_unref(acl);
}

static void test_reaches(void **state)
{
    static const struct {
        const char *text, *path;
        bool reaches;
    } rows[] = {
        {RULE("g/a", "\"read\""), "g/", true},   {RULE("g/*", "\"read\""), "g/", true},
        {RULE("*", "\"read\""), "g/", true},     {RULE("+/x", "\"read\""), "g/", true},
        {RULE("g/+/x", "\"read\""), "g/", true}, {RULE("h/a", "\"read\""), "g/", false},
        {RULE("g/a", "\"deny\""), "g/", false},  {RULE("g", "\"read\""), "g/", false},
        {RULE("g/a", ""), "g/", false},          {"", "g/", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct policy *set[] = {parse("p", rows[i].text)};
        struct acl *acl = acl_compile(set, 1, false, NULL);

        assert_int_equal(acl_reaches(acl, str_from_cstr(rows[i].path)), rows[i].reaches);
        acl_unref(acl);
    }
}

static void test_wrapping(void **state)
{
    const struct policy *set[] = {
        parse(
            "a",
            "path \"p\" { capabilities = [\"read\"] min_wrapping_ttl = \"10s\" max_wrapping_ttl = \"1h\" }"),
        parse("b", "path \"p\" { capabilities = [\"read\"] max_wrapping_ttl = \"1m\" }")};
    static const struct {
        int64_t s;
        bool ok;
    } rows[] = {{0, false}, {9, false}, {10, true}, {60, true}, {61, false}};
    struct acl *acl = acl_compile(set, 2, false, NULL);
    struct acl_result r;

    (void)state;
    acl_decide(acl, OP_READ, STR("p"), &r);
    assert_true(r.allowed);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(acl_result_allows_wrapping(&r, rows[i].s * 1000000000), rows[i].ok);
    acl_decide(acl, OP_HELP, STR("p"), &r);
    assert_true(acl_result_allows_wrapping(&r, 0));
    acl_unref(acl);
}

/* Paths from a tiny alphabet, so that rules meet. */
static str random_path(struct rng *rng, bool wild)
{
    static const char *const words[] = {"a", "b", "ab", "", "+", "c"};
    str path = {0};
    uint64_t n = 1 + rng_below(rng, 4);

    for (uint64_t i = 0; i < n; i++) {
        str word = str_from_cstr(words[rng_below(rng, wild ? 6 : 4)]);

        path = i ? arena_fmt(arena, "%.*s/%.*s", PSTR(path), PSTR(word)) : word;
    }
    return path;
}

static struct policy *random_policy(struct rng *rng, const char *name)
{
    struct policy *p = ARENA_NEW(arena, struct policy);

    p->name = str_from_cstr(name);
    p->n = rng_below(rng, 12);
    p->rules = ARENA_ARRAY(arena, struct policy_rule, p->n);
    for (size_t i = 0; i < p->n; i++) {
        struct policy_rule *r = &p->rules[i];

        r->path = random_path(rng, true);
        r->segments = str_eq(r->path, STR("+")) || str_starts(r->path, STR("+/")) ||
                      str_find(r->path, STR("/+")) < r->path.n;
        r->prefix = !str_ends(r->path, STR("+")) && rng_below(rng, 2);
        r->templated = rng_below(rng, 20) == 0;
        r->parts = ARENA_NEW(arena, struct path_part);
        *r->parts = (struct path_part){r->path, false};
        r->n_parts = 1;
        r->capabilities =
            rng_below(rng, 8) == 0 ? CAP_DENY : (unsigned)rng_below(rng, 256) & ~(unsigned)CAP_DENY;
    }
    return p;
}

static void test_against_reference(void **state)
{
    struct rng *rng = rng_seeded_new(20240229);

    (void)state;
    for (int round = 0; round < 1500; round++) {
        struct arena_mark mark = arena_mark(arena);
        const struct policy *set[] = {random_policy(rng, "x"), random_policy(rng, "y"),
                                      random_policy(rng, "z")};
        struct acl *acl = acl_compile(set, 3, false, NULL);

        for (int i = 0; i < 40; i++)
            reference_check(acl, set, 3, (enum op)rng_below(rng, OP_COUNT_), random_path(rng, false));
        acl_unref(acl);
        arena_reset_to(arena, mark);
    }
    rng_seeded_free(rng);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_granting),
        cmocka_unit_test(test_root),
        cmocka_unit_test(test_wrapping),
        cmocka_unit_test(test_reaches),
        cmocka_unit_test(test_against_reference),
        cmocka_unit_test(test_rule_and_judgement),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
