#include "core/stream.h"

#include "base/log.h"
#include "core/active_private.h"
#include "core/call.h"

#include <stdatomic.h>
#include <stdlib.h>

struct stream {
    struct stream *next, *prev; /* lock: streams_mutex of the core */
    struct core *core;
    const struct stream_source *source;
    void *opened;
    void (*ready)(void *arg);
    void *arg;
    struct loop *loop;
    struct post post;
    _Atomic(bool) posted; /* set by who wakes, cleared by the loop */
    _Atomic(bool) ended;  /* at seal */
    bool closed;          /* loop: freed with the post that is on its way */
};

static void on_wake(struct loop *l, struct post *p)
{
    struct stream *s = CONTAINER_OF(p, struct stream, post);

    (void)l;
    atomic_store(&s->posted, false);
    if (s->closed)
        free(s);
    else
        s->ready(s->arg);
}

void stream_wake(struct stream *s)
{
    if (!atomic_exchange(&s->posted, true))
        loop_post(s->loop, &s->post);
}

/* False: there are too many. A node that was sealed meanwhile: the stream ends at its first pull. */
static bool list_add(struct stream *s, uint64_t generation)
{
    struct core *c = s->core;

    mutex_lock(&c->streams_mutex);
    bool fits = c->n_streams < STREAMS_MAX;

    if (fits) {
        s->next = c->streams;
        if (s->next)
            s->next->prev = s;
        c->streams = s;
        c->n_streams++;
        if (atomic_load(&c->generation) != generation)
            atomic_store(&s->ended, true);
    }
    mutex_unlock(&c->streams_mutex);
    return fits;
}

struct stream *core_stream_open(struct core_call *call, void (*ready)(void *arg), void *arg)
{
    const struct call_state *cs = call->state;
    struct stream *s = calloc(1, sizeof(*s));

    if (!s)
        die("out of memory");
    s->core = call->rq.core;
    s->source = call->rs.stream;
    s->ready = ready;
    s->arg = arg;
    s->loop = call->loop;
    s->post.fn = on_wake;
    if (!list_add(s, cs->active->generation)) {
        free(s);
        return NULL;
    }
    s->opened = s->source->open(s, call->rs.stream_arg);
    return s;
}

size_t core_stream_next(struct stream *s, uint8_t *out, size_t max, bool *ret_end)
{
    bool ended = atomic_load(&s->ended);
    size_t n = s->source->next(s->opened, out, max, ret_end);

    *ret_end = *ret_end || ended;
    return n;
}

void core_stream_close(struct stream *s)
{
    struct core *c = s->core;

    s->source->close(s->opened);
    mutex_lock(&c->streams_mutex);
    if (s->prev)
        s->prev->next = s->next;
    else
        c->streams = s->next;
    if (s->next)
        s->next->prev = s->prev;
    c->n_streams--;
    mutex_unlock(&c->streams_mutex);
    s->closed = true; /* nobody wakes it any more */
    if (!atomic_load(&s->posted))
        free(s);
}

void core_streams_end(struct core *c)
{
    mutex_lock(&c->streams_mutex);
    for (struct stream *s = c->streams; s; s = s->next) {
        atomic_store(&s->ended, true);
        stream_wake(s);
    }
    mutex_unlock(&c->streams_mutex);
}

void response_stream(struct response *rs, const struct stream_source *source, const void *arg)
{
    rs->stream = source;
    rs->stream_arg = arg;
}
