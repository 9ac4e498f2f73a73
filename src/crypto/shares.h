/* shares: splitting and joining of the unseal key (Shamir over GF(2^8), polynomial 0x11b).
 *
 * Shape:   a share is the secret's length plus one byte; the last byte is x, 1..255, unique in a set.
 *          With one share and threshold one the share is the secret itself; split and join of one do that.
 * Threads: no state, any thread. Time and memory access do not depend on the secret (no tables).
 * Errors:  ERR_BAD_REQUEST for shares that cannot belong together (lengths, equal x, x = 0); nothing else.
 * Source:  docs/formats/shares.md
 */
#pragma once
#include "base/error.h"
#include "base/rand.h"
#include "base/secure.h"

enum { SHARES_MAX = 255, SHARE_SECRET_BYTES_MAX = 64 };

/* Splits `secret` into n shares (secrets of secret.n + 1 bytes), any `threshold` (2..n, asserted) of which
 * give it back. */
void shares_split(struct secret *ret_shares[], unsigned n, unsigned threshold, struct rng *rng, bytes secret);

/* Joins n (1..255) shares, their secret at most SHARE_SECRET_BYTES_MAX. Too few shares cannot be told from
 * wrong ones: the caller checks the result by opening something. */
struct error *shares_join(struct arena *a, const bytes shares[], size_t n, struct secret **ret_secret)
    MUST_USE;

uint8_t gf256_mul(uint8_t x, uint8_t y); /* exposed for the test over all 65,536 products */
uint8_t gf256_inv(uint8_t x);            /* x != 0 */
