#include "base/log.h"
#include "core/call.h"
#include "core/lane.h"
#include "core/quota/quota_private.h"

#include <stdlib.h>

/* ---- rules and sets ---- */

static str keep(char **at, str s)
{
    str kept = {*at, s.n};

    if (s.n)
        memcpy(*at, s.p, s.n);
    *at += s.n;
    return kept;
}

struct quota *quota_from_json(const struct json *stored)
{
    str name = json_get_str(stored, STR("name")), mount = json_get_str(stored, STR("mount_path")),
        path = json_get_str(stored, STR("path_suffix")), role = json_get_str(stored, STR("role"));
    bool is_rate = !str_eq(json_get_str(stored, STR("type")), STR("lease-count"));
    double rate = json_get_double(stored, STR("rate"));
    int64_t leases = json_get_int(stored, STR("max_leases"));
    int64_t interval = json_get_int(stored, STR("interval")),
            block = json_get_int(stored, STR("block_interval"));

    if (is_rate ? rate <= 0 || interval < 0 || block < 0 : leases <= 0)
        return NULL;
    struct quota *q = calloc(1, sizeof(*q) + name.n + mount.n + path.n + role.n);

    if (!q)
        die("out of memory");
    char *text = (char *)(q + 1);

    atomic_init(&q->refs, 1);
    q->name = keep(&text, name);
    q->mount = keep(&text, mount);
    q->path = keep(&text, path);
    q->role = keep(&text, role);
    q->max_leases = leases;
    q->violations = metric_id(
        METRIC_COUNTER, is_rate ? STR("quota.rate_limit.violation") : STR("quota.lease_count.violation"),
        &(struct metric_label){STR("name"), q->name}, 1);
    if (!is_rate)
        return q;
    q->rate = rate;
    q->interval_ns = interval ? interval : NS_PER_S;
    q->block_ns = block;
    double limit = MIN(MAX(rate + 0.5, 1), 0x1p62);

    q->counts = quota_counts_new((uint64_t)limit, q->interval_ns, q->block_ns);
    return q;
}

void quota_unref(struct quota *q)
{
    if (!q || atomic_fetch_sub(&q->refs, 1) != 1)
        return;
    quota_counts_free(q->counts);
    free(q);
}

struct quota_set *quota_set_ref(struct quota_set *s)
{
    if (s)
        atomic_fetch_add(&s->refs, 1);
    return s;
}

void quota_set_unref(struct quota_set *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    for (size_t i = 0; i < s->rates.n; i++)
        quota_unref(s->rates.v[i]);
    for (size_t i = 0; i < s->leases.n; i++)
        quota_unref(s->leases.v[i]);
    arena_free(s->arena);
}

bool quota_set_limits_rates(const struct quota_set *s)
{
    return s && s->rates.n > 0;
}

/* ---- which rule ---- */

/* "sys/health"; what ends in '/' or '*' stands for all that begins so; '!' in front: not these. */
static bool path_fits(str pattern, str path)
{
    if (str_ends(pattern, STR("*")))
        return str_starts(path, str_slice(pattern, 0, pattern.n - 1));
    return str_ends(pattern, STR("/")) ? str_starts(path, pattern) : str_eq(path, pattern);
}

bool quota_is_exempt(const struct quota_set *s, str path)
{
    bool fits = false;

    for (size_t i = 0; i < s->n_exempt; i++) {
        if (!str_starts(s->exempt[i], STR("!")))
            fits = fits || path_fits(s->exempt[i], path);
        else if (path_fits(str_from(s->exempt[i], 1), path))
            return false;
    }
    return fits;
}

/* How well the rule of this mount fits; 0: not. */
static size_t rank_of(const struct quota *q, str path, str role)
{
    enum { MOUNT = 1, PATTERN = 2 }; /* and its length */

    if (q->role.n)
        return str_eq(q->role, role) ? SIZE_MAX : 0;
    if (q->path.n == 0)
        return MOUNT;
    if (str_eq(q->path, path))
        return SIZE_MAX - 1;
    if (str_ends(q->path, STR("*")) && str_starts(path, str_slice(q->path, 0, q->path.n - 1)))
        return PATTERN + q->path.n;
    return 0;
}

