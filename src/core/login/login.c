#include "core/identity/identity.h"
#include "core/lease/member.h"
#include "core/lease/ttl.h"
#include "core/login/lockout.h"
#include "core/login/login_private.h"
#include "core/login/policy_names.h"
#include "core/measure.h"
#include "core/mfa/mfa.h"
#include "core/mount.h"
#include "core/route.h"

enum { TYPE_DEFAULT, TYPE_SERVICE, TYPE_BATCH, TYPE_DEFAULT_SERVICE, TYPE_DEFAULT_BATCH }; /* as stored */

struct error *login_refuse(struct request *rq, struct response *rs, const char *text)
{
    rs->login_refused = true;
    return fail(rq, ERR_BAD_REQUEST, "%s", text);
}

/* ---- the entity of a token ---- */

struct error *login_entity_of_token(struct request *rq, bool *ret_alive)
{
    const struct token_entry *te = rq->token;

    rq->policies = te->policies;
    rq->n_policies = te->n_policies;
    *ret_alive = true;
    if (te->entity_id.n == 0)
        return NULL;
    TRY(identity_entity_for(rq, te->entity_id, &rq->entity));
    *ret_alive = rq->entity && !rq->entity->disabled;
    if (!*ret_alive || te->no_identity_policies)
        return NULL;
    TRY(identity_policies_for(rq, rq->entity, &rq->identity_policies, &rq->n_identity_policies));
    if (rq->n_identity_policies > 0)
        rq->n_policies = policy_names_join(rq->arena, te->policies, te->n_policies, rq->identity_policies,
                                           rq->n_identity_policies, &rq->policies);
    return NULL;
}

struct error *login_show_policies(struct request *rq, struct response_auth *auth)
{
    const struct entity *e;

    TRY(identity_entity_for(rq, auth->entity_id, &e));
    if (!e)
        return NULL;
    TRY(identity_policies_for(rq, e, &auth->identity_policies, &auth->n_identity_policies));
    if (auth->n_identity_policies > 0)
        auth->n_policies =
            policy_names_join(rq->arena, auth->token_policies, auth->n_token_policies,
                              auth->identity_policies, auth->n_identity_policies, &auth->policies);
    return NULL;
}

/* ---- the token of a login ---- */

/* What the mount says goes before what the user's fields say, unless it only says what is usual. */
static enum token_type token_type_of(const struct request *rq, const struct login *l)
{
    int64_t mount = member_int(member_object(rq->mount->entry, "config"), "token_type");
    int64_t type = l->token.type;

    if (mount == TYPE_SERVICE || mount == TYPE_BATCH)
        type = mount;
    else if (type == TYPE_DEFAULT)
        type = mount;
    return type == TYPE_BATCH || type == TYPE_DEFAULT_BATCH ? TOKEN_BATCH : TOKEN_SERVICE;
}

/* "gup-ann" for ann of auth/gup/. */
static str display_name_of(struct request *rq, const struct login *l)
{
    str mount = str_from(rq->mount->path, STR("auth/").n);
    char *p = arena_copy(rq->arena, mount.p, mount.n);

    for (size_t i = 0; i < mount.n; i++)
        if (p[i] == '/')
            p[i] = '-';
    str name = arena_join(rq->arena, (str){p, mount.n}, l->display_name);

    return str_ends(name, STR("-")) ? str_slice(name, 0, name.n - 1) : name;
}

static struct error *check_assignable(struct request *rq, const str *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq(v[i], STR("root")))
            return fail(rq, ERR_BAD_REQUEST, "auth methods cannot create root tokens");
        if (str_eq(v[i], STR("response-wrapping")) || str_eq(v[i], STR("control-group")))
            return fail(rq, ERR_BAD_REQUEST, "cannot assign policy \"%.*s\"", PSTR(v[i]));
    }
    return NULL;
}

