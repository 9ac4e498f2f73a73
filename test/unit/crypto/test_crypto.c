#include "../base/check.h"
#include "base/mutex.h"
#include "crypto/crypto.h"

static int set_up(void **state)
{
    (void)state;
    crypto_init();
    return 0;
}

static void assert_hex(struct arena *a, const uint8_t *p, size_t n, const char *want)
{
    bytes b = unhex(a, want);
    assert_int_equal(b.n, n);
    assert_memory_equal(p, b.p, n);
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B: cases 1 to 4 (AES-128) and 13 to 16
 * (AES-256); the last two are barrier records of docs/formats. */
static const struct {
    const char *key, *nonce, *aad, *plain, *sealed;
} gcm_cases[] = {
    {"00000000000000000000000000000000", "000000000000000000000000", "", "",
     "58e2fccefa7e3061367f1d57a4e7455a"},
    {"00000000000000000000000000000000", "000000000000000000000000", "", "00000000000000000000000000000000",
     "0388dace60b6a392f328c2b971b2fe78 ab6e47d42cec13bdf53a67b21257bddf"},
    {"feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf"
     "5aa0de657ba637b39"
     "1aafd255",
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b3"
     "96a0aac973d58e091"
     "473f5985 4d5c2af327cd64a62cf35abd2ba6fab4"},
    {"feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf"
     "5aa0de657ba637b39",
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa051ba30b3"
     "96a0aac973d58e091"
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
     "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18 d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf"
     "5aa0de657ba637b39"
     "1aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6"
     "393ba7a0abcc9f662"
     "898015ad b094dac5d93471bdec1a502270e3cc6c"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf"
     "5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6"
     "393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "a0a1a2a3a4a5a6a7a8a9aaab",
     "636f72652f6578616d706c65" /* core/example */, "7b2261223a317d",
     "9d3a1d0f7ffa7f 55372f7c5818bdf2f248048f5aa00a29"},
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "a0a1a2a3a4a5a6a7a8a9aaab",
     "7379732f746f6b656e2f706172656e742f612f62" /* sys/token/parent/a/b */, "",
     "23d73c5e9cb08bafbb3add7f1d9461c3"},
};

static void aead_vectors(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT_OF(gcm_cases); i++) {
        bytes nonce = unhex(a, gcm_cases[i].nonce), aad = unhex(a, gcm_cases[i].aad),
              plain = unhex(a, gcm_cases[i].plain), sealed = unhex(a, gcm_cases[i].sealed);
        struct aead_key *k = aead_key_new(unhex(a, gcm_cases[i].key));
        uint8_t out[128], opened[128];
        assert_int_equal(sealed.n, plain.n + AEAD_TAG_BYTES);
        for (int round = 0; round < 3; round++) { /* both directions in one context, again and again */
            aead_seal(out, k, nonce.p, aad, plain);
            assert_memory_equal(out, sealed.p, sealed.n);
            assert_true(aead_open(opened, k, nonce.p, aad, sealed));
            assert_memory_equal(opened, plain.p, plain.n);
        }
        bytes key = unhex(a, gcm_cases[i].key);
        memset(out, 0, sizeof(out));
        memset(opened, 0, sizeof(opened));
        aead_seal_once(out, key, nonce.p, aad, plain);
        assert_memory_equal(out, sealed.p, sealed.n);
        assert_true(aead_open_once(opened, key, nonce.p, aad, sealed));
        assert_memory_equal(opened, plain.p, plain.n);
        out[sealed.n - 1] ^= 1;
        assert_false(aead_open_once(opened, key, nonce.p, aad, (bytes){out, sealed.n}));
        assert_false(aead_open_once(opened, key, nonce.p, aad, (bytes){out, AEAD_TAG_BYTES - 1}));
        aead_key_free(k);
    }
    aead_key_free(NULL);
    arena_free(a);
}

