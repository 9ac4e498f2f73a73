#include "base/mutex.h"
#include "base/pool.h"
#include "check.h"

#include <stdatomic.h>

enum { JOBS = 5000 };

struct counted {
    struct job job;
    atomic_int runs;
};

static struct counted jobs[JOBS];

static void count(struct job *j)
{
    atomic_fetch_add(&CONTAINER_OF(j, struct counted, job)->runs, 1);
}

static void every_job_runs_once(void **state)
{
    (void)state;
    struct pool *p = pool_new("test", 4, JOBS);
    for (int i = 0; i < JOBS; i++) {
        jobs[i].job.fn = count;
        assert_true(pool_submit(p, &jobs[i].job));
    }
    pool_drain(p);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(atomic_load(&jobs[i].runs), 1);
    pool_drain(p);
    pool_free(p);
    pool_free(NULL);
}

struct gate {
    struct job job;
    struct mutex lock;
    struct cond changed;
    bool entered, open;
};

static void wait_for_gate(struct job *j)
{
    struct gate *g = CONTAINER_OF(j, struct gate, job);
    mutex_lock(&g->lock);
    g->entered = true;
    cond_broadcast(&g->changed);
    while (!g->open)
        cond_wait(&g->changed, &g->lock);
    mutex_unlock(&g->lock);
}

static void a_full_queue_refuses_and_free_runs_the_rest(void **state)
{
    (void)state;
    struct pool *p = pool_new("test", 1, 2);
    struct gate g = {.job.fn = wait_for_gate};
    struct counted c[3] = {{.job.fn = count}, {.job.fn = count}, {.job.fn = count}};
    mutex_init(&g.lock);
    cond_init(&g.changed);
    assert_true(pool_submit(p, &g.job));
    mutex_lock(&g.lock);
    while (!g.entered)
        cond_wait(&g.changed, &g.lock);
    mutex_unlock(&g.lock);
    assert_true(pool_submit(p, &c[0].job));
    assert_true(pool_submit(p, &c[1].job));
    assert_false(pool_submit(p, &c[2].job));
    mutex_lock(&g.lock);
    g.open = true;
    cond_broadcast(&g.changed);
    mutex_unlock(&g.lock);
    pool_free(p);
    assert_int_equal(atomic_load(&c[0].runs), 1);
    assert_int_equal(atomic_load(&c[1].runs), 1);
    assert_int_equal(atomic_load(&c[2].runs), 0);
    cond_done(&g.changed);
    mutex_done(&g.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_job_runs_once),
        cmocka_unit_test(a_full_queue_refuses_and_free_runs_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
