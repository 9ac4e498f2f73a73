/* mfa_enforcement: the routes of enforcements: whose logins need which methods. */
#include "core/mfa/mfa_private.h"
#include "core/mount.h"

static struct json *texts(struct arena *a, const ProtobufCBinaryData *v, size_t n)
{
    struct json *j = json_array(a);

    for (size_t i = 0; i < n; i++)
        json_append(a, j, json_string(a, pb_str(v[i])));
    return j;
}

static struct json *shown(struct arena *a, const MfaPb__Enforcement *e)
{
    struct json *o = json_object(a);

    json_set_str(a, o, STR("name"), pb_str(e->name));
    json_set_str(a, o, STR("namespace_id"), pb_str(e->namespace_id));
    json_set_str(a, o, STR("namespace_path"), STR(""));
    json_set_str(a, o, STR("id"), pb_str(e->id));
    json_set(a, o, STR("mfa_method_ids"), texts(a, e->mfa_method_ids, e->n_mfa_method_ids));
    json_set(a, o, STR("auth_method_accessors"),
             texts(a, e->auth_method_accessors, e->n_auth_method_accessors));
    json_set(a, o, STR("auth_method_types"), texts(a, e->auth_method_types, e->n_auth_method_types));
    json_set(a, o, STR("identity_group_ids"), texts(a, e->identity_group_ids, e->n_identity_group_ids));
    json_set(a, o, STR("identity_entity_ids"), texts(a, e->identity_entity_ids, e->n_identity_entity_ids));
    return o;
}

static struct error *enforcement_read(struct request *rq, struct response *rs)
{
    const MfaPb__Enforcement *e = mfa_enforcement_find(mfa_set_held(rq), field_str(rq, "name"));

    if (!e)
        return fail_absent(rq);
    rs->data = shown(rq->arena, e);
    return NULL;
}

static struct error *enforcement_list(struct request *rq, struct response *rs)
{
    const struct mfa_set *s = mfa_set_held(rq);
    struct json *keys = json_array(rq->arena), *info = json_object(rq->arena);

    if (s->n_enforcements == 0)
        return fail_absent(rq);
    for (size_t i = 0; i < s->n_enforcements; i++) {
        str name = pb_str(s->enforcements[i]->name);

        json_append(rq->arena, keys, json_string(rq->arena, name));
        json_set(rq->arena, info, name, shown(rq->arena, s->enforcements[i]));
    }
    json_set(rq->arena, response_data(rq, rs), STR("keys"), keys);
    json_set(rq->arena, rs->data, STR("key_info"), info);
    return NULL;
}

/* ---- writing ---- */

typedef struct error *is_there_fn(struct request *rq, str s, bool *ret);

static struct error *method_is_there(struct request *rq, str id, bool *ret)
{
    *ret = mfa_method_find(mfa_set_held(rq), id) != NULL;
    return NULL;
}

static bool is_login_mount(const struct mount *m)
{
    return str_starts(m->path, STR("auth/"));
}

static struct error *accessor_is_there(struct request *rq, str accessor, bool *ret)
{
    for (size_t i = 0; !*ret && i < rq->mounts->n; i++)
        *ret = is_login_mount(&rq->mounts->mounts[i]) && str_eq(rq->mounts->mounts[i].accessor, accessor);
    return NULL;
}

static struct error *type_is_there(struct request *rq, str type, bool *ret)
{
    for (size_t i = 0; !*ret && i < rq->mounts->n; i++)
        *ret = is_login_mount(&rq->mounts->mounts[i]) && str_eq(rq->mounts->mounts[i].type, type);
    return NULL;
}

static struct error *group_is_there(struct request *rq, str id, bool *ret)
{
    const struct group *g;

    TRY(identity_find_group(rq, KEY_GROUP_ID, id, &g));
    *ret = g != NULL;
    return NULL;
}

static struct error *entity_is_there(struct request *rq, str id, bool *ret)
{
    const struct entity *e;

    TRY(identity_entity_for(rq, id, &e));
    *ret = e != NULL;
    return NULL;
}

struct targets { /* a list of the enforcement */
    const char *field, *missing;
    is_there_fn *is_there;
    size_t v, n; /* where in the message */
};

#define AT(member) offsetof(MfaPb__Enforcement, member), offsetof(MfaPb__Enforcement, n_##member)

