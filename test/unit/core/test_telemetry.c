#include "../base/check.h"
#undef fail
#include "base/clock.h"
#include "core/telemetry/telemetry.h"

#include <math.h>
#include <unistd.h>

static struct arena *a;
static struct config *config;

static int set_up(void **state)
{
    (void)state;
    a = arena_new(0);
    config = config_defaults(a);
    config->metrics_disable_hostname = true;
    config->prometheus_retention_ns = 3600 * NS_PER_S;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_freep(&a);
    return 0;
}

static const struct metric_label labels[] = {{STR("cluster"), STR("a b")},
                                             {STR("policy"), STR("x|y,\"z\"\n")}};

static const struct metric_read counter = {.kind = METRIC_COUNTER,
                                           .name = STR("token.creation"),
                                           .labels = labels,
                                           .n_labels = 2,
                                           .count = 7,
                                           .touched_ns = 1000 * NS_PER_S},
                                sample = {.kind = METRIC_SAMPLE,
                                          .name = STR("route.read.kv-"),
                                          .count = 2,
                                          .sum_ms = 1.5,
                                          .quantiles_ms = {0.5, 1, NAN},
                                          .interval_count = 2,
                                          .sum = 1.5,
                                          .min = 0.5,
                                          .max = 1,
                                          .stddev = 0.25,
                                          .touched_ns = 1000 * NS_PER_S},
                                gauge = {.kind = METRIC_GAUGE,
                                         .name = STR("core.unsealed"),
                                         .value = 1,
                                         .touched_ns = 1000 * NS_PER_S};

static str line(enum sink_kind kind, const struct metric_read *m, double value)
{
    struct telemetry *t = telemetry_new(config);
    struct buf out;

    buf_init(&out, a, SIZE_MAX);
    telemetry_put_line(t, &out, kind, m, value);
    telemetry_free(t);
    return buf_str(&out);
}

static str prometheus(const struct metric_read *m, size_t n, int64_t now_ns)
{
    struct telemetry *t = telemetry_new(config);
    struct buf out;

    buf_init(&out, a, SIZE_MAX);
    telemetry_put_prometheus(t, &out, m, n, now_ns);
    telemetry_free(t);
    return buf_str(&out);
}

#define SAYS(got, want) assert_string_equal(arena_cstr(a, (got)), (want))

static void sink_lines(void **state)
{
    (void)state;
    SAYS(line(SINK_STATSD, &sample, 0.25), "vault.route.read.kv-:0.250000|ms\n");
    SAYS(line(SINK_STATSITE, &counter, 3), "vault.token.creation.a_b.x_y,\"z\"_:3.000000|c\n");
    SAYS(line(SINK_STATSD, &gauge, 1), "vault.core.unsealed:1.000000|g\n");
    SAYS(line(SINK_DOGSTATSD, &gauge, 1), "vault.core.unsealed:1.000000|g\n");
    SAYS(line(SINK_DOGSTATSD, &counter, 3), "vault.token.creation:3|c|#cluster:a b,policy:x_y_\"z\"_\n");
    str tags[] = {STR("env:test"), STR("blue")};

    config->telemetry.dogstatsd_tags = tags;
    config->telemetry.n_dogstatsd_tags = 2;
    SAYS(line(SINK_DOGSTATSD, &sample, 2), "vault.route.read.kv-:2.000000|ms|#env:test,blue\n");
    config->telemetry.prefix = STR("mine");
    SAYS(line(SINK_STATSD, &gauge, 0), "mine.core.unsealed:0.000000|g\n");
}

static void host_names(void **state)
{
    (void)state;
    char host[256] = {0};

    assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
    config->metrics_disable_hostname = false;
    SAYS(line(SINK_STATSD, &gauge, 1), "vault.core.unsealed:1.000000|g\n"); /* Prometheus alone */
    config->telemetry.statsd_address = STR("127.0.0.1:9");
    SAYS(line(SINK_STATSD, &gauge, 1), arena_fmt(a, "vault.%s.core.unsealed:1.000000|g\n", host).p);
    SAYS(line(SINK_STATSD, &sample, 1), "vault.route.read.kv-:1.000000|ms\n");
    config->telemetry.hostname_label = true;
    SAYS(line(SINK_STATSD, &gauge, 1), arena_fmt(a, "vault.core.unsealed.%s:1.000000|g\n", host).p);
    SAYS(line(SINK_DOGSTATSD, &gauge, 1), arena_fmt(a, "vault.core.unsealed:1.000000|g|#host:%s\n", host).p);
}

