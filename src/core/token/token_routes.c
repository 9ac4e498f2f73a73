#include "core/identity/identity.h"
#include "core/lease/member.h"
#include "core/token/token_form.h"
#include "core/token/token_private.h"
#include "core/token/token_role.h"

/* ---- look-up ---- */

static struct error *show_identity(struct request *rq, struct json *d, const struct token_entry *te)
{
    const struct entity *e;
    const str *policies;
    size_t n;

    TRY(identity_entity_for(rq, te->entity_id, &e));
    if (!e || te->no_identity_policies)
        return NULL;
    TRY(identity_policies_for(rq, e, &policies, &n));
    if (n == 0)
        return NULL;
    json_set(rq->arena, d, STR("identity_policies"), json_strings(rq->arena, policies, n));
    json_set(rq->arena, d, STR("external_namespace_policies"), json_object(rq->arena));
    return NULL;
}

static struct error *show(struct request *rq, struct response *rs, const struct token_entry *te, str shown_id)
{
    struct arena *a = rq->arena;
    struct json *d = response_data(rq, rs);
    int64_t now = clock_wall_ns(rq->clock);
    struct lease *l = NULL;

    TRY(token_lease(rq, te, &l)); /* none: the first root token, and those of generate-root */
    json_set_str(a, d, STR("id"), shown_id);
    json_set_str(a, d, STR("accessor"), te->accessor);
    json_set(a, d, STR("policies"), json_strings(a, te->policies, te->n_policies));
    json_set_str(a, d, STR("path"), te->path);
    json_set(a, d, STR("meta"), te->meta ? json_copy(a, te->meta) : json_null(a));
    json_set_str(a, d, STR("display_name"), te->display_name);
    json_set_int(a, d, STR("num_uses"), te->num_uses);
    json_set_bool(a, d, STR("orphan"), te->parent.n == 0);
    json_set_int(a, d, STR("creation_time"), te->creation_time_s);
    json_set_int(a, d, STR("creation_ttl"), te->ttl_ns / NS_PER_S);
    json_set_int(a, d, STR("explicit_max_ttl"), te->explicit_max_ttl_ns / NS_PER_S);
    json_set_str(a, d, STR("entity_id"), te->entity_id);
    TRY(show_identity(rq, d, te));
    json_set_str(a, d, STR("type"), te->type == TOKEN_BATCH ? STR("batch") : STR("service"));
    json_set(a, d, STR("expire_time"), json_null(a));
    json_set_int(a, d, STR("ttl"), 0);
    if (te->role.n)
        json_set_str(a, d, STR("role"), te->role);
    if (te->period_ns > 0)
        json_set_int(a, d, STR("period"), te->period_ns / NS_PER_S);
    if (te->n_bound_cidrs > 0)
        json_set(a, d, STR("bound_cidrs"), json_strings(a, te->bound_cidrs, te->n_bound_cidrs));
    if (!l)
        return NULL;
    if (l->last_renewal_ns != TIME_ZERO_NS) {
        json_set_str(a, d, STR("last_renewal"), time_format(a, l->last_renewal_ns));
        json_set_int(a, d, STR("last_renewal_time"), l->last_renewal_ns / NS_PER_S);
    }
    if (l->expire_time_ns != TIME_ZERO_NS) {
        json_set_str(a, d, STR("expire_time"), time_format(a, l->expire_time_ns));
        json_set_int(a, d, STR("ttl"), (l->expire_time_ns - now) / NS_PER_S);
    }
    json_set_bool(a, d, STR("renewable"), l->renewable);
    json_set_str(a, d, STR("issue_time"), time_format(a, l->issue_time_ns));
    return NULL;
}

/* The caller's own entry anew: this request may have spent a use of it, the last one too. */
static struct error *show_self(struct request *rq, struct response *rs)
{
    const struct token_entry *te;

    if (rq->token->type == TOKEN_BATCH)
        return show(rq, rs, rq->token, rq->client_token);
    TRY(token_load(rq, rq->token->id, &te));
    if (!te)
        return fail(rq, ERR_DENIED, "bad token");
    return show(rq, rs, te, rq->client_token);
}

static struct error *lookup(struct request *rq, struct response *rs)
{
    const struct token_entry *te = NULL;
    str token = field_str(rq, "token"), inner;

    if (token.n == 0)
        return show_self(rq, rs);
    if (token_inner_id(rq, token, &inner) && str_eq(inner, rq->token->id))
        return show_self(rq, rs);
    TRY(token_find_live(rq, token, &te));
    if (!te)
        return fail(rq, ERR_DENIED, "bad token");
    return show(rq, rs, te, token);
}

