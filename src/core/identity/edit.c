/* edit: what a request changes of identities: buckets opened once, written once; effects at publication. */
#include "core/identity/identity_private.h"
#include "core/mfa/mfa_private.h"

#include <stdlib.h>

struct effect { /* on the index; one of these */
    struct effect *next;
    struct entity *own_entity;
    struct group *own_group;
    str gone_entity, gone_group;
    struct index_members members; /* of own_group; of gone_group: `removed` */
};

struct effects { /* with all but the objects in its arena */
    struct arena *arena;
    struct effect *first, **end;
};

static void publish(struct active *a, void *arg)
{
    struct effects *all = arg;
    struct index *x = active_index(a);

    for (struct effect *f = all->first; f; f = f->next) {
        if (f->own_entity)
            index_put_entity(x, f->own_entity);
        else if (f->own_group)
            index_put_group(x, f->own_group, &f->members);
        else if (f->gone_entity.n)
            index_drop_entity(x, f->gone_entity);
        else
            index_drop_group(x, f->gone_group, f->members.removed, f->members.n_removed);
    }
    arena_free(all->arena);
}

static void forget(void *arg)
{
    struct effects *all = arg;

    for (struct effect *f = all->first; f; f = f->next) {
        entity_unref(f->own_entity);
        object_unref(f->own_group ? &f->own_group->object : NULL);
    }
    arena_free(all->arena);
}

static struct effect *add_effect(struct edit *e)
{
    struct effect *f = ARENA_NEW(e->effects->arena, struct effect);

    *e->effects->end = f;
    e->effects->end = &f->next;
    return f;
}

struct error *edit_begin(struct edit **ret, struct request *rq)
{
    TRY(txn_exclusive(rq->txn));
    struct arena *arena = arena_new(0);
    struct effects *all = ARENA_NEW(arena, struct effects);

    *all = (struct effects){.arena = arena, .end = &all->first};
    *ret = ARENA_NEW(rq->arena, struct edit);
    (*ret)->rq = rq;
    (*ret)->view = identity_view(rq);
    (*ret)->effects = all;
    txn_on_commit(rq->txn, publish, forget, all);
    return NULL;
}

static struct error *opened(struct edit *e, enum bucket_kind kind, str id, IdentityPb__Bucket **ret)
{
    unsigned number = bucket_number(id);

    if (!e->open[kind][number])
        TRY(bucket_read(&e->view, kind, number, &e->open[kind][number]));
    *ret = e->open[kind][number];
    return NULL;
}

static void changed(struct edit *e, enum bucket_kind kind, str id)
{
    unsigned number = bucket_number(id);

    if (e->dirty[kind][number])
        return;
    e->dirty[kind][number] = true;
    e->order[e->n_dirty++] = e->open[kind][number];
}

static struct error *get(struct edit *e, enum bucket_kind kind, str id, ProtobufCMessage **ret)
{
    IdentityPb__Bucket *b;

    TRY(opened(e, kind, id, &b));
    const IdentityPb__Item *item = bucket_find(b, id);

    *ret = item ? item_unpack(e->rq->arena, item, kind) : NULL;
    return NULL;
}

static struct error *put(struct edit *e, enum bucket_kind kind, str id, const ProtobufCMessage *m)
{
    IdentityPb__Bucket *b;

    TRY(opened(e, kind, id, &b));
    bucket_set(e->rq->arena, b, kind, id, m);
    changed(e, kind, id);
    return NULL;
}

static struct error *drop(struct edit *e, enum bucket_kind kind, str id)
{
    IdentityPb__Bucket *b;

    TRY(opened(e, kind, id, &b));
    if (bucket_remove(b, id))
        changed(e, kind, id);
    return NULL;
}

bool edit_has_room(const struct edit *e, unsigned buckets)
{
    return e->n_dirty + e->n_keys + buckets <= EDIT_BUCKETS_MAX &&
           arena_used_bytes(e->rq->arena) <= EDIT_BYTES_MAX;
}

