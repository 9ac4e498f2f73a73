/* Each key object has one place per thread (thread_index), filled at the thread's first use of the key. Only
 * its thread touches a place, so there are no locks; freeing the key frees all of them.
 */
#include "crypto/crypto.h"

#include "base/encode.h"
#include "base/log.h"
#include "base/mutex.h"

#include <assert.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* Set once by crypto_init, then constant. */
static struct {
    EVP_CIPHER *aes_128_gcm, *aes_256_gcm;
    EVP_MD *md5, *sha1, *sha256, *sha512;
    EVP_MAC *hmac;
} algorithms;

/* OpenSSL refuses only calls that are wrong or a machine without memory. */
static void check(bool ok, const char *what)
{
    if (!ok)
        die("OpenSSL: %s failed (%08lx)", what, ERR_peek_last_error());
}

static void *checked(void *p, const char *what)
{
    check(p != NULL, what);
    return p;
}

/* ---- AES-GCM ---- */

struct aead_key {
    struct secret *key;
    EVP_CIPHER_CTX *ctx[THREADS_MAX];
};

struct aead_key *aead_key_new(bytes key)
{
    assert(key.n == 16 || key.n == 32);
    struct aead_key *k = checked(calloc(1, sizeof(*k)), "calloc");
    k->key = secret_from(key);
    return k;
}

void aead_key_free(struct aead_key *k)
{
    if (!k)
        return;
    for (unsigned i = 0; i < THREADS_MAX; i++)
        EVP_CIPHER_CTX_free(k->ctx[i]);
    secret_free(k->key);
    free(k);
}

static const EVP_CIPHER *cipher_of(bytes key)
{
    return key.n == 16 ? algorithms.aes_128_gcm : algorithms.aes_256_gcm;
}

static void aead_start(EVP_CIPHER_CTX *ctx, const uint8_t *nonce, bool seal, bytes aad, size_t in_n)
{
    int n;
    assert(in_n <= INT_MAX && aad.n <= INT_MAX);
    check(EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, seal, NULL) == 1, "AES-GCM nonce");
    if (aad.n)
        check(EVP_CipherUpdate(ctx, NULL, &n, aad.p, (int)aad.n) == 1, "AES-GCM additional data");
}

/* This thread's context. The key schedule of GCM is the same in both directions. */
static EVP_CIPHER_CTX *aead_ctx(struct aead_key *k, bool seal)
{
    EVP_CIPHER_CTX **at = &k->ctx[thread_index()];
    if (!*at) {
        bytes key = secret_reveal(k->key);
        EVP_CIPHER_CTX *ctx = checked(EVP_CIPHER_CTX_new(), "cipher context");
        check(EVP_CipherInit_ex2(ctx, cipher_of(key), key.p, NULL, seal, NULL) == 1, "AES-GCM key");
        *at = ctx;
    }
    return *at;
}

static void ctx_seal(uint8_t *out, EVP_CIPHER_CTX *ctx, const uint8_t *nonce, bytes aad, bytes plain)
{
    int n;
    aead_start(ctx, nonce, true, aad, plain.n);
    if (plain.n)
        check(EVP_CipherUpdate(ctx, out, &n, plain.p, (int)plain.n) == 1, "AES-GCM");
    check(EVP_CipherFinal_ex(ctx, out + plain.n, &n) == 1, "AES-GCM");
    check(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, out + plain.n) == 1, "AES-GCM tag");
}

static bool ctx_open(uint8_t *out, EVP_CIPHER_CTX *ctx, const uint8_t *nonce, bytes aad, bytes sealed)
{
    uint8_t tag[AEAD_TAG_BYTES], none[AEAD_TAG_BYTES];
    int n;
    size_t plain_n = sealed.n - AEAD_TAG_BYTES;
    memcpy(tag, sealed.p + plain_n, sizeof(tag));
    aead_start(ctx, nonce, false, aad, plain_n);
    if (plain_n)
        check(EVP_CipherUpdate(ctx, out, &n, sealed.p, (int)plain_n) == 1, "AES-GCM");
    check(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_BYTES, tag) == 1, "AES-GCM tag");
    if (EVP_CipherFinal_ex(ctx, none, &n) == 1)
        return true;
    wipe(out, plain_n);
    return false;
}

