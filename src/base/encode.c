/* Hex and base64 compute each character with masks instead of tables and branches: neither the time nor the
 * memory touched depends on the data.
 */
#include "base/encode.h"

/* All ones if lo <= c <= hi, else 0. For values of at most 8 bits. */
static int in_range(int c, int lo, int hi)
{
    return ((lo - 1 - c) & (c - hi - 1)) >> 8;
}

static char hex_digit(int v)
{
    return (char)('0' + v + (in_range(v, 10, 15) & ('a' - '0' - 10)));
}

/* -1 if c is no hex digit. */
static int hex_value(int c)
{
    return -1 + (in_range(c, '0', '9') & (c - '0' + 1)) + (in_range(c, 'a', 'f') & (c - 'a' + 11)) +
           (in_range(c, 'A', 'F') & (c - 'A' + 11));
}

void hex_encode_to(char *out, bytes b)
{
    for (size_t i = 0; i < b.n; i++) {
        out[2 * i] = hex_digit(b.p[i] >> 4);
        out[2 * i + 1] = hex_digit(b.p[i] & 15);
    }
}

str hex_encode(struct arena *a, bytes b)
{
    char *p = arena_alloc(a, 2 * b.n + 1);
    hex_encode_to(p, b);
    p[2 * b.n] = 0;
    return (str){p, 2 * b.n};
}

bool hex_decode(struct arena *a, str s, bytes *ret)
{
    if (s.n % 2)
        return false;
    uint8_t *p = arena_alloc(a, s.n / 2);
    int bad = 0;
    for (size_t i = 0; i < s.n / 2; i++) {
        int high = hex_value((uint8_t)s.p[2 * i]), low = hex_value((uint8_t)s.p[2 * i + 1]);
        bad |= high | low;
        p[i] = (uint8_t)((unsigned)high << 4 | (unsigned)low);
    }
    if (bad < 0)
        return false;
    *ret = (bytes){p, s.n / 2};
    return true;
}

/* The two characters in which the alphabets differ. */
struct alphabet {
    char c62, c63;
};
static const struct alphabet standard = {'+', '/'}, url_safe = {'-', '_'};

static char base64_digit(struct alphabet abc, int v)
{
    return (char)((in_range(v, 0, 25) & ('A' + v)) | (in_range(v, 26, 51) & ('a' + v - 26)) |
                  (in_range(v, 52, 61) & ('0' + v - 52)) | (in_range(v, 62, 62) & abc.c62) |
                  (in_range(v, 63, 63) & abc.c63));
}

static int base64_value(struct alphabet abc, int c)
{
    return -1 + (in_range(c, 'A', 'Z') & (c - 'A' + 1)) + (in_range(c, 'a', 'z') & (c - 'a' + 27)) +
           (in_range(c, '0', '9') & (c - '0' + 53)) + (in_range(c, abc.c62, abc.c62) & 63) +
           (in_range(c, abc.c63, abc.c63) & 64);
}

static str base64_encode_as(struct arena *a, struct alphabet abc, bool padded, bytes b)
{
    size_t n = b.n / 3 * 4 + (b.n % 3 ? (padded ? 4 : b.n % 3 + 1) : 0);
    char *p = arena_alloc(a, n + 1), *out = p;
    for (size_t i = 0; i < b.n; i += 3) {
        size_t left = MIN(b.n - i, 3);
        int v = b.p[i] << 16 | (left > 1 ? b.p[i + 1] << 8 : 0) | (left > 2 ? b.p[i + 2] : 0);
        for (size_t k = 0; k <= left; k++)
            *out++ = base64_digit(abc, v >> (18 - 6 * (int)k) & 63);
    }
    while (out < p + n)
        *out++ = '=';
    *out = 0;
    return (str){p, n};
}

/* The padding is gone. The bits behind the last byte need not be zero: Go's decoder takes them too. */
static bool base64_decode_as(struct arena *a, struct alphabet abc, str s, bytes *ret)
{
    if (s.n % 4 == 1)
        return false;
    size_t n = s.n / 4 * 3 + (s.n % 4 ? s.n % 4 - 1 : 0);
    uint8_t *p = arena_alloc(a, n);
    int bad = 0;
    for (size_t i = 0, at = 0; i < s.n; i += 4) {
        size_t left = MIN(s.n - i, 4);
        int v = 0;
        for (size_t k = 0; k < left; k++) {
            int digit = base64_value(abc, (uint8_t)s.p[i + k]);
            bad |= digit;
            v |= (digit & 63) << (18 - 6 * (int)k);
        }
        for (size_t k = 0; k + 1 < left; k++)
            p[at++] = (uint8_t)(v >> (16 - 8 * (int)k));
    }
    if (bad < 0)
        return false;
    *ret = (bytes){p, n};
    return true;
}

