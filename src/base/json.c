/* The tree: making, changing, reading, comparing. The parser is json_parse.c, the writer json_write.c. */
#include "base/json.h"

#include <assert.h>
#include <stdlib.h>

static struct json *json_new(struct arena *a, enum json_type type)
{
    struct json *v = ARENA_NEW(a, struct json);
    v->type = type;
    return v;
}

struct json *json_null(struct arena *a)
{
    return json_new(a, JSON_NULL);
}

struct json *json_bool(struct arena *a, bool b)
{
    struct json *v = json_new(a, JSON_BOOL);
    v->boolean = b;
    return v;
}

struct json *json_int(struct arena *a, int64_t i)
{
    char digits[20];
    size_t at = sizeof(digits);
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    do {
        digits[--at] = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (i < 0)
        digits[--at] = '-';
    return json_number(a, arena_str(a, (str){digits + at, sizeof(digits) - at}));
}

struct json *json_number(struct arena *a, str digits)
{
    struct json *v = json_new(a, JSON_NUMBER);
    v->text = digits;
    return v;
}

struct json *json_string(struct arena *a, str s)
{
    struct json *v = json_new(a, JSON_STRING);
    v->text = s;
    return v;
}

struct json *json_array(struct arena *a)
{
    return json_new(a, JSON_ARRAY);
}

struct json *json_object(struct arena *a)
{
    return json_new(a, JSON_OBJECT);
}

struct json *json_object_ordered(struct arena *a)
{
    struct json *v = json_object(a);
    v->ordered = true;
    return v;
}

struct json *json_strings(struct arena *a, const str *v, size_t n)
{
    struct json *array = json_array(a);
    for (size_t i = 0; i < n; i++)
        json_append(a, array, json_string(a, v[i]));
    return array;
}

/* Room for one more element of `size` bytes. */
static void *json_grow(struct arena *a, struct json *v, void *p, size_t size)
{
    if (v->n < v->cap)
        return p;
    uint32_t cap;
    if (__builtin_mul_overflow(v->cap, 2U, &cap))
        abort(); /* far above every limit */
    cap = MAX(cap, 4U);
    p = arena_grow(a, p, v->cap * size, cap * size);
    v->cap = cap;
    return p;
}

void json_append(struct arena *a, struct json *array, struct json *v)
{
    assert(array->type == JSON_ARRAY);
    array->items = json_grow(a, array, array->items, sizeof(*array->items));
    array->items[array->n++] = v;
}

static struct json_member *json_member(const struct json *object, str key)
{
    if (!object || object->type != JSON_OBJECT)
        return NULL;
    for (uint32_t i = 0; i < object->n; i++)
        if (str_eq(object->members[i].key, key))
            return &object->members[i];
    return NULL;
}

void json_add(struct arena *a, struct json *object, str key, struct json *v)
{
    assert(object->type == JSON_OBJECT);
    object->members = json_grow(a, object, object->members, sizeof(*object->members));
    object->members[object->n++] = (struct json_member){key, v};
}

void json_set(struct arena *a, struct json *object, str key, struct json *v)
{
    struct json_member *m = json_member(object, key);
    if (m)
        m->value = v;
    else
        json_add(a, object, key, v);
}

void json_set_str(struct arena *a, struct json *object, str key, str s)
{
    json_set(a, object, key, json_string(a, s));
}

void json_set_int(struct arena *a, struct json *object, str key, int64_t v)
{
    json_set(a, object, key, json_int(a, v));
}

void json_set_bool(struct arena *a, struct json *object, str key, bool v)
{
    json_set(a, object, key, json_bool(a, v));
}

void json_unset(struct json *object, str key)
{
    struct json_member *m = json_member(object, key);
    if (!m)
        return;
    object->n--;
    memmove(m, m + 1, (size_t)(object->members + object->n - m) * sizeof(*m));
}

struct json *json_copy(struct arena *a, const struct json *v)
{
    if (!v)
        return NULL;
    struct json *copy = json_new(a, v->type);
    *copy = *v;
    switch (v->type) {
    case JSON_NUMBER:
    case JSON_STRING: copy->text = arena_str(a, v->text); break;
    case JSON_ARRAY:
        copy->cap = v->n;
        copy->items = ARENA_ARRAY(a, struct json *, v->n);
        for (uint32_t i = 0; i < v->n; i++)
            copy->items[i] = json_copy(a, v->items[i]);
        break;
    case JSON_OBJECT:
        copy->cap = v->n;
        copy->members = ARENA_ARRAY(a, struct json_member, v->n);
        for (uint32_t i = 0; i < v->n; i++)
            copy->members[i] =
                (struct json_member){arena_str(a, v->members[i].key), json_copy(a, v->members[i].value)};
        break;
    case JSON_NULL:
    case JSON_BOOL: break;
    }
    return copy;
}

struct json *json_get(const struct json *object, str key)
{
    struct json_member *m = json_member(object, key);
    return m ? m->value : NULL;
}

struct json *json_get_nocase(const struct json *object, str key)
{
    struct json *v = json_get(object, key);
    if (v || !object || object->type != JSON_OBJECT)
        return v;
    for (uint32_t i = 0; i < object->n; i++)
        if (str_eq_nocase(object->members[i].key, key))
            return object->members[i].value;
    return NULL;
}

str json_get_str(const struct json *object, str key)
{
    const struct json *v = json_get(object, key);
    return v && v->type == JSON_STRING ? v->text : (str){0};
}

double json_get_double(const struct json *object, str key)
{
    const struct json *v = json_get(object, key);
    double d = 0;
    return v && v->type == JSON_NUMBER && str_parse_double(v->text, &d) ? d : 0;
}

int64_t json_get_int(const struct json *object, str key)
{
    const struct json *v = json_get(object, key);
    int64_t i = 0;
    if (!v || (v->type != JSON_NUMBER && v->type != JSON_STRING))
        return 0;
    if (str_parse_i64(v->text, &i) || v->type == JSON_STRING)
        return i;
    double d = json_get_double(object, key); /* a fraction or an exponent */
    return d > -0x1p63 && d < 0x1p63 ? (int64_t)d : 0;
}

bool json_get_bool(const struct json *object, str key)
{
    const struct json *v = json_get(object, key);
    return v && v->type == JSON_BOOL && v->boolean;
}

bool json_is_null(const struct json *v)
{
    return !v || v->type == JSON_NULL;
}

static bool json_members_eq(const struct json *x, const struct json *y)
{
    for (uint32_t i = 0; i < x->n; i++) {
        const struct json_member *m = &x->members[i], *same = &y->members[i];
        const struct json *other = str_eq(m->key, same->key) ? same->value : json_get(y, m->key);
        if (!other || !json_eq(m->value, other))
            return false;
    }
    return true;
}

bool json_eq(const struct json *x, const struct json *y)
{
    if (!x || !y || x->type != y->type)
        return x == y;
    switch (x->type) {
    case JSON_NULL: break;
    case JSON_BOOL: return x->boolean == y->boolean;
    case JSON_NUMBER:
    case JSON_STRING: return str_eq(x->text, y->text);
    case JSON_ARRAY:
        for (uint32_t i = 0; x->n == y->n && i < x->n; i++)
            if (!json_eq(x->items[i], y->items[i]))
                return false;
        return x->n == y->n;
    case JSON_OBJECT: return x->n == y->n && json_members_eq(x, y);
    }
    return true;
}

struct json *json_double(struct arena *a, double v)
{
    str text;
    double back;
    for (int digits = 1;; digits++) {
        text = arena_fmt(a, "%.*g", digits, v);
        if (digits == 17 || (str_parse_double(text, &back) && back == v))
            break;
    }
    if (str_index(text, 'e') < text.n && v < 1e15 && v > -1e15 && v == (double)(int64_t)v)
        return json_int(a, (int64_t)v);
    return json_number(a, text);
}