void aead_seal(uint8_t *out, struct aead_key *k, const uint8_t nonce[AEAD_NONCE_BYTES], bytes aad,
               bytes plain)
{
    ctx_seal(out, aead_ctx(k, true), nonce, aad, plain);
}

bool aead_open(uint8_t *out, struct aead_key *k, const uint8_t nonce[AEAD_NONCE_BYTES], bytes aad,
               bytes sealed)
{
    return sealed.n >= AEAD_TAG_BYTES && ctx_open(out, aead_ctx(k, false), nonce, aad, sealed);
}

/* One context per thread, for ever, empty between uses (a reset wipes the key schedule). */
static EVP_CIPHER_CTX *once_ctx(bytes key, bool seal)
{
    static EVP_CIPHER_CTX *contexts[THREADS_MAX];
    EVP_CIPHER_CTX **at = &contexts[thread_index()];
    assert(key.n == 16 || key.n == 32);
    if (!*at)
        *at = checked(EVP_CIPHER_CTX_new(), "cipher context");
    check(EVP_CipherInit_ex2(*at, cipher_of(key), key.p, NULL, seal, NULL) == 1, "AES-GCM key");
    return *at;
}

void aead_seal_once(uint8_t *out, bytes key, const uint8_t nonce[AEAD_NONCE_BYTES], bytes aad, bytes plain)
{
    EVP_CIPHER_CTX *ctx = once_ctx(key, true);
    ctx_seal(out, ctx, nonce, aad, plain);
    check(EVP_CIPHER_CTX_reset(ctx) == 1, "AES-GCM reset");
}

bool aead_open_once(uint8_t *out, bytes key, const uint8_t nonce[AEAD_NONCE_BYTES], bytes aad, bytes sealed)
{
    if (sealed.n < AEAD_TAG_BYTES)
        return false;
    EVP_CIPHER_CTX *ctx = once_ctx(key, false);
    bool ok = ctx_open(out, ctx, nonce, aad, sealed);
    check(EVP_CIPHER_CTX_reset(ctx) == 1, "AES-GCM reset");
    return ok;
}

/* ---- digests ---- */

enum digest { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGEST_SHA512, DIGEST_COUNT_ };

/* One context per thread and algorithm, for ever: there are few of both. */
static EVP_MD_CTX *digest_ctx[THREADS_MAX][DIGEST_COUNT_];

static void digest(uint8_t *out, enum digest d, const EVP_MD *md, bytes a, bytes b)
{
    EVP_MD_CTX **at = &digest_ctx[thread_index()][d];
    if (!*at) {
        *at = checked(EVP_MD_CTX_new(), "digest context");
        check(EVP_DigestInit_ex2(*at, md, NULL) == 1, "digest");
    } else {
        check(EVP_DigestInit_ex2(*at, NULL, NULL) == 1, "digest");
    }
    check(EVP_DigestUpdate(*at, a.p, a.n) == 1 && EVP_DigestUpdate(*at, b.p, b.n) == 1, "digest");
    check(EVP_DigestFinal_ex(*at, out, NULL) == 1, "digest");
}

void md5(uint8_t out[MD5_BYTES], bytes data)
{
    digest(out, DIGEST_MD5, algorithms.md5, data, (bytes){0});
}

void sha1(uint8_t out[SHA1_BYTES], bytes a, bytes b)
{
    digest(out, DIGEST_SHA1, algorithms.sha1, a, b);
}

void sha256(uint8_t out[SHA256_BYTES], bytes a, bytes b)
{
    digest(out, DIGEST_SHA256, algorithms.sha256, a, b);
}

void sha512(uint8_t out[SHA512_BYTES], bytes a, bytes b)
{
    digest(out, DIGEST_SHA512, algorithms.sha512, a, b);
}

/* ---- HMAC ---- */

struct hmac_key {
    struct secret *key; /* NULL: the empty key */
    EVP_MAC_CTX *ctx[THREADS_MAX];
};

