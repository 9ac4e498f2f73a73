/* plugins: sys/plugins/: the catalog shows the engines and methods of this program, each built in. Programs
 * of others cannot be registered: there is no plugin directory. */
#include "core/active_private.h"
#include "core/sys/sys.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *type;
    enum engine_kind kind;
} types[] = {{"auth", ENGINE_AUTH}, {"database", ENGINE_CORE}, {"secret", ENGINE_SECRETS}};

/* Is the entry a plugin of types[t]? What differs by its options only has one name. */
static bool is_of(const struct engine_entry *e, size_t t)
{
    return types[t].kind != ENGINE_CORE && e->engine->kind == types[t].kind &&
           !str_eq(str_from_cstr(e->engine->type), STR("kv-v2"));
}

static struct json *described(struct arena *a, const char *type, const struct engine *e)
{
    struct json *o = json_object(a);

    json_set_str(a, o, STR("name"), str_from_cstr(e->type));
    json_set_str(a, o, STR("type"), str_from_cstr(type));
    json_set_str(a, o, STR("version"), str_from_cstr(e->plugin_version));
    json_set_bool(a, o, STR("builtin"), true);
    json_set_str(a, o, STR("deprecation_status"), STR("supported"));
    return o;
}

static int compare_names(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

static const str *names_of(struct request *rq, size_t t, size_t *ret_n)
{
    size_t n = 0;

    for (const struct engine_entry *e = rq->core->engines; e->engine; e++)
        n += is_of(e, t);
    str *names = ARENA_ARRAY(rq->arena, str, n + 1);

    *ret_n = 0;
    for (const struct engine_entry *e = rq->core->engines; e->engine; e++)
        if (is_of(e, t))
            names[(*ret_n)++] = str_from_cstr(e->engine->type);
    qsort(names, n, sizeof(*names), compare_names);
    return names;
}

static const struct engine *find(struct request *rq, str type, str name)
{
    for (const struct engine_entry *e = rq->core->engines; e->engine; e++)
        for (size_t t = 0; t < COUNT_OF(types); t++)
            if (str_eq(type, str_from_cstr(types[t].type)) && is_of(e, t) &&
                str_eq(name, str_from_cstr(e->engine->type)))
                return e->engine;
    return NULL;
}

/* ---- reading ---- */

static struct error *catalog_read(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    struct json *data = response_data(rq, rs), *detailed = json_array(a);

    for (size_t t = 0; t < COUNT_OF(types); t++) {
        size_t n;
        const str *names = names_of(rq, t, &n);

        json_set(a, data, str_from_cstr(types[t].type), json_strings(a, names, n));
        for (size_t i = 0; i < n; i++)
            json_append(a, detailed,
                        described(a, types[t].type, find(rq, str_from_cstr(types[t].type), names[i])));
    }
    json_set(a, data, STR("detailed"), detailed);
    return NULL;
}

static struct error *type_list(struct request *rq, struct response *rs)
{
    str type = str_from(rq->rel, str_rindex(str_slice(rq->rel, 0, rq->rel.n - 1), '/') + 1);

    for (size_t t = 0; t < COUNT_OF(types); t++)
        if (str_starts(type, str_from_cstr(types[t].type))) {
            size_t n;
            const str *names = names_of(rq, t, &n);

            return response_list(rq, rs, names, n);
        }
    return fail_absent(rq);
}

static struct error *plugin_read(struct request *rq, struct response *rs)
{
    const struct engine *e = find(rq, field_str(rq, "type"), field_str(rq, "name"));

    if (!e)
        return fail_absent(rq);
    struct json *o = rs->data = described(rq->arena, e->type, e);

    json_unset(o, STR("type"));
    json_set(rq->arena, o, STR("args"), json_null(rq->arena));
    json_set_str(rq->arena, o, STR("command"), (str){0});
    json_set_str(rq->arena, o, STR("sha256"), (str){0});
    return NULL;
}

static struct error *old_read(struct request *rq, struct response *rs)
{
    response_warn(rq, rs, "Deprecated API endpoint, cannot read plugin information from catalog for \"%.*s\"",
                  PSTR(field_str(rq, "name")));
    rs->status = 200;
    return NULL;
}

/* ---- registering ---- */

/* A number, then what a version may have: "v1.2.3-beta+builtin". */
static bool is_version(str s)
{
    size_t i = str_starts(s, STR("v")) ? 1 : 0;

    if (i == s.n || s.p[i] < '0' || s.p[i] > '9')
        return false;
    while (i < s.n && s.p[i] &&
           strchr("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.~+-", s.p[i]))
        i++;
    return i == s.n;
}

static bool is_hex(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("0123456789abcdefABCDEF", s.p[i]) || !s.p[i])
            return false;
    return s.n % 2 == 0;
}

static struct error *plugin_write(struct request *rq, struct response *rs)
{
    str version = field_str(rq, "version"), sum = field_str(rq, "sha256"), command = field_str(rq, "command");
    size_t n_args;

