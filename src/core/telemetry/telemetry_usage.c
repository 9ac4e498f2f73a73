/* The usage gauges: tokens, leases, entities and secrets, counted in the background every usage_gauge_period.
 *
 * Tokens are read one by one on the storage pool, a few at a time; a step that is run again meets some twice,
 * and they come in order, so what is not behind the last one is not counted again. Of label values only the
 * most frequent are kept (maximum_gauge_cardinality). Beyond USAGE_TOKENS_MAX nothing is read: it would push
 * what is in use out of the cache. Secrets are counted by the names of their entries, which are not read. */
#include "base/log.h"
#include "core/active_private.h"
#include "core/identity/identity.h"
#include "core/internal.h"
#include "core/lease/scan.h"
#include "core/login/lockout.h"
#include "core/measure.h"
#include "core/mount.h"
#include "core/telemetry/telemetry_private.h"
#include "core/token/token_private.h"

#include <stdlib.h>

enum { USAGE_TOKENS_MAX = 100000, DIMENSIONS = 3 };

struct tally { /* one label value */
    struct tally *next;
    str value;
    uint64_t n;
};

struct counted_mount {
    str accessor, type, path, secrets_folder;
    struct space *space; /* NULL: secrets are not counted */
};

struct usage {
    struct active *active;
    struct loop_timer timer;
    int64_t period_ns;
    struct arena *arena; /* of the count under way */
    struct tally *tallies[DIMENSIONS];
    uint64_t tokens, entities, locked, secrets;
    struct counted_mount *mounts; /* sorted by accessor */
    uint64_t *aliases;            /* of each */
    size_t n_mounts, at;          /* at: the one whose secrets are counted */
    int64_t begun_ns;             /* of the count under way; monotonic */
    str last;                     /* path */
};

static const struct {
    const char *gauge, *label, *collection;
} dimensions[DIMENSIONS] = {{"token.count.by_policy", "policy", "token_by_policy"},
                            {"token.count.by_auth", "auth_method", "token_by_auth"},
                            {"token.count.by_ttl", "creation_ttl", "token_by_ttl"}};
enum { BY_POLICY, BY_AUTH, BY_TTL };

static void count(struct usage *u, int dimension, str value)
{
    struct tally *t = u->tallies[dimension];

    while (t && !str_eq(t->value, value))
        t = t->next;
    if (!t) {
        t = ARENA_NEW(u->arena, struct tally);
        t->value = arena_str(u->arena, value);
        t->next = u->tallies[dimension];
        u->tallies[dimension] = t;
    }
    t->n++;
}

static struct error *visit(struct request *rq, str path, void *arg)
{
    struct usage *u = arg;
    const struct token_entry *te;

    if (str_cmp(path, u->last) <= 0)
        return NULL;
    TRY(token_load_hash(rq, str_from(path, 3), &te)); /* after "id/" */
    u->last = arena_str(u->arena, path);
    if (!te)
        return NULL;
    const struct mount *m = mount_find(request_mounts(rq), te->path);

    u->tokens++;
    count(u, BY_AUTH, m ? m->type : STR("unknown"));
    count(u, BY_TTL, ttl_class_label(ttl_class(te->ttl_ns)));
    for (size_t i = 0; i < te->n_policies; i++)
        count(u, BY_POLICY, te->policies[i]);
    return NULL;
}

static int more_first(const void *x, const void *y)
{
    const struct tally *const *a = x, *const *b = y;

    return (*a)->n > (*b)->n ? -1 : (*a)->n < (*b)->n;
}

static int by_label(const void *x, const void *y)
{
    const struct metric_label *a = x, *b = y;

    return str_cmp(a->name, b->name);
}

/* With the labels every usage gauge has, and up to two more. */
static void usage_gauge(struct usage *u, str name, const struct metric_label *more, size_t n_more, uint64_t n)
{
    struct metric_label labels[4] = {{STR("cluster"), u->active->cluster_name},
                                     {STR("namespace"), STR("root")}};

    for (size_t i = 0; i < n_more; i++)
        labels[2 + i] = more[i];
    qsort(labels, 2 + n_more, sizeof(*labels), by_label);
    metric_gauge(name, labels, 2 + n_more, (double)n);
}

/* How long it took since the last one, and how often it is done. */
static void collected(struct usage *u, const char *gauge, int64_t begun_ns)
{
    const struct metric_label labels[] = {{STR("cluster"), u->active->cluster_name},
                                          {STR("gauge"), str_from_cstr(gauge)}};

    metric_time(metric_id(METRIC_SAMPLE, STR("metrics.collection"), labels, 2),
                clock_mono_ns(clock_real()) - begun_ns, 1);
    metric_time(metric_id(METRIC_SAMPLE, STR("metrics.collection.interval"), labels, 2), u->period_ns, 1);
}

