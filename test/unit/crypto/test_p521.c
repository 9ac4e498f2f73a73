#include "../base/check.h"
#include "base/encode.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "crypto/p521.h"

/* RFC 7515 A.4 */
static const char jws_x[] =
    "655856645695995354410952295938463300263436618419367226786640712469620004003206339477549966"
    "4830638630438428532794662648623689740875293641365317574204038644132";
static const char jws_y[] =
    "705914061082973601048865942513844186912223650952616397119610620188911564288314145208762412"
    "315826061109317770515164005156360031161563418113875601542699600118";
static const char jws_d[] =
    "534182970230257481349689234462893372957649348329737361320419368840446542247293058336953933"
    "6694834830511678939023627363969939187661870508700291259319376559490";
static const char jws_text[] = "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA";
static const char jws_signature[] =
    "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgo"
    "XD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";

/* RFC 6979 A.2.7, SHA-512, "sample" */
static const char rfc_x[] =
    "527289887325416183352038603263212582040805099042785233403262577107383712647937075458553384"
    "1949303898691579347587217756566381748347606781708996710934768526244";
static const char rfc_y[] =
    "981336682650441434433392812988969377633861760505881551958985841807005894970975628490028680"
    "616384008883562991808313344385252341730921374456475975352693161205";
static const char rfc_signature[] =
    "00C328FAFCBD79DD77850370C46325D987CB525569FB63C5D3BC53950E6D4C5F174E25A1EE9017B5D450606ADD"
    "152B534931D7D4E8455CC91F9B15BF05EC36E377FA00617CCE7CF5064806C467F678D3B4080D6F1CC50AF26CA2"
    "09417308281B68AF282623EAA63E5B5C0723D8B8C37FF0777B1A20F8CCB1DCCC43997F1EE0E44DA4A67A";

static bool verify(struct arena *a, const char *x, const char *y, const char *text, bytes signature)
{
    return p521_verify(a, str_from_cstr(x), str_from_cstr(y), bytes_from_str(str_from_cstr(text)), signature);
}

static void published_signatures(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    bytes jws, rfc;

    assert_true(base64url_decode(a, str_from_cstr(jws_signature), &jws));
    assert_true(hex_decode(a, str_from_cstr(rfc_signature), &rfc));
    assert_true(verify(a, jws_x, jws_y, jws_text, jws));
    assert_true(verify(a, rfc_x, rfc_y, "sample", rfc));
    assert_false(verify(a, rfc_x, rfc_y, "Sample", rfc));
    assert_false(verify(a, jws_x, jws_y, "sample", rfc));
    arena_free(a);
}

static void what_is_signed_verifies(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    uint8_t signature[P521_SIGNATURE_BYTES], zeros[P521_SIGNATURE_BYTES] = {0};
    bytes text = bytes_from_str(STR("text"));
    str x, y, d;

    assert_ok(
        p521_sign(a, str_from_cstr(jws_x), str_from_cstr(jws_y), str_from_cstr(jws_d), text, signature));
    assert_true(verify(a, jws_x, jws_y, "text", (bytes){signature, sizeof(signature)}));
    for (size_t i = 0; i < sizeof(signature); i += 13) {
        signature[i] ^= 1;
        assert_false(verify(a, jws_x, jws_y, "text", (bytes){signature, sizeof(signature)}));
        signature[i] ^= 1;
    }
    for (size_t n = 0; n < sizeof(signature); n += 11)
        assert_false(verify(a, jws_x, jws_y, "text", (bytes){signature, n}));
    assert_false(verify(a, jws_x, jws_y, "text", (bytes){zeros, sizeof(zeros)}));
    for (int i = 0; i < 20; i++) {
        assert_ok(p521_generate(a, &x, &y, &d));
        assert_ok(p521_sign(a, x, y, d, text, signature));
        assert_true(p521_verify(a, x, y, text, (bytes){signature, sizeof(signature)}));
    }
    arena_free(a);
}

static void damaged_keys(void **state)
{
    (void)state;
    static const char *const numbers[] = {
        "",
        "0",
        "-1",
        "0x7",
        "1e3",
        "12345678901234567890123456789012345678901234567890"
        "12345678901234567890123456789012345678901234567890123456789012345678901234567890"
        "12345678901234567890123456789012345678901234567890"};
    struct arena *a = arena_new(0);
    uint8_t signature[P521_SIGNATURE_BYTES] = {1};

    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        str n = str_from_cstr(numbers[i]);

        assert_error(p521_sign(a, n, str_from_cstr(jws_y), str_from_cstr(jws_d), (bytes){0}, signature),
                     ERR_INTERNAL, "the P-521 key is damaged");
        assert_false(
            p521_verify(a, str_from_cstr(jws_x), n, (bytes){0}, (bytes){signature, sizeof(signature)}));
    }
    arena_free(a);
}

/* FIPS 180-4 and 202: of "abc". */
static void digests_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *begin;
        size_t n;
    } known[] = {
        {"sha2-224", "23097d223405d822", 28},
        {"sha2-256", "ba7816bf8f01cfea", 32},
        {"sha2-384", "cb00753f45a35e8b", 48},
        {"sha2-512", "ddaf35a193617aba", 64},
        {"sha3-224", "e642824c3f8cf24a", 28},
        {"sha3-256", "3a985da74fe225b2", 32},
        {"sha3-384", "ec01498288516fc9", 48},
        {"sha3-512", "b751850b1a57168a", 64},
        {"md5", "", 0},
        {"SHA2-256", "", 0},
        {"", "", 0},
    };
    struct arena *a = arena_new(0);
    uint8_t out[DIGEST_BYTES_MAX];

    for (size_t i = 0; i < COUNT_OF(known); i++) {
        assert_int_equal(digest_named(out, str_from_cstr(known[i].name), bytes_from_str(STR("abc"))),
                         known[i].n);
        if (known[i].n)
            assert_true(str_starts(hex_encode(a, (bytes){out, known[i].n}), str_from_cstr(known[i].begin)));
    }
    assert_int_equal(digest_named(out, STR("sha2-256"), (bytes){0}), 32);
    arena_free(a);
}

static int prepare(void **state)
{
    (void)state;
    crypto_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_signatures),
        cmocka_unit_test(what_is_signed_verifies),
        cmocka_unit_test(damaged_keys),
        cmocka_unit_test(digests_by_name),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
