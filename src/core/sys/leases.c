/* leases: sys/leases/: looking at what was given out, renewing and ending it; and the older names of these
 * routes. */
#include "core/active.h"
#include "core/lease/lease.h"
#include "core/mount.h"
#include "core/sys/sys.h"
#include "core/token/token.h"

enum { SHOWN_MAX = 10000 };

/* ---- one lease ---- */

static struct error *named(struct request *rq, str *ret_id)
{
    *ret_id = field_str(rq, "lease_id");
    if (ret_id->n == 0)
        *ret_id = field_str(rq, "url_lease_id");
    return ret_id->n ? NULL : fail(rq, ERR_BAD_REQUEST, "lease_id must be specified");
}

static struct error *load(struct request *rq, str id, struct lease **ret)
{
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);

    return lease_get(&v, rq->arena, id, ret);
}

/* NULL: it may be renewed. */
static const char *why_not_renewable(const struct request *rq, const struct lease *l)
{
    if (l->revoke_err.n > 0)
        return "lease is not renewable and has failed previous revocation attempts";
    if (l->expire_time_ns == TIME_ZERO_NS)
        return "lease is not renewable";
    if (l->expire_time_ns < clock_wall_ns(rq->clock))
        return "lease expired";
    return l->renewable ? NULL : "lease is not renewable";
}

static void set_time(struct arena *a, struct json *d, str name, int64_t ns)
{
    json_set(a, d, name, ns == TIME_ZERO_NS ? json_null(a) : json_string(a, time_format(a, ns)));
}

static struct error *lookup(struct request *rq, struct response *rs)
{
    int64_t begun_ns = clock_mono_ns(clock_real());
    struct lease *l;

    if (field_str(rq, "lease_id").n == 0)
        return fail(rq, ERR_BAD_REQUEST, "lease_id must be specified");
    TRY(load(rq, field_str(rq, "lease_id"), &l));
    if (!l)
        return fail(rq, ERR_BAD_REQUEST, "invalid lease");
    txn_time(rq->txn, METRIC_EXPIRE_FETCH_LEASE_TIMES, begun_ns);
    struct json *d = response_data(rq, rs);
    bool ends = l->expire_time_ns != TIME_ZERO_NS;
    int64_t left = ends ? l->expire_time_ns - clock_wall_ns(rq->clock) : 0;

    json_set_str(rq->arena, d, STR("id"), l->id);
    json_set_str(rq->arena, d, STR("issue_time"), time_format(rq->arena, l->issue_time_ns));
    set_time(rq->arena, d, STR("expire_time"), l->expire_time_ns);
    set_time(rq->arena, d, STR("last_renewal"), l->last_renewal_ns);
    json_set_bool(rq->arena, d, STR("renewable"), !why_not_renewable(rq, l));
    json_set_int(rq->arena, d, STR("ttl"), left / NS_PER_S);
    return NULL;
}

static struct error *renew(struct request *rq, struct response *rs)
{
    struct lease *l;
    str id;

    TRY(named(rq, &id));
    TRY(load(rq, id, &l));
    const char *why = l ? why_not_renewable(rq, l) : "lease not found";

    if (why)
        return fail(rq, ERR_BAD_REQUEST, "%s", why);
    if (l->of_token)
        return fail(rq, ERR_BAD_REQUEST, "tokens cannot be renewed through this endpoint");
    return lease_renew_secret(rq, rs, l, field_ns(rq, "increment"));
}

/* ---- ending ---- */

/* One that is ended later answers 202. */
static enum lease_how how_of(const struct request *rq, struct response *rs)
{
    if (field_bool(rq, "sync"))
        return LEASE_STRICT;
    rs->status = 202;
    return LEASE_LATER;
}

static struct error *revoke_one(struct request *rq, struct response *rs, struct lease *l, enum lease_how how)
{
    int64_t begun_ns = clock_mono_ns(clock_real());
    unsigned left = TOKEN_STEP_ENTRIES;
    bool done;

    TRY(lease_revoke_within(rq, l, how, &left, &done));
    if (!done)
        return response_again(rs);
    if (how != LEASE_LATER)
        txn_time(rq->txn, METRIC_EXPIRE_REVOKE, begun_ns);
    return NULL;
}

static struct error *revoke(struct request *rq, struct response *rs)
{
    enum lease_how how = how_of(rq, rs);
    struct lease *l;
    str id;

    TRY(named(rq, &id));
    TRY(load(rq, id, &l));
    return l ? revoke_one(rq, rs, l, how) : NULL;
}

/* A prefix without its slash may be a lease. */
static struct error *revoke_below(struct request *rq, struct response *rs, enum lease_how how)
{
    str prefix = field_str(rq, "prefix");
    struct lease *l = NULL;
    bool done;

