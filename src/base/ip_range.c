#include "base/ip_range.h"

#include <arpa/inet.h>

static const uint8_t v4_prefix[12] = {[10] = 0xff, [11] = 0xff};
enum { V4_PREFIX_BITS = 96 };

struct ip_address ip_from_v4(const uint8_t p[4])
{
    struct ip_address ip;
    memcpy(ip.p, v4_prefix, sizeof v4_prefix);
    memcpy(ip.p + sizeof v4_prefix, p, 4);
    return ip;
}

bool ip_is_v4(const struct ip_address *ip)
{
    return memcmp(ip->p, v4_prefix, sizeof v4_prefix) == 0;
}

bool ip_parse(str text, struct ip_address *ret)
{
    char c[IP_TEXT_MAX + 1];
    uint8_t p[16];
    if (text.n == 0 || text.n > IP_TEXT_MAX || memchr(text.p, 0, text.n))
        return false;
    memcpy(c, text.p, text.n);
    c[text.n] = '\0';
    if (inet_pton(AF_INET, c, p) == 1) {
        *ret = ip_from_v4(p);
        return true;
    }
    if (inet_pton(AF_INET6, c, p) != 1)
        return false;
    memcpy(ret->p, p, sizeof p);
    return true;
}

size_t ip_format(const struct ip_address *ip, char out[IP_TEXT_MAX])
{
    const char *s = ip_is_v4(ip) ? inet_ntop(AF_INET, ip->p + sizeof v4_prefix, out, IP_TEXT_MAX)
                                 : inet_ntop(AF_INET6, ip->p, out, IP_TEXT_MAX);
    return s ? strlen(s) : 0;
}

bool ip_range_parse(str text, struct ip_range *ret)
{
    str address;
    str prefix;
    struct ip_range r = {.bits = 128};
    bool has_prefix = str_cut(text, '/', &address, &prefix);
    if (!ip_parse(address, &r.first))
        return false;
    if (has_prefix) {
        uint64_t bits;
        bool v4 = ip_is_v4(&r.first) && str_index(address, ':') == address.n;
        if (!str_parse_u64(prefix, &bits) || bits > (v4 ? 32 : 128))
            return false;
        r.bits = (unsigned)bits + (v4 ? V4_PREFIX_BITS : 0);
    }
    *ret = r;
    return true;
}

static bool range_has(const struct ip_range *r, const struct ip_address *ip)
{
    if (ip_is_v4(&r->first) != ip_is_v4(ip)) /* ::/0 has no IPv4 address in it */
        return false;
    size_t whole = r->bits / 8;
    unsigned rest = r->bits % 8;
    if (memcmp(r->first.p, ip->p, whole) != 0)
        return false;
    return rest == 0 || (r->first.p[whole] ^ ip->p[whole]) >> (8 - rest) == 0;
}

bool ip_is_in(const struct ip_address *ip, const struct ip_range *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (range_has(&ranges[i], ip))
            return true;
    return false;
}

bool ip_text_is_in(str range, str address)
{
    struct ip_range r;
    struct ip_address ip;
    return ip_range_parse(range, &r) && ip_parse(address, &ip) && range_has(&r, &ip);
}

bool ip_text_is_within(str range, str outer)
{
    struct ip_range r, o;
    return ip_range_parse(range, &r) && ip_range_parse(outer, &o) && r.bits >= o.bits &&
           range_has(&o, &r.first);
}
