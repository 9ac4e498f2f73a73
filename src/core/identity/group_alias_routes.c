/* group_alias_routes: identity/group-alias…: what an auth method calls an external group; and what a login
 * or a renewal with it does to the groups. */
#include "core/identity/identity_private.h"
#include "core/mount.h"

/* ---- writing ---- */

static struct error *open_group(struct edit *e, str id, IdentityPb__Group **ret)
{
    TRY(edit_group(e, id, ret));
    if (!*ret)
        return fail(e->rq, ERR_INTERNAL, "the group %.*s is not in its bucket", PSTR(id));
    (*ret)->last_update_time = pb_now(e->rq);
    return NULL;
}

/* The group of canonical_id, else the one that has the alias; NULL: neither. */
static struct error *find_owner(struct request *rq, const struct group *has, const struct group **ret)
{
    str id = field_str(rq, "canonical_id");

    *ret = has;
    if (id.n == 0)
        return NULL;
    TRY(identity_find_group(rq, KEY_GROUP_ID, id, ret));
    if (!*ret)
        return fail(rq, ERR_BAD_REQUEST, "invalid group ID given in 'canonical_id'");
    if (!(*ret)->external)
        return fail(rq, ERR_BAD_REQUEST, "alias can't be set on an internal group");
    return NULL;
}

static struct error *check_words(struct request *rq, str name, str accessor, str alias_id)
{
    const struct object *o;

    if (name.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing alias name");
    if (accessor.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing mount_accessor");
    if (!mount_by_accessor(rq, accessor))
        return fail(rq, ERR_BAD_REQUEST, "invalid mount accessor \"%.*s\"", PSTR(accessor));
    TRY(identity_find(rq, KEY_GROUP_ALIAS, accessor, name, &o));
    const struct group *other = (const struct group *)(const void *)o;

    if (other && !str_eq(other->alias->id, alias_id))
        return fail(rq, ERR_BAD_REQUEST, "combination of mount and group alias name is already in use");
    return NULL;
}

static struct error *put(struct request *rq, struct response *rs, struct edit *e, IdentityPb__Group *to,
                         IdentityPb__Alias *alias)
{
    alias_belongs(rq, alias, pb_str(to->id));
    to->alias = alias;
    TRY(edit_put_group(e, to));
    TRY(edit_commit(e));
    json_set_str(rq->arena, response_data(rq, rs), STR("canonical_id"), pb_str(to->id));
    json_set_str(rq->arena, rs->data, STR("id"), pb_str(alias->id));
    return NULL;
}

static struct error *group_alias_write(struct request *rq, struct response *rs)
{
    str id = field_str(rq, "id"), name = field_str(rq, "name"), accessor = field_str(rq, "mount_accessor");
    const struct group *has, *owner;
    IdentityPb__Group *from = NULL, *to;
    IdentityPb__Alias *alias;
    struct edit *e;

    TRY(edit_begin(&e, rq));
    TRY(identity_find_group(rq, KEY_GROUP_ALIAS_ID, id, &has));
    if (id.n && !has)
        return fail(rq, ERR_BAD_REQUEST, "invalid group alias ID");
    TRY(check_words(rq, name, accessor, id));
    TRY(find_owner(rq, has, &owner));
    if (owner)
        TRY(open_group(e, owner->id, &to));
    else
        TRY(group_make(rq, (str){0}, STR("external"), &to));
    if (!has)
        return put(rq, rs, e, to, alias_make(rq, accessor, name, (str){0}));
    if (owner == has) {
        alias = to->alias;
    } else {
        TRY(open_group(e, has->id, &from));
        alias = from->alias;
        from->alias = NULL;
    }
    alias->name = pb_text(rq->arena, name);
    alias->mount_accessor = pb_text(rq->arena, accessor);
    alias->last_update_time = pb_now(rq);
    if (from)
        TRY(edit_put_group(e, from));
    return put(rq, rs, e, to, alias);
}

/* ---- the rest ---- */

static struct error *group_alias_read(struct request *rq, struct response *rs)
{
    const struct group *g;

    TRY(identity_find_group(rq, KEY_GROUP_ALIAS_ID, field_str(rq, "id"), &g));
    if (!g)
        return fail_absent(rq);
    alias_show(rq, rs, g->alias, g->id);
    return NULL;
}

static struct error *group_alias_delete(struct request *rq, struct response *rs)
{
    const struct group *g;
    IdentityPb__Group *m;
    struct edit *e;

    (void)rs;
    TRY(edit_begin(&e, rq));
    TRY(identity_find_group(rq, KEY_GROUP_ALIAS_ID, field_str(rq, "id"), &g));
    if (!g)
        return NULL;
    TRY(edit_group(e, g->id, &m));
    if (!m)
        return NULL;
    m->alias = NULL;
    TRY(edit_put_group(e, m));
    return edit_commit(e);
}

static struct error *group_alias_list(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    struct json *keys = json_array(a), *info = json_object(a);
    size_t n;

    TRY(identity_load_all(rq, BUCKET_GROUPS));
    const struct object *const *all = index_all(active_index(rq->active), a, KEY_GROUP_ID, &n);

    for (size_t i = 0; i < n; i++) {
        const struct group *g = (const struct group *)(const void *)all[i];

        if (!g->alias)
            continue;
        json_append(a, keys, json_string(a, g->alias->id));
        alias_list_add(rq, info, g->alias, g->id);
    }
    if (keys->n == 0)
        return fail_absent(rq);
    json_set(a, response_data(rq, rs), STR("keys"), keys);
    json_set(a, rs->data, STR("key_info"), info);
    return NULL;
}

/* ---- what an auth method says ---- */

struct named { /* the external groups with an alias of a name that the method gives */
    const struct group **v;
    size_t n;
};

static bool has_group(const struct group *const *v, size_t n, str id)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i]->id, id))
            return true;
    return false;
}

