/* counters: sys/internal/counters/: how many tokens and entities there are. Client activity is not recorded:
 * its settings are kept (sys/counters/activity/config), its report is empty. */
#include "core/active_private.h"
#include "core/identity/identity.h"
#include "core/sys/sys.h"

enum { REPORT_MONTHS = 12, RETENTION_MONTHS = 24, RETENTION_MONTHS_MAX = 36, MONTHS_PER_YEAR = 12 };

/* ---- counts ---- */

static void total(struct request *rq, struct response *rs, const char *what, size_t n)
{
    struct json *counters = json_object(rq->arena), *one = json_object(rq->arena);

    json_set_int(rq->arena, one, STR("total"), (int64_t)n);
    json_set(rq->arena, counters, str_from_cstr(what), one);
    json_set(rq->arena, response_data(rq, rs), STR("counters"), counters);
}

static struct error *tokens_read(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    str *names;
    size_t n;

    TRY(view_list(&v, STR("accessor/"), &names, &n));
    total(rq, rs, "service_tokens", n);
    return NULL;
}

static struct error *entities_read(struct request *rq, struct response *rs)
{
    size_t n;

    TRY(identity_count(rq, &n));
    total(rq, rs, "entities", n);
    return NULL;
}

static struct error *requests_read(struct request *rq, struct response *rs)
{
    (void)rs;
    return fail(rq, ERR_NOT_FOUND, "The functionality has been removed on this path");
}

/* ---- settings of the client activity ---- */

static const char config_path[] = "counters/activity/config";

static struct error *activity_load(struct request *rq, struct json **ret)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);

    TRY(view_get_json(&v, str_from_cstr(config_path), ret));
    if (*ret)
        return NULL;
    *ret = json_object(rq->arena);
    json_set_int(rq->arena, *ret, STR("default_report_months"), REPORT_MONTHS);
    json_set_int(rq->arena, *ret, STR("retention_months"), RETENTION_MONTHS);
    json_set_str(rq->arena, *ret, STR("enabled"), STR("default"));
    json_set_int(rq->arena, *ret, STR("census_report_interval"), 0);
    return NULL;
}

static struct error *config_read(struct request *rq, struct response *rs)
{
    struct json *data = response_data(rq, rs), *c;

    TRY(activity_load(rq, &c));
    str enabled = json_get_str(c, STR("enabled"));

    json_set_str(rq->arena, data, STR("enabled"),
                 str_eq(enabled, STR("default")) ? STR("default-disabled") : enabled);
    json_set_int(rq->arena, data, STR("default_report_months"),
                 json_get_int(c, STR("default_report_months")));
    json_set_int(rq->arena, data, STR("retention_months"), json_get_int(c, STR("retention_months")));
    json_set_str(rq->arena, data, STR("billing_start_timestamp"), time_format(rq->arena, TIME_ZERO_NS));
    json_set_int(rq->arena, data, STR("minimum_retention_months"), 0);
    json_set_bool(rq->arena, data, STR("queries_available"), false);
    json_set_bool(rq->arena, data, STR("reporting_enabled"), false);
    return NULL;
}

static struct error *config_months(struct request *rq, struct response *rs, struct json *c)
{
    int64_t report = field_int(rq, "default_report_months"), kept = field_int(rq, "retention_months");

    if (field_given(rq, "default_report_months")) {
        if (report <= 0)
            return fail(rq, ERR_BAD_REQUEST, "default_report_months must be greater than 0");
        json_set_int(rq->arena, c, STR("default_report_months"), report);
    }
    if (!field_given(rq, "retention_months"))
        return NULL;
    if (kept < 0)
        return fail(rq, ERR_BAD_REQUEST, "retention_months must be greater than or equal to 0");
    if (kept > RETENTION_MONTHS_MAX)
        response_warn(rq, rs, "retention_months cannot be greater than 36; capped to 36.");
    json_set_int(rq->arena, c, STR("retention_months"), MIN(kept, RETENTION_MONTHS_MAX));
    return NULL;
}

static struct error *config_write(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);
    str enabled = field_str(rq, "enabled");
    struct json *c;

    TRY(activity_load(rq, &c));
    TRY(config_months(rq, rs, c));
    if (field_given(rq, "enabled")) {
        if (!str_eq(enabled, STR("default")) && !str_eq(enabled, STR("enable")) &&
            !str_eq(enabled, STR("disable")))
            return fail(rq, ERR_BAD_REQUEST, "enabled must be one of \"default\", \"enable\", \"disable\"");
        if (str_eq(json_get_str(c, STR("enabled")), STR("enable")) && !str_eq(enabled, STR("enable")))
            response_warn(
                rq, rs, "the current monthly segment will be deleted because the activity log was disabled");
        json_set_str(rq->arena, c, STR("enabled"), enabled);
    }
    if (str_eq(json_get_str(c, STR("enabled")), STR("enable")) &&
        json_get_int(c, STR("retention_months")) == 0)
        return fail(rq, ERR_BAD_REQUEST, "retention_months cannot be 0 while enabled");
    return view_put_json(&v, str_from_cstr(config_path), c);
}

