/* help: the texts of path-help and the OpenAPI description, both from the route tables. */
#include "base/buf.h"
#include "core/route.h"

enum { HELP_TEXT_MAX = 1024 * 1024, HELP_MARGIN = 4 };

static const char *const type_words[] = {
    [FT_STRING] = "string", [FT_NAME] = "string", [FT_LOWER] = "lowercase string",
    [FT_INT] = "int",       [FT_BOOL] = "bool",   [FT_SECONDS] = "duration (sec)",
    [FT_STRINGS] = "slice", [FT_LIST] = "slice",  [FT_SIGNED_SECONDS] = "duration (sec)",
    [FT_KV] = "key pairs",  [FT_MAP] = "map",     [FT_ANY] = "any",
    [FT_TIME] = "time",     [FT_FLOAT] = "float",
};

/* ---- text ---- */

static void put_indented(struct buf *b, str text, int columns)
{
    str line;
    bool more;

    do {
        more = str_cut(text, '\n', &line, &text);
        if (line.n)
            buf_put_fmt(b, "%*s%.*s", columns, "", PSTR(line));
        buf_put_byte(b, '\n');
    } while (more);
}

static void put_field(struct buf *b, const struct field *f)
{
    buf_put_fmt(b, "\n%*s%s (%s)\n\n", HELP_MARGIN, "", f->name, type_words[f->type]);
    if (f->flags & FIELD_DEPRECATED)
        put_indented(b, STR("(DEPRECATED)"), 2 * HELP_MARGIN);
    put_indented(b, str_from_cstr(f->help), 2 * HELP_MARGIN);
}

/* The template as the pattern it stands for: "^keys/(?P<name>[^/]+)$". */
static void put_pattern(struct buf *b, str path)
{
    str before, name, rest;

    buf_put_byte(b, '^');
    while (str_cut(path, '{', &before, &rest) && str_cut(rest, '}', &name, &path)) {
        bool all = str_ends(name, STR("..."));

        buf_put_fmt(b, "%.*s(?P<%.*s>%s)", PSTR(before), PSTR(str_slice(name, 0, name.n - (all ? 3 : 0))),
                    all ? ".+" : "[^/]+");
    }
    buf_put_fmt(b, "%.*s$", PSTR(path));
}

static void put_route_text(struct buf *b, str path, const struct route *r)
{
    buf_put_fmt(b, "Request:        %.*s\nMatching Route: ", PSTR(path));
    put_pattern(b, str_from_cstr(r->path));
    buf_put_fmt(b, "\n\n%s\n", r->help ? r->help : "<no synopsis>");
    if (r->fields && r->fields[0].name)
        buf_put_str(b, STR("\n## PARAMETERS\n"));
    for (const struct field *f = r->fields; f && f->name; f++)
        put_field(b, f);
    if (r->about)
        buf_put_fmt(b, "\n## DESCRIPTION\n\n%s\n", r->about);
}

static void put_paths(struct buf *b, const struct route *table)
{
    for (const struct route *r = table; r && r->path; r++) {
        if (r->flags & ROUTE_HIDDEN)
            continue;
        buf_put_fmt(b, "\n%*s%s\n", HELP_MARGIN, "", r->path);
        if (r->help)
            put_indented(b, str_from_cstr(r->help), 2 * HELP_MARGIN);
    }
}

static void put_engine_text(struct buf *b, const struct engine *e)
{
    buf_put_fmt(b,
                "## DESCRIPTION\n\n%s\n\n## PATHS\n\nPaths below this mount. Help on one of them is given "
                "for any path of its form.\n",
                e->help ? e->help : "");
    put_paths(b, e->routes);
    for (const struct route *const *t = e->more_routes; t && *t; t++)
        put_paths(b, *t);
}

/* ---- OpenAPI ---- */

static struct json *schema(struct arena *a, const struct field *f)
{
    struct json *s = json_object_ordered(a), *items;

