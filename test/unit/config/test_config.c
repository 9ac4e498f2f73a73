/* Configuration texts, files, directories and the environment to a struct config. */
#include "base/clock.h"
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* clang-format off: it needs the ones above */
#include <cmocka.h>
/* clang-format on */

#define HOUR_NS (3600 * NS_PER_S)

static void same(str got, const char *expected)
{
    if (!str_eq(got, str_from_cstr(expected)))
        fail_msg("gave \"%.*s\", expected \"%s\"", PSTR(got), expected);
}

static struct config *parse(struct arena *a, const char *text)
{
    struct config *c = NULL;
    struct error *e = config_parse(a, STR("t.hcl"), str_from_cstr(text), &c);
    if (e)
        fail_msg("%s: %.*s", text, PSTR(e->text));
    return c;
}

static struct error *load(struct arena *a, const char *path, const char *path2, struct config **ret)
{
    str paths[] = {str_from_cstr(path), str_from_cstr(path2)};
    return config_load(a, paths, path2 ? 2 : 1, ret);
}

static struct config *load_data(struct arena *a, const char *name)
{
    struct config *c = NULL;
    str path = arena_fmt(a, "%s/%s", TEST_DATA, name);
    struct error *e = config_load(a, &path, 1, &c);
    if (e)
        fail_msg("%.*s", PSTR(e->text));
    return c;
}

static void test_defaults(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct config *all[] = {config_defaults(a), parse(a, ""), NULL};
    assert_null(config_load(a, NULL, 0, &all[2]));
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        assert_null(all[i]->storage);
        assert_int_equal(all[i]->n_listeners, 0);
        assert_int_equal(all[i]->n_seals, 0);
        assert_int_equal(all[i]->cache_size, 131072);
        assert_int_equal(all[i]->cache_bytes, 16 * 1024 * 1024);
        assert_int_equal(all[i]->max_lease_ttl_ns, 768 * HOUR_NS);
        assert_int_equal(all[i]->default_lease_ttl_ns, 768 * HOUR_NS);
        assert_int_equal(all[i]->default_max_request_duration_ns, 90 * NS_PER_S);
        assert_int_equal(all[i]->prometheus_retention_ns, 0);
        assert_false(all[i]->ui);
        same(all[i]->log_level, "");
    }
    const struct config_listener *l = parse(a, "listener \"tcp\" {}")->listeners;
    same(l->address, "127.0.0.1:8200");
    assert_false(l->is_unix || l->tls_disable);
    assert_int_equal(l->tls_min_version, 12);
    assert_int_equal(l->tls_max_version, 13);
    assert_int_equal(l->max_request_bytes, 33554432);
    assert_int_equal(l->max_request_duration_ns, 90 * NS_PER_S);
    assert_int_equal(l->http_read_timeout_ns, 30 * NS_PER_S);
    assert_int_equal(l->http_read_header_timeout_ns, 10 * NS_PER_S);
    assert_int_equal(l->http_write_timeout_ns, 0);
    assert_int_equal(l->http_idle_timeout_ns, 300 * NS_PER_S);
    assert_int_equal(l->n_response_headers, 1);
    same(l->response_headers[0].headers[0].name, "Strict-Transport-Security");
    same(l->response_headers[0].headers[0].value, "max-age=31536000; includeSubDomains");
    arena_free(a);
}

static void test_real_files(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct config *c = load_data(a, "dynamodb-a.hcl");
    same(c->api_addr, "http://10.0.0.190:8200");
    same(c->storage->type, "dynamodb");
    same(config_block_get(c->storage, STR("max_parallel")), "128");
    same(config_block_get(c->storage, STR("ha_enabled")), "true");
    same(config_block_get(c->storage, STR("recovery_mode")), "1");
    same(config_block_get(c->storage, STR("none")), "");
    same(c->listeners[0].address, "0.0.0.0:8200");
    assert_true(c->listeners[0].tls_disable);
    assert_int_equal(load_data(a, "dynamodb-b.hcl")->storage->n, 6);
    c = load_data(a, "single-awskms.hcl");
    assert_true(c->ui);
    same(c->log_level, "INFO");
    assert_int_equal(c->n_seals, 1);
    same(c->seals[0].type, "awskms");
    same(config_block_get(&c->seals[0], STR("region")), "ap-northeast-1");
    assert_false(c->seals[0].disabled);
    c = load_data(a, "single-file.hcl");
    same(config_block_get(c->storage, STR("path")), "/opt/vault/data");
    assert_true(load_data(a, "single-plain.hcl")->listeners[0].tls_disable);
    assert_int_equal(c->n_warnings, 0);
    arena_free(a);
}

