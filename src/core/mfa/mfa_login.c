/* mfa_login: which enforcements a login meets, and how they are satisfied. */
#include "core/lease/member.h"
#include "core/login/login_private.h"
#include "core/mfa/mfa_private.h"
#include "core/mount.h"
#include "net/http_header.h"

enum { WAIT_S = 300, WAITING_MAX = 8 /* half-finished logins of one entity */ };

/* ---- which ---- */

struct met {
    const MfaPb__Enforcement **v;
    size_t n;
};

static bool names_a_group(const MfaPb__Enforcement *e, const struct group *const *groups, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pb_texts_have(e->identity_group_ids, e->n_identity_group_ids, groups[i]->id))
            return true;
    return false;
}

static struct error *meet(struct request *rq, const struct mfa_set *s, const struct mount *m,
                          const struct entity *e, struct met *ret)
{
    const struct group *const *groups = NULL;
    size_t n_groups = 0;

    *ret = (struct met){ARENA_ARRAY(rq->arena, const MfaPb__Enforcement *, s->n_enforcements + 1), 0};
    if (s->n_enforcements == 0)
        return NULL;
    TRY(identity_groups_for(rq, e, &groups, &n_groups));
    for (size_t i = 0; i < s->n_enforcements; i++) {
        const MfaPb__Enforcement *x = s->enforcements[i];

        if (pb_texts_have(x->identity_entity_ids, x->n_identity_entity_ids, e->id) ||
            names_a_group(x, groups, n_groups) ||
            pb_texts_have(x->auth_method_accessors, x->n_auth_method_accessors, m->accessor) ||
            pb_texts_have(x->auth_method_types, x->n_auth_method_types, m->type))
            ret->v[ret->n++] = x;
    }
    return NULL;
}

/* ---- satisfying: credentials are an object: method id or name → list of texts ---- */

struct problems {
    struct arena *arena;
    str text;
    size_t n;
};

static void add_problem(struct problems *p, str text)
{
    p->text = arena_fmt(p->arena, "%.*s\t* %.*s\n", PSTR(p->text), PSTR(text));
    p->n++;
}

static str problems_text(const struct problems *p)
{
    return arena_fmt(p->arena, "%zu error%s occurred:\n%.*s\n", p->n, p->n == 1 ? "" : "s", PSTR(p->text));
}

/* A number stands for its digits. */
static bool is_text(const struct json *j)
{
    return j->type == JSON_STRING || j->type == JSON_NUMBER;
}

static str passcode_of(const struct json *creds, str *ret_problem)
{
    str code = {0};

    for (uint32_t i = 0; creds && creds->type == JSON_ARRAY && i < creds->n; i++) {
        str s = is_text(creds->items[i]) ? creds->items[i]->text : (str){0};

        if (s.n == 0)
            continue;
        if (code.n > 0)
            *ret_problem =
                STR("failed to parse MFA factor, found multiple passcodes for the same MFA method");
        if (str_starts(s, STR("passcode=")))
            s = str_from(s, STR("passcode=").n);
        else if (str_index(s, '=') < s.n)
            *ret_problem = STR("failed to parse MFA factor, found an invalid MFA cred");
        if (s.n == 0)
            *ret_problem = STR("failed to parse MFA factor, invalid passcode");
        code = s;
    }
    return code;
}

/* By the method's id, else by its name. */
static const struct json *creds_of(const struct json *creds, const MfaPb__Method *m)
{
    const struct json *j = json_get(creds, pb_str(m->id));

    return j || m->name.len == 0 ? j : json_get(creds, pb_str(m->name));
}

static str ids_text(struct arena *a, const MfaPb__Enforcement *e)
{
    str s = {0};

    for (size_t i = 0; i < e->n_mfa_method_ids; i++)
        s = arena_fmt(a, "%.*s%s%.*s", PSTR(s), i ? " " : "", PSTR(pb_str(e->mfa_method_ids[i])));
    return s;
}

static struct error *try_method(struct request *rq, const MfaPb__Method *m, const struct entity *e,
                                const struct json *creds, str *ret_problem)
{
    str code = passcode_of(creds, ret_problem);

    if (ret_problem->n > 0)
        return NULL;
    if (m->totp)
        return mfa_totp_check(rq, m, e, code, ret_problem);
    *ret_problem =
        arena_fmt(rq->arena, "MFA methods of type \"%.*s\" are not available", PSTR(pb_str(m->type)));
    return NULL;
}

