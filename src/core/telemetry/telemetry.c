/* The settings of a telemetry, and the gauges of the moment. */
#include "base/log.h"
#include "core/active_private.h"
#include "core/identity/identity.h"
#include "core/login/lockout.h"
#include "core/telemetry/telemetry_private.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { RUNTIME_TICKS = 10 };
#define TICK_NS NS_PER_S

static unsigned external_sinks(const struct config *c)
{
    const struct config_telemetry *t = &c->telemetry;

    return (c->prometheus_retention_ns > 0) + (t->statsd_address.n > 0) + (t->statsite_address.n > 0) +
           (t->dogstatsd_addr.n > 0);
}

struct telemetry *telemetry_new(const struct config *c)
{
    struct telemetry *t = calloc(1, sizeof(*t));

    if (!t)
        die("out of memory");
    t->config = c;
    if (gethostname(t->host, sizeof(t->host) - 1) != 0)
        t->host[0] = 0;
    t->host_in_names = !c->metrics_disable_hostname && external_sinks(c) > 1 && t->host[0];
    if (t->host_in_names)
        log_warn("telemetry", "disable_hostname is false: the names of gauges contain the host's");
    if (c->telemetry.circonus_api_token.n)
        log_warn("telemetry", "there is no circonus sink: nothing is sent to it");
    if (c->telemetry.stackdriver_project_id.n)
        log_warn("telemetry", "there is no stackdriver sink: nothing is sent to it");
    t->sinks = sinks_new(t);
    return t;
}

void telemetry_free(struct telemetry *t)
{
    if (!t)
        return;
    sinks_free(t->sinks);
    free(t);
}

/* The longest rule that fits decides. */
static bool is_let_through(const struct config_telemetry *c, str name)
{
    bool through = c->filter_default || c->n_prefix_filters == 0;
    size_t longest = 0;

    for (size_t i = 0; i < c->n_prefix_filters; i++) {
        str rule = str_from(c->prefix_filters[i], 1);

        if (str_starts(name, rule) && rule.n >= longest) {
            longest = rule.n;
            through = c->prefix_filters[i].p[0] == '+';
        }
    }
    return through;
}

str telemetry_name(const struct telemetry *t, struct arena *a, const struct metric_read *m)
{
    const struct config_telemetry *c = &t->config->telemetry;
    bool host = m->kind == METRIC_GAUGE && t->host_in_names && !c->hostname_label;
    str name =
        arena_fmt(a, "%.*s.%s%s%.*s", PSTR(c->prefix), host ? t->host : "", host ? "." : "", PSTR(m->name));

    return is_let_through(c, name) ? name : (str){0};
}

/* ---- the gauges of the moment ---- */

static void cluster_gauge(const struct telemetry *t, const char *name, double value)
{
    const struct metric_label cluster = {STR("cluster"), str_from_cstr(t->cluster)};

    metric_gauge(str_from_cstr(name), &cluster, 1, value);
}

static void learn_cluster(struct core *c, struct telemetry *t)
{
    mutex_lock(&c->mutex);
    size_t n = MIN(c->cluster_name.n, sizeof(t->cluster) - 1);

    if (n > 0) {
        memcpy(t->cluster, c->cluster_name.p, n);
        t->cluster[n] = 0;
    }
    mutex_unlock(&c->mutex);
}

static int64_t in_flight(struct core *c)
{
    int64_t n = 0;

    for (unsigned i = 0; i < atomic_load(&c->n_loops); i++)
        n += atomic_load(&c->loops[i].n[0]) + atomic_load(&c->loops[i].n[1]);
    return n;
}

static void mount_gauges(const struct telemetry *t, struct active *a)
{
    static const char *const types[] = {"logical", "auth"}, *const locals[] = {"false", "true"};
    struct snapshot *s = snapshot_hold(a);
    unsigned counts[2][2] = {{0}};
    size_t sizes[2][2];

    for (size_t i = 0; i < s->mounts->table.n; i++)
        counts[s->mounts->table.mounts[i].is_auth][s->mounts->table.mounts[i].local]++;
    memcpy(sizes, s->mounts->bytes, sizeof(sizes));
    snapshot_drop(s);
    for (int auth = 0; auth < 2; auth++)
        for (int local = 0; local < 2; local++) {
            const struct metric_label labels[] = {{STR("cluster"), str_from_cstr(t->cluster)},
                                                  {STR("local"), str_from_cstr(locals[local])},
                                                  {STR("type"), str_from_cstr(types[auth])}};

            metric_gauge(STR("core.mount_table.num_entries"), labels, COUNT_OF(labels), counts[auth][local]);
            metric_gauge(STR("core.mount_table.size"), labels, COUNT_OF(labels), (double)sizes[auth][local]);
        }
}

