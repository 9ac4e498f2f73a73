#include "api/front_private.h"
#include "base/log.h"
#include "core/envelope.h"
#include "core/stream.h"

#include <stdatomic.h>
#include <strings.h>

enum { ANSWER_BYTES_MAX = 96 * 1024 * 1024, ANSWER_HEADERS_MAX = 64 };

static struct arena *scratch_of(struct front *f, const struct loop *l)
{
    for (size_t i = 0; i < f->n_loops; i++)
        if (f->loops[i].loop == l)
            return f->loops[i].scratch;
    die("an exchange on a loop the front does not serve");
}

/* ---- headers ---- */

struct header_list {
    str cache_control; /* empty: none may keep the answer */
    struct http_header v[ANSWER_HEADERS_MAX];
    size_t n;
};

static void header_set(struct header_list *h, str name, str value)
{
    for (size_t i = 0; i < h->n; i++)
        if (str_eq_nocase(h->v[i].name, name)) {
            h->v[i].value = value;
            return;
        }
    if (h->n < ANSWER_HEADERS_MAX)
        h->v[h->n++] = (struct http_header){name, value};
}

/* Groups apply in order: default, class, exact code; a later one overwrites. */
static void header_custom(struct header_list *h, const struct config_listener *l, int status)
{
    for (size_t i = 0; l && i < l->n_response_headers; i++) {
        const struct config_headers *group = &l->response_headers[i];

        if (status < group->status_low || status > group->status_high)
            continue;
        for (size_t k = 0; k < group->n; k++)
            header_set(h, group->headers[k].name, group->headers[k].value);
    }
}

/* With a source: an answer without an end. */
static void send_from(struct front_call *fc, struct header_list *h, int status, str type, bytes body,
                      const struct exchange_source *source)
{
    struct exchange *x = fc->exchange;
    str ns = exchange_header(x, STR("X-Vault-Namespace"));
    bool head = str_eq(x->method, STR("HEAD"));

    header_set(h, STR("Cache-Control"), h->cache_control.n ? h->cache_control : STR("no-store"));
    if (type.n)
        header_set(h, STR("Content-Type"), type);
    if (fc->front->host_name.n)
        header_set(h, STR("X-Vault-Hostname"), fc->front->host_name);
    header_custom(h, x->listener, status);
    if (ns.n)
        header_set(h, STR("X-Vault-Namespace"), ns);
    if (fc->allowed_origin.n) {
        header_set(h, STR("Access-Control-Allow-Origin"), fc->allowed_origin);
        header_set(h, STR("Vary"), STR("Origin"));
    }
    struct reply r = {.status = status, .headers = h->v, .n_headers = h->n, .body = head ? (bytes){0} : body};

    if (source)
        exchange_stream(x, &r, source);
    else
        exchange_reply(x, &r);
}

static void send(struct front_call *fc, struct header_list *h, int status, str type, bytes body)
{
    send_from(fc, h, status, type, body, NULL);
}

/* What the rate limit that counted the request allows. */
static void header_quota(struct header_list *h, struct arena *a, const struct quota_told *q)
{
    if (q && q->limit) {
        header_set(h, STR("X-Ratelimit-Limit"), arena_fmt(a, "%llu", (unsigned long long)q->limit));
        header_set(h, STR("X-Ratelimit-Remaining"), arena_fmt(a, "%llu", (unsigned long long)q->remaining));
        header_set(h, STR("X-Ratelimit-Reset"), arena_fmt(a, "%lld", (long long)q->reset_s));
    }
    if (q && q->retry_after_s >= 0)
        header_set(h, STR("Retry-After"), arena_fmt(a, "%lld", (long long)q->retry_after_s));
}

/* ---- errors ---- */

static void put_errors(struct buf *b, str text)
{
    buf_put_str(b, STR("{\"errors\":["));
    if (text.n)
        json_write_string(b, text);
    buf_put_str(b, STR("]}\n"));
}

