#include "base/clock.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

/* ---- watches ---- */

struct end {
    struct watch watch;
    int fds[2];
    int fired;
    struct end *other; /* taken out, and freed, by the first that fires */
};

static void end_open(struct loop *l, struct arena *a, struct end *e,
                     void (*fn)(struct loop *, struct watch *, uint32_t))
{
    assert_int_equal(pipe2(e->fds, O_NONBLOCK), 0);
    e->watch = (struct watch){.fd = e->fds[0], .events = EPOLLIN, .fn = fn};
    assert_ok(loop_watch(l, a, &e->watch));
}

static void end_close(struct end *e)
{
    close(e->fds[0]);
    close(e->fds[1]);
}

static void end_poke(struct end *e)
{
    assert_int_equal(write(e->fds[1], "x", 1), 1);
}

static void read_and_stop(struct loop *l, struct watch *w, uint32_t events)
{
    char c;
    struct end *e = CONTAINER_OF(w, struct end, watch);
    assert_true(events & EPOLLIN);
    assert_int_equal(read(w->fd, &c, 1), 1);
    e->fired++;
    loop_stop(l);
}

static void a_watch_fires(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct loop *l = loop_new();
    struct end e = {0};
    end_open(l, a, &e, read_and_stop);
    for (int i = 1; i <= 3; i++) {
        end_poke(&e);
        loop_run(l);
        assert_int_equal(e.fired, i);
    }
    loop_rewatch(l, &e.watch, 0); /* paused */
    end_poke(&e);
    loop_stop(l);
    loop_run(l);
    assert_int_equal(e.fired, 3);
    loop_rewatch(l, &e.watch, EPOLLIN);
    loop_run(l);
    assert_int_equal(e.fired, 4);
    loop_rewatch(l, &e.watch, EPOLLIN | EPOLLEXCLUSIVE);
    loop_rewatch(l, &e.watch, EPOLLIN);
    loop_unwatch(l, &e.watch);
    loop_unwatch(l, &e.watch);
    struct watch bad = {.fd = -1, .events = EPOLLIN, .fn = read_and_stop};
    assert_error(loop_watch(l, a, &bad), ERR_INTERNAL, "epoll_ctl: Bad file descriptor");
    loop_unwatch(l, &bad);
    end_close(&e);
    loop_free(l);
    arena_free(a);
}

static int freed_fired;

static void take_the_other_out(struct loop *l, struct watch *w, uint32_t events)
{
    struct end *e = CONTAINER_OF(w, struct end, watch), *other = e->other;
    (void)events;
    freed_fired++;
    loop_unwatch(l, &other->watch);
    end_close(other);
    free(other); /* an event of it is pending in the same batch */
    loop_unwatch(l, w);
    end_close(e);
    free(e); /* also its own */
    loop_stop(l);
}

static void watches_may_be_freed_in_a_callback(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct loop *l = loop_new();
    struct end *x = calloc(1, sizeof(*x)), *y = calloc(1, sizeof(*y));
    assert_non_null(x);
    assert_non_null(y);
    end_open(l, a, x, take_the_other_out);
    end_open(l, a, y, take_the_other_out);
    x->other = y;
    y->other = x;
    end_poke(x);
    end_poke(y);
    loop_run(l);
    assert_int_equal(freed_fired, 1);
    loop_free(l);
    arena_free(a);
}

/* ---- timers ---- */

enum { TIMERS = 500 };

struct test_timer {
    struct loop_timer timer;
    int fired;
};

static struct test_timer timers[TIMERS];
static int64_t last_deadline;
static int timers_left;

static void timer_fired(struct loop *l, struct loop_timer *t)
{
    CONTAINER_OF(t, struct test_timer, timer)->fired++;
    assert_true(t->deadline_ns >= last_deadline);
    assert_true(loop_now_ns(l) >= t->deadline_ns);
    assert_int_equal(t->slot, 0);
    last_deadline = t->deadline_ns;
    if (--timers_left == 0)
        loop_stop(l);
}

static void timers_fire_in_order(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    for (int i = 0; i < TIMERS; i++) {
        timers[i].timer.fn = timer_fired;
        loop_timer_set(l, &timers[i].timer, (i * 7919 % 1000) * NS_PER_MS / 20);
    }
    for (int i = 0; i < TIMERS; i += 3)
        loop_timer_clear(l, &timers[i].timer);
    for (int i = 0; i < TIMERS; i += 3)
        loop_timer_clear(l, &timers[i].timer); /* safe when not set */
    for (int i = 1; i < TIMERS; i += 3)
        loop_timer_set(l, &timers[i].timer, (i * 104729 % 1000) * NS_PER_MS / 20); /* moved */
    for (int i = 0; i < TIMERS; i++)
        timers_left += i % 3 != 0;
    loop_run(l);
    for (int i = 0; i < TIMERS; i++)
        assert_int_equal(timers[i].fired, i % 3 != 0);
    loop_timer_set(l, &timers[0].timer, INT64_MAX);
    loop_free(l);
}

