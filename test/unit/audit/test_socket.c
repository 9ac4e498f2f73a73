/* The socket and syslog devices against peers of the test's own: every network, refusing, stalling,
 * vanishing ones. */
#include "../base/check.h"

#undef fail
#include "audit/audit_devices.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/mutex.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct arena *arena;
static char dir[64];

static int setup(void **state)
{
    (void)state;
    arena = arena_new(0);
    snprintf(dir, sizeof dir, "/tmp/coffer-peer-XXXXXX");
    return mkdtemp(dir) ? 0 : 1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- peers ---- */

/* Listening (or, for datagrams, receiving) on a free port. */
static int inet_peer(int type, int *port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0), yes = 1;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&at, n), 0);
    assert_true(type == SOCK_DGRAM || listen(fd, 1) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)(void *)&at, &n), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static int unix_peer(int type, str path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

    memcpy(at.sun_path, path.p, path.n);
    assert_int_equal(bind(fd, (struct sockaddr *)(void *)&at, sizeof at), 0);
    assert_true(type == SOCK_DGRAM || listen(fd, 1) == 0);
    return fd;
}

static int taken(int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

/* What the other end has got, once n bytes are there; a datagram at a time. */
static str received(int fd, size_t n)
{
    char *text = arena_alloc(arena, 65536);
    size_t got = 0;

    while (got < n) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        assert_int_equal(poll(&p, 1, 5000), 1);
        ssize_t more = recv(fd, text + got, 65536 - got, 0);

        assert_true(more > 0);
        got += (size_t)more;
    }
    return (str){text, got};
}

/* ---- devices ---- */

static void *opened(const char *type, str address, const char *timeout)
{
    struct json *o = json_object(arena);
    void *d = NULL;

    json_set_str(arena, o, STR("address"), address);
    if (type)
        json_set_str(arena, o, STR("socket_type"), str_from_cstr(type));
    if (timeout)
        json_set_str(arena, o, STR("write_timeout"), str_from_cstr(timeout));
    assert_ok(audit_socket.open(arena, o, &d));
    return d;
}

static struct error *send_two(void *d)
{
    bytes v[] = {{(const uint8_t *)"one\n", 4}, {(const uint8_t *)"two\n", 4}};

    return audit_socket.write(d, arena, v, 2);
}

static str address_of(int port)
{
    return arena_fmt(arena, "127.0.0.1:%d", port);
}

static int64_t elapsed_ms(int64_t since_ns)
{
    return (clock_mono_ns(clock_real()) - since_ns) / NS_PER_MS;
}

