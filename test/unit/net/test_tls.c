#include "base/clock.h"
#include "certs.h"
#include "check.h"
#include "served.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define GET(path) STR("GET " path " HTTP/1.1\r\nHost: h\r\n\r\n")

static const struct http_server_config no_limits;
static char folder[] = "/tmp/coffer-test-XXXXXX";

static str in_folder(const char *name)
{
    static char paths[64][128];
    static unsigned next;
    char *p = paths[next++ % 64];
    snprintf(p, sizeof paths[0], "%s/%s", folder, name);
    return str_from_cstr(p);
}

static int make_certificates(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    struct authority *ca = authority_new(folder, "ca");
    authority_issue(ca, "server", 5);
    authority_issue(ca, "other", 5);
    authority_issue(ca, "client", 5);
    authority_free(ca);
    ca = authority_new(folder, "foreign-ca");
    authority_issue(ca, "foreign", 5);
    authority_free(ca);
    return 0;
}

static int remove_certificates(void **state)
{
    static const char *const names[] = {"ca.pem",      "foreign-ca.pem", "server.pem", "server.key",
                                        "other.pem",   "other.key",      "client.pem", "client.key",
                                        "foreign.pem", "foreign.key",    "live.pem",   "live.key"};
    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        unlink(in_folder(names[i]).p);
    return rmdir(folder);
}

static struct config_listener tls_listener(void)
{
    struct config_listener l = served_listener();
    l.tls_disable = false;
    l.tls_cert_file = in_folder("server.pem");
    l.tls_key_file = in_folder("server.key");
    return l;
}

struct tls_client {
    struct client tcp;
    SSL_CTX *context;
    SSL *ssl;
};

static void ignore_error(void)
{
    ERR_clear_error();
}

/* `cert`: name of a client certificate; NULL: none. Verifies the server against the CA. */
static struct tls_client tls_connect(const struct served *s, const char *cert, int min, int max)
{
    char name[64];
    struct tls_client c = {.tcp = client_tcp(http_server_port(served_server(s))),
                           .context = SSL_CTX_new(TLS_client_method())};
    assert_non_null(c.context);
    SSL_CTX_set_min_proto_version(c.context, min);
    SSL_CTX_set_max_proto_version(c.context, max);
    if (max && max < TLS1_2_VERSION)
        SSL_CTX_set_security_level(c.context, 0);
    SSL_CTX_set_verify(c.context, SSL_VERIFY_PEER, NULL);
    assert_int_equal(SSL_CTX_load_verify_locations(c.context, in_folder("ca.pem").p, NULL), 1);
    if (cert) {
        snprintf(name, sizeof name, "%s.pem", cert);
        assert_int_equal(SSL_CTX_use_certificate_file(c.context, in_folder(name).p, SSL_FILETYPE_PEM), 1);
        snprintf(name, sizeof name, "%s.key", cert);
        assert_int_equal(SSL_CTX_use_PrivateKey_file(c.context, in_folder(name).p, SSL_FILETYPE_PEM), 1);
    }
    c.ssl = SSL_new(c.context);
    assert_int_equal(SSL_set_fd(c.ssl, c.tcp.fd), 1);
    return c;
}

static void tls_done(struct tls_client *c)
{
    if (SSL_is_init_finished(c->ssl))
        (void)SSL_shutdown(c->ssl); /* without it OpenSSL forbids to resume the session */
    ignore_error();
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    client_done(&c->tcp);
}

static void tls_send(struct tls_client *c, str s)
{
    assert_int_equal(SSL_write(c->ssl, s.p, (int)s.n), (int)s.n);
}

/* Reads until the text has come that ends what is expected; what came. False: the connection ended before. */
static bool tls_read_until(struct tls_client *c, const char *end, char *out, size_t room)
{
    size_t n = 0;
    out[0] = '\0';
    while (!strstr(out, end) && n < room - 1) {
        int got = SSL_read(c->ssl, out + n, (int)(room - 1 - n));
        if (got <= 0) {
            ignore_error();
            return false;
        }
        n += (size_t)got;
        out[n] = '\0';
    }
    return true;
}

static void tls_expect(struct tls_client *c, str request, const char *end)
{
    char text[4096];
    if (request.n)
        tls_send(c, request);
    if (!tls_read_until(c, end, text, sizeof text))
        fail_msg("%s instead of %s", text, end);
}

