/* bcrypt: password hashes (libxcrypt), cost 10. Slow on purpose, 50 ms or more: not for a loop or the lane.
 *
 * Text of 60 characters: "$2a$10$", 22 of salt, 31 of hash; $2b$ and $2y$ are taken too. As everywhere, a
 * password counts up to its first 72 bytes; one with a NUL byte matches nothing and cannot be hashed.
 * Threads: any.
 */
#pragma once
#include "base/arena.h"
#include "base/rand.h"

enum { BCRYPT_COST = 10, BCRYPT_TEXT_BYTES = 60 };

/* False: the password holds a NUL byte. */
bool bcrypt_hash(struct rng *rng, bytes password, char out[BCRYPT_TEXT_BYTES]) MUST_USE;
/* False also for a hash that is none; then, as for an unknown user's empty hash, a hash of the usual cost
 * is reckoned all the same. */
bool bcrypt_verify(bytes hash, bytes password) MUST_USE;
