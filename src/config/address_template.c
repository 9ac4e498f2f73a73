/* Blocks of special addresses: RFC 6890, and the RFCs that the table names. */
#include "config/address_template.h"

#include "base/buf.h"
#include "config/array.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORDS_MAX = 4, TEXT_BYTES_MAX = 4096, REGEX_MATCH_LIMIT = 100000 };

/* What flows through a pipeline: addresses, or text at its end. */
struct flow {
    const struct interface_address *all; /* of the machine */
    size_t n_all;
    struct interface_address *list;
    size_t n;
    bool is_text;
    str text;
};

#define bad(a, ...) error_new((a), ERR_BAD_REQUEST, __VA_ARGS__)

/* --- blocks --- */

struct rfc {
    unsigned number;
    const char *blocks; /* blank between them */
};

enum { RFC_SPECIAL = 6890, RFC_NOT_FORWARDED = 0 /* the rows of RFC 6890 that are not forwardable */ };

static const struct rfc rfcs[] = {
    {RFC_NOT_FORWARDED,
     "0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 192.0.0.0/24 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 "
     "240.0.0.0/4 255.255.255.255 ::1 :: 2001:db8::/32 2001:10::/28 fe80::/10"},
    {RFC_SPECIAL,
     "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
     "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 "
     "255.255.255.255 ::1 :: 64:ff9b::/96 100::/64 2001::/23 2001:db8::/32 2002::/16 fc00::/7 fe80::/10"},
    {919, "255.255.255.255"},
    {1112, "224.0.0.0/4"},
    {1122, "0.0.0.0/8 127.0.0.0/8"},
    {1918, "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16"},
    {2544, "198.18.0.0/15"},
    {3056, "2002::/16"},
    {3171, "224.0.0.0/4"},
    {3849, "2001:db8::/32"},
    {3927, "169.254.0.0/16"},
    {4193, "fc00::/7"},
    {4291, "::/96 fe80::/10 fec0::/10 ff00::/8"},
    {5735, "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 198.18.0.0/15"},
    {5737, "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24"},
    {6598, "100.64.0.0/10"},
};

static bool is_in_rfc(const struct interface_address *x, unsigned number, bool *ret_known)
{
    for (size_t i = 0; i < COUNT_OF(rfcs); i++) {
        if (rfcs[i].number != number)
            continue;
        *ret_known = true;
        str block, rest = str_from_cstr(rfcs[i].blocks);
        while (rest.n) {
            struct ip_range range;
            (void)str_cut(rest, ' ', &block, &rest);
            if (ip_range_parse(block, &range) && ip_is_in(&x->ip, &range, 1))
                return true;
        }
    }
    return false;
}

static bool is_special(const struct interface_address *x)
{
    bool known;
    return is_in_rfc(x, RFC_SPECIAL, &known);
}

static bool is_forwardable(const struct interface_address *x)
{
    bool known;
    return !is_in_rfc(x, RFC_NOT_FORWARDED, &known);
}

/* --- filters --- */

/* Does x have the property `param` of the selector? A list stands between bars. */
typedef struct error *match_fn(struct arena *a, const struct interface_address *x, str param, bool *ret);

static str text_of(struct arena *a, const struct interface_address *x, bool with_bits)
{
    char out[IP_TEXT_MAX];
    str ip = {out, ip_format(&x->ip, out)};
    unsigned bits = ip_is_v4(&x->ip) ? x->bits - 96 : x->bits, whole = ip_is_v4(&x->ip) ? 32 : 128;
    return with_bits && bits < whole ? arena_fmt(a, "%.*s/%u", PSTR(ip), bits) : arena_str(a, ip);
}

static struct error *matches(struct arena *a, str subject, str pattern, bool *ret)
{
    int code;
    size_t at;
    pcre2_code *re =
        pcre2_compile((PCRE2_SPTR)(pattern.n ? pattern.p : ""), pattern.n,
                      PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_UTF, &code, &at, NULL);
    if (!re)
        return bad(a, "unable to compile regexp \"%.*s\" (at character %zu)", PSTR(pattern), at);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(limits, REGEX_MATCH_LIMIT);
    *ret = pcre2_match(re, (PCRE2_SPTR)subject.p, subject.n, 0, 0, data, limits) >= 0;
    pcre2_match_context_free(limits);
    pcre2_match_data_free(data);
    pcre2_code_free(re);
    return NULL;
}

