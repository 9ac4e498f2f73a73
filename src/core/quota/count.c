/* count: how many requests of each address, in windows of time that begin with its first one. */
#include "base/log.h"
#include "base/mutex.h"
#include "core/quota/quota_private.h"

#include <stdlib.h>

enum { WAYS = 8, SETS = QUOTA_ADDRESSES_MAX / WAYS, LOCKS = 64 };

struct address { /* all zero: nobody */
    uint64_t hash;
    int64_t start_ns; /* of the first window */
    uint64_t window;  /* the one it is in, counted from there */
    uint64_t used;    /* in that one */
    int64_t blocked_until_ns;
};

struct quota_counts {
    uint64_t limit;
    int64_t interval_ns, block_ns;
    struct mutex locks[LOCKS]; /* of set i: i % LOCKS */
    struct address *addresses; /* SETS * WAYS; memory comes as it is touched */
};

struct quota_counts *quota_counts_new(uint64_t limit, int64_t interval_ns, int64_t block_ns)
{
    struct quota_counts *c = calloc(1, sizeof(*c));

    if (!c || !(c->addresses = calloc(QUOTA_ADDRESSES_MAX, sizeof(*c->addresses))))
        die("out of memory");
    c->limit = limit;
    c->interval_ns = interval_ns;
    c->block_ns = block_ns;
    for (int i = 0; i < LOCKS; i++)
        mutex_init(&c->locks[i]);
    return c;
}

void quota_counts_free(struct quota_counts *c)
{
    if (!c)
        return;
    for (int i = 0; i < LOCKS; i++)
        mutex_done(&c->locks[i]);
    free(c->addresses);
    free(c);
}

static uint64_t window_at(const struct quota_counts *c, const struct address *a, int64_t now_ns)
{
    return now_ns > a->start_ns ? (uint64_t)(now_ns - a->start_ns) / (uint64_t)c->interval_ns : 0;
}

/* Nothing is lost with it: its window is over and it is not blocked. */
static bool is_over(const struct quota_counts *c, const struct address *a, int64_t now_ns)
{
    return a->hash == 0 || (now_ns >= a->blocked_until_ns && window_at(c, a, now_ns) > a->window);
}

/* The place of the address: its own, one that is free or over, else the oldest one's. */
static struct address *place_of(struct quota_counts *c, struct address *set, uint64_t hash, int64_t now_ns)
{
    struct address *best = NULL;

    for (int i = 0; i < WAYS; i++)
        if (set[i].hash == hash)
            return &set[i];
    for (int i = 0; i < WAYS && !best; i++)
        if (is_over(c, &set[i], now_ns))
            best = &set[i];
    for (int i = 0; i < WAYS && !(best && is_over(c, best, now_ns)); i++)
        if (!best || set[i].start_ns < best->start_ns)
            best = &set[i];
    *best = (struct address){.hash = hash, .start_ns = now_ns};
    return best;
}

static int64_t whole_seconds(int64_t ns)
{
    return ns > 0 ? ns / NS_PER_S : 0;
}

static bool take(struct quota_counts *c, struct address *a, int64_t now_ns, struct quota_told *ret)
{
    uint64_t window = window_at(c, a, now_ns);

    if (now_ns < a->blocked_until_ns) { /* blocked: nothing is told but when that ends */
        *ret = (struct quota_told){.retry_after_s = whole_seconds(a->blocked_until_ns - now_ns)};
        return false;
    }
    if (window > a->window) {
        a->window = window;
        a->used = 0;
    }
    bool fits = a->used < c->limit;

    a->used += fits;
    int64_t reset_ns = c->interval_ns - (now_ns > a->start_ns ? (now_ns - a->start_ns) % c->interval_ns : 0);

    *ret = (struct quota_told){c->limit, c->limit - a->used, whole_seconds(reset_ns), -1};
    if (fits)
        return true;
    if (c->block_ns > 0 && __builtin_add_overflow(now_ns, c->block_ns, &a->blocked_until_ns))
        a->blocked_until_ns = INT64_MAX;
    ret->retry_after_s = c->block_ns > 0 ? whole_seconds(c->block_ns) : ret->reset_s;
    return false;
}

bool quota_counts_take(struct quota_counts *c, str address, int64_t now_ns, struct quota_told *ret)
{
    uint64_t hash = str_hash(address) | 1; /* never nobody's */
    size_t set = (hash >> 1) % SETS;
    struct mutex *lock = &c->locks[set % LOCKS];

    mutex_lock(lock);
    bool fits = take(c, place_of(c, c->addresses + set * WAYS, hash, now_ns), now_ns, ret);

    mutex_unlock(lock);
    return fits;
}
