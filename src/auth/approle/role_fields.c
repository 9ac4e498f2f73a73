/* role_fields: the routes of single fields of a role: role/NAME/token-ttl and the like. */
#include "auth/approle/approle_private.h"

/* One field: a number of the role, or functions. */
struct single {
    const char *name; /* its route has '-' for '_', unless it has its own */
    const char *route;
    size_t offset; /* of an int64_t in struct role */
    int64_t unit;  /* 0: none; 1; or NS_PER_S: kept in ns, shown and given in seconds */
    void (*show)(struct request *rq, struct response *rs, struct json *data, const struct role *r);
    struct error *(*set)(struct request *rq, struct role *r); /* with a unit: checks what was set */
    void (*clear)(struct role *r);
};

static struct json *strings_or_null(struct arena *a, const str *v, size_t n)
{
    return v ? json_strings(a, v, n) : json_null(a);
}

static const str none[1];

static const str *given_strs(struct request *rq, const char *name, size_t *ret_n)
{
    const str *v = field_strs(rq, name, ret_n);

    return v ? v : none;
}

/* ---- policies ---- */

static void policies_show(struct request *rq, struct response *rs, struct json *data, const struct role *r)
{
    (void)rs;
    json_set(rq->arena, data, STR("token_policies"),
             strings_or_null(rq->arena, r->token.policies, r->token.n_policies));
    if (r->n_old_policies)
        json_set(rq->arena, data, STR("policies"),
                 json_strings(rq->arena, r->old_policies, r->n_old_policies));
}

static void policies_clear(struct role *r)
{
    r->token.policies = r->old_policies = NULL;
    r->token.n_policies = r->n_old_policies = 0;
}

static struct error *policies_set(struct request *rq, struct role *r)
{
    bool by_new = field_given(rq, "token_policies");

    if (!by_new && !field_given(rq, "policies"))
        return fail(rq, ERR_BAD_REQUEST, "missing token_policies");
    policies_clear(r);
    role_clean_policies(rq, by_new ? "token_policies" : "policies", &r->token.policies, &r->token.n_policies);
    if (!by_new) {
        r->old_policies = r->token.policies;
        r->n_old_policies = r->token.n_policies;
    }
    return NULL;
}

/* ---- blocks ---- */

static void cidrs_show(struct request *rq, struct response *rs, struct json *data, const struct role *r)
{
    (void)rs;
    json_set(rq->arena, data, STR("secret_id_bound_cidrs"),
             strings_or_null(rq->arena, r->secret_id_cidrs, r->n_secret_id_cidrs));
}

static struct error *take_cidrs(struct request *rq, struct role *r, const char *name)
{
    if (!field_given(rq, name))
        return NULL;
    r->secret_id_cidrs = given_strs(rq, name, &r->n_secret_id_cidrs);
    if (r->n_secret_id_cidrs == 0)
        return fail(rq, ERR_BAD_REQUEST, "missing bound_cidr_list");
    return role_check_blocks(rq, "", r->secret_id_cidrs, r->n_secret_id_cidrs);
}

static struct error *cidrs_set(struct request *rq, struct role *r)
{
    return take_cidrs(rq, r, "secret_id_bound_cidrs");
}

static void cidrs_clear(struct role *r)
{
    r->secret_id_cidrs = NULL;
    r->n_secret_id_cidrs = 0;
}

/* The name of old writes what the new one reads, and reads nothing. */
static void old_cidrs_show(struct request *rq, struct response *rs, struct json *data, const struct role *r)
{
    (void)r;
    json_set(rq->arena, data, STR("bound_cidr_list"), json_null(rq->arena));
    response_warn(rq, rs,
                  "The \"bound_cidr_list\" field is deprecated and will be removed. Please use "
                  "\"secret_id_bound_cidrs\" instead.");
}

static struct error *old_cidrs_set(struct request *rq, struct role *r)
{
    return take_cidrs(rq, r, "bound_cidr_list");
}

static void old_cidrs_clear(struct role *r)
{
    (void)r;
}

static void token_cidrs_show(struct request *rq, struct response *rs, struct json *data, const struct role *r)
{
    (void)rs;
    json_set(rq->arena, data, STR("token_bound_cidrs"),
             strings_or_null(rq->arena, r->token.bound_cidrs, r->token.n_bound_cidrs));
}

