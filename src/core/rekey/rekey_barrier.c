/* rekey_barrier: the target "barrier": the unseal key, and with it the root key. */
#include "core/active_private.h"
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

static struct error *store(struct request *rq, bytes config, bytes key)
{
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
    .check = check,
    .store = store,
};
