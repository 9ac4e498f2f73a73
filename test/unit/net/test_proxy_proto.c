#include "check.h"
#include "net/proxy_proto.h"

#include <stdlib.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define V4_BODY   "\xc0\0\2\7\x7f\0\0\1\x12\x67\0\x50"
#define V6_BODY   "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x12\x67\0\x50"

static const struct {
    const char *name;
    str in;
    enum proxy_verdict verdict;
    const char *source; /* NULL: the header has no address */
    unsigned port;
} rows[] = {
    {"nothing", STR(""), PROXY_MORE, NULL, 0},
    {"a request", STR("GET / HTTP/1.1\r\n"), PROXY_NONE, NULL, 0},
    {"PRO is a method too", STR("PROP"), PROXY_NONE, NULL, 0},
    {"a TLS hello", STR("\x16\x03\x01"), PROXY_NONE, NULL, 0},
    {"half the word", STR("PRO"), PROXY_MORE, NULL, 0},
    {"half the signature", STR("\r\n\r\n\0\r\nQ"), PROXY_MORE, NULL, 0},
    {"no signature after all", STR("\r\n\r\n\r\n"), PROXY_NONE, NULL, 0},

    {"v1 IPv4", STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n"), PROXY_FOUND, "192.0.2.7", 4711},
    {"v1 IPv6", STR("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n"), PROXY_FOUND, "2001:db8::1", 0},
    {"v1 unknown", STR("PROXY UNKNOWN\r\n"), PROXY_FOUND, NULL, 0},
    {"v1 unknown with addresses", STR("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"), PROXY_FOUND, NULL, 0},
    {"v1 not whole", STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r"), PROXY_MORE, NULL, 0},
    {"v1 bare LF", STR("PROXY UNKNOWN\n"), PROXY_BAD, NULL, 0},
    {"v1 family", STR("PROXY TCP5 192.0.2.7 127.0.0.1 4711 80\r\n"), PROXY_BAD, NULL, 0},
    {"v1 mixed families", STR("PROXY TCP4 ::1 127.0.0.1 4711 80\r\n"), PROXY_BAD, NULL, 0},
    {"v1 IPv4 as TCP6", STR("PROXY TCP6 192.0.2.7 ::1 4711 80\r\n"), PROXY_BAD, NULL, 0},
    {"v1 port too large", STR("PROXY TCP4 192.0.2.7 127.0.0.1 65536 80\r\n"), PROXY_BAD, NULL, 0},
    {"v1 port with a zero", STR("PROXY TCP4 192.0.2.7 127.0.0.1 04711 80\r\n"), PROXY_BAD, NULL, 0},
    {"v1 port missing", STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711\r\n"), PROXY_BAD, NULL, 0},
    {"v1 too much", STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711 80 x\r\n"), PROXY_BAD, NULL, 0},
    {"v1 two blanks", STR("PROXY TCP4  192.0.2.7 127.0.0.1 4711 80\r\n"), PROXY_BAD, NULL, 0},
    {"v1 NUL", STR("PROXY TCP4 192.0.2.7\0 127.0.0.1 4711 80\r\n"), PROXY_BAD, NULL, 0},
    {"v1 too long",
     STR("PROXY UNKNOWN "
         "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
         "\r\n"),
     PROXY_BAD, NULL, 0},

    {"v2 IPv4", STR(SIGNATURE "\x21\x11\0\x0c" V4_BODY), PROXY_FOUND, "192.0.2.7", 4711},
    {"v2 IPv6", STR(SIGNATURE "\x21\x21\0\x24" V6_BODY), PROXY_FOUND, "2001:db8::1", 4711},
    {"v2 with TLVs", STR(SIGNATURE "\x21\x11\0\x0f" V4_BODY "\4\0\0"), PROXY_FOUND, "192.0.2.7", 4711},
    {"v2 local", STR(SIGNATURE "\x20\0\0\0"), PROXY_FOUND, NULL, 0},
    {"v2 local with addresses", STR(SIGNATURE "\x20\x11\0\x0c" V4_BODY), PROXY_FOUND, NULL, 0},
    {"v2 unspecified", STR(SIGNATURE "\x21\0\0\0"), PROXY_FOUND, NULL, 0},
    {"v2 unix", STR(SIGNATURE "\x21\x31\0\1x"), PROXY_FOUND, NULL, 0},
    {"v2 not whole", STR(SIGNATURE "\x21\x11\0\x0c\xc0\0\2"), PROXY_MORE, NULL, 0},
    {"v2 head not whole", STR(SIGNATURE "\x21\x11\0"), PROXY_MORE, NULL, 0},
    {"v2 too short for its family", STR(SIGNATURE "\x21\x11\0\x0b" V4_BODY), PROXY_BAD, NULL, 0},
    {"v2 too short for IPv6", STR(SIGNATURE "\x21\x21\0\x0c" V4_BODY), PROXY_BAD, NULL, 0},
    {"v2 version", STR(SIGNATURE "\x31\x11\0\x0c" V4_BODY), PROXY_BAD, NULL, 0},
    {"v2 command", STR(SIGNATURE "\x22\x11\0\x0c" V4_BODY), PROXY_BAD, NULL, 0},
    {"v2 family", STR(SIGNATURE "\x21\x41\0\x0c" V4_BODY), PROXY_BAD, NULL, 0},
    {"v2 too long", STR(SIGNATURE "\x21\x11\xff\xff" V4_BODY), PROXY_BAD, NULL, 0},
};

static void headers_are_found_however_much_follows(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct proxy_header h = {0};
        char text[IP_TEXT_MAX];
        char more[512];
        memcpy(more, rows[i].in.p, rows[i].in.n);
        memset(more + rows[i].in.n, '\r', 8);
        bool whole = rows[i].verdict != PROXY_MORE;
        str in = {more, rows[i].in.n + (whole ? 8 : 0)};
        if (proxy_parse(bytes_from_str(in), &h) != rows[i].verdict)
            fail_msg("%s", rows[i].name);
        assert_int_equal(h.header_bytes, rows[i].verdict == PROXY_FOUND ? rows[i].in.n : 0);
        assert_int_equal(h.has_address, rows[i].source != NULL);
        assert_int_equal(h.source_port, rows[i].port);
        if (h.has_address)
            assert_true(str_eq((str){text, ip_format(&h.source, text)}, str_from_cstr(rows[i].source)));
    }
}

static void a_header_cut_short_is_not_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        for (size_t n = 0; rows[i].verdict == PROXY_FOUND && n < rows[i].in.n; n++) {
            struct proxy_header h;
            char *exact = malloc(n ? n : 1);
            assert_non_null(exact);
            memcpy(exact, rows[i].in.p, n);
            if (proxy_parse((bytes){(const uint8_t *)exact, n}, &h) != PROXY_MORE)
                fail_msg("%s: %zu", rows[i].name, n);
            free(exact);
        }
}

static void policies_know_whom_they_trust(void **state)
{
    static const struct {
        const char *behavior, *peer;
        enum proxy_policy policy;
    } policies[] = {
        {"", "10.0.0.1", PROXY_POLICY_OFF},
        {"use_always", "192.0.2.1", PROXY_POLICY_USE},
        {"allow_authorized", "10.1.2.3", PROXY_POLICY_USE},
        {"allow_authorized", "11.0.0.1", PROXY_POLICY_IGNORE},
        {"deny_unauthorized", "2001:db8:ffff::", PROXY_POLICY_USE},
        {"deny_unauthorized", "2001:db9::", PROXY_POLICY_REFUSE},
        {"deny_unauthorized", "::ffff:10.0.0.9", PROXY_POLICY_USE},
    };
    struct ip_range trusted[2];
    (void)state;
    assert_true(ip_range_parse(STR("10.0.0.0/8"), &trusted[0]));
    assert_true(ip_range_parse(STR("2001:db8::/32"), &trusted[1]));
    for (size_t i = 0; i < COUNT_OF(policies); i++) {
        struct ip_address peer;
        assert_true(ip_parse(str_from_cstr(policies[i].peer), &peer));
        assert_int_equal(proxy_policy_for(str_from_cstr(policies[i].behavior), trusted, 2, &peer),
                         policies[i].policy);
        assert_true(proxy_policy_is_known(str_from_cstr(policies[i].behavior)));
    }
    assert_false(proxy_policy_is_known(STR("always")));
}

static void ranges_are_read(void **state)
{
    static const struct {
        const char *range, *inside, *outside; /* both NULL: no range */
    } ranges[] = {
        {"192.0.2.7", "192.0.2.7", "192.0.2.8"},
        {"192.0.2.0/25", "192.0.2.127", "192.0.2.128"},
        {"192.0.2.0/31", "192.0.2.1", "192.0.2.2"},
        {"192.0.2.0/32", "192.0.2.0", "192.0.2.1"},
        {"0.0.0.0/0", "255.255.255.255", "::1"},
        {"::/0", "::5", "10.0.0.1"},
        {"::1", "::1", "::2"},
        {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"},
        {"::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.0"},
        {"", NULL, NULL},
        {"192.0.2", NULL, NULL},
        {"192.0.2.0/33", NULL, NULL},
        {"192.0.2.0/", NULL, NULL},
        {"192.0.2.0/+1", NULL, NULL},
        {"::/129", NULL, NULL},
        {"localhost", NULL, NULL},
        {"1.2.3.4.5", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ranges); i++) {
        struct ip_range r;
        struct ip_address ip;
        assert_int_equal(ip_range_parse(str_from_cstr(ranges[i].range), &r), ranges[i].inside != NULL);
        if (ranges[i].inside) {
            assert_true(ip_parse(str_from_cstr(ranges[i].inside), &ip));
            assert_true(ip_is_in(&ip, &r, 1));
        }
        if (ranges[i].outside) {
            assert_true(ip_parse(str_from_cstr(ranges[i].outside), &ip));
            assert_false(ip_is_in(&ip, &r, 1));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_found_however_much_follows),
        cmocka_unit_test(a_header_cut_short_is_not_whole),
        cmocka_unit_test(policies_know_whom_they_trust),
        cmocka_unit_test(ranges_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
