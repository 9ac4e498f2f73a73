#include "base/rand.h"
#include "check.h"

static void seeded_is_reproducible(void **state)
{
    (void)state;
    uint8_t x[100], y[100];
    struct rng *r = rng_seeded_new(42), *s = rng_seeded_new(42), *t = rng_seeded_new(43);
    rng_bytes(r, x, sizeof(x));
    rng_bytes(s, y, sizeof(y));
    assert_memory_equal(x, y, sizeof(x));
    rng_bytes(t, y, sizeof(y));
    assert_memory_not_equal(x, y, sizeof(x));
    rng_seeded_free(r);
    rng_seeded_free(s);
    rng_seeded_free(t);
    rng_seeded_free(NULL);
}

static void system_differs(void **state)
{
    (void)state;
    uint8_t x[32] = {0}, y[32] = {0};
    rng_bytes(rng_system(), x, sizeof(x));
    rng_bytes(rng_system(), y, sizeof(y));
    assert_memory_not_equal(x, y, sizeof(x));
    rng_bytes(rng_system(), x, 0);
}

static void below_is_uniform(void **state)
{
    (void)state;
    struct rng *r = rng_seeded_new(1);
    unsigned counts[10] = {0};
    for (int i = 0; i < 100000; i++)
        counts[rng_below(r, 10)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(counts[i], 9500, 10500);
    assert_int_equal(rng_below(r, 1), 0);
    for (int i = 0; i < 100; i++)
        assert_true(rng_below(r, UINT64_MAX) < UINT64_MAX);
    rng_seeded_free(r);
}

static void base62_is_uniform(void **state)
{
    (void)state;
    struct rng *r = rng_seeded_new(1);
    unsigned counts[128] = {0};
    char text[1000];
    for (int round = 0; round < 62; round++) {
        rng_base62(r, text, sizeof(text));
        for (size_t i = 0; i < sizeof(text); i++)
            counts[(uint8_t)text[i] & 127]++;
    }
    unsigned kinds = 0;
    for (int c = 0; c < 128; c++) {
        bool digit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        kinds += counts[c] > 0;
        if (digit)
            assert_in_range(counts[c], 800, 1200);
        else
            assert_int_equal(counts[c], 0);
    }
    assert_int_equal(kinds, 62);
    for (size_t n = 0; n < 40; n++) {
        memset(text, '!', sizeof(text));
        rng_base62(r, text, n);
        assert_int_equal(text[n], '!');
        assert_true(n == 0 || text[n - 1] != '!');
    }
    rng_seeded_free(r);
}

static void uuids(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    str s = rng_uuid_str(rng_system(), a), t = rng_uuid_str(rng_system(), a);
    assert_int_equal(s.n, UUID_TEXT_BYTES);
    for (size_t i = 0; i < s.n; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23)
            assert_int_equal(s.p[i], '-');
        else
            assert_non_null(strchr("0123456789abcdef", s.p[i]));
    }
    assert_false(str_eq(s, t));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeded_is_reproducible),
        cmocka_unit_test(system_differs),
        cmocka_unit_test(below_is_uniform),
        cmocka_unit_test(base62_is_uniform),
        cmocka_unit_test(uuids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
