/* plugin: list info register deregister reload reload-status. */
#include "cli/cmd.h"
#include "client/secret.h"

const struct flag plugin_info_flags[] = {
    {"version", FLAG_STRING, .help = "Version of the plugin, with its v."},
    {0},
};
const struct flag plugin_register_flags[] = {
    {"sha256", FLAG_STRING, .help = "SHA-256 of the plugin's file, in hex. Required."},
    {"command", FLAG_STRING, .help = "Program to run, by default the name of the plugin."},
    {"args", FLAG_STRINGS, .help = "Argument of the program; may be given several times."},
    {"version", FLAG_STRING, .help = "Version of the plugin, with its v."},
    {0},
};
const struct flag plugin_reload_flags[] = {
    {"plugin", FLAG_STRING, .help = "Name of the plugin whose mounts are loaded again."},
    {"mounts", FLAG_STRINGS, .help = "Path of a mount to load again; may be given several times."},
    {"scope", FLAG_STRING, .help = "\"global\": on all nodes of the cluster."},
    {0},
};

static const char *const types[] = {"unknown", "auth", "database", "secret"}; /* by their numbers */

/* [TYPE] NAME: the catalog's path of the plugin. */
static struct error *plugin_args(struct cli *c, size_t *ret_type, str *ret_name, str *ret_path)
{
    str type = c->n_args == 2 ? arena_lower(c->arena, str_trim(c->args[0])) : STR("unknown");
    *ret_name = str_trim(c->args[c->n_args - 1]);
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (!str_eq(type, str_from_cstr(types[i])))
            continue;
        *ret_type = i;
        *ret_path = i ? arena_fmt(c->arena, "sys/plugins/catalog/%s/%.*s", types[i], PSTR(*ret_name))
                      : arena_fmt(c->arena, "sys/plugins/catalog/%.*s", PSTR(*ret_name));
        return NULL;
    }
    return usage_error(c, "\"%.*s\" is no type of plugin: auth, database or secret", PSTR(type));
}

static struct json *of_type(struct arena *a, const struct json *details, str type)
{
    struct json *out = json_array(a);
    for (uint32_t i = 0; details && details->type == JSON_ARRAY && i < details->n; i++)
        if (!type.n || str_eq(json_get_str(details->items[i], STR("type")), type))
            json_append(a, out, details->items[i]);
    return out;
}

static void plugins_table(struct cli *c, const struct json *details, str type)
{
    bool detailed = flag_bool(&c->flags, "detailed");
    static const char *const all[] = {"name", "type", "version", "deprecation_status"};
    static const char *const few[] = {"name", "version"};
    const char *const *members = type.n && !detailed ? few : all;
    size_t n = detailed ? 4 : type.n ? 2 : 3;
    str cells[] = {STR("Name"), STR("Type"), STR("Version"), STR("Deprecation Status")};
    if (n == 2)
        cells[1] = cells[2];
    struct table t;
    table_init(&t, c->arena, n);
    table_row(&t, cells);
    for (uint32_t i = 0; i < details->n; i++) {
        for (size_t j = 0; j < n; j++)
            cells[j] = json_get_str(details->items[i], str_from_cstr(members[j]));
        table_row(&t, cells);
    }
    table_print(c, &t, true);
}

struct error *cmd_plugin_list(struct cli *c)
{
    struct arena *a = c->arena;
    str type = c->n_args ? arena_lower(a, str_trim(c->args[0])) : (str){0};
    bool known = !type.n;
    for (size_t i = 1; i < COUNT_OF(types); i++)
        known = known || str_eq(type, str_from_cstr(types[i]));
    if (!known)
        return usage_error(c, "\"%.*s\" is no type of plugin: auth, database or secret", PSTR(type));
    struct client_request rq = {.method = "GET", .path = STR("sys/plugins/catalog")};
    struct json *secret;
    TRY(cli_secret(c, STR("Error listing available plugins"), &rq, &secret));
    if (secret && json_get(secret, STR("wrap_info")))
        return secret_print(c, secret);
    const struct json *data = json_get(secret, STR("data"));
    struct json *details = of_type(a, json_get(data, STR("detailed")), type);
    if (c->format == OUTPUT_TABLE) {
        plugins_table(c, details, type);
        return NULL;
    }
    struct json *out = json_object(a);
    for (size_t i = 1; i < COUNT_OF(types); i++) {
        str name = str_from_cstr(types[i]);
        struct json *names = json_get(data, name);
        if (!type.n || str_eq(type, name))
            json_set(a, out, name, names ? names : json_array(a));
    }
    json_set(a, out, STR("details"), details);
    return json_print(c, out);
}

struct error *cmd_plugin_info(struct cli *c)
{
    static const struct shape shape[] = {
        {"args", JSON_ARRAY},     {"builtin", JSON_BOOL},
        {"command", JSON_STRING}, {"deprecation_status", JSON_STRING},
        {"name", JSON_STRING},    {"sha256", JSON_STRING},
        {"version", JSON_STRING}, {0},
    };
    size_t type;
    str name;
    str path;
    TRY(plugin_args(c, &type, &name, &path));
    struct json *params = json_object(c->arena);
    if (flag_text(&c->flags, "version").n)
        json_set_str(c->arena, params, STR("version"), flag_text(&c->flags, "version"));
    struct client_request rq = {.method = "GET", .path = path, .params = params};
    struct json *secret;
    str what = arena_fmt(c->arena, "Error reading plugin named %.*s", PSTR(name));
    TRY(cli_find(c, what, &rq, &secret));
    if (json_get(secret, STR("wrap_info")))
        return secret_print(c, secret);
    if (json_is_null(json_get(secret, STR("data"))))
        return error_new(c->arena, ERR_NOT_FOUND, "No value found for plugin \"%.*s\"", PSTR(name));
    struct json *data = json_shape(c->arena, shape, json_get(secret, STR("data")));
    if (c->format != OUTPUT_TABLE && !flag_text(&c->flags, "field").n)
        return json_print(c, data);
    struct json *shown = json_object(c->arena);
    json_set(c->arena, shown, STR("data"), data);
    return secret_print(c, shown);
}

