/* What holds for every route of every engine; and that the bytes of a path that the ACL decides on are those
 * that are routed. */
#include "core/active_private.h"
#include "web.h"

/* ---- the tables ---- */

static bool has_field(const struct route *r, str name)
{
    for (const struct field *f = r->fields; f && f->name; f++)
        if (str_eq(str_from_cstr(f->name), name))
            return (f->flags & FIELD_PATH) != 0;
    return false;
}

static bool is_in_template(const struct route *r, const char *name)
{
    struct route_segment s;

    for (str t = str_from_cstr(r->path); route_next_segment(&t, &s);)
        if (s.kind != SEGMENT_LITERAL && str_eq(s.text, str_from_cstr(name)))
            return true;
    return false;
}

#define CHECK(what)                                                                                          \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            print_error("%s: %s: %s\n", e->type, r->path, #what);                                            \
            bad++;                                                                                           \
        }                                                                                                    \
    } while (0)

static unsigned check_route(const struct engine *e, const struct route *r)
{
    struct route_segment s;
    unsigned n_ops = 0, bad = 0;

    for (int op = 0; op < OP_COUNT_; op++) {
        n_ops += r->ops[op].fn != NULL;
        CHECK(r->ops[op].fn || (!r->ops[op].flags && !r->ops[op].help));
    }
    CHECK(n_ops > 0);
    CHECK(!r->ops[OP_HELP].fn && !r->ops[OP_NONE].fn); /* are core's */
    CHECK(r->help && r->help[0]);
    CHECK(r->path[0] != '/');
    for (str t = str_from_cstr(r->path); route_next_segment(&t, &s);)
        CHECK(s.kind == SEGMENT_LITERAL || has_field(r, s.text));
    for (const struct field *f = r->fields; f && f->name; f++) {
        CHECK(f->help && f->help[0]);
        CHECK(f->type <= FT_TIME);
        CHECK(!(f->flags & FIELD_PATH) || is_in_template(r, f->name));
        for (const struct field *g = f + 1; g->name; g++)
            CHECK(strcmp(f->name, g->name) != 0);
    }
    return bad;
}

static unsigned check_table(const struct engine *e, const struct route *routes)
{
    unsigned bad = 0;

    for (const struct route *r = routes; r && r->path; r++)
        bad += check_route(e, r);
    return bad;
}

static void tables_are_whole(void **state)
{
    struct harness h;
    unsigned n = 0, bad = 0;

    (void)state;
    harness_start(&h, &(struct harness_options){.stays_sealed = true});
    for (const struct engine_entry *entry = h.core->engines; entry->engine; entry++, n++) {
        const struct engine *e = entry->engine;
        str conflicts = route_table_conflicts(entry->routes, h.arena);

        if (conflicts.n > 0)
            print_error("%s: %.*s\n", e->type, PSTR(conflicts));
        bad += conflicts.n > 0;
        bad += check_table(e, e->routes);
        for (const struct route *const *t = e->more_routes; t && *t; t++)
            bad += check_table(e, *t);
        bad += !e->help || !e->plugin_version;
    }
    assert_true(n >= 4);
    assert_int_equal(bad, 0);
    harness_stop(&h);
}

/* ---- odd paths ---- */

/* Says, in hex, which path it was given. */
static struct error *echo(struct request *rq, struct response *rs)
{
    json_set_str(rq->arena, response_data(rq, rs), STR("path"),
                 hex_encode(rq->arena, bytes_from_str(rq->path)));
    json_set_str(rq->arena, response_data(rq, rs), STR("rel"),
                 hex_encode(rq->arena, bytes_from_str(rq->rel)));
    return NULL;
}

static const struct field echo_fields[] = {{"path", FT_STRING, FIELD_PATH, .help = "any"}, {0}};
static const struct route echo_routes[] = {
    {"{path...}", echo_fields, .ops = {[OP_READ] = {echo}, [OP_LIST] = {echo}}, .help = "says its path"},
    {0},
};
static const struct engine echo_engine = {.type = "echo",
                                          .kind = ENGINE_SECRETS,
                                          .routes = echo_routes,
                                          .help = "says its path",
                                          .plugin_version = "v1"};

