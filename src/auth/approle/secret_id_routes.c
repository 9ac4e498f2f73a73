/* secret_id_routes: secret ids of a role: made, listed, looked up, destroyed. */
#include "auth/approle/approle_private.h"

/* ---- making ---- */

static struct error *take_blocks(struct request *rq, const struct role *r, struct secret_id *s)
{
    s->cidrs = field_strs(rq, "cidr_list", &s->n_cidrs);
    TRY(role_check_blocks(rq, "", s->cidrs, s->n_cidrs));
    TRY(secret_id_check_within(rq, r->secret_id_cidrs, r->n_secret_id_cidrs, s->cidrs, s->n_cidrs));
    s->token_cidrs = field_strs(rq, "token_bound_cidrs", &s->n_token_cidrs);
    TRY(role_check_blocks(rq, "token ", s->token_cidrs, s->n_token_cidrs));
    return secret_id_check_within(rq, r->token.bound_cidrs, r->token.n_bound_cidrs, s->token_cidrs,
                                  s->n_token_cidrs);
}

/* 0 is no limit: more than any. */
static bool exceeds(int64_t asked, int64_t limit)
{
    return limit > 0 && (asked == 0 || asked > limit);
}

static struct error *take_limits(struct request *rq, const struct role *r, struct secret_id *s)
{
    s->num_uses = field_given(rq, "num_uses") ? field_int(rq, "num_uses") : r->secret_id_num_uses;
    s->ttl_ns = field_given(rq, "ttl") ? field_ns(rq, "ttl") : r->secret_id_ttl_ns;
    if (s->num_uses < 0)
        return fail(rq, ERR_BAD_REQUEST, "num_uses cannot be negative");
    if (exceeds(s->num_uses, r->secret_id_num_uses))
        return fail(rq, ERR_BAD_REQUEST, "num_uses cannot be higher than the role's secret_id_num_uses");
    if (exceeds(s->ttl_ns, r->secret_id_ttl_ns))
        return fail(rq, ERR_BAD_REQUEST, "ttl cannot be longer than the role's secret_id_ttl");
    return NULL;
}

static struct error *make(struct request *rq, struct response *rs, str id)
{
    struct secret_id *s = ARENA_NEW(rq->arena, struct secret_id);
    str name = field_str(rq, "role_name");
    struct json *metadata, *data;
    struct role *r;

    if (id.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing secret_id");
    if (id.n > APPROLE_ID_MAX)
        return fail(rq, ERR_BAD_REQUEST, "secret_id is longer than %d bytes", APPROLE_ID_MAX);
    TRY(role_load(rq, name, &r));
    if (!r)
        return fail(rq, ERR_NOT_FOUND, "role \"%.*s\" does not exist", PSTR(name));
    if (!r->bind_secret_id)
        return fail(rq, ERR_BAD_REQUEST, "bind_secret_id is not set on the role");
    TRY(take_blocks(rq, r, s));
    TRY(take_limits(rq, r, s));
    TRY(metadata_parse(rq, field_str(rq, "metadata"), &metadata));
    s->metadata = metadata;
    TRY(secret_id_register(rq, r, id, s));
    data = response_data(rq, rs);
    json_set_str(rq->arena, data, STR("secret_id"), id);
    json_set_str(rq->arena, data, STR("secret_id_accessor"), s->accessor);
    json_set_int(rq->arena, data, STR("secret_id_num_uses"), s->num_uses);
    json_set_int(rq->arena, data, STR("secret_id_ttl"), secret_id_ttl(rq, s->ttl_ns) / NS_PER_S);
    return NULL;
}

static struct error *secret_id_write(struct request *rq, struct response *rs)
{
    return make(rq, rs, rng_uuid_str(rq->rng, rq->arena));
}

static struct error *custom_write(struct request *rq, struct response *rs)
{
    return make(rq, rs, field_str(rq, "secret_id"));
}

/* ---- looking ---- */

static struct error *secret_id_list(struct request *rq, struct response *rs)
{
    str name = field_str(rq, "role_name"), *hmacs;
    struct secret_id *s;
    struct role *r;
    size_t n, found = 0;

    TRY(role_load(rq, name, &r));
    if (!r)
        return fail(rq, ERR_BAD_REQUEST, "role \"%.*s\" does not exist", PSTR(name));
    str folder = secret_id_folder(rq, r);

    TRY(view_list(rq->view, folder, &hmacs, &n));
    str *accessors = ARENA_ARRAY(rq->arena, str, n + 1);

    for (size_t i = 0; i < n; i++) {
        TRY(secret_id_load(rq, folder, hmacs[i], &s));
        if (s)
            accessors[found++] = s->accessor;
    }
    return response_list(rq, rs, accessors, found);
}

static void show(struct request *rq, struct response *rs, const struct secret_id *s)
{
    struct arena *a = rq->arena;
    struct json *data = response_data(rq, rs);

    json_set(a, data, STR("cidr_list"), json_strings(a, s->cidrs, s->n_cidrs));
    json_set_str(a, data, STR("creation_time"), time_format(a, s->created_ns));
    json_set_str(a, data, STR("expiration_time"), time_format(a, s->expires_ns));
    json_set_str(a, data, STR("last_updated_time"), time_format(a, s->updated_ns));
    json_set(a, data, STR("metadata"), json_copy(a, s->metadata));
    json_set_str(a, data, STR("secret_id_accessor"), s->accessor);
    json_set_int(a, data, STR("secret_id_num_uses"), s->num_uses);
    json_set_int(a, data, STR("secret_id_ttl"), s->ttl_ns / NS_PER_S);
    json_set(a, data, STR("token_bound_cidrs"), json_strings(a, s->token_cidrs, s->n_token_cidrs));
}

/* What the request names by `secret_id`. NULL: there is none. */
static struct error *find(struct request *rq, struct secret_id **ret)
{
    str id = field_str(rq, "secret_id");
    struct role *r;

