/* autoseal: the core's side of a key service: unsealing by itself, its health, its new keys.
 *
 * The service is asked on one thread of this file's, for it may take a minute: never on a loop or in the
 * lane. What a request is about (init, unseal with recovery shares) waits on the control thread. Stored:
 * docs/formats/seal.md. Threads: all calls on the control thread, unless said otherwise.
 */
#pragma once
#include "core/seal.h"
#include "seal/seal.h"

struct core;
struct autoseal;

struct autoseal *autoseal_new(struct core *c); /* before the control thread runs */
/* Three steps, since what the service answered last still goes to the control thread: nothing is asked any
 * more; its thread ends; the memory goes. */
void autoseal_close(struct autoseal *s);
void autoseal_end(struct autoseal *s); /* any thread */
void autoseal_free(struct autoseal *s);

/* From now on what the seal itself needs is kept alive. */
void autoseal_keep(struct autoseal *s);
/* Tries to unseal, every 5 s until it worked, somebody else did, or the node is sealed on purpose. */
void autoseal_begin(struct autoseal *s);
/* Once, now. Waits. Its error is logged and returned. */
struct error *autoseal_try(struct autoseal *s, struct arena *a) MUST_USE;
void autoseal_stop(struct autoseal *s);
/* The active object is there: is everything under the service's newest key? From now on its health is looked
 * at. */
void autoseal_active(struct autoseal *s);
void autoseal_inactive(struct autoseal *s);

/* These wait for the service. */
struct error *autoseal_encrypt(struct autoseal *s, struct seal *with, struct arena *a, bytes clear,
                               bytes *ret_blob) MUST_USE;
struct error *autoseal_decrypt(struct autoseal *s, struct seal *with, struct arena *a, bytes blob,
                               struct secret **ret_clear) MUST_USE;
/* The root key out of core/hsm/barrier-unseal-keys. A migration that was cut short may have left it under the
 * other seal, or under `key` (the recovery key, which is checked; p == NULL: none). */
struct error *autoseal_root_key(struct autoseal *s, struct arena *a, bytes key, struct secret **ret_root_key)
    MUST_USE;
/* ERR_BAD_REQUEST when these joined shares are not the recovery key. Any thread that may wait. */
struct error *autoseal_check_recovery(struct autoseal *s, struct arena *a, bytes key) MUST_USE;

/* The same for handlers: asked where it may take its time, the answer kept over the runs of the request
 * (request_memo). */
struct request;
struct error *autoseal_encrypt_in(struct request *rq, bytes clear, bytes *ret_blob) MUST_USE;
struct error *autoseal_check_recovery_in(struct request *rq, bytes key) MUST_USE;
