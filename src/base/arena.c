/* Blocks of 16 KiB, used one after the other; what is too big for a fresh block gets a block of its own, on a
 * second list.
 *
 *   first block    [block | struct arena | used ... | free ...]
 *   later blocks   [block | used ... | free ...]
 *
 * The free part of every block is zero (fresh memory is calloc's, used memory is wiped when it is given
 * back), so that arena_zalloc() costs no more than arena_alloc(). Under ASan the free part is poisoned as
 * well. Each thread keeps a few empty blocks: an arena for one request then costs no call of malloc.
 */
#include "base/arena.h"

#include "base/fault.h"
#include "base/log.h"

#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

enum {
    ALIGN = 16,
    BIG_BYTES = ARENA_BLOCK_BYTES /
                4, /* from here on what does not fit gets its own block: little of a block is lost */
    CACHE_MAX = ARENA_KEEP_BYTES_MAX / ARENA_BLOCK_BYTES,
};

struct block {
    _Alignas(ALIGN) struct block *prev;
    size_t n;      /* small blocks: bytes used, once it is full; big ones: bytes of data */
    size_t serial; /* big ones: their order */
};

struct deferred {
    struct deferred *prev;
    void (*fn)(void *arg);
    void *arg;
};

struct arena {
    uint8_t *next, *end; /* free part of the current block */
    struct block *block; /* the current one, newest first */
    struct block *big;
    size_t big_serial;
    size_t total_bytes; /* in full blocks and big ones */
    size_t limit_bytes;
    struct deferred *deferred;
};

/* The one mutable state here: blocks that this thread keeps, wiped. */
static _Thread_local struct {
    struct block *head;
    unsigned count;
    bool registered;
} cache;
static pthread_key_t cache_key;
static pthread_once_t cache_once = PTHREAD_ONCE_INIT;

static uint8_t *block_data(struct block *b)
{
    return (uint8_t *)(b + 1);
}

/* Nothing of more than half the address space is ever asked for: the sum does not overflow. */
static size_t round_up(size_t n)
{
    n = MIN(n, SIZE_MAX / 2);
    return n ? (n + ALIGN - 1) & ~(size_t)(ALIGN - 1) : ALIGN;
}

static void wipe_used(void *p, size_t n)
{
    UNPOISON(p, n);
    if (!FAULT(FAULT_DEFECT_ARENA_UNWIPED))
        explicit_bzero(p, n);
}

static struct block *block_calloc(size_t data_bytes)
{
    struct block *b;
    if (data_bytes >= SIZE_MAX / 2 || !(b = calloc(1, sizeof(*b) + data_bytes)))
        die("out of memory: %zu bytes", data_bytes);
    return b;
}

static void cache_drop(void *unused)
{
    (void)unused;
    while (cache.head) {
        struct block *b = cache.head;
        cache.head = b->prev;
        UNPOISON(block_data(b), ARENA_BLOCK_BYTES - sizeof(*b));
        free(b);
    }
    cache.count = CACHE_MAX; /* nothing is kept any more: the thread ends */
}

static void cache_key_make(void)
{
    if (pthread_key_create(&cache_key, cache_drop) != 0)
        die("pthread_key_create failed");
}

static struct block *block_get(void)
{
    struct block *b = cache.head;
    if (!b)
        return block_calloc(ARENA_BLOCK_BYTES - sizeof(*b));
    cache.head = b->prev;
    cache.count--;
    return b;
}

/* Takes a block back whose first `used` bytes of data were in use. */
static void block_put(struct block *b, size_t used)
{
    wipe_used(block_data(b), used);
    if (cache.count >= CACHE_MAX) {
        UNPOISON(block_data(b), ARENA_BLOCK_BYTES - sizeof(*b));
        free(b);
        return;
    }
    if (!cache.registered) {
        pthread_once(&cache_once, cache_key_make);
        pthread_setspecific(cache_key, &cache);
        cache.registered = true;
    }
    POISON(block_data(b), ARENA_BLOCK_BYTES - sizeof(*b));
    b->prev = cache.head;
    cache.head = b;
    cache.count++;
}

static void big_free(struct block *b)
{
    wipe_used(block_data(b), b->n);
    free(b);
}

/* Makes b the current block; the first `used` bytes of its data are not free. */
static void block_begin(struct arena *a, struct block *b, size_t used)
{
    b->prev = a->block;
    a->block = b;
    a->next = block_data(b) + used;
    a->end = (uint8_t *)b + ARENA_BLOCK_BYTES;
    POISON(a->next, a->end - a->next);
}

struct arena *arena_new(size_t limit_bytes)
{
    struct block *b = block_get();
    struct arena *a = (struct arena *)block_data(b);
    UNPOISON(a, round_up(sizeof(*a)));
    *a = (struct arena){.limit_bytes = limit_bytes};
    block_begin(a, b, round_up(sizeof(*a)));
    return a;
}

static struct block *arena_first_block(struct arena *a)
{
    return (struct block *)((uint8_t *)a - sizeof(struct block));
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    arena_reset(a);
    block_put(arena_first_block(a), round_up(sizeof(*a)));
}

void arena_freep(struct arena **a)
{
    arena_free(*a);
    *a = NULL;
}

static struct block *big_new(size_t n)
{
    struct block *b = block_calloc(round_up(n));
    b->n = round_up(n);
    POISON(block_data(b) + n, b->n - n);
    return b;
}

