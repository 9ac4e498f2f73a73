#include "base/loop.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { BATCH_MAX = 64, SIGNALS_MAX = 65 };

struct signal_handler {
    void (*fn)(struct loop *l, int signo, void *arg);
    void *arg;
};

struct loop {
    int epoll_fd;
    int64_t now_ns;
    struct loop_hook *hooks;

    /* Timers: a binary heap, earliest first. A timer's slot is its index + 1. */
    struct loop_timer **timers;
    uint32_t timers_n, timers_cap;

    /* The batch that is being worked off; loop_unwatch takes its watch out of it. */
    struct epoll_event batch[BATCH_MAX];
    int batch_n;

    /* Mailbox: a stack, newest first. The push releases the post, the exchange in mail_take acquires it. Who
     * pushes onto an empty stack writes the eventfd. */
    _Atomic(struct post *) mail;
    struct watch mail_watch;
    atomic_bool stop; /* released by loop_stop, acquired once a turn */

    struct watch signal_watch; /* fd -1: no signal asked for yet */
    sigset_t signal_set;
    struct signal_handler signals[SIGNALS_MAX];
};

static void loop_tick(struct loop *l)
{
    l->now_ns = clock_mono_ns(clock_real());
}

int64_t loop_now_ns(const struct loop *l)
{
    return l->now_ns;
}

/* ---- mailbox ---- */

static void loop_wake(struct loop *l)
{
    const uint64_t one = 1;
    ssize_t n;
    do
        n = write(l->mail_watch.fd, &one, sizeof(one));
    while (n < 0 && errno == EINTR);
    /* EAGAIN: the counter is full, so the loop is awake anyway. */
}

void loop_post(struct loop *l, struct post *p)
{
    struct post *head = atomic_load_explicit(&l->mail, memory_order_relaxed);
    do
        p->next = head;
    while (!atomic_compare_exchange_weak_explicit(&l->mail, &head, p, memory_order_release,
                                                  memory_order_relaxed));
    if (!head)
        loop_wake(l);
}

void loop_stop(struct loop *l)
{
    atomic_store_explicit(&l->stop, true, memory_order_release);
    loop_wake(l);
}

static void mail_run(struct loop *l)
{
    struct post *newest = atomic_exchange_explicit(&l->mail, NULL, memory_order_acquire), *first = NULL;
    while (newest) {
        struct post *p = newest;
        newest = p->next;
        p->next = first;
        first = p;
    }
    while (first) {
        struct post *p = first;
        first = p->next;
        p->fn(l, p);
    }
}

static void mail_ready(struct loop *l, struct watch *w, uint32_t events)
{
    uint64_t count;
    (void)events;
    (void)!read(w->fd, &count, sizeof(count)); /* EAGAIN: somebody's write is still to come */
    mail_run(l);
}

/* ---- watches ---- */

static int watch_ctl(struct loop *l, int op, struct watch *w)
{
    struct epoll_event ev = {.events = w->events, .data.ptr = w};
    return epoll_ctl(l->epoll_fd, op, w->fd, &ev);
}

struct error *loop_watch(struct loop *l, struct arena *a, struct watch *w)
{
    if (watch_ctl(l, EPOLL_CTL_ADD, w) != 0)
        return error_errno(a, errno, "epoll_ctl");
    w->watched = true;
    return NULL;
}

void loop_rewatch(struct loop *l, struct watch *w, uint32_t events)
{
    assert(w->watched);
    uint32_t old = w->events;
    w->events = events;
    if (old == events)
        return;
    int rc;
    if ((old | events) & EPOLLEXCLUSIVE) { /* the kernel does not modify these */
        rc = watch_ctl(l, EPOLL_CTL_DEL, w);
        rc = rc == 0 ? watch_ctl(l, EPOLL_CTL_ADD, w) : rc;
    } else {
        rc = watch_ctl(l, EPOLL_CTL_MOD, w);
    }
    if (rc != 0)
        die("epoll_ctl on a watched descriptor: %s", strerrorname_np(errno));
}

void loop_unwatch(struct loop *l, struct watch *w)
{
    if (!w->watched)
        return;
    w->watched = false;
    (void)watch_ctl(l, EPOLL_CTL_DEL, w); /* a descriptor that was closed before is out of the set already */
    for (int i = 0; i < l->batch_n; i++)
        if (l->batch[i].data.ptr == w)
            l->batch[i].data.ptr = NULL;
}

/* ---- timers ---- */

static void timer_place(struct loop *l, uint32_t i, struct loop_timer *t)
{
    l->timers[i] = t;
    t->slot = i + 1;
}

