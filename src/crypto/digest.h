/* digest: hashes by the names the API gives them: "sha2-224" … "sha2-512", "sha3-224" … "sha3-512".
 *
 * Threads: any. Source: FIPS 180-4, FIPS 202.
 */
#pragma once
#include "base/arena.h"

enum { DIGEST_BYTES_MAX = 64 };

/* The digest's length; 0: there is none of that name. */
size_t digest_named(uint8_t out[DIGEST_BYTES_MAX], str name, bytes data) MUST_USE;
