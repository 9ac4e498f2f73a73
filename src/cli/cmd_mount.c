/* secrets and auth: list enable tune disable move. The two differ in paths and words only. */
#include "base/clock.h"
#include "cli/cmd.h"
#include "client/secret.h"

#define LIST_FLAGS                                                                                           \
    {"listing-visibility", FLAG_STRING,                                                                      \
     .help = "Visibility in the list for the user interface: hidden or unauth."},                            \
        {"audit-non-hmac-request-keys", FLAG_STRINGS,                                                        \
         .help = "Key that is not hashed in request lines of the audit log; repeatable."},                   \
        {"audit-non-hmac-response-keys", FLAG_STRINGS, .help = "The same for response lines."},              \
        {"passthrough-request-headers", FLAG_STRINGS,                                                        \
         .help = "Request header passed to the engine; repeatable."},                                        \
        {"allowed-response-headers", FLAG_STRINGS,                                                           \
         .help = "Response header that the engine may set; repeatable."},                                    \
        {"plugin-version", FLAG_STRING, .help = "Version of the plugin."},                                   \
        {"description", FLAG_STRING, .help = "Text for people."},                                            \
        {"default-lease-ttl", FLAG_DURATION,                                                                 \
         .help = "Default time to live of leases; \"system\" for the server's."},                            \
        {"max-lease-ttl", FLAG_DURATION,                                                                     \
         .help = "Maximum time to live of leases; \"system\" for the server's."},                            \
    {                                                                                                        \
        "options", FLAG_PAIRS, .help = "Option key=value; may be given several times."                       \
    }
#define ENABLE_FLAGS                                                                                         \
    {"path", FLAG_STRING, .help = "Path of the mount, by default its type."},                                \
        {"local", FLAG_BOOL, .help = "Not replicated."},                                                     \
        {"seal-wrap", FLAG_BOOL, .help = "Wrap values with the seal."},                                      \
        {"external-entropy-access", FLAG_BOOL, .help = "Let it use external entropy."},                      \
        {"force-no-cache", FLAG_BOOL, .help = "Do not cache its entries."},                                  \
    {                                                                                                        \
        "plugin-name", FLAG_STRING, .help = "Name of the plugin, with the type \"plugin\"."                  \
    }
#define SECRETS_FLAGS                                                                                        \
    {"version", FLAG_INT, .help = "Version of the engine (kv: 1 or 2)."},                                    \
    {                                                                                                        \
        "allowed-managed-keys", FLAG_STRINGS, .help = "Managed key it may use; repeatable."                  \
    }
#define AUTH_FLAGS                                                                                           \
    {                                                                                                        \
        "token-type", FLAG_STRING, .help = "Type of tokens it makes."                                        \
    }

const struct flag secrets_enable_flags[] = {ENABLE_FLAGS, SECRETS_FLAGS, LIST_FLAGS, {0}};
const struct flag secrets_tune_flags[] = {SECRETS_FLAGS, LIST_FLAGS, {0}};
const struct flag auth_enable_flags[] = {ENABLE_FLAGS, AUTH_FLAGS, LIST_FLAGS, {0}};
const struct flag auth_tune_flags[] = {
    AUTH_FLAGS,
    {"user-lockout-threshold", FLAG_INT, .help = "Failed logins before a user is locked out."},
    {"user-lockout-duration", FLAG_DURATION, .help = "How long a user is locked out."},
    {"user-lockout-counter-reset-duration", FLAG_DURATION,
     .help = "After this time without failure the count starts anew."},
    {"user-lockout-disable", FLAG_BOOL, .help = "Lock nobody out."},
    LIST_FLAGS,
    {0},
};

struct kind {
    bool auth;
    const char *path;      /* of the mounts in the API */
    const char *tune_path; /* of their tuning */
    const char *one;       /* in texts */
    const char *tuned;     /* "the secrets engine" */
    const char *listing;
};
static const struct kind secrets = {
    false, "sys/mounts", "sys/mounts", "secrets engine", "the secrets engine", "secrets engines"};
