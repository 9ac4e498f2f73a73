#include "core/volatile.h"

#include "base/log.h"
#include "base/loop.h"
#include "base/secure.h"
#include "core/active_private.h"

#include <stdlib.h>

enum { BUCKETS = 1024, SWEEP_S = 10 };

struct entry { /* one heap block with its path, wiped */
    struct entry *next;
    int64_t expires_ns;
    struct secret *secret; /* NULL: the value is in `small` */
    uint8_t small[VOLATILE_INLINE_BYTES];
    size_t small_n, path_n;
    char path[];
};

struct volatile_store {
    struct active *active;
    struct mutex mutex;
    struct entry *buckets[BUCKETS]; /* lock: mutex */
    size_t n, n_secrets;            /* lock: mutex */
    bool armed;                     /* lock: mutex */
    struct loop_timer timer;        /* what is over is wiped, though nobody asks for it */
};

static int64_t now_ns(const struct volatile_store *v)
{
    return clock_mono_ns(active_clock(v->active));
}

static struct entry **find_locked(struct volatile_store *v, str path) REQUIRES(&v->mutex)
{
    struct entry **at = &v->buckets[str_hash(path) % BUCKETS];

    while (*at && !str_eq((str){(*at)->path, (*at)->path_n}, path))
        at = &(*at)->next;
    return at;
}

static void remove_locked(struct volatile_store *v, struct entry **at) REQUIRES(&v->mutex)
{
    struct entry *e = *at;

    *at = e->next;
    v->n--;
    v->n_secrets -= e->secret != NULL;
    secret_free(e->secret);
    wipe(e, sizeof(*e) + e->path_n);
    free(e);
}

static void sweep_locked(struct volatile_store *v, int64_t now) REQUIRES(&v->mutex)
{
    for (size_t i = 0; v->n > 0 && i < BUCKETS; i++)
        for (struct entry **at = &v->buckets[i]; *at;)
            if ((*at)->expires_ns <= now)
                remove_locked(v, at);
            else
                at = &(*at)->next;
}

static void tick(struct loop *l, struct loop_timer *t)
{
    struct volatile_store *v = CONTAINER_OF(t, struct volatile_store, timer);

    mutex_lock(&v->mutex);
    sweep_locked(v, now_ns(v));
    v->armed = v->n > 0;
    bool again = v->armed;

    mutex_unlock(&v->mutex);
    if (again)
        loop_timer_set(l, t, SWEEP_S * NS_PER_S);
}

struct volatile_store *volatile_new(struct active *a)
{
    struct volatile_store *v = calloc(1, sizeof(*v));

    if (!v)
        die("out of memory");
    v->active = a;
    v->timer.fn = tick;
    mutex_init(&v->mutex);
    return v;
}

void volatile_free(struct volatile_store *v)
{
    if (!v)
        return;
    control_timer_clear(v->active, &v->timer);
    mutex_lock(&v->mutex);
    for (size_t i = 0; i < BUCKETS; i++)
        while (v->buckets[i])
            remove_locked(v, &v->buckets[i]);
    mutex_unlock(&v->mutex);
    mutex_done(&v->mutex);
    free(v);
}

void volatile_get(struct volatile_store *v, struct arena *a, str path, bytes *ret)
{
    *ret = (bytes){0};
    mutex_lock(&v->mutex);
    const struct entry *e = *find_locked(v, path);

    if (e && e->expires_ns > now_ns(v))
        *ret = arena_bytes(a, e->secret ? secret_reveal(e->secret) : (bytes){e->small, e->small_n});
    mutex_unlock(&v->mutex);
}

bool volatile_has_room(struct volatile_store *v, size_t value_bytes)
{
    mutex_lock(&v->mutex);
    if (v->n >= VOLATILE_ENTRIES_MAX || v->n_secrets >= VOLATILE_SECRETS_MAX)
        sweep_locked(v, now_ns(v));
    bool room = v->n < VOLATILE_ENTRIES_MAX &&
                (value_bytes <= VOLATILE_INLINE_BYTES || v->n_secrets < VOLATILE_SECRETS_MAX);

    mutex_unlock(&v->mutex);
    return room;
}

static struct entry *entry_new(str path, bytes value, int64_t expires_ns)
{
    struct entry *e = calloc(1, sizeof(*e) + path.n);

    if (!e)
        die("out of memory");
    e->expires_ns = expires_ns;
    e->path_n = path.n;
    memcpy(e->path, path.p, path.n);
    if (value.n > VOLATILE_INLINE_BYTES) {
        e->secret = secret_from(value);
    } else {
        e->small_n = value.n;
        memcpy(e->small, value.p, value.n);
    }
    return e;
}

void volatile_set(struct volatile_store *v, str path, bytes value, int64_t expires_ns)
{
    struct entry *e = value.p ? entry_new(path, value, expires_ns) : NULL;
    bool arm = false;

    mutex_lock(&v->mutex);
    struct entry **at = find_locked(v, path);

    if (*at)
        remove_locked(v, at);
    if (e) {
        e->next = *at;
        *at = e;
        v->n++;
        v->n_secrets += e->secret != NULL;
        arm = !v->armed;
        v->armed = true;
    }
    mutex_unlock(&v->mutex);
    if (arm)
        control_timer_set(v->active, &v->timer, SWEEP_S * NS_PER_S);
}

size_t volatile_count(struct volatile_store *v)
{
    mutex_lock(&v->mutex);
    size_t n = v->n;

    mutex_unlock(&v->mutex);
    return n;
}
