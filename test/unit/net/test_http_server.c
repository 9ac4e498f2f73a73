#include "base/clock.h"
#include "check.h"
#include "probes.h"
#include "served.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define GET(path)        STR("GET " path " HTTP/1.1\r\nHost: h\r\n\r\n")
#define POST(path, size) "POST " path " HTTP/1.1\r\nHost: h\r\nContent-Length: " size "\r\n\r\n"

static const struct http_server_config no_limits;

static struct served *start(void)
{
    static struct config_listener l;
    l = served_listener();
    return served_start(&l, no_limits);
}

static struct client client_of(const struct served *s)
{
    return client_tcp(http_server_port(served_server(s)));
}

static void probes_are_answered(void **state)
{
    (void)state;
    struct served *s = start();
    for (size_t i = 0; i < n_probes; i++) {
        struct client c = client_of(s);
        client_send(&c, probes[i].request);
        struct answer a = client_answer(&c, false);
        if (a.status != (probes[i].status ? probes[i].status : 200))
            fail_msg("%s: %d", probes[i].name, a.status);
        if (probes[i].status) {
            assert_non_null(strstr(a.head, "Connection: close"));
            assert_true(client_is_closed(&c));
        } else if (probes[i].body) {
            str body = str_from_cstr(probes[i].body);
            assert_true(str_ends(a.body, body));
        }
        answer_done(&a);
        client_done(&c);
    }
    served_free(s);
}

static void a_connection_serves_many_requests(void **state)
{
    (void)state;
    struct served *s = start();
    struct client c = client_of(s);
    for (int i = 0; i < 100; i++) {
        client_expect(&c, GET("/echo"), 200, "GET /echo\n");
        client_expect(&c, STR(POST("/later", "3") "abc"), 200, "POST /later\nabc");
    }
    assert_int_equal(http_server_connections(served_server(s)), 1);
    client_done(&c);
    served_wait_connections(s, 0);
    served_free(s);
}

