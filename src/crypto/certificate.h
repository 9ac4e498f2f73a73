/* certificate: a throw-away CA and one server certificate below it, for a server to try things out with.
 *
 * Keys: ECDSA P-256; X.509 v3 as RFC 5280 asks of a CA and of a server: basic constraints, key usage,
 * extended key usage, subject alternative names. The CA's key is forgotten once it has signed.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"

struct certificate_pair {
    str ca_pem, certificate_pem, key_pem; /* key_pem: PKCS #8 in the clear, in the arena given */
};
/* names: subject alternative names as OpenSSL writes them ("DNS:localhost,IP:127.0.0.1"). Valid for `days`
 * from half a minute ago. */
struct error *certificate_make(struct arena *a, const char *common_name, const char *names, int days,
                               struct certificate_pair *ret) MUST_USE;
