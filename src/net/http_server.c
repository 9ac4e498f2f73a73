/* The server: its parts on each loop, accepting, and the stop.
 *
 * A stop ends when `refs` is zero: one for each loop (dropped when it has stopped listening and has no
 * connection left) and one for each connection, also for those on their way from the loop that accepted them
 * to the loop that serves them.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/secure.h"
#include "net/http_private.h"
#include "net/proxy_proto.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPT_RETRY_MS = 100 };

bool server_charge(struct http_server *s, size_t n)
{
    size_t before = atomic_fetch_add_explicit(&s->memory_bytes, n, memory_order_relaxed);
    return s->all_memory_bytes_max == 0 || before + n <= s->all_memory_bytes_max;
}

void server_discharge(struct http_server *s, size_t n)
{
    atomic_fetch_sub_explicit(&s->memory_bytes, n, memory_order_relaxed);
}

static void server_done(struct loop *l, struct post *p)
{
    (void)l;
    struct http_server *s = CONTAINER_OF(p, struct http_server, done_post);
    s->done(s->done_arg);
}

static void server_unref(struct http_server *s, struct loop *l)
{
    if (atomic_fetch_sub(&s->refs, 1) == 1 && s->done) {
        s->done_post.fn = server_done; /* from a turn of its own: `done` may free the server */
        loop_post(l, &s->done_post);
    }
}

static void listener_close(struct http_server *s)
{
    if (s->fd < 0)
        return;
    close(s->fd);
    s->fd = -1;
    if (s->unix_path)
        (void)unlink(s->unix_path);
}

static void server_loop_unlisten(struct server_loop *sl)
{
    loop_timer_clear(sl->loop, &sl->retry);
    if (sl->is_watching)
        loop_unwatch(sl->loop, &sl->watch);
    sl->is_watching = false;
}

static void server_loop_end_stop(struct server_loop *sl)
{
    if (!sl->is_stopping || sl->conns || sl->has_stopped)
        return;
    sl->has_stopped = true;
    loop_timer_clear(sl->loop, &sl->drain);
    server_unref(sl->server, sl->loop);
}

void server_loop_left(struct server_loop *sl)
{
    struct http_server *s = sl->server;
    atomic_fetch_sub_explicit(&sl->load, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&s->connections, 1, memory_order_relaxed);
    server_loop_end_stop(sl);
    server_unref(s, sl->loop);
}

/* Closes the connections that `all`, or only those without a request. */
static void server_loop_close(struct server_loop *sl, bool all)
{
    struct conn *next;
    for (struct conn *c = sl->conns; c; c = next) {
        next = c->next;
        if (all || conn_is_idle(c))
            conn_close(c);
    }
}

static void on_drain_end(struct loop *l, struct loop_timer *t)
{
    (void)l;
    server_loop_close(CONTAINER_OF(t, struct server_loop, drain), true);
}

static void on_stop(struct loop *l, struct post *p)
{
    struct server_loop *sl = CONTAINER_OF(p, struct server_loop, stop);
    struct http_server *s = sl->server;
    server_loop_unlisten(sl);
    if (atomic_fetch_sub(&s->listening, 1) == 1)
        listener_close(s);
    sl->drain.fn = on_drain_end;
    loop_timer_set(l, &sl->drain, s->drain_ns);
    server_loop_close(sl, false);
    sl->is_stopping = true; /* only now: closing the last connection above must not end the stop twice */
    server_loop_end_stop(sl);
}

void http_server_stop(struct http_server *s, int64_t drain_ns, void (*done)(void *arg), void *arg)
{
    if (atomic_exchange(&s->is_stop_begun, true))
        return;
    s->drain_ns = drain_ns;
    s->done = done;
    s->done_arg = arg;
    for (size_t i = 0; i < s->n_loops; i++)
        loop_post(s->loops[i]->loop, &s->loops[i]->stop);
}

/* The loop with the fewest connections; this one, which counts the new connection already, if it is among
 * them. Without this the kernel's choice of a waiter would give one loop nearly all of them. */
static struct server_loop *server_loop_choose(struct server_loop *here)
{
    struct http_server *s = here->server;
    struct server_loop *best = here;
    unsigned least = atomic_load_explicit(&here->load, memory_order_relaxed) - 1;
    for (size_t i = 0; i < s->n_loops; i++) {
        unsigned load = atomic_load_explicit(&s->loops[i]->load, memory_order_relaxed);
        if (load < least) {
            least = load;
            best = s->loops[i];
        }
    }
    return best;
}

static void on_handover(struct loop *l, struct post *p)
{
    (void)l;
    conn_start(CONTAINER_OF(p, struct conn, handover));
}

