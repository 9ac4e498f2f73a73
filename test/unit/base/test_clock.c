#include "base/clock.h"
#include "check.h"

static void manual_clock(void **state)
{
    (void)state;
    struct clock *c = clock_manual_new(5 * NS_PER_S);
    int64_t mono = clock_mono_ns(c);
    assert_true(clock_wall_ns(c) == 5 * NS_PER_S);
    clock_manual_advance(c, NS_PER_MS);
    assert_true(clock_wall_ns(c) == 5 * NS_PER_S + NS_PER_MS);
    assert_true(clock_mono_ns(c) == mono + NS_PER_MS);
    clock_manual_free(c);
}

static void real_clock(void **state)
{
    (void)state;
    assert_true(clock_wall_ns(clock_real()) > INT64_C(1600000000) * NS_PER_S);
    int64_t before = clock_mono_ns(clock_real());
    assert_true(clock_mono_ns(clock_real()) >= before);
}

static void formats(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *want;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {INT64_C(1795323708010000000), "2026-11-22T05:01:48.01Z"},
        {INT64_C(1795323708123456789), "2026-11-22T05:01:48.123456789Z"},
        {-1, "1969-12-31T23:59:59.999999999Z"},
        {-NS_PER_S, "1969-12-31T23:59:59Z"},
        {INT64_C(951782400) * NS_PER_S, "2000-02-29T00:00:00Z"},
        {INT64_C(4107542399) * NS_PER_S, "2100-02-28T23:59:59Z"},
        {INT64_C(4107542400) * NS_PER_S, "2100-03-01T00:00:00Z"},
        {INT64_MAX, "2262-04-11T23:47:16.854775807Z"},
        {INT64_MIN + 1, "1677-09-21T00:12:43.145224193Z"},
        {TIME_ZERO_NS, "0001-01-01T00:00:00Z"},
    };
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t back = 1;
        assert_str(time_format(a, cases[i].ns), cases[i].want);
        assert_true(time_parse(str_from_cstr(cases[i].want), &back));
        assert_true(back == cases[i].ns);
    }
    char out[TIME_TEXT_MAX];
    static const char *const fixed[] = {"2026-11-22T05:01:48Z", "2026-11-22T05:01:48.010Z",
                                        "2026-11-22T05:01:48.010000Z", "2026-11-22T05:01:48.010000000Z"};
    for (int i = 0; i < 4; i++) {
        size_t n = time_format_fixed(out, INT64_C(1795323708010000000), 3 * i);
        str s = {out, n};
        assert_str(s, fixed[i]);
    }
    /* Every day of 800 years, against counting. */
    int64_t days = 0, ns;
    static const int month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int year = 1970; year < 2262; year++)
        for (int month = 0; month < 12; month++) {
            bool leap = month == 1 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            for (int day = 1; day <= month_days[month] + leap; day++, days++) {
                char text[32];
                size_t n =
                    (size_t)snprintf(text, sizeof(text), "%04d-%02d-%02dT00:00:00Z", year, month + 1, day);
                assert_true(time_parse((str){text, n}, &ns) && ns == days * 86400 * NS_PER_S);
                assert_int_equal(time_format_to(out, ns), n);
                assert_memory_equal(out, text, n);
            }
        }
    arena_free(a);
}

static void parses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        int64_t ns;
    } cases[] = {
        {"1970-01-01T01:00:00+01:00", true, 0},
        {"1969-12-31T23:00:00-01:00", true, 0},
        {"1970-01-01T00:00:00.5Z", true, NS_PER_S / 2},
        {"1970-01-01T00:00:00,5Z", true, NS_PER_S / 2},
        {"1970-01-01T00:00:00.1234567899Z", true, 123456789},
        {"0001-01-01T00:00:00Z", true, TIME_ZERO_NS},
        {"0001-06-01T00:00:00+02:00", true, TIME_ZERO_NS},
        {"1970-01-01T00:00:00.Z", false, 0},
        {"1970-01-01T00:00:00", false, 0},
        {"1970-01-01T00:00:00z", false, 0},
        {"1970-01-01 00:00:00Z", false, 0},
        {"1970-13-01T00:00:00Z", false, 0},
        {"1970-00-01T00:00:00Z", false, 0},
        {"1970-02-29T00:00:00Z", false, 0},
        {"1970-01-00T00:00:00Z", false, 0},
        {"1970-01-01T24:00:00Z", false, 0},
        {"1970-01-01T00:60:00Z", false, 0},
        {"1970-01-01T00:00:60Z", false, 0},
        {"1970-01-01T00:00:00+24:00", false, 0},
        {"1970-01-01T00:00:00+0100", false, 0},
        {"1970-01-01T00:00:00Zx", false, 0},
        {"1970-1-01T00:00:00Z", false, 0},
        {"-970-01-01T00:00:00Z", false, 0},
        {"9999-12-31T23:59:59Z", false, 0}, /* more than 64 bits of nanoseconds */
        {"1500-01-01T00:00:00Z", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t ns = 77;
        assert_int_equal(time_parse(str_from_cstr(cases[i].text), &ns), cases[i].ok);
        assert_true(ns == (cases[i].ok ? cases[i].ns : 77));
    }
}

