/* alias_routes: identity/entity-alias… and its old names. */
#include "core/identity/identity_private.h"
#include "core/mount.h"

static const struct entity_alias *alias_with_id(const struct entity *e, str id)
{
    for (size_t i = 0; i < e->n_aliases; i++)
        if (str_eq(e->aliases[i].id, id))
            return &e->aliases[i];
    return NULL;
}

/* ---- writing ---- */

struct wish { /* what an alias is to be */
    const struct mount *mount;
    str accessor, name, canonical_id; /* canonical_id empty: whose it is */
    const struct json *custom;        /* NULL: as it is */
};

static bool custom_is(const struct entity_alias *alias, const struct json *want)
{
    size_t n = want ? want->n : 0;

    if (!want)
        return true;
    if (alias->n_custom_metadata != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool found;
        str has =
            identity_pair_get(alias->custom_metadata, alias->n_custom_metadata, want->members[i].key, &found);

        if (!found || !str_eq(has, want->members[i].value->text))
            return false;
    }
    return true;
}

static struct error *answer(struct request *rq, struct response *rs, const IdentityPb__Alias *alias)
{
    json_set_str(rq->arena, response_data(rq, rs), STR("canonical_id"), pb_str(alias->canonical_id));
    json_set_str(rq->arena, rs->data, STR("id"), pb_str(alias->id));
    return NULL;
}

static struct error *check_update(struct request *rq, const struct entity *e,
                                  const struct entity_alias *alias, const struct wish *w,
                                  const struct entity **ret_to)
{
    bool moves = w->canonical_id.n && !str_eq(w->canonical_id, e->id);
    const struct entity *other;

    if (!moves && !str_eq(w->accessor, alias->mount_accessor) && entity_alias_of(e, w->accessor))
        return fail(rq, ERR_BAD_REQUEST,
                    "Alias cannot be updated as the entity already has an alias for the given "
                    "'mount_accessor' ");
    if (!w->mount)
        return fail(rq, ERR_BAD_REQUEST, "invalid mount accessor \"%.*s\"", PSTR(w->accessor));
    TRY(identity_find_alias(rq, w->accessor, w->name, &other));
    if (other && entity_alias_named(other, w->accessor, w->name) != alias)
        return fail(rq, ERR_BAD_REQUEST, "alias with combination of mount accessor and name already exists");
    *ret_to = e;
    if (!moves)
        return NULL;
    if (alias->local || w->mount->local)
        return fail(rq, ERR_BAD_REQUEST, "local aliases can't be moved between entities");
    TRY(identity_find_entity(rq, KEY_ENTITY_ID, w->canonical_id, ret_to));
    if (!*ret_to)
        return fail(rq, ERR_BAD_REQUEST, "given 'canonical_id' is not associated with an entity");
    if (entity_alias_of(*ret_to, w->accessor))
        return fail(rq, ERR_BAD_REQUEST,
                    "Alias cannot be updated as the given entity already has an alias for this mount ");
    return NULL;
}

/* Nothing to change is no answer: 204. */
static struct error *update(struct request *rq, struct response *rs, struct edit *e, const struct entity *of,
                            const struct entity_alias *alias, const struct wish *w)
{
    const struct entity *to_entity;
    struct owner from, to;

    if (str_eq(w->name, alias->name) && str_eq(w->accessor, alias->mount_accessor) &&
        (w->canonical_id.n == 0 || str_eq(w->canonical_id, of->id)) && custom_is(alias, w->custom))
        return NULL;
    TRY(check_update(rq, of, alias, w, &to_entity));
    TRY(owner_open(e, of->id, &from));
    IdentityPb__Alias *m = owner_detach(&from, alias->id);

    if (!m)
        return fail(rq, ERR_INTERNAL, "the alias %.*s is not with its entity", PSTR(alias->id));
    m->last_update_time = pb_now(rq);
    m->name = pb_text(rq->arena, w->name);
    m->mount_accessor = pb_text(rq->arena, w->accessor);
    m->local = w->mount->local;
    if (w->custom)
        m->custom_metadata = pb_pairs(rq->arena, w->custom, &m->n_custom_metadata);
    if (to_entity == of) {
        owner_attach(rq, &from, m);
    } else {
        TRY(owner_open(e, to_entity->id, &to));
        alias_belongs(rq, m, to_entity->id);
        owner_attach(rq, &to, m);
        TRY(edit_put_entity(e, to.m, to.local));
    }
    TRY(edit_put_entity(e, from.m, from.local));
    TRY(edit_commit(e));
    return answer(rq, rs, m);
}