static struct error *find_entity(struct request *rq, const struct login *l, const struct entity **ret,
                                 bool *ret_created)
{
    const struct mount *m = rq->mount;
    struct identity_claim c = {
        .mount_accessor = m->accessor,
        .mount_type = m->type,
        .mount_path = m->path,
        .name = l->alias,
        .local = m->local,
        .metadata = l->alias_metadata,
    };

    TRY(identity_of_login(rq, &c, ret, ret_created));
    if ((*ret)->disabled)
        return fail(rq, ERR_DENIED, "permission denied");
    return identity_refresh_groups(rq, *ret, m->accessor, l->group_aliases, l->n_group_aliases);
}

static struct json *alias_json(struct request *rq, const struct login *l, const struct entity *e)
{
    struct arena *a = rq->arena;
    struct json *j = json_object_ordered(a);
    const struct entity_alias *alias = entity_alias_of(e, rq->mount->accessor);

    json_set_str(a, j, STR("mount_type"), rq->mount->type);
    json_set_str(a, j, STR("mount_accessor"), rq->mount->accessor);
    json_set_str(a, j, STR("mount_path"), rq->mount->path);
    json_set_str(a, j, STR("name"), l->alias);
    if (alias)
        json_set_str(a, j, STR("id"), alias->id);
    return j;
}

static struct error *decide_ttl(struct request *rq, struct response *rs, const struct token_fields *f,
                                int64_t *ret_ns)
{
    struct ttl_ask ask = {
        .usual_ns = f->ttl_ns,
        .period_ns = f->period_ns,
        .max_ns = f->max_ttl_ns,
        .explicit_max_ns = f->explicit_max_ttl_ns,
        .start_ns = clock_wall_ns(rq->clock),
        .mount_default_ns = mount_default_ttl_ns(rq, rq->mount),
        .mount_max_ns = mount_max_ttl_ns(rq, rq->mount),
    };

    return ttl_decide(rq, rs, &ask, ret_ns);
}

struct error *login_make_token(struct request *rq, struct response *rs, str path, const struct login *l,
                               const struct entity *e)
{
    const struct token_fields *f = &l->token;
    str *policies = ARENA_ARRAY(rq->arena, str, f->n_policies + 1);

    if (f->n_policies)
        memcpy(policies, f->policies, f->n_policies * sizeof(*policies));
    size_t n = policy_names_clean(rq->arena, policies, f->n_policies, !f->no_default_policy);
    struct token_spec spec = {
        .type = token_type_of(rq, l),
        .policies = policies,
        .n_policies = n,
        .bound_cidrs = f->bound_cidrs,
        .n_bound_cidrs = f->n_bound_cidrs,
        .path = path,
        .display_name = display_name_of(rq, l),
        .entity_id = e->id,
        .meta = l->metadata,
        .num_uses = f->num_uses,
        .explicit_max_ttl_ns = f->explicit_max_ttl_ns,
        .period_ns = f->period_ns,
        .no_default_policy = f->no_default_policy,
        .max_ttl_ns = f->max_ttl_ns,
        .method_policies = f->policies,
        .n_method_policies = f->n_policies,
        .internal_data = l->internal_data,
        .alias = alias_json(rq, l, e),
        .is_login = true,
    };

    spec.renewable = !l->is_fixed && spec.type == TOKEN_SERVICE;
    TRY(check_assignable(rq, policies, n));
    TRY(decide_ttl(rq, rs, f, &spec.ttl_ns));
    TRY(token_create(rq, rs, &spec));
    measure_token_creation(rq, spec.type, spec.ttl_ns);
    rs->auth->issue_time_ns = TIME_ZERO_NS; /* audit does not show it of logins */
    return check_assignable(rq, rs->auth->policies, rs->auth->n_policies);
}

static struct error *complete(struct request *rq, struct response *rs)
{
    const struct entity *e;
    bool created, waits;

    TRY(find_entity(rq, rs->login, &e, &created));
    TRY(mfa_at_login(rq, rs, e, &waits));
    if (!waits)
        TRY(login_make_token(rq, rs, rq->path, rs->login, e));
    rs->auth->entity_created = created;
    return NULL;
}

struct error *login_run(struct request *rq, struct response *rs, handler_fn *fn)
{
    const struct engine *method = rq->mount->engine;
    struct lockout_rule rule = lockout_rule_of(rq, rq->mount);
    bool watched = method->login_alias && !rule.disabled;
    str alias = {0};

