#include "base/clock.h"
#include "base/metrics.h"
#include "base/mutex.h"
#include "check.h"

#include <math.h>

static struct arena *a;

static int set_up(void **state)
{
    (void)state;
    a = arena_new(0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_freep(&a);
    return 0;
}

static const struct metric_read *find(const char *name, const char *label)
{
    struct metric_read *m;
    size_t n;
    int64_t start_ns;

    metrics_read(a, &m, &n, &start_ns);
    assert_int_equal(start_ns % (METRICS_INTERVAL_S * NS_PER_S), 0);
    for (size_t i = 0; i < n; i++)
        if (str_eq(m[i].name, str_from_cstr(name)) &&
            (!label || (m[i].n_labels == 1 && str_eq(m[i].labels[0].value, str_from_cstr(label)))))
            return &m[i];
    return NULL;
}

static void same_name_same_number(void **state)
{
    (void)state;
    const struct metric_label x = {STR("k"), STR("x")}, y = {STR("k"), STR("y")};
    uint16_t id = metric_id(METRIC_COUNTER, STR("test.same"), &x, 1);

    assert_int_not_equal(id, METRIC_NONE);
    assert_int_equal(metric_id(METRIC_COUNTER, STR("test.same"), &x, 1), id);
    assert_int_not_equal(metric_id(METRIC_COUNTER, STR("test.same"), &y, 1), id);
    assert_int_not_equal(metric_id(METRIC_COUNTER, STR("test.same"), NULL, 0), id);
    assert_int_equal(metric_id(METRIC_SAMPLE, STR("test.same"), &x, 1), METRIC_NONE);
}

static void shown_once_touched(void **state)
{
    (void)state;
    uint16_t id = metric_id(METRIC_COUNTER, STR("test.touched"), NULL, 0);

    assert_null(find("test.touched", NULL));
    metric_count(id, 0);
    assert_int_equal(find("test.touched", NULL)->count, 0);
    metric_count(id, 3);
    assert_int_equal(find("test.touched", NULL)->count, 3);
}

static uint16_t shared_counter, shared_sample;

static void count_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        metric_count(shared_counter, 1);
        metric_time(shared_sample, 1000, 1);
    }
}

/* Also of threads that are gone, and of those that got their numbers. */
static void threads_add_up(void **state)
{
    (void)state;
    struct thread threads[8];

    shared_counter = metric_id(METRIC_COUNTER, STR("test.threads"), NULL, 0);
    shared_sample = metric_id(METRIC_SAMPLE, STR("test.threads_time"), NULL, 0);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(threads); i++)
            thread_start(&threads[i], "counting", count_many, NULL);
        (void)find("test.threads", NULL); /* readers do not disturb */
        for (size_t i = 0; i < COUNT_OF(threads); i++)
            thread_join(&threads[i]);
    }
    assert_int_equal(find("test.threads", NULL)->count, 240000);
    const struct metric_read *m = find("test.threads_time", NULL);

    assert_int_equal(m->count, 240000);
    assert_true(fabs(m->sum_ms - 240) < 1e-6);
}

static bool is_near(double x, double wanted)
{
    return fabs(x - wanted) <= 0.13 * wanted;
}

static void quantiles_are_near(void **state)
{
    (void)state;
    uint16_t id = metric_id(METRIC_SAMPLE, STR("test.quantiles"), NULL, 0);

    for (int i = 1; i <= 1000; i++)
        metric_time(id, i * NS_PER_MS, 1);
    const struct metric_read *m = find("test.quantiles", NULL);

    assert_true(is_near(m->quantiles_ms[0], 500));
    assert_true(is_near(m->quantiles_ms[1], 900));
    assert_true(is_near(m->quantiles_ms[2], 990));
    assert_true(fabs(m->sum_ms - 500500) < 1e-3);
}

static void every_duration_has_a_bucket(void **state)
{
    (void)state;
    static const int64_t ns[] = {INT64_MIN, -1, 0, 1, 255, 256, 1023, 1024, 1025, 123456789, INT64_MAX};

    for (size_t i = 0; i < COUNT_OF(ns); i++) {
        uint16_t id = metric_id(METRIC_SAMPLE, arena_fmt(a, "test.bucket-%zu", i), NULL, 0);

        metric_time(id, ns[i], 1);
        const struct metric_read *m = find(arena_fmt(a, "test.bucket-%zu", i).p, NULL);

        assert_int_equal(m->count, 1);
        assert_true(m->quantiles_ms[0] == m->sum_ms); /* of one, exact */
    }
}

