/* Connections: their life, their timeouts, what they send, and the order of things between two requests. */
#include "base/clock.h"
#include "base/log.h"
#include "base/secure.h"
#include "net/http_private.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_event(struct loop *l, struct watch *w, uint32_t events);
static void on_timer(struct loop *l, struct loop_timer *t);

struct conn *conn_new(struct server_loop *sl, int fd)
{
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
        die("out of memory");
    c->sl = sl;
    c->watch = (struct watch){.fd = fd, .events = EPOLLIN, .fn = on_event};
    c->timer.fn = on_timer;
    c->deadline_ns = INT64_MAX;
    c->state = CONN_HEAD;
    return c;
}

static int64_t header_timeout_ns(const struct config_listener *l)
{
    return l->http_read_header_timeout_ns > 0 ? l->http_read_header_timeout_ns : l->http_read_timeout_ns;
}

static int64_t idle_timeout_ns(const struct config_listener *l)
{
    return l->http_idle_timeout_ns > 0 ? l->http_idle_timeout_ns : l->http_read_timeout_ns;
}

void conn_set_timeout(struct conn *c, int64_t from_ns, int64_t timeout_ns)
{
    int64_t deadline;
    if (timeout_ns <= 0 || __builtin_add_overflow(from_ns, timeout_ns, &deadline)) {
        c->deadline_ns = INT64_MAX;
        return;
    }
    c->deadline_ns = deadline;
    if (!c->timer.slot || deadline + TIMER_SLACK_MS * NS_PER_MS < c->timer.deadline_ns)
        loop_timer_set(c->sl->loop, &c->timer, deadline - loop_now_ns(c->sl->loop));
}

void conn_await_head(struct conn *c)
{
    c->state = CONN_HEAD;
    conn_set_timeout(c, loop_now_ns(c->sl->loop), header_timeout_ns(c->sl->server->listener));
}

/* A request that is not whole yet must become so in time. */
static void conn_set_read_timeout(struct conn *c)
{
    const struct config_listener *l = c->sl->server->listener;
    if (conn_is_reading(c) && c->started_ns)
        conn_set_timeout(c, c->started_ns,
                         c->state == CONN_BODY ? l->http_read_timeout_ns : header_timeout_ns(l));
}

void conn_set_events(struct conn *c, uint32_t events)
{
    if (c->watch.events != events)
        loop_rewatch(c->sl->loop, &c->watch, events);
}

void conn_set_address(struct conn *c, const struct ip_address *ip, uint16_t port)
{
    c->address_bytes = (uint8_t)ip_format(ip, c->address);
    c->port = port;
}

void conn_start(struct conn *c)
{
    struct server_loop *sl = c->sl;
    struct arena *a = arena_new(0);
    const struct error *e = sl->is_stopping ? NULL : loop_watch(sl->loop, a, &c->watch);
    if (e)
        log_error("http", "cannot watch a connection", F_STR("error", e->text));
    if (e || sl->is_stopping) {
        conn_close(c);
    } else {
        c->is_started = true;
        c->next = sl->conns;
        if (c->next)
            c->next->prev = c;
        sl->conns = c;
        if (c->state == CONN_PROXY)
            conn_set_timeout(c, loop_now_ns(sl->loop), PROXY_TIMEOUT_S * NS_PER_S);
        else
            conn_set_timeout(c, loop_now_ns(sl->loop), header_timeout_ns(sl->server->listener));
    }
    arena_free(a);
}

static void conn_unlist(struct conn *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        c->sl->conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
}

static void exchange_abandon(struct http_exchange *hx, enum conn_state state)
{
    if (state == CONN_STREAM) {
        stream_abandon(hx);
        return;
    }
    if (state != CONN_BUSY) { /* the handler has not seen it */
        exchange_free(hx);
        return;
    }
    server_discharge(hx->conn->sl->server, hx->charged_bytes);
    hx->x.gone = true;
    hx->conn = NULL;
}

void conn_close(struct conn *c)
{
    struct server_loop *sl = c->sl;
    if (c->state == CONN_CLOSED)
        return;
    if (c->exchange)
        exchange_abandon(c->exchange, c->state);
    c->state = CONN_CLOSED;
    if (c->ssl) {
        tls_goodbye(c->ssl);
        tls_session_free(c->ssl);
    }
    if (c->is_started) {
        loop_timer_clear(sl->loop, &c->timer);
        loop_unwatch(sl->loop, &c->watch);
        conn_unlist(c);
    }
    close(c->watch.fd);
    backlog_done(&c->in);
    backlog_done(&c->out);
    server_discharge(sl->server, c->charged_bytes);
    free(c->cert);
    if (c->is_counted)
        peer_count_remove(sl->server->peers, &c->peer_ip);
    conn_hold(c);
    conn_release(c);
    server_loop_left(sl);
}

