/* What a running server says of itself when it gets SIGUSR1 (its metrics) and SIGUSR2 (its state). */
#include "base/metrics.h"
#include "cli/server_private.h"

#include <dirent.h>
#include <stdlib.h>

static void put_labels(struct buf *b, const struct metric_read *m)
{
    for (size_t i = 0; i < m->n_labels; i++)
        buf_put_fmt(b, ".%.*s=%.*s", PSTR(m->labels[i].name), PSTR(m->labels[i].value));
}

static void put_metric(struct buf *b, str when, const struct metric_read *m)
{
    static const char kinds[] = {[METRIC_COUNTER] = 'C', [METRIC_SAMPLE] = 'S', [METRIC_GAUGE] = 'G'};

    buf_put_fmt(b, "[%.*s][%c] 'vault.%.*s", PSTR(when), kinds[m->kind], PSTR(m->name));
    put_labels(b, m);
    buf_put_str(b, STR("': "));
    if (m->kind == METRIC_GAUGE)
        buf_put_fmt(b, "%.3f\n", m->value);
    else if (m->kind == METRIC_COUNTER)
        buf_put_fmt(b, "Count: %llu Sum: %.3f\n", (unsigned long long)m->count, (double)m->count);
    else
        buf_put_fmt(b, "Count: %llu Min: %.3f Max: %.3f Stddev: %.3f Sum: %.3f\n",
                    (unsigned long long)m->count, m->min, m->max, m->stddev, m->sum_ms);
}

void server_dump_metrics(struct server *s)
{
    struct arena *a = arena_new(0);
    struct metric_read *all;
    int64_t start_ns;
    struct buf b;
    size_t n;

    metrics_read(a, &all, &n, &start_ns);
    buf_init(&b, a, SIZE_MAX);
    for (size_t i = 0; i < n; i++)
        put_metric(&b, time_format(a, start_ns), &all[i]);
    (void)fwrite(b.p, 1, b.n, s->cli->err);
    (void)fflush(s->cli->err);
    arena_free(a);
}

/* The value of a line of /proc/self/status; empty if there is none. */
static str status_value(struct arena *a, const char *name)
{
    char line[256];
    str value = {0}, key;
    FILE *f = fopen("/proc/self/status", "re");

    while (f && value.n == 0 && fgets(line, sizeof(line), f)) {
        str rest;

        (void)str_cut(str_from_cstr(line), ':', &key, &rest);
        if (str_eq(key, str_from_cstr(name)))
            value = arena_str(a, str_trim(rest));
    }
    if (f)
        (void)fclose(f);
    return value;
}

static size_t open_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        (void)closedir(d);
    return n > 3 ? n - 3 : 0; /* two dots and the directory itself */
}

void server_dump_state(struct server *s)
{
    static const char *const states[] = {[CORE_UNINITIALISED] = "uninitialized",
                                         [CORE_SEALED] = "sealed",
                                         [CORE_STANDBY] = "standby",
                                         [CORE_ACTIVE] = "active"};
    struct arena *a = arena_new(0);

    log_info("core", "state", F_CSTR("state", states[core_state(s->core)]),
             F_STR("threads", status_value(a, "Threads")), F_STR("resident", status_value(a, "VmRSS")),
             F_STR("locked", status_value(a, "VmLck")), F_INT("open_files", open_files()));
    for (size_t i = 0; i < s->n_listeners; i++)
        log_info("core", "listener", F_STR("address", s->config->listeners[i].address),
                 F_INT("port", http_server_port(s->listeners[i])),
                 F_INT("connections", http_server_connections(s->listeners[i])));
    arena_free(a);
}
