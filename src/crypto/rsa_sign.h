/* rsa_sign: a signature with a private key in PEM form, as the clouds' service accounts have it.
 *
 * Source: RFC 8017, RSASSA-PKCS1-v1_5 with SHA-256 ("RS256" of RFC 7518). Threads: no state.
 * Errors: ERR_BAD_REQUEST for a key that is none, or no RSA key.
 */
#pragma once
#include "base/error.h"

struct error *rsa_sign_sha256(struct arena *a, str pem, bytes data, bytes *ret_signature) MUST_USE;