void answer_preflight(struct front_call *fc, bool method_ok, str methods)
{
    struct header_list h = {.n = 0};

    if (method_ok) {
        header_set(&h, STR("Access-Control-Allow-Methods"), methods);
        header_set(&h, STR("Access-Control-Allow-Headers"), fc->allowed_headers);
        header_set(&h, STR("Access-Control-Max-Age"), STR("300"));
    } else {
        fc->allowed_origin = (str){0};
    }
    send(fc, &h, method_ok ? 200 : 405, (str){0}, (bytes){0});
}

void answer_parsed(struct front_call *fc, const struct parsed *p)
{
    struct arena *a = scratch_of(fc->front, fc->exchange->loop);
    struct header_list h = {.n = 0};
    struct buf b;

    buf_init(&b, a, ANSWER_BYTES_MAX);
    if (p->location.n) {
        buf_put_fmt(&b, "<a href=\"%.*s\">Moved Permanently</a>.\n\n", PSTR(p->location));
        header_set(&h, STR("Location"), arena_str(a, p->location));
        send(fc, &h, p->status, STR("text/html; charset=utf-8"), buf_bytes(&b));
    } else {
        if (!p->empty)
            put_errors(&b, p->e ? arena_str(a, p->e->text) : str_from_cstr(p->error));
        send(fc, &h, p->status, STR("application/json"), buf_bytes(&b));
    }
    arena_reset(a);
}

static void log_failure(struct arena *a, const struct request *rq, const struct error *e)
{
    if (error_status(e->kind) < 500 || e->kind == ERR_SEALED || e->kind == ERR_STANDBY)
        return;
    log_error("core", "a request failed", F_STR("request_id", rq->id), F_STR("path", rq->path),
              F_STR("error", error_log_text(a, e)));
}

/* ---- answers ---- */

/* Old sys/ routes repeat the members of data beside it. */
static void put_top_level(struct buf *b, const struct json *data)
{
    static const char *const own[] = {"request_id", "lease_id",  "renewable", "lease_duration",
                                      "data",       "wrap_info", "warnings",  "auth"};

    for (uint32_t i = 0; data && data->type == JSON_OBJECT && i < data->n; i++) {
        bool taken = false;

        for (size_t k = 0; k < COUNT_OF(own); k++)
            taken = taken || str_eq(data->members[i].key, str_from_cstr(own[k]));
        if (taken)
            continue;
        buf_put_byte(b, ',');
        json_write_string(b, data->members[i].key);
        buf_put_byte(b, ':');
        json_write(b, data->members[i].value);
    }
}

/* What the listener is told to keep to itself, in the answers that need no token. */
static void redact(struct arena *a, const struct config_listener *l, const struct request *rq,
                   const struct response *rs)
{
    static const char *const paths[] = {"sys/health", "sys/leader", "sys/seal-status"};
    const struct {
        const char *member;
        bool is_on;
    } members[] = {{"version", l->redact_version},
                   {"build_date", l->redact_version},
                   {"cluster_name", l->redact_cluster_name},
                   {"leader_address", l->redact_addresses},
                   {"leader_cluster_address", l->redact_addresses}};
    bool is_open = false;

    for (size_t i = 0; i < COUNT_OF(paths); i++)
        is_open = is_open || str_eq(rq->path, str_from_cstr(paths[i]));
    for (size_t i = 0; is_open && rs->data && i < COUNT_OF(members); i++)
        if (members[i].is_on && json_get(rs->data, str_from_cstr(members[i].member)))
            json_set_str(a, rs->data, str_from_cstr(members[i].member), STR(""));
}

static bool is_top_level(const struct request *rq)
{
    return rq->route && (rq->route->flags & ROUTE_TOP_LEVEL);
}

static void put_envelope(struct buf *b, const struct request *rq, const struct response *rs)
{
    buf_put_byte(b, '{');
    envelope_write(b, rq->id, rs);
    if (is_top_level(rq) && !rs->wrap_info)
        put_top_level(b, rs->data);
    buf_put_str(b, STR("}\n"));
}

