#include "faulty.h"

#include <assert.h>
#include <stdlib.h>

struct faulty {
    struct storage base;
    struct storage *inner;
    unsigned left; /* calls until one fails; 0: it has */
    enum err_kind kind;
    bool after;
};

static bool fires(struct faulty *f)
{
    return f->left > 0 && --f->left == 0;
}

static struct error *failure(const struct faulty *f, struct arena *a)
{
    return error_new(a, f->kind, "made to fail");
}

static void faulty_close(struct storage *s)
{
    free(CONTAINER_OF(s, struct faulty, base));
}

static struct error *faulty_get(struct storage *s, struct arena *a, str path, bytes *ret_value)
{
    struct faulty *f = CONTAINER_OF(s, struct faulty, base);
    return fires(f) ? failure(f, a) : storage_get(f->inner, a, path, ret_value);
}

static struct error *faulty_list(struct storage *s, struct arena *a, str prefix, str **ret_names,
                                 size_t *ret_n)
{
    struct faulty *f = CONTAINER_OF(s, struct faulty, base);
    return fires(f) ? failure(f, a) : storage_list(f->inner, a, prefix, ret_names, ret_n);
}

static struct error *faulty_commit(struct storage *s, struct arena *a, const struct storage_batch *batch)
{
    struct faulty *f = CONTAINER_OF(s, struct faulty, base);
    bool fails = fires(f);
    if (!fails || f->after)
        TRY(storage_commit(f->inner, a, batch));
    return fails ? failure(f, a) : NULL;
}

static struct error *faulty_acquire(struct storage *s, struct arena *a, str path, str value, int64_t wait_ns,
                                    void (*lost)(void *arg), void *arg, struct storage_lock **ret_lock)
{
    struct faulty *f = CONTAINER_OF(s, struct faulty, base);
    if (fires(f))
        return failure(f, a);
    return f->inner->ops->lock_acquire(f->inner, a, path, value, wait_ns, lost, arg, ret_lock);
}

static struct error *faulty_holder(struct storage *s, struct arena *a, str path, str *ret_value)
{
    struct faulty *f = CONTAINER_OF(s, struct faulty, base);
    return fires(f) ? failure(f, a) : f->inner->ops->lock_holder(f->inner, a, path, ret_value);
}

static void faulty_release(struct storage_lock *lock)
{
    storage_inmem_ha.lock_release(lock);
}

static const struct storage_ops faulty_ops = {
    .type = "faulty",
    .close = faulty_close,
    .get = faulty_get,
    .list = faulty_list,
    .commit = faulty_commit,
    .lock_acquire = faulty_acquire,
    .lock_holder = faulty_holder,
    .lock_release = faulty_release,
};

struct storage *faulty_new(struct storage *inner, unsigned n, enum err_kind kind, bool after)
{
    struct faulty *f = malloc(sizeof *f);
    assert(f);
    *f = (struct faulty){.base = {.ops = &faulty_ops, .caps = inner->caps},
                         .inner = inner,
                         .left = n,
                         .kind = kind,
                         .after = after};
    return &f->base;
}

bool faulty_fired(const struct storage *s)
{
    const struct faulty *f = (const struct faulty *)(const void *)s; /* base is the first member */
    return f->left == 0;
}
