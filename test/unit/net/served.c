#include "served.h"

#include "base/clock.h"
#include "base/mutex.h"
#include "check.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_S = 20 };

struct served {
    struct arena *arena;
    struct loop *loops[SERVED_LOOPS];
    struct thread threads[SERVED_LOOPS];
    struct http_server *server;
    atomic_uint calls, held_count;
    struct mutex lock;
    struct cond changed;
    struct exchange *held; /* lock: lock */
    bool is_stopped;       /* lock: lock */
};

struct config_listener served_listener(void)
{
    return (struct config_listener){
        .address = STR("127.0.0.1:0"),
        .tls_disable = true,
        .tls_min_version = 12,
        .tls_max_version = 13,
        .max_request_bytes = 33554432,
        .http_read_timeout_ns = 30 * NS_PER_S,
        .http_read_header_timeout_ns = 10 * NS_PER_S,
        .http_idle_timeout_ns = 300 * NS_PER_S,
    };
}

static void reply_text(struct exchange *x, str body, bool close)
{
    static const struct http_header fields[] = {{STR("Content-Type"), STR("text/plain")}};
    exchange_reply(x, &(struct reply){.status = x->body_too_large ? 413 : 200,
                                      .headers = fields,
                                      .n_headers = COUNT_OF(fields),
                                      .body = bytes_from_str(body),
                                      .close = close});
}

static void reply_echo(struct exchange *x)
{
    str start = arena_fmt(x->arena, "%.*s %.*s\n", PSTR(x->method), PSTR(x->target));
    reply_text(x, arena_join(x->arena, start, str_from_bytes(x->body)), false);
}

static void reply_big(struct exchange *x)
{
    uint64_t n = 0;
    (void)!str_parse_u64(str_from(x->target, str_index(x->target, '?') + 1), &n);
    char *p = arena_alloc(x->arena, n);
    for (size_t i = 0; i < n; i++)
        p[i] = (char)('a' + i % 23);
    reply_text(x, (str){p, n}, false);
}

static void reply_peer(struct exchange *x)
{
    str text = arena_fmt(x->arena, "%.*s:%d tls=%d cert=%zu", PSTR(x->remote_address), x->remote_port,
                         x->is_tls, x->client_cert_der.n);
    reply_text(x, text, false);
}

static void reply_headers(struct exchange *x)
{
    str names = {0};
    for (size_t i = 0; i < x->n_headers; i++)
        names = arena_fmt(x->arena, "%.*s%.*s ", PSTR(names), PSTR(x->headers[i].name));
    reply_text(x, names, false);
}

struct later {
    struct post post;
    struct exchange *x;
};

static void on_later(struct loop *l, struct post *p)
{
    (void)l;
    struct exchange *x = CONTAINER_OF(p, struct later, post)->x;
    reply_echo(x);
}

static void reply_later(struct exchange *x)
{
    struct later *later = ARENA_NEW(x->arena, struct later);
    later->x = x;
    later->post.fn = on_later;
    loop_post(x->loop, &later->post);
}

static void hold(struct served *s, struct exchange *x)
{
    mutex_lock(&s->lock);
    x->next = s->held;
    s->held = x;
    atomic_fetch_add(&s->held_count, 1);
    mutex_unlock(&s->lock);
}

static void handle(struct exchange *x, void *arg)
{
    struct served *s = arg;
    atomic_fetch_add(&s->calls, 1);
    if (str_starts(x->target, STR("/hold")))
        hold(s, x);
    else if (str_starts(x->target, STR("/later")))
        reply_later(x);
    else if (str_starts(x->target, STR("/big")))
        reply_big(x);
    else if (str_starts(x->target, STR("/peer")))
        reply_peer(x);
    else if (str_starts(x->target, STR("/headers")))
        reply_headers(x);
    else if (str_starts(x->target, STR("/close")))
        reply_text(x, STR("bye"), true);
    else if (str_starts(x->target, STR("/none")))
        exchange_reply(x, &(struct reply){.status = 204});
    else
        reply_echo(x);
}

static void run_loop(void *arg)
{
    loop_run(arg);
}

struct served *served_start(struct config_listener *l, struct http_server_config c)
{
    struct served *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->arena = arena_new(0);
    mutex_init(&s->lock);
    cond_init(&s->changed);
    for (size_t i = 0; i < SERVED_LOOPS; i++)
        s->loops[i] = loop_new();
    c.loops = s->loops;
    c.n_loops = SERVED_LOOPS;
    c.handler = handle;
    c.arg = s;
    const struct error *e = http_server_listen(s->arena, l, &c, &s->server);
    if (e)
        fail_msg("%.*s", PSTR(e->text));
    for (size_t i = 0; i < SERVED_LOOPS; i++)
        thread_start(&s->threads[i], "loop", run_loop, s->loops[i]);
    return s;
}

static void on_stopped(void *arg)
{
    struct served *s = arg;
    mutex_lock(&s->lock);
    s->is_stopped = true;
    cond_broadcast(&s->changed);
    mutex_unlock(&s->lock);
}

void served_stop_begin(struct served *s, int64_t drain_ns)
{
    http_server_stop(s->server, drain_ns, on_stopped, s);
}

bool served_stop_wait(struct served *s, int64_t timeout_ns)
{
    mutex_lock(&s->lock);
    bool in_time = true;
    while (!s->is_stopped && in_time)
        in_time = cond_wait_ns(&s->changed, &s->lock, timeout_ns);
    bool stopped = s->is_stopped;
    mutex_unlock(&s->lock);
    return stopped;
}