/* Whether a request is answered with `text` in it: false when the handshake or what follows it fails. */
static bool tls_works(const struct served *s, const char *cert, int min, int max, const char *text)
{
    char got[4096] = "";
    struct tls_client c = tls_connect(s, cert, min, max);
    bool works = SSL_connect(c.ssl) == 1 && SSL_write(c.ssl, GET("/peer").p, (int)GET("/peer").n) > 0 &&
                 tls_read_until(&c, " cert=", got, sizeof got) && strstr(got, text);
    ignore_error();
    tls_done(&c);
    return works;
}

static void requests_are_served(void **state)
{
    (void)state;
    struct config_listener l = tls_listener();
    struct served *s = served_start(&l, no_limits);
    struct tls_client c = tls_connect(s, NULL, 0, 0);
    assert_int_equal(SSL_set_alpn_protos(c.ssl, (const unsigned char *)"\x02h2\x08http/1.1", 12), 0);
    assert_int_equal(SSL_connect(c.ssl), 1);
    const unsigned char *protocol;
    unsigned n;
    SSL_get0_alpn_selected(c.ssl, &protocol, &n);
    assert_true(str_eq((str){(const char *)protocol, n}, STR("http/1.1")));
    assert_int_equal(SSL_version(c.ssl), TLS1_3_VERSION);
    for (int i = 0; i < 50; i++) {
        tls_expect(&c, GET("/echo"), "GET /echo\n");
        tls_expect(&c, GET("/later"), "GET /later\n");
    }
    /* Two requests in one record: the second waits inside OpenSSL, where epoll does not see it. */
    tls_send(&c, STR("GET /later1 HTTP/1.1\r\nHost: h\r\n\r\nGET /later2 HTTP/1.1\r\nHost: h\r\n\r\n"));
    tls_expect(&c, (str){0}, "GET /later2\n");
    tls_send(&c, GET("/hold"));
    served_wait_held(s, 1);
    tls_send(&c, GET("/echo1"));
    tls_send(&c, GET("/echo2"));
    served_release(s);
    tls_expect(&c, (str){0}, "GET /echo2\n");
    tls_send(&c, GET("/close"));
    tls_expect(&c, (str){0}, "bye");
    char one;
    assert_int_equal(SSL_read(c.ssl, &one, 1), 0);
    assert_int_equal(SSL_get_error(c.ssl, 0), SSL_ERROR_ZERO_RETURN); /* close_notify, not a cut */
    tls_done(&c);
    served_free(s);
}

static void h2_alone_is_refused(void **state)
{
    (void)state;
    struct config_listener l = tls_listener();
    struct served *s = served_start(&l, no_limits);
    struct tls_client c = tls_connect(s, NULL, 0, 0);
    assert_int_equal(SSL_set_alpn_protos(c.ssl, (const unsigned char *)"\x02h2", 3), 0);
    assert_int_not_equal(SSL_connect(c.ssl), 1);
    ignore_error();
    tls_done(&c);
    served_free(s);
}

static void big_bodies_go_both_ways(void **state)
{
    enum { BIG = 3000000 };
    static char body[BIG];
    static char text[BIG + 4096];
    (void)state;
    struct config_listener l = tls_listener();
    struct served *s = served_start(&l, no_limits);
    struct tls_client c = tls_connect(s, NULL, 0, 0);
    assert_int_equal(SSL_connect(c.ssl), 1);
    memset(body, 'x', sizeof body);
    memcpy(body + BIG - 4, "ENDE", 4);
    for (int i = 0; i < 3; i++) {
        tls_send(&c, STR("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n"));
        tls_send(&c, (str){body, BIG});
        assert_true(tls_read_until(&c, "ENDE", text, sizeof text));
        assert_non_null(strstr(text, "Content-Length: 3000011\r\n"));
    }
    tls_send(&c, GET("/big?3000000"));
    tls_send(&c, GET("/echo"));
    assert_true(tls_read_until(&c, "GET /echo\n", text, sizeof text));
    tls_done(&c);
    served_free(s);
}

