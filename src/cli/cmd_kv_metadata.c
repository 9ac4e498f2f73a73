/* kv metadata: get put patch delete. */
#include "base/clock.h"
#include "cli/cmd.h"
#include "cli/kv_path.h"

#include <stdlib.h>

#define MOUNT_FLAG                                                                                           \
    {                                                                                                        \
        "mount", FLAG_STRING, .help = "Path of the mount; arguments are then inside it."                     \
    }
#define SETTING_FLAGS                                                                                        \
    MOUNT_FLAG, {"max-versions", FLAG_INT, .initial = "-1", .help = "Versions kept of this secret."},        \
        {"cas-required", FLAG_BOOL, .help = "Writes must name the current version."},                        \
        {"delete-version-after", FLAG_DURATION, .initial = "-1ns",                                           \
         .help = "Delete versions after this time."},                                                        \
    {                                                                                                        \
        "custom-metadata", FLAG_PAIRS, .help = "Metadata key=value; may be given several times."             \
    }

const struct flag metadata_flags[] = {MOUNT_FLAG, {0}};
const struct flag metadata_put_flags[] = {SETTING_FLAGS, {0}};
const struct flag metadata_patch_flags[] = {
    SETTING_FLAGS,
    {"remove-custom-metadata", FLAG_STRINGS, .help = "Metadata key to remove; may be given several times."},
    {0},
};

static struct error *resolve(struct cli *c, str *ret_path)
{
    struct kv_path p;
    TRY(kv_resolve(c, &p));
    if (!p.v2)
        return usage_error(c, "Metadata not supported on KV Version 1");
    *ret_path = kv_full(c, &p, "metadata");
    return NULL;
}

static int number_cmp(const void *x, const void *y)
{
    uint64_t a = 0;
    uint64_t b = 0;
    (void)!str_parse_u64(*(const str *)x, &a); /* keys are numbers; another one counts as 0 */
    (void)!str_parse_u64(*(const str *)y, &b);
    return a < b ? -1 : a > b;
}

struct error *cmd_metadata_get(struct cli *c)
{
    str path;
    TRY(resolve(c, &path));
    struct client_request rq = {.method = "GET", .path = path};
    struct json *secret;
    TRY(cli_find(c, arena_fmt(c->arena, "Error reading %.*s", PSTR(path)), &rq, &secret));
    if (!secret)
        return kv_not_found(c, "value", path);
    struct json *data = json_get(secret, STR("data"));
    bool plain =
        c->format != OUTPUT_TABLE || flag_text(&c->flags, "field").n || json_get(secret, STR("wrap_info"));
    if (plain || json_is_null(data) || data->type != JSON_OBJECT)
        return secret_print(c, secret);
    const struct json *versions = json_get(data, STR("versions"));
    warnings_print(c, secret);
    kv_path_print(c, "Metadata Path", path);
    json_unset(data, STR("versions"));
    kv_table_print(c, "Metadata", data);
    if (json_is_null(versions) || versions->type != JSON_OBJECT)
        return NULL;
    str *numbers = keys_sorted(c->arena, versions);
    qsort(numbers, versions->n, sizeof(str), number_cmp);
    for (uint32_t i = 0; i < versions->n; i++) {
        const char *title = arena_cstr(c->arena, arena_fmt(c->arena, "Version %.*s", PSTR(numbers[i])));
        const struct json *version = json_get(versions, numbers[i]);
        cli_print(c, "%s", "");
        if (title && version->type == JSON_OBJECT)
            kv_table_print(c, title, version);
    }
    return NULL;
}

static struct json *settings_body(struct cli *c)
{
    struct arena *a = c->arena;
    struct json *body = json_object(a);
    int64_t versions = flag_number(&c->flags, "max-versions");
    int64_t after_ns = flag_number(&c->flags, "delete-version-after");
    if (versions >= 0)
        json_set_int(a, body, STR("max_versions"), versions);
    if (flag_given(&c->flags, "cas-required"))
        json_set_bool(a, body, STR("cas_required"), flag_bool(&c->flags, "cas-required"));
    if (after_ns >= 0)
        json_set_str(a, body, STR("delete_version_after"), duration_format(a, after_ns));
    return body;
}

static struct error *settings_write(struct cli *c, const char *method, const struct json *body)
{
    str path;
    TRY(resolve(c, &path));
    struct client_request rq = {.method = method, .path = path, .body = body};
    struct json *secret;
    TRY(cli_secret(c, arena_fmt(c->arena, "Error writing data to %.*s", PSTR(path)), &rq, &secret));
    return secret_or_success(c, secret, "Data written to: %.*s", PSTR(path));
}

struct error *cmd_metadata_put(struct cli *c)
{
    struct json *body = settings_body(c);
    struct json *custom = flag_value(&c->flags, "custom-metadata")->pairs;
    if (custom)
        json_set(c->arena, body, STR("custom_metadata"), custom);
    return settings_write(c, "PUT", body);
}

struct error *cmd_metadata_patch(struct cli *c)
{
    struct json *body = settings_body(c);
    struct json *custom = flag_value(&c->flags, "custom-metadata")->pairs;
    const struct flag_value *removed = flag_value(&c->flags, "remove-custom-metadata");
    if (!custom)
        custom = json_object(c->arena);
    for (size_t i = 0; i < removed->n; i++)
        json_set(c->arena, custom, removed->items[i], json_null(c->arena));
    json_set(c->arena, body, STR("custom_metadata"), custom);
    return settings_write(c, "PATCH", body);
}

struct error *cmd_metadata_delete(struct cli *c)
{
    str path;
    TRY(resolve(c, &path));
    struct client_request rq = {.method = "DELETE", .path = path};
    struct json *secret;
    TRY(cli_secret(c, arena_fmt(c->arena, "Error deleting %.*s", PSTR(path)), &rq, &secret));
    return secret_or_success(c, secret, "Data deleted (if it existed) at: %.*s", PSTR(path));
}
