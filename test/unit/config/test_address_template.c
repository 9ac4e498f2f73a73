/* Address templates over a made-up machine. */
#include "config/address_template.h"

#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
/* clang-format off: it needs the ones above */
#include <cmocka.h>
/* clang-format on */

enum { UP = IFF_UP | IFF_BROADCAST | IFF_MULTICAST };

static const struct {
    const char *name, *network;
    unsigned flags;
    bool is_default;
} machine[] = {
    {"lo", "127.0.0.1/8", IFF_UP | IFF_LOOPBACK, false},
    {"lo", "::1/128", IFF_UP | IFF_LOOPBACK, false},
    {"eth1", "192.168.7.4/24", UP, false},
    {"eth0", "10.1.2.3/16", UP, true},
    {"eth0", "10.1.9.9/24", UP, true},
    {"eth0", "2001:db8::5/64", UP, true},
    {"eth0", "fe80::1/64", UP, true},
    {"eth2", "203.0.114.9/29", UP, false},
    {"eth3", "172.16.0.1/12", IFF_BROADCAST, false},
    {"eth4", "2a00:1450::5/48", UP, false},
};

static const struct {
    const char *text, *result; /* a result that begins with '!' is the end of an error */
} rows[] = {
    {"127.0.0.1:8200", "127.0.0.1:8200"},
    {"http://{{ GetPrivateIP }}:8200", "http://10.1.2.3:8200"},
    {"{{GetPublicIP}}:1", "203.0.114.9:1"},
    {"{{ GetInterfaceIP \"eth0\" }}", "10.1.2.3"},
    {"{{ GetInterfaceIP \"^eth1$\" }}", "192.168.7.4"},
    {"{{ GetInterfaceIP \"nope\" }}:1", ":1"},
    {"{{ GetPrivateInterfaces | limit 1 | attr \"address\" }}", "10.1.2.3"},
    {"{{ GetPrivateInterfaces | sort \"-size\" | attr \"address\" }}", "10.1.9.9"},
    {"{{ GetDefaultInterfaces | include \"type\" \"IPv6\" | attr \"address\" }}", "2001:db8::5"},
    {"{{ GetAllInterfaces | include \"name\" `^eth1$` | attr \"address\" }}", "192.168.7.4"},
    {"{{ . | include \"network\" \"192.168.0.0/16|172.16.0.0/12\" | exclude \"flags\" \"down\" | join "
     "\"address\" \"-\" }}",
     "192.168.7.4"},
    {"{{ GetAllInterfaces | include \"rfc\" \"1918\" | offset 1 | join \"address\" \",\" }}",
     "10.1.2.3,10.1.9.9,172.16.0.1"},
    {"{{ GetAllInterfaces | include \"rfc\" \"1918\" | offset -1 | attr \"name\" }}", "eth3"},
    {"{{ GetAllInterfaces | include \"flags\" \"loopback\" | unique \"name\" | join \"string\" \"_\" }}",
     "127.0.0.1/8"},
    {"{{ GetAllInterfaces | include \"size\" \"29\" | math \"network\" \"+1\" | attr \"address\" }}",
     "203.0.114.9"},
    {"{{ GetAllInterfaces | include \"size\" \"29\" | math \"network\" \"-1\" | attr \"address\" }}",
     "203.0.114.15"},
    {"{{ GetAllInterfaces | include \"size\" \"29\" | math \"address\" \"+250\" | attr \"address\" }}",
     "203.0.115.3"},
    {"{{ GetAllInterfaces | include \"size\" \"29\" | math \"mask\" \"16\" | attr \"string\" }}",
     "203.0.0.0/16"},
    {"{{ GetAllInterfaces | sort \"+type,-address\" | attr \"address\" }}", "203.0.114.9"},
    {"{{ GetAllInterfaces | include \"address\" \"^10[.]1[.]9\" | attr \"mask_bits\" }}", "24"},
    {"a{{GetInterfaceIP \"eth1\"}}b{{ GetInterfaceIP \"eth2\" }}", "a192.168.7.4b203.0.114.9"},
    {"{{ GetPrivateIPs }}",
     "!multiple addresses found (\"10.1.2.3 10.1.9.9 192.168.7.4\"), please configure one"},
    {"{{", "!unclosed action"},
    {"{{ }}", "!missing value for command"},
    {"{{ GetPrivateIP | }}", "!missing value for command"},
    {"{{ GetNothing }}", "!function \"GetNothing\" not defined"},
    {"{{ GetAllInterfaces }}", "!its result is a list of addresses: end it with attr or join"},
    {"{{ GetPrivateIP | attr \"address\" }}", "!attr works on addresses: they come through a pipe"},
    {"{{ attr \"address\" }}", "!attr works on addresses: they come through a pipe"},
    {"{{ GetAllInterfaces | GetPrivateIP }}", "!GetPrivateIP takes nothing from a pipe"},
    {"{{ GetInterfaceIP }}", "!wrong number of args for GetInterfaceIP: want 1 got 0"},
    {"{{ GetInterfaceIP \"a\" \"b\" \"c\" \"d\" }}", "!too many words for one function"},
    {"{{ GetInterfaceIP \"eth0 }}", "!unclosed action"},
    {"{{ GetInterfaceIP \"(\" }}", "!unable to compile regexp \"(\" (at character 1)"},
    {"{{ . | include \"colour\" \"red\" | attr \"name\" }}", "!invalid include selector \"colour\""},
    {"{{ . | include \"type\" \"ipx\" | attr \"name\" }}", "!unsupported type \"ipx\""},
    {"{{ . | include \"rfc\" \"1\" | attr \"name\" }}", "!unsupported RFC 1"},
    {"{{ . | include \"flags\" \"wet\" | attr \"name\" }}", "!unknown interface flag: \"wet\""},
    {"{{ . | include \"network\" \"x\" | attr \"name\" }}", "!unable to create an IP address from \"x\""},
    {"{{ . | sort \"colour\" | attr \"name\" }}", "!unknown sort type: \"colour\""},
    {"{{ . | limit -1 | attr \"name\" }}",
     "!unable to limit by \"-1\": a whole number, not negative, is expected"},
    {"{{ . | offset 11 | attr \"name\" }}", "!offset 11 is past the list of 10"},
    {"{{ . | math \"address\" \"1\" | attr \"name\" }}", "!sign (+/-) is required for operation \"address\""},
    {"{{ . | math \"mask\" \"99\" | attr \"name\" }}",
     "!parameter for operation \"mask\" must be between 0 and 32"},
    {"{{ . | attr \"colour\" }}", "!unsupported attribute \"colour\""},
};

