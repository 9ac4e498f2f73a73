/* The usage gauges: tokens, leases and entities, counted in the background every usage_gauge_period.
 *
 * Tokens are read one by one on the storage pool, a few at a time; a step that is run again meets some twice,
 * and they come in order, so what is not behind the last one is not counted again. Of label values only the
 * most frequent are kept (maximum_gauge_cardinality). Beyond USAGE_TOKENS_MAX nothing is read: it would push
 * what is in use out of the cache. */
#include "base/log.h"
#include "core/active_private.h"
#include "core/identity/identity.h"
#include "core/internal.h"
#include "core/lease/scan.h"
#include "core/telemetry/telemetry_private.h"
#include "core/token/token_private.h"

#include <stdlib.h>

enum { USAGE_TOKENS_MAX = 100000, DIMENSIONS = 3 };

struct tally { /* one label value */
    struct tally *next;
    str value;
    uint64_t n;
};

struct usage {
    struct active *active;
    struct loop_timer timer;
    int64_t period_ns;
    struct arena *arena; /* of the count under way */
    struct tally *tallies[DIMENSIONS];
    uint64_t tokens, entities;
    str last; /* path */
};

static const struct {
    const char *gauge, *label;
} dimensions[DIMENSIONS] = {{"token.count.by_policy", "policy"},
                            {"token.count.by_auth", "auth_method"},
                            {"token.count.by_ttl", "creation_ttl"}};
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

static str ttl_label(int64_t ttl_ns)
{
    static const struct {
        int64_t s;
        const char *label;
    } bounds[] = {{60, "1m"},    {600, "10m"},   {1200, "20m"},  {3600, "1h"},    {7200, "2h"},
                  {86400, "1d"}, {172800, "2d"}, {604800, "7d"}, {2592000, "30d"}};

    for (size_t i = 0; ttl_ns > 0 && i < COUNT_OF(bounds); i++)
        if (ttl_ns <= bounds[i].s * NS_PER_S)
            return str_from_cstr(bounds[i].label);
    return STR("+Inf");
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
    count(u, BY_TTL, ttl_label(te->ttl_ns));
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

/* With the labels every usage gauge has, and one more (its name empty: none). */
static void usage_gauge(struct usage *u, str name, struct metric_label more, uint64_t n)
{
    struct metric_label labels[] = {
        {STR("cluster"), u->active->cluster_name}, {STR("namespace"), STR("root")}, more};
    size_t n_labels = more.name.n ? 3 : 2;

    qsort(labels, n_labels, sizeof(*labels), by_label);
    metric_gauge(name, labels, n_labels, (double)n);
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
                    (struct metric_label){str_from_cstr(dimensions[dimension].label), all[i]->value},
                    all[i]->n);
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

static void publish(bool complete, void *arg)
{
    struct usage *u = arg;

    if (complete) {
        usage_gauge(u, STR("token.count"), (struct metric_label){0}, u->tokens);
        for (int i = 0; i < DIMENSIONS; i++)
            publish_dimension(u, i);
    }
    again(u);
}

static struct error *count_entities(struct request *rq, struct response *rs)
{
    struct usage *u = rq->internal_arg;
    size_t n;

    (void)rs;
    TRY(identity_count(rq, &n));
    u->entities = n;
    return NULL;
}

static void entities_counted(const struct error *e, void *arg)
{
    struct usage *u = arg;

    if (!e)
        usage_gauge(u, STR("identity.entity.count"), (struct metric_label){0}, u->entities);
    publish_leases(u);
    if (lease_manager_count(u->active->leases) > USAGE_TOKENS_MAX) {
        log_info("telemetry", "too many tokens to count them by policy", F_INT("max", USAGE_TOKENS_MAX));
        again(u);
        return;
    }
    scan_start(u->active, active_space(u->active, SPACE_TOKEN), STR("id/"), visit, publish, u);
}

static void begin(struct loop *l, struct loop_timer *t)
{
    struct usage *u = CONTAINER_OF(t, struct usage, timer);

    (void)l;
    u->arena = arena_new(0);
    u->tokens = u->entities = 0;
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