static const struct kind auth = {true,          "sys/auth",        "sys/mounts/auth",
                                 "auth method", "the auth method", "enabled authentications"};

static const struct shape config_shape[] = {
    {"default_lease_ttl", JSON_NUMBER},
    {"max_lease_ttl", JSON_NUMBER},
    {"force_no_cache", JSON_BOOL},
    {"audit_non_hmac_request_keys", JSON_ARRAY, .omit_empty = true},
    {"audit_non_hmac_response_keys", JSON_ARRAY, .omit_empty = true},
    {"listing_visibility", JSON_STRING, .omit_empty = true},
    {"passthrough_request_headers", JSON_ARRAY, .omit_empty = true},
    {"allowed_response_headers", JSON_ARRAY, .omit_empty = true},
    {"token_type", JSON_STRING, .omit_empty = true},
    {"allowed_managed_keys", JSON_ARRAY, .omit_empty = true},
    {"user_lockout_config", JSON_OBJECT, .omit_empty = true},
    {0},
};
static const struct shape mount_shape[] = {
    {"uuid", JSON_STRING},
    {"type", JSON_STRING},
    {"description", JSON_STRING},
    {"accessor", JSON_STRING},
    {"config", JSON_OBJECT, .inner = config_shape},
    {"options", JSON_NULL},
    {"local", JSON_BOOL},
    {"seal_wrap", JSON_BOOL},
    {"external_entropy_access", JSON_BOOL},
    {"plugin_version", JSON_STRING},
    {"running_plugin_version", JSON_STRING},
    {"running_sha256", JSON_STRING},
    {"deprecation_status", JSON_STRING},
    {0},
};

/* The cells of a row come from these members; those that begin with "." are in config, those with "!" are
 * made here. */
struct column {
    const char *header, *member;
};
static const struct column short_columns[] = {
    {"Path", "!path"},
    {"Type", "type"},
    {"Accessor", "accessor"},
    {"Description", "description"},
    {"Version", "plugin_version"},
};
static const struct column detailed_columns[] = {
    {"Path", "!path"},
    {"Plugin", "type"},
    {"Accessor", "accessor"},
    {"Default TTL", ".default_lease_ttl"},
    {"Max TTL", ".max_lease_ttl"},
    {"Force No Cache", ".force_no_cache"},
    {"Replication", "!replication"},
    {"Seal Wrap", "seal_wrap"},
    {"External Entropy Access", "external_entropy_access"},
    {"Options", "!options"},
    {"Description", "description"},
    {"UUID", "uuid"},
    {"Version", "plugin_version"},
    {"Running Version", "running_plugin_version"},
    {"Running SHA256", "running_sha256"},
    {"Deprecation Status", "deprecation_status"},
};
static const struct column token_type_column = {"Token Type", ".token_type"};

static str cell(struct arena *a, const struct column *col, str path, const struct json *mount)
{
    str name = str_from_cstr(col->member);
    str type = json_get_str(mount, STR("type"));
    if (str_eq(name, STR("!path")))
        return path;
    if (str_eq(name, STR("!replication")))
        return json_get_bool(mount, STR("local")) ? STR("local") : STR("replicated");
    if (str_eq(name, STR("!options"))) {
        const struct json *options = json_get(mount, STR("options"));
        return json_is_null(options) ? STR("map[]") : value_text(a, options);
    }
    if (!str_starts(name, STR("."))) {
        const struct json *value = json_get(mount, name);
        return json_is_null(value) ? (str){0} : value_text(a, value);
    }
    const struct json *value = json_get(json_get(mount, STR("config")), str_from(name, 1));
    if (!str_ends(name, STR("_ttl")))
        return json_is_null(value) ? (str){0} : value_text(a, value);
    if (str_eq(type, STR("system")) || str_eq(type, STR("cubbyhole")))
        return (str){0};
    str seconds = value_text(a, value);
    return str_eq(seconds, STR("0")) ? STR("system") : seconds;
}

