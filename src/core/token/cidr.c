#include "core/token/cidr.h"

#include <arpa/inet.h>

struct address {
    unsigned bits; /* 32 or 128; 0: none */
    uint8_t b[16];
};

static struct address parse(str s)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char text[INET6_ADDRSTRLEN];
    struct address a = {0};

    if (s.n == 0 || s.n >= sizeof(text) || memchr(s.p, 0, s.n))
        return a;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    if (inet_pton(AF_INET, text, a.b) == 1) {
        a.bits = 32;
    } else if (inet_pton(AF_INET6, text, a.b) == 1) {
        a.bits = 128;
        if (memcmp(a.b, mapped, sizeof(mapped)) == 0) {
            memmove(a.b, a.b + sizeof(mapped), 4);
            a.bits = 32;
        }
    }
    return a;
}

bool cidr_contains(str block, str address)
{
    str base_text, length_text;
    bool has_length = str_cut(block, '/', &base_text, &length_text);
    struct address base = parse(base_text), a = parse(address);
    uint64_t length = base.bits;

    if (base.bits == 0 || base.bits != a.bits)
        return false;
    if (has_length && (!str_parse_u64(length_text, &length) || length > base.bits))
        return false;
    size_t whole = (size_t)length / 8;
    unsigned rest = (unsigned)length % 8;

    if (memcmp(base.b, a.b, whole) != 0)
        return false;
    return rest == 0 || ((base.b[whole] ^ a.b[whole]) >> (8 - rest)) == 0;
}