static void not_collected(struct usage *u, const char *gauge)
{
    const struct metric_label labels[] = {{STR("cluster"), u->active->cluster_name},
                                          {STR("gauge"), str_from_cstr(gauge)}};

    metric_count(metric_id(METRIC_COUNTER, STR("metrics.collection.error"), labels, 2), 1);
}

static void publish_dimension(struct usage *u, int dimension)
{
    size_t n = 0, max = (size_t)u->active->core->config.config->telemetry.gauge_cardinality_max;

    for (struct tally *t = u->tallies[dimension]; t; t = t->next)
        n++;
    struct tally **all = ARENA_ARRAY(u->arena, struct tally *, n + 1);

    n = 0;
    for (struct tally *t = u->tallies[dimension]; t; t = t->next)
        all[n++] = t;
    qsort(all, n, sizeof(*all), more_first);
    for (size_t i = 0; i < MIN(n, max); i++)
        usage_gauge(u, str_from_cstr(dimensions[dimension].gauge),
                    &(struct metric_label){str_from_cstr(dimensions[dimension].label), all[i]->value}, 1,
                    all[i]->n);
    collected(u, dimensions[dimension].collection, u->begun_ns);
}

/* "2026-11-22 05:00:00 +0000 UTC": leases by when they end, to the nearest epsilon, the next ones only. */
static void publish_leases(struct usage *u)
{
    const struct config_telemetry *c = &u->active->core->config.config->telemetry;
    int64_t now_ns = clock_wall_ns(u->active->core->config.clock), step = c->lease_epsilon_ns;
    size_t n = (size_t)MIN(c->lease_buckets + 1, c->gauge_cardinality_max);
    uint64_t *counts = ARENA_ARRAY(u->arena, uint64_t, n);
    int64_t first = (now_ns + step / 2) / step;

    lease_manager_count_due(u->active->leases, first * step - step / 2, step, counts, n);
    for (size_t i = 0; i < n; i++) {
        str at = time_format(u->arena, (first + (int64_t)i) * step / NS_PER_S * NS_PER_S), day, hour;

        if (counts[i] == 0)
            continue;
        (void)str_cut(at, 'T', &day, &hour);
        struct metric_label labels[] = {
            {STR("cluster"), u->active->cluster_name},
            {STR("expiring"),
             arena_fmt(u->arena, "%.*s %.*s +0000 UTC", PSTR(day), PSTR(str_slice(hour, 0, hour.n - 1)))},
            {STR("namespace"), STR("root")}};

        metric_gauge(STR("expire.leases.by_expiration"), labels, c->lease_namespace_labels ? 3 : 2,
                     (double)counts[i]);
    }
}

static void again(struct usage *u)
{
    arena_freep(&u->arena);
    control_timer_set(u->active, &u->timer, u->period_ns);
}

/* ---- secrets, mount by mount ---- */

static struct error *visit_secret(struct request *rq, str path, void *arg)
{
    struct usage *u = arg;

    (void)rq;
    (void)path;
    u->secrets++; /* nothing is read: no step is run again */
    return NULL;
}

static void next_mount(struct usage *u);

static void secrets_counted(bool complete, void *arg)
{
    struct usage *u = arg;
    const struct metric_label mount = {STR("mount_point"), u->mounts[u->at].path};

    if (!complete) {
        not_collected(u, "kv_secrets_by_mountpoint");
        again(u);
        return;
    }
    usage_gauge(u, STR("secret.kv.count"), &mount, 1, u->secrets);
    u->at++;
    next_mount(u);
}

static void next_mount(struct usage *u)
{
    while (u->at < u->n_mounts && !u->mounts[u->at].space)
        u->at++;
    u->secrets = 0;
    if (u->at < u->n_mounts) {
        scan_start(u->active, u->mounts[u->at].space, u->mounts[u->at].secrets_folder, visit_secret,
                   secrets_counted, u);
        return;
    }
    collected(u, "kv_secrets_by_mountpoint", u->begun_ns);
    again(u);
}

static void count_secrets(struct usage *u)
{
    u->begun_ns = clock_mono_ns(clock_real());
    u->at = 0;
    next_mount(u);
}

/* ---- tokens ---- */

static void tokens_counted(bool complete, void *arg)
{
    struct usage *u = arg;

    if (complete) {
        usage_gauge(u, STR("token.count"), NULL, 0, u->tokens);
        collected(u, "token_by_namespace", u->begun_ns);
        for (int i = 0; i < DIMENSIONS; i++)
            publish_dimension(u, i);
    } else {
        not_collected(u, "token_by_namespace");
    }
    count_secrets(u);
}

