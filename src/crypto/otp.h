/* otp: one-time passwords: HOTP (RFC 4226), and TOTP (RFC 6238), whose counter is a step of time.
 *
 * Shape:   a code is 6 or 8 decimal digits.
 * Threads: no state, any thread. A code costs about 2 us. Comparing does not depend on the code.
 */
#pragma once
#include "base/base.h"

enum { OTP_DIGITS_MAX = 8 };
enum otp_hash { OTP_SHA1, OTP_SHA256, OTP_SHA512 };

/* out: `digits` characters (6..8, asserted), no NUL */
void otp_code(char *out, enum otp_hash hash, bytes key, uint64_t counter, unsigned digits);
/* The counter from `first` to `last` that gives this code, the highest one; false: none. */
bool otp_find(enum otp_hash hash, bytes key, uint64_t first, uint64_t last, str code, uint64_t *ret_counter)
    MUST_USE;
