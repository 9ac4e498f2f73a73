/* in_flight: sys/in-flight-req: what is being answered just now. The lists belong to the loops, so the
 * control thread asks one loop after the other; a loop never waits, so neither does it for long. */
#include "core/active_private.h"
#include "core/call.h"
#include "core/sys/sys.h"

#include <stdatomic.h>

struct asked {
    struct post post;
    struct inflight *slot;
    struct arena *arena; /* the loop's while it is asked */
    struct json *all;
    struct mutex mutex;
    struct cond answered;
    bool done; /* lock: mutex */
};

static struct json *describe(struct arena *a, const struct call_state *cs, int64_t wall_ns, int64_t mono_ns)
{
    static const char *const methods[OP_COUNT_] = {
        [OP_READ] = "GET",    [OP_CREATE] = "PUT",    [OP_UPDATE] = "PUT",
        [OP_PATCH] = "PATCH", [OP_DELETE] = "DELETE", [OP_LIST] = "LIST",
        [OP_HELP] = "GET",    [OP_HEADER] = "HEAD",   [OP_NONE] = "OPTIONS"};
    const struct request *rq = &cs->call->rq;
    struct json *o = json_object(a);

    json_set_str(a, o, STR("start_time"), time_format(a, wall_ns - (mono_ns - cs->started_ns)));
    json_set_str(a, o, STR("client_remote_address"),
                 arena_fmt(a, "%.*s:%d", PSTR(rq->peer.remote_address), rq->peer.remote_port));
    json_set_str(a, o, STR("request_path"), arena_fmt(a, "/v1/%.*s", PSTR(rq->path)));
    json_set_str(a, o, STR("request_method"), str_from_cstr(methods[cs->op_asked]));
    json_set_str(a, o, STR("client_id"), STR("")); /* known only where the request runs */
    return o;
}

static void ask_posted(struct loop *l, struct post *p)
{
    struct asked *q = CONTAINER_OF(p, struct asked, post);
    int64_t wall_ns = clock_wall_ns(clock_real()), mono_ns = clock_mono_ns(clock_real());

    (void)l;
    for (const struct call_state *cs = q->slot->calls; cs; cs = cs->live_next)
        json_set(q->arena, q->all, arena_str(q->arena, cs->call->rq.id),
                 describe(q->arena, cs, wall_ns, mono_ns));
    mutex_lock(&q->mutex);
    q->done = true;
    cond_signal(&q->answered);
    mutex_unlock(&q->mutex);
}

static void ask(struct asked *q)
{
    q->done = false;
    q->post.fn = ask_posted;
    loop_post(q->slot->loop, &q->post);
    mutex_lock(&q->mutex);
    while (!q->done)
        cond_wait(&q->answered, &q->mutex);
    mutex_unlock(&q->mutex);
}

struct error *sys_in_flight(struct core *c, struct arena *a, void *arg)
{
    struct core_call *call = arg;
    struct asked q = {.arena = a, .all = json_object(a)};

    mutex_init(&q.mutex);
    cond_init(&q.answered);
    for (unsigned i = 0; i < atomic_load(&c->n_loops); i++) {
        q.slot = &c->loops[i];
        ask(&q);
    }
    cond_done(&q.answered);
    mutex_done(&q.mutex);
    call->rs.status = 200;
    call->rs.data = q.all;
    call->rs.bare_body = true;
    return NULL;
}

static struct error *in_flight_read(struct request *rq, struct response *rs)
{
    rs->control = sys_in_flight;
    rs->control_arg = CONTAINER_OF(rq, struct core_call, rq);
    return NULL;
}

const struct route sys_in_flight_routes[] = {
    {"in-flight-req", NULL, .ops = {[OP_READ] = {in_flight_read, ROUTE_LANE, "Shows them."}},
     .help = "The requests being answered just now."},
    {0},
};
