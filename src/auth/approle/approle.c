/* approle: roles, and the method's table. */
#include "auth/approle/approle_private.h"
#include "core/mount.h"

enum { DELETE_STEP = 50 }; /* secret ids of a role that goes, in one step */

static struct error *role_exists(struct request *rq, bool *ret)
{
    struct role *r;

    TRY(role_load(rq, rq->params[0], &r));
    *ret = r != NULL;
    return NULL;
}

/* "default-service" and "default-batch" say no more than what follows "default-". */
static void adjust_type(struct request *rq, struct response *rs)
{
    str text = field_str(rq, "token_type");

    if (!field_given(rq, "token_type"))
        return;
    if (!str_eq(text, STR("default-service")) && !str_eq(text, STR("default-batch")))
        return;
    str plain = str_from(text, STR("default-").n);

    response_warn(rq, rs, "%.*s has no useful meaning; adjusting to %.*s", PSTR(text), PSTR(plain));
    for (size_t i = 0; i < rq->n_fields; i++)
        if (strcmp(rq->fields[i].field->name, "token_type") == 0)
            rq->fields[i].s = plain;
}

static struct error *take_secret_id_fields(struct request *rq, struct role *r)
{
    static const str none[1];
    const char *cidrs =
        field_given(rq, "secret_id_bound_cidrs") ? "secret_id_bound_cidrs" : "bound_cidr_list";

    if (field_given(rq, "bind_secret_id"))
        r->bind_secret_id = field_bool(rq, "bind_secret_id");
    if (field_given(rq, cidrs)) {
        r->secret_id_cidrs = field_strs(rq, cidrs, &r->n_secret_id_cidrs);
        if (!r->secret_id_cidrs)
            r->secret_id_cidrs = none;
    }
    TRY(role_check_blocks(rq, "", r->secret_id_cidrs, r->n_secret_id_cidrs));
    if (field_given(rq, "secret_id_num_uses"))
        r->secret_id_num_uses = field_int(rq, "secret_id_num_uses");
    if (r->secret_id_num_uses < 0)
        return fail(rq, ERR_BAD_REQUEST, "secret_id_num_uses cannot be negative");
    if (field_given(rq, "secret_id_ttl"))
        r->secret_id_ttl_ns = field_ns(rq, "secret_id_ttl");
    return NULL;
}

/* An old name counts when the new one is not given; given at all, it is shown from then on. */
static void take_old_fields(struct request *rq, struct role *r)
{
    struct token_fields *t = &r->token;

    if (field_given(rq, "policies")) {
        if (!field_given(rq, "token_policies"))
            role_clean_policies(rq, "policies", &t->policies, &t->n_policies);
        r->old_policies = t->policies;
        r->n_old_policies = t->n_policies;
    } else if (field_given(rq, "token_policies")) {
        r->old_policies = NULL;
        r->n_old_policies = 0;
    }
    if (field_given(rq, "period")) {
        if (!field_given(rq, "token_period"))
            t->period_ns = field_ns(rq, "period");
        r->old_period_ns = t->period_ns;
    } else if (field_given(rq, "token_period")) {
        r->old_period_ns = 0;
    }
}

static struct error *take_ids(struct request *rq, struct role *r, bool is_new)
{
    if (field_given(rq, "local_secret_ids") && !is_new)
        return fail(rq, ERR_BAD_REQUEST, "local_secret_ids can only be modified during role creation");
    if (field_bool(rq, "local_secret_ids"))
        r->prefix = STR("secret_id_local/");
    if (field_given(rq, "role_id"))
        r->role_id = field_str(rq, "role_id");
    return r->role_id.n
               ? NULL
               : fail(rq, ERR_BAD_REQUEST, "invalid role_id supplied, or failed to generate a role_id");
}

static struct error *role_write(struct request *rq, struct response *rs)
{
    struct role *r;

    TRY(role_load(rq, field_str(rq, "role_name"), &r));
    bool is_new = r == NULL;

    if (is_new)
        r = role_new(rq, arena_lower(rq->arena, field_str(rq, "role_name")));
    str previous_id = is_new ? (str){0} : r->role_id;

    adjust_type(rq, rs);
    TRY(token_fields_parse(rq, &r->token));
    TRY(take_ids(rq, r, is_new));
    TRY(take_secret_id_fields(rq, r));
    take_old_fields(rq, r);
    TRY(role_check_period(rq, r));
    if (r->token.max_ttl_ns > mount_max_ttl_ns(rq, rq->mount))
        response_warn(
            rq, rs,
            "token_max_ttl is greater than the backend mount's maximum TTL value; issued tokens' max "
            "TTL value will be truncated");
    if (rs->n_warnings)
        rs->status = 200;
    return role_save(rq, r, previous_id);
}

