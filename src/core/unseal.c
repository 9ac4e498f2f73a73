/* unseal: initialising a store, and opening one with shares. Everything here runs on the control thread and
 * may wait. */
#include "base/cursor.h"
#include "base/encode.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/metrics.h"
#include "core/active_private.h"
#include "core/autoseal.h"
#include "core/root_change.h"
#include "crypto/crypto.h"
#include "crypto/pgp.h"
#include "crypto/shares.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { UNSEAL_KEY_BYTES = 32 };

/* ---- opening ---- */

/* A store older than keyrings: barrier/init holds the one key, which becomes term 1. */
static struct error *open_old_store(struct core *c, struct arena *a, bytes root_key, struct barrier **ret)
{
    bytes record;
    struct json *v;

    TRY(storage_get(c->config.storage, a, STR("barrier/init"), &record));
    if (!record.p || record.n < BARRIER_OVERHEAD_BYTES)
        return error_new(a, ERR_INTERNAL, "the store has neither core/keyring nor barrier/init");
    uint8_t *clear = arena_alloc(a, record.n);

    if (!record_open(clear, root_key, STR("barrier/init"), record))
        return error_new(a, ERR_BAD_REQUEST, "invalid key: barrier/init does not open");
    TRY(json_parse(a, (str){(char *)clear, record.n - BARRIER_OVERHEAD_BYTES}, true, &v));
    str keyring = arena_fmt(a,
                            "{\"MasterKey\":\"%.*s\",\"Keys\":[{\"Term\":1,\"Version\":1,\"Value\":\"%.*s\","
                            "\"InstallTime\":\"%.*s\"}]}",
                            PSTR(base64_encode(a, root_key)), PSTR(json_get_str(v, STR("Key"))),
                            PSTR(time_format(a, clock_wall_ns(c->config.clock))));

    return barrier_from_keyring(a, bytes_from_str(keyring), ret);
}

static struct error *open_keyring(struct core *c, struct arena *a, bytes root_key, struct barrier **ret)
{
    bytes record;

    if (root_key.n != 16 && root_key.n != 32)
        return error_new(a, ERR_BAD_REQUEST, "invalid key: the root key is not 16 or 32 bytes");
    TRY(storage_get(c->config.storage, a, STR("core/keyring"), &record));
    if (!record.p)
        return open_old_store(c, a, root_key, ret);
    struct cursor head = cursor_from(record);

    if (record.n < BARRIER_OVERHEAD_BYTES || cursor_be32(&head) != KEYRING_TERM)
        return error_new(a, ERR_INTERNAL, "core/keyring is damaged");
    uint8_t *clear = arena_alloc(a, record.n);

    if (!record_open(clear, root_key, STR("core/keyring"), record))
        return error_new(a, ERR_BAD_REQUEST, "invalid key: core/keyring does not open with it");
    return barrier_from_keyring(a, (bytes){clear, record.n - BARRIER_OVERHEAD_BYTES}, ret);
}

static struct error *root_key_of(struct arena *a, str object, bytes *ret)
{
    struct json *v;

    TRY(json_parse(a, object, true, &v));
    if (!base64_decode(a, json_get_str(v, STR("Value")), ret))
        return error_new(a, ERR_INTERNAL, "the stored root key is damaged");
    return NULL;
}

/* The copy that the active node keeps for the others. */
static struct error *stored_root_key(struct core *c, struct arena *a, struct barrier *b, bytes *ret)
{
    static const char *const paths[] = {"core/master", "core/root-key"};
    bytes record = {0};
    size_t i = 0;

    for (; !record.p && i < COUNT_OF(paths); i++)
        TRY(storage_get(c->config.storage, a, str_from_cstr(paths[i]), &record));
    uint8_t *clear = arena_alloc(a, record.n + 1);

    if (barrier_open(b, clear, str_from_cstr(paths[i - 1]), record) != BARRIER_OK)
        return error_new(a, ERR_INTERNAL, "the keys were changed meanwhile: seal and unseal this node");
    return root_key_of(a, (str){(char *)clear, record.n - BARRIER_OVERHEAD_BYTES}, ret);
}

struct error *core_refresh_keyring(struct core *c, struct arena *a)
{
    struct barrier *old = c->opened->barrier, *b = NULL;
    bytes object, root;
    bool exists;

