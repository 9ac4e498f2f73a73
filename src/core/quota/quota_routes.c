/* quota_routes: sys/quotas/…: rate limits and their settings. */
#include "core/mount.h"
#include "core/quota/quota_private.h"

/* ---- settings ---- */

static struct error *config_read(struct request *rq, struct response *rs)
{
    static const char *const switches[] = {"enable_rate_limit_audit_logging",
                                           "enable_rate_limit_response_headers"};
    struct json *config, *data = response_data(rq, rs);
    size_t n;

    TRY(quota_config_load(rq, &config));
    for (size_t i = 0; i < COUNT_OF(switches); i++)
        json_set_bool(rq->arena, data, str_from_cstr(switches[i]),
                      json_get_bool(config, str_from_cstr(switches[i])));
    const str *exempt = member_strs(rq->arena, config, "rate_limit_exempt_paths", &n);

    json_set(rq->arena, data, STR("rate_limit_exempt_paths"), json_strings(rq->arena, exempt, n));
    return NULL;
}

/* What is not given gets its first value back, as the API does. */
static struct error *config_write(struct request *rq, struct response *rs)
{
    struct json *config;
    size_t n;
    const str *exempt = field_strs(rq, "rate_limit_exempt_paths", &n);

    (void)rs;
    TRY(txn_exclusive(rq->txn));
    TRY(quota_config_load(rq, &config));
    json_set_bool(rq->arena, config, STR("enable_rate_limit_audit_logging"),
                  field_bool(rq, "enable_rate_limit_audit_logging"));
    json_set_bool(rq->arena, config, STR("enable_rate_limit_response_headers"),
                  field_bool(rq, "enable_rate_limit_response_headers"));
    json_set(rq->arena, config, STR("rate_limit_exempt_paths"), json_strings(rq->arena, exempt, n));
    TRY(quota_config_save(rq, config));
    return quota_publish(rq);
}

/* ---- rules ---- */

static bool is_of_leases(const struct request *rq)
{
    return str_starts(str_from_cstr(rq->route->path), STR("quotas/lease-count"));
}

static str folder_of(const struct request *rq)
{
    return is_of_leases(rq) ? QUOTA_LEASES : QUOTA_RATES;
}

static str rule_path(const struct request *rq)
{
    return arena_join(rq->arena, folder_of(rq), field_str(rq, "name"));
}

/* Limits of leases, where they are switched off: as the open source Vault answers. */
static struct error *check_kind(struct request *rq)
{
    return !is_of_leases(rq) || quota_counts_leases(rq) ? NULL
                                                        : fail(rq, ERR_NOT_FOUND, "enterprise-only feature");
}

static str plain(str path)
{
    while (str_starts(path, STR("/")))
        path = str_from(path, 1);
    while (str_ends(path, STR("/")))
        path.n--;
    return path;
}

/* The mount of the path, and what is below it. */
static struct error *take_path(struct request *rq, struct json *rule)
{
    str path = plain(field_str(rq, "path")), role = field_str(rq, "role");
    const struct mount *m = path.n ? mount_find(request_mounts(rq), path) : NULL;
    str below = {0};

    if (path.n && !m)
        return fail(rq, ERR_BAD_REQUEST, "invalid mount path \"%.*s/\"", PSTR(path));
    if (m && path.n > m->path.n)
        below = str_from(path, m->path.n);
    if (role.n && below.n)
        return fail(
            rq, ERR_BAD_REQUEST,
            "Quotas cannot contain both a path suffix and a role. If a role is provided, path must be a "
            "valid auth mount with a concept of roles");
    if (role.n && !(m && m->is_auth))
        return fail(rq, ERR_BAD_REQUEST,
                    "Mount path \"%.*s\" is not a valid auth method and therefore unsuitable for use with "
                    "role-based quotas",
                    PSTR(m ? m->path : (str){0}));
    if (role.n && !(m->engine && m->engine->login_role))
        return fail(rq, ERR_BAD_REQUEST, "Mount path \"%.*s\" does not support use with role-based quotas",
                    PSTR(m->path));
    json_set_str(rq->arena, rule, STR("mount_path"), m ? m->path : (str){0});
    json_set_str(rq->arena, rule, STR("path_suffix"), below);
    json_set_str(rq->arena, rule, STR("role"), role);
    return NULL;
}

