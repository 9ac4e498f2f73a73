#include "core/lease/ttl.h"
#include "core/login/login_private.h"
#include "core/mount.h"
#include "core/token/token_form.h"
#include "core/token/token_private.h"
#include "core/token/token_role.h"

static struct error *answer(struct request *rq, struct response *rs, const struct token_entry *te,
                            const struct lease *l, str token)
{
    rs->auth = ARENA_NEW(rq->arena, struct response_auth);
    *rs->auth = (struct response_auth){
        .client_token = token,
        .accessor = te->accessor,
        .entity_id = te->entity_id,
        .display_name = te->display_name,
        .token_type = STR("service"),
        .policies = te->policies,
        .token_policies = te->policies,
        .n_policies = te->n_policies,
        .n_token_policies = te->n_policies,
        .metadata = te->meta,
        .ttl_ns = l->ttl_ns,
        .num_uses = te->num_uses,
        .issue_time_ns = l->issue_time_ns,
        .renewable = l->renewable,
        .orphan = te->parent.n == 0,
    };
    return te->no_identity_policies ? NULL : login_show_policies(rq, rs->auth);
}

/* The mount that gave the token out. Its method has the say in renewals; token/ has none but the times. */
static struct error *mount_of(struct request *rq, const struct token_entry *te, const struct mount **ret)
{
    *ret = mount_find(request_mounts(rq), te->path);
    if (!*ret)
        return fail(rq, ERR_NOT_FOUND, "no handler for route \"%.*s\". route entry not found.",
                    PSTR(te->path));
    if ((*ret)->engine != &token_engine && (!(*ret)->engine || !(*ret)->engine->renew))
        return fail(rq, ERR_BAD_REQUEST, "tokens of %.*s cannot be renewed by this server",
                    PSTR((*ret)->path));
    return NULL;
}

static struct error *renewed(struct request *rq, struct response *rs, const struct token_entry *te,
                             struct lease *l, str token)
{
    int64_t now = clock_wall_ns(rq->clock);

    l->expire_time_ns = now + l->ttl_ns;
    l->last_renewal_ns = now;
    TRY(lease_put(rq, l));
    return answer(rq, rs, te, l, token);
}

/* What the token's role says now goes before what the token says. */
static struct error *limits_of(struct request *rq, const struct token_entry *te, struct ttl_ask *ask)
{
    struct token_role *role;

    ask->period_ns = te->period_ns;
    ask->explicit_max_ns = te->explicit_max_ttl_ns;
    if (te->role.n == 0)
        return NULL;
    TRY(token_role_load(rq, te->role, &role));
    if (!role)
        return fail_wrapped(
            rq, ERR_INTERNAL,
            "failed to renew entry: original token role \"%.*s\" could not be found, not renewing",
            PSTR(te->role));
    ask->period_ns = role->token.period_ns;
    ask->explicit_max_ns = role->token.explicit_max_ttl_ns;
    return NULL;
}

/* `token`: as the answer shows it. */
static struct error *renew_as(struct request *rq, struct response *rs, const struct token_entry *te,
                              str token)
{
    const struct mount *m;
    struct lease *l;
    bool done = true;

    TRY(token_lease(rq, te, &l));
    if (!l)
        return fail(rq, ERR_BAD_REQUEST, "invalid lease ID");
    if (!l->renewable)
        return fail(rq, ERR_BAD_REQUEST, "lease is not renewable");
    TRY(mount_of(rq, te, &m));
    if (m->engine != &token_engine) {
        TRY(login_renew(rq, rs, m, l, field_ns(rq, "increment"), &done));
        return done ? renewed(rq, rs, te, l, token) : NULL;
    }
    struct ttl_ask ask = {.increment_ns = field_ns(rq, "increment"),
                          .usual_ns = l->ttl_ns,
                          .start_ns = l->issue_time_ns,
                          .mount_default_ns = mount_default_ttl_ns(rq, m),
                          .mount_max_ns = mount_max_ttl_ns(rq, m)};

    TRY(limits_of(rq, te, &ask));
    TRY(ttl_decide(rq, rs, &ask, &l->ttl_ns));
    return renewed(rq, rs, te, l, token);
}

static struct error *renew(struct request *rq, struct response *rs, const struct token_entry *te, str token)
{
    int64_t begun_ns = clock_mono_ns(clock_real());

    TRY(renew_as(rq, rs, te, token));
    txn_time(rq->txn, METRIC_EXPIRE_RENEW_TOKEN, begun_ns);
    return NULL;
}

struct error *token_renew_handler(struct request *rq, struct response *rs)
{
    const struct token_entry *te = NULL;
    str token = field_str(rq, "token"), inner;

    if (token.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing token ID");
    if (token_form_is_batch(token))
        return fail(rq, ERR_BAD_REQUEST, "batch tokens cannot be renewed");
    if (token_inner_id(rq, token, &inner))
        TRY(token_load_live(rq, inner, &te));
    if (!te)
        return fail(rq, ERR_BAD_REQUEST, "token not found");
    return renew(rq, rs, te, token);
}

struct error *token_renew_self_handler(struct request *rq, struct response *rs)
{
    if (rq->token->type == TOKEN_BATCH)
        return fail(rq, ERR_BAD_REQUEST, "batch tokens cannot be renewed");
    return renew(rq, rs, rq->token, rq->client_token);
}

struct error *token_renew_accessor_handler(struct request *rq, struct response *rs)
{
    const struct token_entry *te;

    TRY(token_of_accessor(rq, &te));
    return renew(rq, rs, te, (str){0});
}