    TRY(core_load_seal_config(c, a, &exists)); /* it may have changed the shares, too */
    TRY(barrier_root_key_object(old, a, &object));
    TRY(root_key_of(a, str_from_bytes(object), &root));
    if (open_keyring(c, a, root, &b)) {
        TRY(stored_root_key(c, a, old, &root));
        TRY(open_keyring(c, a, root, &b));
    }
    mutex_lock(&c->mutex);
    struct opened *before = c->opened;

    c->opened = opened_new(b);
    mutex_unlock(&c->mutex);
    barrier_close(before->barrier); /* stragglers of an earlier time as the active node find it so */
    opened_unref(before);
    return NULL;
}

/* core/keyring and core/master, after barrier/init was turned into a keyring. */
static struct error *save_keyring(struct request *rq, struct response *rs)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    struct barrier *b = rq->active->barrier;
    bytes record, root;

    (void)rs;
    TRY(barrier_keyring_record(b, rq->arena, rq->rng, &record));
    TRY(txn_put_raw(rq->txn, STR("core/keyring"), record));
    TRY(barrier_root_key_object(b, rq->arena, &root));
    TRY(view_put(&core, STR("master"), root));
    struct view top = {rq->txn, active_mount_space(rq->active, STR("barrier/"))};

    return view_delete(&top, STR("init"));
}

static struct error *promote(struct core *c, struct arena *a)
{
    bytes keyring;

    if (c->ha) {
        core_set_state(c, CORE_STANDBY);
        ha_start(c->ha);
        return NULL;
    }
    TRY(core_activate(c, a, NULL));
    TRY(storage_get(c->config.storage, a, STR("core/keyring"), &keyring));
    if (!keyring.p)
        TRY(active_run(atomic_load(&c->active), a, save_keyring, NULL));
    return migration_run(c, a);
}

struct error *core_unseal_root(struct core *c, struct arena *a, bytes root_key)
{
    struct barrier *b = NULL;

    TRY(open_keyring(c, a, root_key, &b));
    mutex_lock(&c->mutex);
    c->opened = opened_new(b);
    mutex_unlock(&c->mutex);
    log_info("core", "post-unseal setup starting");
    struct error *e = promote(c, a);

    if (!e) {
        log_info("core", "vault is unsealed");
        return NULL;
    }
    core_deactivate(c);
    mutex_lock(&c->mutex);
    struct opened *o = TAKE(c->opened);

    mutex_unlock(&c->mutex);
    barrier_close(o->barrier);
    opened_unref(o);
    core_set_state(c, CORE_SEALED);
    return e;
}

/* A change of the root key was cut short: the keyring may be under either key. What these shares open with
 * becomes the store's. */
static struct error *finish_change(struct core *c, struct arena *a, const struct root_change_left *left,
                                   bytes unseal_key, struct secret **ret_root)
{
    struct secret *stored = NULL;
    struct error *e = seal_root_key(c->config.storage, a, &c->seal_config, unseal_key, &stored);
    bytes roots[ROOT_CHANGE_ROOTS_MAX + 1];
    size_t n = 0;
    struct barrier *b = NULL;
    bool exists;

    if (!e)
        roots[n++] = arena_bytes(a, secret_reveal(stored));
    secret_free(stored);
    n += root_change_roots(left, a, unseal_key, n ? roots[0] : (bytes){0}, roots + n);
    for (size_t i = 0; !b && i < n; i++) {
        e = open_keyring(c, a, roots[i], &b);
        if (!e)
            *ret_root = secret_from(roots[i]);
    }
    if (!e && !c->ha) { /* with others about, it stays: the keys from before and the new ones open it */
        e = root_change_finish(left, c->config.storage, a, c->config.rng, unseal_key, b);
        if (!e)
            e = core_load_seal_config(c, a, &exists);
    }
    barrier_free(b);
    if (e)
        secret_free(TAKE(*ret_root));
    return e;
}

/* `key` joined from the shares: the unseal key, or under an auto seal the recovery key, which opens nothing:
 * it says that whoever holds it may ask the key service. */
static struct error *open_with(struct core *c, struct arena *a, const struct root_change_left *left,
                               bytes key, bool migrate)
{
    struct secret *root = NULL;

    if (c->stored_seal) {
        TRY(autoseal_check_recovery(c->autoseal, a, key));
        TRY(autoseal_root_key(c->autoseal, a, key, &root));
    } else if (left) {
        TRY(finish_change(c, a, left, key, &root));
    } else {
        TRY(seal_root_key(c->config.storage, a, &c->seal_config, key, &root));
    }
    if (migrate)
        c->migration.key = secret_from(key);
    struct error *e = core_unseal_root(c, a, secret_reveal(root));

    secret_free(root);
    if (e)
        migration_forget_key(c);
    return e;
}