static struct error *token_cidrs_set(struct request *rq, struct role *r)
{
    size_t n;
    const str *v = given_strs(rq, "token_bound_cidrs", &n);

    if (!field_given(rq, "token_bound_cidrs"))
        return NULL;
    struct error *e = token_cidrs_parse(rq, v, n, &r->token.bound_cidrs);

    if (e)
        return fail(rq, ERR_BAD_REQUEST, "failed to parse token_bound_cidrs: %.*s", PSTR(e->text));
    r->token.n_bound_cidrs = n;
    return NULL;
}

static void token_cidrs_clear(struct role *r)
{
    r->token.bound_cidrs = NULL;
    r->token.n_bound_cidrs = 0;
}

/* ---- numbers and times ---- */

static int64_t *number_of(struct role *r, const struct single *s)
{
    return (int64_t *)(void *)((char *)r + s->offset);
}

static struct error *uses_check(struct request *rq, struct role *r)
{
    return r->secret_id_num_uses < 0 ? fail(rq, ERR_BAD_REQUEST, "secret_id_num_uses cannot be negative")
                                     : NULL;
}

static struct error *token_uses_check(struct request *rq, struct role *r)
{
    return r->token.num_uses < 0 ? fail(rq, ERR_BAD_REQUEST, "token_num_uses cannot be negative") : NULL;
}

static bool ttls_cross(const struct role *r)
{
    return r->token.max_ttl_ns > 0 && r->token.ttl_ns > r->token.max_ttl_ns;
}

static struct error *ttl_check(struct request *rq, struct role *r)
{
    return ttls_cross(r) ? fail(rq, ERR_BAD_REQUEST, "token_ttl should not be greater than token_max_ttl")
                         : NULL;
}

static struct error *max_ttl_check(struct request *rq, struct role *r)
{
    return ttls_cross(r)
               ? fail(rq, ERR_BAD_REQUEST, "token_max_ttl should be greater than or equal to token_ttl")
               : NULL;
}

static void period_show(struct request *rq, struct response *rs, struct json *data, const struct role *r)
{
    (void)rs;
    json_set_int(rq->arena, data, STR("token_period"), r->token.period_ns / NS_PER_S);
    if (r->old_period_ns)
        json_set_int(rq->arena, data, STR("period"), r->old_period_ns / NS_PER_S);
}

static void period_clear(struct role *r)
{
    r->token.period_ns = r->old_period_ns = 0;
}

static struct error *period_set(struct request *rq, struct role *r)
{
    bool by_new = field_given(rq, "token_period");

    if (!by_new && !field_given(rq, "period"))
        return fail(rq, ERR_BAD_REQUEST, "missing period");
    period_clear(r);
    r->token.period_ns = field_ns(rq, by_new ? "token_period" : "period");
    if (!by_new)
        r->old_period_ns = r->token.period_ns;
    return by_new ? NULL : role_check_period(rq, r);
}

/* ---- yes or no, and the role id ---- */

static void bind_show(struct request *rq, struct response *rs, struct json *data, const struct role *r)
{
    (void)rs;
    json_set_bool(rq->arena, data, STR("bind_secret_id"), r->bind_secret_id);
}

static struct error *bind_set(struct request *rq, struct role *r)
{
    if (!field_given(rq, "bind_secret_id"))
        return fail(rq, ERR_BAD_REQUEST, "missing bind_secret_id");
    r->bind_secret_id = field_bool(rq, "bind_secret_id");
    return NULL;
}

static void bind_clear(struct role *r)
{
    r->bind_secret_id = true;
}

static void local_show(struct request *rq, struct response *rs, struct json *data, const struct role *r)
{
    (void)rs;
    json_set_bool(rq->arena, data, STR("local_secret_ids"), role_is_local(r));
}

static void id_show(struct request *rq, struct response *rs, struct json *data, const struct role *r)
{
    (void)rs;
    json_set_str(rq->arena, data, STR("role_id"), r->role_id);
}

static struct error *id_set(struct request *rq, struct role *r)
{
    r->role_id = field_str(rq, "role_id");
    return r->role_id.n ? NULL : fail(rq, ERR_BAD_REQUEST, "missing role_id");
}

/* ---- the handlers ---- */

