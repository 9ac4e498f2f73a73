#include "base/log.h"
#include "core/active.h"
#include "core/identity/identity_private.h"
#include "core/internal.h"
#include "core/mount.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { SHARDS = 64, BUCKETS_MIN = 16 };

struct node {
    struct node *next;
    uint64_t hash;
    struct entity *entity;            /* a reference */
    const struct entity_alias *alias; /* of entity; NULL in the map by id */
};

struct map {
    struct node **buckets;
    size_t n_buckets, n; /* n_buckets: 0 or a power of two */
};

struct shard {
    struct mutex mutex;
    struct map by_id, by_alias; /* lock: mutex */
    struct group_set *groups;   /* lock: mutex; NULL until loaded; the same in all shards */
};

struct identity {
    struct shard shards[SHARDS];
    struct mutex load;                      /* what is read is put in under it */
    _Atomic(bool) loaded[IDENTITY_BUCKETS]; /* set under `load` */
    _Atomic(bool) all_loaded, groups_loaded, stopped;
    _Atomic(unsigned) next_start;
};

/* ---- maps ---- */

static uint64_t hash_alias(str mount_accessor, str name)
{
    return str_hash(mount_accessor) * UINT64_C(0x9E3779B97F4A7C15) ^ str_hash(name);
}

static struct shard *shard_of(struct identity *s, uint64_t hash)
{
    return &s->shards[hash >> 58];
}

static void map_grow(struct map *m)
{
    size_t n = m->n_buckets ? m->n_buckets * 2 : BUCKETS_MIN;
    struct node **buckets = calloc(n, sizeof(*buckets));

    if (!buckets)
        die("out of memory");
    for (size_t i = 0; i < m->n_buckets; i++)
        for (struct node *x = m->buckets[i], *next; x; x = next) {
            next = x->next;
            x->next = buckets[x->hash & (n - 1)];
            buckets[x->hash & (n - 1)] = x;
        }
    free(m->buckets);
    m->buckets = buckets;
    m->n_buckets = n;
}

static void map_add(struct map *m, uint64_t hash, struct entity *e, const struct entity_alias *alias)
{
    struct node *x = malloc(sizeof(*x));

    if (!x)
        die("out of memory");
    if (m->n >= m->n_buckets)
        map_grow(m);
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    *x = (struct node){m->buckets[hash & (m->n_buckets - 1)], hash, e, alias};
    m->buckets[hash & (m->n_buckets - 1)] = x;
    m->n++;
}

static void map_remove(struct map *m, uint64_t hash, const struct entity *e, const struct entity_alias *alias)
{
    for (struct node **at = m->n_buckets ? &m->buckets[hash & (m->n_buckets - 1)] : NULL; at && *at;
         at = &(*at)->next) {
        struct node *x = *at;

        if (x->entity != e || x->alias != alias)
            continue;
        *at = x->next;
        m->n--;
        entity_unref(x->entity);
        free(x);
        return;
    }
}

static void map_free(struct map *m)
{
    for (size_t i = 0; i < m->n_buckets; i++)
        for (struct node *x = m->buckets[i], *next; x; x = next) {
            next = x->next;
            entity_unref(x->entity);
            free(x);
        }
    free(m->buckets);
}

static struct entity *ref(struct entity *e)
{
    if (e)
        atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

static struct entity *find_id_locked(struct shard *sh, uint64_t hash, str id) REQUIRES(&sh->mutex)
{
    const struct map *m = &sh->by_id;

    for (struct node *x = m->n_buckets ? m->buckets[hash & (m->n_buckets - 1)] : NULL; x; x = x->next)
        if (x->hash == hash && str_eq(x->entity->id, id))
            return x->entity;
    return NULL;
}

static struct entity *find_id(struct identity *s, str id)
{
    uint64_t hash = str_hash(id);
    struct shard *sh = shard_of(s, hash);

    mutex_lock(&sh->mutex);
    struct entity *e = ref(find_id_locked(sh, hash, id));

    mutex_unlock(&sh->mutex);
    return e;
}

static struct entity *find_alias(struct identity *s, str mount_accessor, str name)
{
    uint64_t hash = hash_alias(mount_accessor, name);
    struct shard *sh = shard_of(s, hash);
    struct entity *e = NULL;

    mutex_lock(&sh->mutex);
    const struct map *m = &sh->by_alias;