void served_stop(struct served *s, int64_t drain_ns)
{
    served_stop_begin(s, drain_ns);
    assert_true(served_stop_wait(s, WAIT_S * NS_PER_S));
}

void served_free(struct served *s)
{
    if (!s->is_stopped)
        served_stop(s, 0);
    served_release(s);
    for (size_t i = 0; i < SERVED_LOOPS; i++) {
        loop_stop(s->loops[i]);
        thread_join(&s->threads[i]);
    }
    http_server_free(s->server);
    for (size_t i = 0; i < SERVED_LOOPS; i++)
        loop_free(s->loops[i]);
    mutex_done(&s->lock);
    cond_done(&s->changed);
    arena_free(s->arena);
    free(s);
}

struct http_server *served_server(const struct served *s)
{
    return s->server;
}

unsigned served_calls(const struct served *s)
{
    return atomic_load(&s->calls);
}

unsigned served_held(const struct served *s)
{
    return atomic_load(&s->held_count);
}

/* Asked of the loop that the exchange belongs to. */
struct question {
    struct post post;
    struct served *s;
    atomic_int answer; /* -1: none yet */
};

static void on_question(struct loop *l, struct post *p)
{
    (void)l;
    struct question *q = CONTAINER_OF(p, struct question, post);
    mutex_lock(&q->s->lock);
    bool gone = q->s->held->gone;
    mutex_unlock(&q->s->lock);
    atomic_store(&q->answer, gone);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

bool served_held_is_gone(const struct served *s)
{
    struct question q = {.post.fn = on_question, .s = (struct served *)(uintptr_t)s, .answer = -1};
    loop_post(s->held->loop, &q.post);
    while (atomic_load(&q.answer) < 0)
        nap();
    return atomic_load(&q.answer);
}

void served_release(struct served *s)
{
    mutex_lock(&s->lock);
    struct exchange *x = s->held;
    s->held = NULL;
    atomic_store(&s->held_count, 0);
    mutex_unlock(&s->lock);
    while (x) {
        struct exchange *next = x->next;
        reply_later(x);
        x = next;
    }
}

void served_wait_held(const struct served *s, unsigned n)
{
    for (int i = 0; i < WAIT_S * 500 && atomic_load(&s->held_count) != n; i++)
        nap();
    assert_int_equal(atomic_load(&s->held_count), n);
}

void served_wait_connections(const struct served *s, unsigned n)
{
    for (int i = 0; i < WAIT_S * 500 && http_server_connections(s->server) != n; i++)
        nap();
    assert_int_equal(http_server_connections(s->server), n);
}

static struct client client_connect(int family, const struct sockaddr *where, socklen_t n)
{
    struct client c = {.fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    const struct timeval timeout = {.tv_sec = WAIT_S};
    assert_true(c.fd >= 0);
    assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    assert_int_equal(connect(c.fd, where, n), 0);
    return c;
}

struct client client_tcp(int port)
{
    const struct sockaddr_in where = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return client_connect(AF_INET, (const struct sockaddr *)&where, sizeof where);
}

struct client client_unix(const char *path)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    memcpy(where.sun_path, path, strlen(path) + 1);
    return client_connect(AF_UNIX, (const struct sockaddr *)&where, sizeof where);
}

void client_send(struct client *c, str s)
{
    while (s.n) {
        ssize_t n = send(c->fd, s.p, s.n, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* the server has refused and closed: what it said is still to be read */
        s = str_from(s, (size_t)n);
    }
}

/* False at the end of the connection. */
static bool client_fill(struct client *c)
{
    if (c->cap - c->n < 65536) {
        c->cap = c->cap * 2 + 65536;
        c->p = realloc(c->p, c->cap);
        assert_non_null(c->p);
    }
    ssize_t n = recv(c->fd, c->p + c->n, c->cap - c->n, 0);
    if (n > 0)
        c->n += (size_t)n;
    return n > 0;
}

static size_t content_length(const char *head)
{
    const char *at = strstr(head, "Content-Length: ");
    return at ? strtoul(at + 16, NULL, 10) : 0;
}

struct answer client_answer(struct client *c, bool of_head_request)
{
    struct answer a = {0};
    size_t end;
    while ((end = str_find((str){c->p, c->n}, STR("\r\n\r\n"))) == c->n)
        if (!client_fill(c))
            return a;
    end += 4;
    assert_true(end < sizeof a.head);
    memcpy(a.head, c->p, end);
    a.status = atoi(a.head + 9);
    size_t length = of_head_request || a.status == 100 ? 0 : content_length(a.head);
    while (c->n < end + length && client_fill(c))
        ;
    length = MIN(length, c->n - end);
    char *body = malloc(length + 1);
    assert_non_null(body);
    memcpy(body, c->p + end, length);
    a.body = (str){body, length};
    c->n -= end + length;
    memmove(c->p, c->p + end + length, c->n);
    return a;
}

bool client_is_closed(struct client *c)
{
    return c->n == 0 && !client_fill(c);
}

void client_done(struct client *c)
{
    close(c->fd);
    free(c->p);
}

void answer_done(struct answer *a)
{
    free((void *)(uintptr_t)a->body.p);
}

void client_expect(struct client *c, str request, int status, const char *body)
{
    client_send(c, request);
    struct answer a = client_answer(c, false);
    if (a.status != status)
        fail_msg("status %d instead of %d for %.*s", a.status, status, (int)MIN(request.n, 80), request.p);
    if (body && !str_eq(a.body, str_from_cstr(body)))
        fail_msg("body %.*s", PSTR(a.body));
    answer_done(&a);
}
