/* served: a running http_server for tests, with a handler that does what the path says, and a raw client.
 *
 *   /echo   METHOD, target and body come back          /later  the same, a turn later
 *   /hold   is kept until served_release()             /big    as many bytes as the query says
 *   /peer   address, tls, certificate's length         /close  an answer that ends the connection
 *   /headers  the names of all fields                  /none   204
 */
#pragma once
#include "net/http_server.h"

enum { SERVED_LOOPS = 2 };

struct served;
/* The listener: loopback, any port, no TLS, the defaults of a configuration. */
struct config_listener served_listener(void);
struct served *served_start(struct config_listener *l, struct http_server_config c); /* c: limits only */
void served_stop(struct served *s, int64_t drain_ns);                                /* and waits for it */
void served_stop_begin(struct served *s, int64_t drain_ns);
bool served_stop_wait(struct served *s, int64_t timeout_ns); /* false: not stopped in time */
void served_free(struct served *s);
struct http_server *served_server(const struct served *s);
unsigned served_calls(const struct served *s); /* of the handler */
unsigned served_held(const struct served *s);
bool served_held_is_gone(const struct served *s);
void served_release(struct served *s); /* answers what /hold kept */
void served_wait_held(const struct served *s, unsigned n);
void served_wait_connections(const struct served *s, unsigned n);

struct client {
    int fd;
    char *p; /* received and not yet taken */
    size_t n, cap;
};
struct answer {
    int status;
    char head[4096]; /* NUL-terminated */
    str body;        /* malloc'ed: answer_done */
};
struct client client_tcp(int port);
struct client client_unix(const char *path);
void client_send(struct client *c, str s);
struct answer client_answer(struct client *c, bool of_head_request);
bool client_is_closed(struct client *c); /* waits: the peer ends without another byte */
void client_done(struct client *c);
void answer_done(struct answer *a);
/* Sends, expects status and body (NULL: any). */
void client_expect(struct client *c, str request, int status, const char *body);
