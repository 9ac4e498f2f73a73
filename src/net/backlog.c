#include "net/backlog.h"

#include "base/log.h"
#include "base/secure.h"

#include <stdlib.h>

enum { BACKLOG_BYTES_MIN = 1024 };

static void backlog_move(struct backlog *b, uint8_t *to, size_t cap)
{
    size_t n = backlog_bytes(b);
    if (n)
        memcpy(to, b->p + b->from, n);
    backlog_done(b);
    *b = (struct backlog){.p = to, .to = n, .cap = cap};
}

void backlog_put(struct backlog *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    if (b->cap - b->to < n) {
        size_t cap = MAX(b->cap, (size_t)BACKLOG_BYTES_MIN);
        while (cap < backlog_bytes(b) + n)
            cap *= 2;
        uint8_t *fresh = malloc(cap);
        if (!fresh)
            die("out of memory");
        backlog_move(b, fresh, cap);
    }
    memcpy(b->p + b->to, p, n);
    b->to += n;
}

void backlog_drop(struct backlog *b, size_t n)
{
    b->from += n;
    if (b->from == b->to)
        backlog_done(b);
}

void backlog_done(struct backlog *b)
{
    if (b->p)
        wipe(b->p, b->to);
    free(b->p);
    *b = (struct backlog){0};
}
