#include "core/cors.h"

#include "core/active_private.h"
#include "core/sys/sys.h"

#define CORS_PATH STR("config/cors")

/* What every client of the API may have to send. */
static const char *const standard_headers[] = {
    "Content-Type",
    "X-Requested-With",
    "X-Vault-AWS-IAM-Server-ID",
    "X-Vault-MFA",
    "X-Vault-No-Request-Forwarding",
    "X-Vault-Wrap-Format",
    "X-Vault-Wrap-TTL",
    "X-Vault-Policy-Override",
    "Authorization",
    "X-Vault-Token",
};

/* ---- in memory ---- */

struct cors { /* immutable, with the arena it lives in; none: off */
    struct arena *arena;
    const struct json *origins; /* a list of texts */
    str headers;
};

static void cors_free(void *arg)
{
    struct cors *cors = arg;

    if (cors)
        arena_free(cors->arena);
}

static bool is_on(const struct json *stored)
{
    return json_get_int(stored, STR("enabled")) == 1;
}

static struct cors *cors_new(const struct json *stored)
{
    struct arena *a = arena_new(0);
    struct cors *cors = ARENA_NEW(a, struct cors);
    const struct json *headers = json_get(stored, STR("allowed_headers"));
    struct buf b;

    cors->arena = a;
    cors->origins = is_on(stored) ? json_get(json_copy(a, stored), STR("allowed_origins")) : NULL;
    buf_init(&b, a, SIZE_MAX);
    for (uint32_t i = 0; headers && headers->type == JSON_ARRAY && i < headers->n; i++) {
        if (headers->items[i]->type != JSON_STRING)
            continue;
        if (b.n)
            buf_put_byte(&b, ',');
        buf_put_str(&b, headers->items[i]->text);
    }
    cors->headers = buf_str(&b);
    return cors;
}

static void publish(struct active *active, void *arg)
{
    struct core *c = active->core;
    struct cors *old;

    mutex_lock(&c->cors_mutex);
    old = c->cors;
    c->cors = arg;
    mutex_unlock(&c->cors_mutex);
    cors_free(old);
}

void core_cors_init(struct core *c)
{
    mutex_init(&c->cors_mutex);
}

void core_cors_done(struct core *c)
{
    cors_free(TAKE(c->cors));
    mutex_done(&c->cors_mutex);
}

static bool is_among(const struct json *origins, str origin)
{
    bool found = false;

    if (origins->type != JSON_ARRAY)
        return false;
    for (uint32_t i = 0; i < origins->n; i++) {
        const struct json *o = origins->items[i];

        found = found || (o->type == JSON_STRING &&
                          (str_eq(o->text, origin) || (origins->n == 1 && str_eq(o->text, STR("*")))));
    }
    return found;
}

enum cors_verdict core_cors(struct core *c, struct arena *a, str origin, str *ret_headers)
{
    enum cors_verdict verdict = CORS_OFF;

    mutex_lock(&c->cors_mutex);
    if (c->cors && c->cors->origins) {
        verdict = is_among(c->cors->origins, origin) ? CORS_ALLOWED : CORS_REFUSED;
        if (verdict == CORS_ALLOWED)
            *ret_headers = arena_str(a, c->cors->headers);
    }
    mutex_unlock(&c->cors_mutex);
    return verdict;
}

/* ---- stored ---- */

static struct error *load(struct request *rq, struct json **ret)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);

    return view_get_json(&v, CORS_PATH, ret);
}

struct error *core_cors_open(struct request *rq)
{
    struct json *stored;

    TRY(load(rq, &stored));
    txn_on_commit(rq->txn, publish, cors_free, cors_new(stored));
    return NULL;
}

static struct error *save(struct request *rq, bool on, struct json *origins, struct json *headers)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);
    struct json *stored;

    TRY(load(rq, &stored));
    if (!stored || stored->type != JSON_OBJECT)
        stored = json_object_ordered(rq->arena);
    json_set_int(rq->arena, stored, STR("enabled"), on);
    json_unset(stored, STR("allowed_origins"));
    json_unset(stored, STR("allowed_headers"));
    if (on) {
        json_set(rq->arena, stored, STR("allowed_origins"), origins);
        json_set(rq->arena, stored, STR("allowed_headers"), headers);
    }
    TRY(view_put_json(&v, CORS_PATH, stored));
    txn_on_commit(rq->txn, publish, cors_free, cors_new(stored));
    return NULL;
}

/* ---- routes ---- */

static struct error *cors_read(struct request *rq, struct response *rs)
{
    static const str shown[] = {{"allowed_origins", 15}, {"allowed_headers", 15}};
    struct json *stored, *data = response_data(rq, rs);

    TRY(load(rq, &stored));
    json_set_bool(rq->arena, data, STR("enabled"), is_on(stored));
    for (size_t i = 0; is_on(stored) && i < COUNT_OF(shown); i++) {
        struct json *list = json_get(stored, shown[i]);

        json_set(rq->arena, data, shown[i], list ? list : json_null(rq->arena));
    }
    return NULL;
}

/* It must not end the header it is sent in. */
static bool is_one_line(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return false;
    return true;
}

static struct error *cors_write(struct request *rq, struct response *rs)
{
    size_t n, n_headers;
    const str *origins = field_strs(rq, "allowed_origins", &n);
    const str *more = field_strs(rq, "allowed_headers", &n_headers);
    struct json *headers = json_array(rq->arena);

    (void)rs;
    if (n == 0)
        return fail_wrapped(rq, ERR_INTERNAL, "at least one origin or the wildcard must be provided");
    for (size_t i = 0; n > 1 && i < n; i++)
        if (str_eq(origins[i], STR("*")))
            return fail_wrapped(rq, ERR_INTERNAL,
                                "to allow all origins the '*' must be the only value for allowed_origins");
    for (size_t i = 0; i < COUNT_OF(standard_headers); i++)
        json_append(rq->arena, headers, json_string(rq->arena, str_from_cstr(standard_headers[i])));
    for (size_t i = 0; i < n_headers; i++) {
        if (!is_one_line(more[i]))
            return fail(rq, ERR_BAD_REQUEST, "allowed_headers: a name of a header has no control characters");
        json_append(rq->arena, headers, json_string(rq->arena, more[i]));
    }
    return save(rq, true, json_strings(rq->arena, origins, n), headers);
}

static struct error *cors_delete(struct request *rq, struct response *rs)
{
    (void)rs;
    return save(rq, false, NULL, NULL);
}

static const struct field cors_fields[] = {
    {"enable", FT_BOOL, FIELD_DEPRECATED, .help = "Not looked at: writing turns it on, deleting off."},
    {"allowed_origins", FT_STRINGS, .help = "Origins whose pages may use the API; `*` alone: all."},
    {"allowed_headers", FT_STRINGS, .help = "Request headers they may send besides those of the API."},
    {0},
};

const struct route sys_cors_routes[] = {
    {"config/cors", cors_fields,
     .ops = {[OP_READ] = {cors_read, ROUTE_SUDO, "Shows the setting."},
             [OP_UPDATE] = {cors_write, ROUTE_SUDO, "Turns it on for some origins."},
             [OP_DELETE] = {cors_delete, ROUTE_SUDO, "Turns it off."}},
     .flags = ROUTE_TOP_LEVEL, .help = "Pages of which other origins may use the API (CORS)."},
    {0},
};
