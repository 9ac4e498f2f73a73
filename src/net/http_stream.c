/* Answers in pieces: the connection pulls them from their source as the socket takes them.
 *
 * What is on its way is at most one piece beyond what the socket took: a slow reader costs PIECE_BYTES_MAX
 * here, and its source decides what becomes of the rest. HTTP/1.1 gets chunks, HTTP/1.0 bytes to the end.
 */
#include "base/clock.h"
#include "net/http_private.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { PIECE_BYTES_MAX = 16 * 1024, CHUNK_HEAD_BYTES = 10 /* "00001234" CR LF */ };

static void chunk_head(uint8_t out[CHUNK_HEAD_BYTES], size_t n)
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 7; i >= 0; i--, n >>= 4)
        out[i] = (uint8_t)digits[n & 15];
    memcpy(out + 8, "\r\n", 2);
}

/* The exchange goes, its source with it. */
void stream_abandon(struct http_exchange *hx)
{
    struct exchange_source source = hx->source;

    exchange_free(hx);
    source.closed(source.arg);
}

static void stream_end(struct conn *c)
{
    struct http_exchange *hx = c->exchange;
    bool keep_alive = hx->head.minor > 0 && !hx->x.expects_close && !hx->stream_closes && !c->sl->is_stopping;

    if (hx->stream_chunked)
        conn_send(c, bytes_from_str(STR("0\r\n\r\n")), (bytes){0});
    if (c->state == CONN_CLOSED)
        return; /* all is gone */
    c->state = CONN_BUSY;
    stream_abandon(hx);
    conn_answered(c, keep_alive, backlog_bytes(&c->in) > 0);
    conn_resume(c);
}

static void stream_send(struct conn *c, size_t n)
{
    uint8_t *out = c->sl->scratch;

    if (!c->exchange->stream_chunked) {
        conn_send(c, (bytes){out, n}, (bytes){0});
        return;
    }
    memmove(out + CHUNK_HEAD_BYTES, out, n);
    chunk_head(out, n);
    memcpy(out + CHUNK_HEAD_BYTES + n, "\r\n", 2);
    conn_send(c, (bytes){out, CHUNK_HEAD_BYTES + n + 2}, (bytes){0});
}

/* Pulls until the socket is full or the source has nothing. */
static void stream_pump(struct conn *c)
{
    bool ends = false;

    while (c->state == CONN_STREAM && backlog_bytes(&c->out) == 0 && !ends) {
        const struct exchange_source *s = &c->exchange->source;
        size_t n = s->next(s->arg, c->sl->scratch, PIECE_BYTES_MAX, &ends);

        if (n > 0)
            stream_send(c, n);
        else if (!ends)
            break;
    }
    if (c->state != CONN_STREAM)
        return;
    if (ends) {
        stream_end(c);
        return;
    }
    bool waits = backlog_bytes(&c->out) > 0;
    int64_t limit_ns = c->sl->server->listener->http_write_timeout_ns;

    conn_set_events(c, (uint32_t)(waits ? EPOLLOUT : 0) | (c->exchange->stream_deaf ? EPOLLRDHUP : EPOLLIN));
    conn_set_timeout(c, loop_now_ns(c->sl->loop), waits ? limit_ns : 0);
}

/* Bytes of the peer are left where they are; its end ends the stream. */
static void stream_listen(struct conn *c)
{
    char one;
    ssize_t n = recv(c->watch.fd, &one, 1, MSG_PEEK | MSG_DONTWAIT);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        conn_close(c);
    else if (n > 0)
        c->exchange->stream_deaf = true;
}

void conn_on_streaming(struct conn *c, uint32_t events)
{
    if (events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
        conn_close(c);
    if (c->state == CONN_STREAM && (events & EPOLLIN))
        stream_listen(c);
    if (c->state == CONN_STREAM && (events & EPOLLOUT))
        conn_flush(c);
    if (c->state == CONN_STREAM)
        stream_pump(c);
}

void exchange_stream(struct exchange *x, const struct reply *r, const struct exchange_source *source)
{
    struct http_exchange *hx = CONTAINER_OF(x, struct http_exchange, x);
    struct conn *c = hx->conn;

    hx->source = *source;
    if (!c) {
        stream_abandon(hx);
        return;
    }
    conn_hold(c);
    hx->stream_chunked = hx->head.minor > 0;
    hx->stream_closes = r->close;
    c->state = CONN_STREAM;
    exchange_send_head(hx, r);
    if (c->state == CONN_STREAM && str_eq(x->method, STR("HEAD"))) {
        hx->stream_chunked = false;
        stream_end(c);
    } else if (c->state == CONN_STREAM) {
        stream_pump(c);
    }
    conn_release(c);
}

void exchange_ready(struct exchange *x)
{
    struct conn *c = CONTAINER_OF(x, struct http_exchange, x)->conn;

    conn_hold(c);
    stream_pump(c);
    conn_release(c);
}