struct error *cmd_plugin_register(struct cli *c)
{
    size_t type;
    str name;
    str path;
    str sha256 = flag_text(&c->flags, "sha256");
    str command = flag_text(&c->flags, "command");
    str version = flag_text(&c->flags, "version");
    const struct flag_value *args = flag_value(&c->flags, "args");
    TRY(plugin_args(c, &type, &name, &path));
    if (!sha256.n)
        return usage_error(c, "SHA256 is required for all plugins, please provide -sha256");
    struct json *body = json_object(c->arena);
    json_set_int(c->arena, body, STR("type"), (int64_t)type);
    json_set_str(c->arena, body, STR("command"), command.n ? command : name);
    json_set_str(c->arena, body, STR("sha256"), sha256);
    if (args->n)
        json_set(c->arena, body, STR("args"), json_strings(c->arena, args->items, args->n));
    if (version.n)
        json_set_str(c->arena, body, STR("version"), version);
    struct client_request rq = {.method = "PUT", .path = path, .body = body};
    TRY(cli_call(c, arena_fmt(c->arena, "Error registering plugin %.*s", PSTR(name)), &rq, NULL));
    cli_print(c, "Success! Registered plugin: %.*s", PSTR(name));
    return NULL;
}

struct error *cmd_plugin_deregister(struct cli *c)
{
    size_t type;
    str name;
    str path;
    str version = flag_text(&c->flags, "version");
    TRY(plugin_args(c, &type, &name, &path));
    struct json *params = json_object(c->arena);
    if (version.n)
        json_set_str(c->arena, params, STR("version"), version);
    struct client_request rq = {.method = "DELETE", .path = path, .params = params};
    TRY(cli_call(c, arena_fmt(c->arena, "Error deregistering plugin named %.*s", PSTR(name)), &rq, NULL));
    cli_print(c, "Success! Deregistered plugin (if it was registered): %.*s", PSTR(name));
    return NULL;
}

struct error *cmd_plugin_reload(struct cli *c)
{
    struct arena *a = c->arena;
    str plugin = flag_text(&c->flags, "plugin");
    str scope = flag_text(&c->flags, "scope");
    const struct flag_value *mounts = flag_value(&c->flags, "mounts");
    if (!plugin.n && !mounts->n)
        return usage_error(c, "No plugins specified, must specify exactly one of -plugin or -mounts");
    if (plugin.n && mounts->n)
        return usage_error(c, "Must specify exactly one of -plugin or -mounts");
    if (scope.n && !str_eq(scope, STR("global")))
        return usage_error(c, "Invalid reload scope: %.*s", PSTR(scope));
    struct json *body = json_object(a);
    if (plugin.n)
        json_set_str(a, body, STR("plugin"), plugin);
    else
        json_set(a, body, STR("mounts"), json_strings(a, mounts->items, mounts->n));
    if (scope.n)
        json_set_str(a, body, STR("scope"), scope);
    struct client_request rq = {.method = "PUT", .path = STR("sys/plugins/reload/backend"), .body = body};
    struct json *secret;
    TRY(cli_secret(c, STR("Error reloading plugin/mounts"), &rq, &secret));
    str id = json_get_str(json_get(secret, STR("data")), STR("reload_id"));
    str what = plugin.n ? arena_fmt(a, "plugin: %.*s", PSTR(plugin))
                        : arena_fmt(a, "mounts: %.*s",
                                    PSTR(value_text(a, json_strings(a, mounts->items, mounts->n))));
    if (scope.n && id.n)
        cli_print(c, "Success! Reloading %.*s, reload_id: %.*s", PSTR(what), PSTR(id));
    else
        cli_print(c, "Success! Reloaded %.*s", PSTR(what));
    return NULL;
}

struct error *cmd_plugin_reload_status(struct cli *c)
{
    struct json *params = json_object(c->arena);
    json_set_str(c->arena, params, STR("reload_id"), str_trim(c->args[0]));
    struct client_request rq = {
        .method = "GET", .path = STR("sys/plugins/reload/backend/status"), .params = params};
    struct json *secret;
    TRY(cli_find(c, STR("Error retrieving plugin reload status"), &rq, &secret));
    const struct json *results = json_get(json_get(secret, STR("data")), STR("results"));
    if (!secret)
        return error_new(c->arena, ERR_NOT_FOUND, "No reload of that ID: %.*s", PSTR(c->args[0]));
    str cells[] = {STR("Time"), STR("Participant"), STR("Success"), STR("Message")};
    struct table t;
    table_init(&t, c->arena, COUNT_OF(cells));
    table_row(&t, cells);
    for (uint32_t i = 0; results && results->type == JSON_OBJECT && i < results->n; i++) {
        const struct json *one = results->members[i].value;
        cells[0] = json_get_str(one, STR("timestamp"));
        cells[1] = results->members[i].key;
        cells[3] = json_get_str(one, STR("error"));
        cells[2] = cells[3].n ? STR("false") : STR("true");
        table_row(&t, cells);
    }
    table_print(c, &t, true);
    return NULL;
}
