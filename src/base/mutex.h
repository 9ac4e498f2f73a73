/* mutex: pthread mutex and condition with clang's thread-safety annotations. Locking cannot fail. */
#pragma once
#include "base/base.h"

#include <pthread.h>

struct CAPABILITY("mutex") mutex {
    pthread_mutex_t m;
};
struct cond {
    pthread_cond_t c; /* on CLOCK_MONOTONIC */
};

void mutex_init(struct mutex *m);
void mutex_done(struct mutex *m);
void mutex_lock(struct mutex *m) ACQUIRES(m);
void mutex_unlock(struct mutex *m) RELEASES(m);
void cond_init(struct cond *c);
void cond_done(struct cond *c);
void cond_wait(struct cond *c, struct mutex *m) REQUIRES(m);
bool cond_wait_ns(struct cond *c, struct mutex *m, int64_t timeout_ns) REQUIRES(m); /* false: timed out */
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

/* Starts a thread with a 256 KiB stack, all signals blocked, and a name of at most 15 characters. */
struct thread {
    pthread_t id;
};
void thread_start(struct thread *t, const char *name, void (*fn)(void *arg), void *arg);
void thread_join(struct thread *t);

/* A small number of the calling thread, below THREADS_MAX, its own as long as it lives; a later thread may
 * get it again and then sees all that the earlier one did. For per-thread places in arrays. Dies when more
 * threads than that ask. */
enum { THREADS_MAX = 256 };
unsigned thread_index(void);
