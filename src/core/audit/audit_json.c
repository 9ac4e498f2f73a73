/* audit_json: entries are written straight into the line's buffer; values inside data are hashed on the way.
 */
#include "core/audit/audit_private.h"

#include <stdlib.h>

enum { STACK_MEMBERS = 32 };

static const str hash_prefix = {"hmac-sha256:", 12};

void audit_put_key(struct audit_line *l, str key)
{
    size_t comma = l->comma;
    uint8_t *p = buf_extend(&l->out, comma + (key.n ? key.n + 3 : 0));

    l->comma = true;
    if (!p)
        return;
    if (comma)
        *p++ = ',';
    if (key.n == 0)
        return;
    *p++ = '"';
    memcpy(p, key.p, key.n);
    memcpy(p + key.n, "\":", 2);
}

void audit_open_object(struct audit_line *l, str key)
{
    audit_put_key(l, key);
    buf_put_byte(&l->out, '{');
    l->comma = false;
}

void audit_close_object(struct audit_line *l)
{
    buf_put_byte(&l->out, '}');
    l->comma = true;
}

void audit_omit_str(struct audit_line *l, str key, str value)
{
    if (value.n == 0)
        return;
    audit_put_key(l, key);
    json_write_string(&l->out, value);
}

void audit_omit_int(struct audit_line *l, str key, int64_t value)
{
    if (value == 0)
        return;
    audit_put_key(l, key);
    if (value < 0)
        buf_put_byte(&l->out, '-');
    buf_put_u64(&l->out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void audit_omit_bool(struct audit_line *l, str key, bool value)
{
    if (!value)
        return;
    audit_put_key(l, key);
    buf_put_str(&l->out, STR("true"));
}

void audit_omit_strs(struct audit_line *l, str key, const str *v, size_t n)
{
    if (n == 0)
        return;
    audit_put_key(l, key);
    for (size_t i = 0; i < n; i++) {
        buf_put_byte(&l->out, i ? ',' : '[');
        json_write_string(&l->out, v[i]);
    }
    buf_put_byte(&l->out, ']');
}

str audit_hash(struct arena *a, struct audit_device *d, str value)
{
    char *p = arena_alloc(a, AUDIT_HASH_BYTES);

    memcpy(p, hash_prefix.p, hash_prefix.n);
    hmac_sha256_hex(p + hash_prefix.n, d->key, bytes_from_str(value));
    return (str){p, AUDIT_HASH_BYTES};
}

void audit_put_hash(struct audit_line *l, str value)
{
    char hex[2 * HMAC_SHA256_BYTES];

    hmac_sha256_hex(hex, l->device->key, bytes_from_str(value));
    buf_put_byte(&l->out, '"');
    buf_put_str(&l->out, hash_prefix);
    buf_put(&l->out, hex, sizeof hex);
    buf_put_byte(&l->out, '"');
}

void audit_put_secret(struct audit_line *l, str value)
{
    if (l->device->log_raw)
        json_write_string(&l->out, value);
    else
        audit_put_hash(l, value);
}

/* ---- data ---- */

struct walk {
    const struct audit_data *how;
    bool plain;   /* the innermost key above is exempt */
    bool numbers; /* are hashed */
    bool top;     /* directly in data */
};

static void put_value(struct audit_line *l, const struct json *v, struct walk w);

static bool is_plain_key(const struct audit_data *how, str key)
{
    for (size_t i = 0; i < how->n_plain_keys; i++)
        if (str_eq(how->plain_keys[i], key))
            return true;
    return false;
}

static bool is_clients(const struct audit_data *how, str key)
{
    for (const struct field *f = how->from; f && f->name; f++)
        if ((f->type == FT_ANY || f->type == FT_MAP || f->type == FT_KV) &&
            str_eq(str_from_cstr(f->name), key))
            return true;
    return false;
}

static int by_key(const void *x, const void *y)
{
    const struct json_member *const *a = x, *const *b = y;

    return str_cmp((*a)->key, (*b)->key);
}

static bool elided(const struct walk *w, str key, const struct json *v)
{
    if (!w->top || !w->how->elide_lists)
        return false;
    return (v->type == JSON_ARRAY && str_eq(key, STR("keys"))) ||
           (v->type == JSON_OBJECT && str_eq(key, STR("key_info")));
}

static void put_object(struct audit_line *l, const struct json *v, struct walk w)
{
    const struct json_member *few[STACK_MEMBERS], **m = few;

    if (v->n > STACK_MEMBERS)
        m = ARENA_ARRAY(l->out.arena, const struct json_member *, v->n);
    for (uint32_t i = 0; i < v->n; i++)
        m[i] = &v->members[i];
    if (v->n > 1)
        qsort(m, v->n, sizeof *m, by_key);
    buf_put_byte(&l->out, '{');
    for (uint32_t i = 0; i < v->n; i++) {
        struct walk below = {w.how, is_plain_key(w.how, m[i]->key),
                             w.numbers || (w.top && is_clients(w.how, m[i]->key)), false};

        if (i)
            buf_put_byte(&l->out, ',');
        json_write_string(&l->out, m[i]->key);
        buf_put_byte(&l->out, ':');
        if (elided(&w, m[i]->key, m[i]->value))
            buf_put_u64(&l->out, m[i]->value->n);
        else
            put_value(l, m[i]->value, below);
    }
    buf_put_byte(&l->out, '}');
}

static void put_value(struct audit_line *l, const struct json *v, struct walk w)
{
    bool clear = w.plain || l->device->log_raw;

    w.numbers = w.numbers || v->sensitive;
    switch (v->type) {
    case JSON_OBJECT: put_object(l, v, w); break;
    case JSON_ARRAY:
        buf_put_byte(&l->out, '[');
        for (uint32_t i = 0; i < v->n; i++) {
            if (i)
                buf_put_byte(&l->out, ',');
            put_value(l, v->items[i], w);
        }
        buf_put_byte(&l->out, ']');
        break;
    case JSON_STRING:
        if (clear)
            json_write_string(&l->out, v->text);
        else
            audit_put_hash(l, v->text);
        break;
    case JSON_NUMBER:
        if (clear || !w.numbers)
            buf_put_str(&l->out, v->text);
        else
            audit_put_hash(l, v->text);
        break;
    case JSON_BOOL:
    case JSON_NULL: json_write(&l->out, v); break;
    }
}

void audit_put_data(struct audit_line *l, const struct json *object, const struct audit_data *how)
{
    if (!object || object->type != JSON_OBJECT || object->n == 0)
        return;
    audit_put_key(l, STR("data"));
    put_value(l, object, (struct walk){.how = how, .numbers = how->hash_numbers, .top = true});
}