static void check_full_listener(const struct config_listener *l)
{
    same(l->address, "[::]:8200");
    same(l->cluster_address, "127.0.0.1:8201");
    same(l->tls_cert_file, "/etc/c.pem");
    same(l->tls_key_file, "/etc/k.pem");
    same(l->tls_client_ca_file, "/etc/ca.pem");
    same(l->tls_cipher_suites, "TLS_AES_128_GCM_SHA256");
    assert_int_equal(l->tls_min_version, 13);
    assert_true(l->tls_require_client_cert);
    assert_int_equal(l->max_request_bytes, -1);
    assert_int_equal(l->max_request_duration_ns, 30 * NS_PER_S);
    assert_int_equal(l->http_read_timeout_ns, 60 * NS_PER_S);
    assert_int_equal(l->http_write_timeout_ns, 5 * NS_PER_S);
    same(l->proxy_protocol_behavior, "deny_unauthorized");
    assert_int_equal(l->n_proxy_protocol_addrs, 2);
    same(l->proxy_protocol_addrs[1], "::1");
    assert_int_equal(l->n_x_forwarded_for_addrs, 2);
    same(l->x_forwarded_for_addrs[1], "fd00::/8");
    assert_int_equal(l->x_forwarded_for_hop_skips, 2);
    assert_false(l->x_forwarded_for_reject_not_present || l->x_forwarded_for_reject_not_authorized);
    assert_true(l->unauthenticated_metrics_access && l->unauthenticated_pprof_access &&
                l->unauthenticated_in_flight_access);
}

static void test_full_hcl(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct config *c = load_data(a, "full.hcl");
    assert_true(c->ui && c->disable_mlock && c->raw_storage_endpoint && c->introspection_endpoint);
    assert_true(c->disable_clustering); /* from the storage block */
    assert_false(c->disable_cache);
    same(c->api_addr, "https://coffer.example.com:8200");
    same(c->cluster_addr, "https://10.0.0.1:8201");
    same(c->cluster_name, "blue");
    same(c->pid_file, "/run/coffer.pid");
    assert_int_equal(c->cache_size, 256);
    assert_int_equal(c->cache_bytes, 33554432);
    assert_int_equal(c->max_lease_ttl_ns, 240 * HOUR_NS);
    assert_int_equal(c->default_lease_ttl_ns, HOUR_NS);
    same(c->log_format, "json");
    assert_true(c->metrics_disable_hostname);
    assert_int_equal(c->prometheus_retention_ns, 24 * HOUR_NS);

    same(c->storage->type, "dynamodb");
    assert_int_equal(c->storage->n, 5);
    same(config_block_get(c->storage, STR("tags")), "[\"a\",2,\"b\"]");
    same(config_block_get(c->storage, STR("retry")), "[{\"times\":3}]");
    same(c->ha_storage->type, "consul");
    assert_int_equal(c->ha_storage->n, 1);
    assert_int_equal(c->n_seals, 2);
    assert_int_equal(c->seals[0].n, 2);
    assert_false(c->seals[0].disabled);
    assert_true(c->seals[1].disabled);

    assert_int_equal(c->n_listeners, 3);
    check_full_listener(&c->listeners[0]);
    assert_true(c->listeners[1].is_unix);
    same(c->listeners[1].address, "/run/vault.sock");
    same(c->listeners[1].socket_mode, "0660");
    same(c->listeners[1].socket_group, "100");
    assert_true(!c->listeners[2].is_unix && c->listeners[2].tls_disable);
    assert_int_equal(c->n_warnings, 1);
    same(c->warnings[0], "ignored response header X-Vault-No: names with X-Vault- are reserved");

    const struct config_headers *h = c->listeners[0].response_headers;
    assert_int_equal(c->listeners[0].n_response_headers, 3);
    assert_int_equal(h[0].status_low, 0);
    assert_int_equal(h[0].n, 2);
    same(h[0].headers[1].value, "a; b");
    assert_int_equal(h[1].status_high, 499);
    same(h[1].headers[0].name, "X-Class");
    assert_int_equal(h[2].status_low, 404);
    same(h[2].headers[0].value, "c");
    arena_free(a);
}

