#include "api/front_private.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct front *front_new(const struct front_config *c)
{
    struct front *f = calloc(1, sizeof(*f) + c->n_loops * sizeof(f->loops[0]));

    if (!f)
        die("out of memory");
    f->core = c->core;
    f->config = c->config;
    f->n_loops = c->n_loops;
    if (f->config->enable_response_header_hostname &&
        gethostname(f->host_name_text, sizeof(f->host_name_text) - 1) == 0)
        f->host_name = str_from_cstr(f->host_name_text);
    atomic_init(&f->requests_level, -1);
    front_log_requests(f, c->config->log_requests_level);
    for (size_t i = 0; i < c->n_loops; i++)
        f->loops[i] = (struct front_loop){c->loops[i], arena_new(0)};
    return f;
}

void front_log_requests(struct front *f, str level)
{
    enum log_level l;

    if (level.n == 0 || str_eq_nocase(level, STR("off")))
        atomic_store(&f->requests_level, -1);
    else if (log_level_from_str(level, &l))
        atomic_store(&f->requests_level, (int)l);
    else
        log_warn("core", "invalid log_requests_level: requests are logged as before", F_STR("level", level));
}

void front_free(struct front *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n_loops; i++)
        arena_free(f->loops[i].scratch);
    free(f);
}

static void call_done(struct core_call *call)
{
    struct front_call *fc = CONTAINER_OF(call, struct front_call, call);

    if (!call->error && call->rs.stream)
        answer_stream(fc);
    else
        answer_call(fc);
}

void front_handle(struct exchange *x, void *arg)
{
    struct front *f = arg;
    struct front_call *fc = ARENA_NEW(x->arena, struct front_call);

    fc->exchange = x;
    fc->front = f;
    fc->call.loop = x->loop;
    fc->call.done = call_done;
    fc->call.rq.arena = x->arena;
    if (atomic_load_explicit(&f->requests_level, memory_order_relaxed) >= 0)
        fc->started_ns = clock_wall_ns(clock_real());
    if (front_cors(fc))
        return;
    struct parsed p = request_parse(fc);

    if (p.status) {
        answer_parsed(fc, &p);
        return;
    }
    fc->call.rq.id = rng_uuid_str(core_rng(f->core), x->arena);
    core_handle(f->core, &fc->call);
}