static bool have_same(const struct json *x, const struct json *y, const char *name)
{
    return str_eq(json_get_str(x, str_from_cstr(name)), json_get_str(y, str_from_cstr(name)));
}

/* No two rules fit the same requests equally well. */
static struct error *check_unique(struct request *rq, struct view *v, const struct json *rule)
{
    struct json *other;
    str *names;
    size_t n;

    TRY(view_list(v, folder_of(rq), &names, &n));
    for (size_t i = 0; i < n; i++) {
        TRY(view_get_json(v, arena_join(rq->arena, folder_of(rq), names[i]), &other));
        if (!str_eq(names[i], field_str(rq, "name")) && have_same(other, rule, "mount_path") &&
            have_same(other, rule, "path_suffix") && have_same(other, rule, "role"))
            return fail(rq, ERR_BAD_REQUEST,
                        "quota rule with similar properties exists under the name \"%.*s\"", PSTR(names[i]));
    }
    return NULL;
}

static struct error *take_rate(struct request *rq, struct json *rule)
{
    double rate = field_float(rq, "rate");
    int64_t interval = field_ns(rq, "interval");

    if (!(rate > 0))
        return fail(rq, ERR_BAD_REQUEST, "'rate' is invalid");
    json_set(rq->arena, rule, STR("rate"), json_double(rq->arena, rate));
    json_set_int(rq->arena, rule, STR("interval"), interval ? interval : NS_PER_S);
    json_set_int(rq->arena, rule, STR("block_interval"), field_ns(rq, "block_interval"));
    return NULL;
}

static struct error *take_leases(struct request *rq, struct json *rule)
{
    int64_t max = field_int(rq, "max_leases");

    if (max <= 0)
        return fail(rq, ERR_BAD_REQUEST, "'max_leases' is invalid");
    if (field_str(rq, "role").n)
        return fail(rq, ERR_BAD_REQUEST, "'role' cannot be used with lease count quotas");
    json_set_int(rq->arena, rule, STR("max_leases"), max);
    return NULL;
}

static struct error *rule_write(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);
    struct arena *a = rq->arena;
    struct json *rule;

    (void)rs;
    TRY(check_kind(rq));
    TRY(txn_exclusive(rq->txn));
    TRY(view_get_json(&v, rule_path(rq), &rule));
    if (!rule) {
        rule = json_object(a);
        json_set_str(a, rule, STR("id"), rng_uuid_str(rq->rng, a));
        json_set_str(a, rule, STR("namespace_path"), STR(""));
    }
    TRY(is_of_leases(rq) ? take_leases(rq, rule) : take_rate(rq, rule));
    TRY(take_path(rq, rule));
    TRY(check_unique(rq, &v, rule));
    json_set_str(a, rule, STR("type"), is_of_leases(rq) ? STR("lease-count") : STR("rate-limit"));
    json_set_str(a, rule, STR("name"), field_str(rq, "name"));
    TRY(view_put_json(&v, rule_path(rq), rule));
    return quota_publish(rq);
}

static void show_rate(struct arena *a, struct json *data, const struct json *rule)
{
    json_set(a, data, STR("rate"), json_double(a, json_get_double(rule, STR("rate"))));
    json_set_int(a, data, STR("interval"), json_get_int(rule, STR("interval")) / NS_PER_S);
    json_set_int(a, data, STR("block_interval"), json_get_int(rule, STR("block_interval")) / NS_PER_S);
}

static void show_leases(struct request *rq, struct json *data, const struct json *rule)
{
    const struct quota q = {.mount = json_get_str(rule, STR("mount_path")),
                            .path = json_get_str(rule, STR("path_suffix"))};

    json_set_int(rq->arena, data, STR("max_leases"), json_get_int(rule, STR("max_leases")));
    json_set_int(rq->arena, data, STR("counter"), quota_lease_count(rq, &q));
}

