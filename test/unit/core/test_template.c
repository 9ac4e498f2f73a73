/* Paths with names of an identity: parsing, values, what a value may not do, the compiled set with them. */
#include "../base/check.h"

#undef fail
#include "core/policy/policy.h"

static const struct identity_pair entity_pairs[] = {
    {{"team", 4}, {"red", 3}},       {{"a.b", 3}, {"dots", 4}}, {{"none", 4}, {"", 0}},
    {{"slash", 5}, {"red/blue", 8}}, {{"star", 4}, {"re*", 3}}, {{"plus", 4}, {"+", 1}},
    {{"mail", 4}, {"ann+x@e", 7}},
};
static const struct identity_pair alias_pairs[] = {{{"username", 8}, {"ann", 3}}};
static const struct identity_pair custom_pairs[] = {{{"contact", 7}, {"mail", 4}}};
static const struct identity_pair group_pairs[] = {{{"room", 4}, {"b12", 3}}};
static const struct entity_alias aliases[] = {
    {.id = {"A1", 2},
     .name = {"ann", 3},
     .mount_accessor = {"auth_up_1", 9},
     .metadata = alias_pairs,
     .custom_metadata = custom_pairs,
     .n_metadata = 1,
     .n_custom_metadata = 1},
    {.id = {"A2", 2}, .name = {"ann2", 4}, .mount_accessor = {"auth_up_2", 9}},
};
static const struct entity entity = {.id = {"E1", 2},
                                     .name = {"ann-entity", 10},
                                     .metadata = entity_pairs,
                                     .n_metadata = COUNT_OF(entity_pairs),
                                     .aliases = aliases,
                                     .n_aliases = 2};
static const struct group crew = {
    .id = {"G1", 2}, .name = {"crew", 4}, .metadata = group_pairs, .n_metadata = 1};
static const struct group *const groups[] = {&crew};

static void test_values(void **state)
{
    static const struct {
        const char *name, *value;
    } cases[] = {
        {"identity.entity.id", "E1"},
        {"identity.entity.name", "ann-entity"},
        {"identity.entity.metadata.team", "red"},
        {"identity.entity.metadata.a.b", "dots"},
        {"identity.entity.metadata.none", ""},
        {"identity.entity.metadata.absent", ""},
        {"identity.entity.metadata", ""},
        {"identity.entity.aliases.auth_up_1.id", "A1"},
        {"identity.entity.aliases.auth_up_1.name", "ann"},
        {"identity.entity.aliases.auth_up_2.name", "ann2"},
        {"identity.entity.aliases.auth_up_1.metadata.username", "ann"},
        {"identity.entity.aliases.auth_up_1.custom_metadata.contact", "mail"},
        {"identity.entity.aliases.auth_up_2.metadata.username", ""},
        {"identity.entity.aliases.auth_up_3.name", ""},
        {"identity.entity.aliases.auth_up_1", ""},
        {"identity.entity.aliases.auth_up_1.policies", ""},
        {"identity.groups.ids.G1.name", "crew"},
        {"identity.groups.ids.G1.metadata.room", "b12"},
        {"identity.groups.ids.crew.name", ""},
        {"identity.groups.names.crew.id", "G1"},
        {"identity.groups.names.crew.name", "crew"},
        {"identity.groups.names.crew.metadata.room", "b12"},
        {"identity.groups.names.crew", ""},
        {"identity.groups.names.other.id", ""},
        {"identity.groups.crew.id", ""},
        {"identity.nosuch", ""},
        {"entity.id", ""},
        {"time.now", ""},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_str(template_value(str_from_cstr(cases[i].name), &entity, groups, 1), cases[i].value);
    assert_str(template_value(STR("identity.groups.names.crew.id"), &entity, NULL, 0), "");
}

static void test_parse(void **state)
{
    static const struct {
        const char *path, *shape; /* NULL: braces do not pair */
        size_t names;
    } cases[] = {
        {"a/b", "a/b", 0},      {"/a/*", "a/", 0},       {"a/{{ x }}/b", "a/x/b", 1},
        {"/{{x}}*", "x", 1},    {"{{x}}{{y}}", "xx", 2}, {"a/+/{{x}}/*", "a/+/x/", 1},
        {"a/}b{", "a/}b{", 0},  {"a/{{}}", "a/x", 1},    {"a/{{x", NULL, 0},
        {"a/x}}", NULL, 0},     {"a/}}x{{", NULL, 0},    {"a/{{x{{y}}}}", NULL, 0},
        {"a/{{x}}}}", NULL, 0},
    };
    struct arena *a = arena_new(0);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct path_part *v = NULL;
        bool templated;
        size_t n = 0, names = 0;
        const struct error *e = template_parse(a, str_from_cstr(cases[i].path), &v, &n, &templated);

        if (!cases[i].shape) {
            assert_error(e, ERR_BAD_REQUEST,
                         "failed to validate policy templating: unbalanced templating characters");
            continue;
        }
        assert_ok(e);
        for (size_t k = 0; k < n; k++)
            names += v[k].is_name;
        assert_int_equal(names, cases[i].names);
        assert_int_equal(templated, names > 0);
        assert_str(template_shape(a, v, n), cases[i].shape);
    }
    arena_free(a);
}

static struct acl *compiled(struct arena *a, const char *text, bool with_values)
{
    struct policy *p;
    const str *names;
    size_t n;

    assert_ok(policy_parse(a, STR("one"), str_from_cstr(text), &p));
    const struct policy *set[] = {p};
    struct acl *plain = acl_compile(set, 1, false, NULL);