    if (!str_ends(prefix, STR("/"))) {
        TRY(load(rq, prefix, &l));
        prefix = arena_join(rq->arena, prefix, STR("/"));
    }
    if (l)
        return revoke_one(rq, rs, l, how);
    TRY(lease_revoke_prefix(rq, prefix, how, &done));
    return done ? NULL : response_again(rs);
}

static struct error *revoke_prefix(struct request *rq, struct response *rs)
{
    return revoke_below(rq, rs, how_of(rq, rs));
}

static struct error *revoke_force(struct request *rq, struct response *rs)
{
    return revoke_below(rq, rs, LEASE_FORCE);
}

static void start_tidy(struct active *a, void *arg)
{
    (void)arg;
    lease_tidy_start(a);
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

/* ---- lists ---- */

static struct error *list(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);
    str prefix = str_from(rq->rel, STR("leases/lookup/").n), *names;
    size_t n;

    TRY(view_list(&v, arena_join(rq->arena, STR("id/"), prefix), &names, &n));
    return response_list(rq, rs, names, n);
}

static size_t irrevocable(struct request *rq, size_t max, str **ret_ids)
{
    size_t n = lease_manager_irrevocable(active_leases(rq->active));

    *ret_ids = ARENA_ARRAY(rq->arena, str, MIN(n, max) + 1);
    return lease_manager_irrevocable_ids(active_leases(rq->active), rq->arena, MIN(n, max), *ret_ids);
}

static str accessor_of(const struct request *rq, str lease_id)
{
    const struct mount *m = mount_find(request_mounts(rq), lease_id);

    return m ? m->accessor : STR("unknown");
}

static bool asks_irrevocable(const struct request *rq)
{
    return str_eq_nocase(field_str(rq, "type"), STR("irrevocable"));
}

static struct error *count(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    str *ids;

    if (!asks_irrevocable(rq))
        return fail_absent(rq);
    size_t n = irrevocable(rq, SIZE_MAX, &ids);
    struct json *counts = json_object(a);

    for (size_t i = 0; i < n; i++) {
        str accessor = accessor_of(rq, ids[i]);

        json_set_int(a, counts, accessor, json_get_int(counts, accessor) + 1);
    }
    json_set(a, response_data(rq, rs), STR("counts"), counts);
    json_set_int(a, response_data(rq, rs), STR("lease_count"), (int64_t)n);
    return NULL;
}

static struct error *limit_of(struct request *rq, size_t *ret)
{
    str text = field_str(rq, "limit");
    int64_t n;

    *ret = SHOWN_MAX;
    if (str_eq(text, STR("none")))
        *ret = SIZE_MAX;
    if (text.n == 0 || *ret == SIZE_MAX)
        return NULL;
    if (!str_parse_i64(text, &n))
        return fail_wrapped(rq, ERR_INTERNAL,
                            "invalid 'limit' provided: strconv.Atoi: parsing \"%.*s\": invalid syntax",
                            PSTR(text));
    if (n < 1)
        return fail_wrapped(rq, ERR_INTERNAL, "limit must be 'none' or a positive integer");
    *ret = (size_t)n;
    return NULL;
}

static struct error *irrevocable_list(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    struct json *leases = json_array(a);
    size_t max;
    str *ids;

    if (!asks_irrevocable(rq))
        return fail_absent(rq);
    TRY(limit_of(rq, &max));
    size_t n = irrevocable(rq, max, &ids);

    for (size_t i = 0; i < n; i++) {
        struct json *o = json_object(a);
        struct lease *l;

        TRY(load(rq, ids[i], &l));
        if (!l)
            continue;
        json_set_str(a, o, STR("lease_id"), l->id);
        json_set_str(a, o, STR("mount_accessor"), accessor_of(rq, l->id));
        json_set_str(a, o, STR("error"), l->revoke_err);
        json_append(a, leases, o);
    }
    if (n == max && lease_manager_irrevocable(active_leases(rq->active)) > n)
        response_warn(
            rq, rs,
            "Command halted because many irrevocable leases were found. To emit the entire list, re-run "
            "the command with force set true.");
    json_set_int(a, response_data(rq, rs), STR("lease_count"), leases->n);
    json_set(a, response_data(rq, rs), STR("leases"), leases);
    return NULL;
}

/* ---- the table ---- */

/* clang-format off */
static const struct field lookup_fields[] = {
    {"lease_id", FT_STRING, .help = "the lease"}, {0}};
static const struct field list_fields[] = {
    {"prefix", FT_STRING, FIELD_PATH, .help = "what the ids begin with"}, {0}};
