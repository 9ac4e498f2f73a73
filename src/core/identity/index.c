/* index: one hash map in 64 shards. An entity or group has a node under each of its keys, each with a
 * reference; the node knows by its number which alias (merged id, parent) of the object it stands for, so
 * that a key's text lies in the object alone. Names are hashed with ASCII letters lowered.
 *
 * Memberships are nodes of their own: an entity's id and the ids of the groups that have it, so that a group
 * that changes leaves its members' nodes as they are. */
#include "base/log.h"
#include "core/identity/identity_private.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { SHARDS = 64, BUCKETS_MIN = 16 };

struct node {
    struct node *next;
    uint64_t hash;
    struct object *object; /* a reference */
    uint32_t at;           /* which of its aliases, merged ids, parents */
    uint8_t key;
};

struct shard {
    struct mutex mutex;
    struct node **buckets; /* lock: mutex, as all below */
    size_t n_buckets, n;   /* n_buckets: 0 or a power of two */
    size_t n_entities;
};

struct index {
    struct shard shards[SHARDS];
};

struct membership { /* the object of a KEY_MEMBER node, changed under the shard's lock; one reference */
    struct object object;
    str entity_id; /* behind it */
    str *groups;   /* heap, as the texts */
    uint32_t n, cap;
};

/* ---- keys ---- */

static bool folds(enum index_key key)
{
    return key == KEY_ENTITY_NAME || key == KEY_ENTITY_ALIAS || key == KEY_GROUP_NAME ||
           key == KEY_GROUP_ALIAS;
}

/* Of the text with letters lowered, piece by piece. */
static uint64_t fold_hash(str s)
{
    uint64_t hash = s.n;
    char piece[64];

    for (size_t at = 0; at < s.n; at += sizeof(piece)) {
        str part = str_slice(s, at, at + sizeof(piece));

        for (size_t i = 0; i < part.n; i++)
            piece[i] = part.p[i] >= 'A' && part.p[i] <= 'Z' ? (char)(part.p[i] | 0x20) : part.p[i];
        hash = hash * UINT64_C(0x9E3779B97F4A7C15) ^ str_hash((str){piece, part.n});
    }
    return hash;
}

static uint64_t key_hash(enum index_key key, str accessor, str text)
{
    uint64_t hash = folds(key) ? fold_hash(text) : str_hash(text);

    if (accessor.n)
        hash ^= str_hash(accessor) * UINT64_C(0x9E3779B97F4A7C15);
    return hash + (uint64_t)key * UINT64_C(0xD6E8FEB86659FD93);
}

static const struct entity *entity_at(const struct object *o)
{
    return (const struct entity *)(const void *)o;
}

static const struct group *group_at(const struct object *o)
{
    return (const struct group *)(const void *)o;
}

static str alias_words(const struct entity_alias *alias, str *ret_accessor)
{
    *ret_accessor = alias->mount_accessor;
    return alias->name;
}

/* The text of a key of an object. */
static str words(enum index_key key, const struct object *o, uint32_t at, str *ret_accessor)
{
    *ret_accessor = (str){0};
    switch (key) {
    case KEY_ENTITY_ID: return entity_at(o)->id;
    case KEY_ENTITY_NAME: return entity_at(o)->name;
    case KEY_ENTITY_ALIAS: return alias_words(&entity_at(o)->aliases[at], ret_accessor);
    case KEY_ENTITY_ALIAS_ID: return entity_at(o)->aliases[at].id;
    case KEY_ENTITY_MERGED: return entity_at(o)->merged[at];
    case KEY_GROUP_ID: return group_at(o)->id;
    case KEY_GROUP_NAME: return group_at(o)->name;
    case KEY_GROUP_ALIAS: return alias_words(group_at(o)->alias, ret_accessor);
    case KEY_GROUP_ALIAS_ID: return group_at(o)->alias->id;
    case KEY_GROUP_PARENT: return group_at(o)->parents[at];
    case KEY_MEMBER: break;
    }
    return ((const struct membership *)(const void *)o)->entity_id;
}

/* ---- the map ---- */

static struct shard *shard_of(struct index *x, uint64_t hash)
{
    return &x->shards[hash >> 58];
}

static void grow(struct shard *s) REQUIRES(&s->mutex)
{
    size_t n = s->n_buckets ? s->n_buckets * 2 : BUCKETS_MIN;
    struct node **buckets = calloc(n, sizeof(struct node *));

    if (!buckets)
        die("out of memory");
    for (size_t i = 0; i < s->n_buckets; i++)
        for (struct node *at = s->buckets[i], *next; at; at = next) {
            next = at->next;
            at->next = buckets[at->hash & (n - 1)];
            buckets[at->hash & (n - 1)] = at;
        }
    free(s->buckets);
    s->buckets = buckets;
    s->n_buckets = n;
}

