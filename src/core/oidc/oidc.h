/* oidc: identity tokens: JSON Web Tokens that say which entity stands behind a token; identity/oidc/.
 *
 * Stored: docs/formats/oidc.md, in the view of identity/: named keys, public keys, roles, the issuer.
 * The key "default" is there from the start; its key pairs are made when something first refers to it.
 * Keys rotate by themselves on the active node: a timer looks once a minute whether one is due. When it is
 * due is stored, so a restart changes nothing. Public keys are kept until what they signed has expired.
 * Threads: routes as all; start and free on the control thread.
 */
#pragma once
#include "core/engine.h"
#include "core/identity/identity.h"

struct oidc; /* the timer; in struct active */
struct oidc *oidc_new(struct active *a);
void oidc_start(struct oidc *o);
void oidc_free(struct oidc *o); /* NULL is fine */
/* Internal request: rotates keys that are due, one a step, and removes public keys whose time is over. */
handler_fn oidc_tick;

/* ---- for what else signs with these keys ---- */

struct oidc_key {
    str name;
    struct json *stored; /* as it was read; written back with what it has besides */
    str algorithm;
    const str *allowed_client_ids;
    size_t n_allowed;
    int64_t rotation_period_ns, verification_ttl_ns;
};
/* NULL: none. */
struct error *oidc_key_load(struct request *rq, str name, struct oidc_key **ret) MUST_USE;
bool oidc_key_allows(const struct oidc_key *k, str client_id); /* "*" allows all */
/* Makes the key pairs of a key that has none yet. For routes with ROUTE_SLOW: whatever refers to a key does
 * it, so that the first tokens need not. */
struct error *oidc_key_ready(struct request *rq, struct oidc_key *k) MUST_USE;
/* A token with this payload. For routes with ROUTE_SLOW; the key is made ready. */
struct error *oidc_key_sign(struct request *rq, struct oidc_key *k, const struct json *payload,
                            str *ret_token) MUST_USE;

/* "https://host:port/v1/identity/oidc": as set, else this cluster's address. */
struct error *oidc_issuer(struct request *rq, str *ret) MUST_USE;

/* A template with its values: JSON text, if the template is good. e NULL: of nobody. */
struct error *claims_render(struct request *rq, str template, const struct entity *e, str *ret) MUST_USE;
/* Does it give JSON without claims that are ours? Errors: 400 with the API's texts. */
struct error *claims_check(struct request *rq, str template) MUST_USE;
/* Adds the template's members; one that is not JSON adds nothing, and the log says so. */
struct error *claims_add(struct request *rq, str template, const struct entity *e, struct json *payload)
    MUST_USE;

/* Relative to identity/. */
extern const struct route oidc_key_routes[], oidc_token_routes[];
