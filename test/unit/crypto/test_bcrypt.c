/* bcrypt: public vectors, and texts that other implementations wrote. */
#include "../base/check.h"
#include "crypto/bcrypt.h"

static bytes of(const char *s)
{
    return bytes_from_str(str_from_cstr(s));
}

static void test_vectors(void **state)
{
    static const struct {
        const char *password, *hash;
        bool ok;
    } rows[] = {
        {"", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.", true},
        {"a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", true},
        {"abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i", true},
        {"abcdefghijklmnopqrstuvwxyz", "$2a$06$.rCVZVOThsIa97pEDOxvGuRRgzG64bvtJ0938xuqzv18d3ZpQhstC", true},
        {"U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", true},
        {"U*U", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", true},
        {"U*U*", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", false},
        {"u*u", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", false},
        /* what no server stored */
        {"x", "", false},
        {"x", "plain", false},
        {"x", "$1$salt$qJH7.N4xYta3aEG/dfqo/0", false},
        {"x", "$2a$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(bcrypt_verify(of(rows[i].hash), of(rows[i].password)), rows[i].ok);
}

static void test_round_trip(void **state)
{
    char one[BCRYPT_TEXT_BYTES], two[BCRYPT_TEXT_BYTES], longer[100], cut[100];
    bytes hash = {(const uint8_t *)one, sizeof(one)};

    (void)state;
    assert_true(bcrypt_hash(rng_system(), of("p\xc3\xa4ss"), one));
    assert_memory_equal(one, "$2a$10$", 7);
    assert_true(bcrypt_hash(rng_system(), of("p\xc3\xa4ss"), two));
    assert_memory_not_equal(one, two, sizeof(one)); /* salts differ */
    assert_true(bcrypt_verify(hash, of("p\xc3\xa4ss")));
    assert_false(bcrypt_verify(hash, of("p\xc3\xa4sS")));
    assert_false(bcrypt_verify(hash, (bytes){0}));

    memset(longer, 'l', sizeof(longer));
    memset(cut, 'l', sizeof(cut));
    cut[80] = 'x';
    assert_true(bcrypt_hash(rng_system(), (bytes){(const uint8_t *)longer, sizeof(longer)}, one));
    assert_true(bcrypt_verify(hash, (bytes){(const uint8_t *)cut, sizeof(cut)}));
    cut[71] = 'x';
    assert_false(bcrypt_verify(hash, (bytes){(const uint8_t *)cut, sizeof(cut)}));
}

static void test_nul(void **state)
{
    char hash[BCRYPT_TEXT_BYTES];
    bytes nul = {(const uint8_t *)"a\0b", 3};

    (void)state;
    assert_false(bcrypt_hash(rng_system(), nul, hash));
    assert_true(bcrypt_hash(rng_system(), of("a"), hash));
    assert_false(bcrypt_verify((bytes){(const uint8_t *)hash, sizeof(hash)}, nul)); /* not cut at the NUL */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_nul),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