/* The interval that ended is shown whole; a later one without samples is empty, the sums stay. */
static void intervals_end(void **state)
{
    (void)state;
    uint16_t id = metric_id(METRIC_SAMPLE, STR("test.interval"), NULL, 0);
    int64_t now = clock_wall_ns(clock_real()), step = METRICS_INTERVAL_S * NS_PER_S;

    metrics_roll(now - 100 * step, INT64_MAX / 2);
    metric_time(id, 2 * NS_PER_MS, 3);
    metric_time(id, 10 * NS_PER_MS, 1);
    metrics_roll(now - 99 * step, INT64_MAX / 2); /* metrics_read below ends one more, without a sample */
    const struct metric_read *m = find("test.interval", NULL);

    assert_int_equal(m->interval_count, 0);
    assert_int_equal(m->count, 4);
    metric_time(id, 2 * NS_PER_MS, 3);
    metric_time(id, 10 * NS_PER_MS, 1);
    metrics_roll(now + 99 * step, INT64_MAX / 2);
    struct metric_read *all;
    size_t n;
    int64_t start_ns;

    metrics_roll(now, INT64_MAX / 2);
    metrics_read(a, &all, &n, &start_ns);
    m = find("test.interval", NULL);
    assert_int_equal(m->count, 8);
    assert_true(fabs(m->sum_ms - 32) < 1e-6);
}

static void gauges_are_forgotten(void **state)
{
    (void)state;
    const struct metric_label x = {STR("k"), STR("x")}, y = {STR("k"), STR("y")};
    int64_t now = clock_wall_ns(clock_real());

    metric_gauge(STR("test.gauge"), &x, 1, 1);
    metric_gauge(STR("test.gauge"), &x, 1, 2.5);
    metric_gauge(STR("test.gauge"), &y, 1, -1);
    assert_true(find("test.gauge", "x")->value == 2.5);
    assert_true(find("test.gauge", "y")->value == -1);
    metrics_roll(now + 3600 * NS_PER_S, 7200 * NS_PER_S);
    assert_non_null(find("test.gauge", "x"));
    metrics_roll(now + 3600 * NS_PER_S, 1800 * NS_PER_S);
    assert_null(find("test.gauge", "x"));
    assert_null(find("test.gauge", "y"));
}

/* Ring and bound: what does not fit is dropped and counted, and there is room again once it was taken. */
static void events_are_bounded(void **state)
{
    (void)state;
    uint16_t id = metric_id(METRIC_SAMPLE, STR("test.events"), NULL, 0);
    struct metric_event *events = ARENA_ARRAY(a, struct metric_event, 4096);
    struct metric_read m;
    uint64_t dropped;

    metric_time(id, 1, 1);
    metrics_events_on(true);
    for (int i = 0; i < 3000; i++)
        metric_time(id, 2 * NS_PER_MS, 1);
    size_t n = metrics_events_take(events, 4096, &dropped);

    assert_int_equal(n + dropped, 3000);
    assert_true(n > 0 && dropped > 0 && events[0].id == id && events[0].ms == 2);
    metric_of_id(events[0].id, &m);
    assert_true(str_eq(m.name, STR("test.events")) && m.kind == METRIC_SAMPLE);
    metric_time(id, NS_PER_MS, 2);
    metrics_events_on(false);
    metric_time(id, NS_PER_MS, 1);
    assert_int_equal(metrics_events_take(events, 4096, &dropped), 1);
    assert_int_equal(dropped, 0);
    assert_true(events[0].n == 2 && events[0].ms == 1);
}

/* Last: no name has room after it. */
static void too_many_series(void **state)
{
    (void)state;
    uint16_t id = 1;

    for (int i = 0; i < METRICS_MAX + 10; i++)
        id = metric_id(METRIC_COUNTER, arena_fmt(a, "test.many-%d", i), NULL, 0);
    assert_int_equal(id, METRIC_NONE);
    metric_count(id, 1);
    metric_time(id, 1, 1);
    assert_non_null(find("test.many-0", NULL) ? NULL : "never touched");
    assert_int_equal(metric_id(METRIC_COUNTER, STR("test.threads"), NULL, 0), shared_counter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(same_name_same_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shown_once_touched, set_up, tear_down),
        cmocka_unit_test_setup_teardown(threads_add_up, set_up, tear_down),
        cmocka_unit_test_setup_teardown(quantiles_are_near, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_duration_has_a_bucket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(intervals_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gauges_are_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(events_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_series, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
