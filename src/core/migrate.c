#include "core/migrate.h"

#include "base/log.h"
#include "core/active_private.h"
#include "core/autoseal.h"
#include "core/root_change.h"

#include <stdatomic.h>

enum { ROOT_KEY_BYTES = BARRIER_KEY_BYTES };

static const char *type_of(const struct seal *s)
{
    return s ? seal_type(s) : "shamir";
}

static bool is_type(const char *type, const struct seal *s)
{
    return strcmp(type, type_of(s)) == 0;
}

/* ---- is there something to be done? ---- */

static struct error *no_way(const struct core *c, struct arena *a, const char *from)
{
    return c->seal ? error_new(a, ERR_BAD_REQUEST,
                               "cannot seal migrate from \"%s\" to \"%s\", no disabled seal in configuration",
                               from, seal_type(c->seal))
                   : error_new(a, ERR_BAD_REQUEST,
                               "cannot seal migrate from \"%s\" to Shamir, no disabled seal in configuration",
                               from);
}

static struct error *no_recovery_config(const struct core *c, struct arena *a)
{
    bytes inside; /* the barrier: it moves out when the node is active */

    TRY(storage_get(c->config.storage, a, STR("core/recovery-seal-config"), &inside));
    return error_new(a, ERR_BAD_REQUEST,
                     inside.p ? "Cannot migrate seals while using a legacy recovery seal config"
                              : "Recovery seal configuration not found for existing seal");
}

struct error *migration_find(struct core *c, struct arena *a, const struct seal_config *config)
{
    const struct seal *old = c->config.disabled_seal;
    bool is_target = is_type(config->type, c->seal);

    if (!old && is_target)
        return NULL;
    if (!is_target && seal_config_is_auto(config) && !(old && is_type(config->type, old)))
        return no_way(c, a, config->type);
    if (seal_config_is_auto(config) && config->threshold == 0)
        return no_recovery_config(c, a);
    c->migration.mode = true;
    c->migration.same_type = old && is_type(type_of(c->seal), old);
    log_warn("core",
             "entering seal migration mode; Vault will not automatically unseal even if using an autoseal",
             F_CSTR("from_barrier_type", old && !is_target ? seal_type(old) : config->type),
             F_CSTR("to_barrier_type", type_of(c->seal)));
    return NULL;
}

bool migration_is_due(const struct core *c, const struct seal_config *config)
{
    const struct migration *m = &c->migration;

    return m->mode && (!is_type(config->type, c->seal) || (m->same_type && !m->same_done));
}

struct seal *migration_stored_seal(const struct core *c, const char *type)
{
    struct seal *old = c->config.disabled_seal;
    bool is_old = old && is_type(type, old);

    if (c->seal && is_type(type, c->seal) && !(is_old && !c->migration.same_done))
        return c->seal;
    return is_old ? old : NULL;
}

struct error *migration_probe(struct core *c, struct arena *a)
{
    struct secret *clear = NULL;
    bytes blob;
    bool exists;

    if (!c->migration.same_type || c->migration.same_done)
        return NULL;
    TRY(storage_get(c->config.storage, a, STR("core/hsm/barrier-unseal-keys"), &blob));
    if (!blob.p || autoseal_decrypt(c->autoseal, c->seal, a, blob, &clear))
        return NULL; /* not yet */
    secret_free(clear);
    c->migration.same_done = true;
    return core_load_seal_config(c, a, &exists);
}

/* ---- what is written ---- */

struct plan {
    bool changes_root, to_shares; /* shares to a key service; the other way; neither: service to service */
    bytes stored_keys, recovery_key, seal_config, recovery_config, new_root, key;
};

static struct error *write(struct request *rq, struct response *rs)
{
    const struct plan *p = rq->internal_arg;
    struct view core = txn_view(rq->txn, SPACE_CORE);