static struct error *match_address(struct arena *a, const struct interface_address *x, str param, bool *ret)
{
    return matches(a, text_of(a, x, true), param, ret);
}

static struct error *match_name(struct arena *a, const struct interface_address *x, str param, bool *ret)
{
    return matches(a, x->name, param, ret);
}

static struct error *match_port(struct arena *a, const struct interface_address *x, str param, bool *ret)
{
    (void)x;
    return matches(a, STR("0"), param, ret); /* an interface has none */
}

static struct error *match_flag(struct arena *a, const struct interface_address *x, str flag, bool *ret)
{
    static const struct {
        const char *name;
        unsigned bit;
    } bits[] = {{"up", IFF_UP},
                {"broadcast", IFF_BROADCAST},
                {"loopback", IFF_LOOPBACK},
                {"multicast", IFF_MULTICAST},
                {"point-to-point", IFF_POINTOPOINT}};
    str lower = arena_lower(a, flag);
    bool known = false;
    for (size_t i = 0; i < COUNT_OF(bits); i++)
        if (str_eq(lower, str_from_cstr(bits[i].name))) {
            *ret = (x->flags & bits[i].bit) != 0;
            return NULL;
        }
    if (str_eq(lower, STR("down")))
        *ret = !(x->flags & IFF_UP);
    else if (str_eq(lower, STR("forwardable")))
        *ret = is_forwardable(x);
    else if (str_eq(lower, STR("global unicast")))
        *ret = !is_in_rfc(x, 1112, &known) && !is_in_rfc(x, 1122, &known) && !is_in_rfc(x, 3927, &known) &&
               !is_in_rfc(x, 4291, &known) && !is_in_rfc(x, 919, &known);
    else if (str_eq(lower, STR("link-local unicast")))
        *ret = ip_text_is_in(STR("169.254.0.0/16"), text_of(a, x, false)) ||
               ip_text_is_in(STR("fe80::/10"), text_of(a, x, false));
    else if (str_eq(lower, STR("unspecified")))
        *ret = str_eq(text_of(a, x, false), STR("0.0.0.0")) || str_eq(text_of(a, x, false), STR("::"));
    else
        return bad(a, "unknown interface flag: \"%.*s\"", PSTR(flag));
    return NULL;
}

static struct error *match_network(struct arena *a, const struct interface_address *x, str network, bool *ret)
{
    struct ip_range range;
    if (!ip_range_parse(network, &range))
        return bad(a, "unable to create an IP address from \"%.*s\"", PSTR(network));
    *ret = ip_is_in(&x->ip, &range, 1) && x->bits >= range.bits;
    return NULL;
}

static struct error *match_rfc(struct arena *a, const struct interface_address *x, str number, bool *ret)
{
    uint64_t v;
    bool known = false;
    if (!str_parse_u64(number, &v) || v == RFC_NOT_FORWARDED || v > UINT32_MAX)
        return bad(a, "unable to parse RFC number \"%.*s\"", PSTR(number));
    *ret = is_in_rfc(x, (unsigned)v, &known);
    return known ? NULL : bad(a, "unsupported RFC %.*s", PSTR(number));
}

static struct error *match_size(struct arena *a, const struct interface_address *x, str size, bool *ret)
{
    uint64_t v;
    if (!str_parse_u64(size, &v) || v > 128)
        return bad(a, "invalid size argument (\"%.*s\")", PSTR(size));
    *ret = x->bits == v + (ip_is_v4(&x->ip) ? 96 : 0);
    return NULL;
}

static struct error *match_type(struct arena *a, const struct interface_address *x, str type, bool *ret)
{
    bool v4 = ip_is_v4(&x->ip);
    if (str_eq_nocase(type, STR("ip")))
        *ret = true;
    else if (str_eq_nocase(type, STR("ipv4")) || str_eq_nocase(type, STR("ipv6")))
        *ret = v4 == str_eq_nocase(type, STR("ipv4"));
    else if (str_eq_nocase(type, STR("unix")))
        *ret = false;
    else
        return bad(a, "unsupported type \"%.*s\"", PSTR(type));
    return NULL;
}