static const struct {
    const char *target;
    int status;
    const char *path; /* 200: what is routed; 301: where to */
    bool no_policy;   /* no exact rule can be written for it */
} corpus[] = {
    {"/v1/echo/a", 200, "echo/a"},
    {"/v1/echo/A", 200, "echo/A"},
    {"/v1/echo/a/b", 200, "echo/a/b"},
    {"/v1/echo/a/", 200, "echo/a/"},
    {"/v1/echo/a%2f", 200, "echo/a/"},
    {"/v1/echo/a%2Fb", 200, "echo/a/b"},
    {"/v1/echo/%61", 200, "echo/a"},
    {"/v1/%65cho/a", 200, "echo/a"},
    {"/%76%31/echo/a", 200, "echo/a"},
    {"http://other/v1/echo/a", 200, "echo/a"},
    {"/v1/echo/a?x=/../b", 200, "echo/a"},
    {"/v1/echo/a%3Fb", 200, "echo/a?b"},
    {"/v1/echo/a%23b", 200, "echo/a#b"},
    {"/v1/echo/a%2561", 200, "echo/a%61"},
    {"/v1/echo/a%252e%252e%252fb", 200, "echo/a%2e%2e%2fb"},
    {"/v1/echo/a+b", 200, "echo/a+b"},
    {"/v1/echo/a%20b", 200, "echo/a b"},
    {"/v1/echo/a%20", 200, "echo/a "},
    {"/v1/echo/%20a", 200, "echo/ a"},
    {"/v1/echo/a;b=c", 200, "echo/a;b=c"},
    {"/v1/echo/a%5c..%5cb", 200, "echo/a\\..\\b"},
    {"/v1/echo/a%22%27b", 200, "echo/a\"'b"},
    {"/v1/echo/...", 200, "echo/..."},
    {"/v1/echo/.a", 200, "echo/.a"},
    {"/v1/echo/a.", 200, "echo/a."},
    {"/v1/echo/a%C3%A9", 200, "echo/a\xc3\xa9"},
    {"/v1/echo/a%65%CC%81", 200, "echo/ae\xcc\x81"},
    {"/v1/echo/a%E2%80%AEb", 200,
     "echo/a\xe2\x80\xae"
     "b"},
    {"/v1/echo/a%EF%BC%8Fb", 200,
     "echo/a\xef\xbc\x8f"
     "b"},
    {"/v1/echo/a%C0%AF..", 200, "echo/a\xc0\xaf..", true},
    {"/v1/echo/a%ff", 200, "echo/a\xff", true},
    {"/v1/echo/a*", 200, "echo/a*", true},
    {"/v1/echo/+", 200, "echo/+", true},
    {"/v1/echo/%7b%7bidentity.entity.id%7d%7d", 200, "echo/{{identity.entity.id}}", true},
    {"/v1/echo/", 200, "echo/"},
    {"/v1/echo/..", 301, "/v1"},
    {"/v1/echo/../sys/mounts", 301, "/v1/sys/mounts"},
    {"/v1/echo/%2e%2e/sys/mounts", 301, "/v1/sys/mounts"},
    {"/v1/echo/a%2f%2e%2e%2fb", 301, "/v1/echo/b"},
    {"/v1/echo/.%2e/sys/mounts", 301, "/v1/sys/mounts"},
    {"/v1/echo//a", 301, "/v1/echo/a"},
    {"/v1/echo/%2f/a", 301, "/v1/echo/a"},
    {"/v1//echo/a", 301, "/v1/echo/a"},
    {"/v1/echo/./a", 301, "/v1/echo/a"},
    {"/v1/echo/a/.", 301, "/v1/echo/a"},
    {"/v1/../v1/echo/a", 301, "/v1/echo/a"},
    {"/v1/echo/a%00b", 400, NULL},
    {"/v1/echo/a%0ab", 400, NULL},
    {"/v1/echo/a%0d%0ab", 400, NULL},
    {"/v1/echo/a%1f", 400, NULL},
    {"/v1/echo/a%7fb", 400, NULL},
    {"/v1/echo/%zz", 400, NULL},
    {"/v1/echo/a%2", 400, NULL},
    {"/V1/echo/a", 404, NULL},
    {"/v2/echo/a", 404, NULL},
    {"/echo/a", 404, NULL},
};