static void versions_have_bounds(void **state)
{
    static const struct {
        int min, max; /* of the listener */
        int client;
        bool works;
    } rows[] = {
        {12, 13, TLS1_3_VERSION, true}, {12, 13, TLS1_2_VERSION, true},  {12, 13, TLS1_1_VERSION, false},
        {0, 0, TLS1_2_VERSION, true},   {0, 0, TLS1_1_VERSION, false},   {13, 13, TLS1_2_VERSION, false},
        {12, 12, TLS1_2_VERSION, true}, {12, 12, TLS1_3_VERSION, false}, {10, 13, TLS1_1_VERSION, true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config_listener l = tls_listener();
        l.tls_min_version = rows[i].min;
        l.tls_max_version = rows[i].max;
        struct served *s = served_start(&l, no_limits);
        if (tls_works(s, NULL, rows[i].client, rows[i].client, "tls=1 cert=0") != rows[i].works)
            fail_msg("row %zu", i);
        served_free(s);
    }
}

static void suites_are_chosen_by_their_names(void **state)
{
    static const struct {
        const char *configured, *used; /* used NULL: it does not come to a handshake */
    } rows[] = {
        {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"},
        {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
         "ECDHE-ECDSA-CHACHA20-POLY1305"},
        {"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,TLS_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-SHA"},
        {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config_listener l = tls_listener();
        l.tls_cipher_suites = str_from_cstr(rows[i].configured);
        struct served *s = served_start(&l, no_limits);
        struct tls_client c = tls_connect(s, NULL, TLS1_2_VERSION, TLS1_2_VERSION);
        assert_int_equal(SSL_connect(c.ssl) == 1, rows[i].used != NULL);
        if (rows[i].used)
            assert_string_equal(SSL_get_cipher_name(c.ssl), rows[i].used);
        ignore_error();
        tls_done(&c);
        served_free(s);
    }
}

static void bad_configurations_are_errors(void **state)
{
    static const struct {
        const char *cert, *key, *suites, *text;
    } rows[] = {
        {"none.pem", "server.key", "", "none.pem: no such file or directory"},
        {"server.pem", "none.key", "", "none.key: no such file or directory"},
        {"server.pem", "other.key", "", "private key does not match public key"},
        {"server.key", "server.key", "", "error loading TLS cert: "},
        {"server.pem", "server.key", "TLS_NONE", "unsupported cipher \"TLS_NONE\""},
        {"server.pem", "server.key", "TLS_AES_128_GCM_SHA256,ECDHE-RSA-AES128-SHA",
         "unsupported cipher \"ECDHE-RSA-AES128-SHA\""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        struct loop *loop = loop_new();
        struct http_server *server;
        struct http_server_config config = {.loops = &loop, .n_loops = 1};
        struct config_listener l = tls_listener();
        l.tls_cert_file = in_folder(rows[i].cert);
        l.tls_key_file = in_folder(rows[i].key);
        l.tls_cipher_suites = str_from_cstr(rows[i].suites);
        const struct error *e = http_server_listen(a, &l, &config, &server);
        assert_non_null(e);
        if (str_find(e->text, str_from_cstr(rows[i].text)) == e->text.n)
            fail_msg("row %zu: %.*s", i, PSTR(e->text));
        loop_free(loop);
        arena_free(a);
    }
}

static void client_certificates_are_asked_for(void **state)
{
    enum mode { ASKED, REQUIRED, DISABLED };
    static const struct {
        enum mode mode;
        const char *cert;
        bool works, is_seen;
    } rows[] = {
        {ASKED, NULL, true, false},        {ASKED, "client", true, true},
        {ASKED, "foreign", true, true},    {REQUIRED, NULL, false, false},
        {REQUIRED, "client", true, true},  {REQUIRED, "foreign", false, false},
        {DISABLED, "client", true, false},
    };
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            struct config_listener l = tls_listener();
            l.tls_require_client_cert = rows[i].mode == REQUIRED;
            l.tls_disable_client_certs = rows[i].mode == DISABLED;
            if (l.tls_require_client_cert)
                l.tls_client_ca_file = in_folder("ca.pem");
            struct served *s = served_start(&l, no_limits);
            if (tls_works(s, rows[i].cert, version, version, "tls=1 cert=") != rows[i].works)
                fail_msg("row %zu", i);
            if (rows[i].works && tls_works(s, rows[i].cert, version, version, "cert=0") == rows[i].is_seen)
                fail_msg("row %zu: certificate", i);
            served_free(s);
        }
}

static void sessions_resume_with_their_certificate(void **state)
{
    (void)state;
    struct config_listener l = tls_listener();
    struct served *s = served_start(&l, no_limits);
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_client first = tls_connect(s, "client", version, version);
        assert_int_equal(SSL_connect(first.ssl), 1);
        tls_expect(&first, GET("/peer"), "tls=1 cert=");
        SSL_SESSION *session = SSL_get1_session(first.ssl);
        for (int i = 0; i < 2; i++) { /* one on each loop */
            struct tls_client again = tls_connect(s, "client", version, version);
            assert_int_equal(SSL_set_session(again.ssl, session), 1);
            assert_int_equal(SSL_connect(again.ssl), 1);
            if (!SSL_session_reused(again.ssl))
                fail_msg("version %x, connection %d", version, i);
            char text[4096];
            tls_send(&again, GET("/peer"));
            assert_true(tls_read_until(&again, "cert=", text, sizeof text));
            assert_null(strstr(text, "cert=0"));
            tls_done(&again);
        }
        SSL_SESSION_free(session);
        tls_done(&first);
    }
    served_free(s);
}

static void live_link(const char *name)
{
    char from[64];
    snprintf(from, sizeof from, "%s.pem", name);
    unlink(in_folder("live.pem").p);
    unlink(in_folder("live.key").p);
    assert_int_equal(symlink(in_folder(from).p, in_folder("live.pem").p), 0);
    snprintf(from, sizeof from, "%s.key", name);
    assert_int_equal(symlink(in_folder(from).p, in_folder("live.key").p), 0);
}

static void expect_server_name(const struct served *s, const char *name)
{
    char text[64];
    struct tls_client c = tls_connect(s, NULL, 0, 0);
    assert_int_equal(SSL_connect(c.ssl), 1);
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(c.ssl)), NID_commonName, text,
                              sizeof text);
    assert_string_equal(text, name);
    tls_done(&c);
}

