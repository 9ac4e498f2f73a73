#include "client/client.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/rand.h"
#include "client/srv.h"

#include <stdlib.h>
#include <time.h>

enum { URL_BYTES_MAX = 64 * 1024 };

struct client {
    struct client_settings s;
    str base; /* address without slashes at the end; http://localhost for a unix socket */
    str unix_socket;
    struct http_client *http;
    int64_t allowance_ns; /* of the rate limit: time saved up, at most rate_burst intervals */
    int64_t last_ns;      /* when it was counted */
};

static struct error *bad_variable(struct arena *a, const char *name)
{
    return error_new(a, ERR_BAD_REQUEST, "failed to read environment: could not parse VAULT_%s", name);
}

static struct error *bool_setting(struct arena *a, const struct environment *e, const char *name, bool *ret)
{
    str text = environment_setting(e, str_from_cstr(name));
    return text.n && !bool_from_str(text, ret) ? bad_variable(a, name) : NULL;
}

/* "RATE[:BURST]" requests a second; the burst is the rate, at least 1, if it is not given. */
static struct error *rate_setting(struct arena *a, const struct environment *e, struct client_settings *s)
{
    str text = environment_setting(e, STR("RATE_LIMIT"));
    str rate;
    str burst;
    str whole;
    str part;
    uint64_t n = 0;
    uint64_t thousandths = 0;
    if (!text.n)
        return NULL;
    bool has_burst = str_cut(text, ':', &rate, &burst);
    bool has_part = str_cut(rate, '.', &whole, &part);
    part = str_slice(arena_join(a, part, STR("000")), 0, 3);
    bool ok = str_parse_u64(whole, &n) && n < UINT32_MAX && (!has_part || str_parse_u64(part, &thousandths));
    thousandths += n * 1000;
    s->rate_burst = MAX(n, 1);
    if (!ok || !thousandths || (has_burst && !str_parse_u64(burst, &s->rate_burst)) || !s->rate_burst ||
        s->rate_burst > UINT32_MAX)
        return bad_variable(a, "RATE_LIMIT");
    s->rate_interval_ns = (int64_t)(1000 * (uint64_t)NS_PER_S / thousandths);
    return NULL;
}

struct error *client_settings_from_environment(struct arena *a, const struct environment *e,
                                               struct client_settings *ret_settings)
{
    struct client_settings s = {.address = environment_setting(e, STR("AGENT_ADDR"))};
    if (!s.address.n)
        s.address = environment_setting(e, STR("ADDR"));
    if (!s.address.n)
        s.address = STR("https://127.0.0.1:8200");
    s.token = environment_setting(e, STR("TOKEN"));
    s.name_space = environment_setting(e, STR("NAMESPACE"));
    s.wrap_ttl = environment_setting(e, STR("WRAP_TTL"));
    s.http.ca_file = environment_setting(e, STR("CACERT"));
    s.http.ca_path = environment_setting(e, STR("CAPATH"));
    s.http.ca_pem = environment_setting(e, STR("CACERT_BYTES"));
    s.http.client_cert_file = environment_setting(e, STR("CLIENT_CERT"));
    s.http.client_key_file = environment_setting(e, STR("CLIENT_KEY"));
    s.http.tls_server_name = environment_setting(e, STR("TLS_SERVER_NAME"));
    s.http.proxy = environment_setting(e, STR("PROXY_ADDR"));
    if (!s.http.proxy.n)
        s.http.proxy = environment_setting(e, STR("HTTP_PROXY"));
    TRY(bool_setting(a, e, "SKIP_VERIFY", &s.http.tls_skip_verify));
    TRY(bool_setting(a, e, "DISABLE_REDIRECTS", &s.disable_redirects));
    TRY(bool_setting(a, e, "SRV_LOOKUP", &s.srv_lookup));
    TRY(rate_setting(a, e, &s));
    str timeout = environment_setting(e, STR("CLIENT_TIMEOUT"));
    if (duration_parse(a, timeout, &s.http.timeout_ns))
        return bad_variable(a, "CLIENT_TIMEOUT");
    str retries = environment_setting(e, STR("MAX_RETRIES"));
    if (retries.n && !str_parse_u64(retries, &s.retries_max))
        return bad_variable(a, "MAX_RETRIES");
    str mfa = environment_setting(e, STR("MFA"));
    if (mfa.n) {
        str *items = ARENA_ARRAY(a, str, mfa.n + 1);
        for (str item; mfa.n; items[s.n_mfa++] = item)
            str_cut(mfa, ',', &item, &mfa);
        s.mfa = items;
    }
    *ret_settings = s;
    return NULL;
}

