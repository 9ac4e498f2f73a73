#include "crypto/ecdsa.h"

#include <openssl/ec.h>

bool ecdsa_from_der(bytes der, size_t number_bytes, uint8_t *out)
{
    const unsigned char *p = der.p;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der.n);
    int n = (int)number_bytes;
    bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, n) == n &&
              BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + number_bytes, n) == n;

    ECDSA_SIG_free(sig);
    return ok;
}

size_t ecdsa_to_der(bytes signature, size_t number_bytes, uint8_t out[ECDSA_DER_BYTES_MAX])
{
    if (signature.n != 2 * number_bytes || number_bytes > ECDSA_NUMBER_BYTES_MAX)
        return 0;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature.p, (int)number_bytes, NULL),
           *s = BN_bin2bn(signature.p + number_bytes, (int)number_bytes, NULL);
    int n = 0;

    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        n = i2d_ECDSA_SIG(sig, &out);
    } else {
        BN_free(r);
        BN_free(s);
    }
    ECDSA_SIG_free(sig);
    return n > 0 ? (size_t)n : 0;
}
