/* p521: ECDSA signatures with a P-521 key given as decimal integers (p521_generate): ES512 of RFC 7518.
 *
 * Shape:   a signature is r and s, 66 bytes each, big-endian, over SHA-512 of the data.
 * Threads: no state, any thread. A signature costs about 400 us.
 * Errors:  ERR_INTERNAL for a key that is none.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"

enum { P521_NUMBER_BYTES = 66, P521_SIGNATURE_BYTES = 2 * P521_NUMBER_BYTES };

struct error *p521_sign(struct arena *a, str x, str y, str d, bytes data, uint8_t out[P521_SIGNATURE_BYTES])
    MUST_USE;
/* False: not signed by this key, or one of the inputs is malformed. */
bool p521_verify(struct arena *a, str x, str y, bytes data, bytes signature) MUST_USE;
