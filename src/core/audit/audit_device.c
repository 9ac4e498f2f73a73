/* audit_device: a device as the table describes it, and sets of devices. */
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "core/audit/audit_private.h"

#include <stdatomic.h>
#include <stdlib.h>

/* ---- options ---- */

static str option(const struct json *entry, const char *name, bool *ret_given)
{
    const struct json *v = json_get(json_get(entry, STR("options")), str_from_cstr(name));

    *ret_given = v && v->type == JSON_STRING;
    return *ret_given ? v->text : (str){0};
}

static struct error *bool_option(struct arena *a, const struct json *entry, const char *name, bool *ret)
{
    static const char *const words[] = {"0", "f", "F", "false", "FALSE", "False",
                                        "1", "t", "T", "true",  "TRUE",  "True"};
    bool given;
    str text = option(entry, name, &given);

    if (!given)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_eq(text, str_from_cstr(words[i]))) {
            *ret = i >= COUNT_OF(words) / 2;
            return NULL;
        }
    return error_new(a, ERR_BAD_REQUEST, "strconv.ParseBool: parsing \"%.*s\": invalid syntax", PSTR(text));
}

static struct error *read_options(struct arena *a, const struct json *entry, struct audit_device *d)
{
    bool given;
    str format = option(entry, "format", &given);

    if (given && !str_eq(format, STR("json")) && !str_eq(format, STR("jsonx")))
        return error_new(a, ERR_BAD_REQUEST, "unknown format type \"%.*s\"", PSTR(format));
    d->jsonx = str_eq(format, STR("jsonx"));
    d->hmac_accessor = true;
    TRY(bool_option(a, entry, "hmac_accessor", &d->hmac_accessor));
    TRY(bool_option(a, entry, "log_raw", &d->log_raw));
    TRY(bool_option(a, entry, "elide_list_responses", &d->elide_lists));
    d->prefix = arena_str(d->arena, option(entry, "prefix", &given));
    return NULL;
}

/* ---- devices ---- */

static struct error *device_open(struct arena *a, const struct json *entry, struct audit_device *d)
{
    const struct json *options = json_get(entry, STR("options"));

    d->ops = audit_device_find(d->type);
    if (!d->ops)
        return error_new(a, ERR_BAD_REQUEST, "unknown backend type: \"%.*s\"", PSTR(d->type));
    TRY(read_options(a, entry, d));
    return d->ops->open(a, json_is_null(options) ? json_object(a) : options, &d->handle);
}

struct error *audit_device_new(struct arena *a, const struct json *entry, str salt, struct audit_device **ret)
{
    struct arena *arena = arena_new(0);
    struct audit_device *d = ARENA_NEW(arena, struct audit_device);

    atomic_init(&d->refs, 1);
    d->arena = arena;
    d->path = arena_str(arena, json_get_str(entry, STR("path")));
    d->type = arena_str(arena, json_get_str(entry, STR("type")));
    struct error *e = device_open(a, entry, d);

    if (e) {
        arena_free(arena);
        return e;
    }
    d->key = hmac_key_new(bytes_from_str(salt));
    d->metrics[0] = metric_id(METRIC_SAMPLE, arena_fmt(a, "audit.%.*s.log_request", PSTR(d->path)), NULL, 0);
    d->metrics[1] = metric_id(METRIC_SAMPLE, arena_fmt(a, "audit.%.*s.log_response", PSTR(d->path)), NULL, 0);
    *ret = d;
    return NULL;
}

void audit_device_unref(struct audit_device *d)
{
    if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
        return;
    d->ops->close(d->handle);
    hmac_key_free(d->key);
    arena_free(d->arena);
}

struct error *audit_device_test(struct arena *a, struct audit_device *d, str id, int64_t time_ns)
{
    struct audit_set *set = audit_set_changed(NULL, d, (str){0});
    struct request rq = {.arena = a, .id = id, .op = OP_UPDATE, .path = STR("sys/audit/test")};
    struct audit_event event = {.rq = &rq, .time_ns = time_ns};
    struct audit_lines lines;

    audit_make_request(a, set, &event, &lines);
    struct error *e = d->ops->write(d->handle, a, lines.lines, 1);

    free(set); /* the reference on the device stays the caller's */
    if (e)
        return error_new(a, ERR_BAD_REQUEST, "audit backend failed test message: %.*s", PSTR(e->text));
    return NULL;
}

/* ---- sets ---- */

static struct audit_set *set_new(size_t devices)
{
    struct audit_set *s = calloc(1, sizeof *s + devices * sizeof(struct audit_device *));

    if (!s)
        die("out of memory");
    atomic_init(&s->refs, 1);
    return s;
}

static void set_add(struct audit_set *s, struct audit_device *d)
{
    atomic_fetch_add(&d->refs, 1);
    s->devices[s->n++] = d;
}

static void set_headers(struct audit_set *s, const struct audited_header *v, size_t n)
{
    if (n == 0)
        return;
    s->arena = arena_new(0);
    s->headers = ARENA_ARRAY(s->arena, struct audited_header, n);
    for (; s->n_headers < n; s->n_headers++)
        s->headers[s->n_headers] =
            (struct audited_header){arena_str(s->arena, v[s->n_headers].name), v[s->n_headers].hmac};
}

struct audit_set *audit_set_changed(const struct audit_set *s, struct audit_device *own_more, str without)
{
    size_t n = s ? s->n : 0;
    struct audit_set *new = set_new(n + 1);

    for (size_t i = 0; i < n; i++)
        if (!str_eq(s->devices[i]->path, without))
            set_add(new, s->devices[i]);
    if (own_more)
        new->devices[new->n++] = own_more;
    if (s)
        set_headers(new, s->headers, s->n_headers);
    return new;
}

static int by_name(const void *x, const void *y)
{
    const struct audited_header *a = x, *b = y;

    return str_cmp(a->name, b->name);
}

struct audit_set *audit_set_with_headers(const struct audit_set *s, const struct json *headers)
{
    struct audit_set *new = set_new(s->n);
    struct arena *scratch = arena_new(0);
    size_t n = headers && headers->type == JSON_OBJECT ? headers->n : 0;
    struct audited_header *v = ARENA_ARRAY(scratch, struct audited_header, n);

    for (size_t i = 0; i < n; i++)
        v[i] = (struct audited_header){headers->members[i].key,
                                       json_get_bool(headers->members[i].value, STR("hmac"))};
    if (n > 1)
        qsort(v, n, sizeof *v, by_name);
    for (size_t i = 0; i < s->n; i++)
        set_add(new, s->devices[i]);
    set_headers(new, v, n);
    arena_free(scratch);
    return new;
}

struct audit_device *audit_set_find(const struct audit_set *s, str path)
{
    for (size_t i = 0; s && i < s->n; i++)
        if (str_eq(s->devices[i]->path, path))
            return s->devices[i];
    return NULL;
}

struct audit_set *audit_set_ref(struct audit_set *s)
{
    if (s)
        atomic_fetch_add(&s->refs, 1);
    return s;
}

void audit_set_unref(struct audit_set *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    for (size_t i = 0; i < s->n; i++)
        audit_device_unref(s->devices[i]);
    arena_free(s->arena);
    free(s);
}

bool audit_set_is_empty(const struct audit_set *s)
{
    return !s || s->n == 0;
}