    if (!with_values)
        return plain;
    names = acl_templates(plain, &n);
    str *values = ARENA_ARRAY(a, str, n);

    for (size_t i = 0; i < n; i++)
        values[i] = template_value(names[i], &entity, groups, 1);
    struct acl *acl = acl_compile(set, 1, false, &(struct template_values){names, values, n});

    acl_unref(plain);
    return acl;
}

static void test_decisions(void **state)
{
    static const struct {
        const char *rule, *path; /* of a rule that gives read */
        bool allowed;
    } cases[] = {
        {"k/{{identity.entity.id}}", "k/E1", true},
        {"k/{{identity.entity.id}}", "k/E2", false},
        {"k/{{identity.entity.id}}", "k/E1/x", false},
        {"/k/{{ identity.entity.name }}/*", "k/ann-entity/x/y", true},
        {"k/{{identity.entity.name}}*", "k/ann-entity2", true},
        {"k/x-{{identity.entity.metadata.team}}-y", "k/x-red-y", true},
        {"k/{{identity.entity.metadata.team}}/{{identity.groups.names.crew.metadata.room}}", "k/red/b12",
         true},
        {"k/+/{{identity.entity.metadata.team}}", "k/any/red", true},
        {"k/{{identity.entity.metadata.team}}/+/z*", "k/red/any/zz", true},
        {"{{identity.entity.metadata.team}}/x", "red/x", true},
        /* no value: the rule is dropped */
        {"k/{{identity.entity.metadata.absent}}", "k/", false},
        {"k/{{identity.entity.metadata.absent}}*", "k/x", false},
        {"k/{{identity.entity.metadata.none}}/x", "k//x", false},
        {"k/{{identity.nosuch}}", "k/", false},
        /* more than a piece of one segment: dropped */
        {"k/{{identity.entity.metadata.slash}}", "k/red/blue", false},
        {"k/{{identity.entity.metadata.slash}}/*", "k/red/blue/x", false},
        /* a wildcard is text */
        {"k/{{identity.entity.metadata.star}}", "k/red", false},
        {"k/{{identity.entity.metadata.star}}", "k/re*", true},
        {"k/{{identity.entity.metadata.star}}*", "k/red", false},
        {"k/{{identity.entity.metadata.plus}}/x", "k/any/x", false},
        {"k/{{identity.entity.metadata.plus}}/x", "k/+/x", true},
        {"k/{{identity.entity.metadata.plus}}/+", "k/any/x", false},
        {"k/{{identity.entity.metadata.mail}}/x", "k/ann+x@e/x", true},
    };
    struct arena *a = arena_new(0);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        str text = arena_fmt(a, "path \"%s\" { capabilities = [\"read\"] }", cases[i].rule);
        str path = str_from_cstr(cases[i].path);
        struct acl_result r;
        struct acl *acl = compiled(a, text.p, true), *plain = compiled(a, text.p, false);

        acl_decide(acl, OP_READ, path, &r);
        if (r.allowed != cases[i].allowed) {
            print_error("case %zu: %s for %s\n", i, cases[i].rule, cases[i].path);
            assert_true(false);
        }
        if (r.allowed)
            assert_true(acl_template_may_match(plain, path));
        acl_decide(plain, OP_READ, path, &r);
        assert_false(r.allowed);
        acl_unref(acl);
        acl_unref(plain);
    }
    arena_free(a);
}

/* A rule that denies is kept whatever its value is: it would be more that is allowed without it. */
static void test_denials(void **state)
{
    static const char text[] =
        "path \"k/*\" { capabilities = [\"read\"] }\n"
        "path \"k/{{identity.entity.metadata.slash}}/*\" { capabilities = [\"deny\"] }\n"
        "path \"k/{{identity.entity.metadata.plus}}/+/x\" { capabilities = [\"deny\"] }\n"
        "path \"k/{{identity.entity.id}}\" { capabilities = [\"deny\"] }\n"
        "path \"k/E1\" { capabilities = [\"read\"] }";
    static const struct {
        const char *path;
        bool allowed;
    } cases[] = {
        {"k/a", true}, {"k/red/blue/x", false}, {"k/red/b", true}, {"k/a/b/x", false}, {"k/E1", false}};
    struct arena *a = arena_new(0);
    struct acl *acl = compiled(a, text, true);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct acl_result r;

        acl_decide(acl, OP_READ, str_from_cstr(cases[i].path), &r);
        assert_int_equal(r.allowed, cases[i].allowed);
    }
    acl_unref(acl);
    arena_free(a);
}

/* What a set says about its templates, so that most requests need no set of their own. */
static void test_names(void **state)
{
    struct arena *a = arena_new(0);
    struct acl *acl = compiled(a,
                               "path \"a/{{z}}/{{b}}\" { }\npath \"c+d/+/{{z}}\" { }\npath \"/{{y}}x\" { }\n"
                               "path \"plain\" { }",
                               false);
    size_t n;
    const str *names = acl_templates(acl, &n);

    (void)state;
    assert_int_equal(n, 3);
    assert_str(names[0], "b");
    assert_str(names[1], "y");
    assert_str(names[2], "z");
    acl_unref(acl);
    acl = compiled(a, "path \"a/{{z}}/{{b}}\" { }\npath \"c/+/{{z}}\" { }", false);
    assert_true(acl_template_may_match(acl, STR("a/x")));
    assert_true(acl_template_may_match(acl, STR("/a/x")));
    assert_true(acl_template_may_match(acl, STR("c/d/e")));
    assert_false(acl_template_may_match(acl, STR("a")));
    assert_false(acl_template_may_match(acl, STR("b/a/x")));
    acl_unref(acl);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_parse), cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_denials), cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
