/* RFC 4226 appendix D, RFC 6238 appendix B. */
#include "../base/check.h"
#include "crypto/crypto.h"
#include "crypto/otp.h"

#define SEED "1234567890123456789012345678901234567890123456789012345678901234"

static const struct {
    uint64_t counter;
    enum otp_hash hash;
    const char *code;
} cases[] = {
    {0, OTP_SHA1, "755224"},
    {1, OTP_SHA1, "287082"},
    {9, OTP_SHA1, "520489"},
    {1, OTP_SHA1, "94287082"},
    {1, OTP_SHA256, "46119246"},
    {1, OTP_SHA512, "90693936"},
    {0x23523EC, OTP_SHA1, "07081804"},
    {0x23523EC, OTP_SHA256, "68084774"},
    {0x23523EC, OTP_SHA512, "25091201"},
    {0x27BC86AA, OTP_SHA1, "65353130"},
    {0x27BC86AA, OTP_SHA512, "47863826"},
};

static bytes seed(enum otp_hash hash)
{
    static const size_t n[] = {20, 32, 64};

    return (bytes){(const uint8_t *)SEED, n[hash]};
}

static void published(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char out[OTP_DIGITS_MAX];
        size_t n = strlen(cases[i].code);
        uint64_t at = 0;

        otp_code(out, cases[i].hash, seed(cases[i].hash), cases[i].counter, (unsigned)n);
        assert_memory_equal(out, cases[i].code, n);
        str code = str_from_cstr(cases[i].code);

        assert_true(
            otp_find(cases[i].hash, seed(cases[i].hash), cases[i].counter, cases[i].counter + 2, code, &at));
        assert_int_equal(at, cases[i].counter);
        assert_false(otp_find(cases[i].hash, seed(cases[i].hash), cases[i].counter + 1, cases[i].counter + 2,
                              code, &at));
    }
}

static void no_codes(void **state)
{
    static const char *const bad[] = {"", "75522", "755224 ", " 755224", "+755224", "755224000", "75522x"};
    uint64_t at;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(otp_find(OTP_SHA1, seed(OTP_SHA1), 0, 2, str_from_cstr(bad[i]), &at));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(published), cmocka_unit_test(no_codes)};

    crypto_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
