#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

void buf_init(struct buf *b, struct arena *a, size_t max)
{
    *b = (struct buf){.arena = a, .max = max};
}

static bool buf_grow(struct buf *b, size_t n)
{
    size_t need;
    if (b->full || __builtin_add_overflow(b->n, n, &need) || need > b->max) {
        b->full = true;
        return false;
    }
    size_t cap = MIN(MAX(MAX(need, 2 * b->cap), 256), b->max);
    b->p = arena_grow(b->arena, b->p, b->cap, cap);
    b->cap = cap;
    return true;
}

uint8_t *buf_extend(struct buf *b, size_t n)
{
    if ((b->full || n > b->cap - b->n) && !buf_grow(b, n))
        return NULL;
    uint8_t *p = b->p + b->n;
    b->n += n;
    return p;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    uint8_t *to = buf_extend(b, n);
    if (to)
        memcpy(to, p, n);
}

void buf_put_str(struct buf *b, str s)
{
    buf_put(b, s.p, s.n);
}

void buf_put_byte(struct buf *b, uint8_t c)
{
    uint8_t *to = buf_extend(b, 1);
    if (to)
        *to = c;
}

void buf_put_fmt(struct buf *b, const char *fmt, ...)
{
    char small[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(small)) {
        buf_put(b, small, (size_t)n);
    } else {
        va_start(ap, fmt);
        buf_put_str(b, arena_vfmt(b->arena, fmt, ap));
        va_end(ap);
    }
    explicit_bzero(small, sizeof(small));
}

void buf_put_u64(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t i = sizeof(digits);
    do {
        digits[--i] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    buf_put(b, digits + i, sizeof(digits) - i);
}
