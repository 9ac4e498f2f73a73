/* jose: JSON Web Keys, and JSON Web Signatures in compact form.
 *
 * Algorithms: RS256/384/512, PS256/384/512, ES256/384/512, EdDSA (Ed25519). There are no symmetric ones and
 *   no "none": a key is always a public one or a pair, so nobody can take a public key for a secret.
 * A key says which algorithm it is for ("alg", else its kind and curve); what a signature says of itself must
 *   agree with it. An RSA key has at least 2048 bits, coordinates of a curve their full length.
 * Lifetime: everything in the arena given; OpenSSL's keys are freed (and wiped) with it.
 * Threads: no state, any thread. RSA costs: a new key 100 ms, a signature 0.7 ms, a check 0.03 ms; an ECDSA
 *   signature up to 0.4 ms.
 * Errors:  ERR_BAD_REQUEST; the texts of jws_parse() fit behind "error parsing token: ".
 * Source:  RFC 7515, 7517, 7518, 8037; vectors: test/unit/crypto/test_jose.c.
 */
#pragma once
#include "base/error.h"
#include "base/json.h"

/* A new private key for the algorithm: a JWK with "use", "kty", "kid" and "alg" (RSA: 2048 bits). */
struct error *jwk_generate(struct arena *a, str alg, str kid, struct json **ret) MUST_USE;
/* What others may know of a JWK: its members that are not private numbers. */
struct json *jwk_public(struct arena *a, const struct json *jwk);

struct jose_key {
    void *pkey;    /* OpenSSL's */
    str kid, alg;  /* empty: not said */
    unsigned kind; /* of its algorithms: jose.c */
    bool is_private;
};
struct error *jose_key_load(struct arena *a, const struct json *jwk, struct jose_key **ret) MUST_USE;

/* The compact form: header {"alg", "kid"}, payload, signature. The key is private and has an "alg". */
struct error *jws_sign(struct arena *a, const struct jose_key *key, bytes payload, str *ret) MUST_USE;

struct jws {
    const struct json *header;
    str alg, kid; /* of the header; kid may be empty */
    str signed_part;
    bytes payload, signature; /* not to be believed before jws_verify() */
};
/* A header with "crit" is refused: no extension is understood. */
struct error *jws_parse(struct arena *a, str compact, struct jws *ret) MUST_USE;
/* False: not signed by this key, or with another algorithm than the key's. */
bool jws_verify(const struct jws *j, const struct jose_key *key) MUST_USE;