static bytes make_body(struct arena *a, const struct request *rq, const struct response *rs)
{
    struct buf b;

    if (rs->raw_content_type.n)
        return arena_bytes(a, rs->raw_body);
    buf_init(&b, a, ANSWER_BYTES_MAX);
    if (rs->bare_body && rs->data) {
        json_write(&b, rs->data);
        buf_put_byte(&b, '\n');
    } else {
        put_envelope(&b, rq, rs);
    }
    return buf_bytes(&b);
}

static void log_completed(struct arena *a, const struct front_call *fc, int status)
{
    int level = atomic_load_explicit(&fc->front->requests_level, memory_order_relaxed);
    const struct request *rq = &fc->call.rq;
    const struct exchange *x = fc->exchange;
    int64_t now_ns = clock_wall_ns(clock_real());

    if (level < 0 || fc->started_ns == 0)
        return;
    LOG_((enum log_level)level, "core", "completed_request",
         F_STR("start_time", time_format(a, fc->started_ns / NS_PER_S * NS_PER_S)),
         F_STR("duration", arena_fmt(a, "%lldms", (long long)((now_ns - fc->started_ns) / NS_PER_MS))),
         F_STR("client_id", rq->client_id),
         F_STR("client_address", arena_fmt(a, "%.*s:%d", PSTR(x->remote_address), x->remote_port)),
         F_INT("status_code", status), F_STR("request_path", arena_fmt(a, "/v1/%.*s", PSTR(rq->path))),
         F_STR("request_method", x->method));
}

/* The bytes are made in the loop's scratch arena, then the hold on struct active ends, then they are sent. */
void answer_call(struct front_call *fc)
{
    struct exchange *x = fc->exchange;
    struct core_call *call = &fc->call;
    struct arena *a = scratch_of(fc->front, x->loop);
    str type = STR("application/json");
    struct header_list h = {.n = 0};
    bytes body = {0};
    int status;

    if (call->error) {
        struct buf b;

        buf_init(&b, a, ANSWER_BYTES_MAX);
        put_errors(&b, call->error->text);
        body = buf_bytes(&b);
        status = error_status(call->error->kind);
        if (call->error->kind == ERR_BUSY)
            header_set(&h, STR("Retry-After"), STR("1"));
        log_failure(a, &call->rq, call->error);
    } else {
        bool some = response_has_body(&call->rs) || call->rs.status == 200;

        status = call->rs.status ? call->rs.status : some ? 200 : 204;
        if (x->listener)
            redact(x->arena, x->listener, &call->rq, &call->rs);
        if (call->rs.raw_content_type.n)
            type = arena_str(a, call->rs.raw_content_type);
        if (call->rs.max_age_s > 0)
            h.cache_control = arena_fmt(a, "max-age=%lld", (long long)call->rs.max_age_s);
        if (some && status != 204)
            body = make_body(a, &call->rq, &call->rs);
    }
    if (call->quota)
        header_quota(&h, a, call->quota);
    log_completed(a, fc, status);
    core_call_end(call);
    send(fc, &h, status, type, body);
    arena_reset(a);
}

/* ---- answers without an end ---- */

static void stream_ready(void *arg)
{
    exchange_ready(arg);
}

static size_t stream_next(void *arg, uint8_t *out, size_t max, bool *ret_end)
{
    return core_stream_next(arg, out, max, ret_end);
}

static void stream_closed(void *arg)
{
    core_stream_close(arg);
}

void answer_stream(struct front_call *fc)
{
    str type = str_from_cstr(fc->call.rs.stream->content_type);
    struct arena *a = scratch_of(fc->front, fc->exchange->loop);
    struct exchange_source source = {.next = stream_next, .closed = stream_closed};
    struct header_list h = {.n = 0};

    source.arg = core_stream_open(&fc->call, stream_ready, fc->exchange);
    if (!source.arg) {
        fc->call.error = fail(&fc->call.rq, ERR_BUSY, "too many streams are open");
        answer_call(fc);
        return;
    }
    core_call_end(&fc->call);
    send_from(fc, &h, 200, type, (bytes){0}, &source);
    arena_reset(a);
}
