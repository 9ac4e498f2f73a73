/* http_server: HTTP/1.1 connections on loops. tcp or unix -> PROXY header -> TLS -> h1.
 *
 * One `struct exchange` is one request and its answer. The handler is called on the connection's loop once
 * the whole body is there; it must end every exchange with exactly one exchange_reply() on that loop, at once
 * or later (from another thread: loop_post). While an exchange is open its connection reads nothing more
 * (pipelining one at a time). The peer may go away meanwhile, and a stop may end: `gone` is set,
 * exchange_reply() still must be called and then just frees.
 *
 * Memory:  exchange.arena holds head and body; it is handed to the handler, wiped after the reply. The
 *          config_listener given to http_server_listen lives longer than the server.
 * Signals: http_server_listen ignores SIGPIPE for the whole process.
 * Source:  docs/formats/http.md (the probe table), RFC 9110, RFC 9112.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "base/loop.h"
#include "config/config.h"
#include "net/http_header.h"

struct exchange {
    struct arena *arena;
    struct loop *loop;
    str method; /* any token, as sent */
    str target; /* as sent: path and query; absolute-form reduced to them */
    struct http_header *headers;
    size_t n_headers;
    bytes body;
    bool body_too_large; /* body was over the listener's limit and was dropped; the handler answers 413 */
    bool expects_close;
    bool gone;
    bool is_tls;
    str remote_address; /* textual IP, or empty for a unix socket */
    int remote_port;
    bytes client_cert_der; /* of the peer; verified only if the listener requires that; empty if none */
    const struct config_listener *listener;
    void *user;            /* the handler's own */
    struct exchange *next; /* the handler's own, for lists */
};

/* All values of a header joined by ", "; empty if absent. Names without regard to case. */
str exchange_header(const struct exchange *x, str name);
bool exchange_has_header(const struct exchange *x, str name);

struct reply {
    int status;
    const struct http_header *headers; /* without Content-Length, Connection, Date */
    size_t n_headers;
    bytes body; /* copied or sent before exchange_reply returns */
    bool close; /* close the connection after it */
};
void exchange_reply(struct exchange *x, const struct reply *r); /* frees x */

/* An answer in pieces, pulled as the connection takes them. On the connection's loop, never waiting. */
struct exchange_source {
    /* Up to max bytes. 0 and not *ret_end: nothing now, exchange_ready() will be called when there is. */
    size_t (*next)(void *arg, uint8_t *out, size_t max, bool *ret_end);
    void (*closed)(
        void *arg); /* exactly once: it ended, the peer went away, or the server stops; x is gone */
    void *arg;
};
/* Instead of exchange_reply(): sends the head (r->body is not looked at), then what the source gives. May
 * call closed() before it returns. */
void exchange_stream(struct exchange *x, const struct reply *r, const struct exchange_source *source);
void exchange_ready(struct exchange *x); /* on its loop, before closed() was called; x may be gone after */

struct http_server;
struct http_server_config {
    struct loop **loops; /* the listening socket is in every loop's epoll with EPOLLEXCLUSIVE */
    size_t n_loops;
    void (*handler)(struct exchange *x, void *arg);
    void *arg;
    size_t request_memory_bytes_max; /* limit of an exchange's arena (arena_set_limit) */
    size_t all_memory_bytes_max;     /* of all exchanges together: past it new requests get 503; 0 = none */
    unsigned connections_max;        /* per listener; 0 = 20,000 */
    unsigned connections_per_address_max; /* 0 = no limit */
};

/* Binds and starts listening; connections are served once the loops run. Errors name the address. */
struct error *http_server_listen(struct arena *a, const struct config_listener *l,
                                 const struct http_server_config *c, struct http_server **ret_server)
    MUST_USE;
int http_server_port(const struct http_server *s); /* the real port when the configuration said :0 */
/* Loads certificate and key again; connections made before live on. On error the old ones stay. Any thread.
 */
struct error *http_server_reload_tls(struct arena *a, struct http_server *s) MUST_USE;
/* What exchanges that begin from now on see as their listener, and which it is now. The one given is a copy
 * with other response headers, and lives as long as the server. Any thread. */
void http_server_set_listener(struct http_server *s, const struct config_listener *l);
const struct config_listener *http_server_listener(const struct http_server *s);
/* Stops accepting, lets open exchanges end for at most drain_ns, closes all, calls done(arg) on some loop.
 * Any thread. */
void http_server_stop(struct http_server *s, int64_t drain_ns, void (*done)(void *arg), void *arg);
void http_server_free(struct http_server *s); /* after done, loops stopped or not using it */
/* For tests and metrics: connections open now, and a running server whose connections are all idle. */
unsigned http_server_connections(const struct http_server *s);
