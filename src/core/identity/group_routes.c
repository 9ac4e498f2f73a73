/* group_routes: identity/group… and lookup/group. A group keeps the ids of the groups that it is in; its
 * member groups are those that name it. */
#include "core/identity/identity_private.h"

#include <stdlib.h>

/* ---- member groups ---- */

struct ids {
    str *v;
    size_t n;
};

static int by_text(const void *x, const void *y)
{
    const str *a = x, *b = y;

    return str_cmp(*a, *b);
}

static bool have(struct ids ids, str id)
{
    for (size_t i = 0; i < ids.n; i++)
        if (str_eq(ids.v[i], id))
            return true;
    return false;
}

/* Each once, none empty, sorted. */
static struct ids field_ids(struct request *rq, const char *name)
{
    size_t n, kept = 0;
    const str *given = field_strs(rq, name, &n);
    struct ids ids = {ARENA_ARRAY(rq->arena, str, n + 1), 0};

    for (size_t i = 0; i < n; i++)
        if (given[i].n)
            ids.v[ids.n++] = given[i];
    if (ids.n > 1)
        qsort(ids.v, ids.n, sizeof(*ids.v), by_text);
    for (size_t i = 0; i < ids.n; i++)
        if (kept == 0 || !str_eq(ids.v[i], ids.v[kept - 1]))
            ids.v[kept++] = ids.v[i];
    ids.n = kept;
    return ids;
}

/* Is `id` in the group `of`, itself or through others, or that group? Looked for upwards from it: each group
 * once. */
static struct error *is_above(struct request *rq, str of, str id, bool *ret)
{
    struct arena *a = rq->arena;
    size_t n = 1, cap = 8;
    str *list = ARENA_ARRAY(a, str, cap);

    list[0] = id;
    *ret = false;
    for (size_t i = 0; i < n && !*ret; i++) {
        const struct group *g;

        *ret = str_eq(list[i], of);
        TRY(identity_find_group(rq, KEY_GROUP_ID, list[i], &g));
        for (size_t k = 0; g && k < g->n_parents; k++) {
            if (have((struct ids){list, n}, g->parents[k]))
                continue;
            if (n == cap) {
                list = arena_grow(a, list, cap * sizeof(*list), cap * 2 * sizeof(*list));
                cap *= 2;
            }
            list[n++] = g->parents[k];
        }
    }
    return NULL;
}

static struct error *must_have_room(struct edit *e)
{
    return edit_has_room(e, 2) ? NULL
                               : fail(e->rq, ERR_BAD_REQUEST,
                                      "member_group_ids: too many groups change at once; change some of them "
                                      "at a time");
}

static struct error *set_parent(struct edit *e, const struct group *member, str parent, bool is_in)
{
    IdentityPb__Group *m;

    TRY(must_have_room(e));
    TRY(edit_group(e, member->id, &m));
    if (!m)
        return fail(e->rq, ERR_INTERNAL, "the group %.*s is not in its bucket", PSTR(member->id));
    if (is_in)
        pb_texts_add(e->rq->arena, &m->parent_group_ids, &m->n_parent_group_ids, parent);
    else
        pb_texts_remove(m->parent_group_ids, &m->n_parent_group_ids, parent);
    return edit_put_group(e, m);
}

static struct error *add_member_group(struct edit *e, str id, str member_id)
{
    struct request *rq = e->rq;
    const struct group *member;
    bool cycle;

    TRY(identity_find_group(rq, KEY_GROUP_ID, member_id, &member));
    if (!member)
        return fail_wrapped(rq, ERR_INTERNAL, "invalid member group ID \"%.*s\"", PSTR(member_id));
    if (str_eq(member_id, id))
        return fail_wrapped(rq, ERR_INTERNAL, "member group ID \"%.*s\" is same as the ID of the group",
                            PSTR(id));
    for (size_t i = 0; i < member->n_parents; i++)
        if (str_eq(member->parents[i], id))
            return NULL;
    TRY(is_above(rq, member_id, id, &cycle));
    if (cycle)
        return fail(rq, ERR_BAD_REQUEST, "cyclic relationship detected for member group ID \"%.*s\"",
                    PSTR(member_id));
    return set_parent(e, member, id, true);
}

static struct error *set_member_groups(struct edit *e, str id)
{
    struct request *rq = e->rq;
    struct ids want = field_ids(rq, "member_group_ids");
    size_t n;
    const struct group *const *has = index_children(active_index(rq->active), rq->arena, id, &n);

    for (size_t i = 0; i < n; i++)
        if (!have(want, has[i]->id))
            TRY(set_parent(e, has[i], id, false));
    for (size_t i = 0; i < want.n; i++)
        TRY(add_member_group(e, id, want.v[i]));
    return NULL;
}

/* ---- writing ---- */

static struct error *set_members(struct request *rq, IdentityPb__Group *m)
{
    struct ids ids = field_ids(rq, "member_entity_ids");

