/* Matching in route tables: precedence, trailing slashes, values of names; conflicts; help and OpenAPI from a
 * table. */
#include "../base/check.h"

#undef fail
#include "core/audit/audit.h"
#include "core/policy/policy.h"
#include "core/route.h"

static struct error *nothing(struct request *rq, struct response *rs)
{
    (void)rq;
    (void)rs;
    return NULL;
}

static const struct field item_fields[] = {
    {"name", FT_NAME, FIELD_PATH, "Name of the item."},
    {"size", FT_INT, FIELD_REQUIRED, "How large.", "5"},
    {"ttl", FT_SECONDS, 0, "How long."},
    {"tags", FT_STRINGS, FIELD_DEPRECATED, "Words."},
    {"version", FT_INT, FIELD_QUERY, "Which one."},
    {0},
};

#define READ  .ops = {[OP_READ] = {nothing}}
#define LISTS .ops = {[OP_READ] = {nothing}, [OP_LIST] = {nothing}}

static const struct route table[] = {
    {"", READ},
    {"keys/", LISTS},
    {"keys/{name}", item_fields,
     .ops = {[OP_READ] = {nothing}, [OP_UPDATE] = {nothing}, [OP_DELETE] = {nothing}}, .flags = ROUTE_SUDO,
     .help = "One item.", .about = "More about it."},
    {"keys/special", READ},
    {"keys/{name}/parts", LISTS},
    {"keys/{name}/parts/{part}", READ},
    {"keys/special/parts/{part}/x", READ},
    {"tune/{path...}", READ},
    {"tune/{path...}/tune", READ},
    {"tune/{path...}/deep/tune", READ},
    {"tune/a", READ},
    {"list", LISTS},
    {"plain", READ},
    {"{any}", READ},
    {"{a}/{b}", READ},
    {"{a}/{rest...}", READ},
    {"hidden/x", READ, .flags = ROUTE_HIDDEN},
    {0},
};
static const struct route *const tables[] = {table};

static const struct {
    const char *path, *route, *params; /* values joined by '|'; route NULL: none */
} rows[] = {
    {"", "", ""},
    {"keys", "keys/", ""},
    {"keys/", "keys/", ""},
    {"keys/k", "keys/{name}", "k"},
    {"keys/k/", "{a}/{rest...}", "keys|k/"},
    {"keys/special", "keys/special", ""},
    {"keys/special/", "{a}/{rest...}", "keys|special/"},
    {"keys/k/parts", "keys/{name}/parts", "k"},
    {"keys/k/parts/", "keys/{name}/parts", "k"},
    {"keys/special/parts", "keys/{name}/parts", "special"}, /* back from the literal branch */
    {"keys/special/parts/p", "keys/{name}/parts/{part}", "special|p"},
    {"keys/special/parts/p/x", "keys/special/parts/{part}/x", "p"},
    {"keys//parts", "{a}/{rest...}", "keys|/parts"},
    {"tune", "{any}", "tune"},
    {"tune/", "tune/{path...}", ""},
    {"tune/a", "tune/a", ""},
    {"tune/a/", "tune/{path...}", "a/"},
    {"tune/a/b", "tune/{path...}", "a/b"},
    {"tune/a/b/tune", "tune/{path...}/tune", "a/b"},
    {"tune/a/b/tune/", "tune/{path...}", "a/b/tune/"},
    {"tune/tune", "tune/{path...}", "tune"},
    {"tune//tune", "tune/{path...}", "/tune"},
    {"tune/a/tune/tune", "tune/{path...}/tune", "a/tune"},
    {"tune/a/deep/tune", "tune/{path...}/deep/tune", "a"},
    {"list", "list", ""},
    {"list/", "list", ""},
    {"plain", "plain", ""},
    {"plain/", "{a}/{rest...}", "plain|"},
    {"x", "{any}", "x"},
    {"x/y", "{a}/{b}", "x|y"},
    {"x/y/z", "{a}/{rest...}", "x|y/z"},
    {"/", NULL, ""},
    {"/x", NULL, ""},
};

static void test_match(void **state)
{
    struct route_table *t = route_table_new(tables, 1);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        str params[REQUEST_PARAMS_MAX] = {0}, joined = {0}, template, want = str_from_cstr(rows[i].params);
        const struct route *r = route_match(t, str_from_cstr(rows[i].path), params);
        struct route_segment s;
        size_t n = 0;

        if (!rows[i].route) {
            assert_null(r);
            arena_free(a);
            continue;
        }
        assert_non_null(r);
        if (strcmp(r->path, rows[i].route) != 0)
            print_error("row %zu: %s\n", i, rows[i].path);
        assert_string_equal(r->path, rows[i].route);
        template = str_from_cstr(r->path);
        while (route_next_segment(&template, &s))
            if (s.kind != SEGMENT_LITERAL) {
                joined = arena_fmt(a, "%.*s%s%.*s", PSTR(joined), n ? "|" : "", PSTR(params[n]));
                n++;
            }
        assert_true(str_eq(joined, want));
        arena_free(a);
    }
    route_table_free(t);
}

/* {name...} with a required field takes at least one byte. */
static void test_required_rest(void **state)
{
    static const struct field need[] = {{"path", FT_STRING, FIELD_PATH | FIELD_REQUIRED, "p"}, {0}};
    static const struct route strict[] = {{"a/{path...}", need, READ}, {0}};
    static const struct route *const all[] = {strict};
    struct route_table *t = route_table_new(all, 1);
    str params[REQUEST_PARAMS_MAX];

    (void)state;
    assert_null(route_match(t, STR("a/"), params));
    assert_ptr_equal(route_match(t, STR("a/x"), params), strict);
    route_table_free(t);
}