bool core_is_auto(struct core *c)
{
    mutex_lock(&c->mutex);
    bool is = seal_config_is_auto(&c->seal_config);

    mutex_unlock(&c->mutex);
    return is;
}

struct error *core_check_key(struct core *c, struct arena *a, bytes key)
{
    struct secret *root = NULL;
    struct barrier *b = NULL;

    if (c->stored_seal) {
        TRY(autoseal_check_recovery(c->autoseal, a, key));
        TRY(autoseal_root_key(c->autoseal, a, key, &root));
    } else {
        TRY(seal_root_key(c->config.storage, a, &c->seal_config, key, &root));
    }
    struct error *e = open_keyring(c, a, secret_reveal(root), &b);

    secret_free(root);
    if (!e)
        barrier_free(b);
    return e;
}

/* How many there are now. */
static unsigned add_share(struct core *c, bytes share)
{
    mutex_lock(&c->mutex);
    if (!c->progress)
        c->progress = unseal_progress_new(c->config.rng);
    unseal_progress_add(c->progress, share);
    unsigned n = c->progress->n;

    mutex_unlock(&c->mutex);
    return n;
}

static struct error *take_config(struct core *c, struct arena *a, const struct seal_config *config)
{
    struct seal *stored = migration_stored_seal(c, config->type);

    if (!stored && seal_config_is_auto(config))
        return error_new(a, ERR_INTERNAL,
                         "barrier seal type of \"%s\" does not match expected type of \"%s\"", config->type,
                         c->seal ? seal_type(c->seal) : "shamir");
    mutex_lock(&c->mutex);
    c->stored_seal = stored;
    c->seal_config = *config;
    c->migration.pending = migration_is_due(c, config);
    mutex_unlock(&c->mutex);
    return NULL;
}

struct error *core_load_seal_config(struct core *c, struct arena *a, bool *ret_exists)
{
    struct seal_config config;

    TRY(seal_config_load(c->config.storage, a, &config, ret_exists));
    return *ret_exists ? take_config(c, a, &config) : NULL;
}

struct error *core_need_seal_config(struct core *c, struct arena *a)
{
    bool exists;

    if (c->seal_config.type[0] != 0) /* changed on this thread only */
        return NULL;
    TRY(core_load_seal_config(c, a, &exists));
    return exists ? NULL : error_new(a, ERR_BAD_REQUEST, "Vault is not initialized");
}

struct error *core_refresh_seal_config(struct core *c, struct arena *a)
{
    bool exists;

    if (core_state(c) != CORE_UNINITIALISED)
        return NULL;
    TRY(core_load_seal_config(c, a, &exists));
    if (exists)
        core_set_state(c, CORE_SEALED);
    return NULL;
}

struct error *core_unseal_share(struct core *c, struct arena *a, bytes share, bool migrate)
{
    struct root_change_left *left;
    int64_t begun_ns = clock_mono_ns(clock_real());
    struct secret *key = NULL;
    bool exists = true;

    TRY(core_need_seal_config(c, a));
    if (!c->progress) /* another node may have changed them; it is set on this thread only */
        TRY(core_load_seal_config(c, a, &exists));
    if (!exists || c->seal_config.threshold == 0)
        return error_new(a, ERR_INTERNAL, "recovery seal configuration not found for existing seal");
    TRY(root_change_load(c->config.storage, a, &left));
    unsigned few = c->seal_config.threshold, many = few, n = add_share(c, share);

    if (left)
        root_change_thresholds(left, &few, &many);
    if (n < few)
        return NULL;
    mutex_lock(&c->mutex);
    struct unseal_progress *p = TAKE(c->progress);

    mutex_unlock(&c->mutex);
    struct error *e = unseal_progress_join(p, a, left ? n : few, &key);

    if (!e)
        e = open_with(c, a, left, secret_reveal(key), migrate);
    secret_free(key);
    if (e && n < many) { /* perhaps shares of the kind that more are needed of */
        mutex_lock(&c->mutex);
        c->progress = p;
        mutex_unlock(&c->mutex);
        return NULL;
    }
    unseal_progress_free(p);
    metric_time(METRIC_UNSEAL, clock_mono_ns(clock_real()) - begun_ns, 1);
    return e;
}

/* ---- initialising ---- */