/* One of its methods must be satisfied. *ret_problem stays empty if one is. */
static struct error *satisfy(struct request *rq, const struct mfa_set *s, const MfaPb__Enforcement *x,
                             const struct entity *e, const struct json *creds, str *ret_problem)
{
    struct arena *a = rq->arena;
    struct problems missing = {.arena = a}, wrong = {.arena = a};
    bool tried = false;

    for (size_t i = 0; i < x->n_mfa_method_ids; i++) {
        str id = pb_str(x->mfa_method_ids[i]), problem = {0};
        const MfaPb__Method *m = mfa_method_find(s, id);
        const struct json *own = m ? creds_of(creds, m) : NULL;

        if (!own) {
            add_problem(&missing,
                        arena_fmt(a,
                                  "failed to find MFA credentials associated with an MFA method ID %.*s, "
                                  "method name %.*s",
                                  PSTR(id), PSTR(m ? pb_str(m->name) : (str){0})));
            continue;
        }
        tried = true;
        if (own->type == JSON_NULL)
            continue;
        TRY(try_method(rq, m, e, own, &problem));
        if (problem.n == 0)
            return NULL;
        add_problem(&wrong, problem);
    }
    str ids = ids_text(a, x);

    add_problem(&wrong, arena_fmt(a, "login MFA validation failed for methodID: [%.*s]", PSTR(ids)));
    str text = problems_text(tried || missing.n == 0 ? &wrong : &missing);

    *ret_problem =
        tried || missing.n == 0 ? text : arena_join(a, STR("failed to sanitize MFA creds, "), text);
    return NULL;
}

/* All of them. *ret_which: the first that is not satisfied, or NULL. What was written is kept all the same:
 * used codes, tries. */
static struct error *satisfy_all(struct request *rq, const struct mfa_set *s, const struct met *met,
                                 const struct entity *e, const struct json *creds,
                                 const MfaPb__Enforcement **ret_which, str *ret_problem)
{
    *ret_which = NULL;
    for (size_t i = 0; i < met->n && !*ret_which; i++) {
        TRY(satisfy(rq, s, met->v[i], e, creds, ret_problem));
        if (ret_problem->n > 0)
            *ret_which = met->v[i];
    }
    txn_keep(rq->txn);
    return NULL;
}

/* ---- with the login ---- */

/* X-Vault-MFA: "METHOD" or "METHOD:VALUE", several times. NULL: not sent. */
static struct error *header_creds(struct request *rq, struct json **ret)
{
    struct arena *a = rq->arena;

    *ret = NULL;
    for (size_t i = 0; i < rq->n_headers; i++) {
        str method, value;

        if (!str_eq_nocase(rq->headers[i].name, STR("X-Vault-MFA")) || rq->headers[i].value.n == 0)
            continue;
        bool has_value = str_cut(rq->headers[i].value, ':', &method, &value);

        if (method.n == 0 || (has_value && value.n == 0))
            return fail(rq, ERR_BAD_REQUEST,
                        "failed to parse X-Vault-MFA header: invalid data in header \"X-Vault-MFA\"; missing "
                        "method %s",
                        method.n == 0 ? "name or ID" : "value");
        if (!*ret)
            *ret = json_object(a);
        struct json *list = json_get(*ret, method);

        if (!list) {
            list = json_array(a);
            json_set(a, *ret, method, list);
        }
        if (has_value)
            json_append(a, list, json_string(a, value));
    }
    return NULL;
}

/* ---- after the login ---- */

static str waiting_path(struct request *rq, str id)
{
    return arena_join(rq->arena, STR("mfa/login/"), id);
}

/* At most so many of one entity: of a password that is known to others they would fill the memory. */
static struct error *note_waiting(struct request *rq, str entity_id, str id)
{
    struct view memory = txn_view(rq->txn, SPACE_MEMORY);
    str path = arena_join(rq->arena, STR("mfa/logins/"), entity_id), ids = id;
    bytes before;

    TRY(view_get(&memory, path, &before));
    for (size_t i = 0; before.n >= (i + 1) * UUID_TEXT_BYTES; i++) {
        str old = str_slice(str_from_bytes(before), i * UUID_TEXT_BYTES, (i + 1) * UUID_TEXT_BYTES);

        if (i + 1 < WAITING_MAX)
            ids = arena_join(rq->arena, ids, old);
        else
            TRY(view_delete(&memory, waiting_path(rq, old)));
    }
    return view_put_for(&memory, path, bytes_from_str(ids), WAIT_S * NS_PER_S);
}