static const struct selector {
    const char *name;
    match_fn *fn;
    bool is_list; /* else the whole parameter is one pattern */
} selectors[] = {
    {"address", match_address, false}, {"name", match_name, false}, {"port", match_port, false},
    {"flag", match_flag, true},        {"flags", match_flag, true}, {"network", match_network, true},
    {"rfc", match_rfc, true},          {"rfcs", match_rfc, true},   {"size", match_size, false},
    {"type", match_type, true},
};

static struct error *match_any(struct arena *a, const struct selector *s, const struct interface_address *x,
                               str param, bool *ret)
{
    bool any = false;
    do {
        str one = param;
        bool hit = false;
        if (s->is_list)
            (void)str_cut(param, '|', &one, &param);
        else
            param = (str){0};
        TRY(s->fn(a, x, one, &hit));
        any = any || hit;
    } while (param.n);
    *ret = any;
    return NULL;
}

static struct error *filter(struct arena *a, struct flow *f, str selector, str param, bool keep)
{
    for (size_t s = 0; s < COUNT_OF(selectors); s++) {
        if (!str_eq_nocase(selector, str_from_cstr(selectors[s].name)))
            continue;
        size_t n = 0;
        for (size_t i = 0; i < f->n; i++) {
            bool hit = false;
            TRY(match_any(a, &selectors[s], &f->list[i], param, &hit));
            if (hit == keep)
                f->list[n++] = f->list[i];
        }
        f->n = n;
        return NULL;
    }
    return bad(a, "invalid %s selector \"%.*s\"", keep ? "include" : "exclude", PSTR(selector));
}

/* --- order --- */

static int compare_numbers(int x, int y)
{
    return (x > y) - (x < y);
}

/* By one key; 0: alike. What is of different families is told apart by `type` alone. */
static int compare_by(str key, const struct interface_address *x, const struct interface_address *y)
{
    bool same = ip_is_v4(&x->ip) == ip_is_v4(&y->ip);
    if (str_eq(key, STR("address")))
        return same ? memcmp(x->ip.p, y->ip.p, sizeof x->ip.p) : 0;
    if (str_eq(key, STR("default")))
        return compare_numbers(y->is_default, x->is_default);
    if (str_eq(key, STR("name")))
        return str_cmp(x->name, y->name);
    if (str_eq(key, STR("private")))
        return compare_numbers(is_special(y), is_special(x));
    if (str_eq(key, STR("size"))) /* the greatest network first */
        return same ? compare_numbers((int)x->bits, (int)y->bits) : 0;
    if (str_eq(key, STR("type")))
        return compare_numbers(ip_is_v4(&y->ip), ip_is_v4(&x->ip));
    return 0; /* port: there is none */
}

static int compare(str keys, const struct interface_address *x, const struct interface_address *y)
{
    for (str key; keys.n;) {
        (void)str_cut(keys, ',', &key, &keys);
        key = str_trim(key);
        bool down = key.n && key.p[0] == '-';
        int order = compare_by(key.n && (down || key.p[0] == '+') ? str_from(key, 1) : key, x, y);
        if (order)
            return down ? -order : order;
    }
    return 0;
}

static struct error *sort(struct arena *a, struct flow *f, str keys)
{
    static const char known[] = ",address,default,name,port,private,size,type,";
    keys = arena_lower(a, keys);
    for (str key, rest = keys; rest.n;) {
        (void)str_cut(rest, ',', &key, &rest);
        key = str_trim(key);
        str bare = key.n && (key.p[0] == '-' || key.p[0] == '+') ? str_from(key, 1) : key;
        str between = arena_fmt(a, ",%.*s,", PSTR(bare));
        if (bare.n == 0 || str_find(str_from_cstr(known), between) == sizeof known - 1)
            return bad(a, "unknown sort type: \"%.*s\"", PSTR(key));
    }
    for (size_t i = 1; i < f->n; i++) { /* few, and what is alike keeps its order */
        struct interface_address x = f->list[i];
        size_t at = i;
        for (; at > 0 && compare(keys, &x, &f->list[at - 1]) < 0; at--)
            f->list[at] = f->list[at - 1];
        f->list[at] = x;
    }
    return NULL;
}