struct error *edit_commit(struct edit *e)
{
    for (unsigned i = 0; i < e->n_dirty; i++)
        TRY(bucket_write(&e->view, e->order[i]));
    return NULL;
}

/* ---- entities ---- */

struct error *edit_entity(struct edit *e, str id, IdentityPb__Entity **ret,
                          IdentityPb__LocalAliases **ret_local)
{
    ProtobufCMessage *entity, *local;

    TRY(get(e, BUCKET_ENTITIES, id, &entity));
    TRY(get(e, BUCKET_LOCAL_ALIASES, id, &local));
    *ret = (IdentityPb__Entity *)(void *)entity;
    *ret_local = (IdentityPb__LocalAliases *)(void *)local;
    return NULL;
}

struct error *edit_put_entity(struct edit *e, const IdentityPb__Entity *m,
                              const IdentityPb__LocalAliases *local)
{
    str id = pb_str(m->id);

    TRY(identity_load(e->rq, BUCKET_ENTITIES, bucket_number(id)));
    TRY(put(e, BUCKET_ENTITIES, id, &m->base));
    if (local && local->n_aliases == 0)
        TRY(drop(e, BUCKET_LOCAL_ALIASES, id));
    else if (local)
        TRY(put(e, BUCKET_LOCAL_ALIASES, id, &local->base));
    add_effect(e)->own_entity = entity_new(m, local);
    return NULL;
}

struct error *edit_drop_entity(struct edit *e, str id)
{
    IdentityPb__LocalAliases *local;
    IdentityPb__Entity *m;

    TRY(edit_entity(e, id, &m, &local));
    if (m) {
        TRY(mfa_forget(e->rq, m));
        e->n_keys += 2 * (unsigned)m->n_mfa_secrets;
    }
    TRY(identity_load(e->rq, BUCKET_ENTITIES, bucket_number(id)));
    TRY(drop(e, BUCKET_ENTITIES, id));
    TRY(drop(e, BUCKET_LOCAL_ALIASES, id));
    add_effect(e)->gone_entity = arena_str(e->effects->arena, id);
    return NULL;
}

/* ---- groups ---- */

struct error *edit_group(struct edit *e, str id, IdentityPb__Group **ret)
{
    ProtobufCMessage *m;

    TRY(get(e, BUCKET_GROUPS, id, &m));
    *ret = (IdentityPb__Group *)(void *)m;
    return NULL;
}

static int by_text(const void *x, const void *y)
{
    const ProtobufCBinaryData *a = x, *b = y;

    return str_cmp(pb_str(*a), pb_str(*b));
}

struct texts {
    const ProtobufCBinaryData *v;
    size_t n;
};

static struct texts members_of(const IdentityPb__Group *m)
{
    return m ? (struct texts){m->member_entity_ids, m->n_member_entity_ids} : (struct texts){0};
}

static struct texts sorted(struct arena *a, struct texts t)
{
    ProtobufCBinaryData *v = ARENA_ARRAY(a, ProtobufCBinaryData, t.n + 1);

    if (t.n)
        memcpy(v, t.v, t.n * sizeof(*v));
    if (t.n > 1)
        qsort(v, t.n, sizeof(*v), by_text);
    return (struct texts){v, t.n};
}

/* What is in `v` and not in `but`, both sorted; copied. */
static const str *without(struct arena *a, struct texts v, struct texts but, size_t *ret_n)
{
    str *to = NULL;
    size_t cap = 0, n = 0;

    for (size_t i = 0, k = 0; i < v.n; i++) {
        str s = pb_str(v.v[i]);

        while (k < but.n && str_cmp(pb_str(but.v[k]), s) < 0)
            k++;
        if (k < but.n && str_eq(pb_str(but.v[k]), s))
            continue;
        if (n == cap) {
            to = arena_grow(a, to, cap * sizeof(*to), (cap * 2 + 4) * sizeof(*to));
            cap = cap * 2 + 4;
        }
        to[n++] = arena_str(a, s);
    }
    *ret_n = n;
    return to;
}