/* The policy as JSON: no path needs escapes of its own. */
static str token_for(struct web *w, const char *path, size_t number)
{
    struct arena *a = w->h.arena;
    struct json *rule = json_object(a), *paths = json_object(a), *policy = json_object(a),
                *may = json_array(a);

    json_append(a, may, json_string(a, STR("read")));
    json_set(a, rule, STR("capabilities"), may);
    json_set(a, paths, str_from_cstr(path), rule);
    json_set(a, policy, STR("path"), paths);
    return harness_token(&w->h, arena_fmt(a, "p%zu", number).p, arena_cstr(a, json_text(a, policy)));
}

static void check_root(struct web *w, struct arena *a, size_t i)
{
    struct web_answer answer =
        web_call(w, a, "GET", str_from_cstr(corpus[i].target), w->h.root, NULL, (str){0});
    struct json *v;

    if (answer.status != corpus[i].status)
        print_error("%s: %d\n", corpus[i].target, answer.status);
    assert_int_equal(answer.status, corpus[i].status);
    if (answer.status == 301)
        assert_str(web_field(&answer, "Location"), corpus[i].path);
    if (answer.status != 200)
        return;
    assert_ok(json_parse(a, answer.body, true, &v));
    str path = str_from_cstr(corpus[i].path);

    assert_str(json_get_str(json_get(v, STR("data")), STR("path")),
               arena_cstr(a, hex_encode(a, bytes_from_str(path))));
    assert_str(json_get_str(json_get(v, STR("data")), STR("rel")),
               arena_cstr(a, hex_encode(a, bytes_from_str(str_from(path, sizeof("echo/") - 1)))));
}

/* A token that may read one path reads it under each of its spellings, and none of the others. */
static void check_granted(struct web *w, struct arena *a, size_t granted)
{
    str token = token_for(w, corpus[granted].path, granted);

    for (size_t i = 0; i < COUNT_OF(corpus) && corpus[i].path; i++) {
        bool same = strcmp(corpus[i].path, corpus[granted].path) == 0;
        int want = corpus[i].status == 200 && !same ? 403 : corpus[i].status;
        struct web_answer answer =
            web_call(w, a, "GET", str_from_cstr(corpus[i].target), token, NULL, (str){0});

        if (answer.status != want)
            print_error("%s with %s: %d\n", corpus[i].target, corpus[granted].path, answer.status);
        assert_int_equal(answer.status, want);
        arena_reset(a);
    }
}

static const struct engine *const engines[] = {&echo_engine, NULL};

static void decided_path_is_routed_path(void **state)
{
    struct arena *a = arena_new(0);
    struct web w;

    (void)state;
    web_start(&w, &(struct harness_options){.engines = engines}, &(struct web_options){0});
    harness_mount(&w.h, "echo", "echo");
    for (size_t i = 0; i < COUNT_OF(corpus); i++) {
        check_root(&w, a, i);
        arena_reset(a);
    }
    for (size_t i = 0; i < COUNT_OF(corpus); i++)
        if (corpus[i].status == 200 && !corpus[i].no_policy)
            check_granted(&w, a, i);
    web_stop(&w);
    arena_free(a);
}

/* Without the check control characters are part of a path like others; NUL never is. */
static void control_characters(void **state)
{
    struct arena *a = arena_new(0);
    struct web w;

    (void)state;
    web_start(&w, &(struct harness_options){.engines = engines},
              &(struct web_options){.disable_printable_check = true});
    harness_mount(&w.h, "echo", "echo");
    str token = token_for(&w, "echo/a\nb", 0);

    assert_int_equal(web_call(&w, a, "GET", STR("/v1/echo/a%0ab"), token, NULL, (str){0}).status, 200);
    assert_int_equal(web_call(&w, a, "GET", STR("/v1/echo/a%0Ab"), token, NULL, (str){0}).status, 200);
    assert_int_equal(web_call(&w, a, "GET", STR("/v1/echo/ab"), token, NULL, (str){0}).status, 403);
    assert_int_equal(web_call(&w, a, "GET", STR("/v1/echo/a%0db"), token, NULL, (str){0}).status, 403);
    assert_int_equal(web_call(&w, a, "GET", STR("/v1/echo/a%00b"), w.h.root, NULL, (str){0}).status, 400);
    web_stop(&w);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables_are_whole),
                                       cmocka_unit_test(decided_path_is_routed_path),
                                       cmocka_unit_test(control_characters)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
