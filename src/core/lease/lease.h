/* lease: the expiration manager: when what was given out, a token or a secret, ends.
 *
 * Stored: docs/formats/leases.md (sys/expire/id/LEASE_ID, sys/expire/token/). In memory: one compact record
 * per
 * lease (lease_index.h), loaded in the background after activation; a token's lease is read on demand
 * meanwhile. Due leases are revoked by internal requests in the lane, LEASE_REVOKING_MAX at a time, with
 * back-off; after LEASE_ATTEMPTS_MAX failures irrevocable: kept, with revokeErr stored. Leases of a mount
 * whose
 * engine this program does not have are counted and kept. Threads: the manager's functions from any thread;
 * its
 * timer runs on the control thread.
 */
#pragma once
#include "core/engine.h"

enum { LEASE_REVOKING_MAX = 64, LEASE_ATTEMPTS_MAX = 6 };

struct lease_manager;

struct lease { /* decoded */
    str id, client_token, path;
    int64_t issue_time_ns, expire_time_ns, last_renewal_ns; /* TIME_ZERO_NS: never */
    int64_t ttl_ns;                                         /* auth.lease, secret.lease */
    int64_t max_ttl_ns;                                     /* of a secret; 0: the mount's */
    bool renewable;
    bool of_token;       /* not of a secret */
    int token_type;      /* of the token that asked for the secret: 1 or 2 */
    str revoke_err;      /* not empty: irrevocable */
    struct json *stored; /* whole, for saving with unknown fields kept */
};

static inline bool lease_is_due(const struct lease *l, int64_t now_ns)
{
    return l->expire_time_ns != TIME_ZERO_NS && l->expire_time_ns <= now_ns;
}

struct lease_manager *lease_manager_new(struct active *a);
/* Starts loading all stored leases in the background (internal requests), then revoking what is due. */
void lease_manager_start(struct lease_manager *m);
void lease_manager_stop(struct lease_manager *m); /* no new revocations after this; before the lane closes */
void lease_manager_free(struct lease_manager *m); /* after the lane is closed and every internal request has
                                                     ended; NULL is fine */
size_t lease_manager_count(struct lease_manager *m);
size_t lease_manager_count_path(struct lease_manager *m, str path, bool below); /* as lease_index.h says */
/* How many end in each of n steps, of step_ns, from from_ns on: added to counts. */
void lease_manager_count_due(struct lease_manager *m, int64_t from_ns, int64_t step_ns, uint64_t *counts,
                             size_t n);
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

/* Its mount's engine is not in this program: nobody here can end it. */
bool lease_is_foreign(const struct request *rq, const struct lease *l);

/* Makes the lease of rs->secret_lease for the request's token and puts its id and times into the answer. */
struct error *lease_grant(struct request *rq, struct response *rs) MUST_USE;
/* Renews the lease of a secret and fills the answer. Errors with the API's texts. */
struct error *lease_renew_secret(struct request *rq, struct response *rs, struct lease *l,
                                 int64_t increment_ns) MUST_USE;

enum lease_how {
    LEASE_STRICT, /* an engine that fails to undo what it gave out fails the request */
    LEASE_FORCE,  /* the lease ends all the same */
    LEASE_LATER,  /* it ends now, the manager does the rest */
};
/* One step of revoking a lease: writes at most *left entries (of TOKEN_STEP_ENTRIES), and a few that end it.
 * ret_done: it is gone. */
struct error *lease_revoke_within(struct request *rq, const struct lease *l, enum lease_how how,
                                  unsigned *left, bool *ret_done) MUST_USE;
/* The same for every lease below a prefix that ends in '/' ("auth/userpass/"). ret_done: none is left. */
struct error *lease_revoke_prefix(struct request *rq, str prefix, enum lease_how how, bool *ret_done)
    MUST_USE;
struct error *lease_revoke_prefix_step(struct request *rq, str prefix, bool *ret_done)
    MUST_USE; /* LEASE_STRICT */
/* Hands the secret leases that a token (its stored name) asked for to the manager, to be revoked now: part of
 * revoking the token. */
struct error *lease_expire_of_token(struct request *rq, str token_hash, unsigned *left, bool *ret_done)
    MUST_USE;
/* Removes leases whose token is gone, and what points to no lease, in the background. */
void lease_tidy_start(struct active *a);

/* Up to `max` ids of irrevocable leases. */
size_t lease_manager_irrevocable_ids(struct lease_manager *m, struct arena *a, size_t max, str *ret_ids);

/* The stored form to the struct; for tests. */
void lease_decode(struct json *stored, struct lease *ret);
void lease_encode(struct arena *a, struct lease *l); /* l's fields into l->stored */
