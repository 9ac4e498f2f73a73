/* entity_routes: identity/entity…, lookup/entity, and what the old path persona does. */
#include "core/identity/identity_private.h"
#include "core/internal.h"

#include <stdlib.h>

enum { DELETE_BUCKETS_MAX = 12 }; /* what one step of a deletion takes on */

/* ---- writing ---- */

/* The entity with the id, else with the name; NULL: neither is given or there. */
static struct error *find_to_write(struct request *rq, str id, str name, const struct entity **ret)
{
    const struct entity *by_name;

    TRY(identity_find_entity(rq, KEY_ENTITY_ID, id, ret));
    if (id.n && !*ret)
        return fail(rq, ERR_BAD_REQUEST, "entity not found from id");
    TRY(identity_find_entity(rq, KEY_ENTITY_NAME, name, &by_name));
    if (*ret && by_name && !str_eq((*ret)->id, by_name->id))
        return fail(rq, ERR_BAD_REQUEST, "entity name is already in use");
    if (!*ret)
        *ret = by_name;
    return NULL;
}

static struct error *write(struct request *rq, struct response *rs, bool with_rights)
{
    str id = field_str(rq, "id"), name = field_str(rq, "name");
    const struct entity *old;
    struct owner o = {0};
    struct edit *e;

    TRY(edit_begin(&e, rq));
    TRY(find_to_write(rq, id, name, &old));
    if (old)
        TRY(owner_open(e, old->id, &o));
    else
        TRY(entity_make(rq, name, &o.m));
    if (name.n)
        o.m->name = pb_text(rq->arena, name);
    if (with_rights)
        TRY(policies_take(rq, &o.m->policies, &o.m->n_policies));
    if (with_rights && field_given(rq, "disabled"))
        o.m->disabled = field_bool(rq, "disabled");
    TRY(metadata_take(rq, "entity", &o.m->metadata, &o.m->n_metadata));
    if (old)
        o.m->last_update_time = pb_now(rq);
    TRY(edit_put_entity(e, o.m, o.local));
    if (!old) {
        struct json *data = response_data(rq, rs);

        json_set(rq->arena, data, STR("aliases"), json_null(rq->arena));
        json_set_str(rq->arena, data, STR("id"), pb_str(o.m->id));
        json_set_str(rq->arena, data, STR("name"), pb_str(o.m->name));
    }
    return edit_commit(e);
}

static struct error *entity_write(struct request *rq, struct response *rs)
{
    return write(rq, rs, true);
}

static struct error *persona_write(struct request *rq, struct response *rs)
{
    return write(rq, rs, false);
}

/* ---- reading ---- */

static struct error *entity_named(struct request *rq, const struct entity **ret)
{
    return str_starts(rq->rel, STR("entity/name/"))
               ? identity_find_entity(rq, KEY_ENTITY_NAME, field_str(rq, "name"), ret)
               : identity_find_entity(rq, KEY_ENTITY_ID, field_str(rq, "id"), ret);
}

static struct error *entity_read(struct request *rq, struct response *rs)
{
    const struct entity *e;

    TRY(entity_named(rq, &e));
    return e ? entity_show(rq, rs, e) : fail_absent(rq);
}

static struct error *entity_list(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    bool by_name = str_starts(rq->rel, STR("entity/name"));
    struct json *keys = json_array(a), *info = json_object_ordered(a);
    size_t n;

    TRY(identity_load_all(rq, BUCKET_ENTITIES));
    const struct object *const *all = index_all(active_index(rq->active), a, KEY_ENTITY_ID, &n);

    if (n == 0)
        return fail_absent(rq);
    for (size_t i = 0; i < n; i++) {
        const struct entity *e = (const struct entity *)(const void *)all[i];

        json_append(a, keys, json_string(a, by_name ? e->name : e->id));
        if (by_name)
            continue;
        struct json *o = json_object(a), *aliases = e->n_aliases ? json_array(a) : NULL;

        json_set_str(a, o, STR("name"), e->name);
        for (size_t k = 0; k < e->n_aliases; k++)
            json_append(a, aliases, alias_brief(rq, &e->aliases[k]));
        if (aliases)
            json_set(a, o, STR("aliases"), aliases);
        json_add(a, info, e->id, o);
    }
    json_set(a, response_data(rq, rs), STR("keys"), keys);
    if (!by_name)
        json_set(a, rs->data, STR("key_info"), info);
    return NULL;
}

