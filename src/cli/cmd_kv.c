/* kv: get put list delete undelete destroy. */
#include "cli/cmd.h"
#include "cli/kv_path.h"

#define MOUNT_FLAG                                                                                           \
    {                                                                                                        \
        "mount", FLAG_STRING, .help = "Path of the mount; arguments are then inside it."                     \
    }

const struct flag kv_get_flags[] = {
    MOUNT_FLAG,
    {"version", FLAG_INT, .help = "Version to read, by default the newest."},
    {0},
};
const struct flag kv_put_flags[] = {
    MOUNT_FLAG,
    {"cas", FLAG_INT, .initial = "-1",
     .help = "Write only if the current version is this; 0: only if there is none."},
    {0},
};
const struct flag kv_list_flags[] = {MOUNT_FLAG, {0}};
const struct flag kv_versions_flags[] = {
    MOUNT_FLAG,
    {"versions", FLAG_COMMAS, .help = "Versions, separated by commas; may be given several times."},
    {0},
};

static struct error *get_field(struct cli *c, const struct kv_path *p, str path, const struct json *secret,
                               str field)
{
    if (!p->v2)
        return secret_print(c, secret);
    const struct json *data = json_get(json_get(secret, STR("data")), STR("data"));
    if (json_is_null(data))
        return kv_not_found(c, "data", path);
    const struct json *value = json_get(data, field);
    return field_print(c, !value && str_eq(field, STR("data")) ? data : value, field);
}

static struct error *get_print(struct cli *c, const struct kv_path *p, str path, const struct json *secret)
{
    str field = flag_text(&c->flags, "field");
    if (json_get(secret, STR("wrap_info")))
        return secret_print(c, secret);
    if (field.n)
        return get_field(c, p, path, secret, field);
    if (c->format != OUTPUT_TABLE)
        return secret_print(c, secret);
    warnings_print(c, secret);
    const struct json *data = json_get(secret, STR("data"));
    if (p->v2) {
        const struct json *metadata = json_get(data, STR("metadata"));
        kv_path_print(c, "Secret Path", path);
        if (metadata && metadata->type == JSON_OBJECT) {
            kv_table_print(c, "Metadata", metadata);
            cli_print(c, "%s", "");
        }
        data = json_get(data, STR("data"));
    }
    if (data && data->type == JSON_OBJECT)
        kv_table_print(c, "Data", data);
    return NULL;
}

struct error *cmd_kv_get(struct cli *c)
{
    struct kv_path p;
    TRY(kv_resolve(c, &p));
    str path = kv_full(c, &p, "data");
    struct json *params = json_object(c->arena);
    int64_t version = flag_number(&c->flags, "version");
    if (p.v2 && version > 0)
        json_set_int(c->arena, params, STR("version"), version);
    struct client_request rq = {.method = "GET", .path = path, .params = params};
    struct json *secret;
    TRY(cli_find(c, arena_fmt(c->arena, "Error reading %.*s", PSTR(path)), &rq, &secret));
    return secret ? get_print(c, &p, path, secret) : kv_not_found(c, "value", path);
}

struct error *cmd_kv_put(struct cli *c)
{
    struct kv_path p;
    struct json *data;
    TRY(cli_pairs(c, 1, &data));
    if (c->n_args < 2)
        return usage_error(c, "Must supply data");
    TRY(kv_resolve(c, &p));
    str path = kv_full(c, &p, "data");
    struct json *body = data;
    if (p.v2) {
        struct json *options = json_object(c->arena);
        int64_t cas = flag_number(&c->flags, "cas");
        if (cas >= 0)
            json_set_int(c->arena, options, STR("cas"), cas);
        body = json_object(c->arena);
        json_set(c->arena, body, STR("data"), data);
        json_set(c->arena, body, STR("options"), options);
    }
    struct client_request rq = {.method = "PUT", .path = path, .body = body};
    struct json *secret;
    TRY(cli_secret(c, arena_fmt(c->arena, "Error writing data to %.*s", PSTR(path)), &rq, &secret));
    return kv_written_print(c, &p, path, secret);
}

struct error *cmd_kv_list(struct cli *c)
{
    struct kv_path p;
    if (!c->n_args && !flag_given(&c->flags, "mount"))
        return usage_error(c, "Not enough arguments (expected 1, got 0)");
    TRY(kv_resolve(c, &p));
    str path = kv_full(c, &p, "metadata");
    struct client_request rq = {.method = "LIST", .path = path};
    struct json *secret;
    TRY(cli_find(c, arena_fmt(c->arena, "Error listing %.*s", PSTR(path)), &rq, &secret));
    return list_print(c, secret, path);
}

static struct json *versions_body(struct cli *c)
{
    const struct flag_value *versions = flag_value(&c->flags, "versions");
    struct json *body = json_object(c->arena);
    json_set(c->arena, body, STR("versions"), json_strings(c->arena, versions->items, versions->n));
    return body;
}

struct error *cmd_kv_delete(struct cli *c)
{
    struct kv_path p;
    TRY(kv_resolve(c, &p));
    str path = kv_full(c, &p, "data");
    struct client_request rq = {.method = "DELETE", .path = path};
    if (p.v2 && flag_value(&c->flags, "versions")->n)
        rq = (struct client_request){
            .method = "PUT", .path = kv_full(c, &p, "delete"), .body = versions_body(c)};
    struct json *secret;
    TRY(cli_secret(c, arena_fmt(c->arena, "Error deleting %.*s", PSTR(path)), &rq, &secret));
    return secret_or_success(c, secret, "Data deleted (if it existed) at: %.*s", PSTR(path));
}

static struct error *versions_write(struct cli *c, const char *kind, const char *title)
{
    struct kv_path p;
    if (!flag_value(&c->flags, "versions")->n)
        return usage_error(
            c, "No versions provided, use the \"-versions\" flag to specify the version to %s.", kind);
    TRY(kv_resolve(c, &p));
    if (!p.v2)
        return usage_error(c, "%s not supported on KV Version 1", title);
    str path = kv_full(c, &p, kind);
    struct client_request rq = {.method = "PUT", .path = path, .body = versions_body(c)};
    struct json *secret;
    TRY(cli_secret(c, arena_fmt(c->arena, "Error writing data to %.*s", PSTR(path)), &rq, &secret));
    return secret_or_success(c, secret, "Data written to: %.*s", PSTR(path));
}

struct error *cmd_kv_undelete(struct cli *c)
{
    return versions_write(c, "undelete", "Undelete");
}

struct error *cmd_kv_destroy(struct cli *c)
{
    return versions_write(c, "destroy", "Destroy");
}
