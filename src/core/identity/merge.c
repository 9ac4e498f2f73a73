/* merge: identity/entity/merge: others become one with an entity: their aliases and memberships are its,
 * their ids stand for it (tokens made for them keep working), their policies and metadata go with them. */
#include "base/buf.h"
#include "core/identity/identity_private.h"
#include "core/mfa/mfa_private.h"
#include "core/mount.h"

enum { MERGE_BUCKETS = 4 }; /* of two entities */

struct merge {
    struct request *rq;
    const struct entity *to;
    const str *from, *keep;
    size_t n_from, n_keep;
};

static bool have(const str *v, size_t n, str s)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i], s))
            return true;
    return false;
}

/* ---- checks ---- */

/* The entities of `from`. Those that an earlier step has merged are passed over; ret has no others. */
static struct error *check_from(struct merge *g, const struct entity ***ret, size_t *ret_n)
{
    struct request *rq = g->rq;

    *ret = ARENA_ARRAY(rq->arena, const struct entity *, g->n_from + 1);
    *ret_n = 0;
    for (size_t i = 0; i < g->n_from; i++) {
        const struct entity *e;

        if (str_eq(g->from[i], g->to->id))
            return fail(rq, ERR_BAD_REQUEST, "to_entity_id should not be present in from_entity_ids");
        if (have(g->from, i, g->from[i]))
            continue;
        TRY(identity_find_entity(rq, KEY_ENTITY_ID, g->from[i], &e));
        if (e)
            (*ret)[(*ret_n)++] = e;
        else if (rq->step == 0 || !have(g->to->merged, g->to->n_merged, g->from[i]))
            return fail(rq, ERR_BAD_REQUEST, "entity id to merge from is invalid");
    }
    return NULL;
}

static struct error *check_accessors(struct merge *g, const struct entity *const *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < from[i]->n_aliases; k++)
            for (size_t j = 0; j < i; j++)
                if (entity_alias_of(from[j], from[i]->aliases[k].mount_accessor))
                    return fail(
                        g->rq, ERR_BAD_REQUEST,
                        "mount accessor %.*s found in multiple fromEntities, merge should be done with "
                        "one fromEntity at a time",
                        PSTR(from[i]->aliases[k].mount_accessor));
    return NULL;
}

static struct json *clash_json(struct request *rq, const struct entity *e, const struct entity_alias *alias)
{
    const struct mount *m = mount_by_accessor(rq, alias->mount_accessor);
    struct json *o = json_object(rq->arena);

    json_set_str(rq->arena, o, STR("alias"), alias->name);
    json_set_str(rq->arena, o, STR("entity"), e->name);
    json_set_str(rq->arena, o, STR("entity_id"), e->id);
    json_set_str(rq->arena, o, STR("mount"), m ? m->type : (str){0});
    json_set_str(rq->arena, o, STR("mount_path"), m ? m->path : (str){0});
    return o;
}

struct clashes {
    struct buf text;
    struct json *data; /* both sides of each, as the answer lists them */
};

static void find_clashes(struct merge *g, const struct entity *from, struct clashes *c)
{
    const struct entity *to = g->to;

    for (size_t i = 0; i < from->n_aliases; i++)
        for (size_t k = 0; k < to->n_aliases; k++) {
            const struct entity_alias *x = &to->aliases[k], *y = &from->aliases[i];

            if (!str_eq(x->mount_accessor, y->mount_accessor))
                continue;
            buf_put_fmt(
                &c->text,
                "\t* mountAccessor: %.*s, toEntity ID: %.*s, fromEntity ID: %.*s, conflicting toEntity "
                "alias ID: %.*s, conflicting fromEntity alias ID: %.*s\n",
                PSTR(x->mount_accessor), PSTR(to->id), PSTR(from->id), PSTR(x->id), PSTR(y->id));
            json_append(g->rq->arena, c->data, clash_json(g->rq, to, x));
            json_append(g->rq->arena, c->data, clash_json(g->rq, from, y));
        }
}

