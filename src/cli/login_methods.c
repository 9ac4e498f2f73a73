/* Logins with a user's name and password, a certificate, a GitHub token; and the second factor. */
#include "cli/login.h"
#include "client/secret.h"

#include <unistd.h>

struct error *login_credential(struct cli *c, const struct json *given, const char *name, const char *prompt,
                               str *ret)
{
    const struct json *value = json_get(given, str_from_cstr(name));
    if (value) {
        *ret = value_text(c->arena, value);
        return NULL;
    }
    return cli_prompt(c, c->err, prompt, ret);
}

struct error *login_put(struct cli *c, str path, str user, const struct json *body, struct json **ret_secret)
{
    struct client *client;
    struct client_answer answer;
    struct client_request rq = {
        .method = "PUT",
        .path = arena_fmt(c->arena, "auth/%.*s/login%s%.*s", PSTR(path), user.n ? "/" : "", PSTR(user)),
        .body = body,
    };
    TRY(cli_client(c, &client));
    client_set_token(client, (str){0});
    TRY(cli_call(c, (str){0}, &rq, &answer));
    *ret_secret = secret_from_json(c->arena, answer.json);
    return NULL;
}

/* Members of the body that are sent when they are given. */
static void put_given(struct cli *c, const struct json *given, struct json *body, const char *const *names,
                      size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct json *v = json_get(given, str_from_cstr(names[i]));
        if (v)
            json_set_str(c->arena, body, str_from_cstr(names[i]), value_text(c->arena, v));
    }
}

static struct error *login_user(struct cli *c, const struct json *given, str path, struct json **ret_secret)
{
    static const char *const more[] = {"method", "passcode", "totp", "provider"};
    str user = json_get_str(given, STR("username"));
    str password;
    bool ldap = str_eq(flag_text(&c->flags, "method"), STR("ldap"));
    if (!user.n && ldap)
        user = environment_get(&c->env, STR("LOGNAME"));
    if (!user.n && ldap)
        user = environment_get(&c->env, STR("USER"));
    if (!user.n)
        return error_new(c->arena, ERR_BAD_REQUEST, "'username' must be specified: add username=NAME");
    str kept = ldap ? environment_setting(&c->env, STR("LDAP_PASSWORD")) : (str){0};
    if (kept.n && !json_get(given, STR("password")))
        password = kept;
    else
        TRY(login_credential(c, given, "password", "Password (will be hidden): ", &password));
    struct json *body = json_object(c->arena);
    json_set_str(c->arena, body, STR("password"), password);
    put_given(c, given, body, more, COUNT_OF(more));
    return login_put(c, path, user, body, ret_secret);
}

/* The certificate is the one of the connection: -client-cert and -client-key. */
static struct error *login_cert(struct cli *c, const struct json *given, str path, struct json **ret_secret)
{
    static const char *const names[] = {"name"};
    struct json *body = json_object(c->arena);
    put_given(c, given, body, names, COUNT_OF(names));
    return login_put(c, path, (str){0}, body, ret_secret);
}

static struct error *login_github(struct cli *c, const struct json *given, str path, struct json **ret_secret)
{
    str token = environment_setting(&c->env, STR("AUTH_GITHUB_TOKEN"));
    if (!token.n || json_get(given, STR("token")))
        TRY(login_credential(c, given, "token", "GitHub Personal Access Token (will be hidden): ", &token));
    struct json *body = json_object(c->arena);
    json_set_str(c->arena, body, STR("token"), str_trim(token));
    return login_put(c, path, (str){0}, body, ret_secret);
}

#define ASKED " It is asked for on the terminal if it is not given."
#define PASSCODE                                                                                             \
    {"method", "Second factor of the old kind."},                                                            \
    {                                                                                                        \
        "passcode", "Its code."                                                                              \
    }

static const struct login_setting token_settings[] = {
    {"token", "The token." ASKED},
    {"lookup", "Look the token up first: false keeps it as it is. The default is true."},
    {0},
};
static const struct login_setting user_settings[] = {
    {"username", "Name of the user."}, {"password", "Password of the user." ASKED}, PASSCODE, {0}};
