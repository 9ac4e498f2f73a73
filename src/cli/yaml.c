#include "cli/yaml.h"

#include "base/clock.h"
#include "cli/render.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What a scalar's text allows, by the rules for plain, single-quoted and literal scalars of YAML 1.1 (chapter
 * 9). */
struct scalar {
    bool plain, single, literal;
};

static bool is_blank(char c)
{
    return c == ' ';
}

/* Printable by YAML's c-printable, of valid UTF-8: everything but C0 and C1 controls, DEL and U+FEFF. */
static bool is_special(str s, size_t i)
{
    unsigned char c = (unsigned char)s.p[i];
    unsigned char next = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;
    return (c < 0x20 && c != '\n') || c == 0x7f || (c == 0xc2 && next < 0xa0) ||
           str_starts(str_from(s, i), STR("\xef\xbb\xbf"));
}

/* An indicator that cannot stand at position i of a plain scalar. */
static bool is_indicator(str s, size_t i)
{
    char c = s.p[i];
    bool blank_after = i + 1 == s.n || is_blank(s.p[i + 1]) || s.p[i + 1] == '\n';
    bool blank_before = i > 0 && (is_blank(s.p[i - 1]) || s.p[i - 1] == '\n');
    if (i == 0)
        return strchr("#,[]{}&*!|>'\"%@`", c) || (strchr("?:-", c) && blank_after);
    return (c == ':' && blank_after) || (c == '#' && blank_before);
}

static struct scalar scalar_of(str s)
{
    struct scalar r = {true, true, true};
    if (str_starts(s, STR("---")) || str_starts(s, STR("...")))
        r.plain = false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        char next = i + 1 < s.n ? s.p[i + 1] : 0;
        if (is_indicator(s, i) || c == '\n')
            r.plain = false;
        if (is_special(s, i) || (is_blank(c) && next == '\n'))
            r = (struct scalar){0};
        if (c == '\n' && is_blank(next))
            r.plain = r.single = false;
    }
    if (s.n && (is_blank(s.p[0]) || is_blank(s.p[s.n - 1])))
        r.plain = false;
    if (s.n && is_blank(s.p[s.n - 1]))
        r.literal = false;
    return r;
}

static bool is_word(str s)
{
    static const char *const words[] = {
        "",     "~",    "null", "Null", "NULL",  "y",     "Y",     "yes",   "Yes",   "YES",
        "on",   "On",   "ON",   "n",    "N",     "no",    "No",    "NO",    "off",   "Off",
        "OFF",  "<<",   "true", "True", "TRUE",  "false", "False", "FALSE", ".nan",  ".NaN",
        ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_eq(s, str_from_cstr(words[i])))
            return true;
    return false;
}

static bool all_of(str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++)
        if (!s.p[i] || !strchr(set, s.p[i]))
            return false;
    return s.n > 0;
}

/* Integers in any base, floats, base 60: anything that YAML 1.1 reads as a number ("_" may stand between
 * digits). */
static bool is_number(str s)
{
    if (str_starts(s, STR("-")) || str_starts(s, STR("+")))
        s = str_from(s, 1);
    if (!s.n || !(s.p[0] == '.' || (s.p[0] >= '0' && s.p[0] <= '9')))
        return false;
    if (str_starts(s, STR("0x")))
        return all_of(str_from(s, 2), "0123456789abcdefABCDEF_");
    if (str_starts(s, STR("0b")) || str_starts(s, STR("0o")))
        return all_of(str_from(s, 2), "01234567_");
    size_t colon = str_index(s, ':');
    if (colon > 0 && colon < s.n)
        return all_of(s, "0123456789_:.");
    size_t e = MIN(str_index(s, 'e'), str_index(s, 'E'));
    str mantissa = str_slice(s, 0, e);
    str exponent = str_from(s, e + 1);
    if (exponent.n && (exponent.p[0] == '-' || exponent.p[0] == '+'))
        exponent = str_from(exponent, 1);
    size_t dot = str_index(mantissa, '.');
    bool digits = mantissa.n > 1 || dot == mantissa.n;
    return digits && all_of(mantissa, "0123456789_.") &&
           str_index(str_from(mantissa, dot + 1), '.') == str_from(mantissa, dot + 1).n &&
           (e == s.n || all_of(exponent, "0123456789"));
}

/* A date, alone or with a time behind it. */
static bool is_time(str s)
{
    int64_t ns;
    str digits = s;
    if (time_parse(s, &ns))
        return true;
    if (s.n < 8 || s.n > 35)
        return false;
    size_t dash = str_index(digits, '-');
    return dash == 4 && all_of(str_slice(s, 0, 4), "0123456789") &&
           all_of(str_slice(s, 0, 10), "0123456789-Tt ") && all_of(s, "0123456789-+:.TtZ ");
}

static void indent_put(struct buf *b, size_t n)
{
    for (; n; n--)
        buf_put_byte(b, ' ');
}