static void filters(void **state)
{
    (void)state;
    str rules[] = {STR("-vault.core"), STR("+vault.core.unsealed"), STR("-vault.route")};

    config->telemetry.prefix_filters = rules;
    config->telemetry.n_prefix_filters = 3;
    SAYS(line(SINK_STATSD, &gauge, 1), "vault.core.unsealed:1.000000|g\n");
    SAYS(line(SINK_STATSD, &sample, 1), "");
    assert_int_not_equal(line(SINK_STATSD, &counter, 1).n, 0);
    config->telemetry.filter_default = false;
    SAYS(line(SINK_STATSD, &counter, 1), "");
    SAYS(line(SINK_STATSD, &gauge, 1), "vault.core.unsealed:1.000000|g\n");
    SAYS(prometheus(&sample, 1, 1000 * NS_PER_S), "");
}

static void prometheus_text(void **state)
{
    (void)state;
    SAYS(prometheus(&counter, 1, 1000 * NS_PER_S),
         "# HELP vault_token_creation vault_token_creation\n# TYPE vault_token_creation counter\n"
         "vault_token_creation{cluster=\"a b\",policy=\"x|y,\\\"z\\\"\\n\"} 7\n");
    SAYS(prometheus(&sample, 1, 1000 * NS_PER_S),
         "# HELP vault_route_read_kv_ vault_route_read_kv_\n# TYPE vault_route_read_kv_ summary\n"
         "vault_route_read_kv_{quantile=\"0.5\"} 0.5\nvault_route_read_kv_{quantile=\"0.9\"} 1\n"
         "vault_route_read_kv_{quantile=\"0.99\"} NaN\nvault_route_read_kv__sum 1.5\n"
         "vault_route_read_kv__count 2\n");
    /* not touched for as long as is kept */
    SAYS(prometheus(&counter, 1, 4601 * NS_PER_S), "");
}

/* Names that are one for Prometheus are one series; a name has one type. */
static void prometheus_names_meet(void **state)
{
    (void)state;
    struct metric_read m[] = {sample, sample, sample};

    m[1].name = STR("route.read.kv.");
    m[2].name = STR("route.read.kv/");
    m[2].kind = METRIC_GAUGE;
    str text = prometheus(m, COUNT_OF(m), 1000 * NS_PER_S);

    assert_true(str_find(text, STR("vault_route_read_kv__count 4\n")) < text.n);
    assert_true(str_find(text, STR("gauge")) == text.n);
    size_t first = str_find(text, STR("# TYPE"));

    assert_true(str_find(str_from(text, first + 1), STR("# TYPE")) == text.n - first - 1);
}

static void json(void **state)
{
    (void)state;
    const struct metric_read m[] = {counter, sample, gauge};
    struct telemetry *t = telemetry_new(config);

    SAYS(json_text(a, telemetry_json(t, a, &m[1], 2, INT64_C(1795321720) * NS_PER_S)),
         "{\"Timestamp\":\"2026-11-22 04:28:40 +0000 UTC\","
         "\"Gauges\":[{\"Name\":\"vault.core.unsealed\",\"Value\":1,\"Labels\":{}}],\"Points\":[],"
         "\"Counters\":[],"
         "\"Samples\":[{\"Name\":\"vault.route.read.kv-\",\"Count\":2,\"Rate\":0.15,\"Sum\":1.5,\"Min\":0.5,"
         "\"Max\":1,\"Mean\":0.75,\"Stddev\":0.25,\"Labels\":{}}]}");
    telemetry_free(t);
}

static void answers(void **state)
{
    (void)state;
    struct telemetry *t = telemetry_new(config);
    struct response rs = {0};

    telemetry_answer(t, a, STR("xml"), &rs);
    assert_int_equal(rs.status, 400);
    SAYS(str_from_bytes(rs.raw_body), "metric response format \"xml\" unknown");
    config->prometheus_retention_ns = 0;
    telemetry_answer(t, a, STR("prometheus"), &rs);
    assert_int_equal(rs.status, 400);
    SAYS(str_from_bytes(rs.raw_body), "prometheus is not enabled");
    telemetry_answer(t, a, (str){0}, &rs);
    assert_int_equal(rs.status, 200);
    telemetry_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sink_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(host_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(filters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(prometheus_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(prometheus_names_meet, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(answers, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
