#include "net/proxy_proto.h"

#include "base/cursor.h"

enum { V1_BYTES_MAX = 107, V2_FIXED_BYTES = 16 };

static const uint8_t v2_signature[12] = {'\r', '\n', '\r', '\n', 0, '\r', '\n', 'Q', 'U', 'I', 'T', '\n'};

/* The next word up to one blank; the blank is dropped. */
static str word_take(str *rest)
{
    str word;
    (void)str_cut(*rest, ' ', &word, rest);
    return word;
}

static bool port_parse(str s, uint16_t *ret)
{
    uint64_t v;
    if (!str_parse_u64(s, &v) || v > UINT16_MAX || (s.n > 1 && s.p[0] == '0'))
        return false;
    *ret = (uint16_t)v;
    return true;
}

/* "TCP4 source destination source-port destination-port" or "UNKNOWN …", behind "PROXY " and without the line
 * end. */
static bool v1_parse(str line, struct proxy_header *h)
{
    str family = word_take(&line);
    if (str_eq(family, STR("UNKNOWN")))
        return true;
    bool v4 = str_eq(family, STR("TCP4"));
    if (!v4 && !str_eq(family, STR("TCP6")))
        return false;
    str source = word_take(&line);
    str destination = word_take(&line);
    str source_port = word_take(&line);
    struct ip_address ignored;
    uint16_t ignored_port;
    h->has_address = true;
    return ip_parse(source, &h->source) && ip_parse(destination, &ignored) &&
           (str_index(source, ':') == source.n) == v4 &&
           (str_index(destination, ':') == destination.n) == v4 && port_parse(source_port, &h->source_port) &&
           port_parse(line, &ignored_port);
}

static enum proxy_verdict v1_find(bytes in, struct proxy_header *h)
{
    str s = str_slice(str_from_bytes(in), 0, V1_BYTES_MAX);
    size_t lf = str_index(s, '\n');
    if (lf == s.n)
        return s.n == V1_BYTES_MAX ? PROXY_BAD : PROXY_MORE;
    if (s.p[lf - 1] != '\r' || !v1_parse(str_slice(s, 6, lf - 1), h))
        return PROXY_BAD;
    h->header_bytes = lf + 1;
    return PROXY_FOUND;
}

/* Addresses as the version 2 header carries them: source, destination, ports; what follows are TLVs, skipped.
 */
static bool v2_address(struct cursor body, unsigned family, struct proxy_header *h)
{
    size_t n = family == 1 ? 4 : 16;
    bytes source = cursor_take(&body, n);
    (void)cursor_take(&body, n);
    h->source_port = cursor_be16(&body);
    (void)cursor_be16(&body);
    if (body.bad)
        return false;
    if (family == 1)
        h->source = ip_from_v4(source.p);
    else
        memcpy(h->source.p, source.p, n);
    h->has_address = true;
    return true;
}

static enum proxy_verdict v2_find(bytes in, struct proxy_header *h)
{
    if (in.n < V2_FIXED_BYTES)
        return PROXY_MORE;
    struct cursor c = cursor_from(in);
    (void)cursor_take(&c, sizeof v2_signature);
    unsigned version = cursor_u8(&c);
    unsigned family = cursor_u8(&c) >> 4;
    size_t length = cursor_be16(&c);
    bool is_local = version == 0x20;
    if ((!is_local && version != 0x21) || family > 3 || length > PROXY_HEADER_BYTES_MAX - V2_FIXED_BYTES)
        return PROXY_BAD;
    bytes body = cursor_take(&c, length);
    if (c.bad)
        return PROXY_MORE;
    if (!is_local && (family == 1 || family == 2) && !v2_address(cursor_from(body), family, h))
        return PROXY_BAD;
    h->header_bytes = V2_FIXED_BYTES + length;
    return PROXY_FOUND;
}

static bool begins_alike(bytes in, const void *with, size_t n)
{
    return memcmp(in.p, with, MIN(in.n, n)) == 0;
}

enum proxy_verdict proxy_parse(bytes in, struct proxy_header *ret_header)
{
    static const char v1_signature[6] = {'P', 'R', 'O', 'X', 'Y', ' '};
    struct proxy_header h = {0};
    enum proxy_verdict verdict = PROXY_NONE;
    if (in.n == 0)
        return PROXY_MORE;
    if (begins_alike(in, v1_signature, sizeof v1_signature))
        verdict = in.n < sizeof v1_signature ? PROXY_MORE : v1_find(in, &h);
    else if (begins_alike(in, v2_signature, sizeof v2_signature))
        verdict = in.n < sizeof v2_signature ? PROXY_MORE : v2_find(in, &h);
    if (verdict == PROXY_FOUND)
        *ret_header = h;
    return verdict;
}

bool proxy_policy_is_known(str behavior)
{
    return behavior.n == 0 || str_eq(behavior, STR("use_always")) ||
           str_eq(behavior, STR("allow_authorized")) || str_eq(behavior, STR("deny_unauthorized"));
}

enum proxy_policy proxy_policy_for(str behavior, const struct ip_range *authorized, size_t n,
                                   const struct ip_address *peer)
{
    if (behavior.n == 0)
        return PROXY_POLICY_OFF;
    if (str_eq(behavior, STR("use_always")) || ip_is_in(peer, authorized, n))
        return PROXY_POLICY_USE;
    return str_eq(behavior, STR("allow_authorized")) ? PROXY_POLICY_IGNORE : PROXY_POLICY_REFUSE;
}
