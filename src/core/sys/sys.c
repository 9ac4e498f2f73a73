/* sys: the system engine: its small routes, and the list of its tables. */
#include "core/sys/sys.h"

#include "core/active_private.h"

static struct error *seal_write(struct request *rq, struct response *rs)
{
    (void)rq;
    rs->control = core_control_seal;
    return NULL;
}

static struct error *key_status_read(struct request *rq, struct response *rs)
{
    struct barrier_status s = barrier_status(rq->active->barrier);
    struct json *data = response_data(rq, rs);

    json_set_int(rq->arena, data, STR("term"), s.term);
    json_set_str(rq->arena, data, STR("install_time"), time_format(rq->arena, s.install_time_ns));
    json_set_int(rq->arena, data, STR("encryptions"), (int64_t)s.encryptions);
    return NULL;
}

static struct error *openapi_read(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    const struct mount_table *t = request_mounts(rq);
    struct json *doc = json_object(a), *info = json_object(a), *paths = json_object(a);

    json_set_str(a, info, STR("title"), STR("HashiCorp Vault API"));
    json_set_str(a, info, STR("description"),
                 STR("HTTP API of the secrets server. All paths begin with /v1/."));
    json_set_str(a, info, STR("version"), rq->core->config.version);
    for (size_t i = 0; i < t->n; i++)
        if (t->mounts[i].engine && !t->mounts[i].tainted)
            route_openapi(a, paths, t->mounts[i].path, t->mounts[i].engine);
    json_set_str(a, doc, STR("openapi"), STR("3.0.2"));
    json_set(a, doc, STR("info"), info);
    json_set(a, doc, STR("paths"), paths);
    rs->data = doc;
    rs->bare_body = true;
    return NULL;
}

static const struct route small_routes[] = {
    {"seal", .ops = {[OP_UPDATE] = {seal_write}}, .flags = ROUTE_SUDO | ROUTE_CONTROL,
     .help = "seals the server: keys are wiped from memory"},
    {"key-status", .ops = {[OP_READ] = {key_status_read}}, .flags = ROUTE_TOP_LEVEL,
     .help = "term, age and use of the encryption key"},
    {"internal/specs/openapi", .ops = {[OP_READ] = {openapi_read}},
     .help = "this API as an OpenAPI document"},
    {0},
};

static const struct route *const tables[] = {
    sys_mount_routes, sys_tune_routes, sys_remount_routes, sys_ui_routes, policy_routes, audit_routes, NULL};

const struct engine sys_engine = {
    .type = "system",
    .kind = ENGINE_CORE,
    .routes = small_routes,
    .more_routes = tables,
    .plugin_version = "v1.14.7+builtin.vault",
    .help = "The system engine: mounts, policies, audit devices, seal.",
};