void conn_hold(struct conn *c)
{
    c->holds++;
}

void conn_release(struct conn *c)
{
    if (--c->holds == 0 && c->state == CONN_CLOSED)
        free(c);
}

bool conn_is_reading(const struct conn *c)
{
    return c->state == CONN_HEAD || c->state == CONN_BODY;
}

bool conn_is_idle(const struct conn *c)
{
    return c->state == CONN_PROXY || c->state == CONN_HANDSHAKE || c->state == CONN_STREAM ||
           (c->state == CONN_HEAD && c->started_ns == 0);
}

static struct iovec part(bytes b)
{
    return (struct iovec){.iov_base = (void *)(uintptr_t)b.p, .iov_len = b.n}; /* sendmsg only reads it */
}

static enum io socket_write(int fd, bytes head, bytes body, size_t *ret_n)
{
    struct iovec parts[2] = {part(head), part(body)};
    const struct msghdr m = {.msg_iov = parts, .msg_iovlen = body.n ? 2 : 1};
    ssize_t n;
    do
        n = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? IO_WANT_WRITE : IO_FAILED;
    *ret_n = (size_t)n;
    return *ret_n < head.n + body.n ? IO_WANT_WRITE : IO_DONE;
}

static enum io session_write(SSL *s, bytes p, size_t *ret_n)
{
    enum io io = IO_DONE;
    while (io == IO_DONE && *ret_n < p.n) {
        size_t n = 0;
        io = tls_write(s, p.p + *ret_n, p.n - *ret_n, &n);
        *ret_n += n;
    }
    return io;
}

/* Both parts, as much as the socket takes now. */
static enum io conn_write(struct conn *c, bytes head, bytes body, size_t *ret_n)
{
    *ret_n = 0;
    if (!c->ssl)
        return socket_write(c->watch.fd, head, body, ret_n);
    enum io io = session_write(c->ssl, head, ret_n);
    size_t n = 0;
    if (io == IO_DONE)
        io = session_write(c->ssl, body, &n);
    *ret_n += n;
    return io == IO_WANT_READ ? IO_WANT_WRITE : io;
}

void conn_charge(struct conn *c)
{
    size_t now = c->in.cap + c->out.cap;
    if (now == c->charged_bytes)
        return;
    if (now > c->charged_bytes)
        c->over_memory = !server_charge(c->sl->server, now - c->charged_bytes);
    else
        server_discharge(c->sl->server, c->charged_bytes - now);
    c->charged_bytes = now;
}

static void conn_send_parts(struct conn *c, bytes head, bytes body)
{
    size_t n;
    enum io io = conn_write(c, head, body, &n);
    if (io != IO_DONE && io != IO_WANT_WRITE) {
        conn_close(c);
        return;
    }
    size_t of_head = MIN(n, head.n);
    size_t of_body = n - of_head;
    backlog_put(&c->out, head.p + of_head, head.n - of_head);
    if (of_body < body.n)
        backlog_put(&c->out, body.p + of_body, body.n - of_body);
    conn_charge(c);
}

void conn_send(struct conn *c, bytes head, bytes body)
{
    uint8_t *scratch = c->sl->scratch;
    size_t room = head.p == scratch ? SCRATCH_BYTES - head.n : 0;
    /* A short body is copied behind its head: one TLS record, and one cheap send. */
    size_t n = c->ssl || body.n <= room ? MIN(body.n, room) : 0;
    if (n) {
        memcpy(scratch + head.n, body.p, n);
        head.n += n;
        body = (bytes){body.p + n, body.n - n};
    }
    conn_send_parts(c, head, body);
    if (head.p == scratch)
        wipe(scratch, head.n);
}

static void conn_linger(struct conn *c)
{
    if (c->ssl)
        tls_goodbye(c->ssl);
    (void)shutdown(c->watch.fd, SHUT_WR);
    c->state = CONN_LINGER;
    c->started_ns = loop_now_ns(c->sl->loop);
    backlog_done(&c->in);
    conn_charge(c);
    conn_set_events(c, EPOLLIN);
    conn_set_timeout(c, loop_now_ns(c->sl->loop), LINGER_MS * NS_PER_MS);
}