/* ---- deleting ---- */

struct ids {
    str *v;
    size_t n;
};

static int by_text(const void *x, const void *y)
{
    const str *a = x, *b = y;

    return str_cmp(*a, *b);
}

static void sort_once(struct ids *ids)
{
    size_t kept = 0;

    if (ids->n > 1)
        qsort(ids->v, ids->n, sizeof(*ids->v), by_text);
    for (size_t i = 0; i < ids->n; i++)
        if (kept == 0 || !str_eq(ids->v[i], ids->v[kept - 1]))
            ids->v[kept++] = ids->v[i];
    ids->n = kept;
}

/* Those that are there, of the first few buckets. ret_all: of all buckets. */
static struct error *choose(struct request *rq, const str *ids, size_t n, struct ids *ret, bool *ret_all)
{
    bool chosen[IDENTITY_BUCKETS] = {false};
    unsigned n_chosen = 0;

    *ret = (struct ids){ARENA_ARRAY(rq->arena, str, n + 1), 0};
    *ret_all = true;
    for (size_t i = 0; i < n; i++) {
        struct arena_mark mark = arena_mark(rq->arena);
        unsigned number = bucket_number(ids[i]);
        const struct entity *e;

        TRY(identity_find_entity(rq, KEY_ENTITY_ID, ids[i], &e));
        arena_reset_to(rq->arena, mark);
        if (!e)
            continue;
        if (!chosen[number] && n_chosen == DELETE_BUCKETS_MAX) {
            *ret_all = false;
            continue;
        }
        n_chosen += !chosen[number];
        chosen[number] = true;
        ret->v[ret->n++] = ids[i];
    }
    sort_once(ret);
    return NULL;
}

static struct error *groups_of(struct request *rq, const struct ids *entities, struct ids *ret)
{
    size_t cap = 0;

    *ret = (struct ids){0};
    TRY(identity_load_all(rq, BUCKET_GROUPS));
    for (size_t i = 0; i < entities->n; i++) {
        size_t n;
        const str *ids = index_groups_of(active_index(rq->active), rq->arena, entities->v[i], &n);

        for (size_t k = 0; k < n; k++) {
            if (ret->n == cap) {
                ret->v = arena_grow(rq->arena, ret->v, cap * sizeof(str), (cap * 2 + 16) * sizeof(str));
                cap = cap * 2 + 16;
            }
            ret->v[ret->n++] = ids[k];
        }
    }
    sort_once(ret);
    return NULL;
}

static struct error *leave_group(struct edit *e, str group_id, const struct ids *entities)
{
    IdentityPb__Group *m;
    size_t kept = 0;

    TRY(edit_group(e, group_id, &m));
    if (!m)
        return NULL;
    for (size_t i = 0; i < m->n_member_entity_ids; i++) {
        str id = pb_str(m->member_entity_ids[i]);

        if (!bsearch(&id, entities->v, entities->n, sizeof(id), by_text))
            m->member_entity_ids[kept++] = m->member_entity_ids[i];
    }
    m->n_member_entity_ids = kept;
    return edit_put_group(e, m);
}

/* One step: some leave their groups, then they go. What is left to do shows in what is still there. */
static struct error *delete_some(struct request *rq, struct response *rs, const str *ids, size_t n)
{
    struct ids entities, groups;
    struct edit *e;
    bool all;

    TRY(edit_begin(&e, rq));
    TRY(choose(rq, ids, n, &entities, &all));
    TRY(groups_of(rq, &entities, &groups));
    size_t left = 0;

