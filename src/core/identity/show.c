/* show: entities, groups and aliases as the API answers them. */
#include "core/identity/identity_private.h"
#include "core/mount.h"

static struct json *texts(struct arena *a, const str *v, size_t n)
{
    return v ? json_strings(a, v, n) : json_null(a);
}

static struct json *pairs(struct arena *a, const struct identity_pair *v, size_t n)
{
    struct json *o = json_object(a);

    for (size_t i = 0; i < n; i++)
        json_set_str(a, o, v[i].key, v[i].value);
    return v ? o : json_null(a);
}

static void set_time(struct arena *a, struct json *o, str key, int64_t ns)
{
    json_set_str(a, o, key, time_format(a, ns));
}

/* Of its mount as it is now; a mount that went is left out. */
static void set_mount(struct request *rq, struct json *o, str accessor)
{
    const struct mount *m = mount_by_accessor(rq, accessor);

    json_set_str(rq->arena, o, STR("mount_accessor"), accessor);
    if (!m)
        return;
    json_set_str(rq->arena, o, STR("mount_path"), m->path);
    json_set_str(rq->arena, o, STR("mount_type"), m->type);
}

static struct json *alias_of_group(struct request *rq, const struct entity_alias *alias, str canonical_id)
{
    struct arena *a = rq->arena;
    struct json *o = json_object(a);

    json_set_str(a, o, STR("id"), alias->id);
    json_set_str(a, o, STR("canonical_id"), canonical_id);
    json_set_str(a, o, STR("name"), alias->name);
    json_set(a, o, STR("metadata"), pairs(a, alias->metadata, alias->n_metadata));
    json_set(a, o, STR("merged_from_canonical_ids"), texts(a, alias->merged_from, alias->n_merged_from));
    set_time(a, o, STR("creation_time"), alias->created_ns);
    set_time(a, o, STR("last_update_time"), alias->updated_ns);
    set_mount(rq, o, alias->mount_accessor);
    return o;
}

static struct json *alias_of_entity(struct request *rq, const struct entity_alias *alias, str canonical_id)
{
    struct json *o = alias_of_group(rq, alias, canonical_id);

    json_set_bool(rq->arena, o, STR("local"), alias->local);
    json_set(rq->arena, o, STR("custom_metadata"),
             pairs(rq->arena, alias->custom_metadata, alias->n_custom_metadata));
    return o;
}

void alias_show(struct request *rq, struct response *rs, const struct entity_alias *alias, str canonical_id)
{
    rs->data = alias_of_entity(rq, alias, canonical_id);
    json_set_str(rq->arena, rs->data, STR("namespace_id"), STR("root"));
}

struct json *alias_brief(struct request *rq, const struct entity_alias *alias)
{
    struct json *o = json_object(rq->arena);

    json_set_str(rq->arena, o, STR("id"), alias->id);
    json_set_str(rq->arena, o, STR("name"), alias->name);
    set_mount(rq, o, alias->mount_accessor);
    return o;
}

void alias_list_add(struct request *rq, struct json *info, const struct entity_alias *alias, str canonical_id)
{
    struct arena *a = rq->arena;
    struct json *o = json_object(a);

    json_set_str(a, o, STR("canonical_id"), canonical_id);
    json_set(a, o, STR("custom_metadata"), pairs(a, alias->custom_metadata, alias->n_custom_metadata));
    json_set_bool(a, o, STR("local"), alias->local);
    json_set_str(a, o, STR("name"), alias->name);
    set_mount(rq, o, alias->mount_accessor);
    json_add(a, info, alias->id, o);
}

struct error *entity_show(struct request *rq, struct response *rs, const struct entity *e)
{
    struct arena *a = rq->arena;
    struct json *o = response_data(rq, rs), *aliases = json_array(a), *all = json_array(a),
                *direct = json_array(a), *inherited = json_array(a);
    const struct group *const *groups;
    size_t n, n_direct;

