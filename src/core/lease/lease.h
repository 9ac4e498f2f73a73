/* lease: the expiration manager: when what was given out ends. This piece: the leases of tokens.
 *
 * Stored: docs/formats/leases.md (sys/expire/id/PATH/hash). In memory: one compact record per lease
 * (lease_index.h), loaded in the background after activation; a token's lease is read on demand meanwhile.
 * Due leases are revoked by internal requests in the lane, LEASE_REVOKING_MAX at a time, with back-off; after
 * LEASE_ATTEMPTS_MAX failures irrevocable: kept, with revokeErr stored. Leases of secrets are counted and
 * kept, never revoked: their engines do that. Threads: the manager's functions from any thread; its timer
 * runs on the control thread.
 */
#pragma once
#include "core/engine.h"

enum { LEASE_REVOKING_MAX = 64, LEASE_ATTEMPTS_MAX = 6 };

struct lease_manager;

struct lease { /* decoded */
    str id, client_token, path;
    int64_t issue_time_ns, expire_time_ns, last_renewal_ns; /* TIME_ZERO_NS: never */
    int64_t ttl_ns;                                         /* auth.lease */
    bool renewable;
    bool of_token;       /* not of a secret */
    str revoke_err;      /* not empty: irrevocable */
    struct json *stored; /* whole, for saving with unknown fields kept */
};

struct lease_manager *lease_manager_new(struct active *a);
/* Starts loading all stored leases in the background (internal requests), then revoking what is due. */
void lease_manager_start(struct lease_manager *m);
void lease_manager_stop(struct lease_manager *m); /* no new revocations after this; before the lane closes */
void lease_manager_free(struct lease_manager *m); /* after the lane is closed and every internal request has
                                                     ended; NULL is fine */
size_t lease_manager_count(struct lease_manager *m);
size_t lease_manager_irrevocable(struct lease_manager *m);
bool lease_manager_is_loaded(struct lease_manager *m);
/* Looks for due leases now: after a test has moved the clock, or when something was put at the head of the
 * queue. */
void lease_manager_poke(struct lease_manager *m);
/* Is the lease PATH/name known and not yet due? False is "ask storage", not "dead". Takes one short lock. */
bool lease_manager_is_live(struct lease_manager *m, str path, str name, int64_t now_ns);

/* Within a transaction. The manager learns of writes at publication (txn_on_commit). */
struct error *lease_get(struct view *expire, struct arena *a, str lease_id, struct lease **ret)
    MUST_USE; /* NULL: none */
struct error *lease_put(struct request *rq, struct lease *l)
    MUST_USE; /* writes l->stored overlaid with the struct's fields */
struct error *lease_delete(struct request *rq, str lease_id) MUST_USE;

/* One step of revoking every lease below a prefix that ends in '/' ("auth/userpass/"). ret_done: there was
 * none left to begin with. */
struct error *lease_revoke_prefix_step(struct request *rq, str prefix, bool *ret_done) MUST_USE;

/* The stored form to the struct; for tests. */
void lease_decode(struct json *stored, struct lease *ret);
void lease_encode(struct arena *a, struct lease *l); /* l's fields into l->stored */
