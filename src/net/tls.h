/* tls: the server's side of TLS over OpenSSL: contexts from a listener's configuration, sessions on sockets.
 *
 * Threads: a context is immutable once made and counts its references: any thread. A session belongs to its
 *          loop; nothing here waits.
 * Signals: OpenSSL writes without MSG_NOSIGNAL; http_server_listen has SIGPIPE ignored.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "config/config.h"

#include <openssl/types.h>

enum io {
    IO_DONE,
    IO_WANT_READ,
    IO_WANT_WRITE,
    IO_END, /* the peer has ended its side */
    IO_FAILED,
    IO_PLAIN_HTTP, /* handshake: the peer speaks plain HTTP to a TLS port */
};

/* Certificate, key, versions, cipher suites and client certificates as the listener says; ALPN http/1.1.
 * Errors: ERR_BAD_REQUEST "error loading TLS cert: open PATH: no such file or directory", `unsupported cipher
 * "X"`. */
struct error *tls_context_new(struct arena *a, const struct config_listener *l, SSL_CTX **ret_context)
    MUST_USE;

SSL *tls_session_new(SSL_CTX *context, int fd);        /* of a connection just accepted; NULL: no memory */
enum io tls_handshake(SSL *s, const char **ret_words); /* words: why it failed, for the log */
enum io tls_read(SSL *s, void *p, size_t n, size_t *ret_n);
enum io tls_write(SSL *s, const void *p, size_t n,
                  size_t *ret_n);   /* may write a part; call again with the rest */
bool tls_has_pending(const SSL *s); /* bytes read from the socket that epoll no longer tells of */
void tls_goodbye(SSL *s);           /* sends close_notify if that is possible at once */
/* The peer's certificate in DER, freed by the caller with free(); NULL if there is none. */
uint8_t *tls_peer_certificate(const SSL *s, size_t *ret_n);
void tls_session_free(SSL *s);     /* NULL is fine */
void tls_context_free(SSL_CTX *c); /* one reference; sessions keep theirs; NULL is fine */