static void test_options(void **state)
{
    static const struct {
        const char *options, *error;
    } cases[] = {
        {"{}", "address is required"},
        {"{\"address\":\"\"}", "address is required"},
        {"{\"address\":\"a:1\",\"write_timeout\":\"soon\"}", "time: invalid duration \"soon\""},
        {"{\"address\":\"a\\u0000b:1\"}", "address and socket_type must not hold a NUL byte"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct json *o;
        void *d = NULL;

        assert_ok(json_parse(arena, str_from_cstr(cases[i].options), false, &o));
        assert_error(audit_socket.open(arena, o, &d), ERR_BAD_REQUEST, cases[i].error);
        assert_null(d);
    }
    assert_ptr_equal(audit_device_find(STR("socket")), &audit_socket);
    assert_ptr_equal(audit_device_find(STR("syslog")), &audit_syslog);
}

static void test_undialable(void **state)
{
    static const struct {
        const char *type, *address, *error;
    } cases[] = {
        {"tcp", "127.0.0.1:1", "dial tcp 127.0.0.1:1: connect: connection refused"},
        {"pigeon", "127.0.0.1:1", "dial pigeon: unknown network pigeon"},
        {"tcp", "127.0.0.1", "dial tcp: address 127.0.0.1: missing port in address"},
        {"udp", "::1:9", "dial udp: address ::1:9: too many colons in address"},
        {"unix", "/nonexistent/socket", "dial unix /nonexistent/socket: connect: no such file or directory"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        void *d = opened(cases[i].type, str_from_cstr(cases[i].address), NULL);
        str both = arena_fmt(arena, "2 errors occurred:\n\t* %s\n\t* %s\n\n", cases[i].error, cases[i].error);
        int64_t before = clock_mono_ns(clock_real());

        for (int k = 0; k < 3; k++)
            assert_error(send_two(d), ERR_INTERNAL, both.p);
        assert_true(elapsed_ms(before) < 2000); /* the time-out of one */
        audit_socket.close(d);
    }
}

static void test_networks(void **state)
{
    int port = 0, udp_port = 0, tcp = inet_peer(SOCK_STREAM, &port), udp = inet_peer(SOCK_DGRAM, &udp_port);
    str path = arena_fmt(arena, "%s/stream", dir);
    int local = unix_peer(SOCK_STREAM, path), peer;
    void *d = opened(NULL, address_of(port), "1s");

    (void)state;
    assert_ok(send_two(d));
    peer = taken(tcp);
    assert_str(received(peer, 8), "one\ntwo\n");
    assert_ok(send_two(d)); /* the same connection */
    assert_str(received(peer, 8), "one\ntwo\n");
    audit_socket.close(d);
    assert_int_equal(recv(peer, &(char){0}, 1, 0), 0);
    close(peer);
    d = opened("udp", address_of(udp_port), NULL);
    assert_ok(send_two(d));
    assert_str(received(udp, 1), "one\n");
    assert_str(received(udp, 1), "two\n");
    audit_socket.close(d);
    d = opened("unix", path, NULL);
    assert_ok(send_two(d));
    peer = taken(local);
    assert_str(received(peer, 8), "one\ntwo\n");
    audit_socket.close(d);
    close(peer);
    close(tcp);
    close(udp);
    close(local);
}

/* Whoever hangs up gets the next entries over a new connection; while nobody listens entries fail at once. */
static void test_lost_peer(void **state)
{
    int port = 0, listener = inet_peer(SOCK_STREAM, &port), peer;
    void *d = opened("tcp", address_of(port), NULL);

    (void)state;
    assert_ok(send_two(d));
    peer = taken(listener);
    assert_str(received(peer, 8), "one\ntwo\n");
    close(peer);
    assert_ok(send_two(d));
    peer = taken(listener);
    assert_str(received(peer, 8), "one\ntwo\n");
    close(listener);
    close(peer);
    int64_t before = clock_mono_ns(clock_real());

    for (int i = 0; i < 3; i++)
        assert_non_null(send_two(d));
    assert_true(elapsed_ms(before) < 2000); /* the time-out of one */
    listener = inet_peer(SOCK_STREAM, &port);
    assert_ok(send_two(d));
    peer = taken(listener);
    assert_str(received(peer, 8), "one\ntwo\n");
    audit_socket.close(d);
    close(peer);
    close(listener);
}

/* Takes the connection and reads nothing: one call waits its time, the next ones do not; when it reads
 * again all is well. */
static void test_stalled_peer(void **state)
{
    int port = 0, listener = inet_peer(SOCK_STREAM, &port), few = 4096, peer;
    static uint8_t big[1 << 20];
    bytes entry = {big, sizeof big};
    void *d;
    int calls = 0;

    (void)state;
    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &few, sizeof few), 0);
    d = opened("tcp", address_of(port), "300ms");
    int64_t before = clock_mono_ns(clock_real());
    const struct error *e = NULL;

    for (; !e && calls < 100; calls++) {
        before = clock_mono_ns(clock_real());
        e = audit_socket.write(d, arena, &entry, 1);
    }
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_TIMEOUT);
    assert_true(str_find(e->text, STR("i/o timeout")) < e->text.n);
    assert_true(elapsed_ms(before) >= 290);
    before = clock_mono_ns(clock_real());
    for (int i = 0; i < 100; i++)
        assert_non_null(audit_socket.write(d, arena, &entry, 1));
    assert_true(elapsed_ms(before) < 15000); /* of 30 s, if each waited */
    close(listener);                         /* with all that waited to be taken */
    listener = inet_peer(SOCK_STREAM, &port);
    for (int i = 0; i < 500 && (e = send_two(d)); i++)
        assert_int_equal(poll(NULL, 0, 10), 0);
    assert_ok(e);
    peer = taken(listener);
    assert_str(received(peer, 8), "one\ntwo\n");
    audit_socket.close(d);
    close(peer);
    close(listener);
}

/* Closing does not wait for a peer that does not answer. */
static void test_close_while_late(void **state)
{
    str path = arena_fmt(arena, "%s/full", dir);
    int listener = unix_peer(SOCK_STREAM, path);
    void *d[4];
    int64_t before;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(d); i++) { /* the backlog holds two */
        d[i] = opened("unix", path, "5s");
        (void)send_two(d[i]);
    }
    before = clock_mono_ns(clock_real());
    for (size_t i = 0; i < COUNT_OF(d); i++)
        audit_socket.close(d[i]);
    assert_true(elapsed_ms(before) < 4000);
    close(listener);
}

enum { CALLERS = 4, CALLS = 100 };

static void call_often(void *arg)
{
    struct arena *a = arena_new(0);
    bytes v[] = {{(const uint8_t *)"one\n", 4}, {(const uint8_t *)"two\n", 4}};

    for (int i = 0; i < CALLS; i++)
        if (audit_socket.write(arg, a, v, 2))
            abort();
    arena_free(a);
}

/* Calls from many threads arrive whole, one after the other. */
static void test_many_callers(void **state)
{
    int port = 0, listener = inet_peer(SOCK_STREAM, &port), peer;
    void *d = opened("tcp", address_of(port), "10s");
    struct thread threads[CALLERS];

    (void)state;
    for (size_t i = 0; i < CALLERS; i++)
        thread_start(&threads[i], "caller", call_often, d);
    peer = taken(listener);
    str all = received(peer, CALLERS * CALLS * 8);

    for (size_t i = 0; i < CALLERS; i++)
        thread_join(&threads[i]);
    for (size_t i = 0; i < all.n; i += 8)
        assert_true(str_eq(str_slice(all, i, i + 8), STR("one\ntwo\n")));
    audit_socket.close(d);
    close(peer);
    close(listener);
}