static struct node *chain(const struct shard *s, uint64_t hash) REQUIRES(&s->mutex)
{
    return s->n_buckets ? s->buckets[hash & (s->n_buckets - 1)] : NULL;
}

static void add_node(struct shard *s, uint64_t hash, enum index_key key, struct object *o, uint32_t at)
    REQUIRES(&s->mutex)
{
    struct node *n = malloc(sizeof(*n));

    if (!n)
        die("out of memory");
    if (s->n >= s->n_buckets)
        grow(s);
    object_ref(o);
    *n = (struct node){chain(s, hash), hash, o, at, (uint8_t)key};
    s->buckets[hash & (s->n_buckets - 1)] = n;
    s->n++;
    s->n_entities += key == KEY_ENTITY_ID;
}

static void remove_node(struct shard *s, uint64_t hash, enum index_key key, const struct object *o,
                        uint32_t at) REQUIRES(&s->mutex)
{
    for (struct node **to = s->n_buckets ? &s->buckets[hash & (s->n_buckets - 1)] : NULL; to && *to;
         to = &(*to)->next) {
        struct node *n = *to;

        if (n->object != o || n->key != key || n->at != at)
            continue;
        *to = n->next;
        s->n--;
        s->n_entities -= key == KEY_ENTITY_ID;
        object_unref(n->object);
        free(n);
        return;
    }
}

/* The one written the same; else the only one that differs in case alone. */
static struct object *find_locked(const struct shard *s, uint64_t hash, enum index_key key, str accessor,
                                  str text) REQUIRES(&s->mutex)
{
    struct object *like = NULL;
    bool many = false;
    str has_accessor;

    for (const struct node *n = chain(s, hash); n; n = n->next) {
        if (n->hash != hash || n->key != key)
            continue;
        str has = words(key, n->object, n->at, &has_accessor);

        if (!str_eq(has_accessor, accessor))
            continue;
        if (str_eq(has, text))
            return n->object;
        if (folds(key) && str_eq_nocase(has, text)) {
            many = many || (like && like != n->object);
            like = n->object;
        }
    }
    return many ? NULL : like;
}

static struct object *find(struct index *x, enum index_key key, str accessor, str text)
{
    uint64_t hash = key_hash(key, accessor, text);
    struct shard *s = shard_of(x, hash);

    mutex_lock(&s->mutex);
    struct object *o = find_locked(s, hash, key, accessor, text);

    if (o)
        object_ref(o);
    mutex_unlock(&s->mutex);
    return o;
}

/* ---- objects ---- */

static void set_key(struct index *x, enum index_key key, struct object *o, size_t at, bool add)
{
    str accessor, text = words(key, o, (uint32_t)at, &accessor);
    uint64_t hash = key_hash(key, accessor, text);
    struct shard *s = shard_of(x, hash);

    mutex_lock(&s->mutex);
    if (add)
        add_node(s, hash, key, o, (uint32_t)at);
    else
        remove_node(s, hash, key, o, (uint32_t)at);
    mutex_unlock(&s->mutex);
}

/* All keys but the id. */
static void set_entity_keys(struct index *x, struct entity *e, bool add)
{
    set_key(x, KEY_ENTITY_NAME, &e->object, 0, add);
    for (size_t i = 0; i < e->n_aliases; i++) {
        set_key(x, KEY_ENTITY_ALIAS, &e->object, i, add);
        set_key(x, KEY_ENTITY_ALIAS_ID, &e->object, i, add);
    }
    for (size_t i = 0; i < e->n_merged; i++)
        set_key(x, KEY_ENTITY_MERGED, &e->object, i, add);
}

static void set_group_keys(struct index *x, struct group *g, bool add)
{
    set_key(x, KEY_GROUP_NAME, &g->object, 0, add);
    if (g->alias) {
        set_key(x, KEY_GROUP_ALIAS, &g->object, 0, add);
        set_key(x, KEY_GROUP_ALIAS_ID, &g->object, 0, add);
    }
    for (size_t i = 0; i < g->n_parents; i++)
        set_key(x, KEY_GROUP_PARENT, &g->object, i, add);
}

/* Puts `o` (NULL: nothing) in the place of what has the id; that one with its reference. */
static struct object *swap(struct index *x, enum index_key key, str id, struct object *o)
{
    uint64_t hash = key_hash(key, (str){0}, id);
    struct shard *s = shard_of(x, hash);

    mutex_lock(&s->mutex);
    struct object *old = find_locked(s, hash, key, (str){0}, id);

    if (old) {
        object_ref(old);
        remove_node(s, hash, key, old, 0);
    }
    if (o)
        add_node(s, hash, key, o, 0);
    mutex_unlock(&s->mutex);
    return old;
}

