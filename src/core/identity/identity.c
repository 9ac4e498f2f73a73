#include "core/identity/identity.h"

#include "base/log.h"
#include "core/active.h"
#include "core/identity/identity_private.h"
#include "core/internal.h"
#include "core/mount.h"

#include <stdatomic.h>
#include <stdlib.h>

struct loading { /* of the buckets of a kind; those of local aliases come with the entities' */
    _Atomic(bool) done[IDENTITY_BUCKETS]; /* set under `load` */
    _Atomic(bool) all_done;
    _Atomic(unsigned) next_start;
};

struct identity {
    struct index *index;
    struct mutex load; /* what is read is put in under it */
    struct loading loading[BUCKET_KINDS_];
    _Atomic(bool) stopped;
};

struct index *active_index(struct active *a)
{
    return active_identity(a)->index;
}

/* ---- loading ---- */

struct view identity_view(struct request *rq)
{
    const struct mount *m = mount_find(request_mounts(rq), STR("identity/"));

    if (!m)
        die("there is no mount identity/, which every opening makes");
    return txn_mount_view(rq->txn, m);
}

static const IdentityPb__LocalAliases *local_aliases(struct arena *a, const IdentityPb__Bucket *local, str id)
{
    const IdentityPb__Item *item = bucket_find(local, id);

    return item ? (const IdentityPb__LocalAliases *)(void *)item_unpack(a, item, BUCKET_LOCAL_ALIASES) : NULL;
}

struct read { /* a bucket on its way into the index */
    enum bucket_kind kind;
    size_t n;
    ProtobufCMessage **messages;
    struct object **objects;
};

static struct error *read_bucket(struct request *rq, unsigned number, struct read *r)
{
    struct arena *a = rq->arena;
    struct view v = identity_view(rq);
    IdentityPb__Bucket *b, *local = NULL;

    TRY(bucket_read(&v, r->kind, number, &b));
    if (r->kind == BUCKET_ENTITIES)
        TRY(bucket_read(&v, BUCKET_LOCAL_ALIASES, number, &local));
    r->messages = ARENA_ARRAY(a, ProtobufCMessage *, b->n_items + 1);
    for (size_t i = 0; i < b->n_items; i++) {
        r->messages[i] = item_unpack(a, b->items[i], r->kind);
        if (!r->messages[i])
            return fail(rq, ERR_INTERNAL, "the stored entry %.*s holds what is no %s", PSTR(pb_str(b->key)),
                        r->kind == BUCKET_ENTITIES ? "entity" : "group");
    }
    r->objects = ARENA_ARRAY(a, struct object *, b->n_items + 1);
    for (r->n = 0; r->n < b->n_items; r->n++) {
        void *m = r->messages[r->n];

        if (local)
            r->objects[r->n] = &entity_new(m, local_aliases(a, local, pb_str(b->items[r->n]->id)))->object;
        else
            r->objects[r->n] = &group_new(m)->object;
    }
    return NULL;
}

static void put_read(struct request *rq, struct identity *s, const struct read *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (r->kind == BUCKET_ENTITIES) {
            index_put_entity(s->index, (struct entity *)(void *)r->objects[i]);
            continue;
        }
        const IdentityPb__Group *m = (const IdentityPb__Group *)(void *)r->messages[i];
        str *members = ARENA_ARRAY(rq->arena, str, m->n_member_entity_ids + 1);

        for (size_t k = 0; k < m->n_member_entity_ids; k++)
            members[k] = pb_str(m->member_entity_ids[k]);
        index_put_group(s->index, (struct group *)(void *)r->objects[i],
                        &(struct index_members){.added = members, .n_added = m->n_member_entity_ids});
    }
}

struct error *identity_load(struct request *rq, enum bucket_kind kind, unsigned number)
{
    struct identity *s = active_identity(rq->active);
    struct loading *l = &s->loading[kind];
    struct arena_mark mark = arena_mark(rq->arena);
    struct read r = {.kind = kind};

    if (atomic_load(&l->done[number]))
        return NULL;
    TRY(read_bucket(rq, number, &r));
    mutex_lock(&s->load);
    if (!atomic_load(&l->done[number])) /* else others were faster, and it may have changed since */
        put_read(rq, s, &r);
    else
        for (size_t i = 0; i < r.n; i++)
            object_unref(r.objects[i]);
    atomic_store(&l->done[number], true);
    mutex_unlock(&s->load);
    arena_reset_to(rq->arena, mark);
    return NULL;
}

/* Several may be at it after a start: each begins elsewhere, and finds done what others did. */
struct error *identity_load_all(struct request *rq, enum bucket_kind kind)
{
    struct identity *s = active_identity(rq->active);
    struct loading *l = &s->loading[kind];

    if (atomic_load(&l->all_done))
        return NULL;
    unsigned start = atomic_fetch_add(&l->next_start, 1) * 37;

    for (unsigned i = 0; i < IDENTITY_BUCKETS; i++) {
        if (atomic_load(&s->stopped))
            return fail(rq, ERR_SEALED, "Vault is sealed");
        TRY(identity_load(rq, kind, (start + i) % IDENTITY_BUCKETS));
    }
    atomic_store(&l->all_done, true);
    return NULL;
}

