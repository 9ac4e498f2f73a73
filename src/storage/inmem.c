/* inmem: everything in memory, lost at the end. A skip list of whole paths in order; handles may share one
 * (storage_inmem_share).
 *
 * Threads: `rw` guards the entries; `m` guards locks and the reference count, and is taken before `rw`. A
 * commit holds `m` all the time, so a lock is lost either before or after it.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "storage/listing.h"
#include "storage/storage.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    LEVELS_MAX = 20,
    KEY_BYTES_MAX = 1024 * 1024,
    VALUE_BYTES_MAX = 256 * 1024 * 1024,
    BATCH_MAX = 1000000
};

struct node { /* followed by the bytes of its path */
    str path;
    uint8_t *value;
    size_t value_n;
    struct node *next[];
};

struct entries {
    pthread_rwlock_t rw;
    struct node *head; /* LEVELS_MAX levels, no path */
    uint64_t random;   /* xorshift: chooses the levels of new nodes */
    struct mutex m;
    struct cond locks_changed;
    struct storage_lock *locks; /* held ones */
    size_t refs;                /* handles and locks */
};

struct inmem {
    struct storage base;
    struct entries *entries;
};

struct storage_lock {
    struct storage_lock *next;
    struct entries *entries;
    str path, value; /* in `text` */
    void (*lost)(void *arg);
    void *arg;
    bool held, telling; /* telling: `lost` is being called */
    char text[];
};

static void *must_alloc(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        die("out of memory: %zu bytes", n);
    return p;
}

/* Copies s to `to`, which has room for it. */
static str copy_to(char *to, str s)
{
    if (s.n)
        memcpy(to, s.p, s.n);
    return (str){to, s.n};
}

static struct node *node_new(str path, unsigned levels)
{
    size_t head_bytes = sizeof(struct node) + levels * sizeof(struct node *);
    struct node *node = must_alloc(head_bytes + path.n);
    memset(node, 0, head_bytes);
    node->path = copy_to((char *)node + head_bytes, path);
    return node;
}

static void node_free(struct node *node)
{
    free(node->value);
    free(node);
}

/* The first node at or after path; and, where asked, the last one before it on each level. */
static struct node *entries_seek(const struct entries *e, str path, struct node *ret_before[LEVELS_MAX])
{
    struct node *at = e->head;
    for (unsigned level = LEVELS_MAX; level-- > 0;) {
        while (at->next[level] && str_cmp(at->next[level]->path, path) < 0)
            at = at->next[level];
        if (ret_before)
            ret_before[level] = at;
    }
    return at->next[0];
}

static unsigned entries_draw_levels(struct entries *e)
{
    e->random ^= e->random << 13;
    e->random ^= e->random >> 7;
    e->random ^= e->random << 17;
    unsigned levels = 1;
    for (uint64_t bits = e->random; levels < LEVELS_MAX && (bits & 3) == 0; bits >>= 2)
        levels++;
    return levels;
}

static void entries_put(struct entries *e, str path, bytes value)
{
    struct node *before[LEVELS_MAX];
    struct node *node = entries_seek(e, path, before);
    if (node && str_eq(node->path, path)) {
        free(node->value);
    } else {
        unsigned levels = entries_draw_levels(e);
        node = node_new(path, levels);
        for (unsigned i = 0; i < levels; i++) {
            node->next[i] = before[i]->next[i];
            before[i]->next[i] = node;
        }
    }
    node->value = must_alloc(value.n);
    node->value_n = copy_to((char *)node->value, str_from_bytes(value)).n;
}

static void entries_delete(struct entries *e, str path)
{
    struct node *before[LEVELS_MAX];
    struct node *node = entries_seek(e, path, before);
    if (!node || !str_eq(node->path, path))
        return;
    for (unsigned i = 0; i < LEVELS_MAX && before[i]->next[i] == node; i++)
        before[i]->next[i] = node->next[i];
    node_free(node);
}

