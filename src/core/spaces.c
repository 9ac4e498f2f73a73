/* Spaces and snapshots of struct active: active_private.h says how they live. */
#include "base/log.h"
#include "core/active_private.h"
#include "core/quota/quota.h"

#include <stdatomic.h>
#include <stdlib.h>

struct space *active_space(struct active *a, enum core_space which)
{
    return &a->core_spaces[which];
}

struct space *active_mount_space(struct active *a, str prefix)
{
    struct space *s, **chain = &a->mount_spaces[str_hash(prefix) % MOUNT_SPACE_CHAINS];

    mutex_lock(&a->spaces_mutex);
    for (s = *chain; s && !str_eq(s->prefix, prefix); s = s->next)
        ;
    if (!s) {
        s = calloc(1, sizeof(*s) + prefix.n);
        if (!s)
            die("out of memory");
        if (prefix.n)
            memcpy(s + 1, prefix.p, prefix.n);
        s->prefix = (str){(char *)(s + 1), prefix.n};
        s->next = *chain;
        *chain = s;
    }
    mutex_unlock(&a->spaces_mutex);
    return s;
}

struct mount_set *mount_set_new(void)
{
    struct arena *arena = arena_new(0);
    struct mount_set *m = ARENA_NEW(arena, struct mount_set);

    m->arena = arena;
    atomic_init(&m->refs, 1);
    return m;
}

struct mount_set *mount_set_ref(struct mount_set *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void mount_set_unref(struct mount_set *m)
{
    if (m && atomic_fetch_sub(&m->refs, 1) == 1)
        arena_free(m->arena);
}

void snapshot_drop(struct snapshot *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    mount_set_unref(TAKE(s->mounts));
    audit_set_unref(TAKE(s->audit));
    quota_set_unref(TAKE(s->quotas));
}

void snapshot_publish(struct active *a, struct mount_set *own_mounts, struct audit_set *own_audit,
                      struct quota_set *own_quotas)
{
    struct snapshot *s = calloc(1, sizeof(*s)), *old = atomic_load(&a->snapshot);

    if (!s)
        die("out of memory");
    atomic_init(&s->refs, 1);
    s->mounts = own_mounts;
    s->audit = own_audit;
    s->quotas = own_quotas;
    s->next = a->snapshots;
    a->snapshots = s;
    atomic_store(&a->snapshot, s);
    atomic_store(&a->core->has_quotas, quota_set_limits_rates(own_quotas));
    snapshot_drop(old);
}

struct audit_set *active_audit_set(struct active *a)
{
    struct snapshot *s = snapshot_hold(a);
    struct audit_set *set = audit_set_ref(s->audit);

    snapshot_drop(s);
    return set;
}
