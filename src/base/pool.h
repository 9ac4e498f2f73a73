/* pool: a bounded queue and the threads that empty it.
 * Memory: a job is the caller's, inside a larger struct; it is the pool's from submit until its fn is
 *   called.
 */
#pragma once
#include "base/base.h"

struct pool;
struct job {
    struct job *next;
    void (*fn)(struct job *j);
};

/* Up to so many threads, started as work comes; `name` lives as long as the pool. */
struct pool *pool_new(const char *name, unsigned threads, unsigned queue_max);
bool pool_submit(struct pool *p, struct job *j) MUST_USE; /* false: the queue is full, nothing happened */
void pool_drain(struct pool *p); /* waits until queue is empty and all threads idle */
void pool_free(struct pool *p);  /* runs what is queued, then joins; NULL is fine */