    while (left < groups.n && (left == 0 || edit_has_room(e, 1 + 2 * DELETE_BUCKETS_MAX)))
        TRY(leave_group(e, groups.v[left++], &entities));
    bool leaves_all = left == groups.n;

    size_t gone = 0;

    while (gone < entities.n && leaves_all && (gone == 0 || edit_has_room(e, 2)))
        TRY(edit_drop_entity(e, entities.v[gone++]));
    TRY(edit_commit(e));
    return all && gone == entities.n && leaves_all ? NULL : response_again(rs);
}

static struct error *entity_delete(struct request *rq, struct response *rs)
{
    const struct entity *e;

    TRY(entity_named(rq, &e));
    return e ? delete_some(rq, rs, &e->id, 1) : NULL;
}

static struct error *entity_batch_delete(struct request *rq, struct response *rs)
{
    size_t n;
    const str *ids = field_strs(rq, "entity_ids", &n);

    if (n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing entity ids to delete");
    for (size_t i = 0; i < n; i++)
        if (ids[i].n == 0)
            return fail_wrapped(rq, ERR_INTERNAL, "missing entity id");
    return delete_some(rq, rs, ids, n);
}

/* ---- looking up ---- */

struct error *lookup_question(struct request *rq, struct lookup *ret)
{
    const struct lookup q = {field_str(rq, "id"), field_str(rq, "name"), field_str(rq, "alias_id"),
                             field_str(rq, "alias_name"), field_str(rq, "alias_mount_accessor")};
    int n = (q.id.n > 0) + (q.name.n > 0) + (q.alias_id.n > 0) + (q.alias_name.n || q.accessor.n);

    if (n == 0)
        return fail(rq, ERR_BAD_REQUEST, "query parameter not supplied");
    if (n > 1)
        return fail(rq, ERR_BAD_REQUEST,
                    "query parameter conflict; please supply distinct set of query parameters");
    if ((q.alias_name.n > 0) != (q.accessor.n > 0))
        return fail(rq, ERR_BAD_REQUEST, "both 'alias_name' and 'alias_mount_accessor' needs to be set");
    *ret = q;
    return NULL;
}

static struct error *entity_lookup(struct request *rq, struct response *rs)
{
    const struct entity *e = NULL;
    struct lookup q;

