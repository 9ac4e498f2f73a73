/* token_form: the forms of a token string, without storage.
 *
 *   signed token   "hvs." base64url( 08 01  12 20 hmac[32]  1a n token[n] ),  token = 0a m inner[m]
 * Two protobuf messages: version = 1, hmac over the bytes of field 3, inner id. Source:
 * docs/formats/tokens.md. Threads: any.
 */
#pragma once
#include "base/arena.h"
#include "crypto/crypto.h"

enum { TOKEN_PLAIN_MAX = 34 /* "hvs." strings up to this length are inner ids */, TOKEN_SIGNED_MAX = 1024 };

str token_form_sign(struct arena *a, struct hmac_key *key, str inner_id);
/* Does the string claim to be a signed token? */
bool token_form_is_signed(str token);
/* False: malformed, or the mac is wrong. */
bool token_form_open(struct arena *a, struct hmac_key *key, str token, str *ret_inner_id) MUST_USE;
bool token_form_is_batch(str token);
bool token_form_has_prefix(str id); /* "hvs." or "s.": has a cubbyhole id */
