/* measure: the times of a request into the registry, when it is done. */
#include "core/measure.h"

#include "base/metrics.h"
#include "core/call.h"

#include <stdatomic.h>

/* "route.read.kv-": the mount's slashes are '-'. */
static uint16_t route_metric(struct arena *a, const struct mount *m, enum op op)
{
    _Atomic(uint16_t) *kept = &m->metrics[MOUNT_ROUTE + op];
    uint16_t id = atomic_load_explicit(kept, memory_order_relaxed);

    if (id != METRIC_NONE)
        return id;
    char *path = arena_copy(a, m->path.p, m->path.n);

    for (size_t i = 0; i < m->path.n; i++)
        path[i] = path[i] == '/' ? '-' : path[i];
    id = metric_id(METRIC_SAMPLE, arena_fmt(a, "route.%s.%.*s", op_name(op), (int)m->path.n, path), NULL, 0);
    atomic_store_explicit(kept, id, memory_order_relaxed); /* whoever finds it gets the same */
    return id;
}

void call_measure(struct call_state *cs, int64_t now_ns)
{
    const struct request *rq = &cs->call->rq;
    bool login = request_route_flags(rq) & ROUTE_LOGIN;

    if (!cs->ran)
        return;
    txn_measured(&cs->txn);
    metric_time(login ? METRIC_HANDLE_LOGIN_REQUEST : METRIC_HANDLE_REQUEST, now_ns - cs->started_ns, 1);
    if (cs->token_ns >= 0)
        metric_time(METRIC_FETCH_ACL_AND_TOKEN, cs->token_ns, 1);
    if (cs->checked_ns >= 0)
        metric_time(METRIC_CHECK_TOKEN, cs->checked_ns, 1);
    if (cs->handled_ns >= 0 && rq->mount && rq->op < OP_NONE)
        metric_time(route_metric(rq->arena, rq->mount, rq->op), cs->handled_ns, 1);
}

/* ---- what logins and token/ make ---- */

static const struct {
    int64_t s;
    const char *label;
} classes[TTL_CLASSES] = {{60, "1m"},       {600, "10m"},       {1200, "20m"},  {3600, "1h"},
                          {7200, "2h"},     {86400, "1d"},      {172800, "2d"}, {604800, "7d"},
                          {2592000, "30d"}, {INT64_MAX, "+Inf"}};

unsigned ttl_class(int64_t ttl_ns)
{
    unsigned i = ttl_ns > 0 ? 0 : TTL_CLASSES - 1;

    while (i < TTL_CLASSES - 1 && ttl_ns > classes[i].s * NS_PER_S)
        i++;
    return i;
}

str ttl_class_label(unsigned class)
{
    return str_from_cstr(classes[class].label);
}

static void count(struct request *rq, unsigned which, const char *name, const struct metric_label *labels,
                  size_t n)
{
    _Atomic(uint16_t) *kept = &rq->mount->metrics[which];
    uint16_t id = atomic_load_explicit(kept, memory_order_relaxed);

    if (id == METRIC_NONE) {
        id = metric_id(METRIC_COUNTER, str_from_cstr(name), labels, n);
        atomic_store_explicit(kept, id, memory_order_relaxed);
    }
    txn_count(rq->txn, id);
}

void measure_token_creation(struct request *rq, int token_type, int64_t ttl_ns)
{
    bool batch = token_type == TOKEN_BATCH;
    unsigned class = ttl_class(ttl_ns);
    const struct metric_label labels[] = {{STR("auth_method"), rq->mount->type},
                                          {STR("cluster"), rq->active->cluster_name},
                                          {STR("creation_ttl"), ttl_class_label(class)},
                                          {STR("mount_point"), rq->mount->path},
                                          {STR("namespace"), STR("root")},
                                          {STR("token_type"), batch ? STR("batch") : STR("service")}};

    count(rq, MOUNT_TOKEN_CREATION + (batch ? TTL_CLASSES : 0) + class, "token.creation", labels,
          COUNT_OF(labels));
}

void measure_entity_creation(struct request *rq)
{
    const struct metric_label labels[] = {{STR("auth_method"), rq->mount->type},
                                          {STR("cluster"), rq->active->cluster_name},
                                          {STR("mount_point"), rq->mount->path},
                                          {STR("namespace"), STR("root")}};

    count(rq, MOUNT_ENTITY_CREATION, "identity.entity.creation", labels, COUNT_OF(labels));
}