    switch (f->type) {
    case FT_INT:
    case FT_SECONDS:
    case FT_SIGNED_SECONDS: json_set_str(a, s, STR("type"), STR("integer")); break;
    case FT_FLOAT:
        json_set_str(a, s, STR("type"), STR("number"));
        json_set_str(a, s, STR("format"), STR("float"));
        break;
    case FT_BOOL: json_set_str(a, s, STR("type"), STR("boolean")); break;
    case FT_STRINGS:
    case FT_LIST:
        json_set_str(a, s, STR("type"), STR("array"));
        items = json_object(a);
        json_set_str(a, items, STR("type"), STR("string"));
        json_set(a, s, STR("items"), items);
        break;
    case FT_KV:
    case FT_MAP: json_set_str(a, s, STR("type"), STR("object")); break;
    case FT_ANY: break;
    default: json_set_str(a, s, STR("type"), STR("string"));
    }
    if (f->type == FT_SECONDS || f->type == FT_SIGNED_SECONDS)
        json_set_str(a, s, STR("format"), STR("seconds"));
    if (f->type == FT_TIME)
        json_set_str(a, s, STR("format"), STR("date-time"));
    json_set_str(a, s, STR("description"), str_from_cstr(f->help));
    if (f->dflt && f->type == FT_BOOL)
        json_set_bool(a, s, STR("default"), strcmp(f->dflt, "true") == 0);
    else if (f->dflt)
        json_set_str(a, s, STR("default"), str_from_cstr(f->dflt));
    if (f->flags & FIELD_DEPRECATED)
        json_set_bool(a, s, STR("deprecated"), true);
    if (f->allowed) {
        struct json *values = json_array(a);

        for (const char *const *v = f->allowed; *v; v++)
            json_append(a, values, json_string(a, str_from_cstr(*v)));
        json_set(a, s, STR("enum"), values);
    }
    return s;
}

static struct json *parameter(struct arena *a, str name, const char *in, bool required, struct json *of)
{
    struct json *p = json_object_ordered(a);

    json_set_str(a, p, STR("name"), name);
    json_set_str(a, p, STR("in"), str_from_cstr(in));
    if (required)
        json_set_bool(a, p, STR("required"), true);
    json_set(a, p, STR("schema"), of);
    return p;
}

static const struct field *field_named(const struct route *r, str name)
{
    static const struct field text = {"", FT_STRING, 0, "", NULL, NULL};

    for (const struct field *f = r->fields; f && f->name; f++)
        if (str_eq(str_from_cstr(f->name), name))
            return f;
    return &text;
}

static bool in_path(const struct route *r, str name)
{
    str template = str_from_cstr(r->path);
    struct route_segment s;

    while (route_next_segment(&template, &s))
        if (s.kind != SEGMENT_LITERAL && str_eq(s.text, name))
            return true;
    return false;
}

static struct json *request_body(struct arena *a, const struct route *r)
{
    struct json *properties = json_object(a), *required = json_array(a), *type = json_object_ordered(a);

    for (const struct field *f = r->fields; f && f->name; f++) {
        str name = str_from_cstr(f->name);

        if (in_path(r, name))
            continue;
        json_set(a, properties, name, schema(a, f));
        if (f->flags & FIELD_REQUIRED)
            json_append(a, required, json_string(a, name));
    }
    if (properties->n == 0)
        return NULL;
    json_set_str(a, type, STR("type"), STR("object"));
    json_set(a, type, STR("properties"), properties);
    if (required->n)
        json_set(a, type, STR("required"), required);
    struct json *media = json_object(a), *content = json_object(a), *body = json_object_ordered(a);

    json_set(a, media, STR("schema"), type);
    json_set(a, content, STR("application/json"), media);
    json_set_bool(a, body, STR("required"), true);
    json_set(a, body, STR("content"), content);
    return body;
}

static str operation_id(struct arena *a, const char *verb, str path)
{
    struct buf b;

    buf_init(&b, a, path.n + 64);
    buf_put_str(&b, str_from_cstr(verb));
    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (word)
            buf_put_byte(&b, (uint8_t)c);
        else if (b.n && b.p[b.n - 1] != '-')
            buf_put_byte(&b, '-');
    }
    while (b.n && b.p[b.n - 1] == '-')
        b.n--;
    return buf_str(&b);
}

static struct json *operation(struct arena *a, const struct engine *e, const struct route *r, enum op op,
                              str path)
{
    const char *tag = e->kind == ENGINE_SECRETS ? "secrets" : e->kind == ENGINE_AUTH ? "auth" : "system";
    struct json *o = json_object_ordered(a), *ok = json_object(a), *codes = json_object(a),
                *list = json_object(a);
    struct json *parameters = json_array(a), *body = NULL;

    if (r->ops[op].help)
        json_set_str(a, o, STR("summary"), str_from_cstr(r->ops[op].help));
    json_set_str(a, o, STR("operationId"), operation_id(a, op == OP_UPDATE ? "write" : op_name(op), path));
    json_set(a, o, STR("tags"), json_strings(a, &(str){tag, strlen(tag)}, 1));
    if (op == OP_LIST || (op == OP_READ && r->ops[OP_LIST].fn)) { /* the verb `get` is both */
        json_set_str(a, list, STR("type"), STR("string"));
        json_append(a, parameters, parameter(a, STR("list"), "query", op == OP_LIST, list));
    }
    for (const struct field *f = r->fields; f && f->name; f++)
        if ((f->flags & FIELD_QUERY) && op != OP_UPDATE && op != OP_PATCH)
            json_append(a, parameters, parameter(a, str_from_cstr(f->name), "query", false, schema(a, f)));
    if (parameters->n)
        json_set(a, o, STR("parameters"), parameters);
    if (op == OP_UPDATE || op == OP_PATCH)
        body = request_body(a, r);
    if (body)
        json_set(a, o, STR("requestBody"), body);
    json_set_str(a, ok, STR("description"), STR("OK"));
    json_set(a, codes, op == OP_DELETE ? STR("204") : STR("200"), ok);
    json_set(a, o, STR("responses"), codes);
    return o;
}

