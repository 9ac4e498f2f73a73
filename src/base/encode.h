/* encode: hex, base32, base64, base62, percent-encoding.
 *
 * Sources: RFC 4648 (base16, base32, base64 padded; base64url unpadded), RFC 3986 (percent-encoding).
 * Decoders are strict: any other character, wrong padding or odd length is false, output untouched.
 * base64: the unused bits of the last character may be anything, as in Go.
 * Results live in the arena. Time does not depend on the data in hex_*, base32_*, base64_* (they carry keys).
 */
#pragma once
#include "base/arena.h"

str hex_encode(struct arena *a, bytes b);                     /* lower case */
void hex_encode_to(char *out, bytes b);                       /* 2 * b.n characters, no NUL */
bool hex_decode(struct arena *a, str s, bytes *ret) MUST_USE; /* both cases */

str base64_encode(struct arena *a, bytes b);
bool base64_decode(struct arena *a, str s, bytes *ret) MUST_USE;
str base64url_encode(struct arena *a, bytes b);
bool base64url_decode(struct arena *a, str s, bytes *ret) MUST_USE; /* unpadded; padded is taken too */

str base32_encode(struct arena *a, bytes b);                     /* upper case, unpadded */
bool base32_decode(struct arena *a, str s, bytes *ret) MUST_USE; /* both cases, padded or not */

/* Percent-decodes a URL path or query part. `plus_is_space` for form and query. False: a bad %-escape. */
bool url_decode(struct arena *a, str s, bool plus_is_space, str *ret) MUST_USE;
str url_encode(struct arena *a, str s);      /* all but unreserved characters */
str url_encode_path(struct arena *a, str s); /* the same, '/' stays */
