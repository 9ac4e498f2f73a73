/* token: create lookup renew revoke capabilities. */
#include "base/clock.h"
#include "cli/cmd.h"

const struct flag token_create_flags[] = {
    {"id", FLAG_STRING, .help = "Value of the token; only root tokens may choose it."},
    {"display-name", FLAG_STRING, .help = "Name shown in look-ups and the audit log."},
    {"ttl", FLAG_DURATION, .help = "Initial time to live."},
    {"explicit-max-ttl", FLAG_DURATION, .help = "Latest end of the token's life, renewed or not."},
    {"period", FLAG_DURATION, .help = "Makes a periodic token: every renewal gives it this time."},
    {"renewable", FLAG_BOOL, .initial = "true", .help = "May be renewed."},
    {"orphan", FLAG_BOOL, .help = "Without a parent: lives on when the token that makes it is revoked."},
    {"no-default-policy", FLAG_BOOL, .help = "Without the policy \"default\"."},
    {"use-limit", FLAG_INT, .help = "Number of times it may be used."},
    {"role", FLAG_STRING, .help = "Token role to create it by."},
    {"type", FLAG_STRING, .initial = "service", .help = "Type: service or batch."},
    {"metadata", FLAG_PAIRS, .help = "Metadata key=value; may be given several times."},
    {"policy", FLAG_STRINGS, .help = "Policy of the token; may be given several times."},
    {"entity-alias", FLAG_STRING, .help = "Entity alias to bind it to, where the role allows that."},
    {0},
};
#define ACCESSOR_FLAG                                                                                        \
    {                                                                                                        \
        "accessor", FLAG_BOOL, .help = "The argument is an accessor."                                        \
    }
const struct flag token_lookup_flags[] = {ACCESSOR_FLAG, {0}};
const struct flag token_renew_flags[] = {
    ACCESSOR_FLAG,
    {"increment", FLAG_DURATION, .alias = "i", .help = "Time asked for."},
    {0},
};
const struct flag token_revoke_flags[] = {
    ACCESSOR_FLAG,
    {"self", FLAG_BOOL, .help = "Revoke the token in use."},
    {"mode", FLAG_STRING, .help = "orphan: without its children; path: every token made at this path."},
    {0},
};

static void put_duration(struct cli *c, struct json *body, const char *flag, const char *member)
{
    json_set_str(c->arena, body, str_from_cstr(member),
                 duration_format(c->arena, flag_number(&c->flags, flag)));
}

struct error *cmd_token_create(struct cli *c)
{
    struct arena *a = c->arena;
    const struct flag_value *policies = flag_value(&c->flags, "policy");
    struct json *metadata = flag_value(&c->flags, "metadata")->pairs;
    str id = flag_text(&c->flags, "id");
    str role = flag_text(&c->flags, "role");
    str type = flag_text(&c->flags, "type");
    struct json *body = json_object(a);
    json_set(a, body, STR("policies"), json_strings(a, policies->items, policies->n));
    put_duration(c, body, "ttl", "ttl");
    put_duration(c, body, "explicit-max-ttl", "explicit_max_ttl");
    put_duration(c, body, "period", "period");
    json_set_str(a, body, STR("display_name"), flag_text(&c->flags, "display-name"));
    json_set_int(a, body, STR("num_uses"), flag_number(&c->flags, "use-limit"));
    json_set_bool(a, body, STR("renewable"),
                  flag_bool(&c->flags, "renewable") && !str_eq(type, STR("batch")));
    json_set_str(a, body, STR("type"), type);
    json_set_str(a, body, STR("entity_alias"), flag_text(&c->flags, "entity-alias"));
    if (id.n)
        json_set_str(a, body, STR("id"), id);
    if (metadata)
        json_set(a, body, STR("meta"), metadata);
    if (flag_bool(&c->flags, "orphan"))
        json_set_bool(a, body, STR("no_parent"), true);
    if (flag_bool(&c->flags, "no-default-policy"))
        json_set_bool(a, body, STR("no_default_policy"), true);
    struct client_request rq = {
        .method = "POST",
        .path = role.n ? arena_fmt(a, "auth/token/create/%.*s", PSTR(role)) : STR("auth/token/create"),
        .body = body,
    };
    struct json *secret;
    TRY(cli_secret(c, STR("Error creating token"), &rq, &secret));
    return secret_or_success(c, secret, "Created token");
}

static struct json *body_with(struct cli *c, const char *member, str value)
{
    struct json *body = json_object(c->arena);
    json_set_str(c->arena, body, str_from_cstr(member), value);
    return body;
}

/* One argument with -accessor, none or one without it. */
static struct error *check_accessor_args(struct cli *c)
{
    bool accessor = flag_bool(&c->flags, "accessor");
    if (accessor && c->n_args != 1)
        return usage_error(c, "%s arguments with -accessor (expected 1, got %zu)",
                           c->n_args ? "Too many" : "Not enough", c->n_args);
    if (c->n_args > 1)
        return usage_error(c, "Too many arguments (expected 0-1, got %zu)", c->n_args);
    return NULL;
}

