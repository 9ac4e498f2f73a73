/* The parser. Recursive, with a limit on the depth. Members and items are collected on one stack of the
 * parser and copied to their place when their object or array is complete, so that the arena holds each list
 * once and in its right size.
 */
#include "base/json.h"

#include <assert.h>
#include <stdlib.h>

struct parser {
    struct arena *arena;
    const char *p, *end;
    struct json_member *stack;
    size_t stack_n, stack_cap;
    uint32_t depth, nodes;
    struct json_limits limits;
    bool decoder; /* errors at the end of the text as Go's Decoder has them, not its Unmarshal */
    bool began;
};

static struct error *parse_value(struct parser *ps, struct json **ret_value);

static COLD struct error *err_eof(struct parser *ps)
{
    const char *text = !ps->decoder ? "unexpected end of JSON input" : ps->began ? "unexpected EOF" : "EOF";
    return error_new(ps->arena, ERR_BAD_REQUEST, "%s", text);
}

/* The character as Go quotes it: the byte is taken for a code point. */
static str quote_char(struct arena *a, uint8_t c)
{
    static const char names[] = "abtnvfr"; /* 7 .. 13 */
    if (c == '\'' || c == '\\')
        return arena_fmt(a, "'\\%c'", c);
    if (c >= 7 && c <= 13)
        return arena_fmt(a, "'\\%c'", names[c - 7]);
    if (c < 0x20 || c == 0x7f)
        return arena_fmt(a, "'\\x%02x'", c);
    if (c < 0x7f)
        return arena_fmt(a, "'%c'", c);
    if (c <= 0xa0 || c == 0xad)
        return arena_fmt(a, "'\\u%04x'", c);
    return arena_fmt(a, "'%c%c'", 0xc0 | c >> 6, 0x80 | (c & 0x3f));
}

/* Error at the present place: `where` is Go's description of what was expected. */
static COLD struct error *err_char(struct parser *ps, const char *where)
{
    if (ps->p >= ps->end)
        return err_eof(ps);
    str c = quote_char(ps->arena, (uint8_t)*ps->p);
    return error_new(ps->arena, ERR_BAD_REQUEST, "invalid character %.*s %s", PSTR(c), where);
}

static void skip_space(struct parser *ps)
{
    while (ps->p < ps->end && (*ps->p == ' ' || *ps->p == '\n' || *ps->p == '\r' || *ps->p == '\t'))
        ps->p++;
}

static struct error *node_new(struct parser *ps, enum json_type type, struct json **ret)
{
    if (++ps->nodes > ps->limits.nodes_max || arena_is_over(ps->arena))
        return error_new(ps->arena, ERR_TOO_LARGE, "JSON input too large");
    *ret = ARENA_NEW(ps->arena, struct json);
    (*ret)->type = type;
    return NULL;
}

static void stack_push(struct parser *ps, str key, struct json *value)
{
    if (ps->stack_n == ps->stack_cap) {
        size_t cap = MAX(2 * ps->stack_cap, 32);
        ps->stack =
            arena_grow(ps->arena, ps->stack, ps->stack_cap * sizeof(*ps->stack), cap * sizeof(*ps->stack));
        ps->stack_cap = cap;
    }
    ps->stack[ps->stack_n++] = (struct json_member){key, value};
}

static bool is_digit(const struct parser *ps)
{
    return ps->p < ps->end && *ps->p >= '0' && *ps->p <= '9';
}

static struct error *skip_digits(struct parser *ps, const char *where)
{
    if (!is_digit(ps))
        return err_char(ps, where);
    while (is_digit(ps))
        ps->p++;
    return NULL;
}

static struct error *parse_number(struct parser *ps, struct json *v)
{
    const char *start = ps->p;
    if (*ps->p == '-')
        ps->p++;
    if (ps->p < ps->end && *ps->p == '0')
        ps->p++;
    else
        TRY(skip_digits(ps, "in numeric literal"));
    if (ps->p < ps->end && *ps->p == '.') {
        ps->p++;
        TRY(skip_digits(ps, "after decimal point in numeric literal"));
    }
    if (ps->p < ps->end && (*ps->p == 'e' || *ps->p == 'E')) {
        ps->p++;
        if (ps->p < ps->end && (*ps->p == '+' || *ps->p == '-'))
            ps->p++;
        TRY(skip_digits(ps, "in exponent of numeric literal"));
    }
    v->text = (str){start, (size_t)(ps->p - start)};
    return NULL;
}

