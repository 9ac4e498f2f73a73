/* making: new messages, and what requests may put into them. */
#include "base/encode.h"
#include "core/identity/identity_private.h"
#include "core/login/policy_names.h"
#include "core/mount.h"

enum { METADATA_PAIRS_MAX = 64, METADATA_KEY_BYTES_MAX = 128, METADATA_VALUE_BYTES_MAX = 512 };

/* "entity_0123abcd": a name that nobody has. */
static struct error *name_make(struct request *rq, const char *kind, enum index_key key, str *ret)
{
    const struct object *taken;
    uint8_t random[4];

    do {
        rng_bytes(rq->rng, random, sizeof(random));
        *ret = arena_fmt(rq->arena, "%s_%.*s", kind,
                         PSTR(hex_encode(rq->arena, (bytes){random, sizeof(random)})));
        TRY(identity_find(rq, key, (str){0}, *ret, &taken));
    } while (taken);
    return NULL;
}

struct error *entity_make(struct request *rq, str name, IdentityPb__Entity **ret)
{
    struct arena *a = rq->arena;
    IdentityPb__Entity *m = ARENA_NEW(a, IdentityPb__Entity);
    str id = rng_uuid_str(rq->rng, a);

    if (name.n == 0)
        TRY(name_make(rq, "entity", KEY_ENTITY_NAME, &name));
    identity_pb__entity__init(m);
    m->id = pb_text(a, id);
    m->name = pb_text(a, name);
    m->creation_time = m->last_update_time = pb_now(rq);
    m->namespace_id = pb_text(a, STR("root"));
    m->bucket_key = pb_text(a, bucket_path(a, BUCKET_ENTITIES, bucket_number(id)));
    *ret = m;
    return NULL;
}

struct error *group_make(struct request *rq, str name, str type, IdentityPb__Group **ret)
{
    struct arena *a = rq->arena;
    IdentityPb__Group *m = ARENA_NEW(a, IdentityPb__Group);
    str id = rng_uuid_str(rq->rng, a);

    if (name.n == 0)
        TRY(name_make(rq, "group", KEY_GROUP_NAME, &name));
    identity_pb__group__init(m);
    m->id = pb_text(a, id);
    m->name = pb_text(a, name);
    m->type = pb_text(a, type);
    m->creation_time = m->last_update_time = pb_now(rq);
    m->namespace_id = pb_text(a, STR("root"));
    m->bucket_key = pb_text(a, bucket_path(a, BUCKET_GROUPS, bucket_number(id)));
    *ret = m;
    return NULL;
}

IdentityPb__Alias *alias_make(struct request *rq, str mount_accessor, str name, str canonical_id)
{
    struct arena *a = rq->arena;
    IdentityPb__Alias *m = ARENA_NEW(a, IdentityPb__Alias);

    identity_pb__alias__init(m);
    m->id = pb_text(a, rng_uuid_str(rq->rng, a));
    m->mount_accessor = pb_text(a, mount_accessor);
    m->name = pb_text(a, name);
    m->creation_time = m->last_update_time = pb_now(rq);
    m->namespace_id = pb_text(a, STR("root"));
    alias_belongs(rq, m, canonical_id);
    return m;
}

void alias_belongs(struct request *rq, IdentityPb__Alias *m, str canonical_id)
{
    struct arena *a = rq->arena;

    m->canonical_id = pb_text(a, canonical_id);
    m->local_bucket_key = pb_text(a, bucket_path(a, BUCKET_LOCAL_ALIASES, bucket_number(canonical_id)));
}

/* ---- aliases of an entity ---- */

struct error *owner_open(struct edit *e, str id, struct owner *ret)
{
    TRY(edit_entity(e, id, &ret->m, &ret->local));
    return ret->m ? NULL : fail(e->rq, ERR_INTERNAL, "the entity %.*s is not in its bucket", PSTR(id));
}

static IdentityPb__Alias *find(IdentityPb__Alias *const *v, size_t n, str id)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(pb_str(v[i]->id), id))
            return v[i];
    return NULL;
}

IdentityPb__Alias *owner_alias(const struct owner *o, str alias_id)
{
    IdentityPb__Alias *alias = find(o->m->aliases, o->m->n_aliases, alias_id);

    return alias || !o->local ? alias : find(o->local->aliases, o->local->n_aliases, alias_id);
}

