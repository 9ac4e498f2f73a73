#include "base/mutex.h"

#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

/* Sanitizers need far more stack than we do. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BIG_STACKS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(BIG_STACKS)
enum { STACK_BYTES = 4 * 1024 * 1024 };
#else
enum { STACK_BYTES = 256 * 1024 };
#endif

static void check(int rc, const char *what)
{
    if (rc != 0)
        die("%s: %s", what, strerrorname_np(rc));
}

void mutex_init(struct mutex *m)
{
    check(pthread_mutex_init(&m->m, NULL), "mutex_init");
}

void mutex_done(struct mutex *m)
{
    check(pthread_mutex_destroy(&m->m), "mutex_done");
}

void mutex_lock(struct mutex *m) UNCHECKED
{
    check(pthread_mutex_lock(&m->m), "mutex_lock");
}

void mutex_unlock(struct mutex *m) UNCHECKED
{
    check(pthread_mutex_unlock(&m->m), "mutex_unlock");
}

void cond_init(struct cond *c)
{
    pthread_condattr_t attr;
    check(pthread_condattr_init(&attr), "cond_init");
    check(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC), "cond_init");
    check(pthread_cond_init(&c->c, &attr), "cond_init");
    check(pthread_condattr_destroy(&attr), "cond_init");
}

void cond_done(struct cond *c)
{
    check(pthread_cond_destroy(&c->c), "cond_done");
}

void cond_wait(struct cond *c, struct mutex *m)
{
    check(pthread_cond_wait(&c->c, &m->m), "cond_wait");
}

bool cond_wait_ns(struct cond *c, struct mutex *m, int64_t timeout_ns)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    timeout_ns = MAX(timeout_ns, 0);
    t.tv_sec += timeout_ns / 1000000000;
    t.tv_nsec += timeout_ns % 1000000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    int rc = pthread_cond_timedwait(&c->c, &m->m, &t);
    if (rc == ETIMEDOUT)
        return false;
    check(rc, "cond_wait_ns");
    return true;
}

void cond_signal(struct cond *c)
{
    check(pthread_cond_signal(&c->c), "cond_signal");
}

void cond_broadcast(struct cond *c)
{
    check(pthread_cond_broadcast(&c->c), "cond_broadcast");
}

struct thread_start {
    void (*fn)(void *arg);
    void *arg;
};

static void *thread_main(void *p)
{
    struct thread_start start = *(struct thread_start *)p;
    free(p);
    start.fn(start.arg);
    return NULL;
}

void thread_start(struct thread *t, const char *name, void (*fn)(void *arg), void *arg)
{
    struct thread_start *start = malloc(sizeof(*start));
    if (!start)
        die("out of memory: thread %s", name);
    *start = (struct thread_start){fn, arg};
    pthread_attr_t attr;
    sigset_t all, old;
    sigfillset(&all);
    check(pthread_attr_init(&attr), "thread_start");
    check(pthread_attr_setstacksize(&attr, STACK_BYTES), "thread_start");
    check(pthread_sigmask(SIG_SETMASK, &all, &old), "thread_start"); /* the new thread inherits the mask */
    check(pthread_create(&t->id, &attr, thread_main, start), "thread_start");
    check(pthread_sigmask(SIG_SETMASK, &old, NULL), "thread_start");
    check(pthread_attr_destroy(&attr), "thread_start");
    char short_name[16] = {0};
    memcpy(short_name, name, MIN(strlen(name), sizeof(short_name) - 1));
    (void)pthread_setname_np(t->id, short_name); /* only for those who look at it */
}

void thread_join(struct thread *t)
{
    check(pthread_join(t->id, NULL), "thread_join");
}

/* Which numbers are taken. The lock also orders what the old owner of a number did before what the next one
 * does. */
static struct {
    struct mutex lock;
    bool taken[THREADS_MAX]; /* lock: lock */
} indices = {.lock = {PTHREAD_MUTEX_INITIALIZER}};
static pthread_key_t index_key;
static pthread_once_t index_once = PTHREAD_ONCE_INIT;

static void index_give_back(void *taken)
{
    mutex_lock(&indices.lock);
    *(bool *)taken = false;
    mutex_unlock(&indices.lock);
}

static void index_key_make(void)
{
    check(pthread_key_create(&index_key, index_give_back), "thread_index");
}

unsigned thread_index(void)
{
    static _Thread_local unsigned mine = THREADS_MAX;
    if (mine < THREADS_MAX)
        return mine;
    unsigned i = 0;
    mutex_lock(&indices.lock);
    while (i < THREADS_MAX && indices.taken[i])
        i++;
    if (i == THREADS_MAX)
        die("more than %d threads", THREADS_MAX);
    indices.taken[i] = true;
    mutex_unlock(&indices.lock);
    pthread_once(&index_once, index_key_make);
    check(pthread_setspecific(index_key, &indices.taken[i]), "thread_index");
    mine = i;
    return mine;
}
