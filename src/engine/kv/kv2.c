#include "engine/kv/kv2.h"

#include "engine/kv/kv2_private.h"

struct error *kv2_invalid(struct request *rq, struct response *rs)
{
    static const char *const roots[] = {"metadata", "data", "delete", "undelete", "destroy"};
    static const char *const commands[OP_COUNT_] = {
        [OP_READ] = "get",    [OP_CREATE] = "put",    [OP_UPDATE] = "put",
        [OP_PATCH] = "patch", [OP_DELETE] = "delete", [OP_LIST] = "list"};

    rs->status = 404;
    for (size_t i = 0; i < COUNT_OF(roots); i++)
        if (str_eq(rq->rel, str_from_cstr(roots[i]))) {
            response_warn(rq, rs, "Non-listing operations on the root of a K/V v2 mount are not supported.");
            return NULL;
        }
    response_warn(rq, rs,
                  "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API "
                  "endpoints to use. If using "
                  "the Vault CLI, use 'vault kv %s' for this operation.",
                  commands[rq->op]);
    return NULL;
}

/* ---- config ---- */

static struct error *config_read(struct request *rq, struct response *rs)
{
    Kv2__Configuration *c;
    struct kv2 s;

    TRY(kv2_open(rq, &s));
    TRY(kv2_config_load(&s, &c));
    struct json *o = response_data(rq, rs);

    json_set_bool(rq->arena, o, STR("cas_required"), c->cas_required);
    json_set_str(rq->arena, o, STR("delete_version_after"),
                 duration_format(rq->arena, kv2_duration_ns(c->delete_version_after)));
    json_set_int(rq->arena, o, STR("max_versions"), c->max_versions);
    return NULL;
}

static struct error *config_write(struct request *rq, struct response *rs)
{
    bool max = field_given(rq, "max_versions"), cas = field_given(rq, "cas_required"),
         after = field_given(rq, "delete_version_after");
    int64_t ns = field_ns(rq, "delete_version_after");
    Kv2__Configuration *c;
    struct kv2 s;

    (void)rs;
    if (!max && !cas && !after)
        return NULL;
    TRY(kv2_open_to_write(rq, &s));
    TRY(kv2_config_load(&s, &c));
    if (max)
        c->max_versions = (uint32_t)field_int(rq, "max_versions");
    if (cas)
        c->cas_required = field_bool(rq, "cas_required");
    if (after) /* any negative time is kept as -1 s: off */
        c->delete_version_after = ns == 0 ? NULL : kv2_duration(rq->arena, MAX(ns, -NS_PER_S));
    return kv2_config_save(&s, c);
}

static const struct field config_fields[] = {
    {"max_versions", FT_INT, .help = "Versions to keep of each key; 0: ten."},
    {"cas_required", FT_BOOL, .help = "Writes must name the version they replace."},
    {"delete_version_after", FT_SIGNED_SECONDS,
     .help = "Versions are deleted after this time; 0: never, negative: not by keys' settings either."},
    {0},
};

static const struct field no_fields[] = {
    {"path", FT_STRING, FIELD_PATH, .help = "Any other path."},
    {0},
};

static const struct route kv2_routes[] = {
    {"config", config_fields,
     .ops = {[OP_READ] = {config_read, .help = "Reads the mount's settings."},
             [OP_UPDATE] = {config_write, .help = "Changes them."}},
     .help = "Settings for all keys of the mount."},
    {"{path...}", no_fields,
     .ops = {[OP_READ] = {kv2_invalid},
             [OP_UPDATE] = {kv2_invalid, ROUTE_READONLY},
             [OP_PATCH] = {kv2_invalid, ROUTE_READONLY},
             [OP_DELETE] = {kv2_invalid, ROUTE_READONLY},
             [OP_LIST] = {kv2_invalid}},
     .flags = ROUTE_HIDDEN | ROUTE_RAW_BODY, .help = "Paths of version 1: answered with a hint."},
    {0},
};

static const struct route *const more_routes[] = {kv2_data_routes, kv2_version_routes, kv2_metadata_routes,
                                                  NULL};

static str secrets_folder(struct arena *a, const struct mount *m)
{
    return arena_join(a, m->backend_aware_uuid, STR("/metadata/"));
}

const struct engine kv2_engine = {
    .type = "kv-v2",
    .kind = ENGINE_SECRETS,
    .routes = kv2_routes,
    .more_routes = more_routes,
    .help = "Keys and values, with versions.",
    .plugin_version = "v0.15.0+builtin",
    .upgrade = kv2_upgrade_step,
    .secrets_folder = secrets_folder,
};
