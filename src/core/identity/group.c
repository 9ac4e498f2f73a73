#include "core/identity/identity_private.h"

#include <stdatomic.h>
#include <stdlib.h>

struct group_set *group_set_ref(struct group_set *s)
{
    if (s)
        atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void group_set_unref(struct group_set *s)
{
    if (s && atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) == 1)
        arena_free(s->arena); /* it lies in it */
}

static const str *copy_texts(struct arena *a, const ProtobufCBinaryData *v, size_t n)
{
    str *to = ARENA_ARRAY(a, str, n + 1);

    for (size_t i = 0; i < n; i++)
        to[i] = arena_str(a, pb_str(v[i]));
    return to;
}

static const struct identity_pair *copy_pairs(struct arena *a, IdentityPb__Pair *const *v, size_t n)
{
    struct identity_pair *to = ARENA_ARRAY(a, struct identity_pair, n + 1);

    for (size_t i = 0; i < n; i++)
        to[i] = (struct identity_pair){arena_str(a, pb_str(v[i]->key)), arena_str(a, pb_str(v[i]->value))};
    return to;
}

struct found { /* a group on its way into a set */
    struct found *next;
    struct group group;
    const str *members;
    size_t n_members;
};

struct collection {
    struct arena *arena; /* of the set */
    struct found *first;
    size_t n, n_members;
};

static void collect(struct collection *c, const IdentityPb__Group *m)
{
    struct arena *a = c->arena;
    struct found *f = ARENA_NEW(a, struct found);

    f->group = (struct group){
        .id = arena_str(a, pb_str(m->id)),
        .name = arena_str(a, pb_str(m->name)),
        .policies = copy_texts(a, m->policies, m->n_policies),
        .parents = copy_texts(a, m->parent_group_ids, m->n_parent_group_ids),
        .n_policies = m->n_policies,
        .n_parents = m->n_parent_group_ids,
        .metadata = copy_pairs(a, m->metadata, m->n_metadata),
        .n_metadata = m->n_metadata,
    };
    f->members = copy_texts(a, m->member_entity_ids, m->n_member_entity_ids);
    f->n_members = m->n_member_entity_ids;
    f->next = c->first;
    c->first = f;
    c->n++;
    c->n_members += f->n_members;
}

static int by_id(const void *x, const void *y)
{
    return str_cmp(((const struct group *)x)->id, ((const struct group *)y)->id);
}

static int by_entity(const void *x, const void *y)
{
    return str_cmp(((const struct membership *)x)->entity_id, ((const struct membership *)y)->entity_id);
}

static const struct group *find(const struct group_set *s, str id)
{
    struct group key = {.id = id};

    return s->n ? bsearch(&key, s->groups, s->n, sizeof(key), by_id) : NULL;
}

static struct group_set *make(struct collection *c)
{
    struct arena *a = c->arena;
    struct group_set *s = ARENA_NEW(a, struct group_set);

    atomic_init(&s->refs, 1);
    s->arena = a;
    s->groups = ARENA_ARRAY(a, struct group, c->n + 1);
    s->members = ARENA_ARRAY(a, struct membership, c->n_members + 1);
    for (const struct found *f = c->first; f; f = f->next)
        s->groups[s->n++] = f->group;
    if (s->n > 1)
        qsort(s->groups, s->n, sizeof(*s->groups), by_id);
    for (const struct found *f = c->first; f; f = f->next)
        for (size_t i = 0; i < f->n_members; i++)
            s->members[s->n_members++] = (struct membership){f->members[i], find(s, f->group.id)};
    if (s->n_members > 1)
        qsort(s->members, s->n_members, sizeof(*s->members), by_entity);
    return s;
}

static struct error *load(struct request *rq, struct view *v, struct collection *c)
{
    str *names;
    size_t n;
    uint64_t number;

    TRY(view_list(v, STR("packer/group/buckets/"), &names, &n));
    for (size_t i = 0; i < n; i++) {
        struct arena_mark mark = arena_mark(rq->arena);
        IdentityPb__Bucket *b;

        if (!str_parse_u64(names[i], &number) || number >= IDENTITY_BUCKETS)
            continue;
        TRY(bucket_read(v, BUCKET_GROUPS, (unsigned)number, &b));
        for (size_t k = 0; k < b->n_items; k++) {
            ProtobufCMessage *m = item_unpack(rq->arena, b->items[k], BUCKET_GROUPS);

            if (!m)
                return fail(rq, ERR_INTERNAL, "the stored entry %.*s holds what is no group",
                            PSTR(pb_str(b->key)));
            collect(c, (const IdentityPb__Group *)m);
        }
        arena_reset_to(rq->arena, mark);
    }
    return NULL;
}

struct error *group_set_load(struct request *rq, struct view *v, struct group_set **ret)
{
    struct collection c = {.arena = arena_new(0)};
    struct error *e = load(rq, v, &c);

    if (e)
        arena_free(c.arena);
    else
        *ret = make(&c);
    return e;
}

/* The first membership of an entity; n_members if it has none. */
static size_t first_of(const struct group_set *s, str entity_id)
{
    size_t low = 0, high = s->n_members;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (str_cmp(s->members[mid].entity_id, entity_id) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void add_once(const struct group **list, size_t *n, const struct group *g)
{
    for (size_t i = 0; i < *n; i++)
        if (list[i] == g)
            return;
    list[(*n)++] = g;
}

size_t group_set_of(struct arena *a, const struct group_set *s, str entity_id,
                    const struct group *const **ret)
{
    size_t n = 0, at = first_of(s, entity_id);

    *ret = NULL;
    if (at == s->n_members || !str_eq(s->members[at].entity_id, entity_id))
        return 0;
    const struct group **list = ARENA_ARRAY(a, const struct group *, s->n);

    for (; at < s->n_members && str_eq(s->members[at].entity_id, entity_id); at++)
        add_once(list, &n, s->members[at].group);
    for (size_t i = 0; i < n; i++) /* each found one brings its parents */
        for (size_t k = 0; k < list[i]->n_parents; k++) {
            const struct group *parent = find(s, list[i]->parents[k]);

            if (parent)
                add_once(list, &n, parent);
        }
    *ret = list;
    return n;
}