static void count_tokens(struct usage *u)
{
    if (lease_manager_count(u->active->leases) > USAGE_TOKENS_MAX) {
        log_info("telemetry", "too many tokens to count them by policy", F_INT("max", USAGE_TOKENS_MAX));
        count_secrets(u);
        return;
    }
    u->begun_ns = clock_mono_ns(clock_real());
    scan_start(u->active, active_space(u->active, SPACE_TOKEN), STR("id/"), visit, tokens_counted, u);
}

/* ---- entities ---- */

static int by_accessor(const void *x, const void *y)
{
    return str_cmp(((const struct counted_mount *)x)->accessor, ((const struct counted_mount *)y)->accessor);
}

static void list_mounts(struct usage *u, const struct mount_table *table)
{
    struct arena *a = u->arena;

    u->n_mounts = table->n;
    u->mounts = ARENA_ARRAY(a, struct counted_mount, table->n + 1);
    for (size_t i = 0; i < table->n; i++) {
        const struct mount *m = &table->mounts[i];
        bool counts = m->engine && m->engine->secrets_folder;

        u->mounts[i] = (struct counted_mount){.accessor = arena_str(a, m->accessor),
                                              .type = arena_str(a, m->type),
                                              .path = arena_str(a, m->path)};
        if (counts) {
            u->mounts[i].space = m->space;
            u->mounts[i].secrets_folder = m->engine->secrets_folder(a, m);
        }
    }
    qsort(u->mounts, u->n_mounts, sizeof(*u->mounts), by_accessor);
}

static struct error *count_entities(struct request *rq, struct response *rs)
{
    struct usage *u = rq->internal_arg;
    size_t n, locked;

    (void)rs;
    TRY(lockout_count_locked(rq, &locked));
    TRY(identity_count(rq, &n));
    u->entities = n;
    u->locked = locked;
    list_mounts(u, request_mounts(rq));
    str *accessors = ARENA_ARRAY(rq->arena, str, u->n_mounts + 1);

    for (size_t i = 0; i < u->n_mounts; i++)
        accessors[i] = u->mounts[i].accessor;
    u->aliases = ARENA_ARRAY(u->arena, uint64_t, u->n_mounts + 1);
    identity_count_aliases(rq, accessors, u->aliases, u->n_mounts);
    return NULL;
}

static void publish_entities(struct usage *u)
{
    size_t left = (size_t)u->active->core->config.config->telemetry.gauge_cardinality_max;

    metric_gauge(STR("core.locked_users"), NULL, 0, (double)u->locked);
    metric_gauge(STR("identity.num_entities"), NULL, 0, (double)u->entities);
    usage_gauge(u, STR("identity.entity.count"), NULL, 0, u->entities);
    for (size_t i = 0; i < u->n_mounts && left; i++) {
        const struct metric_label mount[] = {{STR("auth_method"), u->mounts[i].type},
                                             {STR("mount_point"), u->mounts[i].path}};

        if (u->aliases[i] == 0)
            continue;
        usage_gauge(u, STR("identity.entity.alias.count"), mount, COUNT_OF(mount), u->aliases[i]);
        left--;
    }
    collected(u, "identity_by_namespace", u->begun_ns);
    collected(u, "identity_by_mountpoint", u->begun_ns);
}

static void entities_counted(const struct error *e, void *arg)
{
    struct usage *u = arg;

    if (e) {
        not_collected(u, "identity_by_namespace");
        u->n_mounts = 0;
    } else {
        publish_entities(u);
    }
    u->begun_ns = clock_mono_ns(clock_real());
    publish_leases(u);
    collected(u, "leases_by_expiration", u->begun_ns);
    count_tokens(u);
}

static void begin(struct loop *l, struct loop_timer *t)
{
    struct usage *u = CONTAINER_OF(t, struct usage, timer);

    (void)l;
    u->arena = arena_new(0);
    u->tokens = u->n_mounts = 0;
    u->begun_ns = clock_mono_ns(clock_real());
    u->last = (str){0};
    memset(u->tallies, 0, sizeof(u->tallies));
    if (!internal_read(u->active, count_entities, u, entities_counted))
        again(u);
}

void telemetry_usage_start(struct active *a)
{
    int64_t period_ns = a->core->config.config->telemetry.usage_period_ns;

    if (period_ns <= 0)
        return;
    a->usage = calloc(1, sizeof(*a->usage));
    if (!a->usage)
        die("out of memory");
    a->usage->active = a;
    a->usage->period_ns = period_ns;
    a->usage->timer.fn = begin;
    control_timer_set(a, &a->usage->timer, period_ns);
}

void telemetry_usage_stop(struct active *a)
{
    if (a->usage)
        control_timer_clear(a, &a->usage->timer);
}

void telemetry_usage_free(struct active *a)
{
    if (a->usage)
        arena_freep(&a->usage->arena);
    free(a->usage);
}
