#include "api/front_private.h"
#include "base/encode.h"

#include <stdlib.h>

static const struct {
    const char *method;
    enum op op;
} methods[] = {
    {"GET", OP_READ},  {"PUT", OP_UPDATE},  {"POST", OP_UPDATE}, {"DELETE", OP_DELETE},
    {"LIST", OP_LIST}, {"PATCH", OP_PATCH}, {"HEAD", OP_HEADER}, {"OPTIONS", OP_NONE},
};

static struct parsed refuse(int status, const char *error)
{
    return (struct parsed){.status = status, .error = error};
}

static struct parsed refuse_with(struct error *e)
{
    return (struct parsed){.status = error_status(e->kind), .e = e};
}

/* ---- path ---- */

/* Go's path.Clean on an absolute path, with a trailing slash kept. */
static str path_clean(struct arena *a, str path)
{
    char *out = arena_alloc(a, path.n + 2);
    size_t n = 0;

    for (str rest = path, part; rest.n > 0;) {
        str_cut(rest, '/', &part, &rest);
        if (part.n == 0 || str_eq(part, STR(".")))
            continue;
        if (str_eq(part, STR(".."))) {
            while (n > 0 && out[--n] != '/')
                ;
            continue;
        }
        out[n++] = '/';
        memcpy(out + n, part.p, part.n);
        n += part.n;
    }
    if (n == 0 || (str_ends(path, STR("/")) && out[n - 1] != '/'))
        out[n++] = '/';
    return (str){out, n};
}

