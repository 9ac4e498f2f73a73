/* fields: what clients send, read as weakly as Vault's framework does, with its error texts. Bodies keep
 * numbers as text, so a number goes the way of a string. Only a field marked sensitive keeps its value out of
 * the error. */
#include "base/buf.h"
#include "config/hcl.h"
#include "core/route.h"

#include <assert.h>

enum { ERROR_VALUE_MAX = 4096, SORTED_MAX = 256 };

/* ---- how Go prints values and types ---- */

static void put_go_value(struct buf *b, const struct json *v);

static void put_go_object(struct buf *b, const struct json *v)
{
    const struct json_member *last = NULL;

    buf_put_str(b, STR("map["));
    for (uint32_t done = 0; done < v->n && !b->full;
         done++) { /* in order of keys, unless there are very many */
        const struct json_member *next = v->n > SORTED_MAX ? &v->members[done] : NULL;

        for (uint32_t i = 0; i < v->n && v->n <= SORTED_MAX; i++) {
            const struct json_member *m = &v->members[i];

            if ((!last || str_cmp(m->key, last->key) > 0) && (!next || str_cmp(m->key, next->key) < 0))
                next = m;
        }
        if (!next)
            break;
        if (last)
            buf_put_byte(b, ' ');
        buf_put_str(b, next->key);
        buf_put_byte(b, ':');
        put_go_value(b, next->value);
        last = next;
    }
    buf_put_byte(b, ']');
}

static void put_go_value(struct buf *b, const struct json *v)
{
    switch (v->type) {
    case JSON_NULL: buf_put_str(b, STR("<nil>")); break;
    case JSON_BOOL: buf_put_str(b, v->boolean ? STR("true") : STR("false")); break;
    case JSON_NUMBER:
    case JSON_STRING: buf_put_str(b, v->text); break;
    case JSON_OBJECT: put_go_object(b, v); break;
    case JSON_ARRAY:
        buf_put_byte(b, '[');
        for (uint32_t i = 0; i < v->n && !b->full; i++) {
            if (i)
                buf_put_byte(b, ' ');
            put_go_value(b, v->items[i]);
        }
        buf_put_byte(b, ']');
    }
}

static str go_value(struct arena *a, const struct json *v)
{
    struct buf b;

    buf_init(&b, a, ERROR_VALUE_MAX);
    put_go_value(&b, v);
    return buf_str(&b);
}

static const char *go_type(const struct json *v)
{
    static const char *const names[] = {"<nil>",  "bool",           "json.Number",
                                        "string", "[]interface {}", "map[string]interface {}"};

    return names[v->type];
}

static struct error *unconvertible(struct arena *a, const char *name, const char *wanted,
                                   const struct json *v)
{
    return error_new(a, ERR_BAD_REQUEST,
                     "'%s' expected type '%s', got unconvertible type '%s', value: '%.*s'", name, wanted,
                     go_type(v), PSTR(go_value(a, v)));
}

/* ---- one value ---- */

static bool is_scalar(const struct json *v)
{
    return v->type != JSON_ARRAY && v->type != JSON_OBJECT;
}

static str scalar_text(const struct json *v)
{
    if (v->type == JSON_NULL)
        return (str){0};
    if (v->type == JSON_BOOL)
        return v->boolean ? STR("1") : STR("0");
    return v->text;
}

static struct error *to_string(struct arena *a, const struct json *v, str *ret)
{
    if (!is_scalar(v))
        return unconvertible(a, "", "string", v);
    *ret = scalar_text(v);
    return NULL;
}

