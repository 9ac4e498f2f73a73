#include "../base/check.h"
#include "client/client.h"

static void error_texts(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *path, *name_space, *body, *want; /* want NULL: success */
    } rows[] = {
        {200, "x", "", "", NULL},
        {204, "x", "", "", NULL},
        {307, "x", "", "", NULL},
        {429, "sys/health", "", "{}", NULL},
        {403, "x", "", "{\"errors\":[\"permission denied\"]}",
         "Error making API request.\n\nURL: PUT http://h/v1/x\nCode: 403. Errors:\n\n* permission denied"},
        {400, "x", "ns/", "{\"errors\":[\"a\",\"b\"]}",
         "Error making API request.\n\nNamespace: ns/\nURL: PUT http://h/v1/x\nCode: 400. Errors:\n\n* a\n* "
         "b"},
        {429, "x", "root/", "{\"errors\":[]}",
         "Error making API request.\n\nURL: PUT http://h/v1/x\nCode: 429. Errors:\n\n"},
        {404, "x", "", "",
         "Error making API request.\n\nURL: PUT http://h/v1/x\nCode: 404. Raw Message:\n\n"},
        {502, "x", "", "<html>",
         "Error making API request.\n\nURL: PUT http://h/v1/x\nCode: 502. Raw Message:\n\n<html>"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        struct client_answer answer = {
            .status = rows[i].status,
            .method = "PUT",
            .url = STR("http://h/v1/x"),
            .path = str_from_cstr(rows[i].path),
            .name_space = str_from_cstr(rows[i].name_space),
            .body = str_from_cstr(rows[i].body),
        };
        if (answer.body.n && json_parse(a, answer.body, true, &answer.json))
            answer.json = NULL;
        struct error *e = client_check(a, &answer);
        if (rows[i].want)
            assert_str(e->text, rows[i].want);
        else
            assert_null(e);
        arena_free(a);
    }
}

static void settings(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    static const char *const none[] = {NULL};
    static const char *const vars[] = {"VAULT_ADDR=http://a",
                                       "VAULT_AGENT_ADDR=http://b",
                                       "VAULT_MFA=x,y",
                                       "VAULT_CLIENT_TIMEOUT=5",
                                       "VAULT_MAX_RETRIES=2",
                                       "VAULT_SKIP_VERIFY=1",
                                       NULL};
    struct environment e = {STR("coffer"), none};
    struct client_settings s;
    assert_ok(client_settings_from_environment(a, &e, &s));
    assert_str(s.address, "https://127.0.0.1:8200");
    e.vars = vars;
    assert_ok(client_settings_from_environment(a, &e, &s));
    assert_str(s.address, "http://b");
    assert_int_equal(s.n_mfa, 2);
    assert_true(s.http.timeout_ns == INT64_C(5000000000));
    assert_true(s.retries_max == 2);
    assert_true(s.http.tls_skip_verify);
    static const char *const bad[] = {"BAO_MAX_RETRIES=x", NULL};
    e.vars = bad;
    assert_error(client_settings_from_environment(a, &e, &s), ERR_BAD_REQUEST,
                 "failed to read environment: could not parse VAULT_MAX_RETRIES");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(error_texts), cmocka_unit_test(settings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
