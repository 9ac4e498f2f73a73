/* metrics: what the program counts and measures about itself: one registry of series for the process.
 *
 * A series is a name ("core.handle_request", parts joined by '.'), a kind and labels. Counters and samples
 * are written to cells of the calling thread: no lock, no cache line that two threads write; whoever reads
 * adds the cells up. Gauges are set under a lock: not for the path of a request.
 * Samples are durations; they fall into buckets of which four make an octave, so a quantile, least and
 * greatest of a window are right within 12 %; count and sum are exact.
 * Windows: intervals of METRICS_INTERVAL_S, aligned to wall time; metrics_roll() ends them.
 * Events: when somebody takes them, every sample is put into a ring of its thread too; a full ring drops it.
 * Threads: any; metrics_events_take() one. Lifetime: series are never freed, but for gauges.
 * Why a registry of the process: docs/decisions/metrics.md.
 */
#pragma once
#include "base/arena.h"

enum metric_kind { METRIC_COUNTER, METRIC_SAMPLE, METRIC_GAUGE };

/* Series known when the program is built; others by metric_id(). */
enum {
    METRIC_NONE, /* takes what there is no room for */
    METRIC_HANDLE_REQUEST,
    METRIC_HANDLE_LOGIN_REQUEST,
    METRIC_CHECK_TOKEN,
    METRIC_FETCH_ACL_AND_TOKEN,
    METRIC_BARRIER_GET,
    METRIC_BARRIER_PUT,
    METRIC_BARRIER_DELETE,
    METRIC_BARRIER_LIST,
    METRIC_CACHE_HIT,
    METRIC_CACHE_MISS,
    METRIC_CACHE_WRITE,
    METRIC_CACHE_DELETE,
    METRIC_AUDIT_REQUEST,
    METRIC_AUDIT_RESPONSE,
    METRIC_AUDIT_REQUEST_FAILURE,
    METRIC_AUDIT_RESPONSE_FAILURE,
    METRIC_UNSEAL,
    METRIC_SEAL,
    METRIC_POST_UNSEAL,
    METRIC_PRE_SEAL,
    METRIC_STEP_DOWN,
    METRIC_LEADERSHIP_LOST,
    METRIC_LEADERSHIP_SETUP_FAILED,
    METRIC_EXPIRE_REGISTER,
    METRIC_EXPIRE_REGISTER_AUTH,
    METRIC_EXPIRE_RENEW,
    METRIC_EXPIRE_RENEW_TOKEN,
    METRIC_EXPIRE_REVOKE,
    METRIC_EXPIRE_REVOKE_COMMON,
    METRIC_EXPIRE_REVOKE_BY_TOKEN,
    METRIC_EXPIRE_REVOKE_PREFIX,
    METRIC_EXPIRE_REVOKE_FORCE,
    METRIC_EXPIRE_LAZY_REVOKE,
    METRIC_EXPIRE_FETCH_LEASE_TIMES,
    METRIC_TOKEN_CREATE,
    METRIC_TOKEN_CREATE_ACCESSOR,
    METRIC_TOKEN_CREATE_ROOT,
    METRIC_TOKEN_LOOKUP,
    METRIC_TOKEN_REVOKE,
    METRIC_TOKEN_REVOKE_TREE,
    METRIC_TOKEN_STORE,
    METRIC_POLICY_GET,
    METRIC_POLICY_SET,
    METRIC_POLICY_DELETE,
    METRIC_POLICY_LIST,
    METRIC_IDENTITY_UPSERT_ENTITY,
    METRIC_IDENTITY_CREATE_OR_FETCH,
    METRIC_IDENTITY_REFRESH_GROUPS,
    METRIC_SINK_DROPPED,
    METRIC_FIXED_COUNT_
};
enum {
    METRICS_MAX = 2048,
    METRICS_GAUGES_MAX = 8192,
    METRIC_LABELS_MAX = 8,
    METRICS_INTERVAL_S = 10,
    METRIC_BUCKETS = 128,
};

struct metric_label {
    str name, value;
};

/* The number of a counter or sample, made when first asked for; METRIC_NONE when there are too many. Takes a
 * lock and looks it up: keep it where it is used often. Name and labels are copied; labels come sorted. */
uint16_t metric_id(enum metric_kind kind, str name, const struct metric_label *labels, size_t n);
void metric_count(uint16_t id, uint64_t n);
/* n samples (a batch of n took so long, for each of them). */
void metric_time(uint16_t id, int64_t ns, uint64_t n);
void metric_gauge(str name, const struct metric_label *labels, size_t n, double value);

/* Ends the interval when wall time has passed it, and forgets gauges that were not set for keep_ns. */
void metrics_roll(int64_t wall_ns, int64_t keep_ns);

struct metric_read {
    enum metric_kind kind;
    str name;
    const struct metric_label *labels;
    size_t n_labels;
    double value;           /* of a gauge */
    uint64_t count;         /* of a counter; samples since the start */
    double sum_ms;          /* of samples since the start */
    double quantiles_ms[3]; /* 0.5, 0.9, 0.99 of the last one to two intervals; NaN: no sample in them */
    /* of the last interval that has ended, or the first one: counters in units, samples in milliseconds */
    uint64_t interval_count;
    double sum, min, max, stddev;
    int64_t touched_ns; /* wall time, to the interval */
};
/* All series that ever had a value, by name and labels. Slices live in the arena. */
void metrics_read(struct arena *a, struct metric_read **ret, size_t *ret_n, int64_t *ret_interval_start_ns);

struct metric_event {
    uint16_t id;
    uint32_t n;
    double ms;
};
void metrics_events_on(bool on);
/* Samples since the last call, of all threads; *ret_dropped: those that found their ring full. */
size_t metrics_events_take(struct metric_event *events, size_t max, uint64_t *ret_dropped);
/* For those who took an event: its series. The slices live as long as the process. */
void metric_of_id(uint16_t id, struct metric_read *ret);