static struct error *find_named(struct request *rq, str accessor, const str *names, size_t n,
                                struct named *ret)
{
    *ret = (struct named){ARENA_ARRAY(rq->arena, const struct group *, n + 1), 0};
    for (size_t i = 0; i < n; i++) {
        const struct object *o;

        TRY(identity_find(rq, KEY_GROUP_ALIAS, accessor, names[i], &o));
        const struct group *g = (const struct group *)(const void *)o;

        if (g && g->external && !has_group(ret->v, ret->n, g->id))
            ret->v[ret->n++] = g;
    }
    return NULL;
}

/* Does the method of this mount say who is in it? */
static bool is_of(const struct group *g, str accessor)
{
    return g->external && g->alias && str_eq(g->alias->mount_accessor, accessor);
}

static struct error *set_member(struct edit *e, const struct group *g, str entity_id, bool is_in)
{
    IdentityPb__Group *m;

    if (!edit_has_room(e, 1))
        return fail(e->rq, ERR_TOO_LARGE,
                    "the login changes more groups than one transaction takes; at most %d", EDIT_BUCKETS_MAX);
    TRY(edit_group(e, g->id, &m));
    if (!m)
        return fail(e->rq, ERR_INTERNAL, "the group %.*s is not in its bucket", PSTR(g->id));
    if (is_in)
        pb_texts_add(e->rq->arena, &m->member_entity_ids, &m->n_member_entity_ids, entity_id);
    else
        pb_texts_remove(m->member_entity_ids, &m->n_member_entity_ids, entity_id);
    return edit_put_group(e, m);
}

/* The rest of the request sees the groups as they are to be. */
static void join(struct request *rq, const struct entity *e, const str *ids, size_t n)
{
    struct identity_joined *j = ARENA_NEW(rq->arena, struct identity_joined);

    *j = (struct identity_joined){e, ids, n};
    rq->joined = j;
}

static struct error *refresh_groups(struct request *rq, const struct entity *entity, str mount_accessor,
                                    const str *names, size_t n)
{
    const struct group *const *has;
    size_t n_has, direct, n_ids = 0;
    struct named now;
    struct edit *e = NULL;

    TRY(identity_groups_of(rq, entity->id, &has, &n_has, &direct));
    TRY(find_named(rq, mount_accessor, names, n, &now));
    str *ids = ARENA_ARRAY(rq->arena, str, direct + now.n + 1);

    for (size_t i = 0; i < direct; i++) {
        if (!is_of(has[i], mount_accessor) || has_group(now.v, now.n, has[i]->id)) {
            ids[n_ids++] = has[i]->id;
            continue;
        }
        if (!e)
            TRY(edit_begin(&e, rq)); /* alone from here on: what was read above is the last word */
        TRY(set_member(e, has[i], entity->id, false));
    }
    for (size_t i = 0; i < now.n; i++) {
        if (has_group(has, direct, now.v[i]->id))
            continue;
        if (!e)
            TRY(edit_begin(&e, rq));
        TRY(set_member(e, now.v[i], entity->id, true));
        ids[n_ids++] = now.v[i]->id;
    }
    if (!e)
        return NULL;
    join(rq, entity, ids, n_ids);
    return edit_commit(e);
}

struct error *identity_refresh_groups(struct request *rq, const struct entity *entity, str mount_accessor,
                                      const str *names, size_t n)
{
    int64_t begun_ns = clock_mono_ns(clock_real());

    TRY(refresh_groups(rq, entity, mount_accessor, names, n));
    txn_time(rq->txn, METRIC_IDENTITY_REFRESH_GROUPS, begun_ns);
    return NULL;
}

/* ---- the table ---- */

#define ALIAS_FIELDS                                                                                         \
    {"name", FT_STRING, .help = "What the auth method calls the group."},                                    \
        {"mount_accessor", FT_STRING, .help = "Accessor of the auth mount."},                                \
    {                                                                                                        \
        "canonical_id", FT_STRING, .help = "ID of the external group; empty makes one."                      \
    }

static const struct field alias_fields[] = {
    {"id", FT_STRING, .help = "ID of the alias; with it, that alias is changed."},
    ALIAS_FIELDS,
    {0},
};

static const struct field alias_id_fields[] = {
    {"id", FT_NAME, FIELD_PATH, .help = "ID of the alias."},
    ALIAS_FIELDS,
    {0},
};

const struct route identity_group_alias_routes[] = {
    {"group-alias", alias_fields,
     .ops = {[OP_UPDATE] = {group_alias_write, .help = "Makes or changes an alias."}},
     .help = "The alias of an external group: the name that it has with an auth method."},
    {"group-alias/id", .ops = {[OP_LIST] = {group_alias_list, .help = "Lists the aliases of groups."}},
     .help = "The ids of all aliases of groups, with what they say."},
    {"group-alias/id/{id}", alias_id_fields,
     .ops = {[OP_READ] = {group_alias_read, .help = "Shows an alias."},
             [OP_UPDATE] = {group_alias_write, .help = "Changes an alias."},
             [OP_DELETE] = {group_alias_delete, .help = "Removes an alias."}},
     .help = "The alias of a group by its id."},
    {0},
};