static bool is_digits(str s)
{
    if (str_starts(s, STR("-")) || str_starts(s, STR("+")))
        s = str_from(s, 1);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

static struct error *to_int(struct arena *a, const struct json *v, int64_t *ret)
{
    if (!is_scalar(v))
        return unconvertible(a, "", "int", v);
    str s = scalar_text(v);

    if (s.n == 0)
        s = STR("0");
    if (hcl_int_from_str(s, ret))
        return NULL;
    return error_new(a, ERR_BAD_REQUEST, "cannot parse '' as int: strconv.ParseInt: parsing \"%.*s\": %s",
                     PSTR(s), is_digits(s) ? "value out of range" : "invalid syntax");
}

static struct error *to_float(struct arena *a, const struct json *v, double *ret)
{
    if (!is_scalar(v))
        return unconvertible(a, "", "float64", v);
    str s = scalar_text(v);

    *ret = 0;
    if (s.n == 0 || str_parse_double(s, ret))
        return NULL;
    return error_new(a, ERR_BAD_REQUEST,
                     "cannot parse '' as float: strconv.ParseFloat: parsing \"%.*s\": invalid syntax",
                     PSTR(s));
}

static bool bool_from_str(str s, bool *ret)
{
    static const char *const words[2][6] = {{"0", "f", "F", "false", "FALSE", "False"},
                                            {"1", "t", "T", "true", "TRUE", "True"}};

    for (size_t i = 0; i < 12; i++)
        if (str_eq(s, str_from_cstr(words[i / 6][i % 6]))) {
            *ret = i / 6;
            return true;
        }
    return false;
}

static struct error *to_bool(struct arena *a, const struct json *v, bool *ret)
{
    if (!is_scalar(v))
        return unconvertible(a, "", "bool", v);
    str s = scalar_text(v);

    *ret = false;
    if (s.n == 0 || bool_from_str(s, ret))
        return NULL;
    return error_new(a, ERR_BAD_REQUEST,
                     "cannot parse '' as bool: strconv.ParseBool: parsing \"%.*s\": invalid syntax", PSTR(s));
}

/* Whole seconds, as Vault keeps them. */
static struct error *to_seconds(struct arena *a, const struct json *v, bool signed_ok, int64_t *ret_ns)
{
    int64_t ns = 0;

    if (v->type == JSON_STRING || v->type == JSON_NUMBER)
        TRY(duration_parse(a, v->text, &ns));
    else
        return error_new(a, ERR_BAD_REQUEST, "could not parse duration from input");
    if (ns < 0 && !signed_ok)
        return error_new(a, ERR_BAD_REQUEST, "cannot provide negative value '%lld'",
                         (long long)(ns / NS_PER_S));
    *ret_ns = ns - ns % NS_PER_S;
    return NULL;
}

static struct error *to_time(struct arena *a, const struct json *v, int64_t *ret_ns)
{
    int64_t s;

    *ret_ns = TIME_ZERO_NS;
    if (!is_scalar(v) || v->type == JSON_BOOL)
        return error_new(a, ERR_BAD_REQUEST, "could not parse time from input");
    if (v->text.n == 0 || time_parse(v->text, ret_ns))
        return NULL;
    if (!str_parse_i64(v->text, &s) || __builtin_mul_overflow(s, NS_PER_S, ret_ns))
        return error_new(a, ERR_BAD_REQUEST, "could not parse time \"%.*s\"", PSTR(v->text));
    return NULL;
}

static bool is_word(char c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name(str s)
{
    if (s.n == 0 || !is_word(s.p[0]) || !is_word(s.p[s.n - 1]))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (!is_word(s.p[i]) && s.p[i] != '-' && s.p[i] != '.')
            return false;
    return true;
}

/* ---- lists and maps ---- */

static struct error *strings_from_array(struct arena *a, const struct json *const *items, size_t n, str **ret,
                                        size_t *ret_n)
{
    str *v = ARENA_ARRAY(a, str, n), bad = {0};
    size_t n_bad = 0;

    for (size_t i = 0; i < n; i++) {
        if (is_scalar(items[i])) {
            v[i] = str_trim(scalar_text(items[i]));
        } else if (n_bad++ < 8) {
            const struct error *e = unconvertible(a, arena_fmt(a, "[%zu]", i).p, "string", items[i]);

            bad = arena_fmt(a, "%.*s\n* %.*s", PSTR(bad), PSTR(e->text));
        }
    }
    if (n_bad)
        return error_new(a, ERR_BAD_REQUEST, "%zu error(s) decoding:\n%.*s", n_bad, PSTR(bad));
    *ret = v;
    *ret_n = n;
    return NULL;
}

static void split_commas(struct arena *a, str s, str **ret, size_t *ret_n)
{
    size_t n = 1;
    str part;

    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == ',';
    str *v = ARENA_ARRAY(a, str, n);

    for (size_t i = 0; i < n; i++) {
        str_cut(s, ',', &part, &s);
        v[i] = str_trim(part);
    }
    *ret = v;
    *ret_n = n;
}

static struct error *to_strings(struct arena *a, const struct json *v, bool commas, str **ret, size_t *ret_n)
{
    *ret = NULL;
    *ret_n = 0;
    if (v->type == JSON_ARRAY)
        return strings_from_array(a, (const struct json *const *)v->items, v->n, ret, ret_n);
    if (v->type == JSON_NULL || (v->type == JSON_OBJECT && v->n == 0) ||
        (v->type == JSON_STRING && v->text.n == 0))
        return NULL;
    if (!commas || v->type == JSON_OBJECT)
        return strings_from_array(a, &v, 1, ret, ret_n);
    split_commas(a, scalar_text(v), ret, ret_n);
    return NULL;
}

/* Keys may come several times: json_unique() is the caller's. */
static struct error *to_map(struct arena *a, const char *name, const struct json *v, struct json **ret)
{
    if (v->type == JSON_OBJECT) {
        for (uint32_t i = 0; i < v->n; i++)
            json_add(a, *ret, v->members[i].key, v->members[i].value);
        return NULL;
    }
    if (v->type == JSON_ARRAY) {
        for (uint32_t i = 0; i < v->n; i++)
            TRY(to_map(a, arena_fmt(a, "%s[%u]", name, i).p, v->items[i], ret));
        return NULL;
    }
    if (v->type == JSON_NULL)
        return NULL;
    return error_new(a, ERR_BAD_REQUEST, "'%s' expected a map, got '%s'", name,
                     v->type == JSON_BOOL ? "bool" : "string");
}

/* A map whose values are scalars; else a list of "k=v". */
static struct error *to_kv(struct arena *a, const struct json *v, struct json **ret)
{
    struct json *map = json_object(a);
    str *pairs, key, value;
    size_t n;
    bool ok = to_map(a, "", v, &map) == NULL;

    json_unique(a, map);
    for (uint32_t i = 0; ok && i < map->n; i++) {
        ok = is_scalar(map->members[i].value);
        if (ok)
            map->members[i].value = json_string(a, scalar_text(map->members[i].value));
    }
    *ret = map;
    if (ok)
        return NULL;
    TRY(to_strings(a, v, false, &pairs, &n));
    *ret = json_object(a);
    for (size_t i = 0; i < n; i++) {
        if (!str_cut(pairs[i], '=', &key, &value) || key.n == 0)
            return error_new(a, ERR_BAD_REQUEST, "invalid key pair \"%.*s\"", PSTR(pairs[i]));
        json_add(a, *ret, key, json_string(a, value));
    }
    json_unique(a, *ret);
    return NULL;
}

/* ---- one field ---- */

static struct error *convert(struct arena *a, const struct json *v, struct field_value *out)
{
    struct json *map = NULL;

    switch (out->field->type) {
    case FT_STRING: return to_string(a, v, &out->s);
    case FT_LOWER:
        TRY(to_string(a, v, &out->s));
        out->s = arena_lower(a, out->s);
        return NULL;
    case FT_NAME:
        TRY(to_string(a, v, &out->s));
        return is_name(out->s) ? NULL : error_new(a, ERR_BAD_REQUEST, "field validation failed");
    case FT_INT: return to_int(a, v, &out->i);
    case FT_FLOAT: return to_float(a, v, &out->d);
    case FT_BOOL: return to_bool(a, v, &out->b);
    case FT_SECONDS:
    case FT_SIGNED_SECONDS: return to_seconds(a, v, out->field->type == FT_SIGNED_SECONDS, &out->i);
    case FT_TIME: return to_time(a, v, &out->i);
    case FT_STRINGS:
    case FT_LIST: return to_strings(a, v, out->field->type == FT_STRINGS, &out->list.items, &out->list.n);
    case FT_ANY: return NULL;
    case FT_KV: TRY(to_kv(a, v, &map)); break;
    case FT_MAP:
        if (v->type == JSON_OBJECT)
            return NULL;
        map = json_object(a);
        TRY(to_map(a, "", v, &map));
        json_unique(a, map);
        break;
    }
    out->raw = map;
    return NULL;
}

static bool writes(const struct request *rq)
{
    return rq->op == OP_CREATE || rq->op == OP_UPDATE;
}

static struct error *bad_field(struct request *rq, const struct field *f, const struct json *raw,
                               const struct error *e)
{
    const char *before = rq->route->exists && writes(rq) ? "" : "Field validation failed: ";

    if (f->type == FT_NAME && (f->flags & FIELD_PATH)) /* Vault's path patterns do not match then */
        return fail_wrapped(rq, ERR_NOT_FOUND, "unsupported path");
    if (f->flags & FIELD_SENSITIVE)
        return fail(rq, ERR_BAD_REQUEST, "%serror converting input for field \"%s\"", before, f->name);
    return fail(rq, ERR_BAD_REQUEST, "%serror converting input %.*s for field \"%s\": %.*s", before,
                PSTR(go_value(rq->arena, raw)), f->name, PSTR(e->text));
}

static struct error *parse_field(struct request *rq, struct field_value *v, const struct json *raw)
{
    const struct field *f = v->field;
    bool is_time = f->type == FT_SECONDS || f->type == FT_SIGNED_SECONDS || f->type == FT_TIME;

    if (raw && !(is_time && raw->type == JSON_NULL)) { /* null is no time: as if it were not given */
        v->raw = raw;
        const struct error *e = convert(rq->arena, raw, v);

        return e ? bad_field(rq, f, raw, e) : NULL;
    }
    if ((f->flags & FIELD_REQUIRED) && writes(rq))
        return fail(rq, ERR_BAD_REQUEST, "missing %s", f->name);
    if (f->type == FT_TIME)
        v->i = TIME_ZERO_NS;
    if (f->dflt) {
        struct json text = {.type = JSON_STRING, .text = str_from_cstr(f->dflt)};
        const struct error *e = convert(rq->arena, &text, v);

        assert(!e && "a default that is no value of its field");
        v->raw = NULL;
    }
    return NULL;
}

static bool takes_anything(const struct request *rq)
{
    const struct route_op *op = &rq->route->ops[rq->op];

    if (rq->op == OP_CREATE && !op->fn)
        op = &rq->route->ops[OP_UPDATE];
    return (rq->route->flags | op->flags) & ROUTE_RAW_BODY;
}

static struct field_value *value_of(const struct request *rq, str name)
{
    for (size_t i = 0; i < rq->n_fields; i++)
        if (str_eq(str_from_cstr(rq->fields[i].field->name), name))
            return &rq->fields[i];
    return NULL;
}

struct error *fields_parse(struct request *rq)
{
    const struct field *fields = rq->route->fields;
    const struct json *body = takes_anything(rq) ? NULL : rq->data;
    str template = str_from_cstr(rq->route->path);
    struct route_segment s;
    size_t n = 0, param = 0;

    while (fields && fields[n].name)
        n++;
    rq->fields = ARENA_ARRAY(rq->arena, struct field_value, n);
    rq->n_fields = n;
    for (size_t i = 0; i < n; i++)
        rq->fields[i].field = &fields[i];
    while (route_next_segment(&template, &s)) {
        if (s.kind == SEGMENT_LITERAL)
            continue;
        struct field_value *v = value_of(rq, s.text);
        str value = rq->params[param++];

        if (v)
            TRY(parse_field(rq, v, json_string(rq->arena, value)));
    }
    for (size_t i = 0; i < n; i++)
        if (!rq->fields[i].raw)
            TRY(parse_field(rq, &rq->fields[i], json_get(body, str_from_cstr(fields[i].name))));
    return NULL;
}

/* ---- warnings ---- */

static bool is_param(const struct route *r, str name)
{
    str template = str_from_cstr(r->path);
    struct route_segment s;

    while (route_next_segment(&template, &s))
        if (s.kind != SEGMENT_LITERAL && str_eq(s.text, name))
            return true;
    return false;
}

static void add_sorted(struct request *rq, str **names, size_t *n, str name)
{
    size_t i = *n;

    *names = arena_grow(rq->arena, *names, *n * sizeof(str), (*n + 1) * sizeof(str));
    for (; i > 0 && str_cmp((*names)[i - 1], name) > 0; i--)
        (*names)[i] = (*names)[i - 1];
    (*names)[i] = name;
    ++*n;
}

static void warn_names(struct request *rq, struct response *rs, const char *what, const str *names, size_t n)
{
    str text = {0};

    for (size_t i = 0; i < n; i++)
        text = arena_fmt(rq->arena, "%.*s%s%.*s", PSTR(text), i ? " " : "", PSTR(names[i]));
    if (n)
        response_warn(rq, rs, "%s: [%.*s]", what, PSTR(text));
}

void fields_warn(struct request *rq, struct response *rs)
{
    enum { NAMES_MAX = 100 };
    const struct json *body = rq->data;
    str *ignored = NULL, *replaced = NULL;
    size_t n_ignored = 0, n_replaced = 0;

    if (!body || (!rs->data && !rs->auth && !rs->n_warnings))
        return;
    bool anything = takes_anything(rq);

    for (uint32_t i = 0; i < body->n && n_ignored + n_replaced < NAMES_MAX; i++) {
        str name = body->members[i].key;

        if (!anything && !value_of(rq, name))
            add_sorted(rq, &ignored, &n_ignored, name);
        if (body->members[i].value->type != JSON_NULL && is_param(rq->route, name))
            add_sorted(rq, &replaced, &n_replaced, name);
    }
    warn_names(rq, rs, "Endpoint ignored these unrecognized parameters", ignored, n_ignored);
    warn_names(
        rq, rs,
        "Endpoint replaced the value of these parameters with the values captured from the endpoint's path",
        replaced, n_replaced);
}
