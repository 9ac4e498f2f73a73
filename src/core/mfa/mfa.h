/* mfa: the second factor of logins: methods (TOTP), for whom they are enforced, and the two ways to satisfy
 * them: with the login (X-Vault-MFA), or after it (sys/mfa/validate).
 *
 * Stored: docs/formats/mfa.md (sys/login-mfa/, sys/mfa/totpkeys/, secrets in the entity's bucket).
 * In memory: one immutable set of all methods and enforcements, read before anything is served, swapped at
 * publication; used codes, failures and half-finished logins as volatile entries.
 * A code is good once: its step and those before it are refused from then on, and so are steps that began
 * before this node became active. Methods of other kinds than TOTP are kept and shown, but let nobody in.
 * Threads: routes as all.
 */
#pragma once
#include "core/engine.h"
#include "core/identity/identity.h"

struct mfa; /* in struct active */
struct mfa_set;
struct mfa *mfa_new(void);
void mfa_free(struct mfa *m); /* NULL is fine */
/* At opening: what the store has; taken over at publication. */
struct error *mfa_open(struct request *rq, struct mfa_set **ret) MUST_USE;
void mfa_publish(struct active *a, struct mfa_set *own_set);
void mfa_set_unref(struct mfa_set *s); /* NULL is fine */

/* After the first factor, before there is a token. ret_waits: the answer asks for the second factor; no token
 * is made now. Errors: 403 when what was sent with the login does not satisfy. */
struct error *mfa_at_login(struct request *rq, struct response *rs, const struct entity *e, bool *ret_waits)
    MUST_USE;

extern const struct route mfa_method_routes[], mfa_enforcement_routes[]; /* relative to identity/ */
extern const struct route mfa_validate_routes[];                         /* relative to sys/ */
