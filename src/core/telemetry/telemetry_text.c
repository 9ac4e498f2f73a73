/* Prometheus text (exposition format 0.0.4) and the JSON of sys/metrics. */
#include "core/telemetry/telemetry_private.h"
#include "net/http_header.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEXT_BYTES_MAX = 32 * 1024 * 1024, NUMBER_TEXT_MAX = 40 };

/* ---- numbers and names ---- */

static str number(char out[NUMBER_TEXT_MAX], double v)
{
    int n = isnan(v) ? snprintf(out, NUMBER_TEXT_MAX, "NaN") : snprintf(out, NUMBER_TEXT_MAX, "%.15g", v);

    return (str){out, (size_t)n};
}

static str prometheus_name(struct arena *a, str name)
{
    char *out = arena_copy(a, name.p, name.n);

    for (size_t i = 0; i < name.n; i++) {
        char c = out[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9' && i > 0) ||
                  c == '_' || c == ':';

        if (!ok)
            out[i] = '_';
    }
    return (str){out, name.n};
}

static void put_label(struct buf *b, str name, str value, bool first)
{
    buf_put_str(b, first ? STR("{") : STR(","));
    buf_put_str(b, prometheus_name(b->arena, name));
    buf_put_str(b, STR("=\""));
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];

        if (c == '\n')
            buf_put_str(b, STR("\\n"));
        else if (c == '"' || c == '\\')
            buf_put_fmt(b, "\\%c", c);
        else
            buf_put_byte(b, (uint8_t)c);
    }
    buf_put_byte(b, '"');
}

/* ---- Prometheus ---- */

struct family_member { /* one series under the name that Prometheus sees */
    str name;
    struct metric_read m;
};

static int compare_str(str x, str y)
{
    int d = memcmp(x.p ? x.p : "", y.p ? y.p : "", MIN(x.n, y.n));

    return d ? d : x.n < y.n ? -1 : x.n > y.n;
}

static int compare_labels(const struct metric_read *x, const struct metric_read *y)
{
    int d = 0;

    for (size_t i = 0; !d && i < x->n_labels && i < y->n_labels; i++) {
        d = compare_str(x->labels[i].name, y->labels[i].name);
        d = d ? d : compare_str(x->labels[i].value, y->labels[i].value);
    }
    return d ? d : x->n_labels < y->n_labels ? -1 : x->n_labels > y->n_labels;
}

static int compare_members(const void *px, const void *py)
{
    const struct family_member *x = px, *y = py;
    int d = compare_str(x->name, y->name);

    return d ? d : (d = (int)x->m.kind - (int)y->m.kind) ? d : compare_labels(&x->m, &y->m);
}

static void put_line(struct buf *b, const struct telemetry *t, const struct family_member *f,
                     const char *suffix, const char *quantile, double value)
{
    char text[NUMBER_TEXT_MAX];
    bool first = true;

    buf_put_str(b, f->name);
    buf_put_str(b, str_from_cstr(suffix));
    for (size_t i = 0; i < f->m.n_labels; i++, first = false)
        put_label(b, f->m.labels[i].name, f->m.labels[i].value, first);
    if (t->config->telemetry.hostname_label) {
        put_label(b, STR("host"), str_from_cstr(t->host), first);
        first = false;
    }
    if (quantile) {
        put_label(b, STR("quantile"), str_from_cstr(quantile), first);
        first = false;
    }
    if (!first)
        buf_put_byte(b, '}');
    buf_put_byte(b, ' ');
    buf_put_str(b, number(text, value));
    buf_put_byte(b, '\n');
}

static void put_member(struct buf *b, const struct telemetry *t, const struct family_member *f)
{
    static const char *const quantiles[] = {"0.5", "0.9", "0.99"};

    if (f->m.kind != METRIC_SAMPLE) {
        put_line(b, t, f, "", NULL, f->m.kind == METRIC_GAUGE ? f->m.value : (double)f->m.count);
        return;
    }
    for (size_t i = 0; i < COUNT_OF(quantiles); i++)
        put_line(b, t, f, "", quantiles[i], f->m.quantiles_ms[i]);
    put_line(b, t, f, "_sum", NULL, f->m.sum_ms);
    put_line(b, t, f, "_count", NULL, (double)f->m.count);
}