/* The address with its host replaced by what DNS says; as it is when it has a port, or DNS says nothing. */
static str address_looked_up(struct arena *a, str address)
{
    size_t scheme = str_find(address, STR("://"));
    str rest = str_from(address, scheme + 3);
    str host = str_slice(rest, 0, str_index(rest, '/'));
    if (scheme == address.n || !host.n || str_index(host, ':') < host.n)
        return address;
    str found = srv_lookup(a, host);
    return found.n ? arena_fmt(a, "%.*s://%.*s%.*s", (int)scheme, address.p, PSTR(found),
                               PSTR(str_from(rest, host.n)))
                   : address;
}

struct error *client_new(struct arena *a, const struct client_settings *s, struct client **ret_client)
{
    for (size_t i = 0; i < s->n_headers; i++)
        if (str_eq_nocase(str_slice(s->headers[i].name, 0, 8), STR("X-Vault-")))
            return error_new(
                a, ERR_BAD_REQUEST,
                "failed to setup Headers[%.*s]: Header starting by 'X-Vault-' are for internal usage only",
                PSTR(s->headers[i].name));
    if (!s->http.client_cert_file.n != !s->http.client_key_file.n)
        return error_new(a, ERR_BAD_REQUEST, "both client cert and client key must be provided");
    struct client *c = ARENA_NEW(a, struct client);
    c->s = *s;
    c->base = s->address;
    if (str_starts(s->address, STR("unix://"))) {
        c->unix_socket = str_from(s->address, 7);
        c->base = STR("http://localhost");
    } else if (s->srv_lookup) {
        c->base = address_looked_up(a, s->address);
    }
    while (str_ends(c->base, STR("/")))
        c->base.n--;
    c->allowance_ns = (int64_t)s->rate_burst * s->rate_interval_ns;
    c->last_ns = clock_mono_ns(clock_real());
    c->http = http_client_new(&s->http);
    *ret_client = c;
    return NULL;
}

void client_free(struct client *c)
{
    if (c)
        http_client_free(c->http);
}

void client_set_token(struct client *c, str token)
{
    c->s.token = token;
}

str client_token(const struct client *c)
{
    return c->s.token;
}

str client_address(const struct client *c)
{
    return c->s.address;
}

const struct client_settings *client_settings(const struct client *c)
{
    return &c->s;
}

static void put_param(struct buf *b, struct arena *a, char *sep, str key, const struct json *v)
{
    if (v->type == JSON_ARRAY) {
        for (uint32_t i = 0; i < v->n; i++)
            put_param(b, a, sep, key, v->items[i]);
        return;
    }
    str value = v->type == JSON_STRING ? v->text : json_text(a, v);
    buf_put_byte(b, (uint8_t)*sep);
    buf_put_str(b, url_encode(a, key));
    buf_put_byte(b, '=');
    buf_put_str(b, url_encode(a, value));
    *sep = '&';
}

static int member_cmp(const void *x, const void *y)
{
    return str_cmp(((const struct json_member *)x)->key, ((const struct json_member *)y)->key);
}

/* Base, /v1/, the path without empty segments, the parameters sorted by name. */
static struct error *put_url(const struct client *c, struct arena *a, const struct client_request *rq,
                             bool list, struct client_prepared *p)
{
    struct buf path;
    buf_init(&path, a, URL_BYTES_MAX);
    for (str segment, rest = rq->path; rest.n;) {
        str_cut(rest, '/', &segment, &rest);
        if (segment.n)
            buf_put_fmt(&path, "%s%.*s", path.n ? "/" : "", PSTR(segment));
    }
    struct buf url;
    buf_init(&url, a, URL_BYTES_MAX);
    buf_put_fmt(&url, "%.*s/v1/%.*s", PSTR(c->base), PSTR(url_encode_path(a, buf_str(&path))));
    char sep = '?';
    if (rq->params && rq->params->n) {
        struct json_member *sorted = arena_copy(a, rq->params->members, rq->params->n * sizeof(*sorted));
        qsort(sorted, rq->params->n, sizeof(*sorted), member_cmp);
        for (uint32_t i = 0; i < rq->params->n; i++)
            put_param(&url, a, &sep, sorted[i].key, sorted[i].value);
    }
    if (list)
        put_param(&url, a, &sep, STR("list"), json_string(a, STR("true")));
    if (path.full || url.full)
        return error_new(a, ERR_TOO_LARGE, "path is too long");
    p->path = buf_str(&path);
    p->url = buf_str(&url);
    return NULL;
}

