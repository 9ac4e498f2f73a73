/* lease: lookup renew revoke. */
#include "base/clock.h"
#include "cli/cmd.h"

const struct flag lease_renew_flags[] = {
    {"increment", FLAG_DURATION, .alias = "i", .help = "Time asked for."},
    {0},
};
const struct flag lease_revoke_flags[] = {
    {"force", FLAG_BOOL, .alias = "f",
     .help = "Forget the lease even if the engine cannot revoke it; needs -prefix."},
    {"prefix", FLAG_BOOL, .help = "All leases that begin with the argument."},
    {"sync", FLAG_BOOL, .help = "Wait until it is done."},
    {0},
};

static struct error *id_arg(struct cli *c, str *ret_id)
{
    if (!c->n_args)
        return usage_error(c, "Missing ID!");
    if (c->n_args > 1)
        return usage_error(c, "Too many arguments (expected 1, got %zu)", c->n_args);
    *ret_id = str_trim(c->args[0]);
    return NULL;
}

struct error *cmd_lease_lookup(struct cli *c)
{
    str id;
    TRY(id_arg(c, &id));
    struct json *body = json_object(c->arena);
    json_set_str(c->arena, body, STR("lease_id"), id);
    struct client_request rq = {.method = "PUT", .path = STR("sys/leases/lookup"), .body = body};
    struct json *secret;
    TRY(cli_secret(c, arena_fmt(c->arena, "error looking up lease id %.*s", PSTR(id)), &rq, &secret));
    return secret_or_success(c, secret, "Looked up lease: %.*s", PSTR(id));
}

struct error *cmd_lease_renew(struct cli *c)
{
    str id;
    TRY(id_arg(c, &id));
    struct json *body = json_object(c->arena);
    json_set_str(c->arena, body, STR("lease_id"), id);
    json_set_int(c->arena, body, STR("increment"), flag_number(&c->flags, "increment") / NS_PER_S);
    struct client_request rq = {.method = "PUT", .path = STR("sys/leases/renew"), .body = body};
    struct json *secret;
    TRY(cli_secret(c, arena_fmt(c->arena, "Error renewing %.*s", PSTR(id)), &rq, &secret));
    return secret_or_success(c, secret, "Renewed lease: %.*s", PSTR(id));
}

struct error *cmd_lease_revoke(struct cli *c)
{
    bool force = flag_bool(&c->flags, "force");
    bool prefix = flag_bool(&c->flags, "prefix");
    bool sync = flag_bool(&c->flags, "sync");
    str id = str_trim(c->args[0]);
    if (force && !prefix)
        return usage_error(c, "Specifying -force requires also specifying -prefix");
    if (force)
        cli_warn(c,
                 "Warning! Force-removing leases can cause Vault to become out of sync with secret engines!");
    const char *kind = force ? "revoke-force" : prefix ? "revoke-prefix" : "revoke";
    struct json *body = json_object(c->arena);
    json_set_bool(c->arena, body, STR("sync"), sync);
    struct client_request rq = {
        .method = "PUT",
        .path = arena_fmt(c->arena, "sys/leases/%s/%.*s", kind, PSTR(id)),
        .body = body,
    };
    const char *scope = prefix ? "leases with prefix " : "lease ";
    TRY(cli_call(c, arena_fmt(c->arena, "Error %srevoking %s%.*s", force ? "force " : "", scope, PSTR(id)),
                 &rq, NULL));
    if (force)
        cli_print(c, "Success! Force revoked any leases with prefix: %.*s", PSTR(id));
    else if (!sync)
        cli_print(c, "All revocation operations queued successfully!");
    else
        cli_print(c,
                  prefix ? "Success! Revoked any leases with prefix: %.*s" : "Success! Revoked lease: %.*s",
                  PSTR(id));
    return NULL;
}