struct error *token_of_accessor(struct request *rq, const struct token_entry **ret)
{
    str accessor = field_str(rq, "accessor");

    if (accessor.n == 0)
        return fail_wrapped(rq, ERR_BAD_REQUEST, "missing accessor");
    TRY(token_find_accessor(rq, accessor, ret));
    if (!*ret)
        return fail_wrapped(rq, ERR_BAD_REQUEST, "invalid accessor");
    return NULL;
}

static struct error *lookup_accessor(struct request *rq, struct response *rs)
{
    const struct token_entry *te;

    TRY(token_of_accessor(rq, &te));
    return show(rq, rs, te, (str){0});
}

/* There may be very many: what is read for one is given back before the next. */
static struct error *accessor_list(struct request *rq, struct response *rs)
{
    enum { TEXT_MAX = 64 };
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    str *names;
    size_t n, found = 0;

    TRY(view_list(&v, STR("accessor/"), &names, &n));
    char *text = arena_alloc(rq->arena, n * TEXT_MAX);

    for (size_t i = 0; i < n; i++) {
        struct arena_mark mark = arena_mark(rq->arena);
        struct json *j;

        TRY(view_get_json(&v, arena_join(rq->arena, STR("accessor/"), names[i]), &j));
        str accessor = member_str(j, "accessor_id");

        if (accessor.n > 0 && accessor.n <= TEXT_MAX) {
            memcpy(text + found * TEXT_MAX, accessor.p, accessor.n);
            names[found] = (str){text + found * TEXT_MAX, accessor.n};
            found++;
        }
        arena_reset_to(rq->arena, mark);
    }
    return response_list(rq, rs, names, found);
}

/* ---- revocation ---- */

static struct error *revoke_all(struct request *rq, struct response *rs, str inner_id)
{
    bool done;

    TRY(token_revoke_step(rq, inner_id, &done));
    return done ? NULL : response_again(rs);
}

static struct error *token_to_revoke(struct request *rq, str *ret)
{
    *ret = field_str(rq, "token");
    if (ret->n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing token ID");
    if (token_form_is_batch(*ret))
        return fail(rq, ERR_BAD_REQUEST, "batch tokens cannot be revoked");
    return NULL;
}

static struct error *revoke(struct request *rq, struct response *rs)
{
    str token, inner;

    TRY(token_to_revoke(rq, &token));
    return token_inner_id(rq, token, &inner) ? revoke_all(rq, rs, inner) : NULL;
}

static struct error *revoke_self(struct request *rq, struct response *rs)
{
    if (rq->token->type == TOKEN_BATCH)
        return fail(rq, ERR_BAD_REQUEST, "batch tokens cannot be revoked");
    return revoke_all(rq, rs, rq->token->id);
}

static struct error *revoke_accessor(struct request *rq, struct response *rs)
{
    const struct token_entry *te;
    str accessor = field_str(rq, "accessor");

    if (accessor.n == 0)
        return fail_wrapped(rq, ERR_BAD_REQUEST, "missing accessor");
    TRY(token_load_accessor(rq, accessor, &te)); /* also one that an earlier step has marked dead */
    if (te)
        return revoke_all(rq, rs, te->id);
    if (rq->step == 0) /* else gone meanwhile: pending_resume goes on with what a step has left, too */
        response_warn(rq, rs, "No token found with this accessor");
    return NULL;
}

static struct error *revoke_orphan(struct request *rq, struct response *rs)
{
    const struct token_entry *te = NULL;
    str token, inner;
    bool done;

