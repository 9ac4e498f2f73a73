/* namespace: create patch lookup list delete lock unlock. coffer has no namespaces, nor has Vault's open
 * edition: they answer that there is nothing. Other servers have them. */
#include "cli/cmd.h"

const struct flag namespace_create_flags[] = {
    {"custom-metadata", FLAG_PAIRS, .help = "Metadata key=value; may be given several times."},
    {0},
};
const struct flag namespace_patch_flags[] = {
    {"custom-metadata", FLAG_PAIRS, .help = "Metadata key=value; may be given several times."},
    {"remove-custom-metadata", FLAG_STRINGS,
     .help = "Key of metadata to remove; may be given several times."},
    {0},
};

static str namespace_path(struct cli *c)
{
    return arena_join(c->arena, STR("sys/namespaces/"), path_trim(c->args[0]));
}

struct error *cmd_namespace_create(struct cli *c)
{
    struct json *body = json_object(c->arena);
    struct json *metadata = flag_value(&c->flags, "custom-metadata")->pairs;
    json_set(c->arena, body, STR("custom_metadata"), metadata ? metadata : json_object(c->arena));
    struct client_request rq = {.method = "PUT", .path = namespace_path(c), .body = body};
    struct json *secret;
    TRY(cli_secret(c, STR("Error creating namespace"), &rq, &secret));
    return secret_or_success(c, secret, "Namespace created at: %.*s",
                             PSTR(path_slashed(c->arena, c->args[0])));
}

struct error *cmd_namespace_patch(struct cli *c)
{
    const struct json *pairs = flag_value(&c->flags, "custom-metadata")->pairs;
    const struct flag_value *gone = flag_value(&c->flags, "remove-custom-metadata");
    if (!pairs && !gone->n)
        return usage_error(c, "Must supply at least one of -custom-metadata or -remove-custom-metadata");
    struct json *metadata = json_object(c->arena);
    for (uint32_t i = 0; pairs && i < pairs->n; i++)
        json_set(c->arena, metadata, pairs->members[i].key, pairs->members[i].value);
    for (size_t i = 0; i < gone->n; i++)
        json_set(c->arena, metadata, gone->items[i], json_null(c->arena));
    struct json *body = json_object(c->arena);
    json_set(c->arena, body, STR("custom_metadata"), metadata);
    struct client_request rq = {.method = "PATCH", .path = namespace_path(c), .body = body};
    struct json *secret;
    TRY(cli_secret(c, STR("Error patching namespace"), &rq, &secret));
    return secret_or_success(c, secret, "Namespace patched at: %.*s",
                             PSTR(path_slashed(c->arena, c->args[0])));
}

struct error *cmd_namespace_lookup(struct cli *c)
{
    struct client_request rq = {.method = "GET", .path = namespace_path(c)};
    struct json *secret;
    TRY(cli_find(c, STR("Error looking up namespace"), &rq, &secret));
    return secret ? secret_print(c, secret)
                  : error_new(c->arena, ERR_NOT_FOUND, "Namespace not found: %.*s", PSTR(c->args[0]));
}

struct error *cmd_namespace_list(struct cli *c)
{
    struct client_request rq = {.method = "LIST", .path = STR("sys/namespaces")};
    struct json *secret;
    TRY(cli_find(c, STR("Error listing namespaces"), &rq, &secret));
    if (!secret && c->format == OUTPUT_TABLE)
        return error_new(c->arena, ERR_NOT_FOUND, "No namespaces found");
    return list_print(c, secret, STR("sys/namespaces"));
}

struct error *cmd_namespace_delete(struct cli *c)
{
    struct client_request rq = {.method = "DELETE", .path = namespace_path(c)};
    struct json *secret;
    TRY(cli_secret(c, STR("Error deleting namespace"), &rq, &secret));
    return secret_or_success(c, secret, "Namespace deleted at: %.*s",
                             PSTR(path_slashed(c->arena, c->args[0])));
}

static struct error *lock_call(struct cli *c, const char *verb, const struct json *body, str *ret_path,
                               struct json **ret_secret)
{
    str path = c->n_args ? path_trim(c->args[0]) : (str){0};
    *ret_path = path;
    struct client_request rq = {
        .method = "PUT",
        .path = arena_fmt(c->arena, "sys/namespaces/api-lock/%s%s%.*s", verb, path.n ? "/" : "", PSTR(path)),
        .body = body};
    return cli_secret(c, arena_fmt(c->arena, "Error %sing namespace", verb), &rq, ret_secret);
}

struct error *cmd_namespace_lock(struct cli *c)
{
    struct json *secret;
    str path;
    TRY(lock_call(c, "lock", NULL, &path, &secret));
    return secret_or_success(c, secret, "Namespace locked: %.*s", PSTR(path));
}

struct error *cmd_namespace_unlock(struct cli *c)
{
    struct json *secret;
    struct json *body = json_object(c->arena);
    str path;
    json_set_str(c->arena, body, STR("unlock_key"), flag_text(&c->flags, "unlock-key"));
    TRY(lock_call(c, "unlock", body, &path, &secret));
    return secret_or_success(c, secret, "Namespace unlocked: %.*s", PSTR(path));
}
