/* ui: sys/internal/ui/: what the web page and the command line ask before they know a path. The routes check
 * the token themselves. */
#include "core/active_private.h"
#include "core/login/login_private.h"
#include "core/sys/sys.h"

/* NULL token: none was sent, or (is_bad) it is not valid. */
static struct error *caller(struct request *rq, bool *ret_bad)
{
    *ret_bad = false;
    if (rq->client_token.n == 0)
        return NULL;
    bool alive = false;

    TRY(token_find(rq, rq->client_token, &rq->token));
    if (rq->token)
        TRY(login_entity_of_token(rq, &alive));
    *ret_bad = !alive;
    return alive ? acl_for(rq, rq->policies, rq->n_policies, &rq->acl) : NULL;
}

static bool may_see(const struct request *rq, const struct mount *m)
{
    return rq->acl && acl_reaches(rq->acl, m->path);
}

static bool is_listed(const struct mount *m)
{
    return str_eq(json_get_str(json_get(m->entry, STR("config")), STR("listing_visibility")), STR("unauth"));
}

static struct json *short_answer(struct arena *a, const struct mount *m)
{
    struct json *o = json_object(a);

    json_set_str(a, o, STR("type"), m->type);
    json_set_str(a, o, STR("description"), m->description);
    json_set(a, o, STR("options"), m->options ? json_copy(a, m->options) : json_null(a));
    return o;
}

static struct error *mounts_read(struct request *rq, struct response *rs)
{
    const struct mount_table *t = request_mounts(rq);
    struct json *secret = json_object(rq->arena), *auth = json_object(rq->arena);
    bool bad;

    TRY(caller(rq, &bad));
    if (bad)
        return fail(rq, ERR_DENIED, "permission denied");
    for (size_t i = 0; i < t->n; i++) {
        const struct mount *m = &t->mounts[i];
        struct json *v = may_see(rq, m) || (rq->token && is_listed(m)) ? mount_answer(rq->arena, m)
                         : is_listed(m)                                ? short_answer(rq->arena, m)
                                                                       : NULL;

        if (v && !m->tainted)
            json_add(rq->arena, m->is_auth ? auth : secret, m->is_auth ? str_from(m->path, 5) : m->path, v);
    }
    json_set(rq->arena, response_data(rq, rs), STR("secret"), secret);
    json_set(rq->arena, response_data(rq, rs), STR("auth"), auth);
    return NULL;
}

static struct error *mount_read(struct request *rq, struct response *rs)
{
    str path = field_str(rq, "path");
    bool bad;

    if (!str_ends(path, STR("/")))
        path = arena_join(rq->arena, path, STR("/"));
    TRY(caller(rq, &bad));
    if (bad || !rq->acl)
        return fail(rq, ERR_DENIED, "permission denied");
    const struct mount *m = mount_find(request_mounts(rq), path);

    if (!m || m->tainted || !may_see(rq, m))
        return fail(rq, ERR_DENIED,
                    "preflight capability check returned 403, please ensure client's policies grant access "
                    "to path \"%.*s\"",
                    PSTR(path));
    rs->data = mount_answer(rq->arena, m);
    json_set_str(rq->arena, rs->data, STR("path"), m->is_auth ? str_from(m->path, 5) : m->path);
    return NULL;
}

static struct error *namespaces_read(struct request *rq, struct response *rs)
{
    struct json *keys = json_array(rq->arena);

    if (rq->client_token.n == 0)
        return fail(rq, ERR_INTERNAL, "client token empty");
    json_append(rq->arena, keys, json_string(rq->arena, (str){0}));
    json_set(rq->arena, response_data(rq, rs), STR("keys"), keys);
    return NULL;
}

static struct error *flags_read(struct request *rq, struct response *rs)
{
    rs->data = json_object(rq->arena);
    json_set(rq->arena, rs->data, STR("feature_flags"), json_null(rq->arena));
    rs->bare_body = true;
    return NULL;
}

/* Of the mounts that the caller may see. */
static struct error *openapi_read(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    const struct mount_table *t = request_mounts(rq);
    bool bad;
    struct json *doc = json_object(a), *info = json_object(a), *paths = json_object(a);

    TRY(caller(rq, &bad));
    if (bad)
        return fail(rq, ERR_DENIED, "permission denied");
    json_set_str(a, info, STR("title"), STR("HashiCorp Vault API"));
    json_set_str(a, info, STR("description"),
                 STR("HTTP API of the secrets server. All paths begin with /v1/."));
    json_set_str(a, info, STR("version"), rq->core->config.version);
    for (size_t i = 0; i < t->n; i++)
        if (t->mounts[i].engine && !t->mounts[i].tainted &&
            (may_see(rq, &t->mounts[i]) || is_listed(&t->mounts[i])))
            route_openapi(a, paths, t->mounts[i].path, t->mounts[i].engine);
    json_set_str(a, doc, STR("openapi"), STR("3.0.2"));
    json_set(a, doc, STR("info"), info);
    json_set(a, doc, STR("paths"), paths);
    rs->data = doc;
    rs->bare_body = true;
    return NULL;
}

static const struct field path_fields[] = {
    {"path", FT_STRING, FIELD_PATH | FIELD_REQUIRED, .help = "any path below the mount"},
    {0},
};

static const struct field openapi_fields[] = {
    {"context", FT_STRING, FIELD_QUERY, .help = "Not looked at."},
    {"generic_mount_paths", FT_BOOL, FIELD_QUERY, .help = "Not looked at: paths are those of the mounts."},
    {0},
};

const struct route sys_ui_routes[] = {
    {"internal/specs/openapi", openapi_fields,
     .ops = {[OP_READ] = {openapi_read}, [OP_UPDATE] = {openapi_read, ROUTE_READONLY}}, .flags = ROUTE_UNAUTH,
     .help = "this API as an OpenAPI document"},
    {"internal/ui/mounts", .ops = {[OP_READ] = {mounts_read}}, .flags = ROUTE_UNAUTH,
     .help = "the mounts the caller may use, and those listed for everybody"},
    {"internal/ui/mounts/{path...}", path_fields, .ops = {[OP_READ] = {mount_read}}, .flags = ROUTE_UNAUTH,
     .help = "the mount of a path, for a caller who may use something below it"},
    {"internal/ui/namespaces", .ops = {[OP_READ] = {namespaces_read}}, .flags = ROUTE_UNAUTH,
     .help = "the namespaces: the root alone"},
    {"internal/ui/feature-flags", .ops = {[OP_READ] = {flags_read}}, .flags = ROUTE_UNAUTH,
     .help = "feature flags: none"},
    {0},
};