/* Two names that differ only in characters Prometheus does not have are one series there. */
static void merge(struct family_member *to, const struct family_member *from)
{
    to->m.count += from->m.count;
    to->m.sum_ms += from->m.sum_ms;
}

void telemetry_put_prometheus(const struct telemetry *t, struct buf *out, const struct metric_read *m,
                              size_t n, int64_t now_ns)
{
    static const char *const types[] = {"counter", "summary", "gauge"};
    struct family_member *all = ARENA_ARRAY(out->arena, struct family_member, n + 1), *family = NULL;
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        str name = telemetry_name(t, out->arena, &m[i]);

        if (name.n && m[i].touched_ns >= now_ns - t->config->prometheus_retention_ns)
            all[kept++] = (struct family_member){prometheus_name(out->arena, name), m[i]};
    }
    qsort(all, kept, sizeof(*all), compare_members);
    for (size_t i = 0; i < kept; i++) {
        while (i + 1 < kept && compare_members(&all[i], &all[i + 1]) == 0) {
            merge(&all[i + 1], &all[i]);
            i++;
        }
        if (family && str_eq(family->name, all[i].name)) {
            if (family->m.kind != all[i].m.kind)
                continue; /* a name has one type */
        } else {
            family = &all[i];
            buf_put_fmt(out, "# HELP %.*s %.*s\n# TYPE %.*s %s\n", PSTR(all[i].name), PSTR(all[i].name),
                        PSTR(all[i].name), types[all[i].m.kind]);
        }
        put_member(out, t, &all[i]);
    }
}

struct process telemetry_process(void)
{
    static const char path[] = "/proc/self/stat";
    char text[1024], *at;
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    int64_t v[24] = {0};
    str rest, word;

    if (f)
        (void)fclose(f);
    text[n] = 0;
    at = strrchr(text, ')'); /* the name before it may hold anything */
    rest = str_trim(at ? str_from_cstr(at + 1) : (str){0});
    for (size_t i = 0; i < COUNT_OF(v) && rest.n; i++) { /* v[0] is field 3 */
        (void)str_cut(rest, ' ', &word, &rest);
        if (!str_parse_i64(word, &v[i]))
            v[i] = 0;
    }
    return (struct process){.cpu_s = (double)(v[11] + v[12]) / ticks,
                            .resident_bytes = (double)v[21] * (double)sysconf(_SC_PAGESIZE),
                            .virtual_bytes = (double)v[20],
                            .threads = (double)v[17]};
}

/* Under the names that Prometheus' own clients use. */
static void put_process(struct buf *out)
{
    struct process p = telemetry_process();
    const struct {
        const char *name, *type;
        double value;
    } rows[] = {
        {"process_cpu_seconds_total", "counter", p.cpu_s},
        {"process_resident_memory_bytes", "gauge", p.resident_bytes},
        {"process_threads", "gauge", p.threads},
        {"process_virtual_memory_bytes", "gauge", p.virtual_bytes},
    };

    for (size_t i = 0; p.threads > 0 && i < COUNT_OF(rows); i++)
        buf_put_fmt(out, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", rows[i].name, rows[i].name, rows[i].name,
                    rows[i].type, rows[i].name, rows[i].value);
}

/* ---- JSON ---- */

static struct json *number_json(struct arena *a, double v)
{
    char text[NUMBER_TEXT_MAX];

    return json_number(a, arena_str(a, number(text, isfinite(v) ? v : 0)));
}

static struct json *json_labels(const struct telemetry *t, struct arena *a, const struct metric_read *m)
{
    struct json *o = json_object(a);

    for (size_t i = 0; i < m->n_labels; i++)
        json_set_str(a, o, m->labels[i].name, m->labels[i].value);
    if (t->config->telemetry.hostname_label)
        json_set_str(a, o, STR("host"), str_from_cstr(t->host));
    return o;
}