/* "mounts/{path...}/tune" is written "mounts/{path}/tune". */
static str shown_path(struct arena *a, const char *path)
{
    str s = str_from_cstr(path);
    size_t at = str_find(s, STR("...}"));

    return at == s.n ? s : arena_join(a, str_slice(s, 0, at), str_from(s, at + 3));
}

static void path_item(struct arena *a, struct json *paths, str mount_path, const struct engine *e,
                      const struct route *r)
{
    str shown = arena_fmt(a, "/%.*s%.*s", PSTR(mount_path), PSTR(shown_path(a, r->path)));
    struct json *item = json_object_ordered(a), *parameters = json_array(a);
    const struct {
        enum op op;
        str verb;
    } verbs[] = {{OP_READ, STR("get")},
                 {OP_UPDATE, STR("post")},
                 {OP_PATCH, STR("patch")},
                 {OP_DELETE, STR("delete")}};
    str template = str_from_cstr(r->path);
    struct route_segment s;

    if (r->help)
        json_set_str(a, item, STR("description"), str_from_cstr(r->help));
    while (route_next_segment(&template, &s))
        if (s.kind != SEGMENT_LITERAL)
            json_append(a, parameters, parameter(a, s.text, "path", true, schema(a, field_named(r, s.text))));
    if (parameters->n)
        json_set(a, item, STR("parameters"), parameters);
    if (r->flags & ROUTE_SUDO)
        json_set_bool(a, item, STR("x-vault-sudo"), true);
    if (r->flags & ROUTE_UNAUTH)
        json_set_bool(a, item, STR("x-vault-unauthenticated"), true);
    if (r->exists)
        json_set_bool(a, item, STR("x-vault-createSupported"), true);
    if (r->ops[OP_LIST].fn)
        json_set(a, item, STR("get"), operation(a, e, r, OP_LIST, shown));
    for (size_t i = 0; i < COUNT_OF(verbs); i++)
        if (r->ops[verbs[i].op].fn)
            json_set(a, item, verbs[i].verb, operation(a, e, r, verbs[i].op, shown));
    json_set(a, paths, shown, item);
}

static void path_items(struct arena *a, struct json *paths, str mount_path, const struct engine *e,
                       const struct route *table)
{
    for (const struct route *r = table; r && r->path; r++)
        if (!(r->flags & ROUTE_HIDDEN))
            path_item(a, paths, mount_path, e, r);
}

void route_openapi(struct arena *a, struct json *paths, str mount_path, const struct engine *engine)
{
    path_items(a, paths, mount_path, engine, engine->routes);
    for (const struct route *const *t = engine->more_routes; t && *t; t++)
        path_items(a, paths, mount_path, engine, *t);
}

static struct json *document(struct arena *a, const struct engine *engine, const struct route *route)
{
    struct json *doc = json_object_ordered(a), *info = json_object_ordered(a), *paths = json_object(a);

    json_set_str(a, info, STR("title"), STR("Coffer API"));
    json_set_str(a, info, STR("description"), STR("HTTP API of the server; every path stands under /v1/."));
    json_set_str(a, info, STR("version"), STR(COFFER_VERSION));
    if (route)
        path_item(a, paths, (str){0}, engine, route);
    else
        route_openapi(a, paths, (str){0}, engine);
    json_set_str(a, doc, STR("openapi"), STR("3.0.2"));
    json_set(a, doc, STR("info"), info);
    json_set(a, doc, STR("paths"), paths);
    return doc;
}

struct error *route_help(struct request *rq, const struct engine *engine, const struct route *route,
                         struct response *rs)
{
    struct json *data = response_data(rq, rs);
    struct buf text;

    buf_init(&text, rq->arena, HELP_TEXT_MAX);
    if (route)
        put_route_text(&text, rq->rel, route);
    else
        put_engine_text(&text, engine);
    json_set_str(rq->arena, data, STR("help"), str_trim(buf_str(&text)));
    json_set(rq->arena, data, STR("see_also"), json_null(rq->arena));
    json_set(rq->arena, data, STR("openapi"), document(rq->arena, engine, route));
    rs->bare_body = true;
    return NULL;
}
