/* ecdsa: the two forms of an ECDSA signature: r and s of fixed length (JOSE), DER (OpenSSL).
 *
 * Threads: no state, any thread. Source: RFC 7518 section 3.4, RFC 3279 section 2.2.3.
 */
#pragma once
#include "base/base.h"

enum { ECDSA_NUMBER_BYTES_MAX = 66, ECDSA_DER_BYTES_MAX = 160 };

/* out: 2 * number_bytes. False: no signature, or its numbers are longer. */
bool ecdsa_from_der(bytes der, size_t number_bytes, uint8_t *out) MUST_USE;
/* The length of the DER form of r and s; 0: `signature` is not two numbers. */
size_t ecdsa_to_der(bytes signature, size_t number_bytes, uint8_t out[ECDSA_DER_BYTES_MAX]) MUST_USE;
