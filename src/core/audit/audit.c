/* audit: lines for every device of the set, and their way out. */
#include "core/audit/audit.h"

#include "base/log.h"
#include "base/metrics.h"
#include "base/rand.h"
#include "core/audit/audit_private.h"
#include "core/stored.h"
#include "core/token/token.h"

#include <assert.h>

enum { LINE_BYTES_FIRST = 2048 };

/* ---- making lines ---- */

typedef void format_fn(struct audit_line *l, const struct audit_event *e, const struct audit_hashes *h,
                       str client_id);

static bytes make_line(struct arena *a, const struct audit_set *set, size_t device,
                       const struct audit_event *e, const struct audit_hashes *h, str client_id,
                       format_fn *format)
{
    struct audit_device *d = set->devices[device];
    struct audit_line l = {.device = d, .set = set};

    buf_init(&l.out, a, AUDIT_LINE_BYTES_MAX);
    buf_extend(&l.out, LINE_BYTES_FIRST); /* room for a usual line in one piece */
    l.out.n = 0;
    if (!d->jsonx) {
        buf_put_str(&l.out, d->prefix);
        format(&l, e, h, client_id);
        buf_put_byte(&l.out, '\n');
        return l.out.full ? (bytes){0} : buf_bytes(&l.out);
    }
    struct buf x;

    format(&l, e, h, client_id);
    buf_init(&x, a, AUDIT_LINE_BYTES_MAX);
    buf_put_str(&x, d->prefix);
    audit_put_jsonx(&x, a, buf_str(&l.out));
    return x.full || l.out.full ? (bytes){0} : buf_bytes(&x);
}

static struct audit_hashes make_hashes(struct arena *a, struct audit_device *d, const struct request *rq)
{
    struct audit_hashes h = {0};
    str token = rq->token ? rq->token->id : rq->client_token;

    if (!d->log_raw && token.n)
        h.token = audit_hash(a, d, token);
    if (!d->log_raw && d->hmac_accessor && rq->token && rq->token->accessor.n)
        h.accessor = audit_hash(a, d, rq->token->accessor);
    return h;
}

static void make(struct arena *a, struct audit_set *set, const struct audit_event *e, format_fn *format,
                 struct audit_lines *ret)
{
    const struct request *rq = e->rq;
    const struct audit_lines *before = e->request_lines;

    *ret = (struct audit_lines){.set = set, .n = set->n, .client_id = rq->client_id};
    ret->lines = ARENA_ARRAY(a, bytes, set->n);
    if (before && before->set == set) {
        ret->hashes = before->hashes;
        ret->client_id = before->client_id;
    } else {
        ret->hashes = ARENA_ARRAY(a, struct audit_hashes, set->n);
        for (size_t i = 0; i < set->n; i++)
            ret->hashes[i] = make_hashes(a, set->devices[i], rq);
        if (rq->client_id.n == 0 && rq->token)
            ret->client_id = audit_client_id(a, rq->token);
    }
    for (size_t i = 0; i < set->n; i++)
        ret->lines[i] = make_line(a, set, i, e, &ret->hashes[i], ret->client_id, format);
}

void audit_make_request(struct arena *a, struct audit_set *set, const struct audit_event *e,
                        struct audit_lines *ret)
{
    make(a, set, e, audit_format_request, ret);
}

void audit_make_response(struct arena *a, struct audit_set *set, const struct audit_event *e,
                         struct audit_lines *ret)
{
    make(a, set, e, audit_format_response, ret);
    ret->are_responses = true;
}

/* ---- writing ---- */

static bool device_write(struct arena *scratch, struct audit_device *d, const bytes *entries, size_t n)
{
    const struct error *e = d->ops->write(d->handle, scratch, entries, n);

    if (e)
        log_error("audit", "backend failed to log request", F_STR("backend", d->path),
                  F_STR("error", error_log_text(scratch, e)));
    return !e;
}

/* Every line of a batch took as long as the batch. */
static void measure(const uint16_t metrics[2], const struct audit_lines *const *lines, size_t n, int64_t ns)
{
    size_t responses = 0;

    for (size_t i = 0; i < n; i++)
        responses += lines[i]->are_responses;
    if (n > responses)
        metric_time(metrics[0], ns, n - responses);
    if (responses > 0)
        metric_time(metrics[1], ns, responses);
}