static bool same(ProtobufCBinaryData x, ProtobufCBinaryData y)
{
    return str_eq(pb_str(x), pb_str(y));
}

/* One that came at the end of a long list, or went from it, is found without sorting; what stands twice in a
 * list is not: ret false. */
static bool find_one(struct arena *a, struct texts was, struct texts is, struct index_members *ret)
{
    struct texts longer = is.n > was.n ? is : was, shorter = is.n > was.n ? was : is;
    size_t at = 0;

    if (longer.n != shorter.n + 1)
        return false;
    while (at < shorter.n && same(longer.v[at], shorter.v[at]))
        at++;
    str s = pb_str(longer.v[at]);

    for (size_t i = 0; i < shorter.n; i++)
        if ((i >= at && !same(longer.v[i + 1], shorter.v[i])) || str_eq(pb_str(shorter.v[i]), s))
            return false;
    str *one = ARENA_NEW(a, str);

    *one = arena_str(a, s);
    *ret = is.n > was.n ? (struct index_members){.added = one, .n_added = 1}
                        : (struct index_members){.removed = one, .n_removed = 1};
    return true;
}

/* `old` may be large: it goes again. */
static struct error *compare_members(struct edit *e, const IdentityPb__Group *m, str id, struct effect *f)
{
    struct arena *a = e->rq->arena, *own = e->effects->arena;
    struct arena_mark mark;
    IdentityPb__Bucket *b;
    IdentityPb__Group *old;

    TRY(opened(e, BUCKET_GROUPS, id, &b));
    mark = arena_mark(a);
    TRY(edit_group(e, id, &old));
    if (!find_one(own, members_of(old), members_of(m), &f->members)) {
        struct texts was = sorted(a, members_of(old)), is = sorted(a, members_of(m));

        f->members.added = without(own, is, was, &f->members.n_added);
        f->members.removed = without(own, was, is, &f->members.n_removed);
    }
    arena_reset_to(a, mark);
    return NULL;
}

struct error *edit_put_group(struct edit *e, IdentityPb__Group *m)
{
    str id = pb_str(m->id);

    TRY(identity_load_all(e->rq, BUCKET_GROUPS));
    m->modify_index++;
    struct effect *f = add_effect(e);

    f->own_group = group_new(m);
    TRY(compare_members(e, m, id, f));
    return put(e, BUCKET_GROUPS, id, &m->base);
}

struct error *edit_drop_group(struct edit *e, str id)
{
    IdentityPb__Group none = IDENTITY_PB__GROUP__INIT;

    TRY(identity_load_all(e->rq, BUCKET_GROUPS));
    struct effect *f = add_effect(e);

    f->gone_group = arena_str(e->effects->arena, id);
    TRY(compare_members(e, &none, id, f));
    return drop(e, BUCKET_GROUPS, id);
}

/* ---- one entity alone ---- */

struct error *identity_get(struct request *rq, str id, IdentityPb__Entity **ret,
                           IdentityPb__LocalAliases **ret_local)
{
    struct edit e = {.rq = rq, .view = identity_view(rq)};

    return edit_entity(&e, id, ret, ret_local);
}

struct error *identity_put(struct request *rq, const IdentityPb__Entity *m,
                           const IdentityPb__LocalAliases *local)
{
    int64_t begun_ns = clock_mono_ns(clock_real());
    struct edit *e;

    TRY(edit_begin(&e, rq));
    TRY(edit_put_entity(e, m, local));
    TRY(edit_commit(e));
    txn_time(rq->txn, METRIC_IDENTITY_UPSERT_ENTITY, begun_ns);
    return NULL;
}
