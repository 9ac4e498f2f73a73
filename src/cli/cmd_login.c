/* login: gets a token by one of the methods and keeps it for later calls. */
#include "cli/cmd.h"
#include "cli/login.h"
#include "cli/render.h"
#include "client/secret.h"
#include "client/token_helper.h"

const struct flag login_flags[] = {
    {"method", FLAG_STRING, .initial = "token",
     .help = "How to log in: aws, cert, github, ldap, okta, radius, token or userpass."},
    {"path", FLAG_STRING, .help = "Path of the auth method, by default its name."},
    {"no-store", FLAG_BOOL, .help = "Do not keep the token."},
    {"no-print", FLAG_BOOL, .help = "Print nothing."},
    {"token-only", FLAG_BOOL, .help = "Print the token alone, and do not keep it."},
    {0},
};

/* A token that exists already: looked up and shown as if it had been made by a login. */
struct error *login_token(struct cli *c, const struct json *given, str path, struct json **ret_secret)
{
    (void)path;
    str token;
    bool lookup = true;
    struct client *client;
    TRY(login_credential(c, given, "token", "Token (will be hidden): ", &token));
    token = str_trim(token);
    if (!token.n)
        return error_new(c->arena, ERR_BAD_REQUEST,
                         "a token must be passed to auth, see the help for more information");
    str wanted = json_get_str(given, STR("lookup"));
    if (wanted.n && !bool_from_str(wanted, &lookup))
        return error_new(c->arena, ERR_BAD_REQUEST, "lookup must be true or false");
    struct json *data = NULL;
    TRY(cli_client(c, &client));
    client_set_token(client, token);
    if (lookup) {
        struct client_request rq = {
            .method = "GET", .path = STR("auth/token/lookup-self"), .never_wrap = true};
        struct json *secret;
        TRY(cli_secret(c, STR("error looking up token"), &rq, &secret));
        data = json_get(secret, STR("data"));
        if (json_is_null(data))
            return error_new(c->arena, ERR_NOT_FOUND, "empty response from lookup-self");
    }
    static const char *const copies[][2] = {
        {"accessor", "accessor"},       {"policies", "policies"},
        {"token_policies", "policies"}, {"identity_policies", "identity_policies"},
        {"metadata", "meta"},           {"lease_duration", "ttl"},
        {"renewable", "renewable"},
    };
    struct json *auth = json_object(c->arena);
    struct json *body = json_object(c->arena);
    json_set_str(c->arena, auth, STR("client_token"), token);
    for (size_t i = 0; i < COUNT_OF(copies); i++) {
        struct json *v = json_get(data, str_from_cstr(copies[i][1]));
        if (v)
            json_set(c->arena, auth, str_from_cstr(copies[i][0]), v);
    }
    json_set(c->arena, body, STR("auth"), auth);
    *ret_secret = secret_from_json(c->arena, body);
    return NULL;
}

static struct error *unwrap(struct cli *c, struct json **io_secret)
{
    client_set_token(c->client, json_get_str(json_get(*io_secret, STR("wrap_info")), STR("token")));
    struct client_request rq = {
        .method = "PUT", .path = STR("sys/wrapping/unwrap"), .body = json_null(c->arena), .never_wrap = true};
    return cli_secret(c, STR("Error unwrapping"), &rq, io_secret);
}

static struct error *store_and_print(struct cli *c, struct json *secret, bool store)
{
    str token = json_get_str(json_get(secret, STR("auth")), STR("client_token"));
    if (store) {
        if (environment_setting(&c->env, STR("TOKEN")).n)
            cli_warn(c, "WARNING! The VAULT_TOKEN environment variable is set. It is used instead of the "
                        "stored token\n"
                        "until it is unset.\n");
        TRY(prefixed(c, token_store(c->arena, &c->env, token), "Error storing token"));
    }
    if (flag_bool(&c->flags, "token-only")) {
        cli_put_value(c, token);
        return NULL;
    }
    if (flag_bool(&c->flags, "no-print"))
        return NULL;
    if (!store)
        cli_warn(
            c,
            "The token was not stored in the token helper. Set the VAULT_TOKEN environment variable or pass\n"
            "the token with each request.\n");
    else if (c->format == OUTPUT_TABLE && !flag_text(&c->flags, "field").n)
        cli_print(c, "Success! You are now authenticated. The token below is already stored in the\n"
                     "token helper: there is no need to log in again, later requests will use this\n"
                     "token by themselves.\n");
    return secret_print(c, secret);
}

