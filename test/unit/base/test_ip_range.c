/* Addresses and ranges as text. */
#include "base/ip_range.h"

#include <setjmp.h>
#include <stdarg.h>
/* clang-format off: it needs the ones above */
#include <cmocka.h>
/* clang-format on */

static void test_cidr(void **state)
{
    static const struct {
        const char *block, *address;
        bool inside;
    } rows[] = {
        {"127.0.0.0/8", "127.1.2.3", true},
        {"127.0.0.0/8", "128.0.0.1", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1/32", "127.0.0.2", false},
        {"10.1.2.0/23", "10.1.3.255", true},
        {"10.1.2.0/23", "10.1.4.0", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"::1", "::1", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::/0", "::5", true},
        {"::/0", "10.0.0.1", false},
        {"10.0.0.0/8", "::ffff:10.9.9.9", true},
        {"10.0.0.0/8", "fe80::1", false},
        {"999.1.1.1/8", "127.0.0.1", false},
        {"10.0.0.0/33", "10.0.0.1", false},
        {"10.0.0.0/", "10.0.0.1", false},
        {"10.0.0.0/-1", "10.0.0.1", false},
        {"", "10.0.0.1", false},
        {"10.0.0.0/8", "", false},
        {"10.0.0.0/8", "@", false},
        {"10.0.0.0/8/8", "10.0.0.1", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        print_message("%s in %s\n", rows[i].address, rows[i].block);
        assert_int_equal(ip_text_is_in(str_from_cstr(rows[i].block), str_from_cstr(rows[i].address)),
                         rows[i].inside);
    }
}

static void test_format(void **state)
{
    static const char *const rows[][2] = {
        {"192.0.2.7", "192.0.2.7"}, {"::ffff:192.0.2.7", "192.0.2.7"}, {"2001:db8:0:0:0::1", "2001:db8::1"}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct ip_address ip;
        char out[IP_TEXT_MAX];
        assert_true(ip_parse(str_from_cstr(rows[i][0]), &ip));
        str text = {out, ip_format(&ip, out)};
        assert_true(str_eq(text, str_from_cstr(rows[i][1])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cidr), cmocka_unit_test(test_format)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
