/* rekey_recovery: the target "recovery": the recovery key, which stores have that a key service opens. */
#include "core/rekey/rekey.h"

static struct error *supported(struct request *rq)
{
    return fail(rq, ERR_BAD_REQUEST, "recovery rekeying not supported");
}

const struct rekey_target rekey_recovery = {
    .name = "recovery",
    .invalid = "invalid recovery configuration",
    .config_path = "core/recovery-config",
    .backup_path = "recovery-keys-backup",
    .again = "given key has already been provided during this rekey operation",
    .supported = supported,
};