    (void)rs;
    (void)field_strs(rq, "args", &n_args);
    if (version.n > 0 && !is_version(version))
        return fail(rq, ERR_BAD_REQUEST,
                    "version \"%.*s\" is not a valid semantic version: Malformed version: %.*s",
                    PSTR(version), PSTR(version));
    if (str_find(version, STR("builtin")) < version.n)
        return fail(rq, ERR_BAD_REQUEST,
                    "version \"%.*s\" is not allowed because 'builtin' is a reserved metadata identifier",
                    PSTR(version));
    if (sum.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing SHA-256 value");
    if (command.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing command value");
    if (str_index(command, ' ') < command.n && n_args > 0)
        return fail(rq, ERR_BAD_REQUEST, "must not specify args in command and args field");
    if (!is_hex(sum))
        return fail(rq, ERR_BAD_REQUEST, "Could not decode SHA-256 value from Hex");
    return fail_wrapped(rq, ERR_INTERNAL, "could not set plugin, plugin directory is not configured");
}

static struct error *plugin_delete(struct request *rq, struct response *rs)
{
    (void)rq;
    (void)rs;
    return NULL; /* what is built in stays, there is nothing else */
}

/* ---- reloading: there is nothing to load anew ---- */

static struct error *reload_write(struct request *rq, struct response *rs)
{
    str plugin = field_str(rq, "plugin"), scope = field_str(rq, "scope");
    size_t n;
    const str *mounts = field_strs(rq, "mounts", &n);

    if (scope.n > 0 && !str_eq(scope, STR("global")))
        return fail(rq, ERR_BAD_REQUEST, "reload scope must be omitted or 'global'");
    if (plugin.n > 0 && n > 0)
        return fail(rq, ERR_BAD_REQUEST, "plugin and mounts cannot be set at the same time");
    if (plugin.n == 0 && n == 0)
        return fail(rq, ERR_BAD_REQUEST, "plugin or mounts must be provided");
    for (size_t i = 0; i < n; i++) {
        str path = str_ends(mounts[i], STR("/")) ? mounts[i] : arena_join(rq->arena, mounts[i], STR("/"));

        if (!mount_exact(rq, path))
            return fail_wrapped(rq, ERR_INTERNAL, "cannot fetch mount entry on \"%.*s\"", PSTR(mounts[i]));
    }
    json_set_str(rq->arena, response_data(rq, rs), STR("reload_id"), rng_uuid_str(rq->rng, rq->arena));
    rs->status = scope.n > 0 ? 202 : 200;
    return NULL;
}

/* ---- tables ---- */

/* clang-format off */
#define PLUGIN_FIELDS                                                                                        \
    {"name", FT_STRING, FIELD_PATH, .help = "Name of the plugin."},                                          \
    {"sha256", FT_STRING, .help = "SHA-256 of the program, in hex."},                                        \
    {"command", FT_STRING, .help = "The program, in the plugin directory."},                                 \
    {"args", FT_STRINGS, .help = "Arguments of the program."},                                               \
    {"env", FT_STRINGS, .help = "Its environment, as name=value."},                                          \
    {"version", FT_STRING, .help = "Semantic version of the plugin."}
/* clang-format on */

static const struct field plugin_fields[] = {
    {"type", FT_STRING, FIELD_PATH, .help = "Its type: auth, secret or database."},
    PLUGIN_FIELDS,
    {0},
};
static const struct field old_fields[] = {
    PLUGIN_FIELDS,
    {"type", FT_STRING, .help = "Its type: auth, secret or database."},
    {0},
};
static const struct field reload_fields[] = {
    {"plugin", FT_STRING, .help = "Name of the plugin whose mounts are loaded anew."},
    {"mounts", FT_STRINGS, .help = "The mounts that are loaded anew."},
    {"scope", FT_STRING, .help = "Empty: this node; global: all nodes."},
    {0},
};

#define LISTED                                                                                               \
    {                                                                                                        \
        [OP_LIST] = { type_list, ROUTE_SUDO, "Lists the plugins." }                                          \
    }

const struct route sys_plugin_routes[] = {
    {"plugins/catalog/", NULL, .ops = {[OP_READ] = {catalog_read, .help = "Shows all plugins."}},
     .help = "The engines and methods there are."},
    {"plugins/catalog/auth", NULL, .ops = LISTED, .help = "The auth methods there are."},
    {"plugins/catalog/database", NULL, .ops = LISTED, .help = "The database plugins there are."},
    {"plugins/catalog/secret", NULL, .ops = LISTED, .help = "The secrets engines there are."},
    {"plugins/catalog/{name...}", old_fields,
     .ops = {[OP_READ] = {old_read, ROUTE_SUDO, "Shows nothing: a type is needed."},
             [OP_UPDATE] = {plugin_write, ROUTE_SUDO | ROUTE_READONLY,
                            "Refused: there is no plugin directory."},
             [OP_DELETE] = {plugin_delete, ROUTE_SUDO, "Removes a plugin."}},
     .help = "A plugin without its type; the older form."},
    {"plugins/catalog/{type}/{name}", plugin_fields,
     .ops = {[OP_READ] = {plugin_read, ROUTE_SUDO, "Shows a plugin."},
             [OP_UPDATE] = {plugin_write, ROUTE_SUDO | ROUTE_READONLY,
                            "Refused: there is no plugin directory."},
             [OP_DELETE] = {plugin_delete, ROUTE_SUDO, "Removes a plugin."}},
     .help = "An engine or a method, as a plugin."},
    {"plugins/reload/backend", reload_fields,
     .ops = {[OP_UPDATE] = {reload_write, ROUTE_READONLY, "Loads plugins anew: built-in ones need it not."}},
     .help = "Loads the plugins of mounts anew."},
    {0},
};