static size_t made_up(struct arena *a, struct interface_address **ret)
{
    struct interface_address *out = ARENA_ARRAY(a, struct interface_address, COUNT_OF(machine));
    for (size_t i = 0; i < COUNT_OF(machine); i++) {
        struct ip_range range;
        assert_true(ip_range_parse(str_from_cstr(machine[i].network), &range));
        out[i] = (struct interface_address){str_from_cstr(machine[i].name), range.first, range.bits,
                                            machine[i].flags, machine[i].is_default};
    }
    *ret = out;
    return COUNT_OF(machine);
}

static void test_templates(void **state)
{
    struct arena *a = arena_new(0);
    struct interface_address *all;
    size_t n = made_up(a, &all);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        str got = {0}, wanted = str_from_cstr(rows[i].result);
        struct error *e = address_template(a, str_from_cstr(rows[i].text), all, n, &got);
        bool ok = wanted.n && wanted.p[0] == '!' ? e && str_ends(e->text, str_from(wanted, 1))
                                                 : !e && str_eq(got, wanted);
        if (!ok)
            fail_msg("%s gave \"%.*s\", expected \"%s\"", rows[i].text, PSTR(e ? e->text : got),
                     rows[i].result);
    }
    arena_free(a);
}

/* Every machine has a loopback. */
static void test_this_machine(void **state)
{
    struct arena *a = arena_new(0);
    struct interface_address *all;
    size_t n;
    str got;
    (void)state;
    assert_null(interface_addresses(a, &all, &n));
    assert_null(address_template(a,
                                 STR("{{ GetAllInterfaces | include \"flags\" \"loopback\" | "
                                     "include \"type\" \"ipv4\" | attr \"address\" }}:1"),
                                 all, n, &got));
    assert_true(str_eq(got, STR("127.0.0.1:1")));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_templates), cmocka_unit_test(test_this_machine)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
