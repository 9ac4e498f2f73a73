/* measure: the times of a request into the registry, when it is done. */
#include "base/metrics.h"
#include "core/call.h"

#include <stdatomic.h>

/* "route.read.kv-": the mount's slashes are '-'. */
static uint16_t route_metric(struct arena *a, const struct mount *m, enum op op)
{
    uint16_t id = atomic_load_explicit(&m->metrics[op], memory_order_relaxed);

    if (id != METRIC_NONE)
        return id;
    char *path = arena_copy(a, m->path.p, m->path.n);

    for (size_t i = 0; i < m->path.n; i++)
        path[i] = path[i] == '/' ? '-' : path[i];
    id = metric_id(METRIC_SAMPLE, arena_fmt(a, "route.%s.%.*s", op_name(op), (int)m->path.n, path), NULL, 0);
    atomic_store_explicit(&m->metrics[op], id, memory_order_relaxed); /* whoever finds it gets the same */
    return id;
}

void call_measure(const struct call_state *cs, int64_t now_ns)
{
    const struct request *rq = &cs->call->rq;
    bool login = request_route_flags(rq) & ROUTE_LOGIN;

    if (!cs->ran)
        return;
    metric_time(login ? METRIC_HANDLE_LOGIN_REQUEST : METRIC_HANDLE_REQUEST, now_ns - cs->started_ns, 1);
    if (cs->token_ns >= 0)
        metric_time(METRIC_FETCH_ACL_AND_TOKEN, cs->token_ns, 1);
    if (cs->checked_ns >= 0)
        metric_time(METRIC_CHECK_TOKEN, cs->checked_ns, 1);
    if (cs->handled_ns >= 0 && rq->mount && rq->op < OP_NONE)
        metric_time(route_metric(rq->arena, rq->mount, rq->op), cs->handled_ns, 1);
}
