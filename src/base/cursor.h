/* cursor: reading binary formats without running over. A failed read sets `bad`, returns zero or an empty
 * slice, and so does every read after it; the caller checks `bad` once at the end (and cursor_is_done() when
 * nothing may follow).
 */
#pragma once
#include "base/base.h"

struct cursor {
    const uint8_t *p;
    size_t n; /* bytes left */
    bool bad;
};

struct cursor cursor_from(bytes b);
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_be16(struct cursor *c);
uint32_t cursor_be32(struct cursor *c);
uint64_t cursor_be64(struct cursor *c);
uint64_t cursor_varint(struct cursor *c); /* protobuf base-128, at most 10 bytes */
bytes cursor_take(struct cursor *c, size_t n);
bytes cursor_rest(struct cursor *c);
static inline bool cursor_is_done(const struct cursor *c)
{
    return !c->bad && c->n == 0;
}
void put_be16(uint8_t *p, uint16_t v);
void put_be32(uint8_t *p, uint32_t v);
void put_be64(uint8_t *p, uint64_t v);