static bool is_printable(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

static void put_header(struct client_prepared *p, str name, str value)
{
    if (value.n && p->n_headers < CLIENT_HEADERS_MAX)
        p->headers[p->n_headers++] = (struct http_header){name, value};
}

static void put_headers(const struct client *c, struct arena *a, const struct client_request *rq,
                        struct client_prepared *p)
{
    const struct client_settings *s = &c->s;
    bool write = strcmp(rq->method, "PUT") == 0 || strcmp(rq->method, "POST") == 0;
    bool patch = strcmp(rq->method, "PATCH") == 0;
    str wrap = rq->never_wrap ? (str){0} : s->wrap_ttl;
    if (!wrap.n && write && str_eq(p->path, STR("sys/wrapping/wrap")))
        wrap = STR("5m");
    str ns = s->name_space;
    while (str_starts(ns, STR("/")))
        ns = str_from(ns, 1);
    if (ns.n && !str_ends(ns, STR("/")))
        ns = arena_join(a, ns, STR("/"));
    put_header(p, STR("X-Vault-Request"), STR("true"));
    put_header(p, STR("X-Vault-Token"), s->token);
    put_header(p, STR("X-Vault-Namespace"), rq->root_namespace ? (str){0} : ns);
    put_header(p, STR("X-Vault-Wrap-TTL"), wrap);
    put_header(p, STR("X-Vault-Policy-Override"), s->policy_override ? STR("true") : (str){0});
    if (rq->body)
        put_header(p, STR("Content-Type"),
                   patch ? STR("application/merge-patch+json") : STR("application/json"));
    for (size_t i = 0; i < s->n_mfa; i++)
        put_header(p, STR("X-Vault-MFA"), s->mfa[i]);
    for (size_t i = 0; i < s->n_headers; i++)
        put_header(p, s->headers[i].name, s->headers[i].value);
}

struct error *client_prepare(const struct client *c, struct arena *a, const struct client_request *rq,
                             struct client_prepared *ret_prepared)
{
    bool list = strcmp(rq->method, "LIST") == 0;
    if (!is_printable(c->s.token))
        return error_new(a, ERR_BAD_REQUEST,
                         "configured Vault token contains non-printable characters and cannot be used");
    *ret_prepared = (struct client_prepared){.method = list ? "GET" : rq->method};
    TRY(put_url(c, a, rq, list, ret_prepared));
    put_headers(c, a, rq, ret_prepared);
    if (rq->body)
        ret_prepared->body = bytes_from_str(json_text(a, rq->body));
    return NULL;
}

void client_pause(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
    while (nanosleep(&t, &t) != 0)
        ;
}

/* Waits before the next try: what Retry-After says (of a busy server), or 1 to 1.5 s times the number of
 * tries. */
static void wait_to_retry(const struct http_result *r, uint64_t tries)
{
    uint64_t after_s = 0;
    bool busy = r->status == 429 || r->status == 503;
    int64_t ns = (int64_t)((1000 + rng_below(rng_system(), 500)) * tries) * NS_PER_MS;
    if (busy && str_parse_u64(http_result_header(r, STR("Retry-After")), &after_s) && after_s < 3600)
        ns = (int64_t)after_s * NS_PER_S;
    client_pause(ns);
}

/* Waits until the rate limit lets one more request out. */
static void wait_for_rate(struct client *c)
{
    int64_t interval = c->s.rate_interval_ns;
    if (!interval)
        return;
    int64_t now = clock_mono_ns(clock_real());
    int64_t most = (int64_t)c->s.rate_burst * interval;
    c->allowance_ns = MIN(c->allowance_ns + (now - c->last_ns), most) - interval;
    c->last_ns = now;
    if (c->allowance_ns < 0)
        client_pause(-c->allowance_ns);
}

static bool is_retryable(int status)
{
    return status == 412 || status == 429 || (status >= 500 && status != 501);
}

static struct error *send_with_retries(struct client *c, struct arena *a, const struct client_prepared *p,
                                       struct http_result *ret)
{
    for (uint64_t tries = 0;;) {
        *ret = (struct http_result){0};
        wait_for_rate(c);
        struct error *e = http_client_do(c->http, a, str_from_cstr(p->method), p->url, c->unix_socket,
                                         p->headers, p->n_headers, p->body, ret);
        if (tries == c->s.retries_max || (!e && !is_retryable(ret->status)))
            return e;
        wait_to_retry(ret, ++tries);
    }
}

/* The absolute address in a Location header. */
static struct error *redirect_target(struct arena *a, str from, str location, str *ret_url)
{
    if (str_starts(location, STR("/"))) {
        size_t scheme = str_find(from, STR("://"));
        size_t host_end = scheme < from.n ? scheme + 3 + str_index(str_from(from, scheme + 3), '/') : from.n;
        location = arena_join(a, str_slice(from, 0, host_end), location);
    }
    if (str_starts(from, STR("https:")) && !str_starts(location, STR("https:")))
        return error_new(a, ERR_INTERNAL, "redirect would cause protocol downgrade");
    *ret_url = location;
    return NULL;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 307;
}

static struct client_answer answer_from(struct arena *a, const struct client_prepared *p,
                                        const struct http_result *r)
{
    struct client_answer answer = {
        .status = r->status,
        .method = p->method,
        .url = p->url,
        .path = p->path,
        .name_space = http_result_header(r, STR("X-Vault-Namespace")),
        .body = str_from_bytes(r->body),
    };
    if (answer.body.n && json_parse(a, answer.body, true, &answer.json))
        answer.json = NULL;
    return answer;
}

struct error *client_send(struct client *c, struct arena *a, const struct client_request *rq,
                          struct client_answer *ret_answer)
{
    struct client_prepared *p = ARENA_NEW(a, struct client_prepared);
    struct http_result r;
    TRY(client_prepare(c, a, rq, p));
    TRY(send_with_retries(c, a, p, &r));
    str location = http_result_header(&r, STR("Location"));
    if (is_redirect(r.status) && location.n && !c->s.disable_redirects) {
        TRY(redirect_target(a, p->url, location, &p->url));
        TRY(send_with_retries(c, a, p, &r));
    }
    *ret_answer = answer_from(a, p, &r);
    return NULL;
}

struct error *client_stream(struct client *c, struct arena *a, const struct client_request *rq,
                            http_piece_fn *piece, void *arg, struct client_answer *ret_answer)
{
    struct client_request get = *rq;
    struct client_prepared *p = ARENA_NEW(a, struct client_prepared);
    struct http_result r;
    get.method = "GET";
    TRY(client_prepare(c, a, &get, p));
    wait_for_rate(c);
    TRY(http_client_stream(c->http, a, p->url, c->unix_socket, p->headers, p->n_headers, piece, arg, &r));
    *ret_answer = answer_from(a, p, &r);
    return NULL;
}

struct error *client_check(struct arena *a, const struct client_answer *answer)
{
    bool health = answer->status == 429 && str_eq(answer->path, STR("sys/health"));
    if ((answer->status >= 200 && answer->status < 400) || health)
        return NULL;
    struct buf b;
    buf_init(&b, a, answer->body.n + URL_BYTES_MAX);
    buf_put_str(&b, STR("Error making API request.\n\n"));
    if (answer->name_space.n && !str_eq(answer->name_space, STR("root/")))
        buf_put_fmt(&b, "Namespace: %.*s\n", PSTR(answer->name_space));
    buf_put_fmt(&b, "URL: %s %.*s\nCode: %d. ", answer->method, PSTR(answer->url), answer->status);
    const struct json *errors = json_get(answer->json, STR("errors"));
    if (errors && errors->type == JSON_ARRAY) {
        buf_put_str(&b, STR("Errors:\n\n"));
        for (uint32_t i = 0; i < errors->n; i++) {
            const struct json *e = errors->items[i];
            str text = e->type == JSON_STRING ? e->text : json_text(a, e);
            buf_put_fmt(&b, "%s* %.*s", i ? "\n" : "", PSTR(text));
        }
    } else {
        buf_put_fmt(&b, "Raw Message:\n\n%.*s", PSTR(answer->body));
    }
    enum err_kind kind = answer->status < 500 ? ERR_BAD_REQUEST : ERR_INTERNAL;
    return error_new(a, kind, "%.*s", PSTR(buf_str(&b)));
}
