#include "core/lru.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/secure.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { LRU_SHARDS = 16, LRU_BUCKETS_MIN = 64, ENTRY_OVERHEAD_BYTES = 160 };

struct shard {
    struct mutex mutex;
    struct lru_entry **buckets;
    size_t n_buckets;         /* a power of two */
    struct lru_entry *newest; /* list by last use */
    struct lru_entry *oldest;
    size_t n, bytes;
};

struct lru {
    struct shard shards[LRU_SHARDS];
    size_t entries_max, bytes_max; /* of one shard */
};

struct object *object_new(size_t n)
{
    struct object *o = calloc(1, n);

    if (!o || n > UINT32_MAX)
        die("out of memory");
    atomic_init(&o->refs, 1);
    o->bytes = (uint32_t)n;
    return o;
}

void object_ref(struct object *o)
{
    atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
}

void object_unref(struct object *o)
{
    if (!o || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
        return;
    wipe(o, o->bytes);
    free(o);
}

static size_t entry_bytes(struct lru_entry *e)
{
    struct object *o = atomic_load_explicit(&e->object, memory_order_relaxed);

    return ENTRY_OVERHEAD_BYTES + e->path.n + e->value.n + (o ? o->bytes : 0);
}

void lru_entry_unref(struct lru_entry *e)
{
    if (!e || atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) != 1)
        return;
    object_unref(atomic_load_explicit(&e->object, memory_order_acquire));
    free(e);
}

struct lru *lru_new(size_t entries_max, size_t bytes_max)
{
    struct lru *l = calloc(1, sizeof(*l));

    if (!l)
        die("out of memory");
    l->entries_max = MAX(entries_max / LRU_SHARDS, 1);
    l->bytes_max = MAX(bytes_max / LRU_SHARDS, 4096);
    for (int i = 0; i < LRU_SHARDS; i++) {
        mutex_init(&l->shards[i].mutex);
        l->shards[i].n_buckets = LRU_BUCKETS_MIN;
        l->shards[i].buckets = calloc(LRU_BUCKETS_MIN, sizeof(void *));
        if (!l->shards[i].buckets)
            die("out of memory");
    }
    return l;
}

static struct shard *shard_of(struct lru *l, uint64_t hash)
{
    return &l->shards[hash >> 60];
}

static struct lru_entry **slot_of(struct shard *s, uint64_t hash)
{
    return &s->buckets[hash & (s->n_buckets - 1)];
}

static void unlink_used(struct shard *s, struct lru_entry *e)
{
    if (e->newer)
        e->newer->older = e->older;
    else
        s->newest = e->older;
    if (e->older)
        e->older->newer = e->newer;
    else
        s->oldest = e->newer;
}

static void link_newest(struct shard *s, struct lru_entry *e)
{
    e->newer = NULL;
    e->older = s->newest;
    if (s->newest)
        s->newest->newer = e;
    s->newest = e;
    if (!s->oldest)
        s->oldest = e;
}

static struct lru_entry *find(struct shard *s, uint64_t hash, str path)
{
    for (struct lru_entry *e = *slot_of(s, hash); e; e = e->hash_next)
        if (e->hash == hash && str_eq(e->path, path))
            return e;
    return NULL;
}

static void drop(struct shard *s, struct lru_entry *e)
{
    struct lru_entry **at = slot_of(s, e->hash);

    while (*at != e)
        at = &(*at)->hash_next;
    *at = e->hash_next;
    unlink_used(s, e);
    s->n--;
    s->bytes -= MIN(s->bytes, entry_bytes(e));
    lru_entry_unref(e);
}

static void grow(struct shard *s)
{
    size_t n = s->n_buckets * 2;
    struct lru_entry **buckets = calloc(n, sizeof(void *));

    if (!buckets)
        return; /* longer chains, nothing worse */
    for (size_t i = 0; i < s->n_buckets; i++)
        for (struct lru_entry *e = s->buckets[i], *next; e; e = next) {
            next = e->hash_next;
            e->hash_next = buckets[e->hash & (n - 1)];
            buckets[e->hash & (n - 1)] = e;
        }
    free(s->buckets);
    s->buckets = buckets;
    s->n_buckets = n;
}