struct init_keys {
    struct secret *unseal_key;
    struct secret *root_key;
    struct secret *shares[SHARES_MAX];
    struct barrier *barrier;
};

static void init_keys_done(struct init_keys *k)
{
    secret_free(k->unseal_key);
    secret_free(k->root_key);
    for (size_t i = 0; i < COUNT_OF(k->shares); i++)
        secret_free(k->shares[i]);
}

static struct secret *random_secret(struct rng *rng, size_t n)
{
    struct secret *s = secret_new(n);

    rng_bytes(rng, secret_fill(s), n);
    return s;
}

/* The key that is split: the unseal key, or under a key service the recovery key. */
static void init_keys_make(struct core *c, struct init_keys *k, unsigned shares, unsigned threshold)
{
    struct rng *rng = c->config.rng;

    k->root_key = random_secret(rng, BARRIER_KEY_BYTES);
    k->unseal_key = random_secret(rng, UNSEAL_KEY_BYTES);
    if (shares == 1)
        k->shares[0] = secret_from(secret_reveal(k->unseal_key));
    else
        shares_split(k->shares, shares, threshold, rng, secret_reveal(k->unseal_key));
    k->barrier = barrier_new(rng, clock_wall_ns(c->config.clock), secret_reveal(k->root_key));
}

static struct storage_put sealed_put(struct core *c, struct arena *a, struct barrier *b, str path,
                                     bytes clear)
{
    uint8_t *out = arena_alloc(a, clear.n + BARRIER_OVERHEAD_BYTES);

    if (barrier_seal(b, c->config.rng, out, path, clear) != BARRIER_OK)
        die("a new barrier is closed");
    return (struct storage_put){.path = path, .value = {out, clear.n + BARRIER_OVERHEAD_BYTES}};
}

struct puts {
    struct storage_put at[8];
    size_t n;
};

static void add_put(struct puts *p, struct storage_put put)
{
    assert(p->n < COUNT_OF(p->at));
    p->at[p->n++] = put;
}

/* The people's part of the settings. */
static bytes config_of(struct arena *a, const struct init_params *p, unsigned stored)
{
    bytes text = seal_config_text_of(a, "shamir", (unsigned)p->shares, (unsigned)p->threshold, stored);
    struct json *config;

    if (!p->pgp_keys || json_parse(a, str_from_bytes(text), false, &config))
        return text;
    config->ordered = true;
    json_set(a, config, STR("pgp_keys"), json_copy(a, p->pgp_keys));
    return bytes_from_str(json_text(a, config));
}

static void add_shamir(struct core *c, struct arena *a, const struct init_keys *k,
                       const struct init_params *p, struct puts *to)
{
    add_put(to, sealed_put(c, a, k->barrier, STR("core/shamir-kek"), secret_reveal(k->unseal_key)));
    add_put(to, (struct storage_put){.path = STR("core/seal-config"), .value = config_of(a, p, 1)});
    add_put(to, (struct storage_put){.path = STR("core/hsm/barrier-unseal-keys"),
                                     .value = seal_blob_make(a, c->config.rng, secret_reveal(k->unseal_key),
                                                             secret_reveal(k->root_key))});
}

static struct error *add_auto(struct core *c, struct arena *a, const struct init_keys *k,
                              const struct init_params *p, struct puts *to)
{
    bytes stored, recovery;

    TRY(autoseal_encrypt(c->autoseal, c->config.seal, a, stored_keys_text(a, secret_reveal(k->root_key)),
                         &stored));
    TRY(autoseal_encrypt(c->autoseal, c->config.seal, a, secret_reveal(k->unseal_key), &recovery));
    add_put(to, (struct storage_put){.path = STR("core/seal-config"),
                                     .value = seal_config_text_of(a, seal_type(c->config.seal), 1, 1, 1)});
    add_put(to, (struct storage_put){.path = STR("core/hsm/barrier-unseal-keys"), .value = stored});
    add_put(to, (struct storage_put){.path = STR("core/recovery-config"), .value = config_of(a, p, 0)});
    add_put(to, (struct storage_put){.path = STR("core/recovery-key"), .value = recovery});
    return NULL;
}