static void aead_refuses_every_changed_bit(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct aead_key *k = aead_key_new(unhex(a, gcm_cases[8].key));
    bytes nonce = unhex(a, gcm_cases[8].nonce), aad = unhex(a, gcm_cases[8].aad),
          sealed = unhex(a, gcm_cases[8].sealed);
    uint8_t changed[64], out[64];
    for (size_t bit = 0; bit < 8 * sealed.n; bit++) {
        memcpy(changed, sealed.p, sealed.n);
        changed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        memset(out, 0xee, sizeof(out));
        assert_false(aead_open(out, k, nonce.p, aad, (bytes){changed, sealed.n}));
        for (size_t i = 0; i < sealed.n - AEAD_TAG_BYTES; i++)
            assert_int_equal(out[i], 0); /* nothing of it is left */
    }
    for (size_t n = 0; n < sealed.n; n++)
        assert_false(aead_open(out, k, nonce.p, aad, (bytes){sealed.p, n}));
    assert_false(aead_open(out, k, nonce.p, (bytes){aad.p, aad.n - 1}, sealed));
    assert_false(aead_open(out, k, nonce.p, (bytes){0}, sealed));
    assert_true(aead_open(out, k, nonce.p, aad, sealed));
    aead_key_free(k);
    arena_free(a);
}

static void digests(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sha1, *sha256, *sha512;
    } cases[] = {
        /* FIPS 180-4 examples */
        {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
         "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b"
         "931bd47417a81a538327a"
         "f927da3e"},
        {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d",
         "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
         "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454"
         "d4423643ce80e2a9ac94f"
         "a54ca49f"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
         "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c33596fd15c13b1b07f9aa1d3bea57789ca031a"
         "d85c7a71dd70354ec6312"
         "38ca3445"},
    };
    struct arena *a = arena_new(0);
    uint8_t out[SHA512_BYTES];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bytes b = bytes_from_str(str_from_cstr(cases[i].text));
        for (size_t cut = 0; cut <= b.n; cut++) {
            bytes x = {b.p, cut}, y = {b.p + cut, b.n - cut};
            sha1(out, x, y);
            assert_hex(a, out, SHA1_BYTES, cases[i].sha1);
            sha256(out, x, y);
            assert_hex(a, out, SHA256_BYTES, cases[i].sha256);
            sha512(out, x, y);
            assert_hex(a, out, SHA512_BYTES, cases[i].sha512);
        }
    }
    arena_free(a);
}

static void hmac_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *key, *data, *want;
    } cases[] = {
        /* RFC 4231, cases 1, 2, 3, 4, 6, 7 */
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
         "d",
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {"0102030405060708090a0b0c0d0e0f10111213141516171819",
         "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdc"
         "d",
         "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {"", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
    };
    struct arena *a = arena_new(0);
    uint8_t out[HMAC_SHA256_BYTES];
    char hex[2 * HMAC_SHA256_BYTES];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bytes key = unhex(a, cases[i].key), data = unhex(a, cases[i].data);
        struct hmac_key *k = hmac_key_new(key);
        for (int round = 0; round < 3; round++) {
            hmac_sha256(out, k, data);
            assert_hex(a, out, sizeof(out), cases[i].want);
            hmac_sha256_hex(hex, k, data);
            assert_memory_equal(hex, cases[i].want, sizeof(hex));
        }
        hmac_sha256_once(out, key, data);
        assert_hex(a, out, sizeof(out), cases[i].want);
        hmac_key_free(k);
    }
    hmac_key_free(NULL);
    uint8_t long_key[131]; /* longer than a block: cases 6 and 7 */
    memset(long_key, 0xaa, sizeof(long_key));
    hmac_sha256_once(out, (bytes){long_key, sizeof(long_key)},
                     bytes_from_str(STR("Test Using Larger Than Block-Size Key - Hash Key First")));
    assert_hex(a, out, sizeof(out), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    hmac_sha256_once(
        out, (bytes){long_key, sizeof(long_key)},
        bytes_from_str(
            STR("This is a test using a larger than block-size key and a larger than block-size data. "
                "The key needs to be hashed before being used by the HMAC algorithm.")));
    assert_hex(a, out, sizeof(out), "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
    arena_free(a);
}

/* The names under which tokens are stored: docs/formats. */
static void token_names(void **state)
{
    (void)state;
    static const str salt = STR("2f1c9d3a-5b7e-4c60-8a11-0d9e7f6b5c4d");
    struct arena *a = arena_new(0);
    struct hmac_key *k = hmac_key_new(bytes_from_str(salt));
    char hex[2 * HMAC_SHA256_BYTES];
    uint8_t out[SHA1_BYTES];
    hmac_sha256_hex(hex, k, bytes_from_str(STR("hvs.AbCdEfGhIjKlMnOpQrStUvWx")));
    assert_memory_equal(hex, "c6302f08bea00e1edae6f0119183b8bc518b59306d51f8b6c436586dc2be790b", sizeof(hex));
    sha1(out, bytes_from_str(salt), bytes_from_str(STR("AbCdEfGhIjKlMnOpQrStUvWx")));
    assert_hex(a, out, sizeof(out), "aecf18e2006918be05a3915c41f8d417db964a91");
    sha1(out, bytes_from_str(salt), bytes_from_str(STR("my-own-id")));
    assert_hex(a, out, sizeof(out), "d4fe921713ae0f44a7145a508c4319d89017f665");
    hmac_key_free(k);
    arena_free(a);
}

static void hkdf_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *key, *salt, *info, *want;
    } cases[] = {
        /* RFC 5869, A.1 to A.3 */
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
         "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
        {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303"
         "1323334353637383"
         "93a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
         "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909"
         "192939495969798999"
         "a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
         "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e"
         "1e2e3e4e5e6e7e8e9e"
         "aebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
         "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3"
         "275600c2f09b8367793"
         "a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
        {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
         "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
    };
    struct arena *a = arena_new(0);
    uint8_t out[255 * SHA256_BYTES];
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bytes want = unhex(a, cases[i].want);
        hkdf_sha256(out, want.n, unhex(a, cases[i].key), unhex(a, cases[i].salt), unhex(a, cases[i].info));
        assert_memory_equal(out, want.p, want.n);
    }
    hkdf_sha256(out, sizeof(out), unhex(a, "00"), (bytes){0}, (bytes){0}); /* the longest there is */
    arena_free(a);
}