static void *arena_alloc_slow(struct arena *a, size_t n)
{
    if (n > BIG_BYTES) {
        struct block *b = big_new(n);
        b->prev = a->big;
        b->serial = ++a->big_serial;
        a->big = b;
        a->total_bytes += b->n;
        return block_data(b);
    }
    a->block->n = (size_t)(a->next - block_data(a->block));
    a->total_bytes += a->block->n;
    block_begin(a, block_get(), 0);
    return arena_alloc(a, n);
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (__builtin_expect(n > (size_t)(a->end - a->next) || round_up(n) > (size_t)(a->end - a->next), 0))
        return arena_alloc_slow(a, n);
    uint8_t *p = a->next;
    a->next += round_up(n);
    UNPOISON(p, n);
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    return arena_alloc(a, n); /* free memory is zero */
}

void *arena_copy(struct arena *a, const void *p, size_t n)
{
    void *q = arena_alloc(a, n);
    if (n)
        memcpy(q, p, n);
    return q;
}

/* A big block is replaced by a bigger one in its place on the list: a body that grows does not leave its old
 * sizes behind. */
static void *arena_grow_big(struct arena *a, struct block **at, size_t old_n, size_t new_n)
{
    struct block *old = *at, *b = big_new(new_n);
    memcpy(block_data(b), block_data(old), old_n);
    b->prev = old->prev;
    b->serial = old->serial;
    *at = b;
    a->total_bytes += b->n - old->n;
    big_free(old);
    return block_data(b);
}

void *arena_grow(struct arena *a, void *p, size_t old_n, size_t new_n)
{
    assert(new_n >= old_n);
    if (!p)
        return arena_alloc(a, new_n);
    size_t more = round_up(new_n) - round_up(old_n);
    bool last = (uint8_t *)p + round_up(old_n) == a->next && more <= (size_t)(a->end - a->next);
    if (more == 0 || last) {
        a->next += more;
        UNPOISON(p, new_n);
        return p;
    }
    for (struct block **at = &a->big; *at; at = &(*at)->prev)
        if (block_data(*at) == p)
            return arena_grow_big(a, at, old_n, new_n);
    return memcpy(arena_alloc(a, new_n), p, old_n);
}

void *arena_array_(struct arena *a, size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total))
        die("array of %zu elements of %zu bytes", n, size);
    return arena_zalloc(a, total);
}

void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg)
{
    struct deferred *d = arena_alloc(a, sizeof(*d));
    *d = (struct deferred){a->deferred, fn, arg};
    a->deferred = d;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){
        .block = a->block,
        .used = (size_t)(a->next - block_data(a->block)),
        .total_bytes = a->total_bytes,
        .deferred = a->deferred,
        .big_serial = a->big_serial,
    };
}

void arena_reset_to(struct arena *a, struct arena_mark mark)
{
    while (a->deferred != mark.deferred) {
        struct deferred *d = a->deferred;
        a->deferred = d->prev;
        d->fn(d->arg);
    }
    while (a->big && a->big->serial > mark.big_serial) {
        struct block *b = a->big;
        a->big = b->prev;
        big_free(b);
    }
    while (a->block != mark.block) {
        struct block *b = a->block;
        a->block = b->prev;
        block_put(b, (size_t)(a->next - block_data(b)));
        a->next = block_data(a->block) + a->block->n;
        a->end = (uint8_t *)a->block + ARENA_BLOCK_BYTES;
    }
    uint8_t *from = block_data(a->block) + mark.used;
    assert(from <= a->next);
    wipe_used(from, (size_t)(a->next - from));
    a->next = from;
    POISON(a->next, a->end - a->next);
    a->total_bytes = mark.total_bytes;
}

void arena_reset(struct arena *a)
{
    arena_reset_to(a, (struct arena_mark){.block = arena_first_block(a), .used = round_up(sizeof(*a))});
}

size_t arena_used_bytes(const struct arena *a)
{
    return a->total_bytes + (size_t)(a->next - block_data(a->block)) - round_up(sizeof(*a));
}

bool arena_is_over(const struct arena *a)
{
    return a->limit_bytes && arena_used_bytes(a) > a->limit_bytes;
}

void arena_set_limit(struct arena *a, size_t limit_bytes)
{
    a->limit_bytes = limit_bytes;
}

static str arena_str_new(struct arena *a, str x, str y)
{
    char *p = arena_alloc(a, x.n + y.n + 1);
    if (x.n)
        memcpy(p, x.p, x.n);
    if (y.n)
        memcpy(p + x.n, y.p, y.n);
    p[x.n + y.n] = 0;
    return (str){p, x.n + y.n};
}

str arena_str(struct arena *a, str s)
{
    return arena_str_new(a, s, (str){0});
}

bytes arena_bytes(struct arena *a, bytes b)
{
    return bytes_from_str(arena_str_new(a, str_from_bytes(b), (str){0}));
}

str arena_join(struct arena *a, str x, str y)
{
    return arena_str_new(a, x, y);
}

str arena_fmt(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str s = arena_vfmt(a, fmt, ap);
    va_end(ap);
    return s;
}

str arena_vfmt(struct arena *a, const char *fmt, va_list ap)
{
    char small[256];
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    assert(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    if ((size_t)n < sizeof(small))
        memcpy(p, small, (size_t)n + 1);
    else
        (void)vsnprintf(p, (size_t)n + 1, fmt, again); /* the length is known to fit */
    va_end(again);
    explicit_bzero(small, MIN((size_t)n, sizeof(small)));
    return (str){p, (size_t)n};
}

str arena_lower(struct arena *a, str s)
{
    char *p = arena_alloc(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        p[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i]);
    p[s.n] = 0;
    return (str){p, s.n};
}

char *arena_cstr(struct arena *a, str s)
{
    if (s.n && memchr(s.p, 0, s.n))
        return NULL;
    char *p = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}