static struct error *parse_literal(struct parser *ps, const char *word)
{
    for (const char *w = word; *w; w++, ps->p++)
        if (ps->p >= ps->end || *ps->p != *w)
            return err_char(ps, arena_fmt(ps->arena, "in literal %s (expecting '%c')", word, *w).p);
    return NULL;
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

/* Checks the escape behind a backslash and steps over it. */
static struct error *skip_escape(struct parser *ps)
{
    ps->p++;
    if (ps->p >= ps->end || !memchr("\"\\/bfnrtu", *ps->p, 9))
        return err_char(ps, "in string escape code");
    if (*ps->p++ != 'u')
        return NULL;
    for (int i = 0; i < 4; i++, ps->p++)
        if (ps->p >= ps->end || hex_value(*ps->p) < 0)
            return err_char(ps, "in \\u hexadecimal character escape");
    return NULL;
}

/* Four hex digits at p, which skip_escape has checked; -1 when p is no \u escape. */
static int32_t unicode_escape(const char *p, const char *end)
{
    int32_t c = 0;
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
        return -1;
    for (int i = 2; i < 6; i++)
        c = c << 4 | hex_value(p[i]);
    return c;
}

static char *put_utf8(char *out, int32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3f));
        *out++ = (char)(0x80 | (c >> 6 & 0x3f));
        *out++ = (char)(0x80 | (c & 0x3f));
    }
    return out;
}

/* The escape at p; steps p over it (and over the second half of a surrogate pair). */
static char *put_escape(char *out, const char **p, const char *end)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    int32_t c = unicode_escape(*p, end);
    if (c < 0) {
        char e = (*p)[1];
        const char *at = strchr(from, e);
        *p += 2;
        *out++ = at ? to[at - from] : e;
        return out;
    }
    *p += 6;
    if (c >= 0xd800 && c < 0xe000) {
        int32_t low = c < 0xdc00 ? unicode_escape(*p, end) : -1;
        if (low >= 0xdc00 && low < 0xe000) {
            *p += 6;
            return put_utf8(out, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
        }
        c = 0xfffd;
    }
    return put_utf8(out, c);
}

/* The text between the quotes, with escapes resolved and `bad` bytes that are no UTF-8 replaced. */
static str string_unescape(struct arena *a, const char *p, const char *end, size_t bad)
{
    char *start = arena_alloc(a, (size_t)(end - p) + 2 * bad + 1), *out = start;
    while (p < end) {
        size_t n;
        if (*p == '\\') {
            out = put_escape(out, &p, end);
        } else if ((n = str_utf8_len((str){p, (size_t)(end - p)}))) {
            memcpy(out, p, n);
            out += n;
            p += n;
        } else {
            out = put_utf8(out, 0xfffd);
            p++;
        }
    }
    return (str){start, (size_t)(out - start)};
}

/* At the opening quote. A string without escapes stays where it is, in the text. */
static struct error *parse_string(struct parser *ps, str *ret)
{
    const char *start = ++ps->p;
    bool escapes = false;
    size_t bad = 0;
    for (;;) {
        while (ps->p < ps->end && (uint8_t)*ps->p >= 0x20 && (uint8_t)*ps->p < 0x80 && *ps->p != '"' &&
               *ps->p != '\\')
            ps->p++;
        if (ps->p >= ps->end)
            return err_eof(ps);
        if (*ps->p == '"')
            break;
        if (*ps->p == '\\') {
            escapes = true;
            TRY(skip_escape(ps));
        } else if ((uint8_t)*ps->p < 0x20) {
            return err_char(ps, "in string literal");
        } else {
            size_t n = str_utf8_len((str){ps->p, (size_t)(ps->end - ps->p)});
            bad += n == 0;
            ps->p += MAX(n, 1);
        }
    }
    *ret = escapes || bad ? string_unescape(ps->arena, start, ps->p, bad)
                          : (str){start, (size_t)(ps->p - start)};
    ps->p++;
    return NULL;
}

static struct error *parse_array(struct parser *ps, struct json *v)
{
    size_t base = ps->stack_n;
    ps->p++;
    skip_space(ps);
    if (ps->p < ps->end && *ps->p == ']') {
        ps->p++;
        return NULL;
    }
    for (;;) {
        struct json *item = NULL;
        TRY(parse_value(ps, &item));
        stack_push(ps, (str){0}, item);
        skip_space(ps);
        if (ps->p < ps->end && *ps->p == ',') {
            ps->p++;
            continue;
        }
        if (ps->p >= ps->end || *ps->p != ']')
            return err_char(ps, "after array element");
        ps->p++;
        break;
    }
    v->n = v->cap = (uint32_t)(ps->stack_n - base);
    v->items = arena_alloc(ps->arena, v->n * sizeof(*v->items));
    for (uint32_t i = 0; i < v->n; i++)
        v->items[i] = ps->stack[base + i].value;
    ps->stack_n = base;
    return NULL;
}

static int member_cmp(const void *x, const void *y)
{
    const struct json_member *const *a = x, *const *b = y;
    int c = str_cmp((*a)->key, (*b)->key);
    return c ? c : (*a > *b) - (*a < *b);
}