static void replace_entity(struct index *x, str id, struct entity *e)
{
    struct object *old = swap(x, KEY_ENTITY_ID, id, e ? &e->object : NULL);

    if (e)
        set_entity_keys(x, e, true);
    if (old)
        set_entity_keys(x, (struct entity *)(void *)old, false);
    object_unref(old);
}

void index_put_entity(struct index *x, struct entity *own)
{
    replace_entity(x, own->id, own);
    object_unref(&own->object);
}

void index_drop_entity(struct index *x, str id)
{
    replace_entity(x, id, NULL);
}

static void replace_group(struct index *x, str id, struct group *g)
{
    struct object *old = swap(x, KEY_GROUP_ID, id, g ? &g->object : NULL);

    if (g)
        set_group_keys(x, g, true);
    if (old)
        set_group_keys(x, (struct group *)(void *)old, false);
    object_unref(old);
}

/* ---- memberships ---- */

static str heap_text(str s)
{
    char *p = malloc(s.n + 1);

    if (!p)
        die("out of memory");
    if (s.n)
        memcpy(p, s.p, s.n);
    return (str){p, s.n};
}

static void membership_free(struct membership *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        free((void *)(uintptr_t)m->groups[i].p);
    free(m->groups);
    m->groups = NULL;
    m->n = 0;
}

static struct membership *membership_new(str entity_id)
{
    struct membership *m = (struct membership *)object_new(sizeof(*m) + entity_id.n);

    m->entity_id = (str){(char *)(m + 1), entity_id.n};
    memcpy(m + 1, entity_id.p, entity_id.n);
    return m;
}

static void membership_add(struct membership *m, str group_id)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (str_eq(m->groups[i], group_id))
            return;
    if (m->n == m->cap) {
        uint32_t cap = m->cap ? m->cap * 2 : 2;
        str *groups = realloc(m->groups, cap * sizeof(*groups));

        if (!groups)
            die("out of memory");
        m->groups = groups;
        m->cap = cap;
    }
    m->groups[m->n++] = heap_text(group_id);
}

static void membership_remove(struct membership *m, str group_id)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (str_eq(m->groups[i], group_id)) {
            free((void *)(uintptr_t)m->groups[i].p);
            m->groups[i] = m->groups[--m->n];
            return;
        }
}

static void set_member(struct index *x, str entity_id, str group_id, bool add)
{
    uint64_t hash = key_hash(KEY_MEMBER, (str){0}, entity_id);
    struct shard *s = shard_of(x, hash);

    mutex_lock(&s->mutex);
    struct membership *m = (struct membership *)(void *)find_locked(s, hash, KEY_MEMBER, (str){0}, entity_id);

    if (add && !m) {
        m = membership_new(entity_id);
        add_node(s, hash, KEY_MEMBER, &m->object, 0);
        object_unref(&m->object); /* the node's is left */
    }
    if (m && add)
        membership_add(m, group_id);
    if (m && !add)
        membership_remove(m, group_id);
    if (m && m->n == 0) {
        membership_free(m);
        remove_node(s, hash, KEY_MEMBER, &m->object, 0);
    }
    mutex_unlock(&s->mutex);
}

void index_put_group(struct index *x, struct group *own, const struct index_members *m)
{
    replace_group(x, own->id, own);
    for (size_t i = 0; i < m->n_added; i++)
        set_member(x, m->added[i], own->id, true);
    for (size_t i = 0; i < m->n_removed; i++)
        set_member(x, m->removed[i], own->id, false);
    object_unref(&own->object);
}

void index_drop_group(struct index *x, str id, const str *members, size_t n)
{
    for (size_t i = 0; i < n; i++)
        set_member(x, members[i], id, false);
    replace_group(x, id, NULL);
}

/* ---- looking up ---- */

static void unref(void *arg)
{
    object_unref(arg);
}

const struct object *index_find(struct index *x, struct arena *a, enum index_key key, str accessor, str text)
{
    struct object *o = find(x, key, accessor, text);

    if (o)
        arena_defer(a, unref, o);
    return o;
}

static int by_text(const void *x, const void *y)
{
    const str *a = x, *b = y;

    return str_cmp(*a, *b);
}

const str *index_groups_of(struct index *x, struct arena *a, str entity_id, size_t *ret_n)
{
    uint64_t hash = key_hash(KEY_MEMBER, (str){0}, entity_id);
    struct shard *s = shard_of(x, hash);
    str *ids = NULL;

    *ret_n = 0;
    mutex_lock(&s->mutex);
    const struct object *o = find_locked(s, hash, KEY_MEMBER, (str){0}, entity_id);
    const struct membership *m = (const struct membership *)(const void *)o;

    if (m) {
        ids = ARENA_ARRAY(a, str, m->n);
        for (*ret_n = 0; *ret_n < m->n; (*ret_n)++)
            ids[*ret_n] = arena_str(a, m->groups[*ret_n]);
    }
    mutex_unlock(&s->mutex);
    if (*ret_n > 1)
        qsort(ids, *ret_n, sizeof(*ids), by_text);
    return ids;
}

