/* Exchanges: a head becomes one, its body grows in it, its answer ends it. */
#include "base/clock.h"
#include "net/http_private.h"

const struct h1_refusal refusal_memory = {503, "no memory left for requests"};
const struct h1_refusal refusal_timeout = {408, NULL};

enum { EXCHANGE_BYTES_MIN = ARENA_BLOCK_BYTES }; /* what the smallest one takes from the system */

static bool exchange_recharge(struct http_exchange *hx)
{
    size_t now = MAX(arena_used_bytes(hx->x.arena), (size_t)EXCHANGE_BYTES_MIN);
    bool fits = true;
    if (now > hx->charged_bytes) {
        fits = server_charge(hx->conn->sl->server, now - hx->charged_bytes);
        hx->charged_bytes = now;
    }
    return fits;
}

static void exchange_fill(struct http_exchange *hx, struct conn *c)
{
    struct exchange *x = &hx->x;
    const struct config_listener *l = http_server_listener(c->sl->server);
    x->loop = c->sl->loop;
    x->listener = l;
    x->method = hx->head.method;
    x->target = hx->head.target;
    x->n_headers = hx->head.n_headers;
    x->expects_close = !hx->head.keep_alive;
    x->is_tls = c->ssl != NULL;
    x->remote_address = arena_str(x->arena, (str){c->address, c->address_bytes});
    x->remote_port = c->port;
    if (c->cert_bytes)
        x->client_cert_der = arena_bytes(x->arena, (bytes){c->cert, c->cert_bytes});
    hx->body_left = hx->head.content_length;
    size_t max = l->max_request_bytes > 0 ? (size_t)l->max_request_bytes : SIZE_MAX / 2;
    x->body_too_large = hx->body_left > max;
    buf_init(&hx->body, x->arena, max);
}

struct http_exchange *exchange_new(struct conn *c, str head, size_t lines,
                                   const struct h1_refusal **ret_refusal)
{
    struct http_server *s = c->sl->server;
    struct arena *a = arena_new(s->request_memory_bytes_max);
    struct http_exchange *hx = ARENA_NEW(a, struct http_exchange);
    hx->conn = c;
    hx->x.arena = a;
    hx->x.headers = arena_alloc(a, lines * sizeof *hx->x.headers);
    *ret_refusal = h1_parse(arena_str(a, head), hx->x.headers, &hx->head);
    if (!*ret_refusal)
        exchange_fill(hx, c);
    if (!exchange_recharge(hx) && !*ret_refusal)
        *ret_refusal = &refusal_memory;
    return hx;
}

void exchange_free(struct http_exchange *hx)
{
    if (hx->conn) {
        hx->conn->exchange = NULL;
        server_discharge(hx->conn->sl->server, hx->charged_bytes);
    }
    arena_free(hx->x.arena);
}

/* False: over the listener's limit or the request's memory. */
static bool body_add(struct http_exchange *hx, bytes piece, bool is_last)
{
    if (is_last && hx->body.n == 0 && piece.n <= hx->body.max) {
        hx->x.body = arena_bytes(hx->x.arena, piece); /* it came in one piece: nothing has to grow */
        return !arena_is_over(hx->x.arena);
    }
    buf_put(&hx->body, piece.p, piece.n);
    hx->x.body = buf_bytes(&hx->body);
    return !hx->body.full && !arena_is_over(hx->x.arena);
}

static bool body_drop(struct http_exchange *hx)
{
    hx->x.body = (bytes){0};
    hx->x.body_too_large = true;
    return true; /* complete as far as the handler is concerned */
}

static bool body_by_length(struct http_exchange *hx, bytes in, size_t *ret_used)
{
    size_t n = (size_t)MIN(hx->body_left, (uint64_t)in.n);
    hx->body_left -= n;
    *ret_used = n;
    if (!body_add(hx, (bytes){in.p, n}, hx->body_left == 0))
        return body_drop(hx);
    return hx->body_left == 0;
}

static bool body_by_chunks(struct http_exchange *hx, bytes in, size_t *ret_used,
                           const struct h1_refusal **ret_refusal)
{
    static const struct h1_refusal bad_chunk = {400, "malformed chunked encoding"};
    enum h1_verdict verdict = H1_MORE;
    *ret_used = 0;
    while (verdict == H1_MORE && *ret_used < in.n) {
        size_t used;
        bytes piece;
        verdict = h1_chunks_next(&hx->chunks, (bytes){in.p + *ret_used, in.n - *ret_used}, &used, &piece);
        *ret_used += used;
        if (!body_add(hx, piece, false))
            return body_drop(hx);
    }
    if (verdict == H1_BAD)
        *ret_refusal = &bad_chunk;
    return verdict == H1_DONE;
}