static const struct single singles[] = {
    {"token_policies", "policies", .show = policies_show, .set = policies_set, .clear = policies_clear},
    {"secret_id_bound_cidrs", .show = cidrs_show, .set = cidrs_set, .clear = cidrs_clear},
    {"bound_cidr_list", .show = old_cidrs_show, .set = old_cidrs_set, .clear = old_cidrs_clear},
    {"token_bound_cidrs", .show = token_cidrs_show, .set = token_cidrs_set, .clear = token_cidrs_clear},
    {"secret_id_num_uses", .offset = offsetof(struct role, secret_id_num_uses), .unit = 1, .set = uses_check},
    {"secret_id_ttl", .offset = offsetof(struct role, secret_id_ttl_ns), .unit = NS_PER_S},
    {"token_num_uses", .offset = offsetof(struct role, token.num_uses), .unit = 1, .set = token_uses_check},
    {"token_ttl", .offset = offsetof(struct role, token.ttl_ns), .unit = NS_PER_S, .set = ttl_check},
    {"token_max_ttl", .offset = offsetof(struct role, token.max_ttl_ns), .unit = NS_PER_S,
     .set = max_ttl_check},
    {"token_period", "period", .show = period_show, .set = period_set, .clear = period_clear},
    {"bind_secret_id", .show = bind_show, .set = bind_set, .clear = bind_clear},
    {"local_secret_ids", .show = local_show},
    {"role_id", .show = id_show, .set = id_set},
};

/* Of the route's last segment. */
static const struct single *single_of(const struct request *rq)
{
    str route = str_from_cstr(rq->route->path);
    const struct single *s = singles;

    for (route = str_from(route, STR("role/{role_name}/").n);; s++) {
        str name = str_from_cstr(s->route ? s->route : s->name);
        size_t same = 0;

        while (name.n == route.n && same < name.n && (name.p[same] == route.p[same] || name.p[same] == '_'))
            same++;
        if (same == name.n && name.n == route.n)
            return s;
    }
}

static struct error *field_read(struct request *rq, struct response *rs)
{
    const struct single *s = single_of(rq);
    struct role *r;

    TRY(role_load(rq, field_str(rq, "role_name"), &r));
    if (!r)
        return fail_absent(rq);
    if (s->unit)
        json_set_int(rq->arena, response_data(rq, rs), str_from_cstr(s->name), *number_of(r, s) / s->unit);
    else
        s->show(rq, rs, response_data(rq, rs), r);
    return NULL;
}

static struct error *field_write(struct request *rq, struct response *rs)
{
    const struct single *s = single_of(rq);
    struct role *r;

    (void)rs;
    TRY(role_load(rq, field_str(rq, "role_name"), &r));
    if (!r)
        return fail_wrapped(rq, ERR_NOT_FOUND, "unsupported path");
    str previous_id = r->role_id;

    if (s->unit && !field_given(rq, s->name))
        return fail(rq, ERR_BAD_REQUEST, "missing %s", s->name);
    if (s->unit)
        *number_of(r, s) = s->unit == 1 ? field_int(rq, s->name) : field_ns(rq, s->name);
    if (s->set)
        TRY(s->set(rq, r));
    return role_save(rq, r, previous_id);
}

static struct error *field_delete(struct request *rq, struct response *rs)
{
    const struct single *s = single_of(rq);
    struct role *r;

    (void)rs;
    TRY(role_load(rq, field_str(rq, "role_name"), &r));
    if (!r)
        return NULL;
    if (s->unit)
        *number_of(r, s) = 0;
    else
        s->clear(r);
    return role_save(rq, r, (str){0});
}

/* ---- the table ---- */

#define ROLE_NAME                                                                                            \
    {                                                                                                        \
        "role_name", FT_NAME, FIELD_PATH, .help = "Name of the role; letters are taken as lower case."       \
    }
#define READ   [OP_READ] = {field_read, .help = "Shows the field."}
#define WRITE  [OP_UPDATE] = {field_write, .help = "Sets the field."}
#define DELETE [OP_DELETE] = {field_delete, .help = "Gives the field its first value back."}