struct hmac_key *hmac_key_new(bytes key)
{
    struct hmac_key *k = checked(calloc(1, sizeof(*k)), "calloc");
    k->key = key.n ? secret_from(key) : NULL;
    return k;
}

void hmac_key_free(struct hmac_key *k)
{
    if (!k)
        return;
    for (unsigned i = 0; i < THREADS_MAX; i++)
        EVP_MAC_CTX_free(k->ctx[i]);
    secret_free(k->key);
    free(k);
}

static const uint8_t *key_bytes(bytes key)
{
    return key.n ? key.p : (const uint8_t *)"";
}

static EVP_MAC_CTX *hmac_ctx_new(bytes key)
{
    char name[] = "SHA256"; /* OSSL_PARAM wants to be able to write */
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0), OSSL_PARAM_END};
    EVP_MAC_CTX *ctx = checked(EVP_MAC_CTX_new(algorithms.hmac), "HMAC context");
    check(EVP_MAC_init(ctx, key_bytes(key), key.n, params) == 1, "HMAC key");
    return ctx;
}

static void hmac_finish(uint8_t *out, EVP_MAC_CTX *ctx, bytes data)
{
    size_t n;
    check(EVP_MAC_update(ctx, data.p, data.n) == 1, "HMAC");
    check(EVP_MAC_final(ctx, out, &n, HMAC_SHA256_BYTES) == 1 && n == HMAC_SHA256_BYTES, "HMAC");
}

void hmac_sha256(uint8_t out[HMAC_SHA256_BYTES], struct hmac_key *k, bytes data)
{
    EVP_MAC_CTX **at = &k->ctx[thread_index()];
    if (*at)
        check(EVP_MAC_init(*at, NULL, 0, NULL) == 1, "HMAC");
    else
        *at = hmac_ctx_new(k->key ? secret_reveal(k->key) : (bytes){0});
    hmac_finish(out, *at, data);
}

void hmac_sha256_hex(char out[2 * HMAC_SHA256_BYTES], struct hmac_key *k, bytes data)
{
    uint8_t mac[HMAC_SHA256_BYTES];
    hmac_sha256(mac, k, data);
    hex_encode_to(out, (bytes){mac, sizeof(mac)});
}

/* One context per thread, for ever: a new key is four times cheaper than a new context. Between uses it holds
 * the empty key. */
static EVP_MAC_CTX *hmac_once_begin(bytes key)
{
    static EVP_MAC_CTX *contexts[THREADS_MAX];
    EVP_MAC_CTX **at = &contexts[thread_index()];
    if (!*at)
        *at = hmac_ctx_new(key);
    else
        check(EVP_MAC_init(*at, key_bytes(key), key.n, NULL) == 1, "HMAC key");
    return *at;
}

static void hmac_once_end(EVP_MAC_CTX *ctx)
{
    check(EVP_MAC_init(ctx, key_bytes((bytes){0}), 0, NULL) == 1, "HMAC key");
}

void hmac_sha256_once(uint8_t out[HMAC_SHA256_BYTES], bytes key, bytes data)
{
    EVP_MAC_CTX *ctx = hmac_once_begin(key);
    hmac_finish(out, ctx, data);
    hmac_once_end(ctx);
}

/* ---- HKDF ---- */

void hkdf_sha256_extract(uint8_t ret_prk[SHA256_BYTES], bytes key, bytes salt)
{
    /* no salt: HMAC pads the empty key to the zeros that the RFC wants */
    hmac_sha256_once(ret_prk, salt, key);
}

void hkdf_sha256_expand(uint8_t *out, size_t out_n, const uint8_t prk[SHA256_BYTES], bytes info)
{
    assert(out_n <= 255 * SHA256_BYTES);
    uint8_t t[SHA256_BYTES];
    EVP_MAC_CTX *ctx = hmac_once_begin((bytes){prk, SHA256_BYTES});
    for (size_t at = 0, i = 1; at < out_n; at += SHA256_BYTES, i++) {
        uint8_t counter = (uint8_t)i;
        check(at == 0 || EVP_MAC_init(ctx, NULL, 0, NULL) == 1, "HKDF");
        check(at == 0 || EVP_MAC_update(ctx, t, sizeof(t)) == 1, "HKDF");
        check(EVP_MAC_update(ctx, info.p, info.n) == 1, "HKDF");
        hmac_finish(t, ctx, (bytes){&counter, 1});
        memcpy(out + at, t, MIN(out_n - at, sizeof(t)));
    }
    hmac_once_end(ctx);
    wipe(t, sizeof(t));
}