static IdentityPb__Alias *detach(IdentityPb__Alias **v, size_t *n, str id)
{
    for (size_t i = 0; i < *n; i++) {
        IdentityPb__Alias *alias = v[i];

        if (!str_eq(pb_str(alias->id), id))
            continue;
        memmove(&v[i], &v[i + 1], (--*n - i) * sizeof(IdentityPb__Alias *));
        return alias;
    }
    return NULL;
}

IdentityPb__Alias *owner_detach(struct owner *o, str alias_id)
{
    IdentityPb__Alias *alias = detach(o->m->aliases, &o->m->n_aliases, alias_id);

    return alias || !o->local ? alias : detach(o->local->aliases, &o->local->n_aliases, alias_id);
}

void owner_attach(struct request *rq, struct owner *o, IdentityPb__Alias *alias)
{
    if (alias->local && !o->local) {
        o->local = ARENA_NEW(rq->arena, IdentityPb__LocalAliases);
        identity_pb__local_aliases__init(o->local);
    }
    IdentityPb__Alias ***v = alias->local ? &o->local->aliases : &o->m->aliases;
    size_t *n = alias->local ? &o->local->n_aliases : &o->m->n_aliases;

    *v = arena_grow(rq->arena, *v, *n * sizeof(IdentityPb__Alias *), (*n + 1) * sizeof(IdentityPb__Alias *));
    (*v)[(*n)++] = alias;
}

/* ---- what requests may put in ---- */

static bool is_metadata_key(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= 'A' && s.p[i] <= 'Z') &&
            !(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] && strchr("=/+_-", s.p[i])))
            return false;
    return true;
}

static str pair_fault(struct arena *a, str key, str value)
{
    if (key.n == 0)
        return STR("key cannot be blank");
    if (!is_metadata_key(key))
        return STR("key contains invalid characters");
    if (key.n > METADATA_KEY_BYTES_MAX)
        return arena_fmt(a, "key is too long (limit: %d characters)", METADATA_KEY_BYTES_MAX);
    if (value.n > METADATA_VALUE_BYTES_MAX)
        return arena_fmt(a, "value is too long (limit: %d characters)", METADATA_VALUE_BYTES_MAX);
    return (str){0};
}

struct error *metadata_take(struct request *rq, const char *what, IdentityPb__Pair ***v, size_t *n)
{
    const struct json *o = field_json(rq, "metadata");

    if (!o)
        return NULL;
    if (o->n > METADATA_PAIRS_MAX)
        return fail_wrapped(rq, ERR_INTERNAL,
                            "invalid %s metadata: metadata cannot contain more than %d key/value pairs", what,
                            METADATA_PAIRS_MAX);
    for (uint32_t i = 0; i < o->n; i++) {
        str key = o->members[i].key, value = o->members[i].value->text,
            fault = pair_fault(rq->arena, key, value);

        if (fault.n)
            return fail_wrapped(
                rq, ERR_INTERNAL,
                "invalid %s metadata: failed to load metadata pair (\"%.*s\", \"%.*s\"): %.*s", what,
                PSTR(key), PSTR(value), PSTR(fault));
    }
    *v = pb_pairs(rq->arena, o, n);
    return NULL;
}

struct error *policies_take(struct request *rq, ProtobufCBinaryData **v, size_t *n)
{
    size_t given;
    const str *names = field_strs(rq, "policies", &given);

    if (field_given(rq, "policies")) {
        str *clean = ARENA_ARRAY(rq->arena, str, given + 1);

        if (given)
            memcpy(clean, names, given * sizeof(*names));
        given = policy_names_clean(rq->arena, clean, given, false);
        *v = pb_texts(rq->arena, clean, given);
        *n = given;
    }
    if (pb_texts_have(*v, *n, STR("root")))
        return fail(rq, ERR_BAD_REQUEST, "policies cannot contain root");
    return NULL;
}

const struct mount *mount_by_accessor(const struct request *rq, str accessor)
{
    const struct mount_table *t = request_mounts(rq);

    for (size_t i = 0; i < t->n && accessor.n; i++)
        if (str_eq(t->mounts[i].accessor, accessor))
            return &t->mounts[i];
    return NULL;
}
