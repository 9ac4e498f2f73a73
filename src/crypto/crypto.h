/* crypto: thin, misuse-proof calls over OpenSSL 3. Algorithms are fetched once (crypto_init); no other room
 * calls EVP_*.
 *
 * Order of parameters: outputs first, then key, then inputs. Lengths are constants with the call's name.
 * Threads: any. Keyed contexts that are expensive to build are kept per thread inside the key object.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "base/rand.h"
#include "base/secure.h"

enum {
    AEAD_KEY_BYTES = 32,
    AEAD_NONCE_BYTES = 12,
    AEAD_TAG_BYTES = 16,
    MD5_BYTES = 16,
    SHA1_BYTES = 20,
    SHA256_BYTES = 32,
    SHA512_BYTES = 64,
    HMAC_SHA256_BYTES = 32,
};

/* Once, before any thread starts: fetches algorithms, checks that they work. Dies with a log line if OpenSSL
 * can't. */
void crypto_init(void);

/* AES-256-GCM (a 16 byte key: AES-128-GCM). NIST SP 800-38D. A key object holds the expanded key; one cipher
 * context per thread is kept inside it. Freeing wipes them all; no other thread may be using it then. */
struct aead_key;
struct aead_key *aead_key_new(bytes key); /* 16 or 32 bytes, asserted */
void aead_key_free(struct aead_key *k);
/* out: plain.n + AEAD_TAG_BYTES. The nonce is given here only because records carry it; callers draw it from
 * rng_bytes. */
void aead_seal(uint8_t *out, struct aead_key *k, const uint8_t nonce[AEAD_NONCE_BYTES], bytes aad,
               bytes plain);
/* out: sealed.n - AEAD_TAG_BYTES. False: not authentic (or shorter than a tag); out is wiped. */
bool aead_open(uint8_t *out, struct aead_key *k, const uint8_t nonce[AEAD_NONCE_BYTES], bytes aad,
               bytes sealed) MUST_USE;
/* The same under a key that is used once (derived for one message): no key object, no context kept. */
void aead_seal_once(uint8_t *out, bytes key, const uint8_t nonce[AEAD_NONCE_BYTES], bytes aad, bytes plain);
bool aead_open_once(uint8_t *out, bytes key, const uint8_t nonce[AEAD_NONCE_BYTES], bytes aad, bytes sealed)
    MUST_USE;

void md5(uint8_t out[MD5_BYTES], bytes data); /* chooses the bucket of an identity, protects nothing */
/* Of a followed by b; for Vault's token salts only */
void sha1(uint8_t out[SHA1_BYTES], bytes a, bytes b);
void sha256(uint8_t out[SHA256_BYTES], bytes a, bytes b); /* of a followed by b */
void sha512(uint8_t out[SHA512_BYTES], bytes a, bytes b);

/* HMAC-SHA-256 (RFC 2104) with a kept key: 0.2 us a MAC, one keyed context per thread. */
struct hmac_key;
struct hmac_key *hmac_key_new(bytes key);
void hmac_key_free(struct hmac_key *k);
void hmac_sha256(uint8_t out[HMAC_SHA256_BYTES], struct hmac_key *k, bytes data);
void hmac_sha256_hex(char out[2 * HMAC_SHA256_BYTES], struct hmac_key *k, bytes data);
void hmac_sha256_once(uint8_t out[HMAC_SHA256_BYTES], bytes key, bytes data);

/* HKDF-SHA-256, RFC 5869. out_n <= 255 * 32. */
void hkdf_sha256(uint8_t *out, size_t out_n, bytes key, bytes salt, bytes info);
/* Its two halves, for many outputs of one key: the pseudo-random key is kept as carefully as the key. */
void hkdf_sha256_extract(uint8_t ret_prk[SHA256_BYTES], bytes key, bytes salt);
void hkdf_sha256_expand(uint8_t *out, size_t out_n, const uint8_t prk[SHA256_BYTES], bytes info);

/* An ECDSA P-521 key as decimal integers x, y, d: Vault's core/wrapping/jwtkey. */
struct error *p521_generate(struct arena *a, str *ret_x, str *ret_y, str *ret_d) MUST_USE;
