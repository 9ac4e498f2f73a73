#include "base/clock.h"

#define NS_PER_MIN (60 * NS_PER_S)
#define NS_PER_H   (3600 * NS_PER_S)

/* As Go quotes it in these errors: what is not printable ASCII as \xNN. */
static str quote(struct arena *a, str s)
{
    static const char hex[] = "0123456789abcdef";
    char *p = arena_alloc(a, 4 * s.n + 2), *out = p;
    *out++ = '"';
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c < ' ' || c > '~') { /* also bytes above 0x7f: char is signed on our machines, and if not they
                                     are above '~' */
            *out++ = '\\';
            *out++ = 'x';
            *out++ = hex[(uint8_t)c >> 4];
            *out++ = hex[(uint8_t)c & 15];
            continue;
        }
        if (c == '"' || c == '\\')
            *out++ = '\\';
        *out++ = c;
    }
    *out++ = '"';
    return (str){p, (size_t)(out - p)};
}

static COLD struct error *err_invalid(struct arena *a, str s)
{
    return error_new(a, ERR_BAD_REQUEST, "time: invalid duration %.*s", PSTR(quote(a, s)));
}

static uint64_t unit_ns(str unit)
{
    static const struct {
        str name;
        int64_t ns;
    } units[] = {
        {STR("ns"), 1},           {STR("us"), 1000},    {STR("\xc2\xb5s"), 1000}, /* U+00B5 */
        {STR("\xce\xbcs"), 1000},                                                 /* U+03BC */
        {STR("ms"), NS_PER_MS},   {STR("s"), NS_PER_S}, {STR("m"), NS_PER_MIN},   {STR("h"), NS_PER_H},
    };
    for (size_t i = 0; i < COUNT_OF(units); i++)
        if (str_eq(units[i].name, unit))
            return (uint64_t)units[i].ns;
    return 0;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The digits after the point as part / scale; what no longer fits is dropped, as Go does. */
static size_t take_fraction(str s, uint64_t *ret_part, double *ret_scale)
{
    uint64_t part = 0;
    double scale = 1;
    size_t i = 0;
    for (bool full = false; i < s.n && is_digit(s.p[i]); i++) {
        uint64_t next = part * 10 + (uint64_t)(s.p[i] - '0');
        full = full || part > INT64_MAX / 10 || next > UINT64_C(1) << 63;
        if (full)
            continue;
        part = next;
        scale *= 10;
    }
    *ret_part = part;
    *ret_scale = scale;
    return i;
}

/* One "1.5h" from the front of *rest, added to *total (at most 2^63). */
static struct error *take_part(struct arena *a, str whole, str *rest, uint64_t *total)
{
    size_t digits = 0, fraction_digits = 0;
    uint64_t v = 0, fraction = 0, unit;
    double scale = 1;
    while (digits < rest->n && is_digit(rest->p[digits]))
        digits++;
    if (digits && (!str_parse_u64(str_slice(*rest, 0, digits), &v) || v > UINT64_C(1) << 63))
        return err_invalid(a, whole);
    *rest = str_from(*rest, digits);
    if (rest->n && rest->p[0] == '.') {
        *rest = str_from(*rest, 1);
        fraction_digits = take_fraction(*rest, &fraction, &scale);
        *rest = str_from(*rest, fraction_digits);
    }
    if (digits + fraction_digits == 0)
        return err_invalid(a, whole);
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '.' && !is_digit(rest->p[n]))
        n++;
    str name = str_slice(*rest, 0, n);
    if (n == 0)
        return error_new(a, ERR_BAD_REQUEST, "time: missing unit in duration %.*s", PSTR(quote(a, whole)));
    if (!(unit = unit_ns(name)))
        return error_new(a, ERR_BAD_REQUEST, "time: unknown unit %.*s in duration %.*s", PSTR(quote(a, name)),
                         PSTR(quote(a, whole)));
    *rest = str_from(*rest, n);
    if (__builtin_mul_overflow(v, unit, &v) || v > UINT64_C(1) << 63)
        return err_invalid(a, whole);
    v += (uint64_t)((double)fraction * ((double)unit / scale));
    bool over =
        v > UINT64_C(1) << 63 || __builtin_add_overflow(*total, v, total) || *total > UINT64_C(1) << 63;
    return over ? err_invalid(a, whole) : NULL;
}

static struct error *go_duration_parse(struct arena *a, str s, int64_t *ret_ns)
{
    bool negative = s.p[0] == '-';
    str rest = str_from(s, negative || s.p[0] == '+');
    uint64_t total = 0;
    if (rest.n == 0)
        return err_invalid(a, s);
    while (rest.n)
        TRY(take_part(a, s, &rest, &total));
    if (total > (uint64_t)INT64_MAX + negative)
        return err_invalid(a, s);
    *ret_ns = negative ? (int64_t)(0 - total) : (int64_t)total;
    return NULL;
}

struct error *duration_parse(struct arena *a, str s, int64_t *ret_ns)
{
    int64_t v;
    if (s.n == 0) {
        *ret_ns = 0;
        return NULL;
    }
    bool days = str_ends(s, STR("d"));
    if (!str_parse_i64(str_slice(s, 0, s.n - days), &v))
        return go_duration_parse(a, s, ret_ns);
    if (__builtin_mul_overflow(v, days ? 24 * NS_PER_H : NS_PER_S, &v))
        return err_invalid(a, s);
    *ret_ns = v;
    return NULL;
}

/* v / 10^digits with the fraction's trailing zeros cut. */
static str with_fraction(struct arena *a, uint64_t v, int digits, const char *unit)
{
    uint64_t scale = 1;
    for (int i = 0; i < digits; i++)
        scale *= 10;
    uint64_t part = v % scale;
    while (part && part % 10 == 0) {
        part /= 10;
        digits--;
    }
    if (!part)
        return arena_fmt(a, "%llu%s", (unsigned long long)(v / scale), unit);
    return arena_fmt(a, "%llu.%0*llu%s", (unsigned long long)(v / scale), digits, (unsigned long long)part,
                     unit);
}

str duration_format(struct arena *a, int64_t ns)
{
    const char *sign = ns < 0 ? "-" : "";
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns, minutes = u / (uint64_t)NS_PER_MIN;
    if (u == 0)
        return arena_str(a, STR("0s"));
    str s;
    if (u < (uint64_t)NS_PER_S) {
        s = u < 1000        ? with_fraction(a, u, 0, "ns")
            : u < NS_PER_MS ? with_fraction(a, u, 3, "\xc2\xb5s")
                            : with_fraction(a, u, 6, "ms");
        return arena_fmt(a, "%s%.*s", sign, PSTR(s));
    }
    s = with_fraction(a, u % (uint64_t)NS_PER_MIN, 9, "s");
    if (minutes >= 60)
        return arena_fmt(a, "%s%lluh%llum%.*s", sign, (unsigned long long)minutes / 60,
                         (unsigned long long)minutes % 60, PSTR(s));
    return minutes ? arena_fmt(a, "%s%llum%.*s", sign, (unsigned long long)minutes, PSTR(s))
                   : arena_fmt(a, "%s%.*s", sign, PSTR(s));
}