    TRY(lookup_question(rq, &q));
    if (q.id.n)
        TRY(identity_find_entity(rq, KEY_ENTITY_ID, q.id, &e));
    else if (q.name.n)
        TRY(identity_find_entity(rq, KEY_ENTITY_NAME, q.name, &e));
    else if (q.alias_id.n)
        TRY(identity_find_entity(rq, KEY_ENTITY_ALIAS_ID, q.alias_id, &e));
    else
        TRY(identity_find_alias(rq, q.accessor, q.alias_name, &e));
    return e ? entity_show(rq, rs, e) : NULL;
}

/* ---- the tables ---- */

#define ID_IN_PATH                                                                                           \
    {                                                                                                        \
        "id", FT_NAME, FIELD_PATH, .help = "ID of the entity."                                               \
    }
#define ENTITY_FIELDS                                                                                        \
    {"metadata", FT_KV, .help = "Metadata of the entity: texts by name, all of them at once."},              \
        {"policies", FT_STRINGS, .help = "Policies that the entity's tokens have beside their own."},        \
    {                                                                                                        \
        "disabled", FT_BOOL, .help = "Refuses logins of the entity and all its tokens."                      \
    }

static const struct field write_fields[] = {
    {"id", FT_STRING, .help = "ID of the entity; with it, that entity is changed."},
    {"name", FT_STRING, .help = "Name of the entity. One who has it is changed; else one is made."},
    ENTITY_FIELDS,
    {0},
};

static const struct field id_fields[] = {
    ID_IN_PATH,
    {"name", FT_STRING, .help = "Name of the entity."},
    ENTITY_FIELDS,
    {0},
};

static const struct field name_fields[] = {
    {"name", FT_STRING, FIELD_PATH | FIELD_REQUIRED, .help = "Name of the entity."},
    {"id", FT_STRING, .help = "ID of the entity: gives it the name."},
    ENTITY_FIELDS,
    {0},
};

static const struct field batch_fields[] = {
    {"entity_ids", FT_STRINGS, .help = "IDs of the entities to delete."},
    {0},
};

static const struct field lookup_fields[] = {
    {"id", FT_STRING, .help = "ID of the entity."},
    {"name", FT_STRING, .help = "Name of the entity."},
    {"alias_id", FT_STRING, .help = "ID of one of its aliases."},
    {"alias_name", FT_STRING, .help = "Name of one of its aliases; with alias_mount_accessor."},
    {"alias_mount_accessor", FT_STRING, .help = "Accessor of the mount of that alias."},
    {0},
};

#define PERSONA_FIELDS                                                                                       \
    {"entity_id", FT_STRING, FIELD_DEPRECATED, .help = "Not used."},                                         \
        {"mount_accessor", FT_STRING, FIELD_DEPRECATED, .help = "Not used."},                                \
        {"name", FT_STRING, .help = "Name of the entity."},                                                  \
    {                                                                                                        \
        "metadata", FT_KV, .help = "Metadata of the entity."                                                 \
    }

static const struct field persona_fields[] = {
    {"id", FT_STRING, .help = "ID of the entity."},
    PERSONA_FIELDS,
    {0},
};

const struct field persona_id_fields[] = {
    {"id", FT_NAME, FIELD_PATH, .help = "ID of the alias; of the entity for a change."},
    PERSONA_FIELDS,
    {0},
};

#define ENTITY_OPS                                                                                           \
    {                                                                                                        \
        [OP_READ] = {entity_read, .help = "Shows an entity."},                                               \
        [OP_UPDATE] = {entity_write, .help = "Changes an entity."},                                          \
        [OP_DELETE] = {entity_delete, ROUTE_BULK, "Removes an entity with its aliases."},                    \
    }

const struct route identity_entity_routes[] = {
    {"entity", write_fields, .ops = {[OP_UPDATE] = {entity_write, .help = "Makes or changes an entity."}},
     .help = "An entity: one who may have several aliases, one for each auth method."},
    {"entity/id", .ops = {[OP_LIST] = {entity_list, .help = "Lists the entities by id."}},
     .help = "The ids of all entities, with names and aliases."},
    {"entity/id/{id}", id_fields, .ops = ENTITY_OPS, .help = "An entity by its id."},
    {"entity/name", .ops = {[OP_LIST] = {entity_list, .help = "Lists the entities by name."}},
     .help = "The names of all entities."},
    {"entity/name/{name...}", name_fields, .ops = ENTITY_OPS, .help = "An entity by its name."},
    {"entity/batch-delete", batch_fields,
     .ops = {[OP_UPDATE] = {entity_batch_delete, ROUTE_BULK, "Removes entities."}},
     .help = "Deletes several entities; those that are not there are passed over."},
    {"lookup/entity", lookup_fields,
     .ops = {[OP_UPDATE] = {entity_lookup, ROUTE_READONLY, "Finds an entity."}},
     .help = "Finds an entity by its id, its name or one of its aliases."},
    {"persona", persona_fields, .ops = {[OP_UPDATE] = {persona_write, .help = "Makes or changes an entity."}},
     .help = "An old name: use entity."},
    {"persona/id/{id}", persona_id_fields,
     .ops = {[OP_READ] = {alias_read, .help = "Shows an alias."},
             [OP_UPDATE] = {persona_write, .help = "Changes an entity."},
             [OP_DELETE] = {alias_delete, .help = "Removes an alias."}},
     .help = "An old name: use entity-alias/id/ID."},
    {0},
};
