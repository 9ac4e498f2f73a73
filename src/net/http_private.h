/* http_private: what the server's files share: server, its part on each loop, connection, exchange.
 * Not for other rooms.
 *
 * Threads: a connection and its exchange belong to one loop. Of `struct http_server` only the atomics and
 *          what is under tls_lock change after http_server_listen.
 *
 * A connection's states; each may also end in CLOSED:
 *
 *   PROXY -> HANDSHAKE -> HEAD -> BODY -> READY -> BUSY -> FLUSH -> HEAD
 *   (only if configured)                  (handler runs)         -> LINGER -> CLOSED
 *                                         BUSY -> STREAM -> FLUSH
 */
#pragma once
#include "base/buf.h"
#include "base/ip_range.h"
#include "base/mutex.h"
#include "net/backlog.h"
#include "net/h1.h"
#include "net/http_server.h"
#include "net/peer_count.h"
#include "net/tls.h"

#include <stdatomic.h>

enum {
    CONNECTIONS_MAX_DEFAULT = 20000,
    SCRATCH_BYTES = 64 * 1024,
    ACCEPTS_PER_TURN = 16,
    READS_PER_TURN = 16,
    /* After a refusal what still comes is read and thrown away for a while: many clients send all of a body
     * before they look at the answer, and closing under them would lose it in a reset. */
    LINGER_BYTES_MAX = 64 * 1024 * 1024,
    LINGER_MS = 1000, /* of silence */
    LINGER_TOTAL_S = 30,
    TIMER_SLACK_MS = 10,
    PROXY_TIMEOUT_S = 10,
};

enum conn_state {
    CONN_PROXY,     /* waits for the PROXY header */
    CONN_HANDSHAKE, /* TLS */
    CONN_HEAD,      /* idle, or a part of a head is there */
    CONN_BODY,
    CONN_READY,  /* a request is complete, its handler not yet called */
    CONN_BUSY,   /* the exchange is the handler's */
    CONN_STREAM, /* the answer is pulled from its source, piece by piece */
    CONN_FLUSH,  /* the answer waits for room in the socket */
    CONN_LINGER, /* answered for the last time; what comes in is dropped */
    CONN_CLOSED, /* freed when nobody holds it */
};

struct server_loop;

struct http_exchange {
    struct exchange x;
    struct conn *conn; /* NULL: gone */
    struct h1_head head;
    struct h1_chunks chunks;
    struct buf body;
    uint64_t body_left;
    size_t charged_bytes;
    struct exchange_source source; /* in CONN_STREAM */
    bool stream_chunked, stream_closes;
    bool stream_deaf; /* the peer sends: it is not listened to */
};

struct conn {
    struct watch watch;
    enum conn_state state;
    struct loop_timer timer; /* set at or before deadline_ns: moving a deadline back costs nothing */
    int64_t deadline_ns;     /* INT64_MAX: none */
    int64_t started_ns;      /* first byte of the request; 0: none yet */
    struct post handover;
    struct server_loop *sl;
    struct conn *next, *prev; /* of the loop's list */
    struct http_exchange *exchange;
    SSL *ssl;
    struct backlog in, out;
    size_t charged_bytes; /* for `in` and `out` */
    struct h1_scan scan;
    uint8_t *cert;
    size_t cert_bytes;
    struct ip_address peer_ip; /* as connected, for the limit */
    char address[IP_TEXT_MAX]; /* as shown: the peer's, or the PROXY header's */
    uint16_t port;
    uint16_t holds;  /* callers up the stack that still use it */
    bool is_running; /* conn_run is one of them */
    bool over_memory;
    uint8_t address_bytes; /* 0: a unix socket */
    bool is_tcp;
    bool is_started, is_counted;
    bool ignores_proxy_address;
    bool keep_alive;    /* after FLUSH */
    bool lingers;       /* after FLUSH, when not kept alive: bytes may still come */
    size_t proxy_bytes; /* of a PROXY header that is not whole yet */
    size_t linger_bytes;
};

struct server_loop {
    struct http_server *server;
    struct loop *loop;
    struct watch watch; /* of the listening socket */
    bool is_watching;
    struct loop_timer retry; /* of accepting, when descriptors ran out */
    struct conn *conns;
    atomic_uint load; /* connections here and on their way here; read by accepting loops, relaxed */
    struct post stop;
    struct loop_timer drain;
    bool is_stopping, has_stopped, was_full;
    int64_t date_s;
    char date[H1_DATE_BYTES];
    /* Bytes come in and answers go out through here; in use only between two calls of a handler. */
    uint8_t scratch[SCRATCH_BYTES];
};