static void single_put(struct buf *b, str s)
{
    buf_put_byte(b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'')
            buf_put_byte(b, '\'');
        buf_put_byte(b, (uint8_t)s.p[i]);
    }
    buf_put_byte(b, '\'');
}

static void double_put(struct buf *b, str s)
{
    static const char plain[] = "\n\r\t\"\\\a\b\v\f\x1b";
    static const char letters[] = "nrt\"\\abvfe";
    buf_put_byte(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        const char *at = c ? strchr(plain, (char)c) : NULL;
        if (at)
            buf_put_fmt(b, "\\%c", letters[at - plain]);
        else if (!c)
            buf_put_str(b, STR("\\0"));
        else if (c < 0x20 || c == 0x7f)
            buf_put_fmt(b, "\\x%02X", c);
        else
            buf_put_byte(b, c);
    }
    buf_put_byte(b, '"');
}

static void literal_put(struct buf *b, str s, size_t indent)
{
    size_t ends = 0;
    while (ends < s.n && s.p[s.n - 1 - ends] == '\n')
        ends++;
    buf_put_byte(b, '|');
    if (is_blank(s.p[0]) || s.p[0] == '\n')
        buf_put_byte(b, '2');
    buf_put_str(b, ends == 0 ? STR("-") : ends > 1 || s.n == ends ? STR("+") : STR(""));
    for (str line, rest = s; rest.n;) {
        str_cut(rest, '\n', &line, &rest);
        buf_put_byte(b, '\n');
        if (line.n) {
            indent_put(b, indent);
            buf_put_str(b, line);
        }
    }
}

static void string_put(struct buf *b, str s, size_t indent, bool is_key)
{
    struct scalar allowed = scalar_of(s);
    if (is_word(s) || is_number(s) || is_time(s))
        double_put(b, s);
    else if (allowed.plain)
        buf_put_str(b, s);
    else if (!is_key && allowed.literal && str_index(s, '\n') < s.n)
        literal_put(b, s, indent);
    else if (allowed.single && str_index(s, '\n') == s.n)
        single_put(b, s);
    else
        double_put(b, s);
}

/* The shortest digits that read back as the same number, in Go's %g form (exponent below -4 or from 6 on when
 * not an integer). */
static void float_put(struct buf *b, str digits)
{
    char text[400];
    int64_t i64;
    uint64_t u64;
    if (str_parse_i64(digits, &i64) || str_parse_u64(digits, &u64)) {
        buf_put_str(b, digits);
        return;
    }
    double value = strtod(arena_cstr(b->arena, digits), NULL);
    int precision = 0;
    do
        snprintf(text, sizeof(text), "%.*e", precision, value);
    while (strtod(text, NULL) != value && precision++ < 17);
    int exponent = value != 0 && isfinite(value) ? (int)strtod(strchr(text, 'e') + 1, NULL) : 0;
    if (exponent >= -4 && exponent < 21)
        snprintf(text, sizeof(text), "%.*f", MAX(precision - exponent, 0), value);
    buf_put_str(b, str_from_cstr(text));
}

static void value_put(struct buf *b, const struct json *v, size_t indent, bool in_sequence);

static bool is_block(const struct json *v)
{
    return (v->type == JSON_ARRAY || v->type == JSON_OBJECT) && v->n > 0;
}

static void map_put(struct buf *b, const struct json *v, size_t indent, bool first_inline)
{
    str *keys = keys_sorted(b->arena, v);
    for (uint32_t i = 0; i < v->n; i++) {
        const struct json *value = json_get(v, keys[i]);
        if (i || !first_inline)
            indent_put(b, indent);
        string_put(b, keys[i], indent, true);
        buf_put_byte(b, ':');
        if (is_block(value)) {
            buf_put_byte(b, '\n');
            value_put(b, value, value->type == JSON_OBJECT ? indent + 2 : indent, false);
        } else {
            buf_put_byte(b, ' ');
            value_put(b, value, indent + 2, false);
        }
    }
}

/* Blocks end with a line end of their own, scalars get one. */
static void value_put(struct buf *b, const struct json *v, size_t indent, bool in_sequence)
{
    switch (v->type) {
    case JSON_NULL: buf_put_str(b, STR("null")); break;
    case JSON_BOOL: buf_put_str(b, v->boolean ? STR("true") : STR("false")); break;
    case JSON_NUMBER: float_put(b, v->text); break;
    case JSON_STRING: string_put(b, v->text, indent, false); break;
    case JSON_ARRAY:
        for (uint32_t i = 0; i < v->n; i++) {
            if (i || !in_sequence)
                indent_put(b, indent);
            buf_put_str(b, STR("- "));
            value_put(b, v->items[i], indent + 2, true);
        }
        if (v->n)
            return;
        buf_put_str(b, STR("[]"));
        break;
    case JSON_OBJECT:
        if (v->n) {
            map_put(b, v, indent, in_sequence);
            return;
        }
        buf_put_str(b, STR("{}"));
        break;
    }
    buf_put_byte(b, '\n');
}

void yaml_write(struct buf *out, const struct json *v)
{
    value_put(out, v, 0, false);
}