    (void)rs;
    TRY(txn_exclusive(rq->txn));
    if (p->recovery_key.p)
        TRY(txn_put_raw(rq->txn, STR("core/recovery-key"), p->recovery_key));
    if (p->recovery_config.p)
        TRY(txn_put_raw(rq->txn, STR("core/recovery-config"), p->recovery_config));
    if (p->changes_root)
        return root_change_write(rq, &(struct root_change){.root_key = p->new_root,
                                                           .stored_keys = p->stored_keys,
                                                           .config = p->seal_config});
    TRY(txn_put_raw(rq->txn, STR("core/hsm/barrier-unseal-keys"), p->stored_keys));
    if (p->to_shares)
        TRY(view_put(&core, STR("shamir-kek"), p->key));
    TRY(txn_put_raw(rq->txn, STR("core/seal-config"), p->seal_config));
    return p->to_shares ? view_delete(&core, STR("recovery-config")) : NULL;
}

/* Stored settings with another type, all else as it is. */
static struct error *retyped(struct core *c, struct arena *a, const char *path, const char *type,
                             unsigned stored, bytes *ret)
{
    bytes text;
    struct json *v;

    TRY(storage_get(c->config.storage, a, str_from_cstr(path), &text));
    TRY(json_parse(a, str_from_bytes(text), true, &v));
    v->ordered = true;
    json_set_str(a, v, STR("type"), str_from_cstr(type));
    json_set_int(a, v, STR("stored_shares"), stored);
    *ret = bytes_from_str(json_text(a, v));
    return NULL;
}

static struct error *encrypt(struct core *c, struct arena *a, bytes clear, bytes *ret)
{
    struct error *e = autoseal_encrypt(c->autoseal, c->seal, a, clear, ret);

    return e ? error_new(a, e->kind, "failed to encrypt keys for storage: %.*s", PSTR(e->text)) : NULL;
}

static struct error *plan_to_service(struct core *c, struct arena *a, bytes root, struct plan *p)
{
    bool from_shares = !c->stored_seal;

    log_info("core", from_shares ? "migrating from shamir to auto-unseal"
                                 : "migrating from one auto-unseal to another");
    if (from_shares) {
        uint8_t *fresh = arena_alloc(a, ROOT_KEY_BYTES);

        rng_bytes(c->config.rng, fresh, ROOT_KEY_BYTES);
        p->changes_root = true;
        p->new_root = root = (bytes){fresh, ROOT_KEY_BYTES};
        TRY(retyped(c, a, "core/seal-config", "shamir", 0, &p->recovery_config));
    }
    p->seal_config = seal_config_text_of(a, seal_type(c->seal), 1, 1, 1);
    TRY(encrypt(c, a, p->key, &p->recovery_key));
    return encrypt(c, a, stored_keys_text(a, root), &p->stored_keys);
}

static struct error *plan_to_shares(struct core *c, struct arena *a, bytes root, struct plan *p)
{
    log_info("core", "migrating from one auto-unseal to shamir");
    p->to_shares = true;
    p->stored_keys = seal_blob_make(a, c->config.rng, p->key, root);
    return retyped(c, a, "core/recovery-config", "shamir", 1, &p->seal_config);
}

static struct error *carry_out(struct core *c, struct arena *a)
{
    struct active *active = atomic_load(&c->active);
    struct plan p = {.key = secret_reveal(c->migration.key)};
    struct secret *root;
    bool exists;

    TRY(barrier_root_key(active->barrier, a, &root));
    struct error *e = c->seal ? plan_to_service(c, a, secret_reveal(root), &p)
                              : plan_to_shares(c, a, secret_reveal(root), &p);

    if (!e)
        e = active_run(active, a, write, &p);
    secret_free(root);
    TRY(e);
    c->migration.same_done = true;
    return core_load_seal_config(c, a, &exists);
}

struct error *migration_run(struct core *c, struct arena *a)
{
    if (!c->migration.key)
        return NULL;
    struct error *e = NULL;

    if (!migration_is_due(c, &c->seal_config)) {
        log_info("core", "migration is already performed");
    } else {
        log_info("core", "seal migration initiated");
        e = carry_out(c, a);
        if (e)
            log_error("core", "seal migration error", F_STR("error", error_log_text(a, e)));
        else
            log_info("core", "seal migration complete");
    }
    if (!e) {
        migration_forget_key(c);
        autoseal_active(c->autoseal);
    }
    return e;
}

void migration_forget_key(struct core *c)
{
    secret_free(TAKE(c->migration.key));
}