static void peer_read(struct conn *c, const struct sockaddr_storage *peer)
{
    uint16_t port;
    if (peer->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
        c->peer_ip = ip_from_v4((const uint8_t *)&in->sin_addr);
        port = ntohs(in->sin_port);
    } else if (peer->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)peer;
        memcpy(c->peer_ip.p, &in->sin6_addr, sizeof c->peer_ip.p);
        port = ntohs(in->sin6_port);
    } else {
        return;
    }
    conn_set_address(c, &c->peer_ip, port);
    c->is_tcp = true;
}

/* False: the peer may not connect (its PROXY policy, or too many connections of its own). */
static bool peer_may_connect(struct conn *c)
{
    struct http_server *s = c->sl->server;
    if (!c->is_tcp)
        return true;
    switch (proxy_policy_for(s->listener->proxy_protocol_behavior, s->proxy_ranges, s->n_proxy_ranges,
                             &c->peer_ip)) {
    case PROXY_POLICY_REFUSE: return false;
    case PROXY_POLICY_USE: c->state = CONN_PROXY; break;
    case PROXY_POLICY_IGNORE:
        c->state = CONN_PROXY;
        c->ignores_proxy_address = true;
        break;
    case PROXY_POLICY_OFF: break;
    }
    c->is_counted = s->peers && peer_count_add(s->peers, &c->peer_ip);
    return c->is_counted || !s->peers;
}

static SSL *server_session(struct http_server *s, int fd)
{
    mutex_lock(&s->tls_lock);
    SSL *ssl = tls_session_new(s->tls, fd);
    mutex_unlock(&s->tls_lock);
    return ssl;
}

static void load_add(struct server_loop *sl, unsigned n)
{
    atomic_fetch_add_explicit(&sl->load, n, memory_order_relaxed);
}

static void conn_accept(struct server_loop *here, int fd, const struct sockaddr_storage *peer)
{
    struct http_server *s = here->server;
    struct conn *c = conn_new(here, fd);
    atomic_fetch_add(&s->refs, 1);
    atomic_fetch_add_explicit(&s->connections, 1, memory_order_relaxed);
    load_add(here, 1);
    peer_read(c, peer);
    bool may = peer_may_connect(c);
    if (may && !s->listener->tls_disable) {
        c->ssl = server_session(s, fd);
        may = c->ssl != NULL;
        if (c->state == CONN_HEAD)
            c->state = CONN_HANDSHAKE;
    }
    struct server_loop *there = server_loop_choose(here);
    if (!may) {
        conn_close(c);
    } else if (there == here) {
        conn_start(c);
    } else {
        load_add(here, -1U);
        load_add(there, 1);
        c->sl = there;
        c->handover.fn = on_handover;
        loop_post(there->loop, &c->handover);
    }
}

static void listener_watch(struct server_loop *sl)
{
    struct arena *a = arena_new(0);
    const struct error *e = loop_watch(sl->loop, a, &sl->watch);
    if (e)
        log_error("http", "cannot watch the listening socket", F_STR("error", e->text));
    sl->is_watching = !e;
    arena_free(a);
}

static void on_retry(struct loop *l, struct loop_timer *t)
{
    (void)l;
    listener_watch(CONTAINER_OF(t, struct server_loop, retry));
}

/* Without descriptors or memory the socket stays readable: look away for a while instead of spinning. */
static void accept_failed(struct server_loop *sl, int os_errno)
{
    if (os_errno != EMFILE && os_errno != ENFILE && os_errno != ENOBUFS && os_errno != ENOMEM)
        return; /* EAGAIN, or a connection that died in the queue */
    log_warn("http", "cannot accept connections", F_CSTR("error", strerror(os_errno)));
    server_loop_unlisten(sl);
    sl->retry.fn = on_retry;
    loop_timer_set(sl->loop, &sl->retry, ACCEPT_RETRY_MS * NS_PER_MS);
}

static bool server_is_full(struct server_loop *sl)
{
    const struct http_server *s = sl->server;
    bool full = atomic_load_explicit(&s->connections, memory_order_relaxed) >= s->connections_max;
    if (full && !sl->was_full)
        log_warn("http", "too many connections, new ones are closed", F_INT("max", s->connections_max));
    sl->was_full = full;
    return full;
}

static void on_accept(struct loop *l, struct watch *w, uint32_t events)
{
    (void)l, (void)events;
    struct server_loop *sl = CONTAINER_OF(w, struct server_loop, watch);
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t n = sizeof peer;
        int fd = accept4(w->fd, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            accept_failed(sl, errno);
            return;
        }
        if (server_is_full(sl))
            close(fd);
        else
            conn_accept(sl, fd, &peer);
    }
}

