#include "base/pool.h"

#include "base/log.h"
#include "base/mutex.h"

#include <stdlib.h>

struct pool {
    struct mutex lock;
    struct cond work, idle;
    struct job *first, **last;      /* lock: lock */
    unsigned queued, busy, waiting; /* lock: lock */
    unsigned started;               /* lock: lock; threads */
    bool closed;                    /* lock: lock */
    const char *name;
    unsigned queue_max, threads_max; /* constant */
    struct thread threads[];
};

/* The next job, or NULL when the pool is closed and empty. The caller was busy before or has just started. */
static struct job *job_next_locked(struct pool *p) REQUIRES(p->lock)
{
    while (!p->first && !p->closed) {
        p->waiting++;
        cond_wait(&p->work, &p->lock);
        p->waiting--;
    }
    struct job *j = p->first;
    if (!j)
        return NULL;
    p->first = j->next;
    if (!p->first)
        p->last = &p->first;
    p->queued--;
    p->busy++;
    return j;
}

static void pool_thread(void *arg)
{
    struct pool *p = arg;
    mutex_lock(&p->lock);
    for (struct job *j; (j = job_next_locked(p));) {
        mutex_unlock(&p->lock);
        j->fn(j);
        mutex_lock(&p->lock);
        if (--p->busy == 0 && !p->first)
            cond_broadcast(&p->idle);
    }
    mutex_unlock(&p->lock);
}

struct pool *pool_new(const char *name, unsigned threads, unsigned queue_max)
{
    struct pool *p = calloc(1, sizeof(*p) + threads * sizeof(p->threads[0]));
    if (!p)
        die("out of memory");
    mutex_init(&p->lock);
    cond_init(&p->work);
    cond_init(&p->idle);
    p->last = &p->first;
    p->queue_max = queue_max;
    p->threads_max = threads;
    p->name = name;
    return p;
}

/* Threads are started when there is work for them: an idle one costs 72 KiB. */
bool pool_submit(struct pool *p, struct job *j)
{
    mutex_lock(&p->lock);
    bool ok = p->queued < p->queue_max && !p->closed;
    if (ok) {
        j->next = NULL;
        *p->last = j;
        p->last = &j->next;
        p->queued++;
        cond_signal(&p->work);
        if (p->queued > p->waiting && p->started < p->threads_max) /* under the lock: pool_free joins it */
            thread_start(&p->threads[p->started++], p->name, pool_thread, p);
    }
    mutex_unlock(&p->lock);
    return ok;
}

void pool_drain(struct pool *p)
{
    mutex_lock(&p->lock);
    while (p->first || p->busy)
        cond_wait(&p->idle, &p->lock);
    mutex_unlock(&p->lock);
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    mutex_lock(&p->lock);
    p->closed = true;
    cond_broadcast(&p->work);
    mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->started; i++)
        thread_join(&p->threads[i]);
    cond_done(&p->work);
    cond_done(&p->idle);
    mutex_done(&p->lock);
    free(p);
}