static void mounts_table(struct cli *c, const struct kind *k, const struct json *mounts)
{
    bool detailed = flag_bool(&c->flags, "detailed");
    const struct column *columns = detailed ? detailed_columns : short_columns;
    size_t n = detailed ? COUNT_OF(detailed_columns) : COUNT_OF(short_columns) - !k->auth;
    struct table t;
    table_init(&t, c->arena, n);
    str *paths = keys_sorted(c->arena, mounts);
    for (uint32_t i = 0; i <= mounts->n; i++) {
        str cells[TABLE_COLUMNS_MAX];
        for (size_t j = 0; j < n; j++) {
            const struct column *col = &columns[j];
            if (k->auth && strcmp(col->header, "Force No Cache") == 0)
                col = &token_type_column;
            cells[j] = i ? cell(c->arena, col, paths[i - 1], json_get(mounts, paths[i - 1]))
                         : str_from_cstr(col->header);
        }
        table_row(&t, cells);
    }
    table_print(c, &t, true);
}

static struct error *mount_list(struct cli *c, const struct kind *k)
{
    struct client_request rq = {.method = "GET", .path = str_from_cstr(k->path)};
    struct json *secret;
    TRY(cli_secret(c, arena_fmt(c->arena, "Error listing %s", k->listing), &rq, &secret));
    if (secret && json_get(secret, STR("wrap_info")))
        return secret_print(c, secret);
    const struct json *data = json_get(secret, STR("data"));
    struct json *mounts = json_object(c->arena);
    for (uint32_t i = 0; data && data->type == JSON_OBJECT && i < data->n; i++)
        json_set(c->arena, mounts, data->members[i].key,
                 json_shape(c->arena, mount_shape, data->members[i].value));
    if (c->format != OUTPUT_TABLE)
        return json_print(c, mounts);
    mounts_table(c, k, mounts);
    return NULL;
}

static const struct {
    const char *flag, *member;
} config_flags[] = {
    {"listing-visibility", "listing_visibility"},
    {"audit-non-hmac-request-keys", "audit_non_hmac_request_keys"},
    {"audit-non-hmac-response-keys", "audit_non_hmac_response_keys"},
    {"passthrough-request-headers", "passthrough_request_headers"},
    {"allowed-response-headers", "allowed_response_headers"},
    {"plugin-version", "plugin_version"},
    {"allowed-managed-keys", "allowed_managed_keys"},
    {"token-type", "token_type"},
};

/* Texts and lists that were given. */
static void put_config(struct cli *c, struct json *config)
{
    for (size_t i = 0; i < COUNT_OF(config_flags); i++) {
        const struct flag_value *v = flag_find(&c->flags, config_flags[i].flag);
        if (!v || !v->given)
            continue;
        struct json *value = v->flag->type == FLAG_STRING ? json_string(c->arena, v->text)
                                                          : json_strings(c->arena, v->items, v->n);
        json_set(c->arena, config, str_from_cstr(config_flags[i].member), value);
    }
}

/* -options, with -version as the option of that name; null if there are none. */
static struct json *mount_options(struct cli *c)
{
    struct json *options = flag_value(&c->flags, "options")->pairs;
    const struct flag_value *version = flag_find(&c->flags, "version");
    if (version && version->given) {
        if (!options)
            options = json_object(c->arena);
        json_set_str(c->arena, options, STR("version"),
                     arena_fmt(c->arena, "%lld", (long long)version->number));
    }
    return options ? options : json_null(c->arena);
}

