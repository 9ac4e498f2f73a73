#include "base/clock.h"
#include "certs.h"
#include "check.h"
#include "net/http_client.h"
#include "served.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct http_server_config no_limits;
static char folder[] = "/tmp/coffer-test-XXXXXX";

static str in_folder(struct arena *a, const char *name)
{
    return arena_fmt(a, "%s/%s", folder, name);
}

static int make_certificates(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    struct authority *ca = authority_new(folder, "ca");
    authority_issue(ca, "server", 5);
    authority_issue(ca, "client", 5);
    authority_issue(ca, "expired", -1);
    authority_free(ca);
    return 0;
}

static int remove_certificates(void **state)
{
    static const char *const names[] = {"ca.pem",     "server.pem",  "server.key", "client.pem",
                                        "client.key", "expired.pem", "expired.key"};
    struct arena *a = arena_new(0);
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        unlink(in_folder(a, names[i]).p);
    arena_free(a);
    return rmdir(folder);
}

struct fixture {
    struct arena *a;
    struct config_listener listener;
    struct served *served;
    struct http_client *client;
    struct http_client_config config;
    struct http_result result;
};

static void fixture_start(struct fixture *f)
{
    f->a = f->a ? f->a : arena_new(0);
    if (!f->listener.address.n)
        f->listener = served_listener();
    f->served = served_start(&f->listener, no_limits);
    f->client = http_client_new(&f->config);
}

static struct config_listener tls_listener(struct arena *a, const char *name)
{
    struct config_listener l = served_listener();
    l.tls_disable = false;
    l.tls_cert_file = arena_fmt(a, "%s/%s.pem", folder, name);
    l.tls_key_file = arena_fmt(a, "%s/%s.key", folder, name);
    return l;
}

static void fixture_done(struct fixture *f)
{
    http_client_free(f->client);
    served_free(f->served);
    arena_free(f->a);
}

static struct error *call(struct fixture *f, const char *method, const char *scheme, const char *path,
                          str body)
{
    str url =
        arena_fmt(f->a, "%s://127.0.0.1:%d%s", scheme, http_server_port(served_server(f->served)), path);
    return http_client_do(f->client, f->a, str_from_cstr(method), url, (str){0}, NULL, 0,
                          bytes_from_str(body), &f->result);
}

static void expect(struct fixture *f, const char *method, const char *scheme, const char *path, str body,
                   const char *answer)
{
    const struct error *e = call(f, method, scheme, path, body);
    if (e)
        fail_msg("%.*s", PSTR(e->text));
    assert_int_equal(f->result.status, 200);
    if (!str_eq(str_from_bytes(f->result.body), str_from_cstr(answer)))
        fail_msg("%.*s", PSTR(str_from_bytes(f->result.body)));
}

/* `text` is the end of the error's text. */
static void expect_failure(struct fixture *f, const char *scheme, const char *text)
{
    const struct error *e = call(f, "GET", scheme, "/echo", (str){0});
    assert_non_null(e);
    if (!str_ends(e->text, str_from_cstr(text)))
        fail_msg("%.*s", PSTR(e->text));
}

static void all_methods_are_sent(void **state)
{
    (void)state;
    struct fixture f = {0};
    fixture_start(&f);
    expect(&f, "GET", "http", "/echo?list=true", (str){0}, "GET /echo?list=true\n");
    expect(&f, "LIST", "http", "/echo/", (str){0}, "LIST /echo/\n");
    expect(&f, "DELETE", "http", "/echo", (str){0}, "DELETE /echo\n");
    expect(&f, "PUT", "http", "/echo", STR("{\"a\":1}"), "PUT /echo\n{\"a\":1}");
    expect(&f, "POST", "http", "/later", (str){0}, "POST /later\n");
    expect(&f, "PATCH", "http", "/echo", STR("x"), "PATCH /echo\nx");
    expect(&f, "SCAN", "http", "/echo/a/../b", STR("x"), "SCAN /echo/a/../b\nx");
    expect(&f, "HEAD", "http", "/echo", (str){0}, "");
    assert_true(str_eq(http_result_header(&f.result, STR("content-length")), STR("11")));
    assert_true(str_eq(http_result_header(&f.result, STR("CONTENT-TYPE")), STR("text/plain")));
    assert_int_equal(http_result_header(&f.result, STR("none")).n, 0);
    assert_int_equal(http_server_connections(served_server(f.served)), 1); /* kept alive */
    fixture_done(&f);
}

