#include "stanza.h"

#include <stdlib.h>
#include <unistd.h>

#define HEX_1 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define STD_1 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define URL_1 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define HEX_2 "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static void encodings_are_one_key(void **state)
{
    (void)state;
    static const char *const forms[] = {HEX_1, STD_1, URL_1, "env://COFFER_TEST_STATIC"};
    struct arena *a = arena_new(0);
    struct seal *first, *s;
    struct secret *back = NULL;
    bytes blob;

    assert_int_equal(setenv("COFFER_TEST_STATIC", HEX_1 "\n", 1), 0);
    assert_ok(stanza_open(a, "static", STANZA("current_key", HEX_1, "current_key_id", "one"), &first));
    assert_str(seal_key_id(first), "one");
    assert_ok(seal_encrypt(first, a, bytes_from_str(STR("clear")), &blob));
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        assert_ok(stanza_open(a, "static", STANZA("current_key", forms[i], "current_key_id", "one"), &s));
        assert_ok(seal_decrypt(s, a, blob, &back));
        assert_str(str_from_bytes(secret_reveal(back)), "clear");
        secret_free(back);
        seal_close(s);
    }
    stanza_round_trip(first, a, true);
    assert_ok(seal_test(first, a));
    seal_close(first);
    arena_free(a);
}

static void a_key_in_a_file(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    char path[] = "/tmp/coffer-static-XXXXXX";
    int fd = mkstemp(path);
    struct seal *s;

    assert_int_equal(write(fd, STD_1 "\n", 45), 45);
    close(fd);
    assert_ok(stanza_open(
        a, "static", STANZA("current_key", arena_fmt(a, "file://%s", path).p, "current_key_id", "f"), &s));
    stanza_round_trip(s, a, false);
    seal_close(s);
    unlink(path);
    struct error *e = stanza_open(
        a, "static", STANZA("current_key", arena_fmt(a, "file://%s", path).p, "current_key_id", "f"), &s);

    assert_non_null(e);
    arena_free(a);
}

static void two_keys(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct seal *old, *s;
    struct secret *back = NULL;
    bytes blob;

    assert_ok(stanza_open(a, "static", STANZA("current_key", HEX_1, "current_key_id", "one"), &old));
    assert_ok(seal_encrypt(old, a, bytes_from_str(STR("clear")), &blob));
    seal_close(old);
    assert_ok(stanza_open(a, "static",
                          STANZA("current_key", HEX_2, "current_key_id", "two", "previous_key", HEX_1,
                                 "previous_key_id", "one"),
                          &s));
    assert_ok(seal_decrypt(s, a, blob, &back));
    secret_free(back);
    seal_close(s);
    assert_ok(stanza_open(a, "static", STANZA("current_key", HEX_2, "current_key_id", "two"), &s));
    assert_error(seal_decrypt(s, a, blob, &back), ERR_INTERNAL, "unknown key id for data: `one`");
    seal_close(s);
    assert_ok(stanza_open(a, "static", STANZA("current_key", HEX_2, "current_key_id", "one"), &s));
    assert_error(seal_decrypt(s, a, blob, &back), ERR_INTERNAL,
                 "error decrypting data: cipher: message authentication failed");
    seal_close(s);
    arena_free(a);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *pairs[9], *error;
    } bad[] = {
        {{"current_key_id", "a"}, "static: current_key is required"},
        {{"current_key", HEX_1}, "static: current_key_id is required"},
        {{"current_key", "0001", "current_key_id", "a"},
         "static: current_key must be 32 bytes, raw or as 64 hex digits or base64"},
        {{"current_key", &("x" HEX_1)[1], "current_key_id", "a", "previous_key", HEX_1},
         "static: previous_key and previous_key_id go together"},
        {{"current_key", HEX_1, "current_key_id", "a", "previous_key", HEX_2, "previous_key_id", "a"},
         "static: current_key and previous_key differ but have one id"},
        {{"current_key", HEX_1, "current_key_id", "a", "previous_key", STD_1, "previous_key_id", "b"},
         "static: current_key and previous_key are one key with two ids"},
    };
    struct arena *a = arena_new(0);
    struct seal *s;

    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_error(stanza_open(a, "static", bad[i].pairs, &s), ERR_BAD_REQUEST, bad[i].error);
    assert_error(stanza_open(a, "nonsense", STANZA(), &s), ERR_BAD_REQUEST, "Unknown KMS type \"nonsense\"");
    assert_error(
        stanza_open(a, "static",
                    STANZA("current_key", HEX_1, "current_key_id", "a", "health_check_enabled", "perhaps"),
                    &s),
        ERR_BAD_REQUEST, "invalid value for health_check_enabled: \"perhaps\"");
    arena_free(a);
}

static void the_environment_wins(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct seal *s;

    assert_int_equal(setenv("BAO_STATIC_SEAL_CURRENT_KEY_ID", "by-env", 1), 0);
    assert_ok(stanza_open(a, "static", STANZA("current_key", HEX_1, "current_key_id", "one"), &s));
    assert_str(seal_key_id(s), "by-env");
    unsetenv("BAO_STATIC_SEAL_CURRENT_KEY_ID");
    seal_close(s);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodings_are_one_key),
        cmocka_unit_test(a_key_in_a_file),
        cmocka_unit_test(two_keys),
        cmocka_unit_test(refused),
        cmocka_unit_test(the_environment_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