static struct error *mount_enable(struct cli *c, const struct kind *k)
{
    struct arena *a = c->arena;
    str type = str_trim(c->args[0]);
    if (str_eq(type, STR("plugin"))) {
        type = flag_text(&c->flags, "plugin-name");
        if (!type.n)
            return usage_error(c, "Missing plugin name: -plugin-name is required with the type \"plugin\"");
    }
    str path = path_trim(flag_text(&c->flags, "path"));
    path = path.n ? path : path_trim(type);
    struct json *config = json_object(a);
    struct json *body = json_object(a);
    json_set_str(a, config, STR("default_lease_ttl"),
                 duration_format(a, flag_number(&c->flags, "default-lease-ttl")));
    json_set_str(a, config, STR("max_lease_ttl"),
                 duration_format(a, flag_number(&c->flags, "max-lease-ttl")));
    json_set_bool(a, config, STR("force_no_cache"), flag_bool(&c->flags, "force-no-cache"));
    put_config(c, config);
    json_set_str(a, body, STR("type"), type);
    json_set_str(a, body, STR("description"), flag_text(&c->flags, "description"));
    json_set(a, body, STR("config"), config);
    json_set_bool(a, body, STR("local"), flag_bool(&c->flags, "local"));
    json_set_bool(a, body, STR("seal_wrap"), flag_bool(&c->flags, "seal-wrap"));
    json_set_bool(a, body, STR("external_entropy_access"), flag_bool(&c->flags, "external-entropy-access"));
    json_set(a, body, STR("options"), mount_options(c));
    struct client_request rq = {
        .method = "POST", .path = arena_fmt(a, "%s/%.*s", k->path, PSTR(path)), .body = body};
    str what = k->auth ? arena_fmt(a, "Error enabling %.*s auth", PSTR(type)) : STR("Error enabling");
    TRY(cli_call(c, what, &rq, NULL));
    cli_print(c,
              k->auth ? "Success! Enabled %.*s auth method at: %.*s/"
                      : "Success! Enabled the %.*s secrets engine at: %.*s/",
              PSTR(type), PSTR(path));
    return NULL;
}

static void put_ttl(struct cli *c, struct json *body, const char *flag, const char *member)
{
    int64_t ns = flag_number(&c->flags, flag);
    str text = ns < 0 ? STR("system") : ns ? duration_format(c->arena, ns) : STR("");
    json_set_str(c->arena, body, str_from_cstr(member), text);
}

static void put_lockout(struct cli *c, struct json *body)
{
    struct arena *a = c->arena;
    struct json *lockout = json_object(a);
    const char *reset = "user-lockout-counter-reset-duration";
    if (flag_given(&c->flags, "user-lockout-threshold"))
        json_set_str(a, lockout, STR("lockout_threshold"),
                     arena_fmt(a, "%lld", (long long)flag_number(&c->flags, "user-lockout-threshold")));
    if (flag_given(&c->flags, "user-lockout-duration"))
        put_ttl(c, lockout, "user-lockout-duration", "lockout_duration");
    if (flag_given(&c->flags, reset))
        put_ttl(c, lockout, reset, "lockout_counter_reset_duration");
    if (flag_given(&c->flags, "user-lockout-disable"))
        json_set_bool(a, lockout, STR("lockout_disable"), flag_bool(&c->flags, "user-lockout-disable"));
    if (lockout->n)
        json_set(a, body, STR("user_lockout_config"), lockout);
}

static struct error *mount_tune(struct cli *c, const struct kind *k)
{
    str path = path_trim(c->args[0]);
    struct json *body = json_object(c->arena);
    put_ttl(c, body, "default-lease-ttl", "default_lease_ttl");
    put_ttl(c, body, "max-lease-ttl", "max_lease_ttl");
    put_config(c, body);
    if (flag_given(&c->flags, "description"))
        json_set_str(c->arena, body, STR("description"), flag_text(&c->flags, "description"));
    if (k->auth)
        put_lockout(c, body);
    json_set(c->arena, body, STR("options"), mount_options(c));
    struct client_request rq = {
        .method = "POST",
        .path = arena_fmt(c->arena, "%s/%.*s/tune", k->tune_path, PSTR(path)),
        .body = body,
    };
    TRY(cli_call(c, arena_fmt(c->arena, "Error tuning %s %.*s/", k->one, PSTR(path)), &rq, NULL));
    cli_print(c, "Success! Tuned %s at: %.*s/", k->tuned, PSTR(path));
    return NULL;
}

