#include "audit/audit_peer.h"

#include "audit/audit_devices.h"
#include "audit/audit_dial.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mutex.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define GRACE_NS    (50 * NS_PER_MS) /* for the thread to tell that the time is over */
#define PROBE_AFTER NS_PER_S

/* Entries on their way. Belongs to the thread, and until it has its result to the call that waits for it. */
struct entries {
    struct entries *next;
    struct arena *arena;
    bytes *v;
    size_t n;
    int64_t deadline_ns;
    struct error *result; /* in `arena` */
    bool done, left;      /* lock: mutex; left: nobody waits any more */
};

struct audit_peer {
    struct arena *arena;
    struct peer_endpoint endpoints[PEER_ENDPOINTS_MAX];
    size_t n_endpoints;
    int64_t timeout_ns;
    struct thread thread;
    int wake;        /* eventfd: stop */
    int fd;          /* thread; -1: not connected */
    size_t endpoint; /* thread: of the connection */
    struct mutex mutex;
    struct cond work, done;
    struct entries *first, **end; /* lock: mutex */
    unsigned queued;              /* lock: mutex */
    bool late;                    /* lock: mutex */
    bool stop;                    /* lock: mutex */
    bool looking_up;              /* lock: mutex; a name: may take any time */
    bool orphan;                  /* lock: mutex; the thread frees the peer at its end */
};

static int64_t now_ns(void)
{
    return clock_mono_ns(clock_real());
}

/* ---- the connection; on the thread ---- */

static void disconnect(struct audit_peer *p)
{
    if (p->fd >= 0)
        close(p->fd);
    p->fd = -1;
}

static bool is_network(const struct peer_endpoint *e, const char *network)
{
    return strcmp(e->network, network) == 0;
}

static bool is_stream(const struct peer_endpoint *e)
{
    return is_network(e, "tcp") || is_network(e, "unix");
}

/* "[::1]:514" -> "::1", "514" */
static struct error *split_address(const struct dial *d, char **ret_host, char **ret_port)
{
    str address = str_from_cstr(d->address), host;
    size_t colon = str_rindex(address, ':');

    if (colon == address.n)
        return error_new(d->arena, ERR_INTERNAL, "dial %s: address %s: missing port in address", d->network,
                         d->address);
    host = str_slice(address, 0, colon);
    if (str_starts(host, STR("[")) && str_ends(host, STR("]")))
        host = str_slice(host, 1, host.n - 1);
    else if (str_index(host, ':') < host.n)
        return error_new(d->arena, ERR_INTERNAL, "dial %s: address %s: too many colons in address",
                         d->network, d->address);
    *ret_host = host.n ? arena_cstr(d->arena, host) : NULL;
    *ret_port = arena_cstr(d->arena, str_from(address, colon + 1));
    return NULL;
}

/* Only what is no number needs to be looked up. False: the peer is to end. */
static bool may_look_up(struct audit_peer *p, bool yes)
{
    mutex_lock(&p->mutex);
    bool go_on = !p->stop;

    p->looking_up = yes && go_on;
    mutex_unlock(&p->mutex);
    return go_on;
}

static struct error *dial_host(struct audit_peer *p, const struct dial *d, int *ret_fd)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM},
                    *list = NULL;
    char *host = NULL, *port = NULL;

    TRY(split_address(d, &host, &port));
    if (strcmp(d->network, "udp") == 0)
        hints.ai_socktype = SOCK_DGRAM;
    int failed = getaddrinfo(host, port, &hints, &list);

    if (failed) {
        hints.ai_flags = AI_ADDRCONFIG;
        if (!may_look_up(p, true))
            return dial_error(d, ERR_INTERNAL, STR("closed"));
        failed = getaddrinfo(host, port, &hints, &list);
        (void)may_look_up(p, false); /* whether to end is asked after this call */
    }
    if (failed)
        return error_new(d->arena, ERR_INTERNAL, "dial %s: lookup %s: %s", d->network, host ? host : port,
                         gai_strerror(failed));
    struct error *e = dial_addresses(d, list, ret_fd);

    freeaddrinfo(list);
    return e;
}

