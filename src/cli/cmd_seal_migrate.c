/* operator seal-migrate: the migration of a seal in one go, with the server stopped. Only in programs with
 * COFFER_SERVER.
 *
 * The configuration is the one that the server would have for it: the new seal, the old one `disabled`. The
 * shares are arguments or asked for. Afterwards the store is opened once more, as it will be from now on. */
#include "auth/methods.h"
#include "base/log.h"
#include "base/secure.h"
#include "cli/cmd.h"
#include "cli/server_private.h"
#include "core/body.h"
#include "core/offline.h"
#include "crypto/crypto.h"
#include "engine/engines.h"

#include <errno.h>

enum { OPEN_S = 60 };

const struct flag seal_migrate_flags[] = {
    {"config", FLAG_STRINGS,
     .help = "Configuration file, or folder of .hcl and .json files. May be given several times."},
    {"dry-run", FLAG_BOOL, .help = "Try shares and key service, say what would be done, change nothing."},
    {0},
};

static struct error *open_server(struct server *s)
{
    struct cli *c = s->cli;
    const struct flag_value *paths = flag_value(&c->flags, "config");

    if (paths->n == 0)
        return usage_error(c, "Must specify at least one config path using -config");
    TRY(config_load(c->arena, paths->items, paths->n, &s->config));
    if (!s->config->storage)
        return error_new(c->arena, ERR_BAD_REQUEST, "A storage backend must be specified");
    if (!secure_process(!s->config->disable_mlock))
        return error_new(c->arena, ERR_INTERNAL, "Failed to lock memory: %s", strerror(errno));
    TRY(storage_open(c->arena, s->config->storage, &s->storage));
    TRY(server_open_seals(s));
    s->core = core_new(&(struct core_config){
        .storage = s->storage,
        .storage_type = s->config->storage->type,
        .config = s->config,
        .rng = rng_system(),
        .clock = clock_real(),
        .version = STR(COFFER_VERSION),
        .engines = builtin_engines,
        .methods = builtin_methods,
        .storage_config = s->config->storage,
        .seal = s->seal,
        .disabled_seal = s->disabled_seal,
        .seal_host = &s->seal_host,
    });
    s->storage = NULL;
    s->seal = s->disabled_seal = NULL; /* the core's */
    return NULL;
}

static struct error *ask_shares(struct cli *c, unsigned needed, bytes *shares)
{
    for (unsigned i = 0; i < needed; i++) {
        str text = i < c->n_args ? c->args[i] : (str){0};

        if (i >= c->n_args)
            TRY(cli_prompt(c, c->out, arena_fmt(c->arena, "Key %u of %u (will be hidden): ", i + 1, needed).p,
                           &text));
        TRY(share_parse(c->arena, str_trim(text), &shares[i]));
        TRY(share_check(c->arena, shares[i]));
    }
    return NULL;
}

static struct error *open_and_seal(struct server *s, enum core_offline how, const bytes *shares, unsigned n)
{
    struct arena *a = s->cli->arena;

    TRY(core_offline(s->core, a, how, shares, n));
    bool active = core_wait_state(s->core, CORE_ACTIVE, OPEN_S * NS_PER_S);
    bool due = core_seals(s->core).due;

    core_seal(s->core);
    if (!active)
        return error_new(a, ERR_INTERNAL, "this node did not become the active one: is another one running?");
    return due ? error_new(a, ERR_INTERNAL, "the migration failed: see the log above") : NULL;
}

static struct error *migrate(struct server *s)
{
    struct cli *c = s->cli;
    struct core_seals seals;

    if (core_state(s->core) == CORE_UNINITIALISED)
        return error_new(c->arena, ERR_BAD_REQUEST, "Vault is not initialized");
    TRY(core_begin(s->core, c->arena));
    seals = core_seals(s->core);
    if (!seals.due) {
        cli_print(c, "Nothing to do: the store is sealed by \"%s\", as the configuration says.", seals.from);
        return NULL;
    }
    cli_print(c, "Seal migration from \"%s\" to \"%s\"", seals.from, seals.to);
    bytes *shares = ARENA_ARRAY(c->arena, bytes, seals.shares_needed);

    TRY(ask_shares(c, seals.shares_needed, shares));
    TRY(core_offline(s->core, c->arena, OFFLINE_CHECK, shares, seals.shares_needed));
    if (flag_bool(&c->flags, "dry-run")) {
        cli_print(c, "The shares open the store%s. Nothing was changed.",
                  strcmp(seals.to, "shamir") == 0 ? "" : ", and the new key service works");
        return NULL;
    }
    TRY(open_and_seal(s, OFFLINE_MIGRATE, shares, seals.shares_needed));
    TRY(open_and_seal(s, OFFLINE_OPEN, shares, seals.shares_needed));
    cli_print(c,
              "Success! The store is sealed by \"%s\" now, and was opened by it. The shares stay the same.",
              seals.to);
    return NULL;
}

struct error *cmd_seal_migrate(struct cli *c)
{
    struct server s = {.cli = c};

    crypto_init();
    log_set_level(LOG_WARN);
    struct error *e = open_server(&s);

    if (!e)
        e = migrate(&s);
    core_free(s.core);
    storage_close(s.storage);
    seal_close(s.seal);
    seal_close(s.disabled_seal);
    if (e)
        c->exit_code = 1;
    return e;
}