static void p521(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    str v[3], w[3];
    assert_ok(p521_generate(a, &v[0], &v[1], &v[2]));
    assert_ok(p521_generate(a, &w[0], &w[1], &w[2]));
    for (int i = 0; i < 3; i++) {
        assert_in_range(v[i].n, 100, 157); /* 521 bits have at most 157 digits */
        for (size_t k = 0; k < v[i].n; k++)
            assert_in_range(v[i].p[k], '0', '9');
        assert_false(str_eq(v[i], w[i]));
    }
    arena_free(a);
}

/* One key, many threads, threads that come and go. */
struct worker {
    struct thread thread;
    struct aead_key *aead;
    struct hmac_key *hmac;
    bool ok;
};

static void work(void *arg)
{
    struct worker *w = arg;
    uint8_t nonce[AEAD_NONCE_BYTES] = {1}, sealed[200 + AEAD_TAG_BYTES], opened[200], plain[200] = {7},
            mac[32], want[32];
    w->ok = true;
    for (int i = 0; i < 200; i++) {
        size_t n = (size_t)i;
        aead_seal(sealed, w->aead, nonce, (bytes){plain, 3}, (bytes){plain, n});
        w->ok &= aead_open(opened, w->aead, nonce, (bytes){plain, 3}, (bytes){sealed, n + AEAD_TAG_BYTES});
        w->ok &= memcmp(opened, plain, n) == 0;
        hmac_sha256(mac, w->hmac, (bytes){plain, n});
        hmac_sha256_once(want, (bytes){plain, 16}, (bytes){plain, n});
        w->ok &= memcmp(mac, want, 32) == 0;
        sha256(mac, (bytes){plain, n}, (bytes){0});
        sha256(want, (bytes){plain, n / 2}, (bytes){plain + n / 2, n - n / 2});
        w->ok &= memcmp(mac, want, 32) == 0;
    }
}

static void keys_are_shared_by_threads(void **state)
{
    (void)state;
    enum { WORKERS = 8 };
    uint8_t key[32] = {7};
    struct aead_key *aead = aead_key_new((bytes){key, 32});
    struct hmac_key *hmac = hmac_key_new((bytes){key, 16});
    for (int round = 0; round < 5; round++) {
        struct worker workers[WORKERS];
        for (int i = 0; i < WORKERS; i++) {
            workers[i] = (struct worker){.aead = aead, .hmac = hmac};
            thread_start(&workers[i].thread, "worker", work, &workers[i]);
        }
        for (int i = 0; i < WORKERS; i++)
            thread_join(&workers[i].thread);
        for (int i = 0; i < WORKERS; i++)
            assert_true(workers[i].ok);
    }
    aead_key_free(aead);
    hmac_key_free(hmac);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aead_vectors), cmocka_unit_test(aead_refuses_every_changed_bit),
        cmocka_unit_test(digests),      cmocka_unit_test(hmac_vectors),
        cmocka_unit_test(token_names),  cmocka_unit_test(hkdf_vectors),
        cmocka_unit_test(p521),         cmocka_unit_test(keys_are_shared_by_threads),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