    TRY(identity_groups_of(rq, e->id, &groups, &n, &n_direct));
    for (size_t i = 0; i < n; i++) {
        json_append(a, all, json_string(a, groups[i]->id));
        json_append(a, i < n_direct ? direct : inherited, json_string(a, groups[i]->id));
    }
    for (size_t i = 0; i < e->n_aliases; i++)
        json_append(a, aliases, alias_of_entity(rq, &e->aliases[i], e->id));
    json_set(a, o, STR("aliases"), aliases);
    json_set(a, o, STR("direct_group_ids"), direct);
    json_set_bool(a, o, STR("disabled"), e->disabled);
    json_set(a, o, STR("group_ids"), all);
    json_set_str(a, o, STR("id"), e->id);
    json_set(a, o, STR("inherited_group_ids"), inherited);
    json_set(a, o, STR("merged_entity_ids"), texts(a, e->merged, e->n_merged));
    json_set(a, o, STR("metadata"), pairs(a, e->metadata, e->n_metadata));
    json_set_str(a, o, STR("name"), e->name);
    json_set_str(a, o, STR("namespace_id"), STR("root"));
    json_set(a, o, STR("policies"), json_strings(a, e->policies, e->n_policies));
    set_time(a, o, STR("creation_time"), e->created_ns);
    set_time(a, o, STR("last_update_time"), e->updated_ns);
    return NULL;
}

/* Its members are read from its bucket: they are not in memory with it. */
static struct error *members(struct request *rq, const struct group *g, struct json **ret)
{
    struct view v = identity_view(rq);
    IdentityPb__Bucket *b;

    *ret = g->members_given ? json_array(rq->arena) : json_null(rq->arena);
    if (g->n_members == 0)
        return NULL;
    TRY(bucket_read(&v, BUCKET_GROUPS, bucket_number(g->id), &b));
    const IdentityPb__Item *item = bucket_find(b, g->id);
    const ProtobufCMessage *message = item ? item_unpack(rq->arena, item, BUCKET_GROUPS) : NULL;
    const IdentityPb__Group *m = (const IdentityPb__Group *)(const void *)message;

    for (size_t i = 0; m && i < m->n_member_entity_ids; i++)
        json_append(rq->arena, *ret, json_string(rq->arena, pb_str(m->member_entity_ids[i])));
    return NULL;
}

struct error *group_show(struct request *rq, struct response *rs, const struct group *g)
{
    struct arena *a = rq->arena;
    struct json *o = response_data(rq, rs), *entities, *groups = json_array(a);
    size_t n;
    const struct group *const *children = index_children(active_index(rq->active), a, g->id, &n);

    for (size_t i = 0; i < n; i++)
        json_append(a, groups, json_string(a, children[i]->id));
    TRY(members(rq, g, &entities));
    json_set(a, o, STR("alias"), g->alias ? alias_of_group(rq, g->alias, g->id) : json_object(a));
    json_set_str(a, o, STR("id"), g->id);
    json_set(a, o, STR("member_entity_ids"), entities);
    json_set(a, o, STR("member_group_ids"), n ? groups : json_null(a));
    json_set(a, o, STR("metadata"), pairs(a, g->metadata, g->n_metadata));
    json_set_int(a, o, STR("modify_index"), (int64_t)g->modify_index);
    json_set_str(a, o, STR("name"), g->name);
    json_set_str(a, o, STR("namespace_id"), STR("root"));
    json_set(a, o, STR("parent_group_ids"), texts(a, g->parents, g->n_parents));
    json_set(a, o, STR("policies"), texts(a, g->policies, g->n_policies));
    json_set_str(a, o, STR("type"), g->external ? STR("external") : STR("internal"));
    set_time(a, o, STR("creation_time"), g->created_ns);
    set_time(a, o, STR("last_update_time"), g->updated_ns);
    return NULL;
}
