/* loop: an epoll loop: file descriptors, timers, a mailbox for other threads, signals, hooks.
 *
 * Threads: a loop belongs to the thread that runs it. Only loop_post() and loop_stop() may be called from
 *   others.
 * Memory: watch, timer, post and hook structs are the caller's, usually inside a larger struct
 *   (CONTAINER_OF); they must stay put while registered. A callback may remove or free any watch, also its
 *   own.
 */
#pragma once
#include "base/base.h"
#include "base/error.h"

struct loop;

struct watch {
    int fd;
    uint32_t events; /* as epoll: EPOLLIN, EPOLLOUT, EPOLLEXCLUSIVE */
    bool watched;    /* the loop's: false = not registered */
    void (*fn)(struct loop *l, struct watch *w, uint32_t events);
};

struct loop_timer {
    int64_t deadline_ns; /* monotonic */
    uint32_t slot;       /* the loop's: 0 = not set */
    void (*fn)(struct loop *l, struct loop_timer *t);
};

struct post {
    struct post *next;
    void (*fn)(struct loop *l, struct post *p);
};

struct loop_hook {
    struct loop_hook *next;
    void (*fn)(struct loop *l, struct loop_hook *h);
};

struct loop *loop_new(void);
void loop_free(struct loop *l);
void loop_run(struct loop *l); /* until loop_stop */
/* Any thread; what was posted before still runs. Before loop_run: it returns at once */
void loop_stop(struct loop *l);

/* w is filled by the caller: fd, events, fn. */
struct error *loop_watch(struct loop *l, struct arena *a, struct watch *w) MUST_USE;
void loop_rewatch(struct loop *l, struct watch *w, uint32_t events); /* other events */
/* Does not close the fd; safe twice. */
void loop_unwatch(struct loop *l, struct watch *w);

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t delay_ns); /* also moves a set one */
void loop_timer_clear(struct loop *l, struct loop_timer *t);                 /* safe when not set */

/* Any thread; runs p->fn on the loop, in order; one eventfd write per batch */
void loop_post(struct loop *l, struct post *p);
/* Runs at the end of every turn, before epoll_wait; for good */
void loop_before_sleep(struct loop *l, struct loop_hook *h);
int64_t loop_now_ns(const struct loop *l); /* monotonic, read once a turn */
struct error *loop_signal(struct loop *l, struct arena *a, int signo,
                          void (*fn)(struct loop *l, int signo, void *arg), void *arg) MUST_USE;
