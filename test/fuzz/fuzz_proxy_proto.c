/* fuzz_proxy_proto: a header found in the whole is not found in a part of it, and never longer than what was
 * given. */
#include "net/proxy_proto.h"

#include <stdlib.h>

static void require(bool holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header whole = {0};
    enum proxy_verdict verdict = proxy_parse((bytes){data, size}, &whole);
    require(verdict != PROXY_FOUND || (whole.header_bytes > 0 && whole.header_bytes <= size));
    require(whole.header_bytes <= PROXY_HEADER_BYTES_MAX);
    for (size_t n = 0; n < MIN(size, 600); n++) {
        struct proxy_header part = {0};
        enum proxy_verdict v = proxy_parse((bytes){data, n}, &part);
        /* What is decided early stays; a header is found from its last byte on. */
        require(v == PROXY_MORE || (v == verdict && part.header_bytes == whole.header_bytes));
        if (verdict == PROXY_FOUND)
            require((v == PROXY_FOUND) == (n >= whole.header_bytes));
    }
    struct ip_range range;
    struct ip_address ip;
    char text[IP_TEXT_MAX];
    if (ip_parse((str){(const char *)data, size}, &ip)) {
        struct ip_address again;
        require(ip_parse((str){text, ip_format(&ip, text)}, &again) && memcmp(&ip, &again, sizeof ip) == 0);
    }
    if (ip_range_parse((str){(const char *)data, size}, &range))
        require(range.bits <= 128 && ip_is_in(&range.first, &range, 1));
    return 0;
}