static const struct login_setting ldap_settings[] = {
    {"username", "Name of the user. The default is the one logged in on this machine."},
    {"password",
     "Password of the user. It is asked for on the terminal if neither it nor the VAULT_LDAP_PASSWORD "
     "environment variable is given."},
    PASSCODE,
    {0},
};
static const struct login_setting okta_settings[] = {
    {"username", "Name of the user."},
    {"password", "Password of the user." ASKED},
    {"totp", "Code of the user's application."},
    {"provider", "Whose application: GOOGLE or OKTA."},
    {0},
};
static const struct login_setting cert_settings[] = {
    {"name", "Role of the certificate to try; by default all. The certificate is that of -client-cert and "
             "-client-key."},
    {0},
};
static const struct login_setting github_settings[] = {
    {"token", "Personal access token. It is asked for on the terminal if neither it nor the "
              "VAULT_AUTH_GITHUB_TOKEN environment variable is given."},
    {0},
};
static const struct login_setting aws_settings[] = {
    {"role", "Role to log in to; by default the one named as the caller's."},
    {"region", "Region whose security token service is asked. The default is us-east-1."},
    {"header_value", "Value of the header X-Vault-AWS-IAM-Server-ID, if the server wants one."},
    {"aws_access_key_id",
     "Access key. By default the environment, the profile of AWS's own tools, or the role of "
     "the machine."},
    {"aws_secret_access_key", "Its secret."},
    {"aws_security_token", "Its session token."},
    {0},
};

static const struct login_method methods[] = {
    {"aws", login_aws, "Logs in with an AWS identity, proved by a signed request.", aws_settings},
    {"cert", login_cert, "Logs in with the client's TLS certificate.", cert_settings},
    {"github", login_github, "Logs in with a personal access token of GitHub.", github_settings},
    {"ldap", login_user, "Logs in with a name and a password of an LDAP directory.", ldap_settings},
    {"okta", login_user, "Logs in with a name and a password of Okta.", okta_settings},
    {"radius", login_user, "Logs in with a name and a password of a RADIUS server.", user_settings},
    {"token", login_token, "Takes a token that exists already and keeps it for later calls.", token_settings},
    {"userpass", login_user, "Logs in with a name and a password that the server keeps.", user_settings},
};

const struct login_method *login_method_find(str name)
{
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (str_eq(name, str_from_cstr(methods[i].name)))
            return &methods[i];
    return NULL;
}

/* ---- the second factor ---- */

static const struct json *requirement(const struct json *secret)
{
    const struct json *mfa = json_get(json_get(secret, STR("auth")), STR("mfa_requirement"));
    return json_is_null(mfa) ? NULL : mfa;
}

bool mfa_is_asked(const struct json *secret)
{
    return requirement(secret) != NULL;
}

/* The method, if there is just one. */
static const struct json *only_method(const struct json *mfa)
{
    const struct json *constraints = json_get(mfa, STR("mfa_constraints"));
    if (!constraints || constraints->type != JSON_OBJECT || constraints->n != 1)
        return NULL;
    const struct json *any = json_get(constraints->members[0].value, STR("any"));
    return any && any->type == JSON_ARRAY && any->n == 1 ? any->items[0] : NULL;
}

struct error *mfa_answer(struct cli *c, struct json **io_secret)
{
    const struct json *mfa = requirement(*io_secret);
    const struct json *method = only_method(mfa);
    if (!method || flag_bool(&c->flags, "non-interactive") || !isatty(c->in_fd))
        return NULL;
    str id = json_get_str(method, STR("id"));
    str type = json_get_str(method, STR("type"));
    struct json *codes = json_array(c->arena);
    if (json_get_bool(method, STR("uses_passcode"))) {
        str code;
        str prompt = arena_fmt(
            c->arena, "Enter the passphrase for methodID \"%.*s\" of type \"%.*s\": ", PSTR(id), PSTR(type));
        TRY(cli_prompt(c, c->err, prompt.p, &code));
        json_append(c->arena, codes, json_string(c->arena, str_trim(code)));
    } else {
        cli_warn(c, "Asking for acknowledgement from methodID \"%.*s\" of type \"%.*s\".", PSTR(id),
                 PSTR(type));
    }
    struct json *payload = json_object(c->arena);
    struct json *body = json_object(c->arena);
    json_set(c->arena, payload, id, codes);
    json_set_str(c->arena, body, STR("mfa_request_id"), json_get_str(mfa, STR("mfa_request_id")));
    json_set(c->arena, body, STR("mfa_payload"), payload);
    struct client_request rq = {.method = "PUT", .path = STR("sys/mfa/validate"), .body = body};
    return cli_secret(c, STR("Error validating the second factor"), &rq, io_secret);
}
