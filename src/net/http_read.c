/* From sockets to requests: the PROXY header, the TLS handshake, heads and bodies, the call of the handler.
 */
#include "base/log.h"
#include "base/secure.h"
#include "net/http_private.h"
#include "net/proxy_proto.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static enum io conn_read(struct conn *c, void *p, size_t n, size_t *ret_n)
{
    if (c->ssl)
        return tls_read(c->ssl, p, n, ret_n);
    ssize_t got;
    do
        got = recv(c->watch.fd, p, n, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EAGAIN ? IO_WANT_READ : IO_FAILED;
    *ret_n = (size_t)got;
    return got == 0 ? IO_END : IO_DONE;
}

/* A client that asked waits for leave to send its body; one whose body is already here, or too large, does
 * not get it. */
static void continue_send(struct conn *c, bool body_has_begun)
{
    static const char words[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (!c->exchange->head.expects_continue || body_has_begun || c->exchange->x.body_too_large)
        return;
    conn_send(c, (bytes){(const uint8_t *)words, sizeof words - 1}, (bytes){0});
    if (c->state != CONN_CLOSED && backlog_bytes(&c->out))
        conn_close(c); /* not even 25 bytes fit: the peer does not read its answers */
}

/* A whole head is there. */
static void head_take(struct conn *c, str head, bool more_follows)
{
    const struct h1_refusal *no;
    c->exchange = exchange_new(c, head, c->scan.lines, &no);
    if (no) {
        conn_refuse(c, no);
        return;
    }
    const struct http_exchange *hx = c->exchange;
    if (hx->x.body_too_large || (!hx->head.chunked && hx->body_left == 0)) {
        c->state = CONN_READY;
        return;
    }
    c->state = CONN_BODY;
    continue_send(c, more_follows);
}

static size_t head_step(struct conn *c, str in)
{
    if (c->started_ns == 0)
        c->started_ns = loop_now_ns(c->sl->loop);
    switch (h1_scan(&c->scan, in)) {
    case H1_DONE:
        head_take(c, str_slice(in, 0, c->scan.head_bytes), c->scan.head_bytes < in.n);
        return c->scan.head_bytes;
    case H1_BAD: conn_refuse(c, c->scan.refusal); return in.n;
    case H1_MORE: break;
    }
    return 0;
}

static size_t body_step(struct conn *c, str in)
{
    const struct h1_refusal *no = NULL;
    size_t used;
    if (exchange_body(c->exchange, bytes_from_str(in), &used, &no))
        c->state = CONN_READY;
    if (no)
        conn_refuse(c, no);
    return used;
}

/* Uses up as much as the request needs; what is left belongs to the next one or is a part of a head. */
static size_t conn_step(struct conn *c, str in)
{
    size_t used = 0;
    while (used < in.n && conn_is_reading(c)) {
        str rest = str_from(in, used);
        size_t n = c->state == CONN_HEAD ? head_step(c, rest) : body_step(c, rest);
        if (n == 0)
            break;
        used += n;
    }
    return used;
}

/* What just arrived, or behind what waits already. No handler is called in here: the scratch is in use. */
static void conn_take(struct conn *c, str in)
{
    size_t used = backlog_bytes(&c->in) ? 0 : conn_step(c, in);
    if (used == in.n || (!conn_is_reading(c) && c->state != CONN_READY))
        return;
    backlog_put(&c->in, in.p + used, in.n - used);
    conn_charge(c);
    if (c->over_memory)
        conn_refuse(c, &refusal_memory);
}

static void handler_call(struct conn *c)
{
    struct http_server *s = c->sl->server;
    c->state = CONN_BUSY;
    c->deadline_ns = INT64_MAX;
    s->handler(&c->exchange->x, s->arg);
}

void conn_run(struct conn *c)
{
    if (c->is_running)
        return;
    c->is_running = true;
    for (;;) {
        if (c->state == CONN_READY) {
            handler_call(c);
            continue;
        }
        if (!conn_is_reading(c) || backlog_bytes(&c->in) == 0)
            break;
        size_t used = conn_step(c, backlog_str(&c->in));
        if (used == 0)
            break;
        if (c->state == CONN_CLOSED || c->state == CONN_LINGER) /* both have dropped it */
            break;
        backlog_drop(&c->in, used);
        conn_charge(c);
    }
    c->is_running = false;
}

void conn_on_readable(struct conn *c)
{
    for (int i = 0; i < READS_PER_TURN && conn_is_reading(c); i++) {
        size_t n = 0;
        enum io io = conn_read(c, c->sl->scratch, SCRATCH_BYTES, &n);
        if (io == IO_WANT_READ || io == IO_WANT_WRITE)
            break;
        if (io != IO_DONE) {
            conn_close(c);
            break;
        }
        conn_take(c, (str){(const char *)c->sl->scratch, n});
        wipe(c->sl->scratch, n);
        conn_run(c);
        /* A short read has emptied the socket: no second call only to hear so. */
        if (c->state == CONN_CLOSED || (c->ssl ? !tls_has_pending(c->ssl) : n < SCRATCH_BYTES))
            break;
    }
}

void conn_on_handshake(struct conn *c)
{
    static const char hint[] =
        "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    const char *words = NULL;
    enum io io = tls_handshake(c->ssl, &words);
    if (io == IO_WANT_READ || io == IO_WANT_WRITE) {
        conn_set_events(c, io == IO_WANT_READ ? EPOLLIN : EPOLLOUT);
        return;
    }
    if (io == IO_PLAIN_HTTP)
        (void)send(c->watch.fd, hint, sizeof hint - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (words)
        log_info("http", "TLS handshake error", F_STR("address", ((str){c->address, c->address_bytes})),
                 F_CSTR("error", words));
    if (io != IO_DONE) {
        conn_close(c);
        return;
    }
    c->cert = tls_peer_certificate(c->ssl, &c->cert_bytes);
    conn_await_head(c);
    conn_set_events(c, EPOLLIN);
    if (tls_has_pending(c->ssl)) /* the request came with the end of the handshake */
        conn_on_readable(c);
}

static void set_low_water(int fd, size_t n)
{
    const int value = (int)n;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof value);
}

/* The header is looked at in the socket and taken out whole: behind it TLS may begin, and OpenSSL reads for
 * itself. */
void conn_on_proxy(struct conn *c)
{
    struct proxy_header h = {0};
    int fd = c->watch.fd;
    ssize_t n = recv(fd, c->sl->scratch, PROXY_HEADER_BYTES_MAX, MSG_PEEK);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    bool has_grown = n > (ssize_t)c->proxy_bytes;
    enum proxy_verdict verdict = has_grown ? proxy_parse((bytes){c->sl->scratch, (size_t)n}, &h) : PROXY_BAD;
    if (verdict == PROXY_MORE) {
        c->proxy_bytes = (size_t)n;
        set_low_water(fd, c->proxy_bytes + 1); /* else epoll would tell of the same bytes without end */
        return;
    }
    if (verdict == PROXY_BAD ||
        (verdict == PROXY_FOUND && recv(fd, c->sl->scratch, h.header_bytes, 0) != (ssize_t)h.header_bytes)) {
        conn_close(c);
        return;
    }
    if (h.has_address && !c->ignores_proxy_address)
        conn_set_address(c, &h.source, h.source_port);
    set_low_water(fd, 1);
    conn_await_head(c);
    if (c->ssl)
        c->state = CONN_HANDSHAKE;
    /* What is there already epoll tells again. */
}