/* The answer is an error that carries data: a body of its own. ret_clashes: it is made. */
static void answer_clashes(struct merge *g, struct response *rs, const struct entity *const *from, size_t n,
                           bool *ret_clashes)
{
    struct arena *a = g->rq->arena;
    struct clashes c = {.data = json_array(a)};
    struct json *errors = json_array(a);

    buf_init(&c.text, a, SIZE_MAX);
    for (size_t i = 0; i < n; i++)
        find_clashes(g, from[i], &c);
    *ret_clashes = c.data->n > 0;
    if (!*ret_clashes)
        return;
    str text =
        arena_fmt(a,
                  "%u errors occurred:\n\t* toEntity and at least one fromEntity have aliases with the "
                  "same mount accessor, repeat the merge request specifying exactly one fromEntity, "
                  "clashes: \n%.*s\n",
                  c.data->n / 2 + 1, PSTR(buf_str(&c.text)));

    json_append(a, errors, json_string(a, text));
    json_set(a, response_data(g->rq, rs), STR("errors"), errors);
    json_set(a, rs->data, STR("data"), c.data);
    rs->status = 400;
    rs->bare_body = true;
}

/* ---- one entity ---- */

/* Of two aliases at one mount the one that was named stays. ret_keep false: this one goes. */
static struct error *settle(struct merge *g, struct owner *to, const IdentityPb__Alias *alias, bool *ret_keep)
{
    *ret_keep = true;
    for (size_t i = 0; i < g->to->n_aliases; i++) {
        const struct entity_alias *other = &g->to->aliases[i];

        if (!str_eq(other->mount_accessor, pb_str(alias->mount_accessor)))
            continue;
        if (have(g->keep, g->n_keep, other->id))
            *ret_keep = false;
        else if (have(g->keep, g->n_keep, pb_str(alias->id)))
            (void)owner_detach(to, other->id);
        else
            return fail(g->rq, ERR_BAD_REQUEST,
                        "conflicting mount accessors in following alias IDs and neither were present in "
                        "conflicting_alias_ids_to_keep: %.*s, %.*s",
                        PSTR(pb_str(alias->id)), PSTR(other->id));
    }
    return NULL;
}

static struct error *take_aliases(struct merge *g, struct owner *to, IdentityPb__Alias *const *v, size_t n,
                                  str from_id)
{
    for (size_t i = 0; i < n; i++) {
        bool keep;

        TRY(settle(g, to, v[i], &keep));
        if (!keep)
            continue;
        alias_belongs(g->rq, v[i], pb_str(to->m->id));
        pb_texts_add(g->rq->arena, &v[i]->merged_from_canonical_ids, &v[i]->n_merged_from_canonical_ids,
                     from_id);
        owner_attach(g->rq, to, v[i]);
    }
    return NULL;
}

static struct error *change_member(struct edit *e, str group_id, str from, str to)
{
    IdentityPb__Group *m;

    TRY(edit_group(e, group_id, &m));
    if (!m)
        return NULL;
    pb_texts_remove(m->member_entity_ids, &m->n_member_entity_ids, from);
    if (!pb_texts_have(m->member_entity_ids, m->n_member_entity_ids, to))
        pb_texts_add(e->rq->arena, &m->member_entity_ids, &m->n_member_entity_ids, to);
    m->modify_index++; /* it left and came in */
    return edit_put_group(e, m);
}

/* Its groups first: while some are left, the step ends with them. */
static struct error *merge_one(struct merge *g, struct edit *e, const struct entity *from, bool *ret_done)
{
    struct arena *a = g->rq->arena;
    struct owner to, old;
    size_t n;

    TRY(identity_load_all(g->rq, BUCKET_GROUPS));
    const str *groups = index_groups_of(active_index(g->rq->active), a, from->id, &n);

