/* audit: list enable disable. */
#include "cli/cmd.h"
#include "client/secret.h"

enum { OPTIONS_BYTES_MAX = 1024 * 1024 };

const struct flag audit_enable_flags[] = {
    {"path", FLAG_STRING, .help = "Path of the device, by default its type."},
    {"description", FLAG_STRING, .help = "Text for people."},
    {"local", FLAG_BOOL, .help = "Not replicated."},
    {0},
};

static const struct shape device_shape[] = {
    {"type", JSON_STRING}, {"description", JSON_STRING}, {"options", JSON_NULL},
    {"local", JSON_BOOL},  {"path", JSON_STRING},        {0},
};

/* k=v k2=v2 */
static str options_text(struct arena *a, const struct json *options)
{
    struct buf b;
    buf_init(&b, a, OPTIONS_BYTES_MAX);
    for (uint32_t i = 0; options && options->type == JSON_OBJECT && i < options->n; i++) {
        str value = value_text(a, options->members[i].value);
        buf_put_fmt(&b, "%s%.*s=%.*s", i ? " " : "", PSTR(options->members[i].key), PSTR(value));
    }
    return buf_str(&b);
}

static void devices_table(struct cli *c, const struct json *devices)
{
    bool detailed = flag_bool(&c->flags, "detailed");
    str cells[] = {STR("Path"), STR("Type"), STR("Description"), STR("Replication"), STR("Options")};
    struct table t;
    table_init(&t, c->arena, detailed ? 5 : 3);
    table_row(&t, cells);
    str *paths = keys_sorted(c->arena, devices);
    for (uint32_t i = 0; i < devices->n; i++) {
        const struct json *device = json_get(devices, paths[i]);
        cells[0] = paths[i];
        cells[1] = json_get_str(device, STR("type"));
        cells[2] = json_get_str(device, STR("description"));
        cells[3] = json_get_bool(device, STR("local")) ? STR("local") : STR("replicated");
        cells[4] = options_text(c->arena, json_get(device, STR("options")));
        table_row(&t, cells);
    }
    table_print(c, &t, true);
}

struct error *cmd_audit_list(struct cli *c)
{
    struct client_request rq = {.method = "GET", .path = STR("sys/audit")};
    struct json *secret;
    TRY(cli_secret(c, STR("Error listing audits"), &rq, &secret));
    if (secret && json_get(secret, STR("wrap_info")))
        return secret_print(c, secret);
    const struct json *data = json_get(secret, STR("data"));
    struct json *devices = json_object(c->arena);
    for (uint32_t i = 0; data && data->type == JSON_OBJECT && i < data->n; i++)
        json_set(c->arena, devices, data->members[i].key,
                 json_shape(c->arena, device_shape, data->members[i].value));
    if (c->format != OUTPUT_TABLE)
        return json_print(c, devices);
    if (devices->n) {
        devices_table(c, devices);
        return NULL;
    }
    cli_print(c, "No audit devices are enabled.");
    c->exit_code = 2;
    return NULL;
}

struct error *cmd_audit_enable(struct cli *c)
{
    struct arena *a = c->arena;
    if (!c->n_args)
        return usage_error(c, "Error enabling audit device: audit type missing. Valid types include 'file', "
                              "'socket' and 'syslog'.");
    str type = str_trim(c->args[0]);
    str path = path_trim(flag_text(&c->flags, "path"));
    path = path.n ? path : path_trim(type);
    struct json *pairs;
    TRY(cli_pairs(c, 1, &pairs));
    struct json *options = json_object(a);
    for (uint32_t i = 0; i < pairs->n; i++)
        json_set_str(a, options, pairs->members[i].key, value_text(a, pairs->members[i].value));
    struct json *body = json_object(a);
    json_set_str(a, body, STR("type"), type);
    json_set_str(a, body, STR("description"), flag_text(&c->flags, "description"));
    json_set(a, body, STR("options"), options);
    json_set_bool(a, body, STR("local"), flag_bool(&c->flags, "local"));
    struct client_request rq = {
        .method = "PUT", .path = arena_join(a, STR("sys/audit/"), path), .body = body};
    TRY(cli_call(c, STR("Error enabling audit device"), &rq, NULL));
    cli_print(c, "Success! Enabled the %.*s audit device at: %.*s/", PSTR(type), PSTR(path));
    return NULL;
}

struct error *cmd_audit_disable(struct cli *c)
{
    str path = path_trim(c->args[0]);
    struct client_request rq = {.method = "DELETE", .path = arena_join(c->arena, STR("sys/audit/"), path)};
    TRY(cli_call(c, STR("Error disabling audit device"), &rq, NULL));
    cli_print(c, "Success! Disabled audit device (if it was enabled) at: %.*s/", PSTR(path));
    return NULL;
}