static void a_reload_leaves_connections_alone(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    live_link("server");
    struct config_listener l = tls_listener();
    l.tls_cert_file = in_folder("live.pem");
    l.tls_key_file = in_folder("live.key");
    struct served *s = served_start(&l, no_limits);
    struct tls_client old = tls_connect(s, NULL, 0, 0);
    assert_int_equal(SSL_connect(old.ssl), 1);
    expect_server_name(s, "server");
    live_link("other");
    expect_server_name(s, "server");
    assert_null(http_server_reload_tls(a, served_server(s)));
    expect_server_name(s, "other");
    unlink(in_folder("live.key").p);
    assert_non_null(http_server_reload_tls(a, served_server(s)));
    expect_server_name(s, "other");
    tls_expect(&old, GET("/echo"), "GET /echo\n");
    tls_done(&old);
    served_free(s);
    arena_free(a);
}

static void plain_http_gets_a_hint(void **state)
{
    (void)state;
    struct config_listener l = tls_listener();
    struct served *s = served_start(&l, no_limits);
    struct client c = client_tcp(http_server_port(served_server(s)));
    client_send(&c, GET("/echo"));
    struct answer a = client_answer(&c, false);
    assert_int_equal(a.status, 400);
    client_done(&c);
    answer_done(&a);
    c = client_tcp(http_server_port(served_server(s))); /* noise is just closed */
    client_send(&c, STR("\x16\x03\x01\x00\x05hello"));
    while (!client_is_closed(&c))
        c.n = 0; /* an alert */
    client_done(&c);
    served_wait_connections(s, 0);
    served_free(s);
}

static void a_handshake_has_a_time_limit(void **state)
{
    (void)state;
    struct config_listener l = tls_listener();
    l.http_read_header_timeout_ns = 50 * NS_PER_MS;
    struct served *s = served_start(&l, no_limits);
    struct client c = client_tcp(http_server_port(served_server(s)));
    client_send(&c, STR("\x16\x03\x01"));
    assert_true(client_is_closed(&c));
    client_done(&c);
    served_free(s);
}

static void a_proxy_header_comes_before_the_handshake(void **state)
{
    (void)state;
    struct config_listener l = tls_listener();
    l.proxy_protocol_behavior = STR("use_always");
    struct served *s = served_start(&l, no_limits);
    struct tls_client c = tls_connect(s, NULL, 0, 0);
    client_send(&c.tcp, STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n"));
    assert_int_equal(SSL_connect(c.ssl), 1);
    tls_expect(&c, GET("/peer"), "192.0.2.7:4711 tls=1");
    tls_done(&c);
    assert_true(tls_works(s, NULL, 0, 0, "127.0.0.1:"));
    served_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_served),
        cmocka_unit_test(h2_alone_is_refused),
        cmocka_unit_test(big_bodies_go_both_ways),
        cmocka_unit_test(versions_have_bounds),
        cmocka_unit_test(suites_are_chosen_by_their_names),
        cmocka_unit_test(bad_configurations_are_errors),
        cmocka_unit_test(client_certificates_are_asked_for),
        cmocka_unit_test(sessions_resume_with_their_certificate),
        cmocka_unit_test(a_reload_leaves_connections_alone),
        cmocka_unit_test(plain_http_gets_a_hint),
        cmocka_unit_test(a_handshake_has_a_time_limit),
        cmocka_unit_test(a_proxy_header_comes_before_the_handshake),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