static struct error *write_keys(struct core *c, struct arena *a, struct init_keys *k,
                                const struct init_params *p)
{
    bytes keyring, root;
    struct puts all = {0};

    TRY(barrier_keyring_record(k->barrier, a, c->config.rng, &keyring));
    TRY(barrier_root_key_object(k->barrier, a, &root));
    add_put(&all, sealed_put(c, a, k->barrier, STR("core/master"), root));
    if (c->config.seal) {
        struct error *e = add_auto(c, a, k, p, &all);

        if (e)
            return error_new(a, e->kind, "failed to store keys: failed to encrypt keys for storage: %.*s",
                             PSTR(e->text));
    } else {
        add_shamir(c, a, k, p, &all);
    }
    add_put(&all, (struct storage_put){.path = STR("core/keyring"), .value = keyring});
    return storage_commit(c->config.storage, a, &(struct storage_batch){.puts = all.at, .n = all.n});
}

/* A new store is made in memory, by a core of its own that only init sees, and then written at once. */
static struct core *staging_new(struct core *c, struct arena *a)
{
    struct core *s = aligned_alloc(_Alignof(struct core), sizeof(*s));

    if (!s)
        die("out of memory");
    memset(s, 0, sizeof(*s));
    s->config = c->config;
    s->control = c->control;
    s->storage_pool = c->storage_pool;
    s->engines = c->engines;
    core_cors_init(s);
    s->autoseal = c->autoseal; /* s->seal stays NULL: nothing is looked after yet */
    struct error *e = storage_open(a, &(struct config_block){.type = STR("inmem")}, &s->config.storage);

    if (e)
        die("no memory for a new store");
    return s;
}

static void staging_free(struct core *s)
{
    core_cors_done(s);
    storage_close(s->config.storage);
    free(s);
}

struct entries {
    struct storage_put *puts;
    size_t n, cap;
};

/* Everything below prefix, as it is there or to be deleted. */
static struct error *collect(struct storage *from, struct arena *a, str prefix, bool deletes,
                             struct entries *to)
{
    str *names;
    size_t n;

    TRY(storage_list(from, a, prefix, &names, &n));
    for (size_t i = 0; i < n; i++) {
        str path = arena_join(a, prefix, names[i]);

        if (names[i].n && str_ends(path, STR("/"))) {
            TRY(collect(from, a, path, deletes, to));
            continue;
        }
        if (to->n == to->cap) {
            size_t cap = to->cap ? 2 * to->cap : 32;

            to->puts = arena_grow(a, to->puts, to->cap * sizeof(*to->puts), cap * sizeof(*to->puts));
            to->cap = cap;
        }
        struct storage_put *put = &to->puts[to->n++];

        *put = (struct storage_put){.path = path, .deletes = deletes};
        if (!deletes)
            TRY(storage_get(from, a, path, &put->value));
    }
    return NULL;
}

/* core/keyring comes last: on a store without transactions one that was cut short still counts as not
 * initialised, and init can be called again. The token that such an init has left has no key any more. */
static struct error *write_store(struct core *c, struct arena *a, struct storage *from)
{
    struct entries all = {0};

    TRY(collect(c->config.storage, a, STR("sys/token/"), true, &all));
    TRY(collect(from, a, (str){0}, false, &all));
    for (size_t i = 0; i + 1 < all.n; i++)
        if (str_eq(all.puts[i].path, STR("core/keyring"))) {
            struct storage_put keyring = all.puts[i];

            all.puts[i] = all.puts[all.n - 1];
            all.puts[all.n - 1] = keyring;
        }
    (void)FAULT(FAULT_COMMIT_BEFORE);
    struct error *e =
        storage_commit(c->config.storage, a, &(struct storage_batch){.puts = all.puts, .n = all.n});

    (void)FAULT(FAULT_COMMIT_AFTER);
    return e;
}

struct root_token {
    char text[128];
    size_t n;
};

static struct error *make_root_token(struct request *rq, struct response *rs)
{
    struct root_token *ret = rq->internal_arg;
    str token;

    (void)rs;
    TRY(token_create_root(rq, &token));
    assert(token.n <= sizeof(ret->text));
    memcpy(ret->text, token.p, token.n);
    ret->n = token.n;
    return NULL;
}

static struct error *first_opening(struct core *c, struct arena *a, struct init_keys *k, str *ret_token)
{
    struct opened *o = opened_new(TAKE(k->barrier));
    struct active *active = active_build(c, o, NULL);
    struct error *e = active_open(active, a);

    struct root_token *token = ARENA_NEW(a, struct root_token);

    if (!e)
        e = active_run(active, a, make_root_token, token);
    *ret_token = (str){token->text, token->n};
    active_destroy(active);
    barrier_close(o->barrier);
    opened_unref(o);
    return e;
}