static void test_full_json(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct config *c = load_data(a, "full.json");
    assert_true(c->ui);
    same(c->cluster_name, "");
    same(config_block_get(c->storage, STR("path")), "/data");
    assert_int_equal(c->n_listeners, 2);
    same(c->listeners[0].address, "127.0.0.1:1");
    assert_int_equal(c->listeners[0].n_response_headers, 2);
    same(c->listeners[0].response_headers[0].headers[0].value, "off");
    same(c->listeners[0].response_headers[1].headers[0].name, "X-A");
    same(c->listeners[1].address, "/run/x.sock");
    same(c->seals[0].type, "transit");
    assert_int_equal(c->seals[0].n, 2);
    same(config_block_get(&c->seals[0], STR("disable_renewal")), "false");
    assert_int_equal(c->n_warnings, 1);
    same(c->warnings[0],
         arena_fmt(a, "unknown or unsupported field foo found in configuration at %s/full.json:12:3",
                   TEST_DATA)
             .p);
    arena_free(a);
}

static void test_values(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    static const struct {
        const char *text;
        bool ui;
    } bools[] = {{"ui = true", true},   {"ui = \"t\"", true},     {"ui = 1", true},   {"ui = 2", true},
                 {"ui = \"1\"", true},  {"ui = \"TRUE\"", true},  {"ui = 0", false},  {"ui = \"\"", false},
                 {"ui = \"F\"", false}, {"ui = 1 ui = 0", false}, {"Ui = true", true}};
    for (size_t i = 0; i < COUNT_OF(bools); i++)
        if (parse(a, bools[i].text)->ui != bools[i].ui)
            fail_msg("%s", bools[i].text);
    static const struct {
        const char *text;
        int64_t ns;
    } durations[] = {{"60", 60 * NS_PER_S},
                     {"0x10", 16 * NS_PER_S},
                     {"1.9", NS_PER_S},
                     {"\"90\"", 90 * NS_PER_S},
                     {"\"1h30m\"", 5400 * NS_PER_S},
                     {"\"2d\"", 48 * HOUR_NS},
                     {"\"\"", 90 * NS_PER_S},
                     {"0", 90 * NS_PER_S}};
    for (size_t i = 0; i < COUNT_OF(durations); i++) {
        str text = arena_fmt(a, "default_max_request_duration = %s", durations[i].text);
        assert_int_equal(parse(a, text.p)->default_max_request_duration_ns, durations[i].ns);
    }
    assert_int_equal(parse(a, "cache_size = -5 cache_bytes = -1")->cache_size, 131072);
    assert_int_equal(parse(a, "cache_size = \"010\"")->cache_size, 10);
    same(parse(a, "cluster_name = 017")->cluster_name, "017");
    same(parse(a, "cluster_name = <<E\nx\nE\n")->cluster_name, "x\n");
    assert_int_equal(parse(a, "telemetry { prometheus_retention_time = 0 }")->prometheus_retention_ns, 0);
    assert_int_equal(parse(a, "listener \"tcp\" { max_request_size = \"0\" }")->listeners->max_request_bytes,
                     33554432);
    same(parse(a, "backend \"file\" {}")->storage->type, "file");
    same(parse(a, "storage = { file = {} }")->storage->type, "storage");
    same(parse(a, "storage \"file\" { redirect_addr = \"http://a\" }")->api_addr, "http://a");
    same(parse(a, "storage \"file\" { advertise_addr = \"http://a\" }")->api_addr, "http://a");
    assert_false(parse(a, "disable_clustering = false storage \"file\" { disable_clustering = true }")
                     ->disable_clustering);
    assert_int_equal(parse(a, "kms \"transit\" {} hsm \"pkcs11\" { disabled = true }")->n_seals, 2);
    arena_free(a);
}

static void test_warnings(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct config *c = parse(a, "ui = true\n"
                                "\tfoo = 1\n"
                                "bar {}\n"
                                "labelled \"x\" { y = 1 }\n"
                                "storage \"file\" { nosuch = 1 }\n"
                                "listener \"tcp\" {\n"
                                "  nosuch = 1\n"
                                "  telemetry { other = 1 }\n"
                                "  profiling { third = 1 }\n"
                                "}\n"
                                "telemetry { fourth = 1\n foo = 2 }\n");
    static const char *const expected[] = {
        "foo found in configuration at t.hcl:2:2",      "bar found in configuration at t.hcl:3:1",
        "fourth found in configuration at t.hcl:11:13", "foo found in configuration at t.hcl:12:2",
        "nosuch found in configuration at t.hcl:7:3",   "other found in configuration at t.hcl:8:15",
        "third found in configuration at t.hcl:9:15"};
    assert_int_equal(c->n_warnings, COUNT_OF(expected));
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        same(c->warnings[i], arena_fmt(a, "unknown or unsupported field %s", expected[i]).p);
    arena_free(a);
}