    for (size_t i = 0; i < ids.n; i++) {
        const struct entity *e;

        TRY(identity_find_entity(rq, KEY_ENTITY_ID, ids.v[i], &e));
        if (!e)
            return fail_wrapped(rq, ERR_INTERNAL, "invalid entity ID \"%.*s\"", PSTR(ids.v[i]));
    }
    m->member_entity_ids = pb_texts(rq->arena, ids.v, ids.n);
    m->n_member_entity_ids = ids.n;
    return NULL;
}

static struct error *check_type(struct request *rq, const struct group *old, str *ret_type)
{
    str is = old ? (old->external ? STR("external") : STR("internal")) : (str){0};
    str type = field_given(rq, "type") ? field_str(rq, "type") : is;

    if (old && !str_eq(type, is))
        return fail(rq, ERR_BAD_REQUEST, "group type cannot be changed");
    if (type.n == 0)
        type = STR("internal");
    if (!str_eq(type, STR("internal")) && !str_eq(type, STR("external")))
        return fail(rq, ERR_BAD_REQUEST, "invalid group type \"%.*s\"", PSTR(type));
    *ret_type = type;
    return NULL;
}

static struct error *fill(struct edit *e, IdentityPb__Group *m)
{
    struct request *rq = e->rq;
    bool external = str_eq(pb_str(m->type), STR("external"));

    TRY(metadata_take(rq, "group", &m->metadata, &m->n_metadata));
    if (external && field_given(rq, "member_entity_ids"))
        return fail(rq, ERR_BAD_REQUEST, "member entities can't be set manually for external groups");
    if (external && field_given(rq, "member_group_ids"))
        return fail(rq, ERR_BAD_REQUEST, "member groups can't be set for external groups");
    if (field_given(rq, "member_entity_ids"))
        TRY(set_members(rq, m));
    if (field_given(rq, "member_group_ids"))
        TRY(set_member_groups(e, pb_str(m->id)));
    return NULL;
}

static struct error *open_group(struct edit *e, const struct group *g, IdentityPb__Group **ret)
{
    TRY(edit_group(e, g->id, ret));
    if (!*ret)
        return fail(e->rq, ERR_INTERNAL, "the group %.*s is not in its bucket", PSTR(g->id));
    (*ret)->last_update_time = pb_now(e->rq);
    if (str_eq(pb_str((*ret)->type), (str){0}))
        (*ret)->type = pb_text(e->rq->arena, STR("internal"));
    return NULL;
}

static struct error *write(struct request *rq, struct response *rs, struct edit *e, const struct group *old,
                           str name)
{
    const struct group *by_name;
    IdentityPb__Group *m;
    str type;

    TRY(identity_find_group(rq, KEY_GROUP_NAME, name, &by_name));
    if (old && by_name && !str_eq(old->id, by_name->id))
        return fail(rq, ERR_BAD_REQUEST, "group name is already in use");
    if (!old)
        old = by_name;
    TRY(check_type(rq, old, &type));
    if (old)
        TRY(open_group(e, old, &m));
    else
        TRY(group_make(rq, name, type, &m));
    if (name.n)
        m->name = pb_text(rq->arena, name);
    TRY(policies_take(rq, &m->policies, &m->n_policies));
    TRY(fill(e, m));
    TRY(edit_put_group(e, m)); /* those that name it as a parent go before it: it is looked up last */
    if (!old) {
        json_set_str(rq->arena, response_data(rq, rs), STR("id"), pb_str(m->id));
        json_set_str(rq->arena, rs->data, STR("name"), pb_str(m->name));
    }
    return edit_commit(e);
}

static struct error *group_write(struct request *rq, struct response *rs)
{
    const struct group *old = NULL;
    str id = field_str(rq, "id");
    struct edit *e;

    if (field_given(rq, "id") && id.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "empty group ID");
    TRY(edit_begin(&e, rq));
    TRY(identity_find_group(rq, KEY_GROUP_ID, id, &old));
    if (id.n && !old)
        return fail(rq, ERR_BAD_REQUEST, "invalid group ID");
    return write(rq, rs, e, old, field_str(rq, "name"));
}

static struct error *group_write_name(struct request *rq, struct response *rs)
{
    struct edit *e;

    TRY(edit_begin(&e, rq));
    return write(rq, rs, e, NULL, field_str(rq, "name"));
}

/* ---- the rest ---- */

static struct error *group_named(struct request *rq, const struct group **ret)
{
    return str_starts(rq->rel, STR("group/name/"))
               ? identity_find_group(rq, KEY_GROUP_NAME, field_str(rq, "name"), ret)
               : identity_find_group(rq, KEY_GROUP_ID, field_str(rq, "id"), ret);
}

static struct error *group_read(struct request *rq, struct response *rs)
{
    const struct group *g;

    TRY(group_named(rq, &g));
    return g ? group_show(rq, rs, g) : fail_absent(rq);
}

static struct error *group_delete(struct request *rq, struct response *rs)
{
    const struct group *g;
    struct edit *e;

    (void)rs;
    TRY(edit_begin(&e, rq));
    TRY(group_named(rq, &g));
    if (!g)
        return NULL;
    TRY(edit_drop_group(e, g->id));
    return edit_commit(e);
}