    size_t changed = 0;

    while (changed < n && (e->n_dirty == 0 || edit_has_room(e, 1 + MERGE_BUCKETS)))
        TRY(change_member(e, groups[changed++], from->id, g->to->id));
    *ret_done = changed == n;
    if (!*ret_done)
        return NULL;
    TRY(owner_open(e, g->to->id, &to));
    TRY(owner_open(e, from->id, &old));
    TRY(take_aliases(g, &to, old.m->aliases, old.m->n_aliases, from->id));
    if (old.local)
        TRY(take_aliases(g, &to, old.local->aliases, old.local->n_aliases, from->id));
    TRY(mfa_merge(g->rq, to.m, old.m, field_bool(g->rq, "force")));
    for (size_t i = 0; i < old.m->n_merged_entity_ids; i++)
        pb_texts_add(a, &to.m->merged_entity_ids, &to.m->n_merged_entity_ids,
                     pb_str(old.m->merged_entity_ids[i]));
    pb_texts_add(a, &to.m->merged_entity_ids, &to.m->n_merged_entity_ids, from->id);
    TRY(edit_put_entity(e, to.m, to.local));
    return edit_drop_entity(e, from->id);
}

/* ---- the route ---- */

static struct error *merge_some(struct merge *g, struct response *rs, struct edit *e,
                                const struct entity *const *from, size_t n)
{
    bool done = true;

    for (size_t i = 0; i < n && done; i++) {
        done = e->n_dirty == 0 || edit_has_room(e, 1 + MERGE_BUCKETS);
        if (done)
            TRY(merge_one(g, e, from[i], &done));
    }
    TRY(edit_commit(e));
    return done ? NULL : response_again(rs);
}

static struct error *entity_merge(struct request *rq, struct response *rs)
{
    struct merge g = {.rq = rq};
    str to_id = field_str(rq, "to_entity_id");
    const struct entity **from;
    bool clashes = false;
    struct edit *e;
    size_t n;

    g.from = field_strs(rq, "from_entity_ids", &g.n_from);
    g.keep = field_strs(rq, "conflicting_alias_ids_to_keep", &g.n_keep);
    if (to_id.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing entity id to merge to");
    if (g.n_from == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing entity ids to merge from");
    TRY(edit_begin(&e, rq));
    TRY(identity_find_entity(rq, KEY_ENTITY_ID, to_id, &g.to));
    if (!g.to)
        return fail(rq, ERR_BAD_REQUEST, "entity id to merge to is invalid");
    if (g.n_from > 1 && g.n_keep > 1)
        return fail(
            rq, ERR_BAD_REQUEST,
            "aliases conflicts cannot be resolved with multiple from entity ids - merge one entity at a "
            "time");
    TRY(check_from(&g, &from, &n));
    TRY(check_accessors(&g, from, n));
    if (g.n_keep == 0)
        answer_clashes(&g, rs, from, n, &clashes);
    return clashes ? NULL : merge_some(&g, rs, e, from, n);
}

static const struct field merge_fields[] = {
    {"from_entity_ids", FT_STRINGS, .help = "IDs of the entities that go."},
    {"to_entity_id", FT_STRING, .help = "ID of the entity that they become one with."},
    {"conflicting_alias_ids_to_keep", FT_STRINGS,
     .help = "Where both have an alias at one mount: the IDs of those that stay. One entity at a time."},
    {"force", FT_BOOL,
     .help = "Where both have a secret for one MFA method: that of the entity that goes stays."},
    {0},
};

const struct route identity_merge_routes[] = {
    {"entity/merge", merge_fields, .ops = {[OP_UPDATE] = {entity_merge, ROUTE_BULK, "Merges entities."}},
     .help = "Makes several entities one.",
     .about = "Aliases and memberships go over; policies and metadata of the entities that go do not. Tokens "
              "that were made for them are from then on the other entity's."},
    {0},
};