/* --- sources and ends --- */

static void start_with_all(struct arena *a, struct flow *f)
{
    f->list = arena_copy(a, f->all, f->n_all * sizeof *f->all);
    f->n = f->n_all;
}

/* The forwardable addresses of interfaces that are up, best first; private or public ones. */
static struct error *start_with_usable(struct arena *a, struct flow *f, bool private)
{
    start_with_all(a, f);
    TRY(filter(a, f, STR("flags"), STR("forwardable"), true));
    TRY(filter(a, f, STR("flags"), STR("up"), true));
    TRY(sort(a, f, STR("default,type,size")));
    return filter(a, f, STR("rfc"), STR("6890"), private);
}

static struct error *start_with_interface(struct arena *a, struct flow *f, str name)
{
    start_with_all(a, f);
    TRY(filter(a, f, STR("name"), name, true));
    TRY(filter(a, f, STR("flags"), STR("forwardable"), true));
    return sort(a, f, STR("type,size"));
}

static struct error *attribute(struct arena *a, const struct interface_address *x, str name, str *ret)
{
    bool v4 = ip_is_v4(&x->ip);
    str lower = arena_lower(a, name);
    if (str_eq(lower, STR("address")) || str_eq(lower, STR("host")))
        *ret = text_of(a, x, false);
    else if (str_eq(lower, STR("string")))
        *ret = text_of(a, x, true);
    else if (str_eq(lower, STR("name")))
        *ret = x->name;
    else if (str_eq(lower, STR("type")))
        *ret = v4 ? STR("IPv4") : STR("IPv6");
    else if (str_eq(lower, STR("mask_bits")))
        *ret = arena_fmt(a, "%u", v4 ? x->bits - 96 : x->bits);
    else if (str_eq(lower, STR("port")))
        *ret = STR("0");
    else
        return bad(a, "unsupported attribute \"%.*s\"", PSTR(name));
    return NULL;
}

static struct error *join(struct arena *a, struct flow *f, str name, str between)
{
    struct buf b;
    buf_init(&b, a, TEXT_BYTES_MAX);
    for (size_t i = 0; i < f->n; i++) {
        str value;
        TRY(attribute(a, &f->list[i], name, &value));
        buf_put_str(&b, i ? between : (str){0});
        buf_put_str(&b, value);
    }
    f->is_text = true;
    f->text = buf_str(&b);
    return b.full ? bad(a, "more than %d bytes", TEXT_BYTES_MAX) : NULL;
}

static struct error *first(struct arena *a, struct flow *f, str name)
{
    f->n = MIN(f->n, 1);
    return join(a, f, name, (str){0});
}

static struct error *cut(struct arena *a, struct flow *f, str word, str count)
{
    int64_t v;
    bool limit = str_eq(word, STR("limit"));
    if (!str_parse_i64(count, &v) || (limit && v < 0))
        return bad(a, "unable to %.*s by \"%.*s\": a whole number%s is expected", PSTR(word), PSTR(count),
                   limit ? ", not negative," : "");
    if (limit) {
        f->n = (size_t)MIN(v, (int64_t)f->n);
        return NULL;
    }
    int64_t skip = v < 0 ? (int64_t)f->n + v : v; /* a negative offset counts from the end */
    if (skip < 0 || skip > (int64_t)f->n)
        return bad(a, "offset %.*s is past the list of %zu", PSTR(count), f->n);
    f->list += skip;
    f->n -= (size_t)skip;
    return NULL;
}

static struct error *unique(struct arena *a, struct flow *f, str name)
{
    size_t n = 0;
    for (size_t i = 0; i < f->n; i++) {
        bool seen = false;
        str mine, other;
        TRY(attribute(a, &f->list[i], name, &mine));
        for (size_t k = 0; k < n && !seen; k++) {
            TRY(attribute(a, &f->list[k], name, &other));
            seen = str_eq(mine, other);
        }
        if (!seen)
            f->list[n++] = f->list[i];
    }
    f->n = n;
    return NULL;
}

