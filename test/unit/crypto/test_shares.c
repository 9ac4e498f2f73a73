#include "../base/check.h"
#include "crypto/shares.h"

/* The school-book way: multiply the polynomials, then take the remainder. */
static uint8_t slow_mul(uint8_t x, uint8_t y)
{
    unsigned product = 0;
    for (int i = 0; i < 8; i++)
        if (y >> i & 1)
            product ^= (unsigned)x << i;
    for (int i = 14; i >= 8; i--)
        if (product >> i & 1)
            product ^= 0x11bU << (i - 8);
    return (uint8_t)product;
}

static void field(void **state)
{
    (void)state;
    for (int x = 0; x < 256; x++)
        for (int y = 0; y < 256; y++)
            if (gf256_mul((uint8_t)x, (uint8_t)y) != slow_mul((uint8_t)x, (uint8_t)y))
                fail_msg("%02x * %02x", x, y);
    for (int x = 1; x < 256; x++)
        assert_int_equal(slow_mul((uint8_t)x, gf256_inv((uint8_t)x)), 1);
    assert_int_equal(gf256_mul(0x57, 0x83), 0xc1); /* FIPS 197, section 4.2 */
    assert_int_equal(gf256_inv(0x53), 0xca);
}

/* docs/formats/shares.md: threshold 2, any two of the three. */
static void worked_example(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    bytes want = unhex(a, "00112233445566778899aabbccddeeff");
    bytes all[3] = {
        unhex(a, "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f 01"),
        unhex(a, "2d4be187aec862043056fc9ab3d57f19 07"),
        unhex(a, "54b99578cd200ce17d90bc51e40925c8 c8"),
    };
    for (int leave_out = 0; leave_out < 4; leave_out++) { /* 3: none, more than the threshold */
        bytes given[3];
        size_t n = 0;
        for (int i = 0; i < 3; i++)
            if (i != leave_out)
                given[n++] = all[i];
        struct secret *secret = NULL;
        assert_ok(shares_join(a, given, n, &secret));
        assert_true(secret_equal(secret_reveal(secret), want));
        secret_free(secret);
    }
    arena_free(a);
}

/* All subsets of n shares: those of at least `threshold` give the secret, smaller ones do not. */
static void try_all_subsets(struct arena *a, struct secret *const shares[], unsigned n, unsigned threshold,
                            bytes want)
{
    for (unsigned set = 1; set < 1U << n; set++) {
        bytes given[8];
        size_t k = 0;
        for (unsigned i = 0; i < n; i++)
            if (set >> i & 1)
                given[k++] = secret_reveal(shares[n - 1 - i]);
        if (k < 2)
            continue;
        struct secret *secret = NULL;
        assert_ok(shares_join(a, given, k, &secret));
        assert_int_equal(secret_equal(secret_reveal(secret), want), k >= threshold);
        secret_free(secret);
    }
}

static void every_threshold(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct rng *rng = rng_seeded_new(7);
    uint8_t text[32];
    rng_bytes(rng, text, sizeof(text));
    bytes want = {text, sizeof(text)};
    for (unsigned n = 2; n <= 6; n++)
        for (unsigned threshold = 2; threshold <= n; threshold++) {
            struct secret *shares[8];
            shares_split(shares, n, threshold, rng, want);
            for (unsigned i = 0; i < n; i++)
                assert_int_equal(secret_len(shares[i]), 33);
            try_all_subsets(a, shares, n, threshold, want);
            for (unsigned i = 0; i < n; i++)
                secret_free(shares[i]);
        }
    rng_seeded_free(rng);
    arena_free(a);
}

static void the_largest_set(void **state)
{
    (void)state;
    static struct secret *shares[SHARES_MAX];
    static bytes given[SHARES_MAX];
    struct arena *a = arena_new(0);
    uint8_t text[SHARE_SECRET_BYTES_MAX] = {1, 2, 3};
    bool seen[256] = {false};
    shares_split(shares, SHARES_MAX, SHARES_MAX, rng_system(), (bytes){text, sizeof(text)});
    for (int i = 0; i < SHARES_MAX; i++) {
        given[i] = secret_reveal(shares[i]);
        uint8_t x = given[i].p[given[i].n - 1];
        assert_true(x != 0 && !seen[x]);
        seen[x] = true;
    }
    struct secret *secret = NULL;
    assert_ok(shares_join(a, given, SHARES_MAX, &secret));
    assert_true(secret_equal(secret_reveal(secret), (bytes){text, sizeof(text)}));
    secret_free(secret);
    for (int i = 0; i < SHARES_MAX; i++)
        secret_free(shares[i]);
    arena_free(a);
}

static void one_share_is_the_secret(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct secret *share = NULL, *secret = NULL;
    bytes want = unhex(a, "00112233445566778899aabbccddeeff");
    shares_split(&share, 1, 1, rng_system(), want);
    bytes given = secret_reveal(share);
    assert_true(secret_equal(given, want));
    assert_ok(shares_join(a, &given, 1, &secret));
    assert_true(secret_equal(secret_reveal(secret), want));
    secret_free(share);
    secret_free(secret);
    arena_free(a);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *x, *y, *error;
    } cases[] = {
        {"aabb01", "aabbcc02", "all parts must be the same length"},
        {"aabb01", "ccdd01", "duplicate part detected"},
        {"aabb00", "ccdd01", "duplicate part detected"},
        {"aabb01", "ccdd00", "duplicate part detected"},
        {"01", "02", "parts must be at least two bytes"},
        {"", "", "parts must be at least two bytes"},
    };
    struct arena *a = arena_new(0);
    struct secret *secret = NULL;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bytes given[2] = {unhex(a, cases[i].x), unhex(a, cases[i].y)};
        assert_error(shares_join(a, given, 2, &secret), ERR_BAD_REQUEST, cases[i].error);
    }
    uint8_t long_share[SHARE_SECRET_BYTES_MAX + 2] = {1};
    bytes given[2] = {{long_share, sizeof(long_share)}, {long_share, sizeof(long_share)}}, none = {0};
    assert_int_equal(shares_join(a, given, 2, &secret)->kind, ERR_BAD_REQUEST);
    assert_int_equal(shares_join(a, given, 1, &secret)->kind, ERR_BAD_REQUEST);
    assert_int_equal(shares_join(a, &none, 1, &secret)->kind, ERR_BAD_REQUEST);
    assert_null(secret);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(field),
        cmocka_unit_test(worked_example),
        cmocka_unit_test(every_threshold),
        cmocka_unit_test(the_largest_set),
        cmocka_unit_test(one_share_is_the_secret),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