/* clang-format off */
static const struct {
    /* "": after "error loading configuration from t.hcl: "; with '=': the whole text */
    const char *text, *error;
} errors[] = {
    {"ui = ", NULL},
    {"ui", "At 1:4: key 'ui' expected start of object ('{') or assignment ('=')"},
    {"{\"ui\"", "1:6: expected: COLON got: EOF"},
    {"ui = \"maybe\"", "invalid value for ui: cannot parse '' as bool: strconv.ParseBool: parsing \"maybe\": invalid syntax"},
    {"ui = []", "invalid value for ui: expected a bool, got *ast.ListType"},
    {"api_addr = true", "At 1:12: root.api_addr: unknown type for string *ast.LiteralType"},
    {"api_addr = []", "At 1:12: root.api_addr: unknown type for string *ast.ListType"},
    {"api_addr {}", "At 1:10: root.api_addr: unknown type for string *ast.ObjectType"},
    {"api_addr = \"http://{{ GetPrivatIP }}:8200\"",
     "=api_addr: unable to parse address template \"http://{{ GetPrivatIP }}:8200\": function \"GetPrivatIP\" not defined"},
    {"cluster_addr = \"{{\"", "=cluster_addr: unable to parse address template \"{{\": unclosed action"},
    {"cache_size = 1.5", "invalid value for cache_size: expected a whole number, got *ast.LiteralType"},
    {"cache_size = \"x\"", "invalid value for cache_size: strconv.ParseInt: parsing \"x\": invalid syntax"},
    {"cache_size = 08", "invalid value for cache_size: strconv.ParseInt: parsing \"08\": invalid syntax"},
    {"max_lease_ttl = \"1x\"", "invalid value for max_lease_ttl: time: unknown unit \"x\" in duration \"1x\""},
    {"max_lease_ttl = \" 1h\"", "invalid value for max_lease_ttl: time: invalid duration \" 1h\""},
    {"max_lease_ttl = []", "invalid value for max_lease_ttl: could not parse duration from input"},
    {"max_lease_ttl = 99999999999999", "invalid value for max_lease_ttl: time: invalid duration \"99999999999999\""},
    {"max_lease_ttl = \"1h\"", "=cannot have DefaultLeaseTTL larger than MaxLeaseTTL"},
    {"default_lease_ttl = \"769h\"", "=cannot have DefaultLeaseTTL larger than MaxLeaseTTL"},
    {"telemetry = 1", "At 1:13: root.telemetry: not an object type for struct (*ast.LiteralType)"},
    {"telemetry {} telemetry {}", "error parsing 'telemetry': only one 'telemetry' block is permitted"},
    {"telemetry { disable_hostname = \"x\" }", "invalid value for telemetry: invalid value for disable_hostname: "
     "cannot parse '' as bool: strconv.ParseBool: parsing \"x\": invalid syntax"},
    {"storage \"a\" {} storage \"b\" {}", "error parsing 'storage': only one \"storage\" block is permitted"},
    {"backend \"a\" {} Backend \"b\" {}", "error parsing 'backend': only one \"backend\" block is permitted"},
    {"ha_storage \"a\" {} ha_storage \"b\" {}", "error parsing 'ha_storage': only one \"ha_storage\" block is permitted"},
    {"service_registration \"a\" {} service_registration \"b\" {}",
     "error parsing 'service_registration': only one \"service_registration\" block is permitted"},
    {"storage = 1", "error parsing 'storage': At 1:11: root: not an object type for map (*ast.LiteralType)"},
    {"storage \"a\" { b = 08 }", "error parsing 'storage': At 1:19: \"08\" is no 64-bit integer"},
    {"storage \"a\" { disable_clustering = \"x\" }", "=invalid value for disable_clustering: \"x\""},
    {"seal \"a\" {} seal \"b\" {}", "=seals: two seals provided but neither is disabled"},
    {"seal \"a\" { disabled = 1 } seal \"b\" { disabled = true }", "=seals: two seals provided but both are disabled"},
    {"seal \"a\" {} seal \"b\" {} seal \"c\" {} seal \"d\" {}",
     "error parsing 'seal': only 3 or less \"seal\" blocks are permitted"},
    {"hsm \"a\" {} hsm \"b\" {}", "error parsing 'hsm': only 1 or less \"hsm\" blocks are permitted"},
    {"seal \"a\" { disabled = \"x\" }", "error parsing 'seal': invalid value for disabled: \"x\""},
    {"listener \"quic\" {}", "error parsing 'listener': listeners.0: unsupported listener type \"quic\""},
    {"listener {}", "error parsing 'listener': listeners.0: listener type must be specified"},
    {"listener { type = [] }", "error parsing 'listener': listeners.0: listener type must be specified"},
    {"{\"listener\":{\"tcp\":[{},{}]}}", "error parsing 'listener': listeners.0: listener type must be specified"},
    {"listener = 1", "error parsing 'listener': listeners.0: At 1:12: root: not an object type for struct (*ast.LiteralType)"},
    {"listener \"tcp\" {} listener \"tcp\" { tls_disable = \"x\" }", "error parsing 'listener': listeners.1: "
     "invalid value for tls_disable: cannot parse '' as bool: strconv.ParseBool: parsing \"x\": invalid syntax"},
    {"listener \"tcp\" { address = \"{{ limit 1 }}:1\" }", "error parsing 'listener': listeners.0: address: "
     "unable to parse address template \"{{ limit 1 }}:1\": limit works on addresses: they come through a pipe"},
    {"listener \"tcp\" { cluster_address = \"{{\" }", "error parsing 'listener': listeners.0: cluster_address: "
     "unable to parse address template \"{{\": unclosed action"},
    {"listener \"tcp\" { tls_min_version = \"tls9\" }", "error parsing 'listener': listeners.0: invalid value for tls_min_version: "
     "value \"tls9\" not supported, please specify one of [tls10,tls11,tls12,tls13]"},
    {"listener \"tcp\" { tls_max_version = \"tls11\" }",
     "error parsing 'listener': listeners.0: tls_max_version must be greater than or equal to tls_min_version"},
    {"listener \"tcp\" { tls_disable_client_certs = 1 tls_require_and_verify_client_cert = 1 }",
     "error parsing 'listener': listeners.0: tls_disable_client_certs and tls_require_and_verify_client_cert are mutually exclusive"},
    {"listener \"tcp\" { max_request_duration = -1 }",
     "error parsing 'listener': listeners.0: max_request_duration cannot be negative"},
    {"listener \"tcp\" { x_forwarded_for_hop_skips = -1 }",
     "error parsing 'listener': listeners.0: invalid value for x_forwarded_for_hop_skips: cannot be negative but set to -1"},
    {"listener \"tcp\" { x_forwarded_for_authorized_addrs = \"10.0.0.0/33\" }", "error parsing 'listener': listeners.0: "
     "invalid value for x_forwarded_for_authorized_addrs: \"10.0.0.0/33\" is no IP address or CIDR block"},
    {"listener \"tcp\" { proxy_protocol_authorized_addrs = [\"host\"] }", "error parsing 'listener': listeners.0: "
     "invalid value for proxy_protocol_authorized_addrs: \"host\" is no IP address or CIDR block"},
    {"listener \"tcp\" { proxy_protocol_authorized_addrs = [[]] }", "error parsing 'listener': listeners.0: "
     "invalid value for proxy_protocol_authorized_addrs: expected text, got *ast.ListType"},
    {"listener \"tcp\" { proxy_protocol_behavior = \"x\" }",
     "error parsing 'listener': listeners.0: unsupported value supplied for proxy_protocol_behavior: \"x\""},
    {"listener \"tcp\" { proxy_protocol_behavior = \"allow_authorized\" }", "error parsing 'listener': listeners.0: "
     "proxy_protocol_behavior set to allow_authorized but no proxy_protocol_authorized_addrs value"},
    {"listener \"tcp\" { custom_response_headers { \"700\" = { \"A\" = [\"b\"] } } }",
     "error parsing 'listener': listeners.0: invalid status code found in the server configuration: 700"},
    {"listener \"tcp\" { custom_response_headers { \"6xx\" = {} } }",
     "error parsing 'listener': listeners.0: invalid status code found in the server configuration: 6xx"},
    {"listener \"tcp\" { custom_response_headers { \"200\" = { \"A\" = \"b\" } } }",
     "error parsing 'listener': listeners.0: headers must be given in a list of strings: A"},
    {"listener \"tcp\" { custom_response_headers { \"200\" = { \"A\" = [1] } } }",
     "error parsing 'listener': listeners.0: headers must be given in a list of strings: A"},
    {"listener \"tcp\" { custom_response_headers { \"200\" = 1 } }",
     "error parsing 'listener': listeners.0: invalid value for custom_response_headers: 200 is no block"},
    {"listener \"tcp\" { custom_response_headers = 1 }",
     "error parsing 'listener': listeners.0: invalid value for custom_response_headers: expected a block"},
};
/* clang-format on */

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        struct arena *a = arena_new(0);
        struct config *c = NULL;
        struct error *e = config_parse(a, STR("t.hcl"), str_from_cstr(errors[i].text), &c);
        if (!e != !errors[i].error)
            fail_msg("%s: %s", errors[i].text, e ? "an error" : "no error");
        if (e && errors[i].error[0] == '=')
            same(e->text, errors[i].error + 1);
        else if (e)
            same(e->text, arena_fmt(a, "error loading configuration from t.hcl: %s", errors[i].error).p);
        assert_true(!e || e->kind == ERR_BAD_REQUEST);
        assert_true(!e || !c);
        arena_free(a);
    }
}