/* clang-format off */
static const struct field policies_fields[] = {
    ROLE_NAME,
    {"policies", FT_STRINGS, FIELD_DEPRECATED, .help = "Use token_policies."},
    {"token_policies", FT_STRINGS, .help = "Names of the token's policies."},
    {0},
};
static const struct field cidrs_fields[] = {
    ROLE_NAME,
    {"secret_id_bound_cidrs", FT_STRINGS, .help = "Blocks that logins may come from."},
    {0},
};
static const struct field old_cidrs_fields[] = {
    ROLE_NAME,
    {"bound_cidr_list", FT_STRINGS, .help = "Use secret_id_bound_cidrs."},
    {0},
};
static const struct field token_cidrs_fields[] = {
    ROLE_NAME,
    {"token_bound_cidrs", FT_STRINGS, .help = "Addresses or blocks that the token may be used from."},
    {0},
};
static const struct field uses_fields[] = {
    ROLE_NAME,
    {"secret_id_num_uses", FT_INT, .help = "How often a secret id may be used; 0: without limit."},
    {0},
};
static const struct field secret_id_ttl_fields[] = {
    ROLE_NAME,
    {"secret_id_ttl", FT_SECONDS, .help = "How long a secret id lives; 0: without end."},
    {0},
};
static const struct field token_uses_fields[] = {
    ROLE_NAME,
    {"token_num_uses", FT_INT, .help = "How often the token may be used; 0: without limit."},
    {0},
};
static const struct field ttl_fields[] = {
    ROLE_NAME,
    {"token_ttl", FT_SECONDS, .help = "How long the token lives at first."},
    {0},
};
static const struct field max_ttl_fields[] = {
    ROLE_NAME,
    {"token_max_ttl", FT_SECONDS, .help = "How long the token may live with all its renewals."},
    {0},
};
static const struct field period_fields[] = {
    ROLE_NAME,
    {"period", FT_SECONDS, FIELD_DEPRECATED, .help = "Use token_period."},
    {"token_period", FT_SECONDS, .help = "Makes a periodic token: each renewal gives this much."},
    {0},
};
static const struct field bind_fields[] = {
    ROLE_NAME,
    {"bind_secret_id", FT_BOOL, .dflt = "true", .help = "Whether a login needs a secret id."},
    {0},
};
static const struct field local_fields[] = {
    ROLE_NAME,
    {0},
};
static const struct field id_fields[] = {
    ROLE_NAME,
    {"role_id", FT_STRING, .help = "The role's id for logins."},
    {0},
};

const struct route approle_field_routes[] = {
    {"role/{role_name}/policies", policies_fields, .ops = {READ, WRITE, DELETE},
     .help = "The policies of a role's tokens."},
    {"role/{role_name}/secret-id-bound-cidrs", cidrs_fields, .ops = {READ, WRITE, DELETE},
     .help = "Where logins of a role may come from."},
    {"role/{role_name}/bound-cidr-list", old_cidrs_fields, .ops = {READ, WRITE, DELETE},
     .help = "The same under its name of old."},
    {"role/{role_name}/token-bound-cidrs", token_cidrs_fields, .ops = {READ, WRITE, DELETE},
     .help = "Where a role's tokens may be used from."},
    {"role/{role_name}/secret-id-num-uses", uses_fields, .ops = {READ, WRITE, DELETE},
     .help = "How often a role's secret ids may be used."},
    {"role/{role_name}/secret-id-ttl", secret_id_ttl_fields, .ops = {READ, WRITE, DELETE},
     .help = "How long a role's secret ids live."},
    {"role/{role_name}/token-num-uses", token_uses_fields, .ops = {READ, WRITE, DELETE},
     .help = "How often a role's tokens may be used."},
    {"role/{role_name}/token-ttl", ttl_fields, .ops = {READ, WRITE, DELETE},
     .help = "How long a role's tokens live at first."},
    {"role/{role_name}/token-max-ttl", max_ttl_fields, .ops = {READ, WRITE, DELETE},
     .help = "How long a role's tokens may live."},
    {"role/{role_name}/period", period_fields, .ops = {READ, WRITE, DELETE},
     .help = "The period of a role's tokens."},
    {"role/{role_name}/bind-secret-id", bind_fields, .ops = {READ, WRITE, DELETE},
     .help = "Whether a login needs a secret id."},
    {"role/{role_name}/local-secret-ids", local_fields, .ops = {READ},
     .help = "Whether a role's secret ids stay with this cluster."},
    {"role/{role_name}/role-id", id_fields, .ops = {READ, WRITE}, .help = "The id of a role."},
    {0},
};
/* clang-format on */