/* The arguments as an object of strings; `login TOKEN` and `login -` mean token=. */
static struct error *credentials_given(struct cli *c, bool is_token, struct json **ret_given)
{
    if (is_token && c->n_args == 1 && str_index(c->args[0], '=') == c->args[0].n &&
        !str_starts(c->args[0], STR("@")))
        c->args[0] = arena_join(c->arena, STR("token="), c->args[0]);
    return cli_pairs(c, 0, ret_given);
}

struct error *cmd_login(struct cli *c)
{
    str name = flag_text(&c->flags, "method");
    bool token_only = flag_bool(&c->flags, "token-only");
    bool store = !token_only && !flag_bool(&c->flags, "no-store");
    if (flag_bool(&c->flags, "no-store") && flag_bool(&c->flags, "no-print"))
        return usage_error(c, "-no-store and -no-print cannot be used together");
    const struct login_method *method = login_method_find(name);
    if (!method)
        return usage_error(c,
                           "Unknown auth method: %.*s. This program logs in with aws, cert, github, ldap, "
                           "okta, radius, token and "
                           "userpass; for others write to the method: \"%.*s write auth/%.*s/login ...\".",
                           PSTR(name), PSTR(c->called), PSTR(name));
    struct json *given;
    struct json *secret;
    TRY(credentials_given(c, method->login == login_token, &given));
    str path = path_trim(flag_text(&c->flags, "path"));
    if (!path.n)
        path = path_trim(json_get_str(given, STR("mount")));
    TRY(prefixed(c, method->login(c, given, path.n ? path : name, &secret), "Error authenticating"));
    if (!secret)
        return error_new(c->arena, ERR_NOT_FOUND, "Vault returned an empty secret");
    const struct json *wrap = json_get(secret, STR("wrap_info"));
    if (wrap && token_only) {
        cli_put_value(c, json_get_str(wrap, STR("token")));
        return NULL;
    }
    if (wrap && !store)
        return secret_print(c, secret);
    if (wrap)
        TRY(unwrap(c, &secret));
    TRY(mfa_answer(c, &secret));
    if (mfa_is_asked(secret)) {
        cli_warn(
            c, "The login needs a second factor: write it to sys/mfa/validate with the request id below.\n");
        return secret_print(c, secret);
    }
    return store_and_print(c, secret, store);
}

/* ---- auth help ---- */

static void method_help(struct cli *c, const struct login_method *m)
{
    enum { WIDTH = 72, BYTES_MAX = 64 * 1024 };
    struct buf b;
    buf_init(&b, c->arena, BYTES_MAX);
    buf_put_fmt(&b, "Usage: %.*s login -method=%s [CONFIG K=V...]\n\n", PSTR(c->called), m->name);
    wrapped_write(&b, str_from_cstr(m->about), WIDTH, "  ");
    buf_put_str(&b, STR("\nConfiguration:\n"));
    for (const struct login_setting *s = m->settings; s->name; s++) {
        buf_put_fmt(&b, "\n  %s=<string>\n", s->name);
        wrapped_write(&b, str_from_cstr(s->help), WIDTH, "      ");
    }
    cli_print(c, "%.*s", PSTR(buf_str(&b)));
}

struct error *cmd_auth_help(struct cli *c)
{
    str name = str_trim(c->args[0]);
    const struct login_method *m = login_method_find(name);
    if (!m) { /* where one is mounted? */
        struct client_request rq = {.method = "GET", .path = STR("sys/auth")};
        struct json *secret;
        TRY(cli_secret(c, STR("Error listing auth methods"), &rq, &secret));
        str path = arena_join(c->arena, path_trim(name), STR("/"));
        const struct json *mount = json_get(json_get(secret, STR("data")), path);
        c->exit_code = mount ? 0 : 1;
        if (!mount)
            return error_new(c->arena, ERR_NOT_FOUND, "No auth method available on the server at \"%.*s\"",
                             PSTR(path));
        m = login_method_find(json_get_str(mount, STR("type")));
    }
    if (!m)
        return error_new(c->arena, ERR_NOT_FOUND,
                         "No method-specific CLI handler available for auth method \"%.*s\"", PSTR(name));
    method_help(c, m);
    return NULL;
}