static void requests_in_one_packet_are_answered_in_order(void **state)
{
    (void)state;
    struct served *s = start();
    struct client c = client_of(s);
    client_send(
        &c,
        STR("GET /echo1 HTTP/1.1\r\nHost: h\r\n\r\n" POST(
            "/later2",
            "5") "12345"
                 "GET /later3 HTTP/1.1\r\nHost: h\r\n\r\n"
                 "POST /echo4 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                 "GET /echo5 HTTP/1.1\r\nHost: h\r\n\r"));
    client_expect(&c, STR(""), 200, "GET /echo1\n");
    client_expect(&c, STR(""), 200, "POST /later2\n12345");
    client_expect(&c, STR(""), 200, "GET /later3\n");
    client_expect(&c, STR(""), 200, "POST /echo4\nabc");
    client_expect(&c, STR("\n"), 200, "GET /echo5\n");
    client_done(&c);
    served_free(s);
}

static void a_second_request_waits_for_the_first(void **state)
{
    (void)state;
    struct served *s = start();
    struct client c = client_of(s);
    client_send(&c, GET("/hold"));
    served_wait_held(s, 1);
    client_send(&c, GET("/echo"));
    client_send(&c, GET("/echo"));
    assert_int_equal(served_calls(s), 1);
    served_release(s);
    client_expect(&c, STR(""), 200, "GET /hold\n");
    client_expect(&c, STR(""), 200, "GET /echo\n");
    client_expect(&c, STR(""), 200, "GET /echo\n");
    client_done(&c);
    served_free(s);
}

static void bytes_may_come_one_by_one(void **state)
{
    static const str requests[] = {
        STR(POST("/echo", "4") "abcd"),
        STR("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
            "chunked\r\n\r\n2\r\nab\r\n2;x\r\ncd\r\n0\r\nA: b\r\n\r\n"),
    };
    (void)state;
    struct served *s = start();
    struct client c = client_of(s);
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        for (size_t at = 0; at < requests[i].n; at++)
            client_send(&c, str_slice(requests[i], at, at + 1));
        client_expect(&c, STR(""), 200, "POST /echo\nabcd");
    }
    client_done(&c);
    served_free(s);
}

static void answers_have_the_right_head(void **state)
{
    (void)state;
    struct served *s = start();
    struct client c = client_of(s);
    client_send(&c, STR("HEAD /big?1000 HTTP/1.1\r\nHost: h\r\n\r\n"));
    struct answer a = client_answer(&c, true);
    assert_non_null(strstr(a.head, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: "));
    assert_non_null(strstr(a.head, " GMT\r\nContent-Length: 1000\r\n\r\n"));
    assert_null(strstr(a.head, "Connection"));
    answer_done(&a);
    client_send(&c, GET("/none"));
    a = client_answer(&c, false);
    assert_int_equal(a.status, 204);
    assert_null(strstr(a.head, "Content-Length"));
    answer_done(&a);
    client_expect(&c, GET("/close"), 200, "bye");
    assert_true(client_is_closed(&c));
    client_done(&c);

    c = client_of(s);
    client_send(&c, STR("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    a = client_answer(&c, false);
    assert_non_null(strstr(a.head, "HTTP/1.0 200 OK"));
    assert_non_null(strstr(a.head, "Connection: keep-alive"));
    answer_done(&a);
    client_expect(&c, STR("GET /echo HTTP/1.0\r\n\r\n"), 200, "GET /echo\n");
    assert_true(client_is_closed(&c));
    client_done(&c);
    served_free(s);
}

static void big_answers_wait_for_slow_readers(void **state)
{
    enum { BIG = 20000000 };
    (void)state;
    struct served *s = start();
    struct client c = client_of(s);
    client_send(&c, GET("/big?20000000"));
    client_send(&c, GET("/echo"));
    struct client other = client_of(s); /* nobody else waits */
    for (int i = 0; i < 20; i++)
        client_expect(&other, GET("/echo"), 200, "GET /echo\n");
    struct answer a = client_answer(&c, false);
    assert_int_equal(a.body.n, BIG);
    for (size_t i = 0; i < BIG; i++)
        if (a.body.p[i] != (char)('a' + i % 23))
            fail_msg("byte %zu", i);
    answer_done(&a);
    client_expect(&c, STR(""), 200, "GET /echo\n");
    client_done(&c);
    client_done(&other);
    served_free(s);
}

static void big_bodies_arrive(void **state)
{
    enum { BIG = 20000000 };
    (void)state;
    struct served *s = start();
    struct client c = client_of(s);
    char *body = malloc(BIG);
    assert_non_null(body);
    for (size_t i = 0; i < BIG; i++)
        body[i] = (char)('a' + i % 19);
    client_send(&c, STR(POST("/echo", "20000000")));
    client_send(&c, (str){body, BIG});
    struct answer a = client_answer(&c, false);
    assert_int_equal(a.status, 200);
    assert_true(str_eq(str_from(a.body, 11), (str){body, BIG}));
    answer_done(&a);
    client_send(&c, STR("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < 20; i++) {
        client_send(&c, STR("f4240\r\n"));
        client_send(&c, (str){body + i * 1000000, 1000000});
        client_send(&c, STR("\r\n"));
    }
    client_send(&c, STR("0\r\n\r\n"));
    a = client_answer(&c, false);
    assert_true(str_eq(str_from(a.body, 11), (str){body, BIG}));
    answer_done(&a);
    free(body);
    client_done(&c);
    served_free(s);
}

static void bodies_over_the_limit_are_refused_by_the_handler(void **state)
{
    static const str requests[] = {
        STR(POST("/echo", "11") "12345678901"),
        STR(POST("/echo", "9223372036854775807")),
        STR("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: "
            "chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n"),
        STR("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n"),
    };
    (void)state;
    struct config_listener l = served_listener();
    l.max_request_bytes = 10;
    struct served *s = served_start(&l, no_limits);
    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        struct client c = client_of(s);
        client_expect(&c, requests[i], 413, "POST /echo\n");
        assert_true(client_is_closed(&c));
        client_done(&c);
    }
    struct client c = client_of(s);
    client_expect(&c, STR(POST("/echo", "10") "1234567890"), 200, "POST /echo\n1234567890");
    client_done(&c);
    served_free(s);
}

static void a_client_that_sends_all_first_still_hears_the_refusal(void **state)
{
    enum { BODY = 33554440 };
    (void)state;
    struct served *s = start();
    char *body = calloc(1, BODY);
    assert_non_null(body);
    struct client c = client_of(s);
    client_send(&c, STR(POST("/echo", "33554440")));
    for (str rest = {body, BODY}; rest.n; rest = str_from(rest, 1000000)) {
        str piece = str_slice(rest, 0, 1000000);
        assert_int_equal(send(c.fd, piece.p, piece.n, MSG_NOSIGNAL), piece.n);
    }
    client_expect(&c, STR(""), 413, "POST /echo\n");
    assert_true(client_is_closed(&c));
    client_done(&c);
    served_wait_connections(s, 0);
    free(body);
    served_free(s);
}

static void memory_has_limits(void **state)
{
    (void)state;
    struct config_listener l = served_listener();
    struct served *s = served_start(&l, (struct http_server_config){.request_memory_bytes_max = 100000});
    char body[200000];
    memset(body, 'x', sizeof body);
    struct client c = client_of(s);
    client_send(&c, STR(POST("/echo", "200000")));
    client_send(&c, (str){body, sizeof body});
    client_expect(&c, STR(""), 413, "POST /echo\n");
    client_done(&c);
    served_free(s);

    s = served_start(&l, (struct http_server_config){.all_memory_bytes_max = 100000});
    struct client holders[5];
    for (size_t i = 0; i < COUNT_OF(holders); i++) {
        holders[i] = client_of(s);
        client_send(&holders[i], GET("/hold"));
    }
    served_wait_held(s, 5);
    c = client_of(s);
    client_expect(&c, GET("/echo"), 200, NULL);
    client_send(&c, STR(POST("/echo", "200000")));
    client_send(&c, (str){body, sizeof body});
    client_expect(&c, STR(""), 503, NULL);
    assert_true(client_is_closed(&c));
    client_done(&c);
    served_release(s);
    for (size_t i = 0; i < COUNT_OF(holders); i++) {
        client_expect(&holders[i], STR(""), 200, NULL);
        client_expect(&holders[i], GET("/echo"), 200, NULL);
        client_done(&holders[i]);
    }
    served_free(s);
}

static void whoever_asks_is_told_to_continue(void **state)
{
    static const str head =
        STR("POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    (void)state;
    struct served *s = start();
    struct client c = client_of(s);
    client_expect(&c, head, 100, "");
    client_expect(&c, STR("abc"), 200, "POST /echo\nabc");
    char both[256]; /* whose body is already here does not wait for leave */
    memcpy(both, head.p, head.n);
    memcpy(both + head.n, "xyz", 3);
    client_expect(&c, (str){both, head.n + 3}, 200, "POST /echo\nxyz");
    client_done(&c);
    served_free(s);
}

static int64_t ms_until_closed(struct client *c)
{
    int64_t before = clock_mono_ns(clock_real());
    while (!client_is_closed(c))
        c->n = 0;
    return (clock_mono_ns(clock_real()) - before) / NS_PER_MS;
}

static void timeouts_end_connections(void **state)
{
    enum { HEADER_MS = 100, READ_MS = 300, IDLE_MS = 200 };
    (void)state;
    struct config_listener l = served_listener();
    l.http_read_header_timeout_ns = HEADER_MS * NS_PER_MS;
    l.http_read_timeout_ns = READ_MS * NS_PER_MS;
    l.http_idle_timeout_ns = IDLE_MS * NS_PER_MS;
    struct served *s = served_start(&l, no_limits);

    struct client c = client_of(s); /* silent from the start */
    assert_true(ms_until_closed(&c) >= HEADER_MS - 10);
    client_done(&c);

    c = client_of(s); /* half a head */
    client_send(&c, STR("GET / HTTP/1.1\r\nHo"));
    assert_true(ms_until_closed(&c) >= HEADER_MS - 10);
    client_done(&c);

    c = client_of(s); /* idle between requests */
    client_expect(&c, GET("/echo"), 200, NULL);
    assert_true(ms_until_closed(&c) >= IDLE_MS - 10);
    client_done(&c);

    c = client_of(s); /* half a body */
    int64_t before = clock_mono_ns(clock_real());
    client_expect(&c, STR(POST("/echo", "5") "ab"), 408, "408 Request Timeout");
    assert_true((clock_mono_ns(clock_real()) - before) / NS_PER_MS >= READ_MS - 10);
    client_done(&c);

    c = client_of(s); /* a handler may take longer than all of them */
    client_send(&c, GET("/hold"));
    served_wait_held(s, 1);
    struct client silent = client_of(s);
    for (int i = 0; i < 5; i++) {
        (void)ms_until_closed(&silent);
        client_done(&silent);
        silent = client_of(s);
    }
    client_done(&silent);
    served_release(s);
    client_expect(&c, STR(""), 200, "GET /hold\n");
    client_done(&c);
    served_free(s);
}

static void a_slow_reader_meets_the_write_timeout(void **state)
{
    (void)state;
    struct config_listener l = served_listener();
    l.http_write_timeout_ns = 100 * NS_PER_MS;
    struct served *s = served_start(&l, no_limits);
    struct client c = client_of(s);
    client_send(&c, GET("/big?50000000"));
    served_wait_connections(s, 1);
    served_wait_connections(s, 0);
    client_done(&c);
    served_free(s);
}

static void a_peer_may_go_away_while_its_request_runs(void **state)
{
    (void)state;
    struct served *s = start();
    struct client c = client_of(s);
    client_send(&c, GET("/hold"));
    served_wait_held(s, 1);
    assert_false(served_held_is_gone(s));
    const struct linger reset = {.l_onoff = 1};
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    client_done(&c);
    served_wait_connections(s, 0);
    assert_true(served_held_is_gone(s));
    served_release(s);

    c = client_of(s); /* one that has said all and still listens is not gone */
    client_send(&c, GET("/hold"));
    served_wait_held(s, 1);
    assert_int_equal(shutdown(c.fd, SHUT_WR), 0);
    assert_false(served_held_is_gone(s));
    served_release(s);
    client_expect(&c, STR(""), 200, "GET /hold\n");
    assert_true(client_is_closed(&c));
    client_done(&c);
    served_free(s);
}

static void a_stop_lets_open_exchanges_end(void **state)
{
    (void)state;
    struct served *s = start();
    struct client idle = client_of(s);
    client_expect(&idle, GET("/echo"), 200, NULL);
    struct client busy = client_of(s);
    client_send(&busy, GET("/hold"));
    served_wait_held(s, 1);
    int port = http_server_port(served_server(s));
    served_stop_begin(s, 20 * NS_PER_S);
    assert_true(client_is_closed(&idle));
    assert_false(served_stop_wait(s, 50 * NS_PER_MS));
    served_release(s);
    client_send(&busy, STR(""));
    struct answer a = client_answer(&busy, false);
    assert_int_equal(a.status, 200);
    assert_non_null(strstr(a.head, "Connection: close"));
    answer_done(&a);
    assert_true(client_is_closed(&busy));
    assert_true(served_stop_wait(s, 20 * NS_PER_S));
    client_done(&idle);
    client_done(&busy);
    served_free(s);

    struct config_listener l = served_listener(); /* the port is free again */
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%d", port);
    l.address = str_from_cstr(address);
    s = served_start(&l, no_limits);
    assert_int_equal(http_server_port(served_server(s)), port);
    served_free(s);
}

static void a_stop_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct served *s = start();
    struct client c = client_of(s);
    client_send(&c, GET("/hold"));
    served_wait_held(s, 1);
    served_stop(s, 50 * NS_PER_MS);
    assert_true(client_is_closed(&c));
    client_done(&c);
    served_free(s); /* answers the held exchange, whose connection is gone */
}

static void connections_have_limits(void **state)
{
    (void)state;
    struct config_listener l = served_listener();
    struct served *s = served_start(&l, (struct http_server_config){.connections_max = 2});
    struct client a = client_of(s);
    struct client b = client_of(s);
    client_expect(&a, GET("/echo"), 200, NULL);
    client_expect(&b, GET("/echo"), 200, NULL);
    struct client c = client_of(s);
    assert_true(client_is_closed(&c));
    client_done(&c);
    client_done(&a);
    served_wait_connections(s, 1);
    c = client_of(s);
    client_expect(&c, GET("/echo"), 200, NULL);
    client_done(&b);
    client_done(&c);
    served_free(s);

    s = served_start(&l, (struct http_server_config){.connections_per_address_max = 1});
    a = client_of(s);
    client_expect(&a, GET("/echo"), 200, NULL);
    b = client_of(s);
    assert_true(client_is_closed(&b));
    client_done(&a);
    client_done(&b);
    served_wait_connections(s, 0);
    a = client_of(s);
    client_expect(&a, GET("/echo"), 200, NULL);
    client_done(&a);
    served_free(s);
}

static void a_unix_socket_comes_and_goes(void **state)
{
    (void)state;
    char folder[] = "/tmp/coffer-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    char user[16];
    snprintf(path, sizeof path, "%s/s", folder);
    snprintf(user, sizeof user, "%u", geteuid());
    struct config_listener l = served_listener();
    l.is_unix = true;
    l.address = str_from_cstr(path);
    l.socket_mode = STR("0640");
    l.socket_user = str_from_cstr(user);
    struct stat st;
    for (int all_three = 0; all_three < 2; all_three++) {
        if (all_three)
            l.socket_group = STR("0");
        struct served *s = served_start(&l, no_limits);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal((st.st_mode & 0777) == 0640, all_three);
        struct client c = client_unix(path);
        client_expect(&c, GET("/peer"), 200, ":0 tls=0 cert=0");
        client_done(&c);
        served_free(s);
        assert_int_equal(stat(path, &st), -1);
        FILE *stale = fopen(path, "w"); /* not a socket: not ours to remove */
        assert_non_null(stale);
        fclose(stale);
        struct arena *a = arena_new(0);
        struct http_server *server;
        struct loop *loop = loop_new();
        struct http_server_config config = {.loops = &loop, .n_loops = 1};
        struct error *e = http_server_listen(a, &l, &config, &server);
        assert_non_null(e);
        assert_non_null(strstr(e->text.p, "bind: address already in use"));
        loop_free(loop);
        arena_free(a);
        unlink(path);
    }
    rmdir(folder);
}

static void what_cannot_be_listened_on_is_an_error(void **state)
{
    static const struct {
        const char *address, *text;
    } rows[] = {
        {"127.0.0.1", "listen tcp: address 127.0.0.1: missing port in address"},
        {"::1:80", "listen tcp: address ::1:80: too many colons in address"},
        {"192.0.2.1:0", "listen tcp 192.0.2.1:0: bind: cannot assign requested address"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        struct loop *loop = loop_new();
        struct http_server *server;
        struct http_server_config config = {.loops = &loop, .n_loops = 1};
        struct config_listener l = served_listener();
        l.address = str_from_cstr(rows[i].address);
        struct error *e = http_server_listen(a, &l, &config, &server);
        assert_non_null(e);
        assert_true(str_eq(e->text, str_from_cstr(rows[i].text)));
        loop_free(loop);
        arena_free(a);
    }
}

static void proxy_headers_are_read(void **state)
{
    static const struct {
        const char *behavior, *authorized;
        str header;
        const char *address; /* NULL: the connection is closed */
    } rows[] = {
        {"use_always", NULL, STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n"), "192.0.2.7:4711 "},
        {"use_always", NULL, STR("PROXY TCP6 2001:db8::1 ::1 4711 80\r\n"), "2001:db8::1:4711 "},
        {"use_always", NULL, STR("PROXY UNKNOWN\r\n"), "127.0.0.1:"},
        {"use_always", NULL, STR(""), "127.0.0.1:"},
        {"use_always", NULL, STR("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\2\7\x7f\0\0\1\x12\x67\0\x50"),
         "192.0.2.7:4711 "},
        {"use_always", NULL, STR("PROXY TCP4 192.0.2.7\r\n"), NULL},
        {"allow_authorized", "127.0.0.0/8", STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n"),
         "192.0.2.7:4711 "},
        {"allow_authorized", "10.0.0.0/8", STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n"), "127.0.0.1:"},
        {"deny_unauthorized", "127.0.0.1", STR("PROXY TCP4 192.0.2.7 127.0.0.1 4711 80\r\n"),
         "192.0.2.7:4711 "},
        {"deny_unauthorized", "10.0.0.1", STR(""), NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct config_listener l = served_listener();
        str authorized = str_from_cstr(rows[i].authorized);
        l.proxy_protocol_behavior = str_from_cstr(rows[i].behavior);
        l.proxy_protocol_addrs = &authorized;
        l.n_proxy_protocol_addrs = rows[i].authorized != NULL;
        struct served *s = served_start(&l, no_limits);
        for (int slowly = 0; slowly < 2; slowly++) {
            struct client c = client_of(s);
            for (size_t at = 0; slowly && at < rows[i].header.n; at++)
                client_send(&c, str_slice(rows[i].header, at, at + 1));
            if (!slowly)
                client_send(&c, rows[i].header);
            client_send(&c, GET("/peer"));
            if (rows[i].address) {
                struct answer a = client_answer(&c, false);
                if (!str_starts(a.body, str_from_cstr(rows[i].address)))
                    fail_msg("row %zu: %.*s", i, PSTR(a.body));
                answer_done(&a);
            } else {
                assert_true(client_is_closed(&c));
            }
            client_done(&c);
        }
        struct client c = client_of(s); /* half a header, then the end: no spinning, no leak */
        client_send(&c, STR("PROXY TC"));
        (void)shutdown(c.fd, SHUT_WR); /* fails on one that was refused already */
        assert_true(client_is_closed(&c));
        client_done(&c);
        served_free(s);
    }
}

static void connections_spread_over_the_loops(void **state)
{
    enum { N = 20 };
    (void)state;
    struct served *s = start();
    struct client c[N];
    for (size_t i = 0; i < N; i++) {
        c[i] = client_of(s);
        client_expect(&c[i], GET("/echo"), 200, NULL);
    }
    for (size_t i = 0; i < N; i++)
        client_send(&c[i], GET("/hold"));
    served_wait_held(s, N);
    served_release(s);
    for (size_t i = 0; i < N; i++) {
        client_expect(&c[i], STR(""), 200, NULL);
        client_done(&c[i]);
    }
    served_wait_connections(s, 0);
    served_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probes_are_answered),
        cmocka_unit_test(a_connection_serves_many_requests),
        cmocka_unit_test(requests_in_one_packet_are_answered_in_order),
        cmocka_unit_test(a_second_request_waits_for_the_first),
        cmocka_unit_test(bytes_may_come_one_by_one),
        cmocka_unit_test(answers_have_the_right_head),
        cmocka_unit_test(big_answers_wait_for_slow_readers),
        cmocka_unit_test(big_bodies_arrive),
        cmocka_unit_test(bodies_over_the_limit_are_refused_by_the_handler),
        cmocka_unit_test(a_client_that_sends_all_first_still_hears_the_refusal),
        cmocka_unit_test(memory_has_limits),
        cmocka_unit_test(whoever_asks_is_told_to_continue),
        cmocka_unit_test(timeouts_end_connections),
        cmocka_unit_test(a_slow_reader_meets_the_write_timeout),
        cmocka_unit_test(a_peer_may_go_away_while_its_request_runs),
        cmocka_unit_test(a_stop_lets_open_exchanges_end),
        cmocka_unit_test(a_stop_does_not_wait_for_ever),
        cmocka_unit_test(connections_have_limits),
        cmocka_unit_test(a_unix_socket_comes_and_goes),
        cmocka_unit_test(what_cannot_be_listened_on_is_an_error),
        cmocka_unit_test(proxy_headers_are_read),
        cmocka_unit_test(connections_spread_over_the_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
