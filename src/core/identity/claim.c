/* claim: what a login does to identities, and what they give a token. */
#include "core/identity/identity_private.h"
#include "core/login/policy_names.h"
#include "core/measure.h"

/* ret: for the rest of this request; others see it once it is published. */
static struct error *make(struct request *rq, const struct identity_claim *c, const struct entity **ret)
{
    struct arena *a = rq->arena;
    struct owner o = {0};

    TRY(entity_make(rq, (str){0}, &o.m));
    str id = pb_str(o.m->id);
    IdentityPb__Alias *alias = alias_make(rq, c->mount_accessor, c->name, id);

    alias->mount_type = pb_text(a, c->mount_type);
    alias->mount_path = pb_text(a, c->mount_path);
    alias->metadata = pb_pairs(a, c->metadata, &alias->n_metadata);
    alias->local = c->local;
    owner_attach(rq, &o, alias);
    TRY(identity_put(rq, o.m, o.local));
    struct entity_alias *shown = ARENA_NEW(a, struct entity_alias);
    struct entity *made = ARENA_NEW(a, struct entity);

    *shown =
        (struct entity_alias){.id = pb_str(alias->id), .name = c->name, .mount_accessor = c->mount_accessor};
    *made = (struct entity){.id = id, .aliases = shown, .n_aliases = 1};
    *ret = made;
    return NULL;
}

static bool metadata_is(const struct entity_alias *alias, const struct json *want)
{
    size_t n = want ? want->n : 0;

    if (alias->n_metadata != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        bool found;
        str has = identity_pair_get(alias->metadata, alias->n_metadata, want->members[i].key, &found);

        if (!found || want->members[i].value->type != JSON_STRING ||
            !str_eq(has, want->members[i].value->text))
            return false;
    }
    return true;
}

static struct error *update(struct request *rq, const struct identity_claim *c, str id, str alias_id)
{
    struct owner o;
    struct edit *e;

    TRY(edit_begin(&e, rq));
    TRY(owner_open(e, id, &o));
    IdentityPb__Alias *alias = owner_alias(&o, alias_id);

    if (!alias)
        return fail(rq, ERR_INTERNAL, "the alias %.*s is not with its entity", PSTR(alias_id));
    alias->metadata = pb_pairs(rq->arena, c->metadata, &alias->n_metadata);
    alias->last_update_time = pb_now(rq);
    TRY(edit_put_entity(e, o.m, o.local));
    return edit_commit(e);
}

struct error *identity_of_login(struct request *rq, const struct identity_claim *c, const struct entity **ret,
                                bool *ret_created)
{
    int64_t begun_ns = clock_mono_ns(clock_real());

    TRY(identity_find_alias(rq, c->mount_accessor, c->name, ret));
    const struct entity_alias *alias = *ret ? entity_alias_named(*ret, c->mount_accessor, c->name) : NULL;

    *ret_created = *ret == NULL;
    if (!*ret || (!(*ret)->disabled && !metadata_is(alias, c->metadata))) {
        TRY(txn_exclusive(rq->txn)); /* alone, the look above is the last word */
        TRY(*ret ? update(rq, c, (*ret)->id, alias->id) : make(rq, c, ret));
    }
    if (*ret_created)
        measure_entity_creation(rq);
    txn_time(rq->txn, METRIC_IDENTITY_CREATE_OR_FETCH, begun_ns);
    return NULL;
}

/* ---- policies ---- */

/* "root", in whatever spelling, comes from no identity. */
static size_t add(str *to, const str *v, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++)
        if (!str_eq_nocase(str_trim(v[i]), STR("root")))
            to[kept++] = v[i];
    return kept;
}

struct error *identity_policies_for(struct request *rq, const struct entity *e, const str **ret,
                                    size_t *ret_n)
{
    const struct group *const *groups;
    size_t n_groups, max = e->n_policies, n;

    TRY(identity_groups_for(rq, e, &groups, &n_groups));
    for (size_t i = 0; i < n_groups; i++)
        max += groups[i]->n_policies;
    *ret = NULL;
    *ret_n = 0;
    if (max == 0)
        return NULL;
    str *v = ARENA_ARRAY(rq->arena, str, max + 1);

    n = add(v, e->policies, e->n_policies);
    for (size_t i = 0; i < n_groups; i++)
        n += add(v + n, groups[i]->policies, groups[i]->n_policies);
    *ret = v;
    *ret_n = policy_names_clean(rq->arena, v, n, false);
    return NULL;
}