/* ---- the report ---- */

/* The first of the month, so many months before the one of `now`. */
static str month_start(struct arena *a, int64_t now_ns, int64_t months_back)
{
    str now = time_format(a, now_ns);
    int64_t year = 0, month = 0;

    bool ok = str_parse_i64(str_slice(now, 0, 4), &year) && str_parse_i64(str_slice(now, 5, 7), &month);
    int64_t n = ok ? MAX(year * MONTHS_PER_YEAR + month - 1 - months_back, 0) : 0;

    return arena_fmt(a, "%04lld-%02lld-01T00:00:00Z", (long long)(n / MONTHS_PER_YEAR),
                     (long long)(n % MONTHS_PER_YEAR + 1));
}

static void put_counts(struct arena *a, struct json *o)
{
    static const char *const counts[] = {"clients", "distinct_entities", "entity_clients",
                                         "non_entity_clients", "non_entity_tokens"};

    for (size_t i = 0; i < COUNT_OF(counts); i++)
        json_set_int(a, o, str_from_cstr(counts[i]), 0);
}

static struct error *month_read(struct request *rq, struct response *rs)
{
    struct json *data = response_data(rq, rs);

    put_counts(rq->arena, data);
    json_set(rq->arena, data, STR("by_namespace"), json_array(rq->arena));
    json_set(rq->arena, data, STR("months"), json_array(rq->arena));
    return NULL;
}

static struct error *activity_read(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    struct json *data = response_data(rq, rs), *sum = json_object(a), *c;
    int64_t now = clock_wall_ns(rq->clock);
    str start = field_str(rq, "start_time"), end = field_str(rq, "end_time");

    TRY(activity_load(rq, &c));
    put_counts(a, sum);
    json_set(a, data, STR("total"), sum);
    json_set(a, data, STR("by_namespace"), json_array(a));
    json_set(a, data, STR("months"), json_array(a));
    json_set_str(a, data, STR("start_time"),
                 start.n ? start : month_start(a, now, json_get_int(c, STR("default_report_months"))));
    json_set_str(a, data, STR("end_time"), end.n ? end : time_format(a, now / NS_PER_S * NS_PER_S));
    return NULL;
}

/* ---- the router ---- */

static struct error *inspect_read(struct request *rq, struct response *rs)
{
    (void)rs;
    return fail(
        rq, ERR_BAD_REQUEST,
        "The Vault configuration must set \"introspection_endpoint\" to true to enable this endpoint");
}

static const struct field config_fields[] = {
    {"default_report_months", FT_INT, .help = "Months of a report that names no start."},
    {"retention_months", FT_INT, .help = "Months to keep."},
    {"enabled", FT_STRING, .help = "enable, disable or default."},
    {0},
};

static const struct field activity_fields[] = {
    {"start_time", FT_STRING, FIELD_QUERY, .help = "Begin of the report, RFC 3339."},
    {"end_time", FT_STRING, FIELD_QUERY, .help = "End of the report, RFC 3339."},
    {"limit_namespaces", FT_INT, FIELD_QUERY, .help = "How many namespaces to show."},
    {0},
};

static const struct field inspect_fields[] = {
    {"tag", FT_STRING, FIELD_PATH, .help = "Which part of the router."},
    {0},
};

const struct route sys_counter_routes[] = {
    {"internal/counters/requests", NULL, .ops = {[OP_READ] = {requests_read, .help = "Removed."}},
     .help = "Counts of requests: removed."},
    {"internal/counters/tokens", NULL, .ops = {[OP_READ] = {tokens_read, .help = "Counts tokens."}},
     .help = "How many service tokens there are."},
    {"internal/counters/entities", NULL, .ops = {[OP_READ] = {entities_read, .help = "Counts entities."}},
     .help = "How many entities there are."},
    {"internal/counters/config", config_fields,
     .ops = {[OP_READ] = {config_read, .help = "Shows the settings."},
             [OP_UPDATE] = {config_write, .help = "Sets them."}},
     .help = "What is kept of the clients' activity."},
    {"internal/counters/activity", activity_fields,
     .ops = {[OP_READ] = {activity_read, .help = "Shows the report."}},
     .help = "How many clients there were. None is recorded."},
    {"internal/counters/activity/monthly", NULL,
     .ops = {[OP_READ] = {month_read, .help = "Shows the report of this month."}},
     .help = "How many clients there are this month. None is recorded."},
    {"internal/inspect/router/{tag}", inspect_fields,
     .ops = {[OP_READ] = {inspect_read, ROUTE_SUDO, "Refused."}}, .help = "The router from inside: off."},
    {0},
};