    TRY(token_to_revoke(rq, &token));
    if (token_inner_id(rq, token, &inner))
        TRY(token_load(rq, inner, &te));
    if (!te && rq->step > 0) /* gone meanwhile, as above */
        return NULL;
    if (!te)
        return fail(rq, ERR_BAD_REQUEST, "token to revoke not found");
    TRY(token_revoke_orphan_step(rq, te->id, &done));
    return done ? NULL : response_again(rs);
}

static void start_tidy(struct active *a, void *arg)
{
    (void)arg;
    token_tidy_start(a);
}

static struct error *tidy(struct request *rq, struct response *rs)
{
    txn_on_commit(rq->txn, start_tidy, NULL, NULL);
    response_warn(rq, rs,
                  "Tidy operation successfully started. Any information from the operation will be printed "
                  "to Vault's server logs.");
    rs->status = 202;
    return NULL;
}

/* ---- the table ---- */

static const struct field token_fields[] = {
    {"token", FT_STRING, FIELD_QUERY | FIELD_SENSITIVE, .help = "The token; without it, the caller's own."},
    {0},
};

static const struct field revoke_fields[] = {
    {"token", FT_STRING, FIELD_SENSITIVE, .help = "The token."},
    {0},
};

static const struct field accessor_fields[] = {
    {"accessor", FT_STRING, .help = "The token's accessor."},
    {0},
};

static const struct field renew_fields[] = {
    {"token", FT_STRING, FIELD_SENSITIVE, .help = "The token."},
    {"increment", FT_SECONDS, .help = "How long it shall live from now on.", .dflt = "0"},
    {0},
};

static const struct field renew_accessor_fields[] = {
    {"accessor", FT_STRING, .help = "The token's accessor."},
    {"increment", FT_SECONDS, .help = "How long the token shall live from now on.", .dflt = "0"},
    {0},
};

static const struct route token_routes[] = {
    {"create", token_create_fields, .ops = {[OP_UPDATE] = {token_create_handler, .help = "Makes a token."}},
     .help = "Makes a token, a child of the caller's."},
    {"create-orphan", token_create_fields,
     .ops = {[OP_UPDATE] = {token_create_orphan_handler, .help = "Makes an orphan."}},
     .help = "Makes a token without a parent: it outlives the caller's."},
    {"create/{role_name}", token_create_role_fields,
     .ops = {[OP_UPDATE] = {token_create_role_handler, .help = "Makes a token against a role."}},
     .help = "Makes a token as a token role allows it."},
    {"lookup", token_fields,
     .ops = {[OP_READ] = {lookup, .help = "Shows a token."},
             [OP_UPDATE] = {lookup, ROUTE_READONLY, "Shows a token."}},
     .help = "Shows what a token is and may."},
    {"lookup-self", token_fields,
     .ops = {[OP_READ] = {show_self, .help = "Shows the calling token."},
             [OP_UPDATE] = {show_self, ROUTE_READONLY, "Shows the calling token."}},
     .help = "Shows what the calling token is and may."},
    {"lookup-accessor", accessor_fields,
     .ops = {[OP_UPDATE] = {lookup_accessor, ROUTE_READONLY, "Shows the token of an accessor."}},
     .help = "Shows a token by its accessor, without its id."},
    {"accessors", NULL,
     .ops = {[OP_LIST] = {accessor_list, ROUTE_SUDO, "Lists the accessors of all tokens."}},
     .help = "The accessors of all tokens."},
    {"renew", renew_fields, .ops = {[OP_UPDATE] = {token_renew_handler, .help = "Renews a token."}},
     .help = "Makes a token live longer."},
    {"renew-self", renew_fields,
     .ops = {[OP_UPDATE] = {token_renew_self_handler, .help = "Renews the calling token."}},
     .help = "Makes the calling token live longer."},
    {"renew-accessor", renew_accessor_fields,
     .ops = {[OP_UPDATE] = {token_renew_accessor_handler, .help = "Renews the token of an accessor."}},
     .help = "Makes a token live longer, by its accessor."},
    {"revoke", revoke_fields, .ops = {[OP_UPDATE] = {revoke, ROUTE_BULK, "Revokes a token."}},
     .help = "Ends a token and all below it."},
    {"revoke-self", NULL, .ops = {[OP_UPDATE] = {revoke_self, ROUTE_BULK, "Revokes the calling token."}},
     .help = "Ends the calling token and all below it."},
    {"revoke-accessor", accessor_fields,
     .ops = {[OP_UPDATE] = {revoke_accessor, ROUTE_BULK, "Revokes the token of an accessor."}},
     .help = "Ends a token and all below it, by its accessor."},
    {"revoke-orphan", revoke_fields,
     .ops = {[OP_UPDATE] = {revoke_orphan, ROUTE_BULK | ROUTE_SUDO, "Revokes a token alone."}},
     .help = "Ends a token; its children become orphans."},
    {"tidy", NULL, .ops = {[OP_UPDATE] = {tidy, .help = "Starts tidying."}},
     .help = "Removes what is left of tokens that are gone, in the background."},
    {0},
};

static const struct route *const more_routes[] = {token_role_routes, NULL};

const struct engine token_engine = {
    .type = "token",
    .kind = ENGINE_CORE,
    .routes = token_routes,
    .more_routes = more_routes,
    .help = "Tokens: making, showing, renewing and revoking them.",
    .plugin_version = "v1.14.7+builtin.vault",
};
