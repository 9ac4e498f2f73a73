/* The statsd sinks: one thread takes samples from the rings of base/metrics.h and counters and gauges from
 * each interval that ended, and sends lines. The rings are the bounded queue: what a slow or absent receiver
 * does not take is dropped there and counted (telemetry.dropped); nobody waits. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"
#include "core/telemetry/telemetry_private.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum {
    SINKS_MAX = 3,
    DATAGRAM_BYTES_MAX = 1400,
    EVENTS_MAX = 4096,
    LINES_BYTES_MAX = 4 * 1024 * 1024,
    SEND_TIMEOUT_S = 2,
    RECONNECT_S = 5,
};
#define FLUSH_NS (100 * NS_PER_MS)

struct sink {
    enum sink_kind kind;
    str address;
    int fd; /* -1: not connected */
    int64_t retry_ns;
    bool complained;
};

struct sinks {
    const struct telemetry *telemetry;
    struct sink sinks[SINKS_MAX];
    size_t n;
    struct thread thread;
    struct mutex mutex;
    struct cond changed;
    bool quit;        /* lock: mutex */
    int64_t interval; /* number of the last one looked at */
    struct metric_event events[EVENTS_MAX];
};

/* ---- lines ---- */

/* What separates fields of the protocol does not stand in a name. */
static void put_clean(struct buf *out, str s, const char *bad)
{
    for (size_t i = 0; i < s.n; i++)
        buf_put_byte(out, strchr(bad, s.p[i]) && s.p[i] ? '_' : (uint8_t)s.p[i]);
}

static void put_tags(const struct telemetry *t, struct buf *out, const struct metric_read *m)
{
    const struct config_telemetry *c = &t->config->telemetry;
    char before = '#';

    if (c->n_dogstatsd_tags + m->n_labels + c->hostname_label == 0)
        return;
    buf_put_byte(out, '|');
    for (size_t i = 0; i < c->n_dogstatsd_tags; i++, before = ',') {
        buf_put_byte(out, (uint8_t)before);
        put_clean(out, c->dogstatsd_tags[i], "|,\n");
    }
    for (size_t i = 0; i < m->n_labels; i++, before = ',') {
        buf_put_byte(out, (uint8_t)before);
        put_clean(out, m->labels[i].name, "|,\n");
        buf_put_byte(out, ':');
        put_clean(out, m->labels[i].value, "|,\n");
    }
    if (c->hostname_label)
        buf_put_fmt(out, "%chost:%s", before, t->host);
}

void telemetry_put_line(const struct telemetry *t, struct buf *out, enum sink_kind kind,
                        const struct metric_read *m, double value)
{
    static const char *const types[] = {[METRIC_COUNTER] = "c", [METRIC_SAMPLE] = "ms", [METRIC_GAUGE] = "g"};
    str name = telemetry_name(t, out->arena, m);

    if (name.n == 0)
        return;
    put_clean(out, name, ": |@\n");
    for (size_t i = 0; kind != SINK_DOGSTATSD && i < m->n_labels; i++) {
        buf_put_byte(out, '.');
        put_clean(out, m->labels[i].value, ": |@\n");
    }
    if (kind != SINK_DOGSTATSD && t->config->telemetry.hostname_label)
        buf_put_fmt(out, ".%s", t->host);
    if (kind == SINK_DOGSTATSD && m->kind == METRIC_COUNTER)
        buf_put_fmt(out, ":%.0f|c", value);
    else
        buf_put_fmt(out, ":%f|%s", value, types[m->kind]);
    if (kind == SINK_DOGSTATSD)
        put_tags(t, out, m);
    buf_put_byte(out, '\n');
}

/* ---- sending ---- */

static void sink_close(struct sink *s, const char *why)
{
    if (!s->complained)
        log_warn("telemetry", "cannot send metrics", F_STR("address", s->address), F_CSTR("error", why));
    s->complained = true;
    if (s->fd >= 0)
        (void)close(s->fd);
    s->fd = -1;
    s->retry_ns = clock_mono_ns(clock_real()) + RECONNECT_S * NS_PER_S;
}

static bool sink_open(struct sink *s, struct arena *a)
{
    const struct addrinfo hints = {.ai_socktype = s->kind == SINK_STATSITE ? SOCK_STREAM : SOCK_DGRAM};
    const struct timeval limit = {.tv_sec = SEND_TIMEOUT_S};
    struct addrinfo *found = NULL;
    size_t colon = str_rindex(s->address, ':');
    str host = str_slice(s->address, 0, colon), port = str_from(s->address, colon + 1);

    if (s->fd >= 0)
        return true;
    if (clock_mono_ns(clock_real()) < s->retry_ns)
        return false;
    if (str_starts(host, STR("[")) && str_ends(host, STR("]")))
        host = str_slice(host, 1, host.n - 1);
    char *host_text = arena_cstr(a, host), *port_text = arena_cstr(a, port);

    if (colon == s->address.n || !host_text || !port_text ||
        getaddrinfo(*host_text ? host_text : "127.0.0.1", port_text, &hints, &found) != 0) {
        sink_close(s, "the address cannot be found");
        return false;
    }
    s->fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
        connect(s->fd, found->ai_addr, found->ai_addrlen) < 0)
        sink_close(s, strerror(errno));
    freeaddrinfo(found);
    return s->fd >= 0;
}