static void durations(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
        const char *error;
    } cases[] = {
        {"", 0, NULL},
        {"0", 0, NULL},
        {"30", 30 * NS_PER_S, NULL},
        {"-30", -30 * NS_PER_S, NULL},
        {"2d", 48 * 3600 * NS_PER_S, NULL},
        {"1h30m", 5400 * NS_PER_S, NULL},
        {"1.5h", 5400 * NS_PER_S, NULL},
        {"-1.5h", -5400 * NS_PER_S, NULL},
        {"+5s", 5 * NS_PER_S, NULL},
        {".5s", NS_PER_S / 2, NULL},
        {"1.s", NS_PER_S, NULL},
        {"1m0.25s", 60250 * NS_PER_MS, NULL},
        {"5us", 5000, NULL},
        {"5\xc2\xb5s", 5000, NULL},
        {"5\xce\xbcs", 5000, NULL},
        {"7ns", 7, NULL},
        {"768h", 768 * 3600 * NS_PER_S, NULL},
        {"9223372036854775807ns", INT64_MAX, NULL},
        {"-9223372036854775808ns", INT64_MIN, NULL},
        {"0.3333333333333333333h", INT64_C(1200000000000), NULL},
        {"0.9223372036854775807h", INT64_C(3320413933267), NULL},
        {"1x", 0, "time: unknown unit \"x\" in duration \"1x\""},
        {"1h2d", 0, "time: unknown unit \"d\" in duration \"1h2d\""},
        {" 1h", 0, "time: invalid duration \" 1h\""},
        {"1h ", 0, "time: unknown unit \"h \" in duration \"1h \""},
        {"1.5", 0, "time: missing unit in duration \"1.5\""},
        {"often", 0, "time: invalid duration \"often\""},
        {"-", 0, "time: invalid duration \"-\""},
        {".s", 0, "time: invalid duration \".s\""},
        {"d", 0, "time: invalid duration \"d\""},
        {"9223372036854775808ns", 0, "time: invalid duration \"9223372036854775808ns\""},
        {"9223372036854775808ns9223372036854775808ns", 0,
         "time: invalid duration \"9223372036854775808ns9223372036854775808ns\""},
        {"3000000h", 0, "time: invalid duration \"3000000h\""},
        {"99999999999999999999h", 0, "time: invalid duration \"99999999999999999999h\""},
        {"99999999999", 0, "time: invalid duration \"99999999999\""},
        {"\"\\\x01\xff", 0, "time: invalid duration \"\\\"\\\\\\x01\\xff\""},
    };
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t ns = 77;
        struct error *e = duration_parse(a, str_from_cstr(cases[i].text), &ns);
        if (cases[i].error) {
            assert_error(e, ERR_BAD_REQUEST, cases[i].error);
            assert_true(ns == 77);
        } else {
            assert_ok(e);
            assert_true(ns == cases[i].ns);
        }
    }
    arena_free(a);
}

static void duration_texts(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *want;
    } cases[] = {
        {0, "0s"},
        {1, "1ns"},
        {1100, "1.1\xc2\xb5s"},
        {2200000, "2.2ms"},
        {1000000, "1ms"},
        {1500 * NS_PER_MS, "1.5s"},
        {60 * NS_PER_S, "1m0s"},
        {5400 * NS_PER_S, "1h30m0s"},
        {768 * 3600 * NS_PER_S, "768h0m0s"},
        {-90 * NS_PER_S, "-1m30s"},
        {INT64_C(65001000000), "1m5.001s"},
        {INT64_MAX, "2562047h47m16.854775807s"},
        {INT64_MIN, "-2562047h47m16.854775808s"},
    };
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t back;
        str s = duration_format(a, cases[i].ns);
        assert_str(s, cases[i].want);
        assert_ok(duration_parse(a, s, &back));
        assert_true(back == cases[i].ns);
    }
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manual_clock), cmocka_unit_test(real_clock), cmocka_unit_test(formats),
        cmocka_unit_test(parses),       cmocka_unit_test(durations),  cmocka_unit_test(duration_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
