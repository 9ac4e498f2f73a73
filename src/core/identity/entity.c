/* entity: what requests read of an entity or a group, packed into one heap block: twice by the same code,
 * first without memory, which counts. */
#include "base/log.h"
#include "core/identity/identity_private.h"

struct packer {
    uint8_t *base; /* NULL: counting */
    size_t used;
};

static void *take(struct packer *p, size_t n)
{
    size_t at = (p->used + 7) / 8 * 8;

    p->used = at + n;
    return p->base ? p->base + at : NULL;
}

static str pack_text(struct packer *p, ProtobufCBinaryData d)
{
    char *to = take(p, d.len);

    if (to && d.len)
        memcpy(to, d.data, d.len);
    return (str){to, d.len};
}

static const str *pack_texts(struct packer *p, const ProtobufCBinaryData *v, size_t n)
{
    if (!v)
        return NULL;
    str *to = take(p, n * sizeof(*to));

    for (size_t i = 0; i < n; i++) {
        str s = pack_text(p, v[i]);

        if (to)
            to[i] = s;
    }
    return to;
}

static const struct identity_pair *pack_pairs(struct packer *p, IdentityPb__Pair *const *v, size_t n)
{
    if (!v)
        return NULL;
    struct identity_pair *to = take(p, n * sizeof(*to));

    for (size_t i = 0; i < n; i++) {
        struct identity_pair pair = {pack_text(p, v[i]->key), pack_text(p, v[i]->value)};

        if (to)
            to[i] = pair;
    }
    return to;
}

static int64_t ns_of(const IdentityPb__Timestamp *t)
{
    return t && t->seconds > INT64_MIN / NS_PER_S && t->seconds < INT64_MAX / NS_PER_S
               ? t->seconds * NS_PER_S + t->nanos % NS_PER_S
               : 0;
}

static struct entity_alias pack_alias(struct packer *p, const IdentityPb__Alias *m)
{
    return (struct entity_alias){
        .id = pack_text(p, m->id),
        .name = pack_text(p, m->name),
        .mount_accessor = pack_text(p, m->mount_accessor),
        .metadata = pack_pairs(p, m->metadata, m->n_metadata),
        .n_metadata = m->n_metadata,
        .custom_metadata = pack_pairs(p, m->custom_metadata, m->n_custom_metadata),
        .n_custom_metadata = m->n_custom_metadata,
        .merged_from = pack_texts(p, m->merged_from_canonical_ids, m->n_merged_from_canonical_ids),
        .n_merged_from = m->n_merged_from_canonical_ids,
        .created_ns = ns_of(m->creation_time),
        .updated_ns = ns_of(m->last_update_time),
        .local = m->local,
    };
}

static void pack_entity(struct packer *p, const IdentityPb__Entity *m, const IdentityPb__LocalAliases *local,
                        struct entity *e)
{
    size_t n_local = local ? local->n_aliases : 0;

    e->id = pack_text(p, m->id);
    e->name = pack_text(p, m->name);
    e->policies = pack_texts(p, m->policies, m->n_policies);
    e->n_policies = m->n_policies;
    e->merged = pack_texts(p, m->merged_entity_ids, m->n_merged_entity_ids);
    e->n_merged = m->n_merged_entity_ids;
    e->metadata = pack_pairs(p, m->metadata, m->n_metadata);
    e->n_metadata = m->n_metadata;
    e->created_ns = ns_of(m->creation_time);
    e->updated_ns = ns_of(m->last_update_time);
    e->disabled = m->disabled;
    e->n_aliases = m->n_aliases + n_local;
    struct entity_alias *to = take(p, e->n_aliases * sizeof(*to));

    for (size_t i = 0; i < e->n_aliases; i++) {
        struct entity_alias alias =
            pack_alias(p, i < m->n_aliases ? m->aliases[i] : local->aliases[i - m->n_aliases]);

        if (to)
            to[i] = alias;
    }
    e->aliases = to;
}

struct entity *entity_new(const IdentityPb__Entity *m, const IdentityPb__LocalAliases *local)
{
    struct entity counted = {0};
    struct packer p = {.used = sizeof(counted)};

    pack_entity(&p, m, local, &counted);
    struct entity *e = (struct entity *)object_new(p.used);

    p = (struct packer){(uint8_t *)e, sizeof(*e)};
    pack_entity(&p, m, local, e);
    return e;
}

void entity_unref(struct entity *e)
{
    if (e)
        object_unref(&e->object);
}

static void pack_group(struct packer *p, const IdentityPb__Group *m, struct group *g)
{
    g->id = pack_text(p, m->id);
    g->name = pack_text(p, m->name);
    g->policies = pack_texts(p, m->policies, m->n_policies);
    g->n_policies = m->n_policies;
    g->parents = pack_texts(p, m->parent_group_ids, m->n_parent_group_ids);
    g->n_parents = m->n_parent_group_ids;
    g->metadata = pack_pairs(p, m->metadata, m->n_metadata);
    g->n_metadata = m->n_metadata;
    g->created_ns = ns_of(m->creation_time);
    g->updated_ns = ns_of(m->last_update_time);
    g->modify_index = m->modify_index;
    g->external = str_eq(pb_str(m->type), STR("external"));
    g->n_members = m->n_member_entity_ids;
    g->members_given = m->member_entity_ids != NULL;
    if (!m->alias)
        return;
    struct entity_alias *alias = take(p, sizeof(*alias)), packed = pack_alias(p, m->alias);

    if (alias)
        *alias = packed;
    g->alias = alias;
}

struct group *group_new(const IdentityPb__Group *m)
{
    struct group counted = {0};
    struct packer p = {.used = sizeof(counted)};

    pack_group(&p, m, &counted);
    struct group *g = (struct group *)object_new(p.used);

    p = (struct packer){(uint8_t *)g, sizeof(*g)};
    pack_group(&p, m, g);
    return g;
}

const struct entity_alias *entity_alias_of(const struct entity *e, str mount_accessor)
{
    for (size_t i = 0; i < e->n_aliases; i++)
        if (str_eq(e->aliases[i].mount_accessor, mount_accessor))
            return &e->aliases[i];
    return NULL;
}

const struct entity_alias *entity_alias_named(const struct entity *e, str accessor, str name)
{
    const struct entity_alias *like = NULL;

    for (size_t i = 0; i < e->n_aliases; i++) {
        const struct entity_alias *alias = &e->aliases[i];

        if (!str_eq(alias->mount_accessor, accessor) || !str_eq_nocase(alias->name, name))
            continue;
        if (!like || str_eq(alias->name, name))
            like = alias;
    }
    return like;
}

str identity_pair_get(const struct identity_pair *v, size_t n, str key, bool *ret_found)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i].key, key)) {
            *ret_found = true;
            return v[i].value;
        }
    *ret_found = false;
    return (str){0};
}