static void test_conflicts(void **state)
{
    static const struct route twice[] = {
        {"a/{x}", READ}, {"a/{y}", READ}, {"a/{x...}", READ}, {"b/", LISTS}, {0}};
    static const struct route more[] = {{"b", LISTS}, {"a/{z...}", READ}, {"a/{z...}/t", READ}, {0}};
    static const struct route *const all[] = {twice, more};
    static const struct route *const real[] = {policy_routes, audit_routes};
    struct arena *a = arena_new(0);
    struct route_table *t = route_table_new(all, 2);

    (void)state;
    assert_str(route_table_conflicts(t, a), "a/{x...} and a/{z...}\nb/ and b\na/{x} and a/{y}\n");
    route_table_free(t);
    t = route_table_new(tables, 1);
    assert_str(route_table_conflicts(t, a), "");
    route_table_free(t);
    t = route_table_new(real, 2);
    assert_str(route_table_conflicts(t, a), "");
    route_table_free(t);
    arena_free(a);
}

static const struct engine engine = {
    .type = "t", .kind = ENGINE_SECRETS, .routes = table, .help = "An engine for tests."};

static void test_help(void **state)
{
    struct arena *a = arena_new(0);
    struct request rq = {.arena = a, .rel = STR("keys/k")};
    struct response rs = {0};

    (void)state;
    assert_ok(route_help(&rq, &engine, &table[2], &rs));
    assert_true(rs.bare_body);
    assert_str(
        json_get_str(rs.data, STR("help")),
        "Request:        keys/k\nMatching Route: ^keys/(?P<name>[^/]+)$\n\nOne item.\n\n## PARAMETERS\n"
        "\n    name (string)\n\n        Name of the item.\n\n    size (int)\n\n        How large.\n"
        "\n    ttl (duration (sec))\n\n        How long.\n\n    tags (slice)\n\n        "
        "(DEPRECATED)\n        Words.\n"
        "\n    version (int)\n\n        Which one.\n\n## DESCRIPTION\n\nMore about it.");
    assert_true(json_is_null(json_get(rs.data, STR("see_also"))));
    const struct json *paths = json_get(json_get(rs.data, STR("openapi")), STR("paths"));

    assert_int_equal(paths->n, 1);
    rs = (struct response){0};
    assert_ok(route_help(&rq, &engine, NULL, &rs));
    str text = json_get_str(rs.data, STR("help"));

    assert_true(str_starts(text, STR("## DESCRIPTION\n\nAn engine for tests.\n\n## PATHS\n")));
    assert_true(str_find(text, STR("\n    keys/{name}\n        One item.\n")) < text.n);
    assert_int_equal(str_find(text, STR("hidden/x")), text.n);
    arena_free(a);
}

static void test_openapi(void **state)
{
    struct arena *a = arena_new(0);
    struct json *paths = json_object(a);

    (void)state;
    route_openapi(a, paths, STR("secret/"), &engine);
    assert_null(json_get(paths, STR("/secret/hidden/x")));
    assert_non_null(json_get(paths, STR("/secret/tune/{path}/tune")));
    assert_str(json_text(a, json_get(paths, STR("/secret/keys/{name}"))),
               "{\"description\":\"One "
               "item.\",\"parameters\":[{\"name\":\"name\",\"in\":\"path\",\"required\":true,\"schema\":{"
               "\"type\":\"string\","
               "\"description\":\"Name of the item.\"}}],\"x-vault-sudo\":true,"
               "\"get\":{\"operationId\":\"read-secret-keys-name\",\"tags\":[\"secrets\"],\"parameters\":[{"
               "\"name\":\"version\",\"in\":\"query\","
               "\"schema\":{\"type\":\"integer\",\"description\":\"Which "
               "one.\"}}],\"responses\":{\"200\":{\"description\":\"OK\"}}},"
               "\"post\":{\"operationId\":\"write-secret-keys-name\",\"tags\":[\"secrets\"],\"requestBody\":{"
               "\"required\":true,\"content\":{"
               "\"application/"
               "json\":{\"schema\":{\"type\":\"object\",\"properties\":{\"size\":{\"type\":\"integer\","
               "\"description\":\"How large.\","
               "\"default\":\"5\"},\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"},"
               "\"description\":\"Words.\",\"deprecated\":true},"
               "\"ttl\":{\"type\":\"integer\",\"format\":\"seconds\",\"description\":\"How "
               "long.\"},\"version\":{\"type\":\"integer\",\"description\":\"Which "
               "one.\"}},\"required\":[\"size\"]}}}},"
               "\"responses\":{\"200\":{\"description\":\"OK\"}}},"
               "\"delete\":{\"operationId\":\"delete-secret-keys-name\",\"tags\":[\"secrets\"],"
               "\"parameters\":[{\"name\":\"version\",\"in\":\"query\","
               "\"schema\":{\"type\":\"integer\",\"description\":\"Which "
               "one.\"}}],\"responses\":{\"204\":{\"description\":\"OK\"}}}}");
    assert_str(json_get_str(json_get(json_get(paths, STR("/secret/keys/")), STR("get")), STR("operationId")),
               "read-secret-keys");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match), cmocka_unit_test(test_required_rest), cmocka_unit_test(test_conflicts),
        cmocka_unit_test(test_help),  cmocka_unit_test(test_openapi),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