static void measure_all(const struct audit_lines *const *lines, size_t n, int64_t ns, bool taken)
{
    static const uint16_t all[2] = {METRIC_AUDIT_REQUEST, METRIC_AUDIT_RESPONSE};
    size_t responses = 0;

    for (size_t i = 0; i < n; i++)
        responses += lines[i]->are_responses;
    measure(all, lines, n, ns);
    metric_count(METRIC_AUDIT_REQUEST_FAILURE, taken ? 0 : n - responses);
    metric_count(METRIC_AUDIT_RESPONSE_FAILURE, taken ? 0 : responses);
}

bool audit_write(struct arena *scratch, struct audit_set *set, const struct audit_lines *const *lines,
                 size_t n)
{
    if (audit_set_is_empty(set) || n == 0)
        return true;
    int64_t begun_ns = clock_mono_ns(clock_real()), before_ns = begun_ns, now_ns = begun_ns;
    bool taken = false;

    for (size_t i = 0; i < set->n; i++) {
        bytes *entries = ARENA_ARRAY(scratch, bytes, n);
        bool made = true; /* all lines: none was too large */

        for (size_t k = 0; k < n; k++) {
            assert(lines[k]->set == set && lines[k]->n == set->n);
            entries[k] = lines[k]->lines[i];
            made = made && entries[k].p;
        }
        if (made && device_write(scratch, set->devices[i], entries, n))
            taken = true;
        now_ns = clock_mono_ns(clock_real());
        measure(set->devices[i]->metrics, lines, n, now_ns - before_ns);
        before_ns = now_ns;
    }
    measure_all(lines, n, now_ns - begun_ns, taken);
    return taken;
}

void audit_reopen(struct audit_set *set)
{
    for (size_t i = 0; set && i < set->n; i++) {
        struct audit_device *d = set->devices[i];

        if (!d->ops->reopen)
            continue;
        log_info("audit", "reloading file audit backend", F_STR("path", d->path));
        d->ops->reopen(d->handle);
    }
}

/* ---- activation ---- */

static struct error *salt_of(struct view *v, struct arena *a, const struct json *entry, str *ret)
{
    str path = arena_fmt(a, "%.*s/salt", PSTR(json_get_str(entry, STR("uuid"))));
    bytes stored;

    TRY(view_get(v, path, &stored));
    if (stored.n) {
        *ret = str_from_bytes(stored);
        return NULL;
    }
    *ret = rng_uuid_str(rng_system(), a);
    return view_put(v, path, bytes_from_str(*ret));
}

static struct error *open_table(struct txn *t, struct arena *a, str name, struct audit_set **set,
                                size_t *entries)
{
    struct view core = txn_view(t, SPACE_CORE), salts = txn_view(t, SPACE_AUDIT);
    struct json *table, *list;

    TRY(stored_table_load(&core, name, a, &table));
    if (!table) {
        table = json_object_ordered(a);
        json_set_str(a, table, STR("type"), STR("audit"));
        json_set(a, table, STR("entries"), json_null(a));
        return stored_table_save(&core, name, table);
    }
    list = json_get(table, STR("entries"));
    for (uint32_t i = 0; list && list->type == JSON_ARRAY && i < list->n; i++) {
        const struct json *entry = list->items[i];
        struct audit_device *d;
        str salt;

        ++*entries;
        TRY(salt_of(&salts, a, entry, &salt));
        const struct error *e = audit_device_new(a, entry, salt, &d);

        if (e) {
            log_error("core", "failed to create audit entry", F_STR("path", json_get_str(entry, STR("path"))),
                      F_STR("error", error_log_text(a, e)));
            continue;
        }
        struct audit_set *more = audit_set_changed(*set, d, (str){0});

        audit_set_unref(*set);
        *set = more;
    }
    return NULL;
}

static struct error *open_headers(struct txn *t, struct audit_set **set)
{
    struct view sys = txn_view(t, SPACE_SYS);
    struct json *headers;

    TRY(view_get_json(&sys, AUDITED_HEADERS_PATH, &headers));
    if (!headers)
        return NULL;
    struct audit_set *more = audit_set_with_headers(*set, headers);

    audit_set_unref(*set);
    *set = more;
    return NULL;
}

struct error *audit_open(struct txn *t, struct arena *a, struct audit_set **ret)
{
    struct audit_set *set = audit_set_changed(NULL, NULL, (str){0});
    size_t entries = 0;
    struct error *e = open_table(t, a, STR("audit"), &set, &entries);

    if (!e)
        e = open_table(t, a, STR("local-audit"), &set, &entries);
    if (!e)
        e = open_headers(t, &set);
    if (!e && entries && set->n == 0)
        e = error_new(a, ERR_INTERNAL, "failed to setup audit table");
    if (e) {
        audit_set_unref(set);
        return e;
    }
    *ret = set;
    return NULL;
}