static struct error *proxy_ranges_read(struct arena *a, struct http_server *s)
{
    const struct config_listener *l = s->listener;
    if (!proxy_policy_is_known(l->proxy_protocol_behavior))
        return error_new(a, ERR_BAD_REQUEST, "unknown behavior type for proxy protocol config: %.*s",
                         PSTR(l->proxy_protocol_behavior));
    s->proxy_ranges = calloc(l->n_proxy_protocol_addrs + 1, sizeof *s->proxy_ranges);
    for (size_t i = 0; s->proxy_ranges && i < l->n_proxy_protocol_addrs; i++)
        if (!ip_range_parse(l->proxy_protocol_addrs[i], &s->proxy_ranges[s->n_proxy_ranges++]))
            return error_new(a, ERR_BAD_REQUEST, "proxy_protocol_authorized_addrs: invalid address %.*s",
                             PSTR(l->proxy_protocol_addrs[i]));
    return NULL;
}

static void server_loop_init(struct server_loop *sl, struct http_server *s, struct loop *l)
{
    sl->server = s;
    sl->loop = l;
    sl->stop.fn = on_stop;
    sl->watch = (struct watch){.fd = s->fd, .events = EPOLLIN | EPOLLEXCLUSIVE, .fn = on_accept};
}

static struct http_server *server_new(const struct config_listener *l, const struct http_server_config *c)
{
    struct http_server *s = calloc(1, sizeof *s + c->n_loops * sizeof s->loops[0]);
    if (!s)
        die("out of memory");
    s->listener = l;
    http_server_set_listener(s, l);
    s->handler = c->handler;
    s->arg = c->arg;
    s->request_memory_bytes_max = c->request_memory_bytes_max;
    s->all_memory_bytes_max = c->all_memory_bytes_max;
    s->connections_max = c->connections_max ? c->connections_max : CONNECTIONS_MAX_DEFAULT;
    s->peers = c->connections_per_address_max ? peer_count_new(c->connections_per_address_max) : NULL;
    s->fd = -1;
    s->n_loops = c->n_loops;
    mutex_init(&s->tls_lock);
    return s;
}

static struct error *server_open(struct arena *a, struct http_server *s, const struct http_server_config *c)
{
    TRY(proxy_ranges_read(a, s));
    if (!s->listener->tls_disable)
        TRY(tls_context_new(a, s->listener, &s->tls));
    TRY(listen_open(a, s->listener, &s->fd, &s->port, &s->unix_path));
    atomic_store(&s->listening, (unsigned)s->n_loops);
    atomic_store(&s->refs, (unsigned)s->n_loops);
    for (size_t i = 0; i < s->n_loops; i++) {
        s->loops[i] = calloc(1, sizeof *s->loops[i]);
        if (!s->loops[i])
            die("out of memory");
        server_loop_init(s->loops[i], s, c->loops[i]);
    }
    for (size_t i = 0; i < s->n_loops; i++) {
        TRY(loop_watch(c->loops[i], a, &s->loops[i]->watch));
        s->loops[i]->is_watching = true;
    }
    return NULL;
}

struct error *http_server_listen(struct arena *a, const struct config_listener *l,
                                 const struct http_server_config *c, struct http_server **ret_server)
{
    (void)signal(SIGPIPE, SIG_IGN); /* OpenSSL's socket writes know no MSG_NOSIGNAL */
    struct http_server *s = server_new(l, c);
    struct error *e = server_open(a, s, c);
    if (e) {
        http_server_free(s);
        return e;
    }
    *ret_server = s;
    return NULL;
}

int http_server_port(const struct http_server *s)
{
    return s->port;
}

void http_server_set_listener(struct http_server *s, const struct config_listener *l)
{
    atomic_store_explicit(&s->listener_seen, l, memory_order_release); /* with the load below */
}

const struct config_listener *http_server_listener(const struct http_server *s)
{
    return atomic_load_explicit(&s->listener_seen, memory_order_acquire);
}

struct error *http_server_reload_tls(struct arena *a, struct http_server *s)
{
    if (s->listener->tls_disable)
        return NULL;
    SSL_CTX *fresh;
    TRY(tls_context_new(a, s->listener, &fresh));
    mutex_lock(&s->tls_lock);
    SSL_CTX *old = s->tls;
    s->tls = fresh;
    mutex_unlock(&s->tls_lock);
    tls_context_free(old);
    return NULL;
}

static void server_loop_free(struct server_loop *sl)
{
    if (!sl)
        return;
    if (!sl->has_stopped) {
        server_loop_unlisten(sl);
        loop_timer_clear(sl->loop, &sl->drain);
        server_loop_close(sl, true);
    }
    wipe(sl->scratch, sizeof sl->scratch);
    free(sl);
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    s->done = NULL;
    for (size_t i = 0; i < s->n_loops; i++)
        server_loop_free(s->loops[i]);
    listener_close(s);
    tls_context_free(s->tls);
    peer_count_free(s->peers);
    mutex_done(&s->tls_lock);
    free(s->proxy_ranges);
    free(s->unix_path);
    free(s);
}

unsigned http_server_connections(const struct http_server *s)
{
    return atomic_load_explicit(&s->connections, memory_order_relaxed);
}
