#include "crypto/p521.h"

#include "crypto/crypto.h"
#include "crypto/ecdsa.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

enum { POINT_BYTES = 1 + 2 * P521_NUMBER_BYTES, DIGITS_MAX = 160 };

/* A decimal number that fits; NULL: it is none. */
static BIGNUM *number_parse(struct arena *a, str digits)
{
    BIGNUM *n = NULL;

    if (digits.n == 0 || digits.n > DIGITS_MAX)
        return NULL;
    for (size_t i = 0; i < digits.n; i++)
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return NULL;
    const char *text = arena_cstr(a, digits);

    if (text && BN_dec2bn(&n, text) && BN_num_bytes(n) <= P521_NUMBER_BYTES)
        return n;
    BN_clear_free(n);
    return NULL;
}

/* out: the uncompressed point */
static bool point_make(struct arena *a, str x, str y, uint8_t out[POINT_BYTES])
{
    BIGNUM *bx = number_parse(a, x), *by = number_parse(a, y);
    bool ok = bx && by && BN_bn2binpad(bx, out + 1, P521_NUMBER_BYTES) == P521_NUMBER_BYTES &&
              BN_bn2binpad(by, out + 1 + P521_NUMBER_BYTES, P521_NUMBER_BYTES) == P521_NUMBER_BYTES;

    out[0] = 4;
    BN_free(bx);
    BN_free(by);
    return ok;
}

static EVP_PKEY *key_from(const uint8_t point[POINT_BYTES], const BIGNUM *d)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;

    if (builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "P-521", 0) &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, POINT_BYTES) &&
        (!d || OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, d)))
        params = OSSL_PARAM_BLD_to_param(builder);
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    OSSL_PARAM *copy = params ? OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_PRIV_KEY) : NULL;

    if (copy)
        OPENSSL_cleanse(copy->data, copy->data_size);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(builder);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

struct error *p521_sign(struct arena *a, str x, str y, str d, bytes data, uint8_t out[P521_SIGNATURE_BYTES])
{
    uint8_t point[POINT_BYTES], der[ECDSA_DER_BYTES_MAX];
    size_t der_n = sizeof(der);
    BIGNUM *bd = number_parse(a, d);
    EVP_PKEY *key = bd && point_make(a, x, y, point) ? key_from(point, bd) : NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = key && ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA512", NULL, NULL, key, NULL) == 1 &&
              EVP_DigestSign(ctx, der, &der_n, data.p, data.n) == 1 &&
              ecdsa_from_der((bytes){der, der_n}, P521_NUMBER_BYTES, out);

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    BN_clear_free(bd);
    if (ok)
        return NULL;
    ERR_clear_error();
    return error_new(a, ERR_INTERNAL, "the P-521 key is damaged");
}

bool p521_verify(struct arena *a, str x, str y, bytes data, bytes signature)
{
    uint8_t point[POINT_BYTES], der[ECDSA_DER_BYTES_MAX];
    size_t der_n = ecdsa_to_der(signature, P521_NUMBER_BYTES, der);
    EVP_PKEY *key = der_n > 0 && point_make(a, x, y, point) ? key_from(point, NULL) : NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = key && ctx && EVP_DigestVerifyInit_ex(ctx, NULL, "SHA512", NULL, NULL, key, NULL) == 1 &&
              EVP_DigestVerify(ctx, der, der_n, data.p, data.n) == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return ok;
}