static str without_padding(str s)
{
    for (int i = 0; i < 2 && s.n && s.p[s.n - 1] == '='; i++)
        s.n--;
    return s;
}

str base64_encode(struct arena *a, bytes b)
{
    return base64_encode_as(a, standard, true, b);
}

bool base64_decode(struct arena *a, str s, bytes *ret)
{
    return s.n % 4 == 0 && base64_decode_as(a, standard, without_padding(s), ret);
}

str base64url_encode(struct arena *a, bytes b)
{
    return base64_encode_as(a, url_safe, false, b);
}

bool base64url_decode(struct arena *a, str s, bytes *ret)
{
    return base64_decode_as(a, url_safe, s.n % 4 == 0 ? without_padding(s) : s, ret);
}

str base32_encode(struct arena *a, bytes b)
{
    size_t n = (b.n * 8 + 4) / 5;
    char *out = arena_alloc(a, n + 1);
    uint32_t bits = 0;
    unsigned have = 0;

    for (size_t i = 0, o = 0; o < n; o++) {
        if (have < 5) {
            bits = bits << 8 | (i < b.n ? b.p[i++] : 0);
            have += 8;
        }
        have -= 5;
        uint32_t v = bits >> have & 31;

        /* 0..25: letters, 26..31: '2'..'7' */
        out[o] = (char)('A' + v - (((25 - v) >> 8) & ('A' + 26 - '2')));
    }
    out[n] = 0;
    return (str){out, n};
}

/* A value of 5 bits, or above 31. */
static uint32_t base32_value(uint32_t c)
{
    uint32_t upper = c & ~0x20u, letter = (('A' - 1 - upper) & (upper - 'Z' - 1)) >> 31;
    uint32_t digit = (('2' - 1 - c) & (c - '7' - 1)) >> 31;

    return (-letter & (upper - 'A')) | (-digit & (c - '2' + 26)) | (-(1 - (letter | digit)) & 64);
}

bool base32_decode(struct arena *a, str s, bytes *ret)
{
    if (s.n % 8 == 0)
        for (unsigned i = 0; i < 6 && str_ends(s, STR("=")); i++)
            s.n--;
    uint8_t *out = arena_alloc(a, s.n * 5 / 8 + 1);
    uint32_t bits = 0, bad = 0;
    unsigned have = 0;
    size_t o = 0;

    for (size_t i = 0; i < s.n; i++) {
        uint32_t v = base32_value((uint8_t)s.p[i]);

        bad |= v >> 5;
        bits = bits << 5 | (v & 31);
        have += 5;
        if (have >= 8) {
            have -= 8;
            out[o++] = (uint8_t)(bits >> have);
        }
    }
    if (bad || have >= 5)
        return false;
    *ret = (bytes){out, o};
    return true;
}

bool url_decode(struct arena *a, str s, bool plus_is_space, str *ret)
{
    char *p = arena_alloc(a, s.n + 1), *out = p;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int high = s.n - i > 2 ? hex_value((uint8_t)s.p[i + 1]) : -1;
            int low = s.n - i > 2 ? hex_value((uint8_t)s.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        *out++ = c;
    }
    *out = 0;
    *ret = (str){p, (size_t)(out - p)};
    return true;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

static str url_encode_as(struct arena *a, str s, char also)
{
    static const char digits[] = "0123456789ABCDEF";
    char *p = arena_alloc(a, 3 * s.n + 1), *out = p;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (is_unreserved(c) || (also && c == also)) {
            *out++ = c;
            continue;
        }
        *out++ = '%';
        *out++ = digits[(uint8_t)c >> 4];
        *out++ = digits[(uint8_t)c & 15];
    }
    *out = 0;
    return (str){p, (size_t)(out - p)};
}

str url_encode(struct arena *a, str s)
{
    return url_encode_as(a, s, 0);
}

str url_encode_path(struct arena *a, str s)
{
    return url_encode_as(a, s, '/');
}
