/* ip_range: addresses and CIDR ranges as text ("10.0.0.0/8", "::1", "192.0.2.7").
 * An IPv4 address mapped into IPv6 is the IPv4 address; no IPv6 range holds it. Threads: any, immutable.
 */
#pragma once
#include "base/base.h"

enum { IP_TEXT_MAX = 46 };

struct ip_address {
    uint8_t p[16]; /* IPv6, or IPv4 mapped (::ffff:a.b.c.d) */
};
struct ip_range {
    struct ip_address first;
    unsigned bits; /* of the 128 that must be equal */
};

bool ip_is_v4(const struct ip_address *ip);
bool ip_parse(str text, struct ip_address *ret) MUST_USE;
size_t ip_format(const struct ip_address *ip, char out[IP_TEXT_MAX]); /* its length, no NUL counted */
bool ip_range_parse(str text, struct ip_range *ret) MUST_USE;         /* a single address is a range of one */
bool ip_is_in(const struct ip_address *ip, const struct ip_range *ranges, size_t n);
bool ip_text_is_in(str range, str address); /* false also when either text is no address or range */
/* Every address of `range` is in `outer`; false also when either text is no address or range. */
bool ip_text_is_within(str range, str outer);
struct ip_address ip_from_v4(const uint8_t p[4]);