static void big_bodies_go_both_ways(void **state)
{
    enum { BIG = 5000000 };
    (void)state;
    struct fixture f = {0};
    fixture_start(&f);
    char *p = arena_alloc(f.a, BIG);
    memset(p, 'x', BIG);
    assert_null(call(&f, "PUT", "http", "/echo", (str){p, BIG}));
    assert_int_equal(f.result.body.n, BIG + 10);
    fixture_done(&f);
}

static void headers_are_sent_whole_or_not_at_all(void **state)
{
    static const struct http_header good[] = {
        {STR("X-A"), STR("b")}, {STR("X-Empty"), STR("")}, {STR("Accept"), STR("x/y")}};
    static const struct http_header bad[] = {{STR("X-A"), STR("b\r\nX-B: c")}};
    (void)state;
    struct fixture f = {0};
    fixture_start(&f);
    str url = arena_fmt(f.a, "http://127.0.0.1:%d/headers", http_server_port(served_server(f.served)));
    assert_null(http_client_do(f.client, f.a, STR("PUT"), url, (str){0}, good, COUNT_OF(good), (bytes){0},
                               &f.result));
    str names = str_from_bytes(f.result.body);
    if (!str_eq(names, STR("Host X-A X-Empty Accept Content-Length ")))
        fail_msg("%.*s", PSTR(names));
    const struct error *e =
        http_client_do(f.client, f.a, STR("PUT"), url, (str){0}, bad, COUNT_OF(bad), (bytes){0}, &f.result);
    assert_true(e && str_ends(e->text, STR("net/http: invalid header field")));
    fixture_done(&f);
}

static void errors_are_those_of_go(void **state)
{
    static const struct {
        const char *method, *url, *socket, *text;
    } rows[] = {
        {"GET", "http://127.0.0.1:1/v1/x", NULL,
         "Get \"http://127.0.0.1:1/v1/x\": dial tcp 127.0.0.1:1: connect: connection refused"},
        {"PUT", "http://127.0.0.1:1/", NULL,
         "Put \"http://127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused"},
        {"LIST", "https://[::1]:1/", NULL,
         "List \"https://[::1]:1/\": dial tcp [::1]:1: connect: connection refused"},
        {"GET", "http://nosuch.invalid/", NULL,
         "Get \"http://nosuch.invalid/\": dial tcp: lookup nosuch.invalid: no such host"},
        {"GET", "ftp://h/", NULL, "Get \"ftp://h/\": unsupported protocol scheme \"ftp\""},
        {"GET", "http://h/", "/nonexistent/s",
         "Get \"http://h/\": dial unix /nonexistent/s: connect: no such file or directory"},
    };
    (void)state;
    struct http_client *c = http_client_new(&(struct http_client_config){0});
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        struct http_result r;
        const struct error *e =
            http_client_do(c, a, str_from_cstr(rows[i].method), str_from_cstr(rows[i].url),
                           str_from_cstr(rows[i].socket), NULL, 0, (bytes){0}, &r);
        assert_non_null(e);
        assert_int_equal(e->kind, ERR_INTERNAL);
        if (!str_eq(e->text, str_from_cstr(rows[i].text)))
            fail_msg("%.*s", PSTR(e->text));
        arena_free(a);
    }
    http_client_free(c);
}

static void time_runs_out(void **state)
{
    (void)state;
    struct fixture f = {.config = {.timeout_ns = 50 * NS_PER_MS}};
    fixture_start(&f);
    const struct error *e = call(&f, "GET", "http", "/hold", (str){0});
    assert_non_null(e);
    assert_true(str_ends(e->text, STR("/hold\": context deadline exceeded")));
    fixture_done(&f);
}

