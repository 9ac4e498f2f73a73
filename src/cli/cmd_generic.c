/* Commands that take any path: read write list delete patch unwrap path-help; and the two that ask nobody. */
#include "cli/cmd.h"
#include "cli/login.h"
#include "cli/secret_table.h"

const struct flag force_flags[] = {
    {"force", FLAG_BOOL, .alias = "f", .help = "Write without any data."},
    {0},
};

static struct error *not_found(struct cli *c, str path)
{
    return error_new(c->arena, ERR_NOT_FOUND, "No value found at %.*s", PSTR(path));
}

struct error *cmd_read(struct cli *c)
{
    str path = path_trim(c->args[0]);
    struct json *params;
    TRY(cli_pairs(c, 1, &params));
    struct client_request rq = {.method = "GET", .path = path, .params = params};
    str what = arena_fmt(c->arena, "Error reading %.*s", PSTR(path));
    if (c->format == OUTPUT_RAW) {
        struct client_answer answer;
        TRY(cli_call(c, what, &rq, &answer));
        cli_print(c, "%.*s", PSTR(answer.body));
        return NULL;
    }
    struct json *secret;
    TRY(cli_find(c, what, &rq, &secret));
    return secret ? secret_print(c, secret) : not_found(c, path);
}

struct error *cmd_list(struct cli *c)
{
    str path = path_trim(c->args[0]);
    struct json *secret;
    struct client_request rq = {.method = "LIST", .path = path};
    TRY(cli_find(c, arena_fmt(c->arena, "Error listing %.*s", PSTR(path)), &rq, &secret));
    return list_print(c, secret, path);
}

static struct error *write_with(struct cli *c, const char *method)
{
    str path = path_trim(c->args[0]);
    struct json *data;
    TRY(cli_pairs(c, 1, &data));
    if (c->n_args < 2 && !flag_bool(&c->flags, "force"))
        return usage_error(c, "Must supply data or use -force");
    struct client_request rq = {
        .method = method, .path = path, .body = c->n_args < 2 ? json_null(c->arena) : data};
    struct json *secret;
    TRY(cli_secret(c, arena_fmt(c->arena, "Error writing data to %.*s", PSTR(path)), &rq, &secret));
    TRY(mfa_answer(c, &secret)); /* a login by write */
    return secret_or_success(c, secret, "Data written to: %.*s", PSTR(path));
}

struct error *cmd_write(struct cli *c)
{
    return write_with(c, "PUT");
}

struct error *cmd_patch(struct cli *c)
{
    return write_with(c, "PATCH");
}

struct error *cmd_delete(struct cli *c)
{
    str path = path_trim(c->args[0]);
    struct json *params;
    TRY(cli_pairs(c, 1, &params));
    struct client_request rq = {.method = "DELETE", .path = path, .params = params};
    struct json *secret;
    TRY(cli_secret(c, arena_fmt(c->arena, "Error deleting %.*s", PSTR(path)), &rq, &secret));
    return secret_or_success(c, secret, "Data deleted (if it existed) at: %.*s", PSTR(path));
}

struct error *cmd_unwrap(struct cli *c)
{
    struct client *client;
    TRY(cli_client(c, &client));
    struct json *body = json_null(c->arena);
    if (c->n_args && !str_eq(c->args[0], client_token(client))) {
        body = json_object(c->arena);
        json_set_str(c->arena, body, STR("token"), str_trim(c->args[0]));
    }
    struct client_request rq = {.method = "PUT", .path = STR("sys/wrapping/unwrap"), .body = body};
    struct json *secret;
    TRY(cli_secret(c, STR("Error unwrapping"), &rq, &secret));
    if (!secret)
        return error_new(c->arena, ERR_NOT_FOUND, "Could not find wrapped response");
    if (!flag_text(&c->flags, "field").n && secret_keys(secret))
        return list_print(c, secret, (str){0});
    return secret_print(c, secret);
}

struct error *cmd_path_help(struct cli *c)
{
    struct json *params = json_object(c->arena);
    json_set_str(c->arena, params, STR("help"), STR("1"));
    struct client_request rq = {.method = "GET", .path = path_trim(c->args[0]), .params = params};
    struct client_answer answer;
    struct error *bad = cli_call(c, STR("Error retrieving help"), &rq, &answer);
    if (bad && str_find(bad->text, STR("Vault is sealed")) < bad->text.n)
        return error_new(
            c->arena, ERR_SEALED,
            "Error: Vault is sealed. Help needs the mounts, which are known when it is unsealed.");
    TRY(bad);
    if (c->format == OUTPUT_TABLE) {
        cli_print(c, "%.*s", PSTR(json_get_str(answer.json, STR("help"))));
        return NULL;
    }
    const struct json *openapi = json_get(answer.json, STR("openapi"));
    cli_print(c, "%.*s", PSTR(json_text(c->arena, openapi ? openapi : json_null(c->arena))));
    return NULL;
}

struct error *cmd_print_token(struct cli *c)
{
    struct client *client;
    TRY(cli_client(c, &client));
    cli_print(c, "%.*s", PSTR(client_token(client)));
    return NULL;
}

#define API_VERSION "1.14.7"

struct error *cmd_version(struct cli *c)
{
    if (str_eq(c->called, STR("vault")))
        cli_print(c, "Vault v%s+coffer.%s", API_VERSION, COFFER_VERSION);
    else
        cli_print(c, "Coffer v%s (API of Vault %s)", COFFER_VERSION, API_VERSION);
    return NULL;
}