    if (watched) {
        TRY(method->login_alias(rq, &alias));
        TRY(lockout_check(rq, &rule, alias));
    }
    struct error *e = fn(rq, rs);

    if (e && watched && rs->login_refused)
        TRY(lockout_count(rq, &rule, alias));
    TRY(e);
    if (!rs->login)
        return NULL;
    TRY(complete(rq, rs));
    return watched ? lockout_clear(rq, rq->mount->accessor, alias) : NULL;
}

struct error *login_unsupported(struct request *rq)
{
    const struct engine *method = rq->mount->engine;
    str alias;

    if (!method->login_alias || lockout_rule_of(rq, rq->mount).disabled)
        return NULL;
    TRY(fields_parse(rq));
    return method->login_alias(rq, &alias);
}

/* ---- renewing ---- */

struct error *renewal_from_fields(struct request *rq, struct renewal *r, const struct token_fields *f)
{
    if (!policy_names_agree(rq->arena, f->policies, f->n_policies, r->policies, r->n_policies))
        return fail(rq, ERR_INTERNAL, "policies have changed, not renewing");
    r->ttl_ns = f->ttl_ns;
    r->max_ttl_ns = f->max_ttl_ns;
    r->period_ns = f->period_ns;
    return NULL;
}

/* The method sees its own mount's view, whatever the request is about. */
static struct error *ask_method(struct request *rq, const struct mount *m, struct renewal *r)
{
    const struct mount *mount = rq->mount;
    struct view *view = rq->view, own = txn_mount_view(rq->txn, m);

    rq->mount = m;
    rq->view = &own;
    struct error *e = m->engine->renew(rq, r);

    rq->mount = mount;
    rq->view = view;
    return e;
}

static struct error *renewal_failed(struct request *rq, struct error *e)
{
    if (!e || e->kind == ERR_WOULD_BLOCK)
        return e;
    return fail_wrapped(rq, e->kind, "failed to renew entry: %.*s", PSTR(e->text));
}

static struct error *refresh_groups(struct request *rq, const struct mount *m, str entity_id,
                                    const struct renewal *r)
{
    const struct entity *e;

    if (!r->groups_known)
        return NULL;
    TRY(identity_entity_for(rq, entity_id, &e));
    return e ? identity_refresh_groups(rq, e, m->accessor, r->group_aliases, r->n_group_aliases) : NULL;
}

struct error *login_renew(struct request *rq, struct response *rs, const struct mount *m, struct lease *l,
                          int64_t increment_ns, bool *ret_done)
{
    struct json *auth = member_object(l->stored, "auth");
    struct renewal r = {
        .metadata = member_object(auth, "metadata"),
        .internal_data = member_object(auth, "internal_data"),
        .ttl_ns = l->ttl_ns,
        .max_ttl_ns = member_int(auth, "max_ttl"),
        .period_ns = member_int(auth, "period"),
    };

    r.policies = member_strs(rq->arena, auth, "token_policies", &r.n_policies);
    TRY(renewal_failed(rq, ask_method(rq, m, &r)));
    *ret_done = !r.gone;
    if (r.gone)
        return NULL;
    TRY(refresh_groups(rq, m, json_get_str(auth, STR("entity_id")), &r));
    struct ttl_ask ask = {
        .increment_ns = increment_ns,
        .usual_ns = r.ttl_ns,
        .period_ns = r.period_ns,
        .max_ns = r.max_ttl_ns,
        .explicit_max_ns = member_int(auth, "explicit_max_ttl"),
        .start_ns = l->issue_time_ns,
        .mount_default_ns = mount_default_ttl_ns(rq, m),
        .mount_max_ns = mount_max_ttl_ns(rq, m),
    };

    TRY(ttl_decide(rq, rs, &ask, &l->ttl_ns));
    json_set_int(rq->arena, auth, STR("max_ttl"), r.max_ttl_ns);
    json_set_int(rq->arena, auth, STR("period"), r.period_ns);
    return NULL;
}
