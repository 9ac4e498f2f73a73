#include "core/active_private.h"
#include "core/quota/quota_private.h"

#include <stdlib.h>

/* Kept beside the settings: somebody has said which paths are exempt. */
#define TOGGLE STR("quotas/default_rate_limit_exempt_paths_toggle")

/* Until somebody says otherwise. */
static const str usually_exempt[] = {
    {"sys/generate-recovery-token/attempt", 35},
    {"sys/generate-recovery-token/update", 34},
    {"sys/generate-root/attempt", 25},
    {"sys/generate-root/update", 24},
    {"sys/health", 10},
    {"sys/seal-status", 15},
    {"sys/unseal", 10},
};

bool quota_counts_leases(const struct request *rq)
{
    return rq->core->config.config->enable_lease_count_quotas;
}

/* ---- settings ---- */

struct error *quota_config_load(struct request *rq, struct json **ret)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);
    bool said;

    TRY(view_get_json(&v, QUOTA_CONFIG, ret));
    TRY(view_has(&v, TOGGLE, &said));
    if (!*ret || (*ret)->type != JSON_OBJECT)
        *ret = json_object(rq->arena);
    if (!said)
        json_set(rq->arena, *ret, STR("rate_limit_exempt_paths"),
                 json_strings(rq->arena, usually_exempt, COUNT_OF(usually_exempt)));
    return NULL;
}

struct error *quota_config_save(struct request *rq, const struct json *config)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);

    TRY(view_put_json(&v, QUOTA_CONFIG, config));
    return view_put_json(&v, TOGGLE, json_bool(rq->arena, true));
}

static void take_config(struct quota_set *s, const struct json *config)
{
    size_t n;
    str *exempt = member_strs(s->arena, config, "rate_limit_exempt_paths", &n);

    for (size_t i = 0; i < n; i++)
        exempt[i] = arena_str(s->arena, exempt[i]);
    s->exempt = exempt;
    s->n_exempt = n;
    s->tells_headers = json_get_bool(config, STR("enable_rate_limit_response_headers"));
    s->audits_refusals = json_get_bool(config, STR("enable_rate_limit_audit_logging"));
}

/* ---- the set ---- */

static bool are_alike(const struct quota *x, const struct quota *y)
{
    return str_eq(x->name, y->name) && str_eq(x->mount, y->mount) && str_eq(x->path, y->path) &&
           str_eq(x->role, y->role) && x->rate == y->rate && x->interval_ns == y->interval_ns &&
           x->block_ns == y->block_ns && x->max_leases == y->max_leases;
}

/* The rule as it is in memory, with its counts, when it is still the same. */
static struct quota *reuse(const struct quota_rules *now, struct quota *own_q)
{
    for (size_t i = 0; now && i < now->n; i++)
        if (are_alike(now->v[i], own_q)) {
            quota_unref(own_q);
            atomic_fetch_add(&now->v[i]->refs, 1);
            return now->v[i];
        }
    return own_q;
}

static int compare(const void *x, const void *y)
{
    return str_cmp((*(struct quota *const *)x)->mount, (*(struct quota *const *)y)->mount);
}

static struct error *load_rules(struct request *rq, str folder, struct arena *a,
                                const struct quota_rules *now, struct quota_rules *r)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);
    struct json *stored;
    str *names;
    size_t n;

    TRY(view_list(&v, folder, &names, &n));
    r->v = ARENA_ARRAY(a, struct quota *, n + 1);
    for (size_t i = 0; i < n; i++) {
        TRY(view_get_json(&v, arena_join(rq->arena, folder, names[i]), &stored));
        struct quota *q = stored ? quota_from_json(stored) : NULL;

        if (q)
            r->v[r->n++] = reuse(now, q);
    }
    if (r->n)
        qsort(r->v, r->n, sizeof(struct quota *), compare);
    return NULL;
}

/* NULL: there are no rules. */
static struct error *load(struct request *rq, struct quota_set **ret)
{
    struct arena *arena = arena_new(0);
    struct quota_set *s = ARENA_NEW(arena, struct quota_set);
    struct snapshot *now = snapshot_hold(rq->active);
    struct json *config;

    s->arena = arena;
    atomic_init(&s->refs, 1);
    const struct quota_set *old = now->quotas;
    struct error *e = load_rules(rq, QUOTA_RATES, arena, old ? &old->rates : NULL, &s->rates);

    if (!e && quota_counts_leases(rq))
        e = load_rules(rq, QUOTA_LEASES, arena, old ? &old->leases : NULL, &s->leases);
    snapshot_drop(now);
    if (!e)
        e = quota_config_load(rq, &config);
    if (!e)
        take_config(s, config);
    if (e || s->rates.n + s->leases.n == 0) {
        quota_set_unref(s);
        s = NULL;
    }
    *ret = s;
    return e;
}

struct error *quota_open(struct request *rq, struct quota_set **ret)
{
    return load(rq, ret);
}

static void publish(struct active *a, void *own_set)
{
    struct snapshot *now = atomic_load(&a->snapshot);

    snapshot_publish(a, mount_set_ref(now->mounts), audit_set_ref(now->audit), own_set);
}

static void drop(void *own_set)
{
    quota_set_unref(own_set);
}

struct error *quota_publish(struct request *rq)
{
    struct quota_set *s;

    TRY(load(rq, &s));
    txn_on_commit(rq->txn, publish, drop, s);
    return NULL;
}

/* ---- mounts that go or move ---- */

/* to: empty: the rules go. */
static struct error *follow_in(struct request *rq, str folder, str from, str to, bool *ret_changed)
{
    struct view v = txn_view(rq->txn, SPACE_SYS);
    struct json *stored;
    str *names;
    size_t n;

    TRY(view_list(&v, folder, &names, &n));
    for (size_t i = 0; i < n; i++) {
        str path = arena_join(rq->arena, folder, names[i]);

        TRY(view_get_json(&v, path, &stored));
        if (!str_eq(json_get_str(stored, STR("mount_path")), from))
            continue;
        *ret_changed = true;
        if (to.n)
            json_set_str(rq->arena, stored, STR("mount_path"), to);
        TRY(to.n ? view_put_json(&v, path, stored) : view_delete(&v, path));
    }
    return NULL;
}

static struct error *follow(struct request *rq, str from, str to)
{
    bool changed = false;

    TRY(follow_in(rq, QUOTA_RATES, from, to, &changed));
    TRY(follow_in(rq, QUOTA_LEASES, from, to, &changed));
    return changed ? quota_publish(rq) : NULL;
}

struct error *quota_mount_gone(struct request *rq, str path)
{
    return follow(rq, path, (str){0});
}

struct error *quota_mount_moved(struct request *rq, str from, str to)
{
    return follow(rq, from, to);
}