static struct error *create(struct request *rq, struct response *rs, struct edit *e, const struct wish *w)
{
    const struct entity *of;
    struct owner o = {0};

    TRY(identity_find_entity(rq, KEY_ENTITY_ID, w->canonical_id, &of));
    if (w->canonical_id.n && !of)
        return fail(rq, ERR_BAD_REQUEST, "invalid canonical ID");
    if (of && entity_alias_of(of, w->accessor))
        return fail(rq, ERR_BAD_REQUEST, "Alias already exists for requested entity and mount accessor");
    if (of)
        TRY(owner_open(e, of->id, &o));
    else
        TRY(entity_make(rq, (str){0}, &o.m));
    IdentityPb__Alias *m = alias_make(rq, w->accessor, w->name, pb_str(o.m->id));

    m->local = w->mount->local;
    m->custom_metadata = pb_pairs(rq->arena, w->custom, &m->n_custom_metadata);
    owner_attach(rq, &o, m);
    TRY(edit_put_entity(e, o.m, o.local));
    TRY(edit_commit(e));
    return answer(rq, rs, m);
}

static struct error *update_by_id(struct request *rq, struct response *rs, struct edit *e, str id,
                                  struct wish *w)
{
    const struct entity *of;

    TRY(identity_find_entity(rq, KEY_ENTITY_ALIAS_ID, id, &of));
    if (!of)
        return fail(rq, ERR_BAD_REQUEST, "invalid alias ID provided");
    const struct entity_alias *alias = alias_with_id(of, id);

    if (w->accessor.n == 0)
        w->accessor = alias->mount_accessor;
    if (w->name.n == 0)
        w->name = alias->name;
    w->mount = mount_by_accessor(rq, w->accessor);
    return update(rq, rs, e, of, alias, w);
}

static struct error *write(struct request *rq, struct response *rs, const struct json *custom)
{
    str id = field_str(rq, "id");
    struct wish w = {.accessor = field_str(rq, "mount_accessor"),
                     .name = field_str(rq, "name"),
                     .canonical_id = field_str(rq, "canonical_id"),
                     .custom = custom};
    const struct entity *of;
    struct edit *e;

    if (w.canonical_id.n == 0)
        w.canonical_id = field_str(rq, "entity_id");
    if (custom)
        TRY(custom_metadata_check(rq, ERR_INTERNAL, custom));
    TRY(edit_begin(&e, rq));
    if (id.n)
        return update_by_id(rq, rs, e, id, &w);
    if (w.accessor.n == 0 || w.name.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "'id' or 'mount_accessor' and 'name' must be provided");
    w.mount = mount_by_accessor(rq, w.accessor);
    if (!w.mount)
        return fail(rq, ERR_BAD_REQUEST, "invalid mount accessor \"%.*s\"", PSTR(w.accessor));
    TRY(identity_find_alias(rq, w.accessor, w.name, &of));
    if (!w.custom)
        w.custom = json_object(rq->arena);
    return of ? update(rq, rs, e, of, entity_alias_named(of, w.accessor, w.name), &w) : create(rq, rs, e, &w);
}

static struct error *alias_write(struct request *rq, struct response *rs)
{
    return write(rq, rs, field_json(rq, "custom_metadata"));
}

static struct error *old_alias_write(struct request *rq, struct response *rs)
{
    return write(rq, rs, NULL);
}

/* ---- the rest ---- */

struct error *alias_read(struct request *rq, struct response *rs)
{
    str id = field_str(rq, "id");
    const struct entity *of;

    TRY(identity_find_entity(rq, KEY_ENTITY_ALIAS_ID, id, &of));
    if (!of)
        return fail_absent(rq);
    alias_show(rq, rs, alias_with_id(of, id), of->id);
    return NULL;
}

struct error *alias_delete(struct request *rq, struct response *rs)
{
    str id = field_str(rq, "id");
    const struct entity *of;
    struct owner o;
    struct edit *e;

