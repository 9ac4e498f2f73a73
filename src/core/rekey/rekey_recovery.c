/* rekey_recovery: the target "recovery": the recovery key, which stores have that a key service opens. The
 * service is asked outside of the lane. */
#include "core/active_private.h"
#include "core/autoseal.h"
#include "core/rekey/rekey.h"

static struct error *supported(struct request *rq)
{
    return core_is_auto(rq->core) ? NULL : fail(rq, ERR_BAD_REQUEST, "recovery rekeying not supported");
}

static struct error *check(struct request *rq, bytes key)
{
    return autoseal_check_recovery_in(rq, key);
}

static struct error *store(struct request *rq, bytes config, bytes key)
{
    bytes blob;

    TRY(autoseal_encrypt_in(rq, key, &blob));
    TRY(txn_put_raw(rq->txn, STR("core/recovery-key"), blob));
    return txn_put_raw(rq->txn, STR("core/recovery-config"), config);
}

const struct rekey_target rekey_recovery = {
    .name = "recovery",
    .invalid = "invalid recovery configuration",
    .config_path = "core/recovery-config",
    .backup_path = "recovery-keys-backup",
    .again = "given key has already been provided during this rekey operation",
    .supported = supported,
    .check = check,
    .store = store,
};