void hkdf_sha256(uint8_t *out, size_t out_n, bytes key, bytes salt, bytes info)
{
    uint8_t prk[SHA256_BYTES];
    hkdf_sha256_extract(prk, key, salt);
    hkdf_sha256_expand(out, out_n, prk, info);
    wipe(prk, sizeof(prk));
}

/* ---- P-521 ---- */

static bool key_number(struct arena *a, const EVP_PKEY *key, const char *name, str *ret)
{
    BIGNUM *n = NULL;
    if (EVP_PKEY_get_bn_param(key, name, &n) != 1)
        return false;
    char *text = BN_bn2dec(n);
    BN_clear_free(n);
    if (!text)
        return false;
    *ret = arena_str(a, str_from_cstr(text));
    OPENSSL_clear_free(text, ret->n);
    return true;
}

struct error *p521_generate(struct arena *a, str *ret_x, str *ret_y, str *ret_d)
{
    str x, y, d;
    EVP_PKEY *key = EVP_EC_gen("P-521");
    bool ok = key && key_number(a, key, OSSL_PKEY_PARAM_EC_PUB_X, &x) &&
              key_number(a, key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) &&
              key_number(a, key, OSSL_PKEY_PARAM_PRIV_KEY, &d);
    EVP_PKEY_free(key);
    if (!ok) {
        ERR_clear_error();
        return error_new(a, ERR_INTERNAL, "no P-521 key could be made");
    }
    *ret_x = x;
    *ret_y = y;
    *ret_d = d;
    return NULL;
}

/* ---- start ---- */

/* One known answer each for the three things that everything stored rests on. */
static void self_test(void)
{
    static const uint8_t key[32], nonce[AEAD_NONCE_BYTES];
    static const uint8_t gcm_tag[] = {0x53, 0x0f, 0x8a, 0xfb, 0xc7, 0x45, 0x36, 0xb9,
                                      0xa9, 0x63, 0xb4, 0xf1, 0xc4, 0xcb, 0x73, 0x8b};
    static const uint8_t empty_sha256[] = {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14};
    static const uint8_t empty_hmac[] = {0xb6, 0x13, 0x67, 0x9a, 0x08, 0x14, 0xd9, 0xec};
    uint8_t out[SHA256_BYTES];
    struct aead_key *k = aead_key_new((bytes){key, sizeof(key)});
    aead_seal(out, k, nonce, (bytes){0}, (bytes){0});
    bool ok = memcmp(out, gcm_tag, sizeof(gcm_tag)) == 0;
    ok = ok && aead_open(out, k, nonce, (bytes){0}, (bytes){gcm_tag, sizeof(gcm_tag)});
    aead_key_free(k);
    sha256(out, (bytes){0}, (bytes){0});
    ok = ok && memcmp(out, empty_sha256, sizeof(empty_sha256)) == 0;
    hmac_sha256_once(out, (bytes){0}, (bytes){0});
    ok = ok && memcmp(out, empty_hmac, sizeof(empty_hmac)) == 0;
    check(ok, "self test");
}

void crypto_init(void)
{
    algorithms.aes_128_gcm = checked(EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL), "AES-128-GCM");
    algorithms.aes_256_gcm = checked(EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL), "AES-256-GCM");
    algorithms.md5 = checked(EVP_MD_fetch(NULL, "MD5", NULL), "MD5");
    algorithms.sha1 = checked(EVP_MD_fetch(NULL, "SHA1", NULL), "SHA-1");
    algorithms.sha256 = checked(EVP_MD_fetch(NULL, "SHA256", NULL), "SHA-256");
    algorithms.sha512 = checked(EVP_MD_fetch(NULL, "SHA512", NULL), "SHA-512");
    algorithms.hmac = checked(EVP_MAC_fetch(NULL, "HMAC", NULL), "HMAC");
    self_test();
}
