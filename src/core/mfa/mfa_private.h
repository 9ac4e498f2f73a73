/* mfa_private: what the files of src/core/mfa share. */
#pragma once
#include "core/identity/identity_private.h"
#include "core/mfa.pb-c.h"
#include "core/mfa/mfa.h"

#define MFA_METHODS      "login-mfa/method/"      /* in sys/ */
#define MFA_ENFORCEMENTS "login-mfa/enforcement/" /* in sys/ */
#define MFA_TOTP_KEYS    "mfa/totpkeys/"          /* in sys/: METHOD/ENTITY */

enum { MFA_ATTEMPTS_USUAL = 5 };

/* ---- mfa_set.c ---- */

struct mfa_set { /* with all it points to in its arena; in order of ids */
    _Atomic(uint32_t) refs;
    struct arena *arena;
    const MfaPb__Method **methods;
    const MfaPb__Enforcement **enforcements;
    size_t n_methods, n_enforcements;
};

const struct mfa_set *mfa_set_held(struct request *rq);                /* by the request's arena */
const MfaPb__Method *mfa_method_find(const struct mfa_set *s, str id); /* NULL: none */
const MfaPb__Enforcement *mfa_enforcement_find(const struct mfa_set *s, str name);
/* A copy to be changed, in the request's arena. */
MfaPb__Method *mfa_method_copy(struct request *rq, const MfaPb__Method *m);
MfaPb__Enforcement *mfa_enforcement_copy(struct request *rq, const MfaPb__Enforcement *e);
/* Writing: the caller runs alone (txn_exclusive). The set is made anew from what is stored then. */
struct error *mfa_method_put(struct request *rq, const MfaPb__Method *m) MUST_USE;
struct error *mfa_method_delete(struct request *rq, str id) MUST_USE;
struct error *mfa_enforcement_put(struct request *rq, const MfaPb__Enforcement *e) MUST_USE;
struct error *mfa_enforcement_delete(struct request *rq, str id) MUST_USE;
struct mfa *active_mfa(struct active *a); /* core's */

/* ---- mfa_totp.c ---- */

/* Secrets of an entity that becomes one with another, and their keys; force: those of both are that one's. */
struct error *mfa_merge(struct request *rq, IdentityPb__Entity *to, const IdentityPb__Entity *from,
                        bool force) MUST_USE;
/* The keys of an entity that goes. */
struct error *mfa_forget(struct request *rq, const IdentityPb__Entity *e) MUST_USE;
handler_fn mfa_generate_write, mfa_admin_generate_write, mfa_admin_destroy_write;
/* Is `code` good for the entity? ret_problem stays empty if it is, and the code is used up; else why not, as
 * the API words it. What is written for it is to be kept even if the request is refused. */
struct error *mfa_totp_check(struct request *rq, const MfaPb__Method *m, const struct entity *e, str code,
                             str *ret_problem) MUST_USE;