/* A directory of its own for each test. */
struct place {
    char dir[64];
    struct arena *arena;
};

static void place_make(struct place *p)
{
    snprintf(p->dir, sizeof p->dir, "%s/coffer-config-XXXXXX", P_tmpdir);
    assert_non_null(mkdtemp(p->dir));
    p->arena = arena_new(0);
}

static const char *place_path(struct place *p, const char *name)
{
    return arena_fmt(p->arena, "%s/%s", p->dir, name).p;
}

static const char *place_write(struct place *p, const char *name, const char *text)
{
    const char *path = place_path(p, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

/* Removes the files named (NULL ends) and the directory. */
static void place_remove(struct place *p, const char *const *names)
{
    for (; *names; names++)
        assert_int_equal(remove(place_path(p, *names)), 0);
    assert_int_equal(rmdir(p->dir), 0);
    arena_free(p->arena);
}

static void test_merge(void **state)
{
    (void)state;
    struct place p;
    place_make(&p);
    const char *one = place_write(
        &p, "1.hcl",
        "ui = true disable_clustering = true disable_printable_check = true cache_size = 5\n"
        "cluster_name = \"one\" log_level = \"warn\" max_lease_ttl = 300 default_lease_ttl = 100\n"
        "storage \"file\" { path = \"/1\" }\n"
        "telemetry { prometheus_retention_time = 1 disable_hostname = true }\n"
        "listener \"tcp\" { address = \"127.0.0.1:1\" } foo = 1");
    const char *two =
        place_write(&p, "2.hcl",
                    "ui = false disable_clustering = false cache_size = 0 cluster_name = \"\"\n"
                    "log_level = \"error\" max_lease_ttl = 200 default_lease_ttl = 150\n"
                    "storage \"inmem\" {}\n"
                    "telemetry {}\n"
                    "seal \"transit\" {} listener \"tcp\" { address = \"127.0.0.1:2\" } bar = 1");
    struct config *c;
    assert_null(load(p.arena, one, two, &c));
    assert_true(c->ui);
    assert_false(c->disable_clustering);
    assert_true(c->disable_printable_check);
    assert_int_equal(c->cache_size, 5);
    same(c->cluster_name, "one");
    same(c->log_level, "error");
    assert_int_equal(c->max_lease_ttl_ns, 300 * NS_PER_S);
    assert_int_equal(c->default_lease_ttl_ns, 150 * NS_PER_S);
    same(c->storage->type, "inmem");
    assert_int_equal(c->storage->n, 0);
    assert_false(c->metrics_disable_hostname);
    assert_int_equal(c->prometheus_retention_ns, 24 * HOUR_NS);
    assert_int_equal(c->n_listeners, 2);
    same(c->listeners[0].address, "127.0.0.1:1");
    same(c->listeners[1].address, "127.0.0.1:2");
    assert_int_equal(c->n_seals, 1);
    assert_int_equal(c->n_warnings, 2);
    place_remove(&p, (const char *const[]){"1.hcl", "2.hcl", NULL});
}

static void test_directory(void **state)
{
    (void)state;
    struct place p;
    place_make(&p);
    struct config *c;
    str path = str_from_cstr(p.dir);
    struct error *e = config_load(p.arena, &path, 1, &c);
    assert_non_null(e);
    same(
        e->text,
        arena_fmt(p.arena,
                  "error loading configuration from %s: the directory has no files that end in .hcl or .json",
                  p.dir)
            .p);
    place_write(&p, "a.hcl", "ui = true\nfoo = 1");
    place_write(&p, "b.json", "{\"cluster_name\":\"b\"}");
    place_write(&p, "c.hcl~", "bad");
    place_write(&p, ".#d.hcl", "bad");
    place_write(&p, "#e.hcl#", "bad");
    place_write(&p, "f.txt", "bad");
    assert_int_equal(mkdir(place_path(&p, "g.hcl"), 0700), 0);
    assert_null(config_load(p.arena, &path, 1, &c));
    assert_true(c->ui);
    same(c->cluster_name, "b");
    same(c->warnings[0],
         arena_fmt(p.arena, "unknown or unsupported field foo found in configuration at %s/a.hcl:2:1", p.dir)
             .p);
    place_write(&p, "b.json", "{");
    e = config_load(p.arena, &path, 1, &c);
    assert_non_null(e);
    same(e->text, arena_fmt(p.arena,
                            "error loading configuration from %s: error loading \"%s/b.json\": 1:2: "
                            "expected: STRING got: EOF",
                            p.dir, p.dir)
                      .p);
    place_remove(
        &p, (const char *const[]){"a.hcl", "b.json", "c.hcl~", ".#d.hcl", "#e.hcl#", "f.txt", "g.hcl", NULL});
}

static void test_bad_files(void **state)
{
    (void)state;
    struct place p;
    place_make(&p);
    struct config *c;
    struct error *e = load(p.arena, place_path(&p, "none.hcl"), NULL, &c);
    assert_non_null(e);
    same(
        e->text,
        arena_fmt(p.arena,
                  "error loading configuration from %s/none.hcl: stat %s/none.hcl: no such file or directory",
                  p.dir, p.dir)
            .p);
    str nul = {"a\0b", 3};
    assert_non_null(config_load(p.arena, &nul, 1, &c));
    const char *big = place_write(&p, "big.hcl", "");
    assert_int_equal(truncate(big, 1024 * 1024 + 1), 0);
    e = load(p.arena, big, NULL, &c);
    assert_non_null(e);
    assert_true(str_ends(e->text, STR("is longer than 1048576")));

    assert_int_equal(setenv("VAULT_ENABLE_FILE_PERMISSIONS_CHECK", "1", 1), 0);
    const char *open = place_write(&p, "open.hcl", "ui = true");
    assert_int_equal(chmod(open, 0666), 0);
    e = load(p.arena, open, NULL, &c);
    assert_non_null(e);
    assert_true(str_ends(e->text, STR("open.hcl\" may be written by its group or by others (mode 0666)")));
    assert_int_equal(chmod(open, 0600), 0);
    assert_null(load(p.arena, open, NULL, &c));
    unsetenv("VAULT_ENABLE_FILE_PERMISSIONS_CHECK");
    place_remove(&p, (const char *const[]){"big.hcl", "open.hcl", NULL});
}

static void test_lockout(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct config *c = parse(a, "user_lockout \"all\" { lockout_threshold = \"4\" lockout_duration = \"10m\" "
                                "disable_lockout = true }\n"
                                "user_lockout \"Userpass\" { lockout_threshold = 25 lockout_counter_reset = "
                                "\"20m\" disable_lockout = false }");
    static const struct {
        const char *type;
        int threshold, duration_min, reset_min;
        bool disabled;
    } rows[] = {{"userpass", 25, 10, 20, false}, {"ldap", 4, 10, 15, true}, {"approle", 4, 10, 15, true}};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config_lockout l = config_lockout_of(c, str_from_cstr(rows[i].type));
        assert_int_equal(l.threshold, rows[i].threshold);
        assert_int_equal(l.duration_ns, rows[i].duration_min * 60 * NS_PER_S);
        assert_int_equal(l.counter_reset_ns, rows[i].reset_min * 60 * NS_PER_S);
        assert_int_equal(l.disabled, rows[i].disabled);
    }
    struct config_lockout l = config_lockout_of(config_defaults(a), STR("userpass"));
    assert_int_equal(l.threshold, 5);
    assert_int_equal(l.duration_ns, 15 * 60 * NS_PER_S);
    assert_false(l.disabled);
    static const char *const bad[] = {"user_lockout { lockout_threshold = 3 }", "user_lockout \"jwt\" {}",
                                      "user_lockout \"all\" { lockout_threshold = -1 }",
                                      "user_lockout \"all\" { lockout_duration = \"soon\" }"};
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct error *e = config_parse(a, STR("t.hcl"), str_from_cstr(bad[i]), &c);
        assert_non_null(e);
        assert_true(str_find(e->text, STR("error parsing 'user_lockout': ")) < e->text.n);
    }
    arena_free(a);
}