static struct dial dial_of(const struct audit_peer *p, const struct entries *e, size_t endpoint)
{
    const struct peer_endpoint *to = &p->endpoints[endpoint];

    return (struct dial){e->arena, to->network, to->address, e->deadline_ns, p->wake};
}

static struct error *dial_endpoint(struct audit_peer *p, const struct dial *d, int *ret_fd)
{
    if (strcmp(d->network, "tcp") == 0 || strcmp(d->network, "udp") == 0)
        return dial_host(p, d, ret_fd);
    if (strcmp(d->network, "unix") == 0 || strcmp(d->network, "unixgram") == 0)
        return dial_unix(d, ret_fd);
    return error_new(d->arena, ERR_INTERNAL, "dial %s: unknown network %s", d->network, d->network);
}

static struct error *connect_peer(struct audit_peer *p, const struct entries *e)
{
    struct error *first = NULL;

    disconnect(p);
    for (size_t i = 0; i < p->n_endpoints; i++) {
        struct dial d = dial_of(p, e, i);
        struct error *failed = dial_endpoint(p, &d, &p->fd);

        if (!failed) {
            p->endpoint = i;
            return NULL;
        }
        first = first ? first : failed;
    }
    return first;
}

static struct error *send_entries(struct audit_peer *p, const struct entries *e)
{
    struct dial d = dial_of(p, e, p->endpoint);

    if (is_stream(&p->endpoints[p->endpoint]))
        return e->n ? send_all(&d, p->fd, audit_join(e->arena, e->v, e->n)) : NULL;
    for (size_t i = 0; i < e->n; i++)
        TRY(send_all(&d, p->fd, e->v[i]));
    return NULL;
}

static struct error *connect_and_send(struct audit_peer *p, const struct entries *e)
{
    if (p->fd >= 0 && is_stream(&p->endpoints[p->endpoint]) && stream_has_ended(p->fd))
        disconnect(p);
    if (p->fd < 0)
        TRY(connect_peer(p, e));
    return send_entries(p, e);
}

static struct error *deliver(struct audit_peer *p, const struct entries *e)
{
    const struct error *first = connect_and_send(p, e), *second;

    if (!first)
        return NULL;
    second = connect_peer(p, e);
    if (!second) {
        struct error *again = send_entries(p, e);

        if (again)
            disconnect(p); /* a stream may end in the middle of an entry */
        return again;
    }
    return error_new(e->arena, first->kind == ERR_TIMEOUT ? first->kind : second->kind,
                     "2 errors occurred:\n\t* %.*s\n\t* %.*s\n\n", PSTR(first->text), PSTR(second->text));
}

/* ---- the thread ---- */

static struct entries *entries_new(const bytes *v, size_t n, int64_t timeout_ns)
{
    struct arena *a = arena_new(0);
    struct entries *e = ARENA_NEW(a, struct entries);

    e->arena = a;
    e->deadline_ns = now_ns() + timeout_ns;
    e->v = ARENA_ARRAY(a, bytes, n);
    for (; e->n < n; e->n++)
        e->v[e->n] = arena_bytes(a, v[e->n]);
    return e;
}

static void end_locked(struct audit_peer *p, struct entries *e, struct error *result) REQUIRES(p->mutex)
{
    e->result = result;
    e->done = true;
    p->late = p->late || (result && result->kind == ERR_TIMEOUT);
    if (e->left)
        arena_free(e->arena);
}

/* Whoever still waits behind entries that took all their time has waited long enough. */
static void fail_queued_locked(struct audit_peer *p, const struct error *why) REQUIRES(p->mutex)
{
    for (struct entries *e = p->first, *next; e; e = next) {
        next = e->next;
        end_locked(p, e, error_copy(e->arena, why));
    }
    p->first = NULL;
    p->end = &p->first;
    p->queued = 0;
}

static struct entries *next_locked(struct audit_peer *p) REQUIRES(p->mutex)
{
    struct entries *e;

    while (!p->stop && !p->first) {
        if (!p->late)
            cond_wait(&p->work, &p->mutex);
        else if (!cond_wait_ns(&p->work, &p->mutex, PROBE_AFTER))
            return entries_new(NULL, 0, p->timeout_ns);
    }
    if (p->stop)
        return NULL;
    e = p->first;
    p->first = e->next;
    if (!p->first)
        p->end = &p->first;
    p->queued--;
    return e;
}