static struct entries *entries_new(void)
{
    struct entries *e = must_alloc(sizeof *e);
    *e = (struct entries){.random = 0x9e3779b97f4a7c15U, .refs = 1, .head = node_new((str){0}, LEVELS_MAX)};
    pthread_rwlockattr_t attr; /* else a stream of readers keeps the writer out for ever */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&e->rw, &attr);
    pthread_rwlockattr_destroy(&attr);
    mutex_init(&e->m);
    cond_init(&e->locks_changed);
    return e;
}

static void entries_unref(struct entries *e)
{
    mutex_lock(&e->m);
    bool last = --e->refs == 0;
    mutex_unlock(&e->m);
    if (!last)
        return;
    for (struct node *node = e->head, *next; node; node = next) {
        next = node->next[0];
        node_free(node);
    }
    pthread_rwlock_destroy(&e->rw);
    cond_done(&e->locks_changed);
    mutex_done(&e->m);
    free(e);
}

static struct entries *entries_of(struct storage *s)
{
    return CONTAINER_OF(s, struct inmem, base)->entries;
}

static struct error *inmem_get(struct storage *s, struct arena *a, str path, bytes *ret_value)
{
    struct entries *e = entries_of(s);
    pthread_rwlock_rdlock(&e->rw);
    const struct node *node = entries_seek(e, path, NULL);
    bool found = node && str_eq(node->path, path);
    *ret_value = found ? (bytes){arena_copy(a, node->value, node->value_n), node->value_n} : (bytes){0};
    pthread_rwlock_unlock(&e->rw);
    return NULL;
}

static struct error *inmem_list(struct storage *s, struct arena *a, str prefix, str **ret_names,
                                size_t *ret_n)
{
    struct entries *e = entries_of(s);
    struct listing l = {.arena = a, .prefix = prefix};
    str skip_to;
    pthread_rwlock_rdlock(&e->rw);
    const struct node *node = prefix.n ? entries_seek(e, prefix, NULL) : e->head->next[0];
    while (node && listing_add(&l, node->path, &skip_to))
        node = skip_to.n ? entries_seek(e, skip_to, NULL) : node->next[0];
    pthread_rwlock_unlock(&e->rw);
    *ret_names = l.names;
    *ret_n = l.n;
    return NULL;
}

static struct error *inmem_commit(struct storage *s, struct arena *a, const struct storage_batch *batch)
{
    struct entries *e = entries_of(s);
    mutex_lock(&e->m);
    bool fenced = batch->fence && !batch->fence->lock->held;
    if (!fenced) {
        pthread_rwlock_wrlock(&e->rw);
        for (size_t i = 0; i < batch->n; i++) {
            if (batch->puts[i].deletes)
                entries_delete(e, batch->puts[i].path);
            else
                entries_put(e, batch->puts[i].path, batch->puts[i].value);
        }
        pthread_rwlock_unlock(&e->rw);
    }
    mutex_unlock(&e->m);
    return fenced ? error_new(a, ERR_FENCED, "the lock on the storage is lost") : NULL;
}

static struct storage_lock **lock_find_locked(struct entries *e, str path) REQUIRES(&e->m)
{
    struct storage_lock **at = &e->locks;
    while (*at && !str_eq((*at)->path, path))
        at = &(*at)->next;
    return at;
}

static struct error *inmem_lock_acquire(struct storage *s, struct arena *a UNUSED, str path, str value,
                                        int64_t wait_ns, void (*lost)(void *arg), void *arg,
                                        struct storage_lock **ret_lock)
{
    struct entries *e = entries_of(s);
    struct storage_lock *lock = NULL;
    int64_t deadline_ns = clock_mono_ns(clock_real()) + wait_ns;
    mutex_lock(&e->m);
    bool in_time = true;
    while (*lock_find_locked(e, path) && in_time) {
        int64_t left_ns = deadline_ns - clock_mono_ns(clock_real());
        in_time = left_ns > 0 && (cond_wait_ns(&e->locks_changed, &e->m, left_ns), true);
    }
    if (in_time) {
        lock = must_alloc(sizeof *lock + path.n + value.n);
        *lock = (struct storage_lock){.next = e->locks, .entries = e, .lost = lost, .arg = arg, .held = true};
        lock->path = copy_to(lock->text, path);
        lock->value = copy_to(lock->text + path.n, value);
        e->locks = lock;
        e->refs++;
    }
    mutex_unlock(&e->m);
    *ret_lock = lock;
    return NULL;
}

