/* claim: what a login does to identities, and what they give a token. */
#include "base/encode.h"
#include "core/identity/identity_private.h"
#include "core/login/policy_names.h"

static IdentityPb__Timestamp *timestamp(struct request *rq)
{
    IdentityPb__Timestamp *t = ARENA_NEW(rq->arena, IdentityPb__Timestamp);
    int64_t now = clock_wall_ns(rq->clock);

    identity_pb__timestamp__init(t);
    t->seconds = now / NS_PER_S;
    t->nanos = (int32_t)(now % NS_PER_S);
    return t;
}

static IdentityPb__Alias *alias_new(struct request *rq, const struct identity_claim *c, str entity_id)
{
    struct arena *a = rq->arena;
    IdentityPb__Alias *m = ARENA_NEW(a, IdentityPb__Alias);

    identity_pb__alias__init(m);
    m->id = pb_text(a, rng_uuid_str(rq->rng, a));
    m->canonical_id = pb_text(a, entity_id);
    m->mount_type = pb_text(a, c->mount_type);
    m->mount_accessor = pb_text(a, c->mount_accessor);
    m->mount_path = pb_text(a, c->mount_path);
    m->metadata = pb_pairs(a, c->metadata, &m->n_metadata);
    m->name = pb_text(a, c->name);
    m->creation_time = m->last_update_time = timestamp(rq);
    m->namespace_id = pb_text(a, STR("root"));
    m->local = c->local;
    m->local_bucket_key = pb_text(a, bucket_path(a, BUCKET_LOCAL_ALIASES, bucket_number(entity_id)));
    return m;
}

/* ret: for the rest of this request; others see it once it is published. */
static struct error *make(struct request *rq, const struct identity_claim *c, str id,
                          const struct entity **ret)
{
    struct arena *a = rq->arena;
    IdentityPb__Entity e = IDENTITY_PB__ENTITY__INIT;
    IdentityPb__LocalAliases local = IDENTITY_PB__LOCAL_ALIASES__INIT;
    IdentityPb__Alias *alias = alias_new(rq, c, id);
    uint8_t random[4];

    rng_bytes(rq->rng, random, sizeof(random));
    e.id = pb_text(a, id);
    e.name = pb_text(a, arena_join(a, STR("entity_"), hex_encode(a, (bytes){random, sizeof(random)})));
    e.creation_time = e.last_update_time = timestamp(rq);
    e.namespace_id = pb_text(a, STR("root"));
    e.bucket_key = pb_text(a, bucket_path(a, BUCKET_ENTITIES, bucket_number(id)));
    if (c->local) {
        local.aliases = &alias;
        local.n_aliases = 1;
    } else {
        e.aliases = &alias;
        e.n_aliases = 1;
    }
    TRY(identity_put(rq, &e, c->local ? &local : NULL));
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

static void set_metadata(struct request *rq, IdentityPb__Alias *const *v, size_t n,
                         const struct identity_claim *c)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(pb_str(v[i]->mount_accessor), c->mount_accessor) && str_eq(pb_str(v[i]->name), c->name)) {
            v[i]->metadata = pb_pairs(rq->arena, c->metadata, &v[i]->n_metadata);
            v[i]->last_update_time = timestamp(rq);
        }
}

static struct error *update(struct request *rq, const struct identity_claim *c, str id)
{
    IdentityPb__Entity *e;
    IdentityPb__LocalAliases *local;

    TRY(identity_get(rq, id, &e, &local));
    if (!e)
        return fail(rq, ERR_INTERNAL, "the entity %.*s is not in its bucket", PSTR(id));
    set_metadata(rq, e->aliases, e->n_aliases, c);
    if (local)
        set_metadata(rq, local->aliases, local->n_aliases, c);
    return identity_put(rq, e, local);
}

static const struct entity_alias *alias_of(const struct entity *e, const struct identity_claim *c)
{
    for (size_t i = 0; i < e->n_aliases; i++)
        if (str_eq(e->aliases[i].mount_accessor, c->mount_accessor) && str_eq(e->aliases[i].name, c->name))
            return &e->aliases[i];
    return NULL;
}

struct error *identity_of_login(struct request *rq, const struct identity_claim *c, const struct entity **ret,
                                bool *ret_created)
{
    TRY(identity_find_alias(rq, c->mount_accessor, c->name, ret));
    *ret_created = *ret == NULL;
    if (*ret && ((*ret)->disabled || metadata_is(alias_of(*ret, c), c->metadata)))
        return NULL;
    TRY(txn_exclusive(rq->txn)); /* alone, the look above is the last word */
    return *ret ? update(rq, c, (*ret)->id) : make(rq, c, rng_uuid_str(rq->rng, rq->arena), ret);
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