static const struct targets methods = {"mfa_method_ids", "one of the provided method ids doesn't exist",
                                       method_is_there, AT(mfa_method_ids)};
static const struct targets targets[] = {
    {"auth_method_accessors", "one of the auth method accessors provided is invalid", accessor_is_there,
     AT(auth_method_accessors)},
    {"auth_method_types", "one of the auth method types provided is invalid", type_is_there,
     AT(auth_method_types)},
    {"identity_group_ids", "one of the provided group ids doesn't exist", group_is_there,
     AT(identity_group_ids)},
    {"identity_entity_ids", "one of the provided entity ids doesn't exist", entity_is_there,
     AT(identity_entity_ids)},
};

static struct error *take(struct request *rq, MfaPb__Enforcement *e, const struct targets *t)
{
    size_t n;
    const str *given = field_strs(rq, t->field, &n);
    ProtobufCBinaryData *v = ARENA_ARRAY(rq->arena, ProtobufCBinaryData, n + 1);

    for (size_t i = 0; i < n; i++) {
        bool there = false;

        TRY(t->is_there(rq, given[i], &there));
        if (!there)
            return fail(rq, ERR_BAD_REQUEST, "%s", t->missing);
        v[i] = pb_text(rq->arena, given[i]);
    }
    memcpy((char *)e + t->v, &v, sizeof(v));
    memcpy((char *)e + t->n, &n, sizeof(n));
    return NULL;
}

static MfaPb__Enforcement *enforcement_new(struct request *rq)
{
    MfaPb__Enforcement *e = ARENA_NEW(rq->arena, MfaPb__Enforcement);

    mfa_pb__enforcement__init(e);
    e->id = pb_text(rq->arena, rng_uuid_str(rq->rng, rq->arena));
    e->name = pb_text(rq->arena, field_str(rq, "name"));
    e->namespace_id = pb_text(rq->arena, STR("root"));
    return e;
}

static struct error *enforcement_write(struct request *rq, struct response *rs)
{
    bool some = false;

    (void)rs;
    TRY(txn_exclusive(rq->txn));
    const MfaPb__Enforcement *old = mfa_enforcement_find(mfa_set_held(rq), field_str(rq, "name"));
    MfaPb__Enforcement *e = old ? mfa_enforcement_copy(rq, old) : enforcement_new(rq);

    TRY(take(rq, e, &methods));
    if (e->n_mfa_method_ids == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing method ids");
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        if (!field_given(rq, targets[i].field))
            continue;
        TRY(take(rq, e, &targets[i]));
        some = true;
    }
    if (!some)
        return fail(
            rq, ERR_BAD_REQUEST,
            "One of auth_method_accessors, auth_method_types, identity_group_ids, identity_entity_ids "
            "must be specified");
    return mfa_enforcement_put(rq, e);
}

static struct error *enforcement_delete(struct request *rq, struct response *rs)
{
    (void)rs;
    TRY(txn_exclusive(rq->txn));
    const MfaPb__Enforcement *e = mfa_enforcement_find(mfa_set_held(rq), field_str(rq, "name"));

    return e ? mfa_enforcement_delete(rq, pb_str(e->id)) : NULL;
}

static const struct field fields[] = {
    {"name", FT_NAME, FIELD_PATH, .help = "Name of the enforcement."},
    {"mfa_method_ids", FT_LIST, .help = "Ids of methods, one of which must be satisfied."},
    {"auth_method_accessors", FT_LIST, .help = "Whoever logs in by these mounts."},
    {"auth_method_types", FT_LIST, .help = "Whoever logs in by mounts of these types."},
    {"identity_group_ids", FT_LIST, .help = "Members of these groups."},
    {"identity_entity_ids", FT_LIST, .help = "These entities."},
    {0},
};

const struct route mfa_enforcement_routes[] = {
    {"mfa/login-enforcement", NULL,
     .ops = {[OP_LIST] = {enforcement_list, .help = "Lists the enforcements."}}, .help = "All enforcements."},
    {"mfa/login-enforcement/{name}", fields,
     .ops = {[OP_READ] = {enforcement_read, .help = "Shows the enforcement."},
             [OP_UPDATE] = {enforcement_write, .help = "Makes or changes the enforcement."},
             [OP_DELETE] = {enforcement_delete, .help = "Removes the enforcement."}},
     .help = "Whose logins need a second factor, and which ones will do.",
     .about = "A login that several enforcements name must satisfy each of them."},
    {0},
};
