#include "../base/check.h"
#include "base/encode.h"
#include "crypto/pgp.h"
#include "pgp_keys.h"

static struct arena *a;

static bytes decoded(const char *base64)
{
    bytes key;

    assert_ok(pgp_key_decode(a, str_from_cstr(base64), &key));
    return key;
}

static void test_fingerprints(void **state)
{
    static const struct {
        const char *key, *fingerprint;
        bool encrypts;
    } cases[] = {
        {pgp_rsa, "9387a00d41f846298dd6c591516b81c7a72e4aa0", true},
        {pgp_curve, "03e2b98a9a1b62c154e15ca016825d8daf9db32c", true},
        {pgp_sign, "4518b395ed3687ef2ff5d034499e57ba7f114b39", false},
        {pgp_sha1, "072c1ce7d99f03bd70da9151888684f99da9ffa9", true},
    };
    str fingerprint;
    bytes once, again;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bytes key = decoded(cases[i].key);

        assert_ok(pgp_fingerprint(a, key, &fingerprint));
        assert_str(fingerprint, cases[i].fingerprint);
        struct error *e = pgp_encrypt(a, key, bytes_from_str(STR("share")), &once);

        assert_int_equal(e == NULL, cases[i].encrypts);
        if (e) {
            assert_true(str_starts(e->text, STR("error setting up encryption for PGP message: ")));
            assert_int_equal(e->kind, ERR_BAD_REQUEST);
            continue;
        }
        assert_ok(pgp_encrypt(a, key, bytes_from_str(STR("share")), &again));
        assert_false(once.n == again.n && memcmp(once.p, again.p, once.n) == 0);
        assert_int_equal(str_find(str_from_bytes(once), STR("share")), once.n);
    }
}

static void test_refused(void **state)
{
    static const char *const cases[] = {"", "aaaa", "mQENBGsCcNcBCADk", "c2VjcmV0"};
    str fingerprint;
    bytes key, message;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct error *e = pgp_fingerprint(a, decoded(cases[i]), &fingerprint);

        assert_non_null(e);
        assert_true(str_starts(e->text, STR("error parsing given PGP key: ")));
    }
    assert_non_null(pgp_key_decode(a, STR("zz"), &key));
    assert_non_null(pgp_encrypt(a, decoded(pgp_old), bytes_from_str(STR("share")), &message));
    /* one bit of the part that encrypts: the primary key has not signed it so */
    bytes good = decoded(pgp_curve);
    uint8_t *bad = arena_copy(a, good.p, good.n);

    bad[260] ^= 1;
    assert_non_null(pgp_encrypt(a, (bytes){bad, good.n}, bytes_from_str(STR("share")), &message));
}

static void test_armor(void **state)
{
    static const char head[] = "text before\n-----BEGIN PGP PUBLIC KEY BLOCK-----\r\nComment: x\r\n\r\n",
                      end[] = "\r\n=abcd\r\n-----END PGP PUBLIC KEY BLOCK-----\r\n";
    str text = arena_fmt(a, "%s%.64s\r\n%s%s", head, pgp_curve, pgp_curve + 64, end), fingerprint;
    bytes key, refused = {0};

    (void)state;
    assert_true(pgp_dearmor(a, text, &key));
    assert_ok(pgp_fingerprint(a, key, &fingerprint));
    assert_str(fingerprint, "03e2b98a9a1b62c154e15ca016825d8daf9db32c");
    assert_ok(pgp_key_decode(a, base64_encode(a, bytes_from_str(text)), &key)); /* armor within base64 */
    assert_ok(pgp_fingerprint(a, key, &fingerprint));
    assert_false(pgp_dearmor(a, str_slice(text, 0, text.n - 40), &refused));
    assert_false(pgp_dearmor(a, STR("-----BEGIN PGP PUBLIC KEY BLOCK-----"), &refused));
    assert_false(pgp_dearmor(a, STR("no armor"), &refused));
    assert_null(refused.p);
}

static int prepare(void **state)
{
    (void)state;
    a = arena_new(0);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    arena_free(a);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fingerprints), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_armor)};

    return cmocka_run_group_tests(tests, prepare, clean);
}
