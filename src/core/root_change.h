/* root_change: from one root key to another (rekey, a new seal), so that the store opens after a stop at any
 * write.
 *
 * A store with transactions takes all of it in one commit. On one without, core/coffer-root-change is written
 * first and deleted last (docs/formats/seal.md, "Changing the root key"): with it the shares from before and
 * the new ones both open, and whichever are used first stay. Threads: write in the lane; the rest on the
 * control thread.
 */
#pragma once
#include "core/engine.h"
#include "core/seal.h"

struct root_change { /* what the store is to have */
    bytes root_key;
    bytes stored_keys; /* core/hsm/barrier-unseal-keys */
    bytes config;      /* core/seal-config */
    bytes shamir_kek;  /* core/shamir-kek; p == NULL: left as it is */
};
/* Within a transaction that runs alone (txn_exclusive). */
struct error *root_change_write(struct request *rq, const struct root_change *to) MUST_USE;

/* What a change that was cut short has left. */
struct root_change_left;
/* NULL: nothing. */
struct error *root_change_load(struct storage *s, struct arena *a, struct root_change_left **ret) MUST_USE;
/* The fewest and the most shares that may open it. */
void root_change_thresholds(const struct root_change_left *l, unsigned *ret_few, unsigned *ret_many);

enum { ROOT_CHANGE_ROOTS_MAX = 4 };
/* Root keys that the keyring may be under: found with the unseal key, and the counterparts of these and of
 * `root`, which may be empty. They live in the arena. */
size_t root_change_roots(const struct root_change_left *l, struct arena *a, bytes unseal_key, bytes root,
                         bytes ret_roots[ROOT_CHANGE_ROOTS_MAX]);
struct barrier;
/* Makes the shares in hand the only ones: to be called before anything else is written. */
struct error *root_change_finish(const struct root_change_left *l, struct storage *s, struct arena *a,
                                 struct rng *rng, bytes unseal_key, struct barrier *b) MUST_USE;