static struct error *group_list(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    bool by_name = str_starts(rq->rel, STR("group/name"));
    struct json *keys = json_array(a), *info = json_object_ordered(a);
    size_t n;

    TRY(identity_load_all(rq, BUCKET_GROUPS));
    const struct object *const *all = index_all(active_index(rq->active), a, KEY_GROUP_ID, &n);

    if (n == 0)
        return fail_absent(rq);
    for (size_t i = 0; i < n; i++) {
        const struct group *g = (const struct group *)(const void *)all[i];
        struct json *o = json_object(a);

        json_append(a, keys, json_string(a, by_name ? g->name : g->id));
        if (by_name)
            continue;
        json_set_str(a, o, STR("name"), g->name);
        json_set_int(a, o, STR("num_member_entities"), (int64_t)g->n_members);
        json_set_int(a, o, STR("num_parent_groups"), (int64_t)g->n_parents);
        if (g->alias)
            json_set(a, o, STR("alias"), alias_brief(rq, g->alias));
        json_add(a, info, g->id, o);
    }
    json_set(a, response_data(rq, rs), STR("keys"), keys);
    if (!by_name)
        json_set(a, rs->data, STR("key_info"), info);
    return NULL;
}

static struct error *group_lookup(struct request *rq, struct response *rs)
{
    const struct object *o = NULL;
    struct lookup q;

    TRY(lookup_question(rq, &q));
    if (q.id.n)
        TRY(identity_find(rq, KEY_GROUP_ID, (str){0}, q.id, &o));
    else if (q.name.n)
        TRY(identity_find(rq, KEY_GROUP_NAME, (str){0}, q.name, &o));
    else if (q.alias_id.n)
        TRY(identity_find(rq, KEY_GROUP_ALIAS_ID, (str){0}, q.alias_id, &o));
    else
        TRY(identity_find(rq, KEY_GROUP_ALIAS, q.accessor, q.alias_name, &o));
    return o ? group_show(rq, rs, (const struct group *)(const void *)o) : NULL;
}

/* ---- the table ---- */

#define GROUP_FIELDS                                                                                         \
    {"type", FT_STRING,                                                                                      \
     .help = "internal (the default) or external: who is in it is said by an auth method, "                  \
             "through the group's alias."},                                                                  \
        {"metadata", FT_KV, .help = "Metadata of the group: texts by name, all of them at once."},           \
        {"policies", FT_STRINGS, .help = "Policies that tokens of its members have beside their own."},      \
        {"member_group_ids", FT_STRINGS,                                                                     \
         .help = "IDs of the groups that are in this one, all of them at once."},                            \
    {                                                                                                        \
        "member_entity_ids", FT_STRINGS, .help = "IDs of the entities that are in it, all of them at once."  \
    }

static const struct field write_fields[] = {
    {"id", FT_STRING, .help = "ID of the group; with it, that group is changed."},
    {"name", FT_STRING, .help = "Name of the group. One that has it is changed; else one is made."},
    GROUP_FIELDS,
    {0},
};

static const struct field id_fields[] = {
    {"id", FT_NAME, FIELD_PATH, .help = "ID of the group."},
    {"name", FT_STRING, .help = "Name of the group."},
    GROUP_FIELDS,
    {0},
};

static const struct field name_fields[] = {
    {"name", FT_STRING, FIELD_PATH | FIELD_REQUIRED, .help = "Name of the group."},
    {"id", FT_STRING, .help = "Not used: the name says which group it is."},
    GROUP_FIELDS,
    {0},
};

static const struct field lookup_fields[] = {
    {"id", FT_STRING, .help = "ID of the group."},
    {"name", FT_STRING, .help = "Name of the group."},
    {"alias_id", FT_STRING, .help = "ID of its alias."},
    {"alias_name", FT_STRING, .help = "Name of its alias; with alias_mount_accessor."},
    {"alias_mount_accessor", FT_STRING, .help = "Accessor of the mount of that alias."},
    {0},
};

#define GROUP_OPS(write)                                                                                     \
    {                                                                                                        \
        [OP_READ] = {group_read, .help = "Shows a group."},                                                  \
        [OP_UPDATE] = {write, .help = "Changes a group."},                                                   \
        [OP_DELETE] = {group_delete, .help = "Removes a group; who was in it loses its policies."},          \
    }

const struct route identity_group_routes[] = {
    {"group", write_fields, .ops = {[OP_UPDATE] = {group_write, .help = "Makes or changes a group."}},
     .help = "A group of entities and of other groups."},
    {"group/id", .ops = {[OP_LIST] = {group_list, .help = "Lists the groups by id."}},
     .help = "The ids of all groups, with names and numbers of members."},
    {"group/id/{id}", id_fields, .ops = GROUP_OPS(group_write), .help = "A group by its id."},
    {"group/name", .ops = {[OP_LIST] = {group_list, .help = "Lists the groups by name."}},
     .help = "The names of all groups."},
    {"group/name/{name...}", name_fields, .ops = GROUP_OPS(group_write_name), .help = "A group by its name."},
    {"lookup/group", lookup_fields, .ops = {[OP_UPDATE] = {group_lookup, ROUTE_READONLY, "Finds a group."}},
     .help = "Finds a group by its id, its name or its alias."},
    {0},
};