static struct error *inmem_lock_holder(struct storage *s, struct arena *a, str path, str *ret_value)
{
    struct entries *e = entries_of(s);
    mutex_lock(&e->m);
    const struct storage_lock *lock = *lock_find_locked(e, path);
    *ret_value = lock ? arena_str(a, lock->value) : (str){0};
    mutex_unlock(&e->m);
    return NULL;
}

static void lock_drop_locked(struct entries *e, struct storage_lock *lock) REQUIRES(&e->m)
{
    *lock_find_locked(e, lock->path) = lock->next;
    lock->held = false;
    cond_broadcast(&e->locks_changed);
}

static void inmem_lock_release(struct storage_lock *lock)
{
    struct entries *e = lock->entries;
    mutex_lock(&e->m);
    while (lock->telling)
        cond_wait(&e->locks_changed, &e->m);
    if (lock->held)
        lock_drop_locked(e, lock);
    mutex_unlock(&e->m);
    free(lock);
    entries_unref(e);
}

void storage_inmem_break_lock(struct storage *s, str path)
{
    struct entries *e = entries_of(s);
    mutex_lock(&e->m);
    struct storage_lock *lock = *lock_find_locked(e, path);
    if (lock) {
        lock_drop_locked(e, lock);
        lock->telling = true;
    }
    mutex_unlock(&e->m);
    if (!lock)
        return;
    if (lock->lost)
        lock->lost(lock->arg);
    mutex_lock(&e->m);
    lock->telling = false;
    cond_broadcast(&e->locks_changed);
    mutex_unlock(&e->m);
}

static struct storage *inmem_new(const struct storage_ops *ops, struct storage_caps caps,
                                 struct entries *own_entries)
{
    struct inmem *s = must_alloc(sizeof *s);
    *s = (struct inmem){.base = {.ops = ops, .caps = caps}, .entries = own_entries};
    return &s->base;
}

struct storage *storage_inmem_share(struct storage *s)
{
    struct entries *e = entries_of(s);
    mutex_lock(&e->m);
    e->refs++;
    mutex_unlock(&e->m);
    return inmem_new(s->ops, s->caps, e);
}

static void inmem_close(struct storage *s)
{
    entries_unref(entries_of(s));
    free(CONTAINER_OF(s, struct inmem, base));
}

static struct error *open_as(const struct storage_ops *ops, struct arena *a,
                             const struct config_block *config, struct storage **ret_s)
{
    struct storage_caps caps = {.transactional = true,
                                .has_lock = ops->lock_acquire != NULL,
                                .value_bytes_max = VALUE_BYTES_MAX,
                                .key_bytes_max = KEY_BYTES_MAX,
                                .batch_max = BATCH_MAX};
    str max_value = config_block_get(config, STR("max_value_size"));
    if (max_value.n && !str_parse_u64(max_value, &caps.value_bytes_max))
        return error_new(a, ERR_BAD_REQUEST, "max_value_size \"%.*s\" is not a number", PSTR(max_value));
    *ret_s = inmem_new(ops, caps, entries_new());
    return NULL;
}

static struct error *inmem_open(struct arena *a, const struct config_block *config, struct storage **ret_s)
{
    return open_as(&storage_inmem, a, config, ret_s);
}

static struct error *inmem_ha_open(struct arena *a, const struct config_block *config, struct storage **ret_s)
{
    return open_as(&storage_inmem_ha, a, config, ret_s);
}

const struct storage_ops storage_inmem = {
    .type = "inmem",
    .open = inmem_open,
    .close = inmem_close,
    .get = inmem_get,
    .list = inmem_list,
    .commit = inmem_commit,
};

const struct storage_ops storage_inmem_ha = {
    .type = "inmem_ha",
    .open = inmem_ha_open,
    .close = inmem_close,
    .get = inmem_get,
    .list = inmem_list,
    .commit = inmem_commit,
    .lock_acquire = inmem_lock_acquire,
    .lock_holder = inmem_lock_holder,
    .lock_release = inmem_lock_release,
};