static struct error *mount_disable(struct cli *c, const struct kind *k)
{
    str path = path_trim(c->args[0]);
    struct client_request rq = {.method = "DELETE",
                                .path = arena_fmt(c->arena, "%s/%.*s", k->path, PSTR(path))};
    TRY(cli_call(c, arena_fmt(c->arena, "Error disabling %s at %.*s/", k->one, PSTR(path)), &rq, NULL));
    cli_print(c, "Success! Disabled %s (if it existed) at: %.*s/", k->tuned, PSTR(path));
    return NULL;
}

enum { MOVE_LINE_S = 10 };

static struct error *mount_move(struct cli *c, const struct kind *k)
{
    struct arena *a = c->arena;
    str from = path_slashed(a, c->args[0]);
    str to = path_slashed(a, c->args[1]);
    struct json *body = json_object(a);
    json_set_str(a, body, STR("from"), from);
    json_set_str(a, body, STR("to"), to);
    struct client_request rq = {.method = "POST", .path = STR("sys/remount"), .body = body};
    str what = arena_fmt(a, "Error moving %s %.*s to %.*s", k->one, PSTR(from), PSTR(to));
    struct json *secret;
    TRY(cli_secret(c, what, &rq, &secret));
    str id = json_get_str(json_get(secret, STR("data")), STR("migration_id"));
    cli_print(c, "Started moving %s %.*s to %.*s, with migration ID %.*s", k->one, PSTR(from), PSTR(to),
              PSTR(id));
    struct client_request poll = {.method = "GET", .path = arena_fmt(a, "sys/remount/status/%.*s", PSTR(id))};
    for (unsigned waited_s = 0;; waited_s++) {
        struct error *bad = cli_secret(c, what, &poll, &secret);
        cli_progress(c, "%s", "");
        TRY(bad);
        str status =
            json_get_str(json_get(json_get(secret, STR("data")), STR("migration_info")), STR("status"));
        if (str_eq(status, STR("success"))) {
            cli_print(c, "Success! Finished moving %s %.*s to %.*s, with migration ID %.*s", k->one,
                      PSTR(from), PSTR(to), PSTR(id));
            return NULL;
        }
        if (!secret || str_eq(status, STR("failure"))) {
            cli_print(c, "Failure! Error encountered moving %s %.*s to %.*s, with migration ID %.*s", k->one,
                      PSTR(from), PSTR(to), PSTR(id));
            return NULL;
        }
        cli_progress(c, "Moving %s %.*s to %.*s: %u s", k->one, PSTR(from), PSTR(to), waited_s);
        if (!c->terminal && waited_s % MOVE_LINE_S == 0)
            cli_print(c,
                      "Waiting for terminal status in migration of %s %.*s to %.*s, with migration ID %.*s",
                      k->one, PSTR(from), PSTR(to), PSTR(id));
        fflush(c->out);
        client_pause(NS_PER_S);
    }
}

struct error *cmd_secrets_list(struct cli *c)
{
    return mount_list(c, &secrets);
}

struct error *cmd_secrets_enable(struct cli *c)
{
    return mount_enable(c, &secrets);
}

struct error *cmd_secrets_tune(struct cli *c)
{
    return mount_tune(c, &secrets);
}

struct error *cmd_secrets_disable(struct cli *c)
{
    return mount_disable(c, &secrets);
}

struct error *cmd_secrets_move(struct cli *c)
{
    return mount_move(c, &secrets);
}

struct error *cmd_auth_list(struct cli *c)
{
    return mount_list(c, &auth);
}

struct error *cmd_auth_enable(struct cli *c)
{
    return mount_enable(c, &auth);
}

struct error *cmd_auth_tune(struct cli *c)
{
    return mount_tune(c, &auth);
}

struct error *cmd_auth_disable(struct cli *c)
{
    return mount_disable(c, &auth);
}

struct error *cmd_auth_move(struct cli *c)
{
    return mount_move(c, &auth);
}
