/* buf: the one growable buffer. Lives in an arena, has a maximum.
 *
 * Invariants: p[0..n) is content; n <= max; once a write would pass max, `full` is set, nothing more is
 * added, and every later write is ignored. The writer checks `full` once at the end. Never NUL-terminated.
 */
#pragma once
#include "base/arena.h"

struct buf {
    uint8_t *p;
    size_t n;
    size_t cap;
    size_t max;
    struct arena *arena;
    bool full;
};

void buf_init(struct buf *b, struct arena *a, size_t max);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_str(struct buf *b, str s);
void buf_put_byte(struct buf *b, uint8_t c);
void buf_put_fmt(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_put_u64(struct buf *b, uint64_t v);  /* decimal */
uint8_t *buf_extend(struct buf *b, size_t n); /* room for n bytes, counted as content; NULL when full */
static inline str buf_str(const struct buf *b)
{
    return (str){(const char *)b->p, b->n};
}
static inline bytes buf_bytes(const struct buf *b)
{
    return (bytes){b->p, b->n};
}