bool exchange_body(struct http_exchange *hx, bytes in, size_t *ret_used,
                   const struct h1_refusal **ret_refusal)
{
    bool complete =
        hx->head.chunked ? body_by_chunks(hx, in, ret_used, ret_refusal) : body_by_length(hx, in, ret_used);
    if (!*ret_refusal && !exchange_recharge(hx))
        *ret_refusal = &refusal_memory;
    return complete && !*ret_refusal;
}

bool exchange_has_header(const struct exchange *x, str name)
{
    for (size_t i = 0; i < x->n_headers; i++)
        if (str_eq_nocase(x->headers[i].name, name))
            return true;
    return false;
}

str exchange_header(const struct exchange *x, str name)
{
    str all = {0};
    bool found = false;
    for (size_t i = 0; i < x->n_headers; i++) {
        if (!str_eq_nocase(x->headers[i].name, name))
            continue;
        str value = x->headers[i].value;
        all = found ? arena_fmt(x->arena, "%.*s, %.*s", PSTR(all), PSTR(value)) : value;
        found = true;
    }
    return all;
}

static str date_now(struct server_loop *sl)
{
    int64_t now_s = clock_wall_ns(clock_real()) / NS_PER_S;
    if (now_s != sl->date_s) {
        sl->date_s = now_s;
        h1_date_write(now_s, sl->date);
    }
    return (str){sl->date, sizeof sl->date};
}

/* Writes the head into the loop's scratch, or into the arena when it is longer, and gives both parts to the
 * connection. */
static void answer_send(struct conn *c, struct arena *a, const struct h1_reply *h, bytes body)
{
    size_t max = h1_reply_bytes_max(h);
    char *out = max <= SCRATCH_BYTES ? (char *)c->sl->scratch : arena_alloc(a, max);
    size_t n = h1_reply_write(h, out);
    conn_send(c, (bytes){(const uint8_t *)out, n}, body);
}

void exchange_reply(struct exchange *x, const struct reply *r)
{
    struct http_exchange *hx = CONTAINER_OF(x, struct http_exchange, x);
    struct conn *c = hx->conn;
    if (!c) {
        exchange_free(hx);
        return;
    }
    conn_hold(c);
    bool has_body = h1_status_has_body(r->status);
    bool keep_alive = !r->close && !x->expects_close && !x->body_too_large && !c->sl->is_stopping;
    const struct h1_reply h = {
        .minor = hx->head.minor,
        .status = r->status,
        .headers = r->headers,
        .n_headers = r->n_headers,
        .date = date_now(c->sl),
        .has_length = has_body,
        .content_length = r->body.n,
        .keep_alive = keep_alive,
    };
    bool sends_body = has_body && !str_eq(x->method, STR("HEAD"));
    answer_send(c, x->arena, &h, sends_body ? r->body : (bytes){0});
    bool lingers = x->body_too_large || backlog_bytes(&c->in) > 0;
    exchange_free(hx);
    conn_answered(c, keep_alive, lingers);
    conn_resume(c);
    conn_release(c);
}

void exchange_send_head(struct http_exchange *hx, const struct reply *r)
{
    struct conn *c = hx->conn;
    const struct h1_reply h = {
        .minor = hx->head.minor,
        .status = r->status,
        .headers = r->headers,
        .n_headers = r->n_headers,
        .date = date_now(c->sl),
        .chunked = hx->stream_chunked,
        .keep_alive = hx->stream_chunked && !r->close && !hx->x.expects_close && !c->sl->is_stopping,
    };

    answer_send(c, hx->x.arena, &h, (bytes){0});
}

void conn_refuse(struct conn *c, const struct h1_refusal *why)
{
    static const struct http_header fields[] = {
        {STR("Content-Type"), STR("text/plain; charset=utf-8")},
        {STR("Retry-After"), STR("1")},
    };
    char buffer[H1_STATUS_TEXT_MAX];
    if (c->exchange)
        exchange_free(c->exchange);
    struct arena *a = arena_new(0);
    str words = h1_status_text(why->status, buffer);
    str body = arena_fmt(a, "%d %.*s%s%s", why->status, PSTR(words), why->text ? ": " : "",
                         why->text ? why->text : "");
    const struct h1_reply h = {
        .minor = 1,
        .status = why->status,
        .headers = fields,
        .n_headers = why->status == 503 ? 2 : 1,
        .date = date_now(c->sl),
        .has_length = true,
        .content_length = body.n,
    };
    answer_send(c, a, &h, bytes_from_str(body));
    arena_free(a);
    conn_answered(c, false, true);
}