    (void)rs;
    TRY(edit_begin(&e, rq));
    TRY(identity_find_entity(rq, KEY_ENTITY_ALIAS_ID, id, &of));
    if (!of)
        return NULL;
    TRY(owner_open(e, of->id, &o));
    owner_detach(&o, id);
    TRY(edit_put_entity(e, o.m, o.local));
    return edit_commit(e);
}

static struct error *alias_list(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    struct json *keys = json_array(a), *info = json_object(a);
    size_t n;

    TRY(identity_load_all(rq, BUCKET_ENTITIES));
    const struct object *const *all = index_all(active_index(rq->active), a, KEY_ENTITY_ID, &n);

    for (size_t i = 0; i < n; i++) {
        const struct entity *e = (const struct entity *)(const void *)all[i];

        for (size_t k = 0; k < e->n_aliases; k++) {
            json_append(a, keys, json_string(a, e->aliases[k].id));
            alias_list_add(rq, info, &e->aliases[k], e->id);
        }
    }
    if (keys->n == 0)
        return fail_absent(rq);
    json_set(a, response_data(rq, rs), STR("keys"), keys);
    json_set(a, rs->data, STR("key_info"), info);
    return NULL;
}

/* ---- the tables ---- */

#define OLD_FIELDS                                                                                           \
    {"entity_id", FT_STRING, FIELD_DEPRECATED, .help = "Use canonical_id."},                                 \
        {"canonical_id", FT_STRING, .help = "ID of the entity whose alias it is; empty makes an entity."},   \
        {"mount_accessor", FT_STRING, .help = "Accessor of the auth mount that knows the name."},            \
    {                                                                                                        \
        "name", FT_STRING, .help = "Name of the alias: what that mount calls its owner."                     \
    }
#define ALIAS_FIELDS                                                                                         \
    OLD_FIELDS,                                                                                              \
    {                                                                                                        \
        "custom_metadata", FT_KV, .help = "What owners write beside the alias: texts by name."               \
    }
#define ANY_ID                                                                                               \
    {                                                                                                        \
        "id", FT_STRING, .help = "ID of the alias; with it, that alias is changed."                          \
    }
#define PATH_ID                                                                                              \
    {                                                                                                        \
        "id", FT_NAME, FIELD_PATH, .help = "ID of the alias."                                                \
    }

static const struct field alias_fields[] = {ANY_ID, ALIAS_FIELDS, {0}};
static const struct field alias_id_fields[] = {PATH_ID, ALIAS_FIELDS, {0}};
static const struct field old_fields[] = {ANY_ID, OLD_FIELDS, {0}};
static const struct field old_id_fields[] = {PATH_ID, OLD_FIELDS, {0}};

#define ALIAS_OPS(write)                                                                                     \
    {                                                                                                        \
        [OP_READ] = {alias_read, .help = "Shows an alias."},                                                 \
        [OP_UPDATE] = {write, .help = "Changes an alias."},                                                  \
        [OP_DELETE] = {alias_delete, .help = "Removes an alias."},                                           \
    }
#define LIST_OPS                                                                                             \
    {                                                                                                        \
        [OP_LIST] = {alias_list, .help = "Lists the aliases of entities."},                                  \
    }

const struct route identity_alias_routes[] = {
    {"entity-alias", alias_fields, .ops = {[OP_UPDATE] = {alias_write, .help = "Makes or changes an alias."}},
     .help = "An alias of an entity: the name that it has with an auth method."},
    {"entity-alias/id", .ops = LIST_OPS, .help = "The ids of all aliases, with what they say."},
    {"entity-alias/id/{id}", alias_id_fields, .ops = ALIAS_OPS(alias_write), .help = "An alias by its id."},
    {"alias", old_fields, .ops = {[OP_UPDATE] = {old_alias_write, .help = "Makes or changes an alias."}},
     .help = "An old name: use entity-alias."},
    {"alias/id", .ops = LIST_OPS, .help = "An old name: use entity-alias/id."},
    {"alias/id/{id}", old_id_fields, .ops = ALIAS_OPS(old_alias_write),
     .help = "An old name: use entity-alias/id/ID."},
    {"persona/id", .ops = LIST_OPS, .help = "An old name: use entity-alias/id."},
    {0},
};
