/* backlog: bytes of a connection that wait: received and not yet used, or to be sent. Heap, wiped at release,
 * gone when empty. */
#pragma once
#include "base/base.h"

struct backlog {
    uint8_t *p;
    size_t from, to; /* p[from..to) waits */
    size_t cap;
};

void backlog_put(struct backlog *b, const void *p, size_t n);
void backlog_drop(struct backlog *b, size_t n); /* the first n waiting bytes are done */
void backlog_done(struct backlog *b);
static inline str backlog_str(const struct backlog *b)
{
    return (str){(const char *)b->p + b->from, b->to - b->from};
}
static inline size_t backlog_bytes(const struct backlog *b)
{
    return b->to - b->from;
}