/* Encrypted, if there is a key to encrypt to; a share then as its hex text. */
static struct error *seal_for(struct arena *a, const struct json *key_text, bytes clear, bytes *ret)
{
    bytes key;

    *ret = clear;
    if (!key_text)
        return NULL;
    TRY(pgp_key_decode(a, key_text->text, &key));
    return pgp_encrypt(a, key, clear, ret);
}

static struct error *init_answer(struct arena *a, const struct init_keys *k, bool is_auto,
                                 const struct init_params *p, str token, struct json **ret)
{
    struct json *answer = json_object_ordered(a), *hex = json_array(a), *b64 = json_array(a);
    bytes out;

    for (unsigned i = 0; i < p->shares; i++) {
        bytes share = secret_reveal(k->shares[i]);

        if (p->pgp_keys)
            share = bytes_from_str(hex_encode(a, share));
        TRY(seal_for(a, p->pgp_keys ? p->pgp_keys->items[i] : NULL, share, &out));
        json_append(a, hex, json_string(a, hex_encode(a, out)));
        json_append(a, b64, json_string(a, base64_encode(a, out)));
    }
    if (p->root_token_pgp_key.n) {
        TRY(seal_for(a, json_string(a, p->root_token_pgp_key), bytes_from_str(token), &out));
        token = base64_encode(a, out);
    }
    json_set(a, answer, STR("keys"), is_auto ? json_array(a) : hex);
    json_set(a, answer, STR("keys_base64"), is_auto ? json_array(a) : b64);
    if (is_auto) {
        json_set(a, answer, STR("recovery_keys"), hex);
        json_set(a, answer, STR("recovery_keys_base64"), b64);
    }
    json_set_str(a, answer, STR("root_token"), token);
    *ret = answer;
    return NULL;
}

static struct error *check_pgp_keys(struct arena *a, const struct init_params *p)
{
    bytes key;
    str fingerprint;

    for (uint32_t i = 0; p->pgp_keys && i < p->pgp_keys->n; i++) {
        struct error *e = pgp_key_decode(a, p->pgp_keys->items[i]->text, &key);

        if (!e)
            e = pgp_fingerprint(a, key, &fingerprint);
        if (e)
            return error_new(a, e->kind, "invalid seal configuration: %.*s", PSTR(e->text));
    }
    if (p->root_token_pgp_key.n == 0)
        return NULL;
    TRY(pgp_key_decode(a, p->root_token_pgp_key, &key));
    return pgp_fingerprint(a, key, &fingerprint);
}

struct error *core_initialise(struct core *c, struct arena *a, const struct init_params *p,
                              struct json **ret_answer)
{
    unsigned shares = (unsigned)p->shares, threshold = (unsigned)p->threshold;
    struct json *answer = NULL;
    struct init_keys k = {0};
    struct seal_config config;
    str token = {0};
    bool exists;

    TRY(seal_config_load(c->config.storage, a, &config, &exists)); /* another node may have done it */
    if (exists)
        return error_new(a, ERR_BAD_REQUEST, "Vault is already initialized");
    TRY(check_pgp_keys(a, p));
    struct core *staging = staging_new(c, a);

    init_keys_make(c, &k, shares, threshold);
    struct error *e = write_keys(staging, a, &k, p);

    if (!e)
        e = first_opening(staging, a, &k, &token);
    else
        barrier_free(k.barrier);
    if (!e)
        e = init_answer(a, &k, c->config.seal != NULL, p, token, &answer);
    if (!e)
        e = write_store(c, a, staging->config.storage);
    staging_free(staging);
    if (!e) {
        struct seal *seal = c->config.seal;

        *ret_answer = answer;
        mutex_lock(&c->mutex);
        c->stored_seal = seal;
        c->seal_config = (struct seal_config){.shares = shares, .threshold = threshold, .has_blob = true};
        snprintf(c->seal_config.type, sizeof(c->seal_config.type), "%s", seal ? seal_type(seal) : "shamir");
        mutex_unlock(&c->mutex);
        core_set_state(c, CORE_SEALED);
        log_info("core", "security barrier initialized", F_INT("stored", 1),
                 F_INT("shares", seal ? 1 : shares), F_INT("threshold", seal ? 1 : threshold));
        log_info("core", "root token generated");
        if (seal && autoseal_try(c->autoseal, a))
            log_warn("core", "the store was initialised but does not open yet"); /* it is tried again */
    }
    init_keys_done(&k);
    return e;
}