static void timer_up(struct loop *l, uint32_t i, struct loop_timer *t)
{
    while (i > 0 && t->deadline_ns < l->timers[(i - 1) / 2]->deadline_ns) {
        timer_place(l, i, l->timers[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    timer_place(l, i, t);
}

static void timer_down(struct loop *l, uint32_t i, struct loop_timer *t)
{
    for (uint32_t child; (child = 2 * i + 1) < l->timers_n; i = child) {
        if (child + 1 < l->timers_n && l->timers[child + 1]->deadline_ns < l->timers[child]->deadline_ns)
            child++;
        if (t->deadline_ns <= l->timers[child]->deadline_ns)
            break;
        timer_place(l, i, l->timers[child]);
    }
    timer_place(l, i, t);
}

static void timer_move(struct loop *l, uint32_t i, struct loop_timer *t)
{
    timer_up(l, i, t);
    timer_down(l, t->slot - 1, t);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t delay_ns)
{
    if (__builtin_add_overflow(clock_mono_ns(clock_real()), MAX(delay_ns, 0), &t->deadline_ns))
        t->deadline_ns = INT64_MAX;
    if (t->slot) {
        timer_move(l, t->slot - 1, t);
        return;
    }
    if (l->timers_n == l->timers_cap) {
        l->timers_cap = MAX(2 * l->timers_cap, 64);
        l->timers = reallocarray(l->timers, l->timers_cap, sizeof(*l->timers));
        if (!l->timers)
            die("out of memory: %u timers", l->timers_cap);
    }
    timer_up(l, l->timers_n++, t);
}

void loop_timer_clear(struct loop *l, struct loop_timer *t)
{
    if (!t->slot)
        return;
    uint32_t i = t->slot - 1;
    t->slot = 0;
    struct loop_timer *last = l->timers[--l->timers_n];
    if (last != t)
        timer_move(l, i, last);
}

/* Those whose time had come when the turn began: a timer that sets itself again at once waits for the next
 * turn. */
static void timers_run(struct loop *l)
{
    while (l->timers_n && l->timers[0]->deadline_ns <= l->now_ns) {
        struct loop_timer *t = l->timers[0];
        loop_timer_clear(l, t);
        t->fn(l, t);
    }
}

/* Milliseconds to sleep, rounded up; -1 without a timer. */
static int timers_wait_ms(const struct loop *l)
{
    if (!l->timers_n)
        return -1;
    int64_t ns = l->timers[0]->deadline_ns - clock_mono_ns(clock_real());
    return ns <= 0 ? 0 : (int)MIN((ns - 1) / NS_PER_MS + 1, 60000);
}

/* ---- signals ---- */

static void signal_ready(struct loop *l, struct watch *w, uint32_t events)
{
    struct signalfd_siginfo info;
    (void)events;
    while (read(w->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        struct signal_handler *h = &l->signals[info.ssi_signo];
        h->fn(l, (int)info.ssi_signo, h->arg);
    }
}

struct error *loop_signal(struct loop *l, struct arena *a, int signo,
                          void (*fn)(struct loop *l, int signo, void *arg), void *arg)
{
    if (signo <= 0 || signo >= SIGNALS_MAX || signo == SIGKILL || signo == SIGSTOP)
        return error_new(a, ERR_INTERNAL, "signal %d can't be watched", signo);
    sigaddset(&l->signal_set, signo);
    int rc = pthread_sigmask(SIG_BLOCK, &l->signal_set, NULL);
    if (rc != 0)
        return error_errno(a, rc, "sigmask");
    int fd = signalfd(l->signal_watch.fd, &l->signal_set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        return error_errno(a, errno, "signalfd");
    l->signals[signo] = (struct signal_handler){fn, arg};
    if (l->signal_watch.fd >= 0)
        return NULL;
    l->signal_watch = (struct watch){.fd = fd, .events = EPOLLIN, .fn = signal_ready};
    return loop_watch(l, a, &l->signal_watch);
}

/* ---- the loop ---- */

struct loop *loop_new(void)
{
    struct loop *l = calloc(1, sizeof(*l));
    if (!l)
        die("out of memory");
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    l->mail_watch =
        (struct watch){.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), .events = EPOLLIN, .fn = mail_ready};
    l->signal_watch.fd = -1;
    sigemptyset(&l->signal_set);
    if (l->epoll_fd < 0 || l->mail_watch.fd < 0 || watch_ctl(l, EPOLL_CTL_ADD, &l->mail_watch) != 0)
        die("event loop: %s", strerrorname_np(errno));
    loop_tick(l);
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    if (l->signal_watch.fd >= 0)
        close(l->signal_watch.fd);
    close(l->mail_watch.fd);
    close(l->epoll_fd);
    free(l->timers);
    free(l);
}

void loop_before_sleep(struct loop *l, struct loop_hook *h)
{
    struct loop_hook **at = &l->hooks;
    while (*at)
        at = &(*at)->next;
    h->next = NULL;
    *at = h;
}

static void hooks_run(struct loop *l)
{
    for (struct loop_hook *h = l->hooks; h; h = h->next)
        h->fn(l, h);
}

static void loop_turn(struct loop *l)
{
    int n = epoll_wait(l->epoll_fd, l->batch, BATCH_MAX, timers_wait_ms(l));
    if (n < 0 && errno != EINTR)
        die("epoll_wait: %s", strerrorname_np(errno));
    loop_tick(l);
    l->batch_n = MAX(n, 0);
    for (int i = 0; i < l->batch_n; i++) {
        struct watch *w = l->batch[i].data.ptr;
        if (w)
            w->fn(l, w, l->batch[i].events);
    }
    l->batch_n = 0;
    timers_run(l);
}

void loop_run(struct loop *l)
{
    for (;;) {
        hooks_run(l);
        if (atomic_exchange_explicit(&l->stop, false, memory_order_acquire))
            break;
        loop_turn(l);
    }
    mail_run(l);
    hooks_run(l);
}