/* False: the sink is closed. */
static bool sink_send(struct sink *s, str piece)
{
    while (piece.n > 0) {
        ssize_t n = send(s->fd, piece.p, piece.n, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && s->kind != SINK_STATSITE && errno == ECONNREFUSED)
            return true; /* a datagram before found nobody: the next may */
        if (n < 0) {
            sink_close(s, strerror(errno));
            return false;
        }
        piece = str_from(piece, (size_t)n);
    }
    s->complained = false;
    return true;
}

/* Whole lines, as many as go into a datagram. */
static void sink_flush(struct sink *s, struct arena *a, str lines)
{
    if (lines.n == 0 || !sink_open(s, a))
        return;
    while (lines.n > 0) {
        size_t n = 0;

        for (size_t end; n < lines.n; n = end) {
            end = n + str_index(str_from(lines, n), '\n') + 1;
            end = MIN(end, lines.n);
            if (end > DATAGRAM_BYTES_MAX && n > 0)
                break;
        }
        if (!sink_send(s, str_slice(lines, 0, n)))
            return;
        lines = str_from(lines, n);
    }
}

/* ---- the thread ---- */

static void put_interval(struct sinks *s, struct buf *out, enum sink_kind kind, const struct metric_read *m,
                         size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (m[i].kind == METRIC_GAUGE)
            telemetry_put_line(s->telemetry, out, kind, &m[i], m[i].value);
        else if (m[i].kind == METRIC_COUNTER && m[i].interval_count > 0)
            telemetry_put_line(s->telemetry, out, kind, &m[i], (double)m[i].interval_count);
}

static void put_events(struct sinks *s, struct buf *out, enum sink_kind kind, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct metric_read m;

        metric_of_id(s->events[i].id, &m);
        for (uint32_t k = 0; k < s->events[i].n; k++)
            telemetry_put_line(s->telemetry, out, kind, &m, s->events[i].ms);
    }
}

static void send_round(struct sinks *s, struct arena *a)
{
    struct metric_read *m = NULL;
    int64_t start_ns;
    uint64_t dropped;
    size_t n_events = metrics_events_take(s->events, EVENTS_MAX, &dropped), n = 0;

    if (dropped)
        metric_count(METRIC_SINK_DROPPED, dropped);
    if (clock_wall_ns(clock_real()) / NS_PER_S / METRICS_INTERVAL_S != s->interval) {
        metrics_read(a, &m, &n, &start_ns);
        s->interval = clock_wall_ns(clock_real()) / NS_PER_S / METRICS_INTERVAL_S;
    }
    for (size_t i = 0; i < s->n; i++) {
        struct buf out;

        buf_init(&out, a, LINES_BYTES_MAX);
        put_events(s, &out, s->sinks[i].kind, n_events);
        put_interval(s, &out, s->sinks[i].kind, m, n);
        sink_flush(&s->sinks[i], a, buf_str(&out));
    }
    arena_reset(a);
}

static void sinks_main(void *arg)
{
    struct sinks *s = arg;
    struct arena *a = arena_new(0);

    mutex_lock(&s->mutex);
    while (!s->quit) {
        (void)cond_wait_ns(&s->changed, &s->mutex, FLUSH_NS); /* woken or not: a round */
        mutex_unlock(&s->mutex);
        send_round(s, a);
        mutex_lock(&s->mutex);
    }
    mutex_unlock(&s->mutex);
    arena_free(a);
}

static void sink_add(struct sinks *s, enum sink_kind kind, str address)
{
    if (address.n)
        s->sinks[s->n++] = (struct sink){.kind = kind, .address = address, .fd = -1};
}

struct sinks *sinks_new(const struct telemetry *t)
{
    const struct config_telemetry *c = &t->config->telemetry;
    struct sinks *s = calloc(1, sizeof(*s));

    if (!s)
        die("out of memory");
    s->telemetry = t;
    sink_add(s, SINK_STATSD, c->statsd_address);
    sink_add(s, SINK_STATSITE, c->statsite_address);
    sink_add(s, SINK_DOGSTATSD, c->dogstatsd_addr);
    if (s->n == 0) {
        free(s);
        return NULL;
    }
    s->interval = clock_wall_ns(clock_real()) / NS_PER_S / METRICS_INTERVAL_S;
    mutex_init(&s->mutex);
    cond_init(&s->changed);
    metrics_events_on(true);
    thread_start(&s->thread, "telemetry", sinks_main, s);
    return s;
}

void sinks_free(struct sinks *s)
{
    if (!s)
        return;
    metrics_events_on(false);
    mutex_lock(&s->mutex);
    s->quit = true;
    cond_signal(&s->changed);
    mutex_unlock(&s->mutex);
    thread_join(&s->thread);
    for (size_t i = 0; i < s->n; i++)
        if (s->sinks[i].fd >= 0)
            (void)close(s->sinks[i].fd);
    cond_done(&s->changed);
    mutex_done(&s->mutex);
    free(s);
}