static void again(struct loop *l, struct loop_timer *t)
{
    struct test_timer *mine = CONTAINER_OF(t, struct test_timer, timer);
    if (++mine->fired == 1000)
        loop_stop(l);
    loop_timer_set(l, t, 0);
}

static void a_timer_may_set_itself(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    struct test_timer t = {.timer.fn = again};
    struct arena *a = arena_new(0);
    struct end e = {0};
    end_open(l, a, &e, read_and_stop);
    loop_timer_set(l, &t.timer, 0);
    end_poke(&e); /* the watch still gets its turn */
    loop_run(l);
    assert_int_equal(e.fired, 1);
    loop_timer_clear(l, &t.timer);
    end_close(&e);
    loop_free(l);
    arena_free(a);
}

/* ---- mailbox ---- */

enum { SENDERS = 4, POSTS = 5000 };

struct message {
    struct post post;
    int sender, number;
};

struct mailbox {
    struct loop *loop;
    struct message messages[SENDERS][POSTS];
    int next[SENDERS];
    int count, turns;
    struct loop_hook hook;
};

static struct mailbox box;

static void message_arrived(struct loop *l, struct post *p)
{
    struct message *m = CONTAINER_OF(p, struct message, post);
    assert_ptr_equal(l, box.loop);
    assert_int_equal(m->number, box.next[m->sender]); /* in the sender's order */
    box.next[m->sender]++;
    box.count++;
}

static void send_all(void *arg)
{
    int sender = *(const int *)arg;
    for (int i = 0; i < POSTS; i++) {
        struct message *m = &box.messages[sender][i];
        *m = (struct message){.post.fn = message_arrived, .sender = sender, .number = i};
        loop_post(box.loop, &m->post);
    }
}

static void stop_when_all_came(struct loop *l, struct loop_hook *h)
{
    assert_ptr_equal(h, &box.hook);
    box.turns++;
    if (box.count == SENDERS * POSTS)
        loop_stop(l);
}

static void posts_from_many_threads(void **state)
{
    (void)state;
    struct thread threads[SENDERS];
    int numbers[SENDERS];
    box.loop = loop_new();
    box.hook.fn = stop_when_all_came;
    loop_before_sleep(box.loop, &box.hook);
    for (int i = 0; i < SENDERS; i++) {
        numbers[i] = i;
        thread_start(&threads[i], "sender", send_all, &numbers[i]);
    }
    loop_run(box.loop);
    for (int i = 0; i < SENDERS; i++)
        thread_join(&threads[i]);
    assert_int_equal(box.count, SENDERS * POSTS);
    assert_true(box.turns > 0);
    loop_free(box.loop);
}

static int posted;

static void count_post(struct loop *l, struct post *p)
{
    (void)l;
    (void)p;
    posted++;
}

static void what_was_posted_before_stop_still_runs(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    struct post x = {.fn = count_post}, y = {.fn = count_post};
    loop_post(l, &x);
    loop_post(l, &y);
    loop_stop(l);
    loop_run(l);
    assert_int_equal(posted, 2);
    loop_free(l);
}

static void run_loop(void *arg)
{
    loop_run(arg);
}

static void stop_from_another_thread(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        struct loop *l = loop_new();
        struct thread t;
        thread_start(&t, "loop", run_loop, l);
        loop_stop(l);
        thread_join(&t);
        loop_free(l);
    }
    loop_free(NULL);
}

/* ---- signals ---- */

static void signal_arrived(struct loop *l, int signo, void *arg)
{
    int *seen = arg;
    *seen += signo == SIGHUP ? 1 : 100;
    if (*seen >= 101)
        loop_stop(l);
}

static void signals(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct loop *l = loop_new();
    int seen = 0;
    assert_ok(loop_signal(l, a, SIGHUP, signal_arrived, &seen));
    assert_ok(loop_signal(l, a, SIGTERM, signal_arrived, &seen));
    kill(getpid(), SIGHUP);
    kill(getpid(), SIGTERM);
    loop_run(l);
    assert_int_equal(seen, 101);
    assert_error(loop_signal(l, a, SIGKILL, signal_arrived, &seen), ERR_INTERNAL,
                 "signal 9 can't be watched");
    loop_free(l);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watch_fires),
        cmocka_unit_test(watches_may_be_freed_in_a_callback),
        cmocka_unit_test(timers_fire_in_order),
        cmocka_unit_test(a_timer_may_set_itself),
        cmocka_unit_test(posts_from_many_threads),
        cmocka_unit_test(what_was_posted_before_stop_still_runs),
        cmocka_unit_test(stop_from_another_thread),
        cmocka_unit_test(signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
