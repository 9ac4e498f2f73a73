#include "base/clock.h"
#include "base/mutex.h"
#include "check.h"

#include <signal.h>

enum { THREADS = 8, ROUNDS = 10000 };

struct shared {
    struct mutex lock;
    struct cond changed;
    int count;
    bool masked;
    char name[16];
    unsigned index[THREADS];
};

static void count_up(void *arg)
{
    struct shared *s = arg;
    for (int i = 0; i < ROUNDS; i++) {
        mutex_lock(&s->lock);
        s->count++;
        mutex_unlock(&s->lock);
    }
    mutex_lock(&s->lock);
    cond_broadcast(&s->changed);
    mutex_unlock(&s->lock);
}

static void threads_count(void **state)
{
    (void)state;
    struct shared s = {0};
    struct thread threads[THREADS];
    mutex_init(&s.lock);
    cond_init(&s.changed);
    for (int i = 0; i < THREADS; i++)
        thread_start(&threads[i], "counter-with-a-long-name", count_up, &s);
    mutex_lock(&s.lock);
    while (s.count < THREADS * ROUNDS)
        cond_wait(&s.changed, &s.lock);
    mutex_unlock(&s.lock);
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    assert_int_equal(s.count, THREADS * ROUNDS);
    cond_done(&s.changed);
    mutex_done(&s.lock);
}

static void look_around(void *arg)
{
    struct shared *s = arg;
    sigset_t set;
    pthread_sigmask(SIG_BLOCK, NULL, &set);
    s->masked = sigismember(&set, SIGTERM) && sigismember(&set, SIGHUP) && sigismember(&set, SIGUSR1);
    pthread_getname_np(pthread_self(), s->name, sizeof(s->name));
}

static void threads_are_named_and_masked(void **state)
{
    (void)state;
    struct shared s = {0};
    struct thread t;
    sigset_t before, after;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    thread_start(&t, "commit", look_around, &s);
    thread_join(&t);
    assert_true(s.masked);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
}

static void wait_times_out(void **state)
{
    (void)state;
    struct shared s = {0};
    mutex_init(&s.lock);
    cond_init(&s.changed);
    mutex_lock(&s.lock);
    int64_t before = clock_mono_ns(clock_real());
    assert_false(cond_wait_ns(&s.changed, &s.lock, 5 * NS_PER_MS));
    assert_true(clock_mono_ns(clock_real()) - before >= 5 * NS_PER_MS);
    assert_false(cond_wait_ns(&s.changed, &s.lock, -1));
    mutex_unlock(&s.lock);
    cond_done(&s.changed);
    mutex_done(&s.lock);
}

struct index_job {
    struct shared *s;
    int i;
};

static void take_index(void *arg)
{
    struct index_job *j = arg;
    unsigned mine = thread_index();
    mutex_lock(&j->s->lock);
    j->s->index[j->i] = mine;
    if (++j->s->count == THREADS)
        cond_broadcast(&j->s->changed);
    while (j->s->count < THREADS)
        cond_wait(&j->s->changed, &j->s->lock);
    mutex_unlock(&j->s->lock);
    if (mine != thread_index())
        j->s->index[j->i] = THREADS_MAX;
}

static void indices_differ_and_are_reused(void **state)
{
    (void)state;
    unsigned mine = thread_index();
    for (int round = 0; round < 100; round++) { /* 800 threads: more than THREADS_MAX */
        struct shared s = {0};
        struct thread threads[THREADS];
        struct index_job jobs[THREADS];
        mutex_init(&s.lock);
        cond_init(&s.changed);
        for (int i = 0; i < THREADS; i++) {
            jobs[i] = (struct index_job){&s, i};
            thread_start(&threads[i], "index", take_index, &jobs[i]);
        }
        for (int i = 0; i < THREADS; i++)
            thread_join(&threads[i]);
        for (int i = 0; i < THREADS; i++) {
            assert_true(s.index[i] < THREADS_MAX && s.index[i] != mine);
            for (int k = 0; k < i; k++)
                assert_int_not_equal(s.index[i], s.index[k]);
        }
        cond_done(&s.changed);
        mutex_done(&s.lock);
    }
    assert_int_equal(thread_index(), mine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_count),
        cmocka_unit_test(threads_are_named_and_masked),
        cmocka_unit_test(wait_times_out),
        cmocka_unit_test(indices_differ_and_are_reused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
