/* The writer. Its escapes are those of Go's encoding/json with HTML escaping on. */
#include "base/json.h"

#include <stdlib.h>

enum { SORT_ON_STACK_MAX = 64 };

/* True for the ASCII characters that stand for themselves: not controls and not "&<>\. */
static bool is_plain(uint8_t c)
{
    static const uint64_t plain[4] = {0xafffffbb00000000, 0xffffffffefffffff, 0, 0};

    return plain[c >> 6] >> (c & 63) & 1;
}

static void put_ascii_escape(struct buf *out, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    switch (c) {
    case '"': buf_put(out, "\\\"", 2); return;
    case '\\': buf_put(out, "\\\\", 2); return;
    case '\n': buf_put(out, "\\n", 2); return;
    case '\r': buf_put(out, "\\r", 2); return;
    case '\t': buf_put(out, "\\t", 2); return;
    default: break;
    }
    char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    buf_put(out, text, sizeof(text));
}

void json_write_string(struct buf *out, str s)
{
    size_t from = 0, i = 0;
    buf_put_byte(out, '"');
    while (i < s.n) {
        while (i < s.n && is_plain((uint8_t)s.p[i]))
            i++;
        if (i == s.n)
            break;
        size_t n = str_utf8_len(str_from(s, i));
        bool separator =
            n == 3 && memcmp(s.p + i, "\xe2\x80", 2) == 0 && ((uint8_t)s.p[i + 2] & 0xfe) == 0xa8;
        if (n > 1 && !separator) {
            i += n;
            continue;
        }
        buf_put_str(out, str_slice(s, from, i));
        if (n == 1)
            put_ascii_escape(out, (uint8_t)s.p[i]);
        else if (separator)
            buf_put_str(out, (uint8_t)s.p[i + 2] == 0xa8 ? STR("\\u2028") : STR("\\u2029"));
        else
            buf_put_str(out, STR("\\ufffd"));
        i += MAX(n, 1);
        from = i;
    }
    buf_put_str(out, str_from(s, from));
    buf_put_byte(out, '"');
}

static void put_newline(struct buf *out, int indent, int level)
{
    if (indent < 0)
        return;
    buf_put_byte(out, '\n');
    for (int i = 0; i < indent * level; i++)
        buf_put_byte(out, ' ');
}

static int member_cmp(const void *x, const void *y)
{
    const struct json_member *const *a = x, *const *b = y;
    return str_cmp((*a)->key, (*b)->key);
}

static bool is_sorted(const struct json *v)
{
    for (uint32_t i = 1; i < v->n; i++)
        if (str_cmp(v->members[i - 1].key, v->members[i].key) > 0)
            return false;
    return true;
}

/* Fills `list` with the members in the order of their keys. */
static void sort_members(const struct json *v, const struct json_member **list)
{
    for (uint32_t i = 0; i < v->n; i++)
        list[i] = &v->members[i];
    if (v->n > SORT_ON_STACK_MAX) {
        qsort(list, v->n, sizeof(const struct json_member *), member_cmp);
        return;
    }
    for (uint32_t i = 1; i < v->n; i++)
        for (uint32_t k = i; k > 0 && str_cmp(list[k - 1]->key, list[k]->key) > 0; k--) {
            const struct json_member *swap = list[k];
            list[k] = list[k - 1];
            list[k - 1] = swap;
        }
}

static void write_value(struct buf *out, const struct json *v, int indent, int level);

static void write_object(struct buf *out, const struct json *v, int indent, int level)
{
    const struct json_member *small[SORT_ON_STACK_MAX], **list = NULL;
    if (!v->ordered && !is_sorted(v)) {
        list = v->n <= SORT_ON_STACK_MAX ? small : ARENA_ARRAY(out->arena, const struct json_member *, v->n);
        sort_members(v, list);
    }
    buf_put_byte(out, '{');
    for (uint32_t i = 0; i < v->n; i++) {
        const struct json_member *m = list ? list[i] : &v->members[i];
        if (i)
            buf_put_byte(out, ',');
        put_newline(out, indent, level + 1);
        json_write_string(out, m->key);
        buf_put_byte(out, ':');
        if (indent >= 0)
            buf_put_byte(out, ' ');
        write_value(out, m->value, indent, level + 1);
    }
    if (v->n)
        put_newline(out, indent, level);
    buf_put_byte(out, '}');
}

static void write_array(struct buf *out, const struct json *v, int indent, int level)
{
    buf_put_byte(out, '[');
    for (uint32_t i = 0; i < v->n; i++) {
        if (i)
            buf_put_byte(out, ',');
        put_newline(out, indent, level + 1);
        write_value(out, v->items[i], indent, level + 1);
    }
    if (v->n)
        put_newline(out, indent, level);
    buf_put_byte(out, ']');
}

static void write_value(struct buf *out, const struct json *v, int indent, int level)
{
    switch (v ? v->type : JSON_NULL) {
    case JSON_NULL: buf_put_str(out, STR("null")); break;
    case JSON_BOOL: buf_put_str(out, v->boolean ? STR("true") : STR("false")); break;
    case JSON_NUMBER: buf_put_str(out, v->text); break;
    case JSON_STRING: json_write_string(out, v->text); break;
    case JSON_ARRAY: write_array(out, v, indent, level); break;
    case JSON_OBJECT: write_object(out, v, indent, level); break;
    }
}

void json_write(struct buf *out, const struct json *v)
{
    write_value(out, v, -1, 0);
}

void json_write_indented(struct buf *out, const struct json *v, int indent)
{
    write_value(out, v, indent, 0);
}

str json_text(struct arena *a, const struct json *v)
{
    struct buf out;
    buf_init(&out, a, SIZE_MAX / 4);
    json_write(&out, v);
    return buf_str(&out);
}