static struct error *rule_read(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);
    struct arena *a = rq->arena;
    struct json *rule, *data;

    TRY(check_kind(rq));
    TRY(view_get_json(&v, rule_path(rq), &rule));
    if (!rule)
        return fail_absent(rq);
    data = response_data(rq, rs);
    json_set_str(a, data, STR("type"), is_of_leases(rq) ? STR("lease-count") : STR("rate-limit"));
    json_set_str(a, data, STR("name"), json_get_str(rule, STR("name")));
    json_set_str(
        a, data, STR("path"),
        arena_join(a, json_get_str(rule, STR("mount_path")), json_get_str(rule, STR("path_suffix"))));
    json_set_str(a, data, STR("role"), json_get_str(rule, STR("role")));
    if (is_of_leases(rq))
        show_leases(rq, data, rule);
    else
        show_rate(a, data, rule);
    return NULL;
}

static struct error *rule_delete(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);

    (void)rs;
    TRY(check_kind(rq));
    TRY(txn_exclusive(rq->txn));
    TRY(view_delete(&v, rule_path(rq)));
    return quota_publish(rq);
}

static struct error *rule_list(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);
    str *names;
    size_t n;

    TRY(check_kind(rq));
    TRY(view_list(&v, folder_of(rq), &names, &n));
    return response_list(rq, rs, names, n);
}

/* ---- the table ---- */

static const struct field config_fields[] = {
    {"enable_rate_limit_audit_logging", FT_BOOL, .help = "Whether requests over a limit are audited."},
    {"enable_rate_limit_response_headers", FT_BOOL, .help = "Whether answers tell what a limit allows."},
    {"rate_limit_exempt_paths", FT_STRINGS,
     .help = "Paths that no limit counts; with \"*\" or \"/\" at the end, all that begin so."},
    {0},
};

static const struct field rule_fields[] = {
    {"name", FT_NAME, FIELD_PATH, .help = "Name of the rule."},
    {"type", FT_STRING, .help = "Kind of the rule; not needed."},
    {"path", FT_STRING,
     .help = "A mount, or a path in one, with \"*\" at the end a pattern; none: everything."},
    {"role", FT_STRING, .help = "With an auth method as path: logins of this role."},
    {"rate", FT_FLOAT, .help = "How many requests an address may send in an interval."},
    {"interval", FT_SECONDS, .help = "How long an interval is; none: a second."},
    {"block_interval", FT_SECONDS,
     .help = "How long an address over the limit is refused; none: to the end."},
    {0},
};

static const struct field lease_fields[] = {
    {"name", FT_NAME, FIELD_PATH, .help = "Name of the rule."},
    {"type", FT_STRING, .help = "Kind of the rule; not needed."},
    {"path", FT_STRING,
     .help = "A mount, or a path in one, with \"*\" at the end a pattern; none: everything."},
    {"role", FT_STRING, .help = "Not for leases."},
    {"max_leases", FT_INT, .help = "How many leases there may be."},
    {0},
};

const struct route quota_routes[] = {
    {"quotas/config", config_fields,
     .ops = {[OP_READ] = {config_read, .help = "Shows the settings."},
             [OP_UPDATE] = {config_write, .help = "Sets all of them."}},
     .help = "What holds for all rate limits."},
    {"quotas/rate-limit", .ops = {[OP_LIST] = {rule_list, .help = "Lists the rules."}},
     .help = "The names of all rate limits."},
    {"quotas/rate-limit/{name}", rule_fields,
     .ops = {[OP_READ] = {rule_read, .help = "Shows a rule."},
             [OP_UPDATE] = {rule_write, .help = "Makes a rule, or another one of it."},
             [OP_DELETE] = {rule_delete, .help = "Removes a rule."}},
     .help = "How many requests an address may send.",
     .about =
         "Of the rules that fit a request the most specific one counts it: a role's, a path's, the longest "
         "pattern's, a mount's, the one without a path."},
    {"quotas/lease-count", .ops = {[OP_LIST] = {rule_list, .help = "Lists the rules."}},
     .help = "The names of all limits of leases."},
    {"quotas/lease-count/{name}", lease_fields,
     .ops = {[OP_READ] = {rule_read, .help = "Shows a rule."},
             [OP_UPDATE] = {rule_write, .help = "Makes a rule, or another one of it."},
             [OP_DELETE] = {rule_delete, .help = "Removes a rule."}},
     .help = "How many leases there may be.",
     .about =
         "Only where the configuration has enable_lease_count_quotas. Tokens and secrets are counted alike; "
         "at the limit no new ones are given out."},
    {0},
};