static struct json *json_interval(struct arena *a, const struct metric_read *m, struct json *o)
{
    double n = (double)m->interval_count;

    json_set_int(a, o, STR("Count"), (int64_t)m->interval_count);
    json_set(a, o, STR("Rate"), number_json(a, m->sum / METRICS_INTERVAL_S));
    json_set(a, o, STR("Sum"), number_json(a, m->sum));
    json_set(a, o, STR("Min"), number_json(a, m->min));
    json_set(a, o, STR("Max"), number_json(a, m->max));
    json_set(a, o, STR("Mean"), number_json(a, n > 0 ? m->sum / n : 0));
    json_set(a, o, STR("Stddev"), number_json(a, m->stddev));
    return o;
}

struct json *telemetry_json(const struct telemetry *t, struct arena *a, const struct metric_read *m, size_t n,
                            int64_t interval_start_ns)
{
    struct json *o = json_object_ordered(a), *lists[3];
    str start = time_format(a, interval_start_ns), day, hour;

    for (int i = 0; i < 3; i++)
        lists[i] = json_array(a);
    for (size_t i = 0; i < n; i++) {
        str name = telemetry_name(t, a, &m[i]);
        struct json *one = json_object_ordered(a);

        if (name.n == 0 || (m[i].kind != METRIC_GAUGE && m[i].interval_count == 0))
            continue;
        json_set_str(a, one, STR("Name"), name);
        if (m[i].kind == METRIC_GAUGE)
            json_set(a, one, STR("Value"), number_json(a, m[i].value));
        else
            json_interval(a, &m[i], one);
        json_set(a, one, STR("Labels"), json_labels(t, a, &m[i]));
        json_append(a, lists[m[i].kind], one);
    }
    (void)str_cut(start, 'T', &day, &hour);
    json_set_str(a, o, STR("Timestamp"),
                 arena_fmt(a, "%.*s %.*s +0000 UTC", PSTR(day), PSTR(str_slice(hour, 0, hour.n - 1))));
    json_set(a, o, STR("Gauges"), lists[METRIC_GAUGE]);
    json_set(a, o, STR("Points"), json_array(a));
    json_set(a, o, STR("Counters"), lists[METRIC_COUNTER]);
    json_set(a, o, STR("Samples"), lists[METRIC_SAMPLE]);
    return o;
}

/* ---- the answer ---- */

str telemetry_format(const struct request *rq, str format)
{
    for (size_t i = 0; format.n == 0 && i < rq->n_headers; i++)
        if (str_eq_nocase(rq->headers[i].name, STR("Accept")) &&
            (str_starts(rq->headers[i].value, STR("application/openmetrics-text")) ||
             str_find(rq->headers[i].value, STR("prometheus/telemetry")) < rq->headers[i].value.n))
            format = STR("prometheus");
    return format;
}

static void raw(struct response *rs, int status, str type, str body)
{
    rs->status = status;
    rs->raw_content_type = type;
    rs->raw_body = bytes_from_str(body);
}

void telemetry_answer(const struct telemetry *t, struct arena *a, str format, struct response *rs)
{
    struct metric_read *m;
    int64_t start_ns;
    struct buf out;
    size_t n;

    if (format.n && !str_eq(format, STR("prometheus"))) {
        raw(rs, 400, STR("text/plain"),
            arena_fmt(a, "metric response format \"%.*s\" unknown", PSTR(format)));
        return;
    }
    if (format.n && t->config->prometheus_retention_ns <= 0) {
        raw(rs, 400, STR("text/plain"), STR("prometheus is not enabled"));
        return;
    }
    buf_init(&out, a, TEXT_BYTES_MAX);
    metrics_read(a, &m, &n, &start_ns);
    if (format.n) {
        telemetry_put_prometheus(t, &out, m, n, clock_wall_ns(clock_real()));
        put_process(&out);
        raw(rs, 200, STR("text/plain; version=0.0.4; charset=utf-8"), buf_str(&out));
    } else {
        json_write(&out, telemetry_json(t, a, m, n, start_ns));
        raw(rs, 200, STR("application/json"), buf_str(&out));
    }
}
