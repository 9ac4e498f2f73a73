#include "api/front_private.h"
#include "base/log.h"

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
    for (size_t i = 0; i < c->n_loops; i++)
        f->loops[i] = (struct front_loop){c->loops[i], arena_new(0)};
    return f;
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
    answer_call(CONTAINER_OF(call, struct front_call, call));
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