static bool is_printable(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

/* ---- query and form ---- */

struct pair {
    str key, value;
    size_t at; /* as sent */
};

static int pair_order(const void *x, const void *y)
{
    const struct pair *a = x, *b = y;
    int c = str_cmp(a->key, b->key);

    return c ? c : (a->at > b->at) - (a->at < b->at);
}

/* One object of sorted pairs: what has one key is a list. */
static struct json *pairs_object(struct arena *a, const struct pair *pairs, size_t n)
{
    struct json *o = json_object(a);

    for (size_t i = 0; i < n; i++) {
        struct json *v = json_string(a, pairs[i].value);
        bool again = i > 0 && str_eq(pairs[i].key, pairs[i - 1].key);
        struct json_member *last = again ? &o->members[o->n - 1] : NULL;

        if (!last) {
            json_add(a, o, pairs[i].key, v);
            continue;
        }
        if (last->value->type != JSON_ARRAY) {
            struct json *list = json_array(a);

            json_append(a, list, last->value);
            last->value = list;
        }
        json_append(a, last->value, v);
    }
    return o;
}

/* Pairs that do not decode are left out, as Go's lenient query parser does. Past the arena's bound it ends
 * early. A form may be large: no pair is looked for among the others. */
static struct json *pairs_parse(struct arena *a, str text)
{
    struct pair *pairs = NULL;
    size_t n = 0, cap = 0;

    for (str rest = text, pair; rest.n > 0 && !arena_is_over(a);) {
        str key, value;

        str_cut(rest, '&', &pair, &rest);
        str_cut(pair, '=', &key, &value);
        if (pair.n == 0 || !url_decode(a, key, true, &key) || !url_decode(a, value, true, &value))
            continue;
        if (n == cap) {
            size_t more = cap ? cap * 2 : 8;

            pairs = arena_grow(a, pairs, cap * sizeof(*pairs), more * sizeof(*pairs));
            cap = more;
        }
        pairs[n] = (struct pair){key, value, n};
        n++;
    }
    if (n > 1)
        qsort(pairs, n, sizeof(*pairs), pair_order);
    return pairs_object(a, pairs, n);
}

static bool parse_bool(str s, bool *ret)
{
    static const char *const words[][2] = {{"1", "0"},        {"t", "f"},        {"T", "F"},
                                           {"TRUE", "FALSE"}, {"true", "false"}, {"True", "False"}};

    for (size_t i = 0; i < COUNT_OF(words); i++)
        for (int no = 0; no < 2; no++)
            if (str_eq(s, str_from_cstr(words[i][no]))) {
                *ret = !no;
                return true;
            }
    return false;
}

/* ---- headers ---- */

static str token_of(const struct exchange *x)
{
    str token = str_trim(exchange_header(x, STR("X-Vault-Token")));
    str authorization = exchange_header(x, STR("Authorization"));

    if (token.n == 0 && str_starts(authorization, STR("Bearer ")))
        token = str_trim(str_from(authorization, 7));
    return token;
}

static struct error *headers_parse(struct exchange *x, struct request *rq)
{
    str override = exchange_header(x, STR("X-Vault-Policy-Override")),
        wrap = exchange_header(x, STR("X-Vault-Wrap-TTL"));
    bool ignored;

    rq->client_token = token_of(x);
    if (override.n > 0 && !parse_bool(override, &ignored))
        return error_new(x->arena, ERR_BAD_REQUEST,
                         "failed to parse X-Vault-Policy-Override header: cannot parse '' as bool: "
                         "strconv.ParseBool: parsing \"%.*s\": invalid syntax",
                         PSTR(override));
    if (wrap.n > 0) {
        struct error *e = duration_parse(x->arena, wrap, &rq->wrap_ttl_ns);

        if (e || rq->wrap_ttl_ns < 0)
            return error_new(x->arena, ERR_BAD_REQUEST, "error parsing X-Vault-Wrap-TTL header: %.*s",
                             PSTR(e ? e->text : STR("requested wrap ttl cannot be negative")));
        rq->wrap_as_jwt = str_eq(exchange_header(x, STR("X-Vault-Wrap-Format")), STR("jwt"));
    }
    return NULL;
}

/* ---- body ---- */

static bool looks_like_json(str body)
{
    body = str_trim(body);
    return body.n > 0 && body.p[0] == '{';
}

static struct error *body_parse(struct exchange *x, struct request *rq)
{
    str body = str_from_bytes(x->body), type;

    rq->body_is_empty = body.n == 0;
    str_cut(exchange_header(x, STR("Content-Type")), ';', &type, &(str){0});
    if (body.n == 0)
        return NULL;
    if (str_eq_nocase(str_trim(type), STR("application/x-www-form-urlencoded")) && !looks_like_json(body)) {
        rq->data = pairs_parse(x->arena, body);
        if (arena_is_over(x->arena))
            return error_new(x->arena, ERR_TOO_LARGE, "the form is too large");
        return NULL;
    }
    struct json *v;

    TRY(json_parse(x->arena, body, true, &v));
    if (v->type != JSON_OBJECT && v->type != JSON_NULL)
        return error_new(x->arena, ERR_BAD_REQUEST, "failed to parse JSON input: the body must be an object");
    rq->data = v->type == JSON_OBJECT ? v : NULL;
    return NULL;
}

static bool is_write(enum op op)
{
    return op == OP_UPDATE || op == OP_PATCH;
}

static struct parsed body_step(struct exchange *x, struct request *rq, str query)
{
    if (rq->op == OP_PATCH) {
        str type;

        str_cut(exchange_header(x, STR("Content-Type")), ';', &type, &(str){0});
        if (!str_eq(str_trim(type), STR("application/merge-patch+json")))
            return refuse_with(error_new(
                x->arena, ERR_MEDIA_TYPE,
                "PATCH requires Content-Type of application/merge-patch+json, provided %.*s", PSTR(type)));
    }
    if (is_write(rq->op)) {
        if (x->body_too_large)
            return refuse(413, "error parsing JSON");
        struct error *e = body_parse(x, rq);

        return e ? refuse_with(e) : (struct parsed){0};
    }
    rq->data = pairs_parse(x->arena, query);
    if (rq->op == OP_LIST)
        json_unset(rq->data, STR("list")); /* it chose the operation */
    if (rq->data->n == 0 && !str_starts(rq->path, STR("sys/health")))
        rq->data = NULL;
    return (struct parsed){0};
}

/* ---- operation ---- */

static struct parsed op_step(struct exchange *x, struct request *rq, str query)
{
    struct json *q = pairs_parse(x->arena, query);
    const struct json *list = json_get(q, STR("list"));
    bool on = false;

    rq->op = OP_COUNT_;
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (str_eq(x->method, str_from_cstr(methods[i].method)))
            rq->op = methods[i].op;
    if (rq->op == OP_COUNT_)
        return refuse(405, NULL);
    if (rq->op == OP_READ && list) {
        str text = list->type == JSON_STRING ? list->text : list->items[0]->text;

        if (text.n > 0 && !parse_bool(text, &on))
            return refuse(400, NULL);
        if (on)
            rq->op = OP_LIST;
    }
    if (rq->op == OP_READ && json_get_str(q, STR("help")).n > 0)
        rq->op = OP_HELP;
    if (rq->op == OP_LIST && !str_ends(rq->path, STR("/")))
        rq->path = arena_join(x->arena, rq->path, STR("/"));
    return (struct parsed){0};
}

static struct parsed path_step(struct front *f, struct exchange *x, struct request *rq, str *ret_query)
{
    str raw, path;

    str_cut(x->target, '?', &raw, ret_query);
    if (!url_decode(x->arena, raw, false, &path))
        return refuse(400, NULL);
    if (!str_starts(path, STR("/v1/")))
        return refuse(404, NULL);
    str clean = path_clean(x->arena, path);

    if (!str_eq(clean, path)) {
        str location = url_encode_path(x->arena, clean);

        if (ret_query->n > 0)
            location = arena_fmt(x->arena, "%.*s?%.*s", PSTR(location), PSTR(*ret_query));
        return (struct parsed){.status = 301, .location = location};
    }
    if (memchr(path.p, 0, path.n) || (!f->config->disable_printable_check && !is_printable(path)))
        return (struct parsed){.status = 400, .empty = true};
    rq->path = str_from(path, 4);
    return (struct parsed){0};
}

struct parsed request_parse(struct front_call *fc)
{
    struct exchange *x = fc->exchange;
    struct request *rq = &fc->call.rq;
    str query;
    struct parsed p = path_step(fc->front, x, rq, &query);

    if (p.status == 0)
        p = op_step(x, rq, query);
    if (p.status)
        return p;
    struct error *e = headers_parse(x, rq);

    if (!e)
        e = forwarded_address(x, &rq->peer.remote_address);
    if (e)
        return refuse_with(e);
    rq->peer.remote_port = x->remote_port;
    rq->headers = x->headers;
    rq->n_headers = x->n_headers;
    rq->peer.client_cert_der = x->client_cert_der;
    rq->peer.metrics_open = x->listener && x->listener->unauthenticated_metrics_access;
    rq->peer.in_flight_open = x->listener && x->listener->unauthenticated_in_flight_access;
    return body_step(x, rq, query);
}