static void test_environment(void **state)
{
    (void)state;
    static const char *const names[] = {
        "VAULT_UI",        "VAULT_DISABLE_MLOCK", "VAULT_REDIRECT_ADDR", "VAULT_ADVERTISE_ADDR",
        "VAULT_API_ADDR",  "BAO_API_ADDR",        "COFFER_API_ADDR",     "VAULT_CLUSTER_ADDR",
        "VAULT_LOG_LEVEL", "COFFER_LOG_FORMAT",   "VAULT_SEAL_TYPE",     "BAO_UI"};
    struct place p;
    place_make(&p);
    struct config *c;
    const char *file = place_write(&p, "a.hcl", "ui = true api_addr = \"http://file\" log_level = \"warn\"");

    setenv("VAULT_UI", "false", 1);
    setenv("VAULT_DISABLE_MLOCK", "1", 1);
    setenv("VAULT_ADVERTISE_ADDR", "http://advertise", 1);
    setenv("VAULT_CLUSTER_ADDR", "https://cluster", 1);
    setenv("VAULT_LOG_LEVEL", "trace", 1);
    setenv("COFFER_LOG_FORMAT", "json", 1);
    setenv("VAULT_SEAL_TYPE", "AWSKMS", 1);
    assert_null(load(p.arena, file, NULL, &c));
    assert_false(c->ui);
    assert_true(c->disable_mlock);
    same(c->api_addr, "http://advertise");
    same(c->cluster_addr, "https://cluster");
    same(c->log_level, "trace");
    same(c->log_format, "json");
    assert_int_equal(c->n_seals, 1);
    same(c->seals[0].type, "awskms");

    static const char *const order[][2] = {{"VAULT_REDIRECT_ADDR", "http://redirect"},
                                           {"VAULT_API_ADDR", "http://vault"},
                                           {"BAO_API_ADDR", "http://bao"},
                                           {"COFFER_API_ADDR", "http://coffer"}};
    for (size_t i = 0; i < COUNT_OF(order); i++) {
        setenv(order[i][0], order[i][1], 1);
        assert_null(load(p.arena, file, NULL, &c));
        same(c->api_addr, order[i][1]);
    }
    setenv("COFFER_API_ADDR", "", 1); /* as if unset */
    assert_null(load(p.arena, file, NULL, &c));
    same(c->api_addr, "http://bao");

    setenv("BAO_API_ADDR", "http://{{ GetNothing }}", 1);
    assert_non_null(load(p.arena, file, NULL, &c));
    unsetenv("BAO_API_ADDR");
    setenv("VAULT_UI", "maybe", 1);
    struct error *e = load(p.arena, file, NULL, &c);
    assert_non_null(e);
    same(e->text, "Error parsing the environment variable VAULT_UI");
    setenv("BAO_UI", "true", 1);
    assert_null(load(p.arena, file, NULL, &c));
    assert_true(c->ui);

    /* the seals that are in use get the type */
    file = place_write(&p, "a.hcl", "seal \"transit\" { disabled = true } seal \"shamir\" {}");
    assert_null(load(p.arena, file, NULL, &c));
    same(c->seals[0].type, "transit");
    same(c->seals[1].type, "awskms");

    assert_null(config_parse(p.arena, STR("t"), STR("api_addr = \"http://text\""), &c));
    same(c->api_addr, "http://text"); /* one text, no environment */
    for (size_t i = 0; i < COUNT_OF(names); i++)
        unsetenv(names[i]);
    place_remove(&p, (const char *const[]){"a.hcl", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),  cmocka_unit_test(test_real_files),
        cmocka_unit_test(test_full_hcl),  cmocka_unit_test(test_full_json),
        cmocka_unit_test(test_values),    cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_errors),    cmocka_unit_test(test_merge),
        cmocka_unit_test(test_directory), cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_lockout),   cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
