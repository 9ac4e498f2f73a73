/* rekey_barrier: the target "barrier": the unseal key, and with it the root key. */
#include "core/active_private.h"
#include "core/autoseal.h"
#include "core/rekey/rekey.h"
#include "core/root_change.h"

static struct error *supported(struct request *rq)
{
    (void)rq;
    return NULL;
}

/* In a store of the old form the shares are of the root key itself. */
static struct error *check(struct request *rq, bytes key)
{
    struct secret *root = NULL;
    bytes blob;

    TRY(txn_get_raw(rq->txn, STR("core/hsm/barrier-unseal-keys"), &blob));
    if (!blob.p) {
        TRY(barrier_root_key(rq->active->barrier, rq->arena, &root));
        bool same = secret_equal(secret_reveal(root), key);

        secret_free(root);
        return same ? NULL : fail(rq, ERR_BAD_REQUEST, "root key verification failed: invalid key");
    }
    struct error *e = seal_blob_open(rq->arena, blob, key, &root);

    secret_free(root);
    return e;
}

/* Under a key service there is nothing to give out: a new root key, and that is all. */
static struct error *adjust(struct request *rq, struct json *state)
{
    if (!core_is_auto(rq->core))
        return NULL;
    if (json_get(state, STR("pgp_keys")))
        return fail(rq, ERR_BAD_REQUEST, "PGP key encryption not supported when using stored keys");
    if (json_get_bool(state, STR("backup")))
        return fail(rq, ERR_BAD_REQUEST, "key backup not supported when using stored keys");
    if (json_get_bool(state, STR("verify")))
        return fail(rq, ERR_BAD_REQUEST,
                    "requiring verification not supported when rekeying the barrier key with recovery keys");
    json_set_int(rq->arena, state, STR("shares"), 1);
    json_set_int(rq->arena, state, STR("threshold"), 1);
    return NULL;
}

static struct error *store_by_service(struct request *rq, bytes config, bytes root_key)
{
    bytes blob;

    TRY(autoseal_encrypt_in(rq, stored_keys_text(rq->arena, root_key), &blob));
    return root_change_write(
        rq, &(struct root_change){.root_key = root_key, .stored_keys = blob, .config = config});
}

static struct error *store(struct request *rq, bytes config, bytes key)
{
    if (core_is_auto(rq->core)) /* the key drawn is nobody's: it becomes the root key */
        return store_by_service(rq, config, key);
    uint8_t *root = arena_alloc(rq->arena, BARRIER_KEY_BYTES);
    bytes root_key = {root, BARRIER_KEY_BYTES};

    rng_bytes(rq->rng, root, BARRIER_KEY_BYTES);
    return root_change_write(
        rq, &(struct root_change){.root_key = root_key,
                                  .stored_keys = seal_blob_make(rq->arena, rq->rng, key, root_key),
                                  .config = config,
                                  .shamir_kek = key});
}

const struct rekey_target rekey_barrier = {
    .name = "barrier",
    .invalid = "invalid rekey seal configuration",
    .config_path = "core/seal-config",
    .backup_path = "unseal-keys-backup",
    .again = "given key has already been provided during this generation operation",
    .supported = supported,
    .adjust = adjust,
    .check = check,
    .store = store,
};