    for (struct node *x = m->n_buckets ? m->buckets[hash & (m->n_buckets - 1)] : NULL; x && !e; x = x->next)
        if (x->hash == hash && str_eq(x->alias->name, name) &&
            str_eq(x->alias->mount_accessor, mount_accessor))
            e = ref(x->entity);
    mutex_unlock(&sh->mutex);
    return e;
}

static void index_aliases(struct identity *s, struct entity *e, bool add)
{
    for (size_t i = 0; i < e->n_aliases; i++) {
        const struct entity_alias *alias = &e->aliases[i];
        uint64_t hash = hash_alias(alias->mount_accessor, alias->name);
        struct shard *sh = shard_of(s, hash);

        mutex_lock(&sh->mutex);
        if (add)
            map_add(&sh->by_alias, hash, e, alias);
        else
            map_remove(&sh->by_alias, hash, e, alias);
        mutex_unlock(&sh->mutex);
    }
}

/* The new one takes the place of the one with its id, in one step for those who look by id. */
static void put(struct identity *s, struct entity *e)
{
    uint64_t hash = str_hash(e->id);
    struct shard *sh = shard_of(s, hash);

    mutex_lock(&sh->mutex);
    struct entity *old = ref(find_id_locked(sh, hash, e->id));

    if (old)
        map_remove(&sh->by_id, hash, old, NULL);
    map_add(&sh->by_id, hash, e, NULL);
    mutex_unlock(&sh->mutex);
    if (old)
        index_aliases(s, old, false);
    index_aliases(s, e, true);
    entity_unref(old);
}

/* ---- loading ---- */

static struct view identity_view(struct request *rq)
{
    const struct mount *m = mount_find(request_mounts(rq), STR("identity/"));

    if (!m)
        die("there is no mount identity/, which every opening makes");
    return txn_mount_view(rq->txn, m);
}

static const IdentityPb__LocalAliases *local_aliases(struct arena *a, const IdentityPb__Bucket *local, str id)
{
    const IdentityPb__Item *item = bucket_find(local, id);

    return item ? (const IdentityPb__LocalAliases *)item_unpack(a, item, BUCKET_LOCAL_ALIASES) : NULL;
}

static struct error *read_entities(struct request *rq, unsigned number, struct entity ***ret, size_t *ret_n)
{
    struct view v = identity_view(rq);
    IdentityPb__Bucket *b, *local;

    TRY(bucket_read(&v, BUCKET_ENTITIES, number, &b));
    TRY(bucket_read(&v, BUCKET_LOCAL_ALIASES, number, &local));
    const IdentityPb__Entity **messages = ARENA_ARRAY(rq->arena, const IdentityPb__Entity *, b->n_items + 1);

    for (size_t i = 0; i < b->n_items; i++) {
        messages[i] = (const IdentityPb__Entity *)item_unpack(rq->arena, b->items[i], BUCKET_ENTITIES);
        if (!messages[i])
            return fail(rq, ERR_INTERNAL, "the stored entry %.*s holds what is no entity",
                        PSTR(pb_str(b->key)));
    }
    *ret = ARENA_ARRAY(rq->arena, struct entity *, b->n_items + 1);
    *ret_n = b->n_items;
    for (size_t i = 0; i < b->n_items; i++)
        (*ret)[i] = entity_new(messages[i], local_aliases(rq->arena, local, pb_str(b->items[i]->id)));
    return NULL;
}

static struct error *load_bucket(struct request *rq, struct identity *s, unsigned number)
{
    struct arena_mark mark = arena_mark(rq->arena);
    struct entity **v = NULL;
    size_t n = 0;

    if (atomic_load(&s->loaded[number]))
        return NULL;
    TRY(read_entities(rq, number, &v, &n));
    mutex_lock(&s->load);
    bool first =
        !atomic_load(&s->loaded[number]); /* else others were faster, and it may have changed since */

    for (size_t i = 0; i < n; i++) {
        if (first)
            put(s, v[i]);
        entity_unref(v[i]);
    }
    atomic_store(&s->loaded[number], true);
    mutex_unlock(&s->load);
    arena_reset_to(rq->arena, mark);
    return NULL;
}

static void publish_groups(struct identity *s, struct group_set *own)
{
    for (int i = 0; i < SHARDS; i++) {
        mutex_lock(&s->shards[i].mutex);
        struct group_set *old = s->shards[i].groups;

        s->shards[i].groups = group_set_ref(own);
        mutex_unlock(&s->shards[i].mutex);
        group_set_unref(old);
    }
    group_set_unref(own);
}

static struct error *load_groups(struct request *rq, struct identity *s)
{
    struct view v = identity_view(rq);
    struct group_set *set;

    if (atomic_load(&s->groups_loaded))
        return NULL;
    TRY(group_set_load(rq, &v, &set));
    mutex_lock(&s->load);
    if (!atomic_load(&s->groups_loaded))
        publish_groups(s, set);
    else
        group_set_unref(set);
    atomic_store(&s->groups_loaded, true);
    mutex_unlock(&s->load);
    return NULL;
}

/* Several may be at it after a start: each begins elsewhere, and finds done what others did. */
static struct error *load_all(struct request *rq, struct identity *s)
{
    if (atomic_load(&s->all_loaded))
        return NULL;
    unsigned start = atomic_fetch_add(&s->next_start, 1) * 37;

    for (unsigned i = 0; i < IDENTITY_BUCKETS; i++) {
        if (atomic_load(&s->stopped))
            return fail(rq, ERR_SEALED, "Vault is sealed");
        TRY(load_bucket(rq, s, (start + i) % IDENTITY_BUCKETS));
    }
    atomic_store(&s->all_loaded, true);
    return NULL;
}

static struct error *load_in_background(struct request *rq, struct response *rs)
{
    struct identity *s = active_identity(rq->active);

