/* lockout_private: what the files of the lockout share. */
#pragma once
#include "base/loop.h"
#include "base/mutex.h"
#include "core/login/lockout.h"
#include "crypto/crypto.h"

enum { LOCKOUT_WAYS = 8, LOCKOUT_SETS = LOCKOUT_ENTRIES_MAX / LOCKOUT_WAYS };
#define LOCKED_FOLDER "login/lockedUsers/root/" /* in core/ */

struct lockout_entry {
    uint8_t key[SHA256_BYTES]; /* of accessor and name */
    uint32_t n;                /* failures; 0: free */
    int64_t last_s;            /* of the last one */
};

struct lockout {
    struct mutex mutex;
    struct lockout_entry entries[LOCKOUT_SETS][LOCKOUT_WAYS]; /* lock: mutex */
    struct active *active;                                    /* once started; control thread */
    struct loop_timer timer;
};

/* When a stored lock began. False: there is none. */
struct error *lockout_stored_get(struct request *rq, str path, bool *ret_found, int64_t *ret_s) MUST_USE;
