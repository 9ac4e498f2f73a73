/* telemetry: what the configuration's telemetry block makes of the registry of base/metrics.h: names with a
 * prefix, filters, Prometheus text and JSON for sys/metrics, statsd sinks; and the gauges of the core.
 *
 * Source:  docs/formats/metrics.md. Threads: a telemetry is constant after telemetry_new(); gauges are set on
 *          the control thread; sinks have a thread of their own, which nobody waits for.
 */
#pragma once
#include "base/buf.h"
#include "base/metrics.h"
#include "config/config.h"
#include "core/engine.h"

struct core;
struct telemetry;

/* Starts the sinks that the configuration names; what it names and this program does not have is logged. */
struct telemetry *telemetry_new(const struct config *c);
void telemetry_free(struct telemetry *t); /* NULL is fine */
/* Of a core: before its control thread runs, and after that has ended. */
void telemetry_start(struct core *c);
void telemetry_stop(struct core *c);

/* Control thread: the gauges of this moment, once a second and whenever the state changes. */
void telemetry_tick(struct core *c);
/* Control thread, while active: counts what is stored, in the background, every usage_gauge_period. */
void telemetry_usage_start(struct active *a);
void telemetry_usage_stop(struct active *a); /* none begins after this */
void telemetry_usage_free(struct active *a); /* when nothing holds it any more */

/* The answer of sys/metrics: `format` "prometheus", "" (JSON) or another (400). */
void telemetry_answer(const struct telemetry *t, struct arena *a, str format, struct response *rs);
/* "prometheus" when the Accept header asks for it and there is no format, else the format. */
str telemetry_format(const struct request *rq, str format);

/* ---- for tests ---- */

/* The name as sinks show it, parts joined by '.': with prefix and host name; empty: filtered out. */
str telemetry_name(const struct telemetry *t, struct arena *a, const struct metric_read *m);
void telemetry_put_prometheus(const struct telemetry *t, struct buf *out, const struct metric_read *m,
                              size_t n, int64_t now_ns);
struct json *telemetry_json(const struct telemetry *t, struct arena *a, const struct metric_read *m, size_t n,
                            int64_t interval_start_ns);
enum sink_kind { SINK_STATSD, SINK_STATSITE, SINK_DOGSTATSD };
/* One line of a sink's protocol, with its newline: a counter's difference, a gauge's value, a sample's
 * milliseconds. */
void telemetry_put_line(const struct telemetry *t, struct buf *out, enum sink_kind kind,
                        const struct metric_read *m, double value);
