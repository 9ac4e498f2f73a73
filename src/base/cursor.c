#include "base/cursor.h"

struct cursor cursor_from(bytes b)
{
    return (struct cursor){.p = b.p, .n = b.n};
}

bytes cursor_take(struct cursor *c, size_t n)
{
    if (c->bad || n > c->n) {
        c->bad = true;
        return (bytes){0};
    }
    bytes b = {c->p, n};
    if (n)
        c->p += n;
    c->n -= n;
    return b;
}

bytes cursor_rest(struct cursor *c)
{
    return cursor_take(c, c->n);
}

static uint64_t cursor_be(struct cursor *c, size_t n)
{
    bytes b = cursor_take(c, n);
    uint64_t v = 0;
    for (size_t i = 0; i < b.n; i++)
        v = v << 8 | b.p[i];
    return v;
}

uint8_t cursor_u8(struct cursor *c)
{
    return (uint8_t)cursor_be(c, 1);
}

uint16_t cursor_be16(struct cursor *c)
{
    return (uint16_t)cursor_be(c, 2);
}

uint32_t cursor_be32(struct cursor *c)
{
    return (uint32_t)cursor_be(c, 4);
}

uint64_t cursor_be64(struct cursor *c)
{
    return cursor_be(c, 8);
}

uint64_t cursor_varint(struct cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = cursor_u8(c);
        if (shift == 63 && byte > 1)
            break; /* more than 64 bits */
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return c->bad ? 0 : v;
    }
    c->bad = true;
    return 0;
}

void put_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

void put_be32(uint8_t *p, uint32_t v)
{
    put_be16(p, (uint16_t)(v >> 16));
    put_be16(p + 2, (uint16_t)v);
}

void put_be64(uint8_t *p, uint64_t v)
{
    put_be32(p, (uint32_t)(v >> 32));
    put_be32(p + 4, (uint32_t)v);
}
