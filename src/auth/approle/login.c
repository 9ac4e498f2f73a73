/* login: the id of a role and a secret id, against a token. */
#include "auth/approle/approle_private.h"
#include "base/ip_range.h"

#define INVALID "invalid role or secret ID"

/* The role by the id that the request gives. NULL: there is none. */
static struct error *find_role(struct request *rq, struct role **ret)
{
    str role_id = str_trim(field_str(rq, "role_id")), name;

    *ret = NULL;
    if (role_id.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing role_id");
    TRY(role_name_of_id(rq, role_id, &name));
    return name.n ? role_load(rq, name, ret) : NULL;
}

struct error *approle_login_alias(struct request *rq, str *ret_name)
{
    *ret_name = str_trim(field_str(rq, "role_id"));
    return ret_name->n ? NULL : fail(rq, ERR_INTERNAL, "failed to determine alias name from login request");
}

struct error *approle_login_role(struct request *rq, str *ret_name)
{
    struct role *r;

    TRY(find_role(rq, &r));
    *ret_name = r ? r->name : (str){0};
    return NULL;
}

static bool allows(const struct request *rq, const str *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ip_text_is_in(blocks[i], rq->peer.remote_address))
            return true;
    return n == 0;
}

/* One use less; the last one ends it. Spent is spent, whatever becomes of the login. */
static struct error *spend(struct request *rq, struct secret_id *s)
{
    if (s->num_uses == 1) {
        TRY(secret_id_delete(rq, s));
    } else if (s->num_uses > 1) {
        s->num_uses--;
        s->updated_ns = clock_wall_ns(rq->clock);
        TRY(secret_id_save(rq, s));
    }
    txn_keep(rq->txn);
    return NULL;
}

static struct error *take_secret_id(struct request *rq, struct response *rs, const struct role *r,
                                    struct secret_id **ret)
{
    str id = str_trim(field_str(rq, "secret_id")), hmac;
    struct secret_id *s = NULL;

    if (id.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing secret_id");
    if (id.n <= APPROLE_ID_MAX)
        TRY(secret_id_load(rq, secret_id_folder(rq, r), secret_id_hmac(rq, r, id), &s));
    if (!s)
        return login_refuse(rq, rs, INVALID);
    TRY(secret_id_of_accessor(rq, role_is_local(r), s->accessor, &hmac));
    if (hmac.n == 0) { /* destroyed halfway */
        TRY(secret_id_delete(rq, s));
        txn_keep(rq->txn);
        return fail(rq, ERR_BAD_REQUEST, INVALID);
    }
    bool counted = s->num_uses > 0;

    if (counted)
        TRY(spend(rq, s));
    TRY(secret_id_check_within(rq, r->secret_id_cidrs, r->n_secret_id_cidrs, s->cidrs, s->n_cidrs));
    if (!allows(rq, s->cidrs, s->n_cidrs))
        return fail(rq, ERR_BAD_REQUEST,
                    counted
                        ? "source address \"%.*s\" unauthorized by CIDR restrictions on the secret ID: "
                          "%%!w(<nil>)"
                        : "source address \"%.*s\" unauthorized through CIDR restrictions on the secret ID",
                    PSTR(rq->peer.remote_address));
    *ret = s;
    return NULL;
}

static struct error *login_write(struct request *rq, struct response *rs)
{
    struct login *l = ARENA_NEW(rq->arena, struct login);
    struct json *metadata = json_object(rq->arena), *internal = json_object(rq->arena);
    struct secret_id *s = NULL;
    struct role *r;

    TRY(find_role(rq, &r));
    if (!r)
        return fail(rq, ERR_BAD_REQUEST, INVALID);
    if (r->bind_secret_id)
        TRY(take_secret_id(rq, rs, r, &s));
    if (!allows(rq, r->secret_id_cidrs, r->n_secret_id_cidrs))
        return fail(rq, ERR_BAD_REQUEST,
                    "source address \"%.*s\" unauthorized by CIDR restrictions on the role: %%!w(<nil>)",
                    PSTR(rq->peer.remote_address));
    *l = (struct login){.alias = r->role_id, .token = r->token};
    if (s && s->n_token_cidrs)
        TRY(token_cidrs_parse(rq, s->token_cidrs, s->n_token_cidrs, &l->token.bound_cidrs));
    if (s && s->n_token_cidrs)
        l->token.n_bound_cidrs = s->n_token_cidrs;
    if (s)
        metadata = json_copy(rq->arena, s->metadata);
    json_set_str(rq->arena, metadata, STR("role_name"), r->name);
    json_set_str(rq->arena, internal, STR("role_name"), r->name);
    l->metadata = l->alias_metadata = metadata;
    l->internal_data = internal;
    rs->login = l;
    return NULL;
}

/* The role's times as they are then; its policies may have changed. */
struct error *approle_renew(struct request *rq, struct renewal *r)
{
    str name = json_get_str(r->internal_data, STR("role_name"));
    struct role *role;

    if (name.n == 0)
        return fail(rq, ERR_INTERNAL, "failed to fetch role_name during renewal");
    TRY(role_load(rq, name, &role));
    if (!role)
        return fail(rq, ERR_INTERNAL, "role \"%.*s\" does not exist during renewal", PSTR(name));
    r->ttl_ns = role->token.ttl_ns;
    r->max_ttl_ns = role->token.max_ttl_ns;
    r->period_ns = role->token.period_ns;
    return NULL;
}

static const struct field login_fields[] = {
    {"role_id", FT_STRING, .help = "The id of the role."},
    {"secret_id", FT_STRING, FIELD_SENSITIVE, .dflt = "", .help = "One of the role's secret ids."},
    {0},
};

const struct route approle_login_routes[] = {
    {"login", login_fields, .ops = {[OP_UPDATE] = {login_write, .help = "Logs in."}},
     .flags = ROUTE_UNAUTH | ROUTE_LOGIN, .help = "Gives a token for the id of a role and a secret id."},
    {0},
};
