/* Answers without an end, by sys/monitor: slow readers, readers that go away, a seal in the middle. */
#include "base/log.h"
#include "core/active_private.h"
#include "core/stream.h"
#include "net/h1.h"
#include "web.h"

#include <sys/socket.h>
#include <unistd.h>

static struct web w;
static struct arena *a;
static int null_fd[2];

static int set_up(void **state)
{
    (void)state;
    a = arena_new(0);
    web_start(&w, &(struct harness_options){0}, &(struct web_options){0});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    web_stop(&w);
    arena_freep(&a);
    return 0;
}

static unsigned open_streams(void)
{
    mutex_lock(&w.h.core->streams_mutex);
    unsigned n = w.h.core->n_streams;

    mutex_unlock(&w.h.core->streams_mutex);
    return n;
}

static void wait_streams(unsigned wanted)
{
    int64_t until = clock_mono_ns(clock_real()) + 20 * NS_PER_S;

    while (open_streams() != wanted && clock_mono_ns(clock_real()) < until)
        harness_must(&w.h, 200, OP_READ, "sys/seal-status", NULL); /* time passes */
    assert_int_equal(open_streams(), wanted);
}

/* The connection, its head read. */
static int monitor(const char *query, const char *version)
{
    int fd = web_connect(&w);

    web_send(fd, arena_fmt(a, "GET /v1/sys/monitor%s %s\r\nHost: a\r\nX-Vault-Token: %.*s\r\n\r\n", query,
                           version, PSTR(w.h.root)));
    wait_streams(1);
    return fd;
}

/* All until the other side closes or the last chunk came, without the framing. */
static str body_of(int fd)
{
    struct h1_chunks chunks = {0};
    struct buf all, data;
    bool ended = false;

    buf_init(&all, a, SIZE_MAX);
    buf_init(&data, a, SIZE_MAX);
    while (!ended) {
        uint8_t piece[4096];
        ssize_t n = recv(fd, piece, sizeof(piece), 0);

        assert_true(n >= 0);
        ended = n == 0 || (n >= 5 && memcmp(piece + n - 5, "0\r\n\r\n", 5) == 0);
        buf_put(&all, piece, (size_t)n);
    }
    str rest = buf_str(&all);
    size_t head = str_find(rest, STR("\r\n\r\n")) + 4;

    assert_true(str_starts(rest, STR("HTTP/1.1 200 OK\r\n")));
    if (str_find(rest, STR("Transfer-Encoding: chunked\r\n")) > head)
        return str_from(rest, head);
    for (bytes in = bytes_from_str(str_from(rest, head)); in.n > 0;) {
        size_t used;
        bytes piece;
        enum h1_verdict v = h1_chunks_next(&chunks, in, &used, &piece);

        assert_int_not_equal(v, H1_BAD);
        buf_put(&data, piece.p, piece.n);
        in = (bytes){in.p + used, in.n - used};
        if (v == H1_DONE)
            assert_int_equal(in.n, 0);
    }
    return buf_str(&data);
}

static void seal_ends_it(void **state)
{
    (void)state;
    int fd = monitor("?log_level=debug&log_format=json", "HTTP/1.1");

    log_debug("core", "seen once", F_INT("n", 1));
    log_trace("core", "not asked for");
    core_seal(w.h.core);
    str body = body_of(fd);

    assert_true(
        str_find(body, STR("{\"@level\":\"debug\",\"@message\":\"seen once\",\"@module\":\"core\"")) == 0);
    assert_true(str_find(body, STR("marked as sealed")) < body.n);
    assert_true(str_find(body, STR("not asked for")) == body.n);
    wait_streams(0);
    close(fd);
    harness_unseal(&w.h);
}

