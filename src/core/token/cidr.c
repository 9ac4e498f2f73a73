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

/* The address of a block and the length of its prefix. False: neither address nor block. */
static bool parse_block(str block, struct address *ret_base, uint64_t *ret_length)
{
    str base, length;
    bool has_length = str_cut(block, '/', &base, &length);

    *ret_base = parse(base);
    *ret_length = ret_base->bits;
    return ret_base->bits != 0 &&
           (!has_length || (str_parse_u64(length, ret_length) && *ret_length <= ret_base->bits));
}

bool cidr_is_valid(str block)
{
    struct address base;
    uint64_t length;

    return parse_block(block, &base, &length);
}

bool cidr_contains(str block, str address)
{
    struct address base, a = parse(address);
    uint64_t length;

    if (!parse_block(block, &base, &length) || base.bits != a.bits)
        return false;
    size_t whole = (size_t)length / 8;
    unsigned rest = (unsigned)length % 8;

    if (memcmp(base.b, a.b, whole) != 0)
        return false;
    return rest == 0 || ((base.b[whole] ^ a.b[whole]) >> (8 - rest)) == 0;
}
