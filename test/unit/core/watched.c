#include "watched.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"

#include <stdlib.h>

enum { LEDGER_BUCKETS = 1 << 15, PATIENCE_S = 60 };

struct line {
    struct line *next;
    str path;
    uint64_t n;
};

struct watched {
    struct storage base;
    struct storage *inner;
    struct arena *arena;
    struct mutex ledger_mutex; /* held while `inner` commits: who sees an entry finds it in the ledger */
    struct line *ledger[LEDGER_BUCKETS];
    uint64_t commits;
    struct mutex mutex; /* below */
    struct cond changed;
    str parks; /* a literal of the test; empty: nothing */
    bool parked;
};

static struct watched *of(struct storage *s)
{
    return CONTAINER_OF(s, struct watched, base);
}

static struct line *find_locked(struct watched *w, str path, bool makes) REQUIRES(&w->ledger_mutex)
{
    struct line **at = &w->ledger[str_hash(path) % LEDGER_BUCKETS];

    for (; *at; at = &(*at)->next)
        if (str_eq((*at)->path, path))
            return *at;
    if (!makes)
        return NULL;
    *at = ARENA_NEW(w->arena, struct line);
    (*at)->path = arena_str(w->arena, path);
    return *at;
}

static void note_locked(struct watched *w, str path) REQUIRES(&w->ledger_mutex)
{
    if (str_starts(path, STR("logical/")))
        path = str_from(path, sizeof("logical/00000000-0000-0000-0000-000000000000/") - 1);
    find_locked(w, path, true)->n++;
    find_locked(w, str_slice(path, 0, str_rindex(path, '/') + 1), true)->n++;
}

static struct error *watched_commit(struct storage *s, struct arena *a, const struct storage_batch *batch)
{
    struct watched *w = of(s);

    mutex_lock(&w->ledger_mutex);
    struct error *e = w->inner->ops->commit(w->inner, a, batch);

    w->commits += !e;
    for (size_t i = 0; !e && i < batch->n; i++)
        if (!batch->puts[i].deletes)
            note_locked(w, batch->puts[i].path);
    mutex_unlock(&w->ledger_mutex);
    return e;
}

static struct error *watched_get(struct storage *s, struct arena *a, str path, bytes *ret_value)
{
    struct watched *w = of(s);

    TRY(w->inner->ops->get(w->inner, a, path, ret_value));
    mutex_lock(&w->mutex);
    if (w->parks.n > 0 && str_ends(path, w->parks)) {
        w->parks = (str){0};
        w->parked = true;
        cond_broadcast(&w->changed);
        while (w->parked)
            cond_wait(&w->changed, &w->mutex);
    }
    mutex_unlock(&w->mutex);
    return NULL;
}

static struct error *watched_list(struct storage *s, struct arena *a, str prefix, str **ret_names,
                                  size_t *ret_n)
{
    struct watched *w = of(s);

    return w->inner->ops->list(w->inner, a, prefix, ret_names, ret_n);
}

static void watched_close(struct storage *s)
{
    struct watched *w = of(s);

    storage_close(w->inner);
    arena_free(w->arena);
    cond_done(&w->changed);
    mutex_done(&w->mutex);
    mutex_done(&w->ledger_mutex);
    free(w);
}

static const struct storage_ops watched_ops = {.type = "watched",
                                               .close = watched_close,
                                               .get = watched_get,
                                               .list = watched_list,
                                               .commit = watched_commit};

struct storage *watched_new(struct storage *inner, bool blocking)
{
    struct watched *w = calloc(1, sizeof(*w));

    if (!w)
        die("out of memory");
    w->base = (struct storage){.ops = &watched_ops, .caps = inner->caps};
    w->base.caps.blocking = blocking;
    w->base.caps.has_lock = false;
    w->inner = inner;
    w->arena = arena_new(0);
    mutex_init(&w->ledger_mutex);
    mutex_init(&w->mutex);
    cond_init(&w->changed);
    return &w->base;
}

uint64_t watched_puts(struct storage *s, str path_or_folder)
{
    struct watched *w = of(s);

    mutex_lock(&w->ledger_mutex);
    const struct line *l = find_locked(w, path_or_folder, false);
    uint64_t n = l ? l->n : 0;

    mutex_unlock(&w->ledger_mutex);
    return n;
}

uint64_t watched_commits(struct storage *s)
{
    struct watched *w = of(s);

    mutex_lock(&w->ledger_mutex);
    uint64_t n = w->commits;

    mutex_unlock(&w->ledger_mutex);
    return n;
}

void watched_park(struct storage *s, str end)
{
    struct watched *w = of(s);

    mutex_lock(&w->mutex);
    w->parks = end;
    mutex_unlock(&w->mutex);
}

bool watched_wait_parked(struct storage *s)
{
    struct watched *w = of(s);
    bool in_time = true;

    mutex_lock(&w->mutex);
    while (!w->parked && in_time)
        in_time = cond_wait_ns(&w->changed, &w->mutex, PATIENCE_S * NS_PER_S);
    bool parked = w->parked;

    mutex_unlock(&w->mutex);
    return parked;
}

void watched_release(struct storage *s)
{
    struct watched *w = of(s);

    mutex_lock(&w->mutex);
    w->parked = false;
    cond_broadcast(&w->changed);
    mutex_unlock(&w->mutex);
}
