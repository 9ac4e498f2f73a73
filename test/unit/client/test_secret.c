#include "../base/check.h"
#include "client/secret.h"

static void one_form(void **state)
{
    (void)state;
    static const struct {
        const char *body, *want; /* want NULL: no secret */
    } rows[] = {
        {"{\"data\":{\"b\":1,\"a\":2},\"request_id\":\"r\",\"wrap_info\":null,\"auth\":null}",
         "{\"request_id\":\"r\",\"lease_id\":\"\",\"lease_duration\":0,\"renewable\":false,\"data\":{\"a\":2,"
         "\"b\":1},\"warnings\":null}"},
        {"{\"wrap_info\":{\"token\":\"t\",\"ttl\":60}}",
         "{\"request_id\":\"\",\"lease_id\":\"\",\"lease_duration\":0,\"renewable\":false,\"data\":null,"
         "\"warnings\":null,\"wrap_info\":"
         "{\"token\":\"t\",\"accessor\":\"\",\"ttl\":60,\"creation_time\":\"\",\"creation_path\":\"\","
         "\"wrapped_accessor\":\"\"}}"},
        {"{\"sealed\":false}", "{\"request_id\":\"\",\"lease_id\":\"\",\"lease_duration\":0,\"renewable\":"
                               "false,\"data\":{\"sealed\":false},"
                               "\"warnings\":null}"},
        {"{\"errors\":[]}", NULL},
        {"[]", NULL},
        {"null", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        struct json *body;
        assert_ok(json_parse(a, str_from_cstr(rows[i].body), false, &body));
        struct json *secret = secret_from_json(a, body);
        if (rows[i].want)
            assert_str(json_text(a, secret), rows[i].want);
        else
            assert_null(secret);
        arena_free(a);
    }
    assert_null(secret_from_json(NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_form)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
