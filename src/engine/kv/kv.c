#include "engine/kv/kv.h"

#include "core/mount.h"

/* A path that cannot hold an entry: the mount itself, or a folder. */
static bool is_folder(str rel)
{
    return rel.n == 0 || str_ends(rel, STR("/"));
}

static struct error *check_utf8(struct request *rq, const char *what)
{
    for (str s = rq->rel; s.n > 0;) {
        size_t n = str_utf8_len(s);

        if (n == 0)
            return fail_wrapped(rq, ERR_INTERNAL, "%skey contains invalid UTF-8 characters", what);
        s = str_from(s, n);
    }
    return NULL;
}

/* A `ttl` or `lease` member only tells how long a reader should keep the answer; one that is no duration is
 * ignored. */
static int64_t lease_duration_s(struct request *rq, const struct json *data)
{
    const struct json *v = json_get(data, STR("ttl"));
    int64_t ns;

    if (!v)
        v = json_get(data, STR("lease"));
    if (!v || (v->type != JSON_STRING && v->type != JSON_NUMBER) ||
        duration_parse(rq->arena, v->text, &ns) != NULL)
        ns = mount_default_ttl_ns(rq, rq->mount);
    return ns / NS_PER_S;
}

static struct error *secret_read(struct request *rq, struct response *rs)
{
    if (is_folder(rq->rel))
        return fail_absent(rq);
    TRY(view_get_json(rq->view, rq->rel, &rs->data));
    if (!rs->data)
        return fail_absent(rq);
    rs->lease_duration_s = lease_duration_s(rq, rs->data);
    return NULL;
}

static struct error *secret_write(struct request *rq, struct response *rs)
{
    (void)rs;
    if (!rq->data || rq->data->n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing data fields");
    TRY(check_utf8(rq, "failed to write: "));
    return view_put_json(rq->view, rq->rel, rq->data);
}

static struct error *secret_delete(struct request *rq, struct response *rs)
{
    (void)rs;
    if (is_folder(rq->rel))
        return NULL;
    TRY(check_utf8(rq, ""));
    return view_delete(rq->view, rq->rel);
}

static struct error *secret_list(struct request *rq, struct response *rs)
{
    str folder = rq->rel, *names;
    size_t n;

    if (!is_folder(folder))
        folder = arena_join(rq->arena, folder, STR("/"));
    TRY(view_list(rq->view, folder, &names, &n));
    return response_list(rq, rs, names, n);
}

static struct error *secret_exists(struct request *rq, bool *ret_exists)
{
    if (!is_folder(rq->rel))
        return view_has(rq->view, rq->rel, ret_exists);
    *ret_exists = false;
    return NULL;
}

static struct error *version_check(struct request *rq)
{
    const struct json *version = json_get(rq->mount->options, STR("version"));

    if (version && version->type == JSON_STRING && version->text.n && !str_eq(version->text, STR("1")))
        return fail(rq, ERR_BAD_REQUEST, "version %.*s of the kv engine is not supported by this server",
                    PSTR(version->text));
    return NULL;
}

static const struct field secret_fields[] = {
    {"path", FT_STRING, FIELD_PATH, .help = "Where the secret lies in the mount."},
    {0},
};

static const struct route kv_routes[] = {
    {"{path...}", secret_fields,
     .ops = {[OP_READ] = {secret_read, .help = "Reads a secret."},
             [OP_UPDATE] = {secret_write, .help = "Stores a secret; what was there is replaced."},
             [OP_DELETE] = {secret_delete, .help = "Deletes a secret."},
             [OP_LIST] = {secret_list, .help = "Lists the names below a path, folders with a slash."}},
     .flags = ROUTE_RAW_BODY, .exists = secret_exists, .help = "Secrets as they were sent.",
     .about = "Stores any JSON object under a path. A member \"ttl\" tells readers how long they may keep "
              "the answer."},
    {0},
};

static str secrets_folder(struct arena *a, const struct mount *m)
{
    (void)a;
    (void)m;
    return (str){0};
}

const struct engine kv_engine = {
    .type = "kv",
    .kind = ENGINE_SECRETS,
    .routes = kv_routes,
    .help = "Keys and values, one version of each.",
    .plugin_version = "v0.15.0+builtin",
    .create = version_check,
    .secrets_folder = secrets_folder,
};