#define RENEW_FIELDS                                                                                       \
    {"lease_id", FT_STRING, .help = "the lease"},                                                           \
    {"increment", FT_SECONDS, .help = "how long it shall last from now on", .dflt = "0"}
#define REVOKE_FIELDS                                                                                      \
    {"lease_id", FT_STRING, .help = "the lease"},                                                           \
    {"sync", FT_BOOL, .help = "answer when it is gone, not before", .dflt = "true"}
#define URL_FIELD {"url_lease_id", FT_STRING, FIELD_PATH, .help = "the lease"}
#define BODY_URL_FIELD {"url_lease_id", FT_STRING, .help = "the lease"}
static const struct field renew_fields[] = {RENEW_FIELDS, BODY_URL_FIELD, {0}};
static const struct field renew_url_fields[] = {RENEW_FIELDS, URL_FIELD, {0}};
static const struct field revoke_fields[] = {REVOKE_FIELDS, BODY_URL_FIELD, {0}};
static const struct field revoke_url_fields[] = {REVOKE_FIELDS, URL_FIELD, {0}};
static const struct field prefix_fields[] = {
    {"prefix", FT_STRING, FIELD_PATH | FIELD_REQUIRED, .help = "what the ids begin with"},
    {"sync", FT_BOOL, .help = "answer when they are gone, not before", .dflt = "true"}, {0}};
static const struct field irrevocable_fields[] = {
    {"type", FT_STRING, FIELD_QUERY, .help = "must be \"irrevocable\""},
    {"limit", FT_STRING, FIELD_QUERY, .help = "how many at most, or \"none\""},
    {"include_child_namespaces", FT_BOOL, FIELD_QUERY, .help = "has no effect: there are none"}, {0}};

#define RENEW {[OP_UPDATE] = {renew}}
#define REVOKE {[OP_UPDATE] = {revoke, ROUTE_BULK}}
#define PREFIX {[OP_UPDATE] = {revoke_prefix, ROUTE_BULK | ROUTE_SUDO}}
#define FORCE {[OP_UPDATE] = {revoke_force, ROUTE_BULK | ROUTE_SUDO}}

const struct route sys_lease_routes[] = {
    {"leases", irrevocable_fields, .ops = {[OP_READ] = {irrevocable_list}},
     .help = "leases that could not be revoked"},
    {"leases/count", irrevocable_fields, .ops = {[OP_READ] = {count}},
     .help = "how many leases could not be revoked"},
    {"leases/lookup", lookup_fields,
     .ops = {[OP_UPDATE] = {lookup, ROUTE_READONLY}, [OP_LIST] = {list, ROUTE_SUDO}},
     .help = "shows a lease, or lists them level by level"},
    {"leases/lookup/{prefix...}", list_fields, .ops = {[OP_LIST] = {list, ROUTE_SUDO}},
     .help = "lists leases level by level"},
    {"leases/renew", renew_fields, .ops = RENEW, .help = "lets the lease of a secret last longer"},
    {"leases/renew/{url_lease_id...}", renew_url_fields, .ops = RENEW,
     .help = "lets the lease of a secret last longer"},
    {"renew", renew_fields, .ops = RENEW, .help = "the older name of leases/renew"},
    {"renew/{url_lease_id...}", renew_url_fields, .ops = RENEW, .help = "the older name of leases/renew"},
    {"leases/revoke", revoke_fields, .ops = REVOKE, .help = "ends a lease: the token or secret goes"},
    {"leases/revoke/{url_lease_id...}", revoke_url_fields, .ops = REVOKE,
     .help = "ends a lease: the token or secret goes"},
    {"revoke", revoke_fields, .ops = REVOKE, .help = "the older name of leases/revoke"},
    {"revoke/{url_lease_id...}", revoke_url_fields, .ops = REVOKE, .help = "the older name of leases/revoke"},
    {"leases/revoke-prefix/{prefix...}", prefix_fields, .ops = PREFIX, .help = "ends all leases below a prefix"},
    {"revoke-prefix/{prefix...}", prefix_fields, .ops = PREFIX, .help = "the older name of leases/revoke-prefix"},
    {"leases/revoke-force/{prefix...}", prefix_fields, .ops = FORCE,
     .help = "ends all leases below a prefix, whether their engines can undo them or not"},
    {"revoke-force/{prefix...}", prefix_fields, .ops = FORCE, .help = "the older name of leases/revoke-force"},
    {"leases/tidy", NULL, .ops = {[OP_UPDATE] = {tidy}},
     .help = "removes leases whose token is gone, in the background"},
    {0},
};
/* clang-format on */