static struct error *role_read(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    struct role *r;

    TRY(role_load(rq, field_str(rq, "role_name"), &r));
    if (!r)
        return fail_absent(rq);
    struct json *data = response_data(rq, rs);

    token_fields_show(a, data, &r->token);
    json_set_bool(a, data, STR("bind_secret_id"), r->bind_secret_id);
    json_set_bool(a, data, STR("local_secret_ids"), role_is_local(r));
    json_set(a, data, STR("secret_id_bound_cidrs"),
             r->secret_id_cidrs ? json_strings(a, r->secret_id_cidrs, r->n_secret_id_cidrs) : json_null(a));
    json_set_int(a, data, STR("secret_id_num_uses"), r->secret_id_num_uses);
    json_set_int(a, data, STR("secret_id_ttl"), r->secret_id_ttl_ns / NS_PER_S);
    if (r->old_period_ns)
        json_set_int(a, data, STR("period"), r->old_period_ns / NS_PER_S);
    if (r->n_old_policies)
        json_set(a, data, STR("policies"), json_strings(a, r->old_policies, r->n_old_policies));
    return NULL;
}

/* Some secret ids a step. Nobody logs in from the first step on; the role goes last: the others are found by
 * it. */
static struct error *role_delete(struct request *rq, struct response *rs)
{
    struct secret_id *s;
    struct role *r;
    str *hmacs;
    size_t n;

    TRY(role_load(rq, field_str(rq, "role_name"), &r));
    if (!r)
        return NULL;
    str folder = secret_id_folder(rq, r);

    TRY(role_forget_id(rq, r->role_id));
    TRY(view_list(rq->view, folder, &hmacs, &n));
    for (size_t i = 0; i < n; i++) {
        if (i == DELETE_STEP)
            return response_again(rs);
        TRY(secret_id_load_any(rq, folder, hmacs[i], &s));
        if (s)
            TRY(secret_id_delete(rq, s));
    }
    return view_delete(rq->view, arena_join(rq->arena, STR("role/"), arena_lower(rq->arena, r->name)));
}

static struct error *role_list(struct request *rq, struct response *rs)
{
    str *names;
    size_t n;

    TRY(view_list(rq->view, STR("role/"), &names, &n));
    return response_list(rq, rs, names, n);
}

static struct error *tidy_write(struct request *rq, struct response *rs)
{
    request_sweep(rq, approle_tidy);
    response_warn(rq, rs,
                  "Tidy operation successfully started. Any information from the operation will be printed "
                  "to Vault's server logs.");
    rs->status = 202;
    return NULL;
}

/* ---- the table ---- */

static const struct field role_fields[] = {
    {"role_name", FT_NAME, FIELD_PATH, .help = "Name of the role; letters are taken as lower case."},
    {"bind_secret_id", FT_BOOL, .dflt = "true", .help = "Whether a login needs a secret id."},
    {"bound_cidr_list", FT_STRINGS, FIELD_DEPRECATED, .help = "Use secret_id_bound_cidrs."},
    {"secret_id_bound_cidrs", FT_STRINGS, .help = "Blocks that logins may come from."},
    {"policies", FT_STRINGS, FIELD_DEPRECATED, .help = "Use token_policies."},
    {"secret_id_num_uses", FT_INT, .help = "How often a secret id may be used; 0: without limit."},
    {"secret_id_ttl", FT_SECONDS, .help = "How long a secret id lives; 0: without end."},
    {"period", FT_SECONDS, FIELD_DEPRECATED, .help = "Use token_period."},
    {"role_id", FT_STRING, .help = "The role's id for logins; without it, one is drawn."},
    {"local_secret_ids", FT_BOOL, .help = "Secret ids stay with this cluster. Only when the role is made."},
    TOKEN_FIELDS,
    {0},
};

static const struct route role_routes[] = {
    {"role", .ops = {[OP_LIST] = {role_list, .help = "Lists the roles."}}, .help = "The names of all roles."},
    {"role/{role_name}", role_fields,
     .ops = {[OP_READ] = {role_read, .help = "Shows a role."},
             [OP_UPDATE] = {role_write, .help = "Makes or changes a role."},
             [OP_DELETE] = {role_delete, ROUTE_BULK, "Removes a role and its secret ids."}},
     .exists = role_exists, .help = "A role: who may log in by it, and what its tokens may.",
     .about =
         "A login needs the role's id and, unless bind_secret_id is false, one of its secret ids. What is "
         "not given stays as it is."},
    {"tidy/secret-id", .ops = {[OP_UPDATE] = {tidy_write, .help = "Begins to remove them."}},
     .help = "Secret ids whose time is over.",
     .about = "They are refused from that moment on, and removed now and then; this removes them now, in the "
              "background."},
    {0},
};

static const struct route *const more_routes[] = {approle_field_routes, approle_secret_id_routes,
                                                  approle_login_routes, NULL};

const struct engine approle_method = {
    .type = "approle",
    .kind = ENGINE_AUTH,
    .routes = role_routes,
    .more_routes = more_routes,
    .help = "Machines that log in with the id of a role and a secret id.",
    .plugin_version = "v1.14.7+builtin.vault",
    .login_alias = approle_login_alias,
    .login_role = approle_login_role,
    .renew = approle_renew,
    .sweep = &approle_tidy[APPROLE_TIDY_IDS],
};
