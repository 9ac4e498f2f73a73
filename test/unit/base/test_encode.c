#include "base/encode.h"
#include "check.h"

static void hex(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    uint8_t all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    str s = hex_encode(a, (bytes){all, 256});
    for (int i = 0; i < 256; i++) {
        char want[3];
        snprintf(want, sizeof(want), "%02x", i);
        assert_memory_equal(s.p + 2 * i, want, 2);
    }
    bytes b;
    assert_true(hex_decode(a, s, &b));
    assert_memory_equal(b.p, all, 256);
    assert_true(hex_decode(a, STR("aAfF"), &b));
    assert_int_equal(b.p[1], 0xff);
    assert_true(hex_decode(a, STR(""), &b));
    assert_int_equal(b.n, 0);
    b = (bytes){all, 7};
    assert_false(hex_decode(a, STR("abc"), &b));
    for (int c = 0; c < 256; c++) {
        char text[2] = {'1', (char)c};
        bool digit = strchr("0123456789abcdefABCDEF", c) && c;
        bytes one = {all, 7};
        assert_int_equal(hex_decode(a, (str){text, 2}, &one), digit);
        assert_int_equal(one.n, digit ? 1 : 7);
    }
    assert_int_equal(b.n, 7);
    arena_free(a);
}

static void base64(void **state)
{
    (void)state;
    static const struct {
        str plain;
        const char *standard, *url;
    } cases[] = {
        /* RFC 4648, section 10 */
        {STR(""), "", ""},
        {STR("f"), "Zg==", "Zg"},
        {STR("fo"), "Zm8=", "Zm8"},
        {STR("foo"), "Zm9v", "Zm9v"},
        {STR("foob"), "Zm9vYg==", "Zm9vYg"},
        {STR("fooba"), "Zm9vYmE=", "Zm9vYmE"},
        {STR("foobar"), "Zm9vYmFy", "Zm9vYmFy"},
        {STR("\xfb\xff\xbe"), "+/++", "-_--"},
    };
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        bytes plain = bytes_from_str(cases[i].plain), b;
        assert_str(base64_encode(a, plain), cases[i].standard);
        assert_str(base64url_encode(a, plain), cases[i].url);
        assert_true(base64_decode(a, str_from_cstr(cases[i].standard), &b));
        assert_true(str_eq(str_from_bytes(b), cases[i].plain));
        assert_true(base64url_decode(a, str_from_cstr(cases[i].url), &b));
        assert_true(str_eq(str_from_bytes(b), cases[i].plain));
    }
    uint8_t all[256];
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    for (size_t n = 0; n <= 256; n++) {
        bytes b;
        assert_true(base64_decode(a, base64_encode(a, (bytes){all, n}), &b));
        assert_int_equal(b.n, n);
        assert_memory_equal(b.p, all, n);
    }
    arena_free(a);
}

static void base32(void **state)
{
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "MY"},
                                           {"fo", "MZXQ"},
                                           {"foo", "MZXW6"},
                                           {"foob", "MZXW6YQ"},
                                           {"fooba", "MZXW6YTB"},
                                           {"foobar", "MZXW6YTBOI"}}; /* RFC 4648 section 10 */
    static const char *const bad[] = {"M", "MZX", "M1", "M0", "M=", "MY==", "MZXW6YTB=", "M Y", "\xc1Y"};
    uint8_t all[256];
    bytes b;

    (void)state;
    struct arena *a = arena_new(0);

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_str(base32_encode(a, bytes_from_str(str_from_cstr(cases[i][0]))), cases[i][1]);
        assert_true(base32_decode(a, str_from_cstr(cases[i][1]), &b));
        assert_str(str_from_bytes(b), cases[i][0]);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(base32_decode(a, str_from_cstr(bad[i]), &b));
    assert_true(base32_decode(a, STR("MY======"), &b) && base32_decode(a, STR("mzxw6ytb"), &b));
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)(i * 37);
    assert_true(base32_decode(a, base32_encode(a, (bytes){all, sizeof(all)}), &b));
    assert_true(b.n == sizeof(all) && memcmp(b.p, all, b.n) == 0);
    arena_free(a);
}

static void base64_refuses(void **state)
{
    (void)state;
    static const char *const bad[] = {"Z",      "Zg",       "Zg=",  "Zg===",           "====", "=",
                                      "Zm9v=",  "Z===",     "Zm 9", "Zm9\n",           "Zm9-", "Zm9_",
                                      "Zm9v\n", "Zg==Zg==", "Zm=v", "\xff\xff\xff\xff"};
    static const char *const bad_url[] = {"Z", "Zg=", "Zg===", "Zm9+", "Zm9/", "Zm9v=", "Z g", "Zg==Zg=="};
    struct arena *a = arena_new(0);
    bytes b = {NULL, 9};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(base64_decode(a, str_from_cstr(bad[i]), &b));
    for (size_t i = 0; i < COUNT_OF(bad_url); i++)
        assert_false(base64url_decode(a, str_from_cstr(bad_url[i]), &b));
    assert_int_equal(b.n, 9);
    assert_true(base64url_decode(a, STR("Zg=="), &b));
    assert_int_equal(b.n, 1);
    arena_free(a);
}

static void percent(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool plus, ok;
        const char *want;
    } cases[] = {
        {"a%20b", false, true, "a b"},
        {"a+b", true, true, "a b"},
        {"a+b", false, true, "a+b"},
        {"%2B", true, true, "+"},
        {"%e2%82%AC", false, true, "\xe2\x82\xac"},
        {"", false, true, ""},
        {"%", false, false, ""},
        {"%4", false, false, ""},
        {"%4g", false, false, ""},
        {"%%41", false, false, ""},
        {"x%41", false, true, "xA"},
    };
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        str s = STR("untouched");
        assert_int_equal(url_decode(a, str_from_cstr(cases[i].in), cases[i].plus, &s), cases[i].ok);
        assert_str(s, cases[i].ok ? cases[i].want : "untouched");
    }
    assert_str(url_encode(a, STR("a b/c~-_.\xff?")), "a%20b%2Fc~-_.%FF%3F");
    assert_str(url_encode_path(a, STR("secret/a b")), "secret/a%20b");
    assert_str(url_encode(a, (str){"\0", 1}), "%00");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hex),     cmocka_unit_test(base64),
        cmocka_unit_test(base32),  cmocka_unit_test(base64_refuses),
        cmocka_unit_test(percent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