bool lru_takes(const struct lru *l, str path, size_t value_bytes)
{
    return ENTRY_OVERHEAD_BYTES + path.n + value_bytes <= l->bytes_max;
}

static void insert(struct lru *l, struct shard *s, uint64_t hash, str path, bytes value)
{
    struct lru_entry *old = find(s, hash, path);

    if (old)
        drop(s, old);
    if (!lru_takes(l, path, value.n))
        return;
    struct lru_entry *e = malloc(sizeof(*e) + path.n + value.n);

    if (!e)
        die("out of memory");
    char *text = (char *)(e + 1);

    memcpy(text, path.p, path.n);
    if (value.n)
        memcpy(text + path.n, value.p, value.n);
    *e = (struct lru_entry){
        .hash = hash, .path = {text, path.n}, .value = {value.p ? (uint8_t *)text + path.n : NULL, value.n}};
    atomic_init(&e->refs, 1);
    atomic_init(&e->object, NULL);
    if (s->n >= s->n_buckets)
        grow(s);
    struct lru_entry **at = slot_of(s, hash);

    e->hash_next = *at;
    *at = e;
    link_newest(s, e);
    s->n++;
    s->bytes += entry_bytes(e);
    while (s->oldest != e && (s->n > l->entries_max || s->bytes > l->bytes_max))
        drop(s, s->oldest);
}

struct lru_entry *lru_get(struct lru *l, str path)
{
    uint64_t hash = str_hash(path);
    struct shard *s = shard_of(l, hash);

    mutex_lock(&s->mutex);
    struct lru_entry *e = find(s, hash, path);

    if (e) {
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
        if (s->newest != e) {
            unlink_used(s, e);
            link_newest(s, e);
        }
    }
    mutex_unlock(&s->mutex);
    return e;
}

void lru_fill(struct lru *l, struct space *space, uint64_t seq_before, str path, bytes value)
{
    uint64_t hash = str_hash(path);
    struct shard *s = shard_of(l, hash);

    mutex_lock(&s->mutex);
    if (((seq_before & 1) == 0 && atomic_load(&space->seq) == seq_before) ||
        FAULT(FAULT_DEFECT_FILL_UNCHECKED))
        insert(l, s, hash, path, value);
    mutex_unlock(&s->mutex);
}

void lru_put(struct lru *l, str path, bytes value, bool insert_new)
{
    uint64_t hash = str_hash(path);
    struct shard *s = shard_of(l, hash);

    mutex_lock(&s->mutex);
    struct lru_entry *old = find(s, hash, path);

    if (old || insert_new)
        insert(l, s, hash, path, value);
    mutex_unlock(&s->mutex);
}

struct object *lru_entry_object(struct lru_entry *e)
{
    struct object *o = atomic_load_explicit(&e->object, memory_order_acquire);

    if (o)
        object_ref(o); /* the entry, which the caller holds, keeps its own reference */
    return o;
}

void lru_entry_set_object(struct lru *l, struct lru_entry *e, struct object *o)
{
    struct shard *s = shard_of(l, e->hash);
    struct object *none = NULL;

    mutex_lock(&s->mutex);
    object_ref(o);
    if (!atomic_compare_exchange_strong(&e->object, &none, o))
        object_unref(o);
    else if (find(s, e->hash, e->path) == e)
        s->bytes += o->bytes;
    mutex_unlock(&s->mutex);
}

struct lru_stats lru_stats(struct lru *l)
{
    struct lru_stats sum = {0};

    for (int i = 0; i < LRU_SHARDS; i++) {
        mutex_lock(&l->shards[i].mutex);
        sum.entries += l->shards[i].n;
        sum.bytes += l->shards[i].bytes;
        mutex_unlock(&l->shards[i].mutex);
    }
    return sum;
}

void lru_free(struct lru *l)
{
    if (!l)
        return;
    for (int i = 0; i < LRU_SHARDS; i++) {
        struct shard *s = &l->shards[i];

        while (s->oldest)
            drop(s, s->oldest);
        free(s->buckets);
        mutex_done(&s->mutex);
    }
    free(l);
}