/* What making the token needs of a login. */
static void login_save(struct arena *a, struct json *j, const struct login *l)
{
    json_set_str(a, j, STR("alias"), l->alias);
    json_set_str(a, j, STR("display_name"), l->display_name);
    json_set(a, j, STR("metadata"), l->metadata ? json_copy(a, l->metadata) : json_null(a));
    json_set(a, j, STR("internal_data"), l->internal_data ? json_copy(a, l->internal_data) : json_null(a));
    json_set_bool(a, j, STR("is_fixed"), l->is_fixed);
    token_fields_save(a, j, &l->token);
}

static struct login *login_load(struct arena *a, const struct json *j)
{
    struct login *l = ARENA_NEW(a, struct login);

    *l = (struct login){.alias = member_str(j, "alias"),
                        .display_name = member_str(j, "display_name"),
                        .metadata = member_object(j, "metadata"),
                        .internal_data = member_object(j, "internal_data"),
                        .is_fixed = member_bool(j, "is_fixed")};
    token_fields_load(a, j, &l->token);
    return l;
}

static struct error *remember(struct request *rq, const struct login *l, const struct entity *e, str id)
{
    struct view memory = txn_view(rq->txn, SPACE_MEMORY);
    struct json *j = json_object(rq->arena);

    json_set_str(rq->arena, j, STR("path"), rq->path);
    json_set_str(rq->arena, j, STR("accessor"), rq->mount->accessor);
    json_set_str(rq->arena, j, STR("entity"), e->id);
    login_save(rq->arena, j, l);
    TRY(note_waiting(rq, e->id, id));
    return view_put_for(&memory, waiting_path(rq, id), bytes_from_str(json_text(rq->arena, j)),
                        WAIT_S * NS_PER_S);
}

static struct json *constraint(struct arena *a, const struct mfa_set *s, const MfaPb__Enforcement *x)
{
    struct json *any = json_array(a), *o = json_object(a);

    for (size_t i = 0; i < x->n_mfa_method_ids; i++) {
        const MfaPb__Method *m = mfa_method_find(s, pb_str(x->mfa_method_ids[i]));
        struct json *one = json_object_ordered(a);

        if (!m)
            continue;
        json_set_str(a, one, STR("type"), pb_str(m->type));
        json_set_str(a, one, STR("id"), pb_str(m->id));
        json_set_bool(a, one, STR("uses_passcode"), m->totp || (m->duo && m->duo->use_passcode));
        if (m->name.len > 0)
            json_set_str(a, one, STR("name"), pb_str(m->name));
        json_append(a, any, one);
    }
    json_set(a, o, STR("any"), any);
    return o;
}

/* The answer asks for the second factor. */
static void ask(struct request *rq, struct response *rs, const struct mfa_set *s, const struct met *met,
                str id)
{
    struct arena *a = rq->arena;
    struct json *requirement = json_object_ordered(a), *constraints = json_object(a);

    for (size_t i = 0; i < met->n; i++)
        json_set(a, constraints, pb_str(met->v[i]->name), constraint(a, s, met->v[i]));
    json_set_str(a, requirement, STR("mfa_request_id"), id);
    json_set(a, requirement, STR("mfa_constraints"), constraints);
    rs->auth = ARENA_NEW(a, struct response_auth);
    *rs->auth = (struct response_auth){
        .token_type = STR("default"), .mfa_requirement = requirement, .issue_time_ns = TIME_ZERO_NS};
    response_warn(
        rq, rs,
        "A login request was issued that is subject to MFA validation. Please make sure to validate "
        "the login by sending another request to mfa/validate endpoint.");
}

struct error *mfa_at_login(struct request *rq, struct response *rs, const struct entity *e, bool *ret_waits)
{
    const struct mfa_set *s = mfa_set_held(rq);
    const MfaPb__Enforcement *which;
    struct json *creds;
    struct met met;
    str problem = {0};

    *ret_waits = false;
    TRY(meet(rq, s, rq->mount, e, &met));
    TRY(header_creds(rq, &creds));
    if (met.n == 0) {
        if (creds)
            response_warn(rq, rs, "Found MFA header but failed to find MFA Enforcement Config");
        return NULL;
    }
    if (creds) {
        TRY(satisfy_all(rq, s, &met, e, creds, &which, &problem));
        return which ? fail(rq, ERR_DENIED, "permission denied") : NULL;
    }
    str id = rng_uuid_str(rq->rng, rq->arena);

