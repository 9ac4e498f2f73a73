/* custom_metadata: what owners may write beside a secret or an alias: 64 texts of at most 512 bytes, with
 * keys of at most 128, all printable. */
#include "base/buf.h"
#include "core/engine.h"

enum { CUSTOM_KEYS_MAX = 64, CUSTOM_KEY_BYTES_MAX = 128, CUSTOM_VALUE_BYTES_MAX = 512 };

/* Control, format, private and odd white space characters: what Go's unicode.IsPrint refuses and people
 * may send. */
static bool is_printable(str s)
{
    static const uint32_t refused[][2] = {
        {0, 0x1f},        {0x7f, 0xa0},     {0xad, 0xad},       {0x600, 0x605},   {0x61c, 0x61c},
        {0x6dd, 0x6dd},   {0x70f, 0x70f},   {0x1680, 0x1680},   {0x180e, 0x180e}, {0x2000, 0x200f},
        {0x2028, 0x202f}, {0x205f, 0x206f}, {0x3000, 0x3000},   {0xd800, 0xf8ff}, {0xfeff, 0xfeff},
        {0xfff0, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0x10ffff}};

    while (s.n > 0) {
        size_t n = str_utf8_len(s);
        uint32_t c = (uint8_t)s.p[0] & (n < 2 ? 0x7fU : 0x7fU >> n);

        if (n == 0)
            return false;
        for (size_t i = 1; i < n; i++)
            c = c << 6 | ((uint8_t)s.p[i] & 0x3f);
        for (size_t i = 0; i < COUNT_OF(refused); i++)
            if (c >= refused[i][0] && c <= refused[i][1])
                return false;
        s = str_from(s, n);
    }
    return true;
}

/* As Go prints texts with %q. */
static str quoted(struct arena *a, str s)
{
    static const char names[] = "\a\b\f\n\r\t\v\"\\", letters[] = "abfnrtv\"\\";
    struct buf b;

    buf_init(&b, a, SIZE_MAX);
    buf_put_byte(&b, '"');
    for (size_t i = 0; i < s.n; i++) {
        const char *named = s.p[i] ? strchr(names, s.p[i]) : NULL;

        if (named)
            buf_put_fmt(&b, "\\%c", letters[named - names]);
        else if ((uint8_t)s.p[i] < 0x20 || s.p[i] == 0x7f)
            buf_put_fmt(&b, "\\x%02x", (unsigned)(uint8_t)s.p[i]);
        else
            buf_put_byte(&b, (uint8_t)s.p[i]);
    }
    buf_put_byte(&b, '"');
    return buf_str(&b);
}

struct faults {
    struct buf text;
    unsigned n;
};

#define CUSTOM_FAULT(f, fmt, ...)                                                                            \
    (buf_put_fmt(&(f)->text, "\t* custom_metadata validation failed: " fmt "\n", __VA_ARGS__), (void)(f)->n++)

static void check_member(struct arena *a, struct faults *f, str key, str value)
{
    str name = quoted(a, key);

    if (key.n == 0 || key.n > CUSTOM_KEY_BYTES_MAX)
        CUSTOM_FAULT(f, "length of key %.*s is %zu but must be 0 < len(key) <= %d", PSTR(name), key.n,
                     CUSTOM_KEY_BYTES_MAX);
    if (value.n == 0 || value.n > CUSTOM_VALUE_BYTES_MAX)
        CUSTOM_FAULT(f, "length of value for key %.*s is %zu but must be 0 < len(value) <= %d", PSTR(name),
                     value.n, CUSTOM_VALUE_BYTES_MAX);
    if (!is_printable(key))
        CUSTOM_FAULT(f, "key %.*s (%.*s) contains unprintable characters", PSTR(name), PSTR(key));
    if (!is_printable(value))
        CUSTOM_FAULT(f, "value for key %.*s contains unprintable characters", PSTR(name));
}

struct error *custom_metadata_check(struct request *rq, enum err_kind kind, const struct json *custom)
{
    struct faults f = {.n = 0};

    buf_init(&f.text, rq->arena, SIZE_MAX);
    if (custom->n > CUSTOM_KEYS_MAX)
        CUSTOM_FAULT(&f, "payload must contain at most %d keys, provided %u", CUSTOM_KEYS_MAX, custom->n);
    for (uint32_t i = 0; i < custom->n && custom->n <= CUSTOM_KEYS_MAX; i++)
        check_member(rq->arena, &f, custom->members[i].key, custom->members[i].value->text);
    if (f.n == 0)
        return NULL;
    return fail(rq, kind, "%u error%s occurred:\n%.*s\n", f.n, f.n == 1 ? "" : "s", PSTR(buf_str(&f.text)));
}