struct collection { /* of references; on the arena, its list grows */
    struct arena *arena;
    const struct object **objects;
    size_t n, cap;
};

static void collection_drop(void *arg)
{
    struct collection *c = arg;

    for (size_t i = 0; i < c->n; i++)
        object_unref((struct object *)(uintptr_t)c->objects[i]);
}

static struct collection *collection_new(struct arena *a)
{
    struct collection *c = ARENA_NEW(a, struct collection);

    c->arena = a;
    arena_defer(a, collection_drop, c);
    return c;
}

static void collect(struct collection *c, struct object *o)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 64;

        c->objects =
            arena_grow(c->arena, c->objects, c->cap * sizeof(*c->objects), cap * sizeof(*c->objects));
        c->cap = cap;
    }
    object_ref(o);
    c->objects[c->n++] = o;
}

static int by_id(const void *x, const void *y)
{
    const struct entity *const *a = x, *const *b = y; /* a group begins as an entity does */

    return str_cmp((*a)->id, (*b)->id);
}

_Static_assert(offsetof(struct entity, id) == offsetof(struct group, id), "sorted alike");

static const struct object *const *sorted(struct collection *c, size_t *ret_n)
{
    if (c->n > 1)
        qsort(c->objects, c->n, sizeof(*c->objects), by_id);
    *ret_n = c->n;
    return c->objects;
}

const struct object *const *index_all(struct index *x, struct arena *a, enum index_key key, size_t *ret_n)
{
    struct collection *c = collection_new(a);

    for (int i = 0; i < SHARDS; i++) {
        struct shard *s = &x->shards[i];

        mutex_lock(&s->mutex);
        for (size_t k = 0; k < s->n_buckets; k++)
            for (const struct node *n = s->buckets[k]; n; n = n->next)
                if (n->key == key)
                    collect(c, n->object);
        mutex_unlock(&s->mutex);
    }
    return sorted(c, ret_n);
}

const struct group *const *index_children(struct index *x, struct arena *a, str group_id, size_t *ret_n)
{
    uint64_t hash = key_hash(KEY_GROUP_PARENT, (str){0}, group_id);
    struct shard *s = shard_of(x, hash);
    struct collection *c = collection_new(a);
    str none;

    mutex_lock(&s->mutex);
    for (const struct node *n = chain(s, hash); n; n = n->next)
        if (n->key == KEY_GROUP_PARENT && str_eq(words(KEY_GROUP_PARENT, n->object, n->at, &none), group_id))
            collect(c, n->object);
    mutex_unlock(&s->mutex);
    return (const struct group *const *)(const void *)sorted(c, ret_n);
}

size_t index_count_entities(struct index *x)
{
    size_t n = 0;

    for (int i = 0; i < SHARDS; i++) {
        mutex_lock(&x->shards[i].mutex);
        n += x->shards[i].n_entities;
        mutex_unlock(&x->shards[i].mutex);
    }
    return n;
}

static int compare_str(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

void index_count_aliases(struct index *x, const str *accessors, uint64_t *counts, size_t n)
{
    for (int i = 0; i < SHARDS; i++) {
        struct shard *s = &x->shards[i];

        mutex_lock(&s->mutex);
        for (size_t k = 0; k < s->n_buckets; k++)
            for (const struct node *node = s->buckets[k]; node; node = node->next) {
                str accessor = {0};

                if (node->key == KEY_ENTITY_ALIAS)
                    (void)words(node->key, node->object, node->at, &accessor);
                const str *found = n && accessor.n
                                       ? bsearch(&accessor, accessors, n, sizeof(*accessors), compare_str)
                                       : NULL;

                if (found)
                    counts[found - accessors]++;
            }
        mutex_unlock(&s->mutex);
    }
}

/* ---- its life ---- */

struct index *index_new(void)
{
    struct index *x = calloc(1, sizeof(*x));

    if (!x)
        die("out of memory");
    for (int i = 0; i < SHARDS; i++)
        mutex_init(&x->shards[i].mutex);
    return x;
}

static void free_nodes(struct shard *s)
{
    mutex_lock(&s->mutex);
    for (size_t i = 0; i < s->n_buckets; i++)
        for (struct node *n = s->buckets[i], *next; n; n = next) {
            next = n->next;
            if (n->key == KEY_MEMBER)
                membership_free((struct membership *)(void *)n->object);
            object_unref(n->object);
            free(n);
        }
    free(s->buckets);
    mutex_unlock(&s->mutex);
}

void index_free(struct index *x)
{
    for (int i = 0; i < SHARDS; i++) {
        free_nodes(&x->shards[i]);
        mutex_done(&x->shards[i].mutex);
    }
    free(x);
}