    TRY(remember(rq, rs->login, e, id));
    ask(rq, rs, s, &met, id);
    *ret_waits = true;
    return NULL;
}

static struct error *recall(struct request *rq, str id, struct json **ret, const struct mount **ret_mount)
{
    struct view memory = txn_view(rq->txn, SPACE_MEMORY);
    bool is_id = id.n == UUID_TEXT_BYTES && str_index(id, '/') == id.n;
    bytes stored = {0};

    if (is_id)
        TRY(view_get(&memory, waiting_path(rq, id), &stored));
    if (!stored.p)
        return fail(rq, ERR_BAD_REQUEST, "invalid request ID");
    TRY(json_parse(rq->arena, str_from_bytes(stored), false, ret));
    *ret_mount = mount_find(rq->mounts, member_str(*ret, "path"));
    /* the same mount, not one that has taken its place */
    if (!*ret_mount || (*ret_mount)->tainted || !str_eq((*ret_mount)->accessor, member_str(*ret, "accessor")))
        return fail(rq, ERR_BAD_REQUEST, "invalid request ID");
    return NULL;
}

/* Every member a list of texts. */
static bool is_payload(const struct json *payload)
{
    if (!payload)
        return true;
    if (payload->type != JSON_OBJECT)
        return false;
    for (uint32_t i = 0; i < payload->n; i++) {
        const struct json *list = payload->members[i].value;

        if (list->type != JSON_ARRAY && list->type != JSON_NULL)
            return false;
        for (uint32_t k = 0; list->type == JSON_ARRAY && k < list->n; k++)
            if (!is_text(list->items[k]))
                return false;
    }
    return true;
}

/* The token is that of the login: its path, its mount. */
static struct error *finish(struct request *rq, struct response *rs, const struct json *waiting,
                            const struct mount *m, const struct entity *e)
{
    const struct mount *mount = rq->mount;

    rq->mount = m;
    struct error *bad =
        login_make_token(rq, rs, member_str(waiting, "path"), login_load(rq->arena, waiting), e);

    rq->mount = mount;
    return bad;
}

static struct error *validate_write(struct request *rq, struct response *rs)
{
    struct view memory = txn_view(rq->txn, SPACE_MEMORY);
    const struct mfa_set *s = mfa_set_held(rq);
    str id = field_str(rq, "mfa_request_id"), problem = {0};
    const struct json *payload = field_json(rq, "mfa_payload");
    const MfaPb__Enforcement *which;
    const struct mount *m = NULL;
    const struct entity *e;
    struct json *waiting = NULL;
    struct met met;

    if (id.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing request ID");
    if (!is_payload(payload))
        return fail(rq, ERR_BAD_REQUEST, "invalid mfa payload");
    TRY(recall(rq, id, &waiting, &m));
    TRY(identity_entity_for(rq, member_str(waiting, "entity"), &e));
    if (!e || e->disabled)
        return fail(rq, ERR_DENIED, "permission denied");
    TRY(meet(rq, s, m, e, &met));
    if (met.n == 0) /* lifted meanwhile: a new login needs none */
        return fail(rq, ERR_INTERNAL, "found nil or empty MFAEnforcement configuration");
    TRY(satisfy_all(rq, s, &met, e, payload, &which, &problem));
    if (which)
        return fail(rq, ERR_DENIED, "failed to satisfy enforcement %.*s. error: %.*s",
                    PSTR(pb_str(which->name)), PSTR(problem));
    TRY(view_delete(&memory, waiting_path(rq, id)));
    return finish(rq, rs, waiting, m, e);
}

static const struct field validate_fields[] = {
    {"mfa_request_id", FT_STRING, .help = "As the answer to the login has it."},
    {"mfa_payload", FT_MAP, FIELD_SENSITIVE,
     .help = "For each method, by its id or name, a list with the passcode."},
    {0},
};

const struct route mfa_validate_routes[] = {
    {"mfa/validate", validate_fields,
     .ops = {[OP_UPDATE] = {validate_write, .help = "Ends a login that waits for its second factor."}},
     .flags = ROUTE_UNAUTH, .help = "The second step of a login: gives the token.",
     .about = "A login can wait five minutes, and up to eight of one entity at a time. The token is that of "
              "the login."},
    {0},
};