struct error *cmd_token_lookup(struct cli *c)
{
    TRY(check_accessor_args(c));
    struct client_request rq = {.method = "GET", .path = STR("auth/token/lookup-self")};
    if (flag_bool(&c->flags, "accessor"))
        rq = (struct client_request){.method = "POST",
                                     .path = STR("auth/token/lookup-accessor"),
                                     .body = body_with(c, "accessor", str_trim(c->args[0]))};
    else if (c->n_args)
        rq = (struct client_request){.method = "POST",
                                     .path = STR("auth/token/lookup"),
                                     .body = body_with(c, "token", str_trim(c->args[0]))};
    struct json *secret;
    TRY(cli_secret(c, STR("Error looking up token"), &rq, &secret));
    return secret_or_success(c, secret, "Looked up token");
}

struct error *cmd_token_renew(struct cli *c)
{
    TRY(check_accessor_args(c));
    struct client_request rq = {.method = "PUT", .path = STR("auth/token/renew-self")};
    struct json *body = json_object(c->arena);
    if (flag_bool(&c->flags, "accessor")) {
        rq = (struct client_request){.method = "POST", .path = STR("auth/token/renew-accessor")};
        body = body_with(c, "accessor", str_trim(c->args[0]));
    } else if (c->n_args) {
        rq.path = STR("auth/token/renew");
        body = body_with(c, "token", str_trim(c->args[0]));
    }
    json_set_int(c->arena, body, STR("increment"), flag_number(&c->flags, "increment") / NS_PER_S);
    rq.body = body;
    struct json *secret;
    TRY(cli_secret(c, STR("Error renewing token"), &rq, &secret));
    return secret_or_success(c, secret, "Renewed token");
}

/* Which arguments and flags go together. */
static struct error *check_revoke(struct cli *c, str mode)
{
    bool self = flag_bool(&c->flags, "self");
    bool accessor = flag_bool(&c->flags, "accessor");
    if (!self && !c->n_args)
        return usage_error(c, "Not enough arguments (expected 1 or -self, got 0)");
    if (self && c->n_args)
        return usage_error(c, "Too many arguments with -self (expected 0, got %zu)", c->n_args);
    if (c->n_args > 1)
        return usage_error(c, "Too many arguments (expected 1 or -self, got %zu)", c->n_args);
    if (self && accessor)
        return usage_error(c, "Cannot use -self with -accessor!");
    if (self && mode.n)
        return usage_error(c, "Cannot use -self with -mode!");
    if (accessor && str_eq(mode, STR("orphan")))
        return usage_error(c, "Cannot use -accessor with -mode=orphan!");
    if (accessor && str_eq(mode, STR("path")))
        return usage_error(c, "Cannot use -accessor with -mode=path!");
    if (mode.n && !str_eq(mode, STR("orphan")) && !str_eq(mode, STR("path")))
        return usage_error(c, "Invalid mode: %.*s", PSTR(mode));
    return NULL;
}

struct error *cmd_token_revoke(struct cli *c)
{
    str mode = flag_text(&c->flags, "mode");
    TRY(check_revoke(c, mode));
    str token = c->n_args ? str_trim(c->args[0]) : (str){0};
    struct client_request rq = {.method = "PUT"};
    if (flag_bool(&c->flags, "self")) {
        rq.path = STR("auth/token/revoke-self");
    } else if (flag_bool(&c->flags, "accessor")) {
        rq = (struct client_request){.method = "POST",
                                     .path = STR("auth/token/revoke-accessor"),
                                     .body = body_with(c, "accessor", token)};
    } else if (str_eq(mode, STR("path"))) {
        rq.path = arena_join(c->arena, STR("sys/leases/revoke-prefix/"), token);
    } else {
        rq.path = mode.n ? STR("auth/token/revoke-orphan") : STR("auth/token/revoke");
        rq.body = body_with(c, "token", token);
    }
    TRY(cli_call(c, STR("Error revoking token"), &rq, NULL));
    cli_print(c, "Success! Revoked token (if it existed)");
    return NULL;
}

struct error *cmd_token_capabilities(struct cli *c)
{
    struct arena *a = c->arena;
    bool self = c->n_args == 1;
    struct json *body = self ? json_object(a) : body_with(c, "token", str_trim(c->args[0]));
    json_set_str(a, body, STR("path"), c->args[c->n_args - 1]);
    struct client_request rq = {
        .method = "POST",
        .path = self ? STR("sys/capabilities-self") : STR("sys/capabilities"),
        .body = body,
    };
    struct json *secret;
    TRY(cli_secret(c, STR("Error listing capabilities"), &rq, &secret));
    const struct json *found = json_get(json_get(secret, STR("data")), STR("capabilities"));
    if (!found || found->type != JSON_ARRAY)
        return error_new(a, ERR_NOT_FOUND, "No capabilities found");
    str *names = ARENA_ARRAY(a, str, found->n);
    for (uint32_t i = 0; i < found->n; i++)
        names[i] = value_text(a, found->items[i]);
    strings_sort(names, found->n);
    if (c->format != OUTPUT_TABLE)
        return json_print(c, json_strings(a, names, found->n));
    for (uint32_t i = 0; i < found->n; i++)
        fprintf(c->out, i ? ", %.*s" : "%.*s", PSTR(names[i]));
    fputc('\n', c->out);
    return NULL;
}