static void peer_destroy(struct audit_peer *p)
{
    disconnect(p);
    close(p->wake);
    cond_done(&p->work);
    cond_done(&p->done);
    mutex_done(&p->mutex);
    arena_free(p->arena);
}

static void serve(void *arg)
{
    struct audit_peer *p = arg;
    struct entries *e;

    mutex_lock(&p->mutex);
    while ((e = next_locked(p))) {
        bool probe = p->late; /* nobody waits for it */

        mutex_unlock(&p->mutex);
        struct error *result = deliver(p, e);

        mutex_lock(&p->mutex);
        p->late = p->late && result;
        if (result && result->kind == ERR_TIMEOUT)
            fail_queued_locked(p, result);
        e->left = e->left || probe;
        end_locked(p, e, result);
        cond_broadcast(&p->done);
    }
    bool orphan = p->orphan;

    mutex_unlock(&p->mutex);
    if (orphan)
        peer_destroy(p);
}

/* ---- calls ---- */

struct audit_peer *peer_new(const struct peer_endpoint *endpoints, size_t n, int64_t timeout_ns)
{
    struct arena *a = arena_new(0);
    struct audit_peer *p = ARENA_NEW(a, struct audit_peer);

    p->arena = a;
    for (size_t i = 0; i < n; i++)
        p->endpoints[i] = (struct peer_endpoint){arena_str(a, str_from_cstr(endpoints[i].network)).p,
                                                 arena_str(a, str_from_cstr(endpoints[i].address)).p};
    p->n_endpoints = n;
    p->timeout_ns = timeout_ns;
    p->fd = -1;
    p->end = &p->first;
    p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->wake < 0)
        die("no file descriptor is left for an audit device");
    mutex_init(&p->mutex);
    cond_init(&p->work);
    cond_init(&p->done);
    thread_start(&p->thread, "audit-peer", serve, p);
    return p;
}

static struct error *wait_locked(struct audit_peer *p, struct arena *a, struct entries *e) REQUIRES(p->mutex)
{
    struct error *result = NULL;

    while (!e->done) {
        int64_t left_ns = e->deadline_ns + GRACE_NS - now_ns();

        if (left_ns > 0) {
            (void)cond_wait_ns(&p->done, &p->mutex, left_ns); /* the time is looked at again */
            continue;
        }
        p->late = e->left = true;
        return error_new(a, ERR_TIMEOUT, "write %s %s: i/o timeout", p->endpoints[0].network,
                         p->endpoints[0].address);
    }
    if (e->result)
        result = error_copy(a, e->result);
    arena_free(e->arena);
    return result;
}

struct error *peer_write(struct audit_peer *p, struct arena *a, const bytes *entries, size_t n)
{
    struct error *result;

    mutex_lock(&p->mutex);
    if (p->late || p->queued == PEER_QUEUE_MAX) {
        result = error_new(a, ERR_INTERNAL, "dial %s %s: the peer did not answer in time and is not back yet",
                           p->endpoints[0].network, p->endpoints[0].address);
    } else {
        struct entries *e = entries_new(entries, n, p->timeout_ns);

        *p->end = e;
        p->end = &e->next;
        p->queued++;
        cond_signal(&p->work);
        result = wait_locked(p, a, e);
    }
    mutex_unlock(&p->mutex);
    return result;
}

void peer_free(struct audit_peer *p)
{
    uint64_t one = 1;

    mutex_lock(&p->mutex);
    bool orphan = p->looking_up;

    p->stop = true;
    p->orphan = orphan;
    fail_queued_locked(p, &(struct error){.text = STR("closed")});
    if (orphan)
        pthread_detach(p->thread.id);
    if (write(p->wake, &one, sizeof one) != (ssize_t)sizeof one)
        die("cannot wake an audit device's thread");
    cond_signal(&p->work);
    mutex_unlock(&p->mutex);
    if (orphan)
        return;
    thread_join(&p->thread);
    peer_destroy(p);
}
