#include "cli/render.h"

#include "base/clock.h"

#include <stdlib.h>

enum { TEXT_BYTES_MAX = 96 * 1024 * 1024 };

static int str_cmp_ptr(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

void strings_sort(str *v, size_t n)
{
    qsort(v, n, sizeof(str), str_cmp_ptr);
}

str *keys_sorted(struct arena *a, const struct json *object)
{
    str *keys = ARENA_ARRAY(a, str, object->n + 1);
    for (uint32_t i = 0; i < object->n; i++)
        keys[i] = object->members[i].key;
    strings_sort(keys, object->n);
    return keys;
}

static void value_put(struct buf *b, const struct json *v)
{
    if (json_is_null(v)) {
        buf_put_str(b, STR("<nil>"));
        return;
    }
    switch (v->type) {
    case JSON_NULL: break;
    case JSON_BOOL: buf_put_str(b, v->boolean ? STR("true") : STR("false")); break;
    case JSON_NUMBER:
    case JSON_STRING: buf_put_str(b, v->text); break;
    case JSON_ARRAY:
        buf_put_byte(b, '[');
        for (uint32_t i = 0; i < v->n; i++) {
            if (i)
                buf_put_byte(b, ' ');
            value_put(b, v->items[i]);
        }
        buf_put_byte(b, ']');
        break;
    case JSON_OBJECT: {
        str *keys = keys_sorted(b->arena, v);
        buf_put_str(b, STR("map["));
        for (uint32_t i = 0; i < v->n; i++) {
            if (i)
                buf_put_byte(b, ' ');
            buf_put_str(b, keys[i]);
            buf_put_byte(b, ':');
            value_put(b, json_get(v, keys[i]));
        }
        buf_put_byte(b, ']');
        break;
    }
    }
}

str value_text(struct arena *a, const struct json *v)
{
    struct buf b;
    buf_init(&b, a, TEXT_BYTES_MAX);
    value_put(&b, v);
    return buf_str(&b);
}

str strings_quoted(struct arena *a, const struct json *v)
{
    struct buf b;
    buf_init(&b, a, TEXT_BYTES_MAX);
    buf_put_byte(&b, '[');
    for (uint32_t i = 0; v && v->type == JSON_ARRAY && i < v->n; i++) {
        if (i)
            buf_put_byte(&b, ' ');
        json_write(&b, v->items[i]);
    }
    buf_put_byte(&b, ']');
    return buf_str(&b);
}

str duration_human(struct arena *a, int64_t seconds)
{
    int64_t ns;
    if (__builtin_mul_overflow(seconds, NS_PER_S, &ns))
        return arena_fmt(a, "%llds", (long long)seconds);
    str s = duration_format(a, ns);
    if (str_ends(s, STR("m0s")))
        s.n -= 2;
    if (str_ends(s, STR("h0m")))
        s.n -= 2;
    return s;
}

static bool key_is_duration(str key)
{
    static const char *const whole[] = {"period", "ttl", "duration", "lease_max", "ttl_max"};
    static const char *const suffixes[] = {"_period", "_ttl", "_duration"};
    for (size_t i = 0; i < COUNT_OF(whole); i++)
        if (str_eq(key, str_from_cstr(whole[i])))
            return true;
    for (size_t i = 0; i < COUNT_OF(suffixes); i++)
        if (str_ends(key, str_from_cstr(suffixes[i])))
            return true;
    return false;
}

str member_text(struct arena *a, str key, const struct json *v)
{
    int64_t seconds;
    if (v && v->type == JSON_NUMBER && key_is_duration(key) && str_parse_i64(v->text, &seconds))
        return duration_human(a, seconds);
    return value_text(a, v);
}

void table_init(struct table *t, struct arena *a, size_t columns)
{
    *t = (struct table){.arena = a, .columns = columns};
}

void table_row(struct table *t, const str *cells)
{
    size_t n = t->rows * t->columns;
    t->cells = arena_grow(t->arena, t->cells, n * sizeof(str), (n + t->columns) * sizeof(str));
    for (size_t i = 0; i < t->columns; i++) {
        str cell = str_trim(cells[i]);
        t->cells[n + i] = cell.n ? cell : STR("n/a");
    }
    t->rows++;
}

void table_pair(struct table *t, str key, str value)
{
    const str cells[] = {key, value};
    table_row(t, cells);
}

static size_t chars(str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static void row_write(struct buf *out, const struct table *t, const str *cells, const size_t *widths)
{
    for (size_t i = 0; i < t->columns; i++) {
        buf_put_str(out, cells[i]);
        size_t pad = i + 1 == t->columns ? 0 : widths[i] + 4 - MIN(chars(cells[i]), widths[i]);
        for (; pad; pad--)
            buf_put_byte(out, ' ');
    }
    buf_put_byte(out, '\n');
}

void table_write(struct buf *out, const struct table *t, bool header)
{
    static const char line[] = "------------------------------------------------";
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < t->rows * t->columns; i++)
        widths[i % t->columns] = MAX(widths[i % t->columns], t->cells[i].n);
    for (size_t r = 0; r < t->rows; r++) {
        row_write(out, t, t->cells + r * t->columns, widths);
        if (r || !header)
            continue;
        str dashes[TABLE_COLUMNS_MAX];
        for (size_t i = 0; i < t->columns; i++)
            dashes[i] = str_slice(str_from_cstr(line), 0, t->cells[i].n);
        row_write(out, t, dashes, widths);
    }
}

void wrapped_write(struct buf *out, str text, size_t width, const char *indent)
{
    size_t column = 0;
    for (str word; text.n;) {
        size_t end = 0;
        while (end < text.n && text.p[end] != ' ' && text.p[end] != '\n')
            end++;
        bool line_end = end < text.n && text.p[end] == '\n';
        word = str_slice(text, 0, end);
        text = str_from(text, end + 1);
        if (column && column + 1 + word.n > width) {
            buf_put_byte(out, '\n');
            column = 0;
        }
        buf_put_str(out, column ? STR(" ") : str_from_cstr(indent));
        buf_put_str(out, word);
        column += word.n + (column != 0);
        if (line_end) {
            buf_put_byte(out, '\n');
            column = 0;
        }
    }
    if (column)
        buf_put_byte(out, '\n');
}
