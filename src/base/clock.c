#include "base/clock.h"

#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

struct clock {
    bool manual;
    _Atomic(int64_t) wall_ns, mono_ns; /* manual clocks; relaxed: a test orders its own steps */
};

static int64_t now_ns(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

const struct clock *clock_real(void)
{
    static const struct clock real;
    return &real;
}

struct clock *clock_manual_new(int64_t wall_ns)
{
    struct clock *c = calloc(1, sizeof(*c));
    if (!c)
        die("out of memory");
    c->manual = true;
    atomic_init(&c->wall_ns, wall_ns);
    atomic_init(&c->mono_ns, NS_PER_S);
    return c;
}

void clock_manual_advance(struct clock *c, int64_t ns)
{
    atomic_fetch_add_explicit(&c->wall_ns, ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->mono_ns, ns, memory_order_relaxed);
}

void clock_manual_free(struct clock *c)
{
    free(c);
}

int64_t clock_wall_ns(const struct clock *c)
{
    return c->manual ? atomic_load_explicit(&c->wall_ns, memory_order_relaxed) : now_ns(CLOCK_REALTIME);
}

int64_t clock_mono_ns(const struct clock *c)
{
    return c->manual ? atomic_load_explicit(&c->mono_ns, memory_order_relaxed) : now_ns(CLOCK_MONOTONIC);
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March, so that the leap
 * day is the last of a year, in eras of 400 years (146,097 days). */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void civil_from_days(int64_t days, int64_t *ret_year, int *ret_month, int *ret_day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t m = (5 * day_of_year + 2) / 153;
    *ret_day = (int)(day_of_year - (153 * m + 2) / 5) + 1;
    *ret_month = (int)(m < 10 ? m + 3 : m - 9);
    *ret_year = year_of_era + era * 400 + (*ret_month <= 2);
}

/* Writes `digits` decimal digits of v. */
static char *put_digits(char *out, int64_t v, int digits)
{
    for (int i = digits - 1; i >= 0; i--, v /= 10)
        out[i] = (char)('0' + v % 10);
    return out + digits;
}

/* digits < 0: as many as needed. */
static size_t time_put(char out[TIME_TEXT_MAX], int64_t wall_ns, int digits)
{
    int64_t s = wall_ns / NS_PER_S, ns = wall_ns % NS_PER_S;
    if (ns < 0) {
        ns += NS_PER_S;
        s--;
    }
    if (wall_ns == TIME_ZERO_NS) {
        s = -INT64_C(62135596800);
        ns = 0;
    }
    int64_t days = (s >= 0 ? s : s - 86399) / 86400, year;
    int64_t second = s - days * 86400;
    int month, day;
    civil_from_days(days, &year, &month, &day);
    char *p = put_digits(out, year, 4);
    *p++ = '-';
    p = put_digits(p, month, 2);
    *p++ = '-';
    p = put_digits(p, day, 2);
    *p++ = 'T';
    p = put_digits(p, second / 3600, 2);
    *p++ = ':';
    p = put_digits(p, second / 60 % 60, 2);
    *p++ = ':';
    p = put_digits(p, second % 60, 2);
    if (digits != 0 && (digits > 0 || ns)) {
        *p++ = '.';
        put_digits(p, ns, 9);
        p += digits > 0 ? digits : 9;
        while (digits < 0 && p[-1] == '0')
            p--;
    }
    *p++ = 'Z';
    *p = 0;
    return (size_t)(p - out);
}

size_t time_format_to(char out[TIME_TEXT_MAX], int64_t wall_ns)
{
    return time_put(out, wall_ns, -1);
}

size_t time_format_fixed(char out[TIME_TEXT_MAX], int64_t wall_ns, int digits)
{
    return time_put(out, wall_ns, digits);
}

str time_format(struct arena *a, int64_t wall_ns)
{
    char text[TIME_TEXT_MAX];
    return arena_str(a, (str){text, time_format_to(text, wall_ns)});
}

/* Takes `digits` digits and, unless it is 0, the character `after` from the front of *s. */
static bool take_digits(str *s, size_t digits, char after, int *ret)
{
    uint64_t v;
    if (!str_parse_u64(str_slice(*s, 0, digits), &v) || s->n < digits + (after != 0))
        return false;
    if (after && s->p[digits] != after)
        return false;
    *s = str_from(*s, digits + (after != 0));
    *ret = (int)v;
    return true;
}

/* ".123": any number of digits, those after the ninth are dropped. */
static bool take_fraction(str *s, int64_t *ret_ns)
{
    int64_t ns = 0, unit = NS_PER_S / 10;
    size_t i = 1;
    if (s->n == 0 || (s->p[0] != '.' && s->p[0] != ','))
        return true;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++, unit /= 10)
        ns += (s->p[i] - '0') * unit;
    if (i == 1)
        return false;
    *ret_ns = ns;
    *s = str_from(*s, i);
    return true;
}

static bool take_offset(str s, int64_t *ret_s)
{
    int hours, minutes;
    *ret_s = 0;
    if (str_eq(s, STR("Z")))
        return true;
    if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-'))
        return false;
    int sign = s.p[0] == '-' ? -1 : 1;
    s = str_from(s, 1);
    if (!take_digits(&s, 2, ':', &hours) || !take_digits(&s, 2, 0, &minutes) || hours > 23 || minutes > 59)
        return false;
    *ret_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

static int days_in_month(int year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

bool time_parse(str s, int64_t *ret_wall_ns)
{
    int year, month, day, hour, minute, second;
    int64_t ns = 0, offset_s, wall_ns;
    if (!take_digits(&s, 4, '-', &year) || !take_digits(&s, 2, '-', &month) ||
        !take_digits(&s, 2, 'T', &day) || !take_digits(&s, 2, ':', &hour) ||
        !take_digits(&s, 2, ':', &minute) || !take_digits(&s, 2, 0, &second) || !take_fraction(&s, &ns) ||
        !take_offset(s, &offset_s))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 ||
        second > 59)
        return false;
    if (year == 1) {
        *ret_wall_ns = TIME_ZERO_NS;
        return true;
    }
    int64_t s_total =
        days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset_s;
    if (s_total < 0 && ns) { /* so that the product stays in range for the whole of it */
        s_total++;
        ns -= NS_PER_S;
    }
    if (__builtin_mul_overflow(s_total, NS_PER_S, &wall_ns) ||
        __builtin_add_overflow(wall_ns, ns, &wall_ns) || wall_ns == TIME_ZERO_NS)
        return false;
    *ret_wall_ns = wall_ns;
    return true;
}