static void a_unix_socket_is_dialled(void **state)
{
    (void)state;
    struct fixture f = {.a = arena_new(0), .listener = served_listener()};
    f.listener.is_unix = true;
    f.listener.address = in_folder(f.a, "s");
    fixture_start(&f);
    const struct error *e = http_client_do(f.client, f.a, STR("GET"), STR("http://localhost/echo"),
                                           f.listener.address, NULL, 0, (bytes){0}, &f.result);
    assert_null(e);
    assert_true(str_eq(str_from_bytes(f.result.body), STR("GET /echo\n")));
    fixture_done(&f);
}

static void certificates_are_checked(void **state)
{
    struct row {
        const char *server;
        struct http_client_config config;
        const char *failure; /* NULL: it works */
    };
    (void)state;
    struct arena *a = arena_new(0);
    str ca = in_folder(a, "ca.pem");
    FILE *file = fopen(ca.p, "r");
    assert_non_null(file);
    char pem[4096];
    str ca_pem = {pem, fread(pem, 1, sizeof pem, file)};
    fclose(file);
    const struct row rows[] = {
        {"server", {.ca_file = ca}, NULL},
        {"server", {.ca_pem = ca_pem}, NULL},
        {"server", {.tls_skip_verify = true}, NULL},
        {"server", {.ca_file = ca, .tls_server_name = STR("localhost")}, NULL},
        {"server",
         {.timeout_ns = 0},
         "\": tls: failed to verify certificate: x509: certificate signed by unknown authority"},
        {"server",
         {.ca_file = ca, .tls_server_name = STR("other")},
         ": x509: certificate is not valid for other"},
        {"expired", {.ca_file = ca}, "x509: certificate has expired or is not yet valid"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f = {.a = arena_new(0), .config = rows[i].config};
        f.listener = tls_listener(f.a, rows[i].server);
        fixture_start(&f);
        if (rows[i].failure)
            expect_failure(&f, "https", rows[i].failure);
        else
            expect(&f, "GET", "https", "/echo", (str){0}, "GET /echo\n");
        fixture_done(&f);
    }
    arena_free(a);
}

static void a_client_certificate_is_shown(void **state)
{
    (void)state;
    struct fixture f = {.a = arena_new(0)};
    f.listener = tls_listener(f.a, "server");
    f.listener.tls_require_client_cert = true;
    f.listener.tls_client_ca_file = in_folder(f.a, "ca.pem");
    f.config.ca_file = in_folder(f.a, "ca.pem");
    fixture_start(&f);
    expect_failure(&f, "https", "remote error: tls: certificate required");
    http_client_free(f.client);
    f.config.client_cert_file = in_folder(f.a, "client.pem");
    f.config.client_key_file = in_folder(f.a, "client.key");
    f.client = http_client_new(&f.config);
    expect(&f, "GET", "https", "/echo", (str){0}, "GET /echo\n");
    fixture_done(&f);
}

static void schemes_mixed_up_are_told(void **state)
{
    (void)state;
    struct fixture f = {0};
    fixture_start(&f);
    expect_failure(&f, "https", "http: server gave HTTP response to HTTPS client");
    fixture_done(&f);
    f = (struct fixture){.a = arena_new(0)};
    f.listener = tls_listener(f.a, "server");
    fixture_start(&f);
    assert_null(call(&f, "GET", "http", "/echo", (str){0}));
    assert_int_equal(f.result.status, 400);
    assert_true(
        str_eq(str_from_bytes(f.result.body), STR("Client sent an HTTP request to an HTTPS server.\n")));
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_methods_are_sent),
        cmocka_unit_test(big_bodies_go_both_ways),
        cmocka_unit_test(headers_are_sent_whole_or_not_at_all),
        cmocka_unit_test(errors_are_those_of_go),
        cmocka_unit_test(time_runs_out),
        cmocka_unit_test(a_unix_socket_is_dialled),
        cmocka_unit_test(certificates_are_checked),
        cmocka_unit_test(a_client_certificate_is_shown),
        cmocka_unit_test(schemes_mixed_up_are_told),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