static struct error *load_in_background(struct request *rq, struct response *rs)
{
    (void)rs;
    TRY(identity_load_all(rq, BUCKET_GROUPS));
    return identity_load_all(rq, BUCKET_ENTITIES);
}

static void loaded_in_background(const struct error *e, void *arg)
{
    (void)arg;
    if (!e)
        log_info("identity", "identities are loaded");
    else if (e->kind != ERR_SEALED) /* those who ask for one of them get the error too */
        log_error("identity", "identities could not be loaded", F_STR("error", e->text));
}

/* ---- its life ---- */

struct identity *identity_new(void)
{
    struct identity *s = calloc(1, sizeof(*s));

    if (!s)
        die("out of memory");
    s->index = index_new();
    mutex_init(&s->load);
    return s;
}

void identity_free(struct identity *s)
{
    if (!s)
        return;
    index_free(s->index);
    mutex_done(&s->load);
    free(s);
}

void identity_start(struct active *a)
{
    if (!internal_read(a, load_in_background, NULL, loaded_in_background))
        log_warn("identity", "identities are loaded when they are asked for");
}

void identity_stop(struct identity *s)
{
    atomic_store(&s->stopped, true);
}

/* ---- looking up ---- */

struct error *identity_find(struct request *rq, enum index_key key, str accessor, str text,
                            const struct object **ret)
{
    enum bucket_kind kind = key < KEY_GROUP_ID ? BUCKET_ENTITIES : BUCKET_GROUPS;

    *ret = NULL;
    if (text.n == 0)
        return NULL;
    if (key == KEY_ENTITY_ID)
        TRY(identity_load(rq, kind, bucket_number(text)));
    else
        TRY(identity_load_all(rq, kind));
    *ret = index_find(active_index(rq->active), rq->arena, key, accessor, text);
    return NULL;
}

struct error *identity_find_entity(struct request *rq, enum index_key key, str text,
                                   const struct entity **ret)
{
    const struct object *o;

    TRY(identity_find(rq, key, (str){0}, text, &o));
    *ret = (const struct entity *)(const void *)o;
    return NULL;
}

struct error *identity_find_group(struct request *rq, enum index_key key, str text, const struct group **ret)
{
    const struct object *o;

    TRY(identity_find(rq, key, (str){0}, text, &o));
    *ret = (const struct group *)(const void *)o;
    return NULL;
}

struct error *identity_entity_for(struct request *rq, str entity_id, const struct entity **ret)
{
    TRY(identity_find_entity(rq, KEY_ENTITY_ID, entity_id, ret));
    if (!*ret && rq->joined && str_eq(rq->joined->entity->id, entity_id))
        *ret = rq->joined->entity;
    return *ret ? NULL : identity_find_entity(rq, KEY_ENTITY_MERGED, entity_id, ret);
}

struct error *identity_find_alias(struct request *rq, str mount_accessor, str name, const struct entity **ret)
{
    const struct object *o;

    TRY(identity_find(rq, KEY_ENTITY_ALIAS, mount_accessor, name, &o));
    *ret = (const struct entity *)(const void *)o;
    return NULL;
}

struct error *identity_count(struct request *rq, size_t *ret_n)
{
    TRY(identity_load_all(rq, BUCKET_ENTITIES));
    *ret_n = index_count_entities(active_index(rq->active));
    return NULL;
}

void identity_count_aliases(struct request *rq, const str *accessors, uint64_t *counts, size_t n)
{
    index_count_aliases(active_index(rq->active), accessors, counts, n);
}

struct found { /* groups, each once */
    const struct group **list;
    size_t n, cap;
};

static struct error *add_group(struct request *rq, struct found *f, str id)
{
    const struct group *g;

    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->list[i]->id, id))
            return NULL;
    TRY(identity_find_group(rq, KEY_GROUP_ID, id, &g));
    if (!g)
        return NULL;
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 8;

        f->list = arena_grow(rq->arena, f->list, f->cap * sizeof(*f->list), cap * sizeof(*f->list));
        f->cap = cap;
    }
    f->list[f->n++] = g;
    return NULL;
}

struct error *identity_groups_of(struct request *rq, str entity_id, const struct group *const **ret,
                                 size_t *ret_n, size_t *ret_direct)
{
    const struct identity_joined *j = rq->joined;
    struct found f = {0};
    size_t n;

    TRY(identity_load_all(rq, BUCKET_GROUPS));
    const str *ids = index_groups_of(active_index(rq->active), rq->arena, entity_id, &n);

    if (j && str_eq(j->entity->id, entity_id)) {
        ids = j->group_ids;
        n = j->n_groups;
    }

    for (size_t i = 0; i < n; i++)
        TRY(add_group(rq, &f, ids[i]));
    *ret_direct = f.n;
    for (size_t i = 0; i < f.n; i++) /* each found one brings its parents */
        for (size_t k = 0; k < f.list[i]->n_parents; k++)
            TRY(add_group(rq, &f, f.list[i]->parents[k]));
    *ret = f.list;
    *ret_n = f.n;
    return NULL;
}

struct error *identity_groups_for(struct request *rq, const struct entity *e, const struct group *const **ret,
                                  size_t *ret_n)
{
    size_t direct;

    return identity_groups_of(rq, e->id, ret, ret_n, &direct);
}
