#include "crypto/rsa_sign.h"

#include "base/arena.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

enum { PEM_BYTES_MAX = 64 * 1024, SIGNATURE_BYTES_MAX = 2048 };

static void key_free(void *key)
{
    EVP_PKEY_free(key);
}

static bool sign(EVP_PKEY *key, bytes data, uint8_t *out, size_t *n)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = md && EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
              EVP_DigestSign(md, out, n, data.p, data.n) == 1;

    EVP_MD_CTX_free(md);
    return ok;
}

struct error *rsa_sign_sha256(struct arena *a, str pem, bytes data, bytes *ret)
{
    size_t n = SIGNATURE_BYTES_MAX;
    uint8_t *out = arena_alloc(a, n);
    BIO *bio = pem.n > 0 && pem.n <= PEM_BYTES_MAX ? BIO_new_mem_buf(pem.p, (int)pem.n) : NULL;
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;

    BIO_free(bio);
    ERR_clear_error();
    if (!key)
        return error_new(a, ERR_BAD_REQUEST, "the private key is not in PEM form");
    arena_defer(a, key_free, key);
    if (!EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_get_size(key) > SIGNATURE_BYTES_MAX)
        return error_new(a, ERR_BAD_REQUEST, "the private key is no RSA key");
    if (!sign(key, data, out, &n)) {
        ERR_clear_error();
        return error_new(a, ERR_INTERNAL, "OpenSSL does not sign with this key");
    }
    *ret = (bytes){out, n};
    return NULL;
}