/* The first rule of the mount, or where it would be. */
static size_t first_of(const struct quota_rules *r, str mount)
{
    size_t low = 0, high = r->n;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (str_cmp(r->v[mid]->mount, mount) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const struct quota *quota_match(const struct quota_rules *r, str mount, str path, str role)
{
    const struct quota *best = r->n > 0 && r->v[0]->mount.n == 0 ? r->v[0] : NULL; /* for everything */
    size_t best_rank = 0;

    if (mount.n == 0)
        return best;
    while (str_ends(path, STR("/")))
        path.n--;
    for (size_t i = first_of(r, mount); i < r->n && str_eq(r->v[i]->mount, mount); i++) {
        size_t rank = rank_of(r->v[i], path, role);

        if (rank > best_rank) {
            best = r->v[i];
            best_rank = rank;
        }
    }
    return best;
}

/* ---- counting ---- */

static void told(struct core_call *call, const struct quota_set *s, const struct quota_told *t)
{
    if (s->tells_headers)
        call->quota = arena_copy(call->rq.arena, t, sizeof(*t));
}

static struct error *exceeded(struct request *rq)
{
    return fail(rq, ERR_RATE_LIMITED, "request path \"%.*s\": rate limit quota exceeded", PSTR(rq->path));
}

/* A request line alone, as there is for a request that runs. Who asks too much must not fill the devices
 * unless that is wanted. */
static void audit_refusal(const struct snapshot *s, struct core_call *call, const struct mount *m,
                          struct arena *scratch)
{
    struct request *rq = &call->rq;
    struct audit_lines lines = {0};
    const struct audit_lines *all[] = {&lines};

    if (!s->quotas->audits_refusals || audit_set_is_empty(s->audit))
        return;
    struct audit_event e = {.rq = rq, .error_text = call->error->text, .time_ns = clock_wall_ns(rq->clock)};

    rq->mount = m;
    audit_make_request(rq->arena, s->audit, &e, &lines);
    if (!audit_write(scratch, s->audit, all, 1))
        log_error("core", "a request over its quota could not be audited", F_STR("request_id", rq->id));
    rq->mount = NULL;
}

/* A login that only its role tells how to count. */
static bool is_by_role(const struct quota_set *s, const struct request *rq, const struct mount *m, str rel)
{
    str params[REQUEST_PARAMS_MAX];
    const struct route *r = m->is_auth && m->engine ? route_match(m->routes, rel, params) : NULL;

    if (!r || rq->op != OP_UPDATE || !(r->flags & ROUTE_LOGIN))
        return false;
    for (size_t i = first_of(&s->rates, m->path); i < s->rates.n && str_eq(s->rates.v[i]->mount, m->path);
         i++)
        if (s->rates.v[i]->role.n)
            return true;
    return false;
}

static bool count(struct core_call *call, const struct snapshot *s, struct arena *scratch)
{
    struct request *rq = &call->rq;
    const struct mount *m = mount_find(&s->mounts->table, rq->path);
    str mount = m ? m->path : (str){0},
        rel = m && rq->path.n > mount.n ? str_from(rq->path, mount.n) : (str){0};
    struct quota_told t;

    if (!s->quotas || quota_is_exempt(s->quotas, rq->path) || (m && is_by_role(s->quotas, rq, m, rel)))
        return true;
    const struct quota *q = quota_match(&s->quotas->rates, mount, rel, (str){0});

    if (!q)
        return true;
    bool fits = quota_counts_take(q->counts, rq->peer.remote_address, clock_mono_ns(rq->clock), &t);

    told(call, s->quotas, &t);
    if (fits)
        return true;
    metric_count(q->violations, 1);
    call->error = exceeded(rq);
    audit_refusal(s, call, m, scratch);
    return false;
}

bool quota_enter(struct active *a, struct core_call *call, struct arena *scratch)
{
    struct snapshot *s = snapshot_hold(a);
    bool fits = count(call, s, scratch);

    snapshot_drop(s);
    return fits;
}

/* Once for a request, however often it runs. One that names no role counts for the mount. */
struct error *quota_login(struct request *rq)
{
    struct call_state *cs = CONTAINER_OF(rq->txn, struct call_state, txn);
    const struct quota_set *s = cs->snapshot->quotas;
    str role = {0};

    if (!s || quota_is_exempt(s, rq->path) || !is_by_role(s, rq, rq->mount, rq->rel))
        return NULL;
    if (!cs->quota_counted) {
        struct error *e = rq->mount->engine->login_role ? rq->mount->engine->login_role(rq, &role) : NULL;

        if (e && e->kind == ERR_WOULD_BLOCK)
            return e;
        const struct quota *q = quota_match(&s->rates, rq->mount->path, rq->rel, role);

        if (q)
            cs->quota_exceeded =
                !quota_counts_take(q->counts, rq->peer.remote_address, clock_mono_ns(rq->clock), &cs->quota);
        if (cs->quota_exceeded)
            metric_count(q->violations, 1);
        if (q && s->tells_headers)
            cs->call->quota = &cs->quota;
        cs->quota_counted = true;
    }
    return cs->quota_exceeded ? exceeded(rq) : NULL;
}

/* ---- leases ---- */

int64_t quota_lease_count(struct request *rq, const struct quota *q)
{
    str path = q->path;
    bool below = path.n == 0 || str_ends(path, STR("*"));

    if (path.n && below)
        path.n--;
    return (int64_t)lease_manager_count_path(active_leases(rq->active), arena_join(rq->arena, q->mount, path),
                                             below);
}

struct error *quota_lease(struct request *rq, str path)
{
    enum { IN_FLIGHT_MAX = 2 * LANE_GROUP_REQUESTS_MAX };
    const struct quota_set *s = CONTAINER_OF(rq->txn, struct call_state, txn)->snapshot->quotas;
    const struct mount *m = s && s->leases.n > 0 ? mount_find(request_mounts(rq), path) : NULL;
    const struct quota *q = m ? quota_match(&s->leases, m->path, str_from(path, m->path.n), (str){0}) : NULL;

    if (!q)
        return NULL;
    int64_t n = quota_lease_count(rq, q);

    if (n >= q->max_leases) {
        txn_count(rq->txn, q->violations);
        return fail(rq, ERR_RATE_LIMITED, "request path \"%.*s\": lease count quota exceeded",
                    PSTR(rq->path));
    }
    return n + IN_FLIGHT_MAX >= q->max_leases ? txn_exclusive(rq->txn) : NULL;
}