struct http_server {
    const struct config_listener *listener;
    _Atomic(const struct config_listener *) listener_seen; /* by exchanges: other headers after a reload */
    void (*handler)(struct exchange *x, void *arg);
    void *arg;
    size_t request_memory_bytes_max, all_memory_bytes_max;
    unsigned connections_max;
    struct ip_range *proxy_ranges;
    size_t n_proxy_ranges;
    struct peer_count *peers; /* NULL: no limit */
    int fd;
    int port;
    char *unix_path; /* NULL for tcp */
    struct mutex tls_lock;
    SSL_CTX *tls;               /* lock: tls_lock; NULL without TLS */
    atomic_size_t memory_bytes; /* of requests; a bound, not an account: relaxed */
    atomic_uint connections;
    atomic_uint listening; /* loops that still watch fd; the last closes it */
    atomic_uint refs;      /* loops not stopped + connections; at zero the stop is done (acq_rel) */
    atomic_bool is_stop_begun;
    int64_t drain_ns;
    void (*done)(void *arg);
    void *done_arg;
    struct post done_post;
    size_t n_loops;
    struct server_loop *loops[]; /* each in memory of its own: no cache line is shared */
};

/* http_listen.c: a listening socket, non-blocking; tcp with its real port, unix with its path (malloc). */
struct error *listen_open(struct arena *a, const struct config_listener *l, int *ret_fd, int *ret_port,
                          char **ret_path) MUST_USE;

/* http_conn.c */
struct conn *conn_new(struct server_loop *sl, int fd); /* takes fd over */
bool conn_is_reading(const struct conn *c);            /* HEAD or BODY */
void conn_start(struct conn *c);
void conn_close(struct conn *c);
void conn_hold(struct conn *c);
void conn_release(struct conn *c);
void conn_set_events(struct conn *c, uint32_t events);
void conn_set_timeout(struct conn *c, int64_t from_ns, int64_t timeout_ns); /* timeout 0: none */
void conn_await_head(struct conn *c); /* the first request may come now */
void conn_set_address(struct conn *c, const struct ip_address *ip, uint16_t port);
void conn_charge(struct conn *c); /* its backlogs have changed */
bool conn_is_idle(const struct conn *c);
/* Sends both parts, keeps what the socket does not take. The first one may lie in the scratch. */
void conn_send(struct conn *c, bytes head, bytes body);
void conn_answered(struct conn *c, bool keep_alive,
                   bool lingers); /* the last byte of an answer was given to conn_send */
void conn_flush(struct conn *c);  /* as much of what waits as the socket takes */
void conn_resume(struct conn *c); /* after an answer given outside conn_run */

/* http_read.c: sockets to requests. */
void conn_run(struct conn *c); /* works off what is there; the caller holds it */
void conn_on_readable(struct conn *c);
void conn_on_proxy(struct conn *c);
void conn_on_handshake(struct conn *c);

/* http_exchange.c */
struct http_exchange *exchange_new(struct conn *c, str head, size_t lines,
                                   const struct h1_refusal **ret_refusal);
void exchange_free(struct http_exchange *hx);
/* Takes body bytes; true when the body is complete. False with *ret_refusal set: refuse. */
bool exchange_body(struct http_exchange *hx, bytes in, size_t *ret_used,
                   const struct h1_refusal **ret_refusal);
void conn_refuse(struct conn *c, const struct h1_refusal *why); /* a plain answer of our own, then the end */
/* The head of an answer in pieces. */
void exchange_send_head(struct http_exchange *hx, const struct reply *r);
/* http_stream.c */
void stream_abandon(struct http_exchange *hx); /* calls its source's closed() */
void conn_on_streaming(struct conn *c, uint32_t events);
extern const struct h1_refusal refusal_memory, refusal_timeout;

/* http_server.c */
void server_loop_left(struct server_loop *sl);       /* a connection of this loop is closed */
bool server_charge(struct http_server *s, size_t n); /* false: past the limit (charged all the same) */
void server_discharge(struct http_server *s, size_t n);