    (void)rs;
    TRY(load_groups(rq, s));
    return load_all(rq, s);
}

static void loaded_in_background(const struct error *e, void *arg)
{
    (void)arg;
    if (!e)
        log_info("identity", "identities are loaded");
    else if (e->kind != ERR_SEALED) /* those who ask for one of them get the error too */
        log_error("identity", "identities could not be loaded", F_STR("error", e->text));
}

/* ---- from outside ---- */

struct identity *identity_new(void)
{
    struct identity *s = calloc(1, sizeof(*s));

    if (!s)
        die("out of memory");
    mutex_init(&s->load);
    for (int i = 0; i < SHARDS; i++)
        mutex_init(&s->shards[i].mutex);
    return s;
}

void identity_free(struct identity *s)
{
    if (!s)
        return;
    for (int i = 0; i < SHARDS; i++) {
        map_free(&s->shards[i].by_id);
        map_free(&s->shards[i].by_alias);
        group_set_unref(s->shards[i].groups);
        mutex_done(&s->shards[i].mutex);
    }
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

static void unref_entity(void *arg)
{
    entity_unref(arg);
}

static void unref_groups(void *arg)
{
    group_set_unref(arg);
}

static const struct entity *held(struct request *rq, struct entity *own)
{
    if (own)
        arena_defer(rq->arena, unref_entity, own);
    return own;
}

struct error *identity_entity_for(struct request *rq, str entity_id, const struct entity **ret)
{
    struct identity *s = active_identity(rq->active);

    *ret = NULL;
    if (entity_id.n == 0)
        return NULL;
    TRY(load_bucket(rq, s, bucket_number(entity_id)));
    *ret = held(rq, find_id(s, entity_id));
    return NULL;
}

struct error *identity_find_alias(struct request *rq, str mount_accessor, str name, const struct entity **ret)
{
    struct identity *s = active_identity(rq->active);

    TRY(load_all(rq, s));
    *ret = held(rq, find_alias(s, mount_accessor, name));
    return NULL;
}

struct error *identity_count(struct request *rq, size_t *ret_n)
{
    struct identity *s = active_identity(rq->active);

    TRY(load_all(rq, s));
    *ret_n = 0;
    for (int i = 0; i < SHARDS; i++) {
        mutex_lock(&s->shards[i].mutex);
        *ret_n += s->shards[i].by_id.n;
        mutex_unlock(&s->shards[i].mutex);
    }
    return NULL;
}

struct error *identity_groups_for(struct request *rq, const struct entity *e, const struct group *const **ret,
                                  size_t *ret_n)
{
    struct identity *s = active_identity(rq->active);
    struct shard *sh = shard_of(s, str_hash(e->id));

    TRY(load_groups(rq, s));
    mutex_lock(&sh->mutex);
    struct group_set *set = sh->groups && sh->groups->n > 0 ? group_set_ref(sh->groups) : NULL;

    mutex_unlock(&sh->mutex);
    *ret = NULL;
    *ret_n = 0;
    if (set) {
        arena_defer(rq->arena, unref_groups, set);
        *ret_n = group_set_of(rq->arena, set, e->id, ret);
    }
    return NULL;
}

/* ---- changing ---- */

static void on_changed(struct active *a, void *arg)
{
    put(active_identity(a), arg);
    entity_unref(arg);
}

struct error *identity_put(struct request *rq, const IdentityPb__Entity *m,
                           const IdentityPb__LocalAliases *local)
{
    struct view v = identity_view(rq);
    unsigned number = bucket_number(pb_str(m->id));
    IdentityPb__Bucket *b;

    TRY(txn_exclusive(rq->txn));
    TRY(load_bucket(rq, active_identity(rq->active), number));
    TRY(bucket_read(&v, BUCKET_ENTITIES, number, &b));
    bucket_set(rq->arena, b, BUCKET_ENTITIES, pb_str(m->id), &m->base);
    TRY(bucket_write(&v, b));
    if (local) {
        TRY(bucket_read(&v, BUCKET_LOCAL_ALIASES, number, &b));
        bucket_set(rq->arena, b, BUCKET_LOCAL_ALIASES, pb_str(m->id), &local->base);
        TRY(bucket_write(&v, b));
    }
    txn_on_commit(rq->txn, on_changed, unref_entity, entity_new(m, local));
    return NULL;
}

struct error *identity_get(struct request *rq, str id, IdentityPb__Entity **ret,
                           IdentityPb__LocalAliases **ret_local)
{
    struct view v = identity_view(rq);
    unsigned number = bucket_number(id);
    IdentityPb__Bucket *b;
    const IdentityPb__Item *item;

    *ret = NULL;
    *ret_local = NULL;
    TRY(bucket_read(&v, BUCKET_ENTITIES, number, &b));
    item = bucket_find(b, id);
    if (item)
        *ret = (IdentityPb__Entity *)item_unpack(rq->arena, item, BUCKET_ENTITIES);
    TRY(bucket_read(&v, BUCKET_LOCAL_ALIASES, number, &b));
    item = bucket_find(b, id);
    if (item)
        *ret_local = (IdentityPb__LocalAliases *)item_unpack(rq->arena, item, BUCKET_LOCAL_ALIASES);
    return NULL;
}
