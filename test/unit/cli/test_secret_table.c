#include "../base/check.h"
#include "cli/secret_table.h"
#include "client/secret.h"

static struct json *secret_of(struct arena *a, const char *body)
{
    struct json *v;
    assert_ok(json_parse(a, str_from_cstr(body), false, &v));
    return secret_from_json(a, v);
}

static const struct {
    const char *body, *want;
} rows[] = {
    {"{\"request_id\":\"r\",\"lease_duration\":2764800,\"data\":{\"b\":1,\"a\":\"\",\"ttl\":60}}",
     "Key                 Value\n---                 -----\nrefresh_interval    768h\na                   "
     "n/a\nb                   1\n"
     "ttl                 1m\n"},
    {"{\"lease_id\":\"l/1\",\"lease_duration\":90,\"renewable\":true,\"data\":{\"x\":[1]}}",
     "Key                Value\n---                -----\nlease_id           l/1\nlease_duration     "
     "1m30s\nlease_renewable    true\n"
     "x                  [1]\n"},
    {"{\"auth\":{\"client_token\":\"t\",\"accessor\":\"a\",\"policies\":[\"root\"],\"token_policies\":["
     "\"root\"],\"metadata\":{\"k\":\"v\"}}}",
     "Key                  Value\n---                  -----\ntoken                t\ntoken_accessor       "
     "a\ntoken_duration       ∞\n"
     "token_renewable      false\ntoken_policies       [\"root\"]\nidentity_policies    []\npolicies         "
     "    [\"root\"]\n"
     "token_meta_k         v\n"},
    {"{\"wrap_info\":{\"token\":\"w\",\"accessor\":\"a\",\"ttl\":300,\"creation_time\":\"2026-11-22T05:01:48."
     "5Z\",\"creation_path\":\"p\"}}",
     "Key                              Value\n---                              -----\nwrapping_token:        "
     "          w\n"
     "wrapping_accessor:               a\nwrapping_token_ttl:              5m\n"
     "wrapping_token_creation_time:    2026-11-22 05:01:48.5 +0000 UTC\nwrapping_token_creation_path:    "
     "p\n"},
    {"{\"auth\":{\"mfa_requirement\":{\"mfa_request_id\":\"m\",\"mfa_constraints\":{\"c\":{\"any\":[{"
     "\"type\":\"totp\",\"id\":\"i\","
     "\"uses_passcode\":true}]}}}}}",
     "Key                                    Value\n---                                    -----\n"
     "mfa_request_id                         m\nmfa_constraint_c_totp_id               i\n"
     "mfa_constraint_c_totp_uses_passcode    true\n"},
};

static void tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        struct table t;
        struct buf b;
        table_init(&t, a, 2);
        secret_rows(&t, secret_of(a, rows[i].body));
        buf_init(&b, a, 65536);
        table_write(&b, &t, true);
        assert_str(buf_str(&b), rows[i].want);
        arena_free(a);
    }
}

static void fields(void **state)
{
    (void)state;
    static const struct {
        const char *body, *name, *want; /* want NULL: no such field */
    } names[] = {
        {"{\"data\":{\"a\":1}}", "a", "1"},
        {"{\"data\":{\"a\":1}}", "data", "map[a:1]"},
        {"{\"data\":{\"data\":{\"x\":2}}}", "data", "map[x:2]"},
        {"{\"data\":{\"a\":1}}", "zz", NULL},
        {"{\"lease_duration\":5,\"data\":{\"a\":1}}", "refresh_interval", "5"},
        {"{\"auth\":{\"client_token\":\"t\",\"lease_duration\":60}}", "token_duration", "60"},
        {"{\"auth\":{\"client_token\":\"t\"}}", "token", "t"},
        {"{\"auth\":{\"client_token\":\"t\"}}", "policies", "[]"},
        {"{\"auth\":{\"client_token\":\"t\"}}", "accessor", NULL},
        {"{\"wrap_info\":{\"token\":\"w\",\"ttl\":60}}", "wrapping_token_ttl", "60"},
        {"{\"wrap_info\":{\"token\":\"w\",\"ttl\":60}}", "token", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct arena *a = arena_new(0);
        const struct json *v = secret_field(a, secret_of(a, names[i].body), str_from_cstr(names[i].name));
        if (names[i].want)
            assert_str(value_text(a, v), names[i].want);
        else
            assert_null(v);
        arena_free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tables), cmocka_unit_test(fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