static void old_clients_get_bytes(void **state)
{
    (void)state;
    int fd = monitor("", "HTTP/1.0");

    log_info("core", "plain");
    core_seal(w.h.core);
    char first[16] = {0};

    assert_int_equal(recv(fd, first, 8, MSG_WAITALL), 8);
    assert_string_equal(first, "HTTP/1.0");
    str rest = web_receive(a, fd, 0);

    assert_true(str_find(rest, STR("[INFO]  core: plain\n")) < rest.n);
    assert_true(str_find(rest, STR("Transfer-Encoding")) == rest.n);
    close(fd);
    wait_streams(0);
    harness_unseal(&w.h);
}

static void gone_readers_leave_nothing(void **state)
{
    (void)state;
    int fd = monitor("", "HTTP/1.1");

    close(fd);
    wait_streams(0);
    for (int i = 0; i < 100; i++)
        log_info("core", "nobody listens");
    fd = monitor("", "HTTP/1.1"); /* another request while it runs: not read, the stream goes on */
    web_send(fd, STR("GET /v1/sys/health HTTP/1.1\r\nHost: a\r\n\r\n"));
    log_info("core", "still here");
    wait_streams(1);
    close(fd);
    wait_streams(0);
}

/* What does not fit is lost, and said to be lost; what came is whole lines in order. The reader is not waited
 * for. */
static void slow_readers_lose_lines(void **state)
{
    (void)state;
    enum { LINES = 60000 };
    int fd = monitor("?log_level=info", "HTTP/1.1"), lines = 0, lost = 0;
    int64_t last = -1, n;

    log_set_fd(null_fd[1]);
    for (int i = 0; i < LINES; i++) {
        log_info("core", "a line that takes some room so that buffers of the kernel fill",
                 F_INT("number", i));
        if (i % 1000 == 0)
            harness_must(&w.h, 200, OP_READ, "sys/mounts", NULL); /* others go on */
    }
    core_seal(w.h.core);
    log_set_fd(STDERR_FILENO);
    for (str rest = body_of(fd), line, before, after; rest.n > 0;) {
        if (!str_cut(rest, '\n', &line, &rest))
            break; /* the end came in the middle of what waited */
        lost += str_find(line, STR("[WARN]  monitor: lines were lost")) < line.n;
        if (!str_cut(line, '=', &before, &after) || str_find(line, STR("number=")) == line.n)
            continue;
        assert_true(str_parse_i64(after, &n) && n > last);
        last = n;
        lines++;
    }
    assert_true(lines > 100 && lines < LINES && lost > 0);
    close(fd);
    wait_streams(0);
    harness_unseal(&w.h);
}

static void not_too_many(void **state)
{
    (void)state;
    int fds[STREAMS_MAX];

    for (unsigned i = 0; i < STREAMS_MAX; i++) {
        fds[i] = web_connect(&w);
        web_send(fds[i],
                 arena_fmt(a, "GET /v1/sys/monitor HTTP/1.1\r\nHost: a\r\nX-Vault-Token: %.*s\r\n\r\n",
                           PSTR(w.h.root)));
        wait_streams(i + 1);
    }
    assert_int_equal(web_call(&w, a, "GET", STR("/v1/sys/monitor"), w.h.root, NULL, (str){0}).status, 503);
    assert_int_equal(web_call(&w, a, "GET", STR("/v1/sys/monitor"), STR("wrong"), NULL, (str){0}).status,
                     403);
    for (unsigned i = 0; i < STREAMS_MAX; i++)
        close(fds[i]);
    wait_streams(0);
}

/* The server stops while somebody listens. */
static void stop_with_readers(void **state)
{
    (void)state;
    (void)monitor("", "HTTP/1.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seal_ends_it),
        cmocka_unit_test(old_clients_get_bytes),
        cmocka_unit_test(gone_readers_leave_nothing),
        cmocka_unit_test(slow_readers_lose_lines),
        cmocka_unit_test(not_too_many),
        cmocka_unit_test(stop_with_readers),
    };

    if (pipe(null_fd) != 0)
        return 1;
    close(null_fd[0]); /* lines go nowhere */
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
