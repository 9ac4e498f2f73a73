#include "core/active_private.h"
#include "core/mfa/mfa_private.h"
#include "core/stored.h"

#include <stdatomic.h>
#include <stdlib.h>

struct mfa {
    struct mutex mutex;
    struct mfa_set *set; /* lock: mutex; NULL until the store is open */
};

struct mfa *mfa_new(void)
{
    struct mfa *m = calloc(1, sizeof(*m));

    if (!m)
        die("out of memory");
    mutex_init(&m->mutex);
    return m;
}

void mfa_free(struct mfa *m)
{
    if (!m)
        return;
    mfa_set_unref(m->set);
    mutex_done(&m->mutex);
    free(m);
}

void mfa_set_unref(struct mfa_set *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        arena_free(s->arena);
}

static void unref_set(void *set)
{
    mfa_set_unref(set);
}

void mfa_publish(struct active *a, struct mfa_set *own_set)
{
    struct mfa *m = active_mfa(a);

    mutex_lock(&m->mutex);
    struct mfa_set *old = m->set;

    m->set = own_set;
    mutex_unlock(&m->mutex);
    mfa_set_unref(old);
}

const struct mfa_set *mfa_set_held(struct request *rq)
{
    struct mfa *m = active_mfa(rq->active);

    mutex_lock(&m->mutex);
    struct mfa_set *s = m->set;

    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    mutex_unlock(&m->mutex);
    arena_defer(rq->arena, unref_set, s);
    return s;
}

const MfaPb__Method *mfa_method_find(const struct mfa_set *s, str id)
{
    for (size_t i = 0; i < s->n_methods; i++)
        if (str_eq(pb_str(s->methods[i]->id), id))
            return s->methods[i];
    return NULL;
}

const MfaPb__Enforcement *mfa_enforcement_find(const struct mfa_set *s, str name)
{
    for (size_t i = 0; i < s->n_enforcements; i++)
        if (str_eq(pb_str(s->enforcements[i]->name), name))
            return s->enforcements[i];
    return NULL;
}

MfaPb__Method *mfa_method_copy(struct request *rq, const MfaPb__Method *m)
{
    return (MfaPb__Method *)pb_unpack(rq->arena, &mfa_pb__method__descriptor, pb_pack(rq->arena, &m->base));
}

MfaPb__Enforcement *mfa_enforcement_copy(struct request *rq, const MfaPb__Enforcement *e)
{
    return (MfaPb__Enforcement *)pb_unpack(rq->arena, &mfa_pb__enforcement__descriptor,
                                           pb_pack(rq->arena, &e->base));
}

/* ---- stored ---- */

struct messages {
    const ProtobufCMessage **v;
    size_t n;
};

/* One by one into the set's own arena. */
static struct error *read_all(struct request *rq, struct mfa_set *s, str folder,
                              const ProtobufCMessageDescriptor *d, struct messages *ret)
{
    struct view sys = txn_view(rq->txn, SPACE_SYS);
    str *names;
    size_t n;

    TRY(view_list(&sys, folder, &names, &n));
    ret->v = ARENA_ARRAY(s->arena, const ProtobufCMessage *, n + 1);
    ret->n = 0;
    for (size_t i = 0; i < n; i++) {
        str path = arena_join(rq->arena, folder, names[i]);
        bytes stored, clear;

        TRY(view_get(&sys, path, &stored));
        if (!stored.p)
            continue;
        TRY(stored_unpack(rq->arena, path, stored, &clear));
        ret->v[ret->n] = pb_unpack(s->arena, d, clear);
        if (!ret->v[ret->n])
            return fail(rq, ERR_INTERNAL, "the stored entry sys/%.*s is damaged", PSTR(path));
        ret->n++;
    }
    return NULL;
}

static struct error *fill(struct request *rq, struct mfa_set *s)
{
    struct messages m;

    TRY(read_all(rq, s, STR(MFA_METHODS), &mfa_pb__method__descriptor, &m));
    s->methods = (const MfaPb__Method **)m.v;
    s->n_methods = m.n;
    TRY(read_all(rq, s, STR(MFA_ENFORCEMENTS), &mfa_pb__enforcement__descriptor, &m));
    s->enforcements = (const MfaPb__Enforcement **)m.v;
    s->n_enforcements = m.n;
    return NULL;
}

struct error *mfa_open(struct request *rq, struct mfa_set **ret)
{
    struct arena *arena = arena_new(0);
    struct mfa_set *s = ARENA_NEW(arena, struct mfa_set);

    s->arena = arena;
    atomic_init(&s->refs, 1);
    struct error *e = fill(rq, s);

    if (e) {
        mfa_set_unref(s);
        return e;
    }
    *ret = s;
    return NULL;
}

static void published(struct active *a, void *set)
{
    mfa_publish(a, set);
}

static struct error *changed(struct request *rq)
{
    struct mfa_set *s;

    TRY(mfa_open(rq, &s));
    txn_on_commit(rq->txn, published, unref_set, s);
    return NULL;
}

static struct error *put(struct request *rq, const char *folder, ProtobufCBinaryData id,
                         const ProtobufCMessage *m)
{
    struct view sys = txn_view(rq->txn, SPACE_SYS);

    TRY(view_put(&sys, arena_join(rq->arena, str_from_cstr(folder), pb_str(id)), pb_pack(rq->arena, m)));
    return changed(rq);
}

static struct error *delete (struct request *rq, const char *folder, str id)
{
    struct view sys = txn_view(rq->txn, SPACE_SYS);

    TRY(view_delete(&sys, arena_join(rq->arena, str_from_cstr(folder), id)));
    return changed(rq);
}

struct error *mfa_method_put(struct request *rq, const MfaPb__Method *m)
{
    return put(rq, MFA_METHODS, m->id, &m->base);
}

struct error *mfa_method_delete(struct request *rq, str id)
{
    return delete (rq, MFA_METHODS, id);
}

struct error *mfa_enforcement_put(struct request *rq, const MfaPb__Enforcement *e)
{
    return put(rq, MFA_ENFORCEMENTS, e->id, &e->base);
}

struct error *mfa_enforcement_delete(struct request *rq, str id)
{
    return delete (rq, MFA_ENFORCEMENTS, id);
}
