/* kv: patch, rollback, enable-versioning. */
#include "cli/cmd.h"
#include "cli/kv_path.h"
#include "client/secret.h"

const struct flag kv_patch_flags[] = {
    {"mount", FLAG_STRING, .help = "Path of the mount; arguments are then inside it."},
    {"cas", FLAG_INT, .initial = "0", .help = "Write only if the current version is this."},
    {"method", FLAG_STRING,
     .help = "patch: one PATCH request; rw: read, merge, write. By default patch, then rw if the server "
             "refuses it."},
    {"remove-data", FLAG_STRINGS, .help = "Key to remove; may be given several times."},
    {0},
};
const struct flag kv_rollback_flags[] = {
    {"mount", FLAG_STRING, .help = "Path of the mount; arguments are then inside it."},
    {"version", FLAG_INT, .help = "Version that becomes the newest again."},
    {0},
};

static struct json *data_body(struct arena *a, struct json *data, int64_t cas)
{
    struct json *body = json_object(a);
    struct json *options = json_object(a);
    if (cas > 0)
        json_set_int(a, options, STR("cas"), cas);
    json_set(a, body, STR("data"), data);
    json_set(a, body, STR("options"), options);
    return body;
}

struct version {
    int64_t number;
    struct json *data; /* NULL if deleted or destroyed */
};

/* Reads a version (0: the newest) of the secret at `path`. */
static struct error *version_read(struct cli *c, str path, int64_t number, struct version *ret)
{
    struct json *params = json_object(c->arena);
    if (number > 0)
        json_set_int(c->arena, params, STR("version"), number);
    struct client_request rq = {.method = "GET", .path = path, .params = params};
    struct json *secret;
    TRY(cli_find(c, arena_fmt(c->arena, "Error doing pre-read at %.*s", PSTR(path)), &rq, &secret));
    if (!secret)
        return kv_not_found(c, "value", path);
    struct json *both = json_get(secret, STR("data"));
    struct json *data = json_get(both, STR("data"));
    *ret = (struct version){
        .number = json_get_int(json_get(both, STR("metadata")), STR("version")),
        .data = data && data->type == JSON_OBJECT ? data : NULL,
    };
    return NULL;
}

static struct error *patch_rw(struct cli *c, const struct kv_path *p, str path, const struct json *data)
{
    struct version now;
    TRY(version_read(c, path, 0, &now));
    if (!now.data)
        return kv_not_found(c, "data", path);
    for (uint32_t i = 0; i < data->n; i++) {
        if (data->members[i].value->type == JSON_NULL)
            json_unset(now.data, data->members[i].key);
        else
            json_set(c->arena, now.data, data->members[i].key, data->members[i].value);
    }
    struct client_request rq = {
        .method = "PUT", .path = path, .body = data_body(c->arena, now.data, now.number)};
    struct json *secret;
    TRY(cli_secret(c, arena_fmt(c->arena, "Error writing data to %.*s", PSTR(path)), &rq, &secret));
    return kv_written_print(c, p, path, secret);
}

struct error *cmd_kv_patch(struct cli *c)
{
    struct kv_path p;
    struct json *data;
    str method = flag_text(&c->flags, "method");
    const struct flag_value *removed = flag_value(&c->flags, "remove-data");
    TRY(cli_pairs(c, 1, &data));
    if (c->n_args < 2 && !removed->n)
        return usage_error(c, "Must supply data");
    for (size_t i = 0; i < removed->n; i++)
        json_set(c->arena, data, removed->items[i], json_null(c->arena));
    TRY(kv_resolve(c, &p));
    if (!p.v2)
        return error_new(c->arena, ERR_UNSUPPORTED, "K/V engine mount must be version 2 for patch support");
    str path = kv_full(c, &p, "data");
    if (str_eq(method, STR("rw")))
        return patch_rw(c, &p, path, data);
    if (method.n && !str_eq(method, STR("patch")))
        return error_new(c->arena, ERR_BAD_REQUEST, "Unsupported method provided to -method flag: %.*s",
                         PSTR(method));
    struct client_request rq = {
        .method = "PATCH",
        .path = path,
        .body = data_body(c->arena, data, flag_number(&c->flags, "cas")),
    };
    struct client_answer answer;
    TRY(prefixed(c, cli_send(c, &rq, &answer), "Error writing data to %.*s", PSTR(path)));
    if (!method.n && (answer.status == 405 || answer.status == 403))
        return patch_rw(c, &p, path, data);
    TRY(prefixed(c, client_check(c->arena, &answer), "Error writing data to %.*s", PSTR(path)));
    return kv_written_print(c, &p, path, secret_from_json(c->arena, answer.json));
}

struct error *cmd_kv_rollback(struct cli *c)
{
    struct kv_path p;
    struct version now;
    struct version old;
    int64_t number = flag_number(&c->flags, "version");
    if (!flag_given(&c->flags, "version"))
        return usage_error(c, "Version flag must be specified");
    if (number <= 0)
        return usage_error(c, "Invalid value %lld for the version flag", (long long)number);
    TRY(kv_resolve(c, &p));
    if (!p.v2)
        return error_new(c->arena, ERR_UNSUPPORTED,
                         "K/V engine mount must be version 2 for rollback support");
    str path = kv_full(c, &p, "data");
    TRY(version_read(c, path, 0, &now));
    TRY(version_read(c, path, number, &old));
    if (!old.data)
        return error_new(c->arena, ERR_NOT_FOUND, "Cannot roll back to a version that has been deleted");
    struct client_request rq = {
        .method = "PUT", .path = path, .body = data_body(c->arena, old.data, now.number)};
    struct json *secret;
    TRY(cli_secret(c, arena_fmt(c->arena, "Error writing data to %.*s", PSTR(path)), &rq, &secret));
    return secret_or_success(c, secret, "Data written to: %.*s", PSTR(path));
}

struct error *cmd_kv_enable_versioning(struct cli *c)
{
    str mount = path_trim(c->args[0]);
    struct json *options = json_object(c->arena);
    struct json *body = json_object(c->arena);
    json_set_str(c->arena, options, STR("version"), STR("2"));
    json_set(c->arena, body, STR("options"), options);
    struct client_request rq = {
        .method = "POST",
        .path = arena_fmt(c->arena, "sys/mounts/%.*s/tune", PSTR(mount)),
        .body = body,
    };
    TRY(cli_call(c, arena_fmt(c->arena, "Error tuning secrets engine %.*s/", PSTR(mount)), &rq, NULL));
    cli_print(c, "Success! Tuned the secrets engine at: %.*s/", PSTR(mount));
    return NULL;
}
