#include "stanza.h"

static void shamir_form(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct seal_blob b = {.ciphertext = unhex(a, "010203")}, back;
    bytes text = seal_blob_text(a, &b);

    assert_true(secret_equal(text, unhex(a, "0a 03 010203 2a 00")));
    assert_true(seal_blob_parse(text, &back));
    assert_true(secret_equal(back.ciphertext, b.ciphertext));
    assert_int_equal(back.key_id.n, 0);
    arena_free(a);
}

static void envelope_form(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct seal_blob b = {.ciphertext = unhex(a, "aa"),
                          .iv = unhex(a, "bbcc"),
                          .mechanism = 1,
                          .key_id = STR("key"),
                          .wrapped_key = unhex(a, "ddeeff")},
                     back;
    bytes text = seal_blob_text(a, &b);

    assert_true(secret_equal(text, unhex(a, "0a 01 aa 12 02 bbcc 2a 0c 08 01 1a 03 6b6579 2a 03 ddeeff")));
    assert_true(seal_blob_parse(text, &back));
    assert_true(secret_equal(back.iv, b.iv));
    assert_int_equal(back.mechanism, 1);
    assert_str(back.key_id, "key");
    assert_true(secret_equal(back.wrapped_key, b.wrapped_key));
    arena_free(a);
}

static void damaged(void **state)
{
    (void)state;
    static const char *const bad[] = {"0a", "0a 05 00", "2a 02 1a 05", "07 00",
                                      "ff ff ff ff ff ff ff ff ff ff ff 01"};
    struct arena *a = arena_new(0);
    struct seal_blob b;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(seal_blob_parse(unhex(a, bad[i]), &b));
    assert_true(seal_blob_parse((bytes){0}, &b)); /* an empty message is one */
    assert_false(
        seal_blob_parse((bytes){arena_zalloc(a, SEAL_BLOB_BYTES_MAX + 1), SEAL_BLOB_BYTES_MAX + 1}, &b));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shamir_form),
        cmocka_unit_test(envelope_form),
        cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
