/* policy: list read write delete fmt. */
#include "cli/cmd.h"
#include "cli/policy_format.h"
#include "client/file.h"

static str policy_path(struct cli *c, str name)
{
    return arena_join(c->arena, STR("sys/policies/acl/"), name);
}

struct error *cmd_policy_list(struct cli *c)
{
    struct client_request rq = {.method = "LIST", .path = STR("sys/policies/acl")};
    struct json *secret;
    TRY(cli_secret(c, STR("Error listing policies"), &rq, &secret));
    if (secret && json_get(secret, STR("wrap_info")))
        return secret_print(c, secret);
    const struct json *keys = json_get(json_get(secret, STR("data")), STR("keys"));
    if (c->format != OUTPUT_TABLE)
        return json_print(c, keys && keys->type == JSON_ARRAY ? keys : json_array(c->arena));
    for (uint32_t i = 0; keys && keys->type == JSON_ARRAY && i < keys->n; i++)
        cli_print(c, "%.*s", PSTR(value_text(c->arena, keys->items[i])));
    return NULL;
}

struct error *cmd_policy_read(struct cli *c)
{
    str name = arena_lower(c->arena, str_trim(c->args[0]));
    struct client_request rq = {.method = "GET", .path = policy_path(c, name)};
    struct json *secret;
    TRY(cli_find(c, arena_fmt(c->arena, "Error reading policy named %.*s", PSTR(name)), &rq, &secret));
    if (secret && json_get(secret, STR("wrap_info")))
        return secret_print(c, secret);
    str text = json_get_str(json_get(secret, STR("data")), STR("policy"));
    if (!text.n)
        return error_new(c->arena, ERR_NOT_FOUND, "No policy named: %.*s", PSTR(name));
    if (c->format == OUTPUT_TABLE) {
        cli_print(c, "%.*s", PSTR(str_trim(text)));
        return NULL;
    }
    struct json *out = json_object(c->arena);
    json_set_str(c->arena, out, STR("policy"), text);
    return json_print(c, out);
}

struct error *cmd_policy_write(struct cli *c)
{
    str name = arena_lower(c->arena, str_trim(c->args[0]));
    str source = str_trim(c->args[1]);
    str text;
    if (str_eq(source, STR("-")))
        TRY(prefixed(c, fd_read(c->arena, c->in_fd, STR("stdin"), &text), "Error reading policy"));
    else
        TRY(prefixed(c, file_read(c->arena, source, &text), "Error opening policy file"));
    if (!str_eq(name, c->args[0]))
        cli_warn(c, "Policy name was converted from \"%.*s\" to \"%.*s\"", PSTR(c->args[0]), PSTR(name));
    struct json *body = json_object(c->arena);
    json_set_str(c->arena, body, STR("policy"), text);
    struct client_request rq = {.method = "PUT", .path = policy_path(c, name), .body = body};
    TRY(cli_call(c, STR("Error uploading policy"), &rq, NULL));
    cli_print(c, "Success! Uploaded policy: %.*s", PSTR(name));
    return NULL;
}

struct error *cmd_policy_delete(struct cli *c)
{
    str name = arena_lower(c->arena, str_trim(c->args[0]));
    struct client_request rq = {.method = "DELETE", .path = policy_path(c, name)};
    TRY(cli_call(c, arena_fmt(c->arena, "Error deleting %.*s", PSTR(name)), &rq, NULL));
    cli_print(c, "Success! Deleted policy: %.*s", PSTR(name));
    return NULL;
}

struct error *cmd_policy_fmt(struct cli *c)
{
    str text;
    str formatted;
    c->exit_code = 1; /* of any error */
    TRY(prefixed(c, file_read(c->arena, c->args[0], &text), "Error reading source file"));
    TRY(policy_check(c->arena, text));
    TRY(policy_format(c->arena, text, &formatted));
    TRY(file_write(c->arena, c->args[0], 0644, formatted));
    c->exit_code = 0;
    cli_print(c, "Success! Formatted policy: %.*s", PSTR(c->args[0]));
    return NULL;
}
