/* rotation: the keyring's life on the active node: new terms on demand and when they are due, the count of
 * encryptions made durable, what standbys are told removed again.
 *
 * Stored: docs/formats/barrier.md. Threads: start and free on the control thread.
 */
#pragma once
#include "core/engine.h"

struct rotation;
struct rotation *rotation_new(struct active *a);
void rotation_start(struct rotation *r);
void rotation_free(struct rotation *r); /* NULL is fine */

/* Internal requests. */
handler_fn rotation_tick; /* a new term if one is due, else the count is stored if it has grown */
handler_fn rotation_clear_upgrades;

/* Within a transaction that runs alone (txn_exclusive): writes core/keyring and core/master for what the
 * barrier becomes when it is published. */
struct keyring_change;
struct error *keyring_write(struct request *rq, struct keyring_change *own_change) MUST_USE;