/* Of members with the same key the last value wins, in the first one's place. Returns how many are left. */
static size_t members_unique(struct arena *a, struct json_member *m, size_t n)
{
    enum { SMALL = 24 };
    struct json_member *small[SMALL], **sorted = n <= SMALL ? small : arena_alloc(a, n * sizeof(*sorted));
    for (size_t i = 0; i < n; i++)
        sorted[i] = &m[i];
    if (n <= SMALL) {
        for (size_t i = 1; i < n; i++)
            for (size_t k = i; k > 0 && member_cmp(&sorted[k - 1], &sorted[k]) > 0; k--) {
                struct json_member *swap = sorted[k];
                sorted[k] = sorted[k - 1];
                sorted[k - 1] = swap;
            }
    } else {
        qsort(sorted, n, sizeof(*sorted), member_cmp);
    }
    size_t dropped = 0;
    for (size_t i = 0, first = 0; i + 1 < n; i++) {
        if (!str_eq(sorted[first]->key, sorted[i + 1]->key)) {
            first = i + 1;
            continue;
        }
        sorted[first]->value = sorted[i + 1]->value;
        sorted[i + 1]->value = NULL;
        dropped++;
    }
    size_t left = 0;
    for (size_t i = 0; dropped && i < n; i++)
        if (m[i].value)
            m[left++] = m[i];
    return n - dropped;
}

void json_unique(struct arena *a, struct json *object)
{
    assert(object->type == JSON_OBJECT);
    object->n = (uint32_t)members_unique(a, object->members, object->n);
}

/* Members that come in strictly ascending order, as our own writer and Go's write them, need no search. */
static bool members_ascend(const struct json_member *m, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (str_cmp(m[i - 1].key, m[i].key) >= 0)
            return false;
    return true;
}

static struct error *parse_member(struct parser *ps)
{
    str key;
    skip_space(ps);
    if (ps->p >= ps->end || *ps->p != '"')
        return err_char(ps, "looking for beginning of object key string");
    TRY(parse_string(ps, &key));
    skip_space(ps);
    if (ps->p >= ps->end || *ps->p != ':')
        return err_char(ps, "after object key");
    ps->p++;
    struct json *value = NULL;
    TRY(parse_value(ps, &value));
    stack_push(ps, key, value);
    return NULL;
}

static struct error *parse_object(struct parser *ps, struct json *v)
{
    size_t base = ps->stack_n;
    ps->p++;
    skip_space(ps);
    if (ps->p < ps->end && *ps->p == '}') {
        ps->p++;
        return NULL;
    }
    for (;;) {
        TRY(parse_member(ps));
        skip_space(ps);
        if (ps->p < ps->end && *ps->p == ',') {
            ps->p++;
            continue;
        }
        if (ps->p >= ps->end || *ps->p != '}')
            return err_char(ps, "after object key:value pair");
        ps->p++;
        break;
    }
    size_t n = ps->stack_n - base;
    if (!members_ascend(ps->stack + base, n))
        n = members_unique(ps->arena, ps->stack + base, n);
    v->n = v->cap = (uint32_t)n;
    v->members = arena_copy(ps->arena, ps->stack + base, n * sizeof(*v->members));
    ps->stack_n = base;
    return NULL;
}

static struct error *parse_nested(struct parser *ps, enum json_type type, struct json **ret_value)
{
    if (ps->depth >= ps->limits.depth_max)
        return error_new(ps->arena, ERR_TOO_LARGE, "exceeded max depth");
    ps->depth++;
    TRY(node_new(ps, type, ret_value));
    TRY(type == JSON_ARRAY ? parse_array(ps, *ret_value) : parse_object(ps, *ret_value));
    ps->depth--;
    return NULL;
}

static struct error *parse_value(struct parser *ps, struct json **ret_value)
{
    skip_space(ps);
    if (ps->p >= ps->end)
        return err_eof(ps);
    ps->began = true;
    switch (*ps->p) {
    case '{': return parse_nested(ps, JSON_OBJECT, ret_value);
    case '[': return parse_nested(ps, JSON_ARRAY, ret_value);
    case '"': TRY(node_new(ps, JSON_STRING, ret_value)); return parse_string(ps, &(*ret_value)->text);
    case 't':
    case 'f':
        TRY(node_new(ps, JSON_BOOL, ret_value));
        (*ret_value)->boolean = *ps->p == 't';
        return parse_literal(ps, *ps->p == 't' ? "true" : "false");
    case 'n': TRY(node_new(ps, JSON_NULL, ret_value)); return parse_literal(ps, "null");
    default: break;
    }
    if (*ps->p != '-' && !is_digit(ps))
        return err_char(ps, "looking for beginning of value");
    TRY(node_new(ps, JSON_NUMBER, ret_value));
    return parse_number(ps, *ret_value);
}

struct error *json_parse_limited(struct arena *a, str text, bool trailing_ok, struct json_limits limits,
                                 struct json **ret_value)
{
    const char *p = text.n ? text.p : "";
    struct parser ps = {.arena = a, .p = p, .end = p + text.n, .limits = limits, .decoder = trailing_ok};
    struct json *value = NULL;
    TRY(parse_value(&ps, &value));
    skip_space(&ps);
    if (!trailing_ok && ps.p < ps.end)
        return err_char(&ps, "after top-level value");
    *ret_value = value;
    return NULL;
}

struct error *json_parse(struct arena *a, str text, bool trailing_ok, struct json **ret_value)
{
    return json_parse_limited(a, text, trailing_ok, (struct json_limits){JSON_DEPTH_MAX, JSON_NODES_MAX},
                              ret_value);
}
