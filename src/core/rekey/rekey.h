/* rekey: new shares of a key, given by who holds enough of the old ones; and a new root token for them.
 *
 * What is under way is a volatile entry, REKEY_TTL_NS from its last step on: nothing of it reaches storage
 * before the end, and it is gone with the active node. They need no token, as the API has it: what they keep
 * is bounded, and whoever reaches the server may start or cancel.
 * Stored: docs/formats/seal.md, "New shares".
 */
#pragma once
#include "base/secure.h"
#include "core/engine.h"

#define REKEY_TTL_NS (24 * 3600 * NS_PER_S)

/* What may be rekeyed. One row each; the machine (rekey.c, rekey_verify.c) is the same. */
struct rekey_target {
    const char *name;        /* "barrier": of its entry, and in "no barrier rekey in progress" */
    const char *invalid;     /* before what is wrong with the numbers: "invalid rekey seal configuration" */
    const char *config_path; /* "core/seal-config" */
    const char *backup_path; /* "unseal-keys-backup", below core/ */
    const char *again;       /* the share was given before */
    /* NULL: yes. Else why there is no such target: 400. */
    struct error *(*supported)(struct request *rq);
    /* NULL: as they are. Else numbers are put right, or what was asked for is refused. */
    struct error *(*adjust)(struct request *rq, struct json *state);
    /* Are these joined shares the key? Refuses with the API's words. */
    struct error *(*check)(struct request *rq, bytes key);
    /* In a transaction that runs alone: the key becomes what its shares are of; config is what config_path is
     * to hold. */
    struct error *(*store)(struct request *rq, bytes config, bytes key);
};
extern const struct rekey_target rekey_barrier, rekey_recovery; /* rekey_barrier.c, rekey_recovery.c */

extern const struct route rekey_routes[], rekey_verify_routes[], generate_root_routes[];

/* ---- for the files of this folder ---- */

/* The state of an operation: a JSON object, or NULL. Members: nonce, progress (base64 shares) …. */
struct error *rekey_load(struct request *rq, const char *name, struct json **ret_state) MUST_USE;
struct error *rekey_save(struct request *rq, const char *name, const struct json *state) MUST_USE;
struct error *rekey_drop(struct request *rq, const char *name) MUST_USE;

/* key and nonce of the body, checked as far as they can be without a state. */
struct error *rekey_body(struct request *rq, bytes *ret_share, str *ret_nonce) MUST_USE;
/* Adds a share to the list that `member` names. False: it is there already. */
bool rekey_share_add(struct arena *a, struct json *state, str member, bytes share);
unsigned rekey_share_count(const struct json *state, str member);
/* The key. `what` begins the error: "failed to compute root key". */
struct error *rekey_join(struct request *rq, const struct json *state, str member, const char *what,
                         struct secret **ret_key) MUST_USE;
/* The target whose shares people hold: the recovery key's where a key service opens the store. */
const struct rekey_target *rekey_in_force(const struct request *rq);
/* Shares of the key that is in force, or of the recovery key, that are needed. */
unsigned rekey_required(struct request *rq);
/* The body of the answer is `data` alone. */
struct error *rekey_answer(struct request *rq, struct response *rs, struct json *data) MUST_USE;
/* A new key, wiped with the request. Under a key service the same one in every run of the request, since the
 * service is asked about it outside of the lane. */
enum { REKEY_KEY_BYTES = 32 };
struct error *rekey_draw(struct request *rq, str nonce, bytes *ret) MUST_USE;
/* Fingerprints of keys in base64, computed where it may take its time. `before` begins the error. */
struct error *rekey_fingerprints(struct request *rq, const struct json *keys, struct json **ret) MUST_USE;
handler_fn rekey_no_such; /* 405 without a text: methods that these routes do not have */
/* In a transaction that runs alone: the new key is split, written, and forgotten. */
struct error *rekey_finish(struct request *rq, const struct rekey_target *t, const struct json *state,
                           bytes new_key) MUST_USE;