/* An answer has gone out whole. */
static void conn_flushed(struct conn *c)
{
    if (!c->keep_alive || c->sl->is_stopping) {
        if (c->lingers)
            conn_linger(c);
        else
            conn_close(c);
        return;
    }
    c->state = CONN_HEAD;
    c->started_ns = 0;
    c->scan = (struct h1_scan){0};
    conn_set_events(c, EPOLLIN);
    conn_set_timeout(c, loop_now_ns(c->sl->loop), idle_timeout_ns(c->sl->server->listener));
}

void conn_answered(struct conn *c, bool keep_alive, bool lingers)
{
    if (c->state == CONN_CLOSED)
        return;
    c->keep_alive = keep_alive;
    c->lingers = lingers;
    if (backlog_bytes(&c->out) == 0) {
        conn_flushed(c);
        return;
    }
    c->state = CONN_FLUSH;
    conn_set_events(c, EPOLLOUT);
    conn_set_timeout(c, loop_now_ns(c->sl->loop), c->sl->server->listener->http_write_timeout_ns);
}

void conn_flush(struct conn *c)
{
    size_t n;
    enum io io = conn_write(c, bytes_from_str(backlog_str(&c->out)), (bytes){0}, &n);
    if (io != IO_DONE && io != IO_WANT_WRITE) {
        conn_close(c);
        return;
    }
    backlog_drop(&c->out, n);
    conn_charge(c);
}

static void on_writable(struct conn *c)
{
    conn_flush(c);
    if (c->state == CONN_CLOSED)
        return;
    if (backlog_bytes(&c->out) == 0) {
        conn_flushed(c);
        conn_resume(c);
    }
}

void conn_resume(struct conn *c)
{
    if (c->is_running)
        return; /* conn_run is up the stack and goes on by itself */
    conn_run(c);
    if (conn_is_reading(c) && c->ssl && tls_has_pending(c->ssl))
        conn_on_readable(c);
    conn_set_read_timeout(c);
}

static void on_lingering(struct conn *c)
{
    ssize_t n = recv(c->watch.fd, c->sl->scratch, SCRATCH_BYTES, 0);
    int64_t now = loop_now_ns(c->sl->loop);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            conn_close(c);
        return;
    }
    wipe(c->sl->scratch, (size_t)n);
    c->linger_bytes += (size_t)n;
    if (c->linger_bytes > LINGER_BYTES_MAX || now - c->started_ns > LINGER_TOTAL_S * NS_PER_S)
        conn_close(c);
    else
        conn_set_timeout(c, now, LINGER_MS * NS_PER_MS);
}

/* While a handler runs nothing is read. A second request makes the socket readable all the time, and so does
 * a peer that has ended its side and still waits for the answer: look away until the answer is out. */
static void on_busy(struct conn *c, uint32_t events)
{
    char one;
    if (events & (EPOLLHUP | EPOLLERR))
        conn_close(c);
    else if (recv(c->watch.fd, &one, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno != EAGAIN && errno != EINTR)
        conn_close(c);
    else
        conn_set_events(c, 0);
}

static void on_event(struct loop *l, struct watch *w, uint32_t events)
{
    (void)l;
    struct conn *c = CONTAINER_OF(w, struct conn, watch);
    conn_hold(c);
    switch (c->state) {
    case CONN_PROXY: conn_on_proxy(c); break;
    case CONN_HANDSHAKE: conn_on_handshake(c); break;
    case CONN_HEAD:
    case CONN_BODY:
        conn_on_readable(c);
        conn_set_read_timeout(c);
        break;
    case CONN_BUSY: on_busy(c, events); break;
    case CONN_STREAM: conn_on_streaming(c, events); break;
    case CONN_FLUSH: on_writable(c); break;
    case CONN_LINGER: on_lingering(c); break;
    case CONN_READY: /* only inside conn_run */
    case CONN_CLOSED: break;
    }
    conn_release(c);
}

static void on_timer(struct loop *l, struct loop_timer *t)
{
    struct conn *c = CONTAINER_OF(t, struct conn, timer);
    if (c->deadline_ns == INT64_MAX)
        return;
    if (c->deadline_ns > loop_now_ns(l)) { /* moved back since the timer was set */
        loop_timer_set(l, t, c->deadline_ns - loop_now_ns(l));
        return;
    }
    conn_hold(c);
    if (c->state == CONN_BODY)
        conn_refuse(c, &refusal_timeout);
    else if (c->state != CONN_BUSY)
        conn_close(c);
    conn_release(c);
}