/* How many entries were encrypted under the term since the last look. */
static void count_encryptions(struct telemetry *t, struct active *a)
{
    struct barrier_status s = barrier_status(a->barrier);
    char text[16];
    size_t n = (size_t)snprintf(text, sizeof(text), "%u", s.term);
    const struct metric_label term = {STR("term"), {text, n}};
    uint64_t before = t->term == s.term ? t->encryptions : 0;

    if (s.encryptions > before)
        metric_count(metric_id(METRIC_COUNTER, STR("barrier.estimated_encryptions"), &term, 1),
                     s.encryptions - before);
    t->term = s.term;
    t->encryptions = s.encryptions;
}

static void active_gauges(struct telemetry *t, struct active *a)
{
    metric_gauge(STR("expire.num_leases"), NULL, 0, (double)lease_manager_count(a->leases));
    metric_gauge(STR("expire.num_irrevocable_leases"), NULL, 0, (double)lease_manager_irrevocable(a->leases));
    mount_gauges(t, a);
    count_encryptions(t, a);
}

static void runtime_gauges(void)
{
    struct mallinfo2 m = mallinfo2();

    metric_gauge(STR("runtime.alloc_bytes"), NULL, 0, (double)(m.uordblks + m.hblkhd));
    metric_gauge(STR("runtime.sys_bytes"), NULL, 0, (double)(m.arena + m.hblkhd));
    metric_gauge(STR("runtime.num_goroutines"), NULL, 0, telemetry_process().threads);
}

void telemetry_tick(struct core *c)
{
    static const char *const always_zero[] = {"core.performance_standby",
                                              "core.replication.performance.primary",
                                              "core.replication.performance.secondary",
                                              "core.replication.dr.primary",
                                              "core.replication.dr.secondary",
                                              "core.replication.write_undo_logs"};
    struct telemetry *t = c->telemetry;
    enum core_state state = core_state(c);
    struct active *a = atomic_load(&c->active);
    int64_t keep_ns = t->config->prometheus_retention_ns;

    learn_cluster(c, t);
    cluster_gauge(t, "core.unsealed", state >= CORE_STANDBY);
    if (t->cluster[0] || state >= CORE_STANDBY) {
        cluster_gauge(t, "core.active", state == CORE_ACTIVE);
        cluster_gauge(t, "core.in_flight_requests", (double)in_flight(c));
        for (size_t i = 0; i < COUNT_OF(always_zero); i++)
            cluster_gauge(t, always_zero[i], 0);
    }
    if (a && state == CORE_ACTIVE)
        active_gauges(t, a);
    if (t->ticks++ % RUNTIME_TICKS == 0)
        runtime_gauges();
    metrics_roll(clock_wall_ns(clock_real()), keep_ns > 0 ? keep_ns : 24 * 3600 * NS_PER_S);
}

static void on_tick(struct loop *l, struct loop_timer *t)
{
    telemetry_tick(CONTAINER_OF(t, struct core, telemetry_timer));
    loop_timer_set(l, t, TICK_NS);
}

void telemetry_start(struct core *c)
{
    static const char *const ops[STORAGE_OPS_] = {
        [STORAGE_GET] = "get", [STORAGE_LIST] = "list", [STORAGE_PUT] = "put", [STORAGE_DELETE] = "delete"};
    struct arena *a = arena_new(0);

    for (int i = 0; i < STORAGE_OPS_; i++)
        c->storage_metrics[i] =
            metric_id(METRIC_SAMPLE, arena_fmt(a, "%.*s.%s", PSTR(c->config.storage_type), ops[i]), NULL, 0);
    arena_free(a);
    c->telemetry = telemetry_new(c->config.config);
    c->telemetry_timer.fn = on_tick;
    loop_timer_set(c->control, &c->telemetry_timer, 0);
}

void telemetry_stop(struct core *c)
{
    loop_timer_clear(c->control, &c->telemetry_timer);
    telemetry_free(c->telemetry);
}