/* Adds v to an address, within its `keep` first bits of 128. */
static void ip_add(struct ip_address *ip, int64_t v, unsigned keep)
{
    struct ip_address sum = *ip;
    for (int i = 15; i >= 0; i--) {
        int64_t digit = sum.p[i] + (v & 0xff);
        sum.p[i] = (uint8_t)digit;
        v = (v >> 8) + (digit >> 8);
    }
    for (unsigned bit = keep; bit < 128; bit++) {
        uint8_t mask = (uint8_t)(0x80 >> bit % 8);
        ip->p[bit / 8] = (uint8_t)((ip->p[bit / 8] & ~mask) | (sum.p[bit / 8] & mask));
    }
}

static void ip_mask(struct ip_address *ip, unsigned bits)
{
    for (unsigned bit = bits; bit < 128; bit++)
        ip->p[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static struct error *math(struct arena *a, struct flow *f, str operation, str value)
{
    str lower = arena_lower(a, operation), digits = str_trim(value);
    bool is_mask = str_eq(lower, STR("mask")), is_network = str_eq(lower, STR("network"));
    int64_t v;
    if (!is_mask && !is_network && !str_eq(lower, STR("address")))
        return bad(a, "unsupported math operation: \"%.*s\"", PSTR(operation));
    if (!is_mask && (digits.n == 0 || (digits.p[0] != '+' && digits.p[0] != '-')))
        return bad(a, "sign (+/-) is required for operation \"%.*s\"", PSTR(operation));
    if (!str_parse_i64(digits.n && digits.p[0] == '+' ? str_from(digits, 1) : digits, &v) ||
        (is_mask && v < 0))
        return bad(a, "unable to convert \"%.*s\" to int for operation \"%.*s\"", PSTR(value),
                   PSTR(operation));
    for (size_t i = 0; i < f->n; i++) {
        struct interface_address *x = &f->list[i];
        unsigned family = ip_is_v4(&x->ip) ? 96 : 0;
        if (is_mask && v > 128 - (int64_t)family)
            return bad(a, "parameter for operation \"mask\" must be between 0 and %u", 128 - family);
        if (is_mask)
            x->bits = MIN(x->bits, (unsigned)v + family);
        if (is_mask)
            ip_mask(&x->ip, (unsigned)v + family);
        else if (is_network)
            ip_mask(&x->ip, x->bits);
        if (!is_mask)
            ip_add(&x->ip, v, is_network ? x->bits : family);
    }
    return NULL;
}

/* --- the language --- */

static struct error *run_source(struct arena *a, struct flow *f, const str *w, bool *ret_done)
{
    *ret_done = true;
    if (str_eq(w[0], STR(".")) || str_eq(w[0], STR("GetAllInterfaces"))) {
        start_with_all(a, f);
        return NULL;
    }
    if (str_eq(w[0], STR("GetDefaultInterfaces"))) {
        size_t n = 0;
        start_with_all(a, f);
        for (size_t i = 0; i < f->n; i++)
            if (f->list[i].is_default)
                f->list[n++] = f->list[i];
        f->n = n;
        return NULL;
    }
    bool private = str_starts(w[0], STR("GetPrivate"));
    str rest = str_from(w[0], private ? sizeof "GetPrivate" - 1 : sizeof "GetPublic" - 1);
    if (str_starts(w[0], STR("GetInterfaceIP"))) {
        TRY(start_with_interface(a, f, w[1]));
        rest = str_from(w[0], sizeof "GetInterface" - 1);
    } else if (private || str_starts(w[0], STR("GetPublic"))) {
        TRY(start_with_usable(a, f, private));
        if (str_eq(rest, STR("Interfaces")))
            return NULL;
    }
    if (str_eq(rest, STR("IP")))
        return first(a, f, STR("address"));
    if (str_eq(rest, STR("IPs")))
        return join(a, f, STR("address"), STR(" "));
    *ret_done = false;
    return NULL;
}

static const struct word {
    const char *name;
    size_t n_args;
} words[] = {
    {".", 0},
    {"GetAllInterfaces", 0},
    {"GetDefaultInterfaces", 0},
    {"GetPrivateInterfaces", 0},
    {"GetPrivateIP", 0},
    {"GetPrivateIPs", 0},
    {"GetPublicInterfaces", 0},
    {"GetPublicIP", 0},
    {"GetPublicIPs", 0},
    {"GetInterfaceIP", 1},
    {"GetInterfaceIPs", 1},
    {"include", 2},
    {"exclude", 2},
    {"sort", 1},
    {"attr", 1},
    {"join", 2},
    {"limit", 1},
    {"offset", 1},
    {"unique", 1},
    {"math", 2},
};

static struct error *run_word(struct arena *a, struct flow *f, const str *w, size_t n, bool is_first)
{
    const struct word *known = NULL;
    bool done;
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (str_eq(w[0], str_from_cstr(words[i].name)))
            known = &words[i];
    if (!known)
        return bad(a, "function \"%.*s\" not defined", PSTR(w[0]));
    if (n - 1 != known->n_args)
        return bad(a, "wrong number of args for %s: want %zu got %zu", known->name, known->n_args, n - 1);
    TRY(run_source(a, f, w, &done));
    if (done)
        return is_first ? NULL : bad(a, "%s takes nothing from a pipe", known->name);
    if (is_first || f->is_text)
        return bad(a, "%s works on addresses: they come through a pipe", known->name);
    if (str_eq(w[0], STR("include")) || str_eq(w[0], STR("exclude")))
        return filter(a, f, w[1], w[2], w[0].p[0] == 'i');
    if (str_eq(w[0], STR("sort")))
        return sort(a, f, w[1]);
    if (str_eq(w[0], STR("attr")))
        return first(a, f, w[1]);
    if (str_eq(w[0], STR("join")))
        return join(a, f, w[1], w[2]);
    if (str_eq(w[0], STR("unique")))
        return unique(a, f, w[1]);
    if (str_eq(w[0], STR("math")))
        return math(a, f, w[1], w[2]);
    return cut(a, f, w[0], w[1]);
}

/* The next word of a stage: bare, "quoted" or `raw`. False at the end of the stage. */
static struct error *next_word(struct arena *a, str *rest, str *ret, bool *ret_found)
{
    *rest = str_trim(*rest);
    *ret_found = rest->n > 0 && rest->p[0] != '|';
    if (!*ret_found)
        return NULL;
    char quote = rest->p[0] == '"' || rest->p[0] == '`' ? rest->p[0] : 0;
    struct buf b;
    buf_init(&b, a, TEXT_BYTES_MAX);
    size_t i = quote ? 1 : 0;
    for (; i < rest->n; i++) {
        char c = rest->p[i];
        if (quote ? c == quote : c == ' ' || c == '\t' || c == '\n' || c == '|')
            break;
        if (quote == '"' && c == '\\' && i + 1 < rest->n)
            c = rest->p[++i];
        buf_put_byte(&b, (uint8_t)c);
    }
    if (quote && i == rest->n)
        return bad(a, "unterminated quoted string");
    *rest = str_from(*rest, quote ? i + 1 : i);
    *ret = buf_str(&b);
    return NULL;
}

static struct error *run_pipeline(struct arena *a, struct flow *f, str text, str *ret)
{
    bool is_first = true;
    str rest = str_trim(text);
    do {
        str w[WORDS_MAX];
        size_t n = 0;
        bool found = true;
        rest = str_from(rest, !is_first);
        while (n < WORDS_MAX) {
            TRY(next_word(a, &rest, &w[n], &found));
            if (!found)
                break;
            n++;
        }
        if (found)
            return bad(a, "too many words for one function");
        if (n == 0)
            return bad(a, "missing value for command");
        TRY(run_word(a, f, w, n, is_first));
        is_first = false;
    } while (rest.n);
    if (!f->is_text)
        return bad(a, "its result is a list of addresses: end it with attr or join");
    *ret = f->text;
    return NULL;
}

bool address_is_template(str text)
{
    return str_find(text, STR("{{")) < text.n;
}

/* The place of "}}" outside of quotes; text.n: none. */
static size_t closing(str text)
{
    char quote = 0;
    for (size_t i = 0; i + 1 < text.n; i++) {
        char c = text.p[i];
        if (quote == '"' && c == '\\')
            i++;
        else if (quote)
            quote = c == quote ? 0 : quote;
        else if (c == '"' || c == '`')
            quote = c;
        else if (c == '}' && text.p[i + 1] == '}')
            return i;
    }
    return text.n;
}

static struct error *fill(struct arena *a, str text, const struct interface_address *all, size_t n, str *ret)
{
    struct buf out;
    buf_init(&out, a, TEXT_BYTES_MAX);
    for (;;) {
        size_t at = str_find(text, STR("{{"));
        buf_put_str(&out, str_slice(text, 0, at));
        if (at == text.n)
            break;
        text = str_from(text, at + 2);
        size_t end = closing(text);
        str value;
        if (end == text.n)
            return bad(a, "unclosed action");
        TRY(run_pipeline(a, &(struct flow){.all = all, .n_all = n}, str_slice(text, 0, end), &value));
        buf_put_str(&out, value);
        text = str_from(text, end + 2);
    }
    *ret = buf_str(&out);
    return out.full ? bad(a, "more than %d bytes", TEXT_BYTES_MAX) : NULL;
}

struct error *address_template(struct arena *a, str text, const struct interface_address *all, size_t n,
                               str *ret)
{
    str out;
    struct error *e = fill(a, text, all, n, &out);
    if (e)
        return bad(a, "unable to parse address template \"%.*s\": %.*s", PSTR(text), PSTR(e->text));
    out = str_trim(out);
    if (str_index(out, ' ') < out.n)
        return bad(a, "multiple addresses found (\"%.*s\"), please configure one", PSTR(out));
    *ret = out;
    return NULL;
}

/* --- this machine --- */

/* The interface of the default route; empty: there is none. */
static str default_interface(struct arena *a)
{
    char line[512], name[IFNAMSIZ] = "";
    FILE *f = fopen("/proc/net/route", "re");
    while (f && !name[0] && fgets(line, sizeof line, f)) {
        str text = str_from_cstr(line), first_column, second;
        (void)str_cut(text, '\t', &first_column, &text);
        (void)str_cut(text, '\t', &second, &text);
        if (str_eq(second, STR("00000000")) && first_column.n < sizeof name)
            memcpy(name, first_column.p, first_column.n);
    }
    if (f)
        (void)fclose(f);
    return arena_str(a, str_from_cstr(name));
}

/* The number of leading ones. */
static unsigned mask_bits(const uint8_t *p, unsigned whole)
{
    unsigned n = 0;
    while (n < whole && (p[n / 8] & 0x80 >> n % 8))
        n++;
    return n;
}

struct error *interface_addresses(struct arena *a, struct interface_address **ret, size_t *ret_n)
{
    struct ifaddrs *list;
    struct interface_address *out = NULL;
    size_t n = 0;
    str gateway = default_interface(a);
    if (getifaddrs(&list))
        return error_errno(a, errno, "unable to query interface addresses");
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
        if (!i->ifa_addr || !i->ifa_netmask)
            continue;
        struct interface_address x = {.name = arena_str(a, str_from_cstr(i->ifa_name)),
                                      .flags = i->ifa_flags};
        if (i->ifa_addr->sa_family == AF_INET) {
            const struct sockaddr_in *s = (const void *)i->ifa_addr, *m = (const void *)i->ifa_netmask;
            x.ip = ip_from_v4((const void *)&s->sin_addr);
            x.bits = 96 + mask_bits((const void *)&m->sin_addr, 32);
        } else if (i->ifa_addr->sa_family == AF_INET6) {
            const struct sockaddr_in6 *s = (const void *)i->ifa_addr, *m = (const void *)i->ifa_netmask;
            memcpy(x.ip.p, &s->sin6_addr, sizeof x.ip.p);
            x.bits = mask_bits((const void *)&m->sin6_addr, 128);
        } else {
            continue;
        }
        x.is_default = gateway.n && str_eq(x.name, gateway);
        out = array_room(a, out, n, sizeof *out);
        out[n++] = x;
    }
    freeifaddrs(list);
    *ret = out;
    *ret_n = n;
    return NULL;
}