/* A name is looked up, on the peer's own thread. */
static void test_host_name(void **state)
{
    int port = 0, udp = inet_peer(SOCK_DGRAM, &port);
    void *d = opened("udp", arena_fmt(arena, "localhost:%d", port), NULL);

    (void)state;
    for (int i = 0; i < 3; i++) /* ::1 may come first: a datagram to nobody is an error of the next one */
        (void)send_two(d);
    audit_socket.close(d);
    close(udp);
}

static void test_injected_fault(void **state)
{
    (void)state;
#ifdef COFFER_FAULTS
    int port = 0, udp = inet_peer(SOCK_DGRAM, &port);
    void *d = opened("udp", address_of(port), NULL);

    assert_true(fault_set(STR("audit_write=after:0")));
    assert_non_null(send_two(d));
    fault_clear();
    audit_socket.close(d);
    close(udp);
#else
    skip();
#endif
}

/* ---- syslog ---- */

static struct error *syslog_at(str path, const char *options, void **ret)
{
    const char *const paths[] = {"/nonexistent/log", path.p};
    struct json *o;

    assert_ok(json_parse(arena, str_from_cstr(options), false, &o));
    return audit_syslog_open_at(arena, o, paths, COUNT_OF(paths), ret);
}

static void assert_message(str got, const char *start, const char *end)
{
    str from = str_from_cstr(start), to = arena_fmt(arena, "[%d]: %s", (int)getpid(), end);

    assert_true(str_starts(got, from));
    assert_true(str_ends(got, to));
    assert_int_equal(got.n, from.n + strlen("Nov  4 12:17:24 tag") + to.n);
}

static void test_syslog(void **state)
{
    static const struct {
        const char *options, *start, *tag;
    } cases[] = {
        {"{\"tag\":\"tag\"}", "<38>", "tag"},
        {"{\"facility\":\"LOCAL7\",\"tag\":\"abc\"}", "<190>", "abc"},
        {"{\"facility\":\"authpriv\",\"tag\":\"xyz\"}", "<86>", "xyz"},
    };
    bytes v[] = {{(const uint8_t *)"{}\n", 3}, {(const uint8_t *)"<x/>", 4}};
    str path = arena_fmt(arena, "%s/log", dir);
    int log = unix_peer(SOCK_DGRAM, path);
    void *d = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_ok(syslog_at(path, cases[i].options, &d));
        assert_ok(audit_syslog.write(d, arena, v, 2));
        str first = received(log, 1), second = received(log, 1);

        assert_message(first, cases[i].start, "{}\n");
        assert_message(second, cases[i].start, "<x/>\n");
        assert_true(str_find(first, arena_fmt(arena, " %s[", cases[i].tag)) < first.n);
        audit_syslog.close(d);
    }
    assert_error(syslog_at(path, "{\"facility\":\"moon\"}", &d), ERR_BAD_REQUEST,
                 "invalid syslog facility: moon");
    close(log);
    assert_int_equal(unlink(path.p), 0);
    assert_error(syslog_at(path, "{}", &d), ERR_BAD_REQUEST, "Unix syslog delivery error");
}

/* The service is started again: its socket is a new one. One that does not read makes one call wait. */
static void test_syslog_restart(void **state)
{
    static uint8_t text[1024];
    bytes entry = {text, sizeof text};
    str path = arena_fmt(arena, "%s/log2", dir);
    int log = unix_peer(SOCK_STREAM, path), peer;
    struct error *e = NULL;
    void *d = NULL;

    (void)state;
    assert_ok(syslog_at(path, "{}", &d));
    peer = taken(log);
    assert_ok(audit_syslog.write(d, arena, &entry, 1));
    assert_true(str_starts(received(peer, 1024), STR("<38>")));
    close(peer);
    close(log);
    assert_int_equal(unlink(path.p), 0);
    assert_non_null(audit_syslog.write(d, arena, &entry, 1));
    log = unix_peer(SOCK_DGRAM, path);
    assert_ok(audit_syslog.write(d, arena, &entry, 1));
    for (int i = 0; !e && i < 100000; i++)
        e = audit_syslog.write(d, arena, &entry, 1);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_TIMEOUT);
    audit_syslog.close(d);
    close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),        cmocka_unit_test(test_undialable),
        cmocka_unit_test(test_networks),       cmocka_unit_test(test_lost_peer),
        cmocka_unit_test(test_stalled_peer),   cmocka_unit_test(test_close_while_late),
        cmocka_unit_test(test_host_name),      cmocka_unit_test(test_many_callers),
        cmocka_unit_test(test_injected_fault), cmocka_unit_test(test_syslog),
        cmocka_unit_test(test_syslog_restart),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