    if (id.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing secret_id");
    TRY(role_must(rq, &r));
    return secret_id_load(rq, secret_id_folder(rq, r), secret_id_hmac(rq, r, id), ret);
}

/* By `secret_id_accessor`: the role's own, never another's. */
static struct error *find_accessor(struct request *rq, bool *ret_known, struct secret_id **ret)
{
    str accessor = field_str(rq, "secret_id_accessor"), hmac;
    struct role *r;

    *ret = NULL;
    if (accessor.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing secret_id_accessor");
    TRY(role_must(rq, &r));
    TRY(secret_id_of_accessor(rq, role_is_local(r), accessor, &hmac));
    *ret_known = hmac.n > 0;
    return *ret_known ? secret_id_load_any(rq, secret_id_folder(rq, r), hmac, ret) : NULL;
}

static struct error *lookup_write(struct request *rq, struct response *rs)
{
    struct secret_id *s;

    TRY(find(rq, &s));
    if (s)
        show(rq, rs, s);
    return NULL;
}

static struct error *accessor_lookup_write(struct request *rq, struct response *rs)
{
    struct secret_id *s;
    bool known;

    TRY(find_accessor(rq, &known, &s));
    if (s && !secret_id_is_over(rq, s))
        show(rq, rs, s);
    if (known)
        return NULL;
    rs->status = 404;
    json_set_str(rq->arena, response_data(rq, rs), STR("error"),
                 arena_fmt(rq->arena, "failed to find accessor entry for secret_id_accessor: \"%.*s\"",
                           PSTR(field_str(rq, "secret_id_accessor"))));
    return NULL;
}

/* ---- destroying ---- */

static struct error *destroy(struct request *rq, struct response *rs)
{
    struct secret_id *s;

    (void)rs;
    TRY(find(rq, &s));
    return s ? secret_id_delete(rq, s) : NULL;
}

static struct error *accessor_destroy(struct request *rq, struct response *rs)
{
    struct secret_id *s;
    bool known;

    (void)rs;
    TRY(find_accessor(rq, &known, &s));
    if (!known)
        return fail_wrapped(rq, ERR_INTERNAL,
                            "failed to find accessor entry for secret_id_accessor: \"%.*s\"",
                            PSTR(field_str(rq, "secret_id_accessor")));
    return s ? secret_id_delete(rq, s) : fail(rq, ERR_DENIED, "invalid secret id accessor");
}

/* ---- the table ---- */

#define ROLE_NAME                                                                                            \
    {                                                                                                        \
        "role_name", FT_NAME, FIELD_PATH, .help = "Name of the role; letters are taken as lower case."       \
    }
#define MAKING                                                                                               \
    {"metadata", FT_STRING, .help = "About the secret id, for its tokens: k=v, k=v; or an object in JSON."}, \
        {"cidr_list", FT_STRINGS, .help = "Blocks that logins with it may come from, within the role's."},   \
        {"token_bound_cidrs", FT_STRINGS, .help = "Blocks that its tokens may be used from."},               \
        {"num_uses", FT_INT, .help = "How often it may be used; at most as the role says."},                 \
    {                                                                                                        \
        "ttl", FT_SECONDS, .help = "How long it lives; at most as the role says."                            \
    }

static const struct field make_fields[] = {ROLE_NAME, MAKING, {0}};
static const struct field custom_fields[] = {
    ROLE_NAME,
    {"secret_id", FT_STRING, FIELD_SENSITIVE, .help = "The secret id, chosen by the caller."},
    MAKING,
    {0}};
static const struct field id_fields[] = {
    ROLE_NAME, {"secret_id", FT_STRING, FIELD_SENSITIVE, .help = "The secret id."}, {0}};
static const struct field accessor_fields[] = {
    ROLE_NAME, {"secret_id_accessor", FT_STRING, .help = "The accessor of a secret id."}, {0}};

const struct route approle_secret_id_routes[] = {
    {"role/{role_name}/secret-id", make_fields,
     .ops = {[OP_UPDATE] = {secret_id_write, .help = "Makes a secret id."},
             [OP_LIST] = {secret_id_list, .help = "Lists the accessors."}},
     .help = "The secret ids of a role."},
    {"role/{role_name}/custom-secret-id", custom_fields,
     .ops = {[OP_UPDATE] = {custom_write, .help = "Takes a secret id."}},
     .help = "A secret id that the caller has chosen."},
    {"role/{role_name}/secret-id/lookup", id_fields,
     .ops = {[OP_UPDATE] = {lookup_write, ROUTE_READONLY, "Shows it."}},
     .help = "What is known of a secret id."},
    {"role/{role_name}/secret-id/destroy", id_fields,
     .ops =
         {[OP_UPDATE] = {destroy, .help = "Destroys it."}, [OP_DELETE] = {destroy, .help = "Destroys it."}},
     .help = "The end of a secret id."},
    {"role/{role_name}/secret-id-accessor/lookup", accessor_fields,
     .ops = {[OP_UPDATE] = {accessor_lookup_write, ROUTE_READONLY, "Shows it."}},
     .help = "What is known of a secret id, by its accessor."},
    {"role/{role_name}/secret-id-accessor/destroy", accessor_fields,
     .ops = {[OP_UPDATE] = {accessor_destroy, .help = "Destroys it."},
             [OP_DELETE] = {accessor_destroy, .help = "Destroys it."}},
     .help = "The end of a secret id, by its accessor."},
    {0},
};
