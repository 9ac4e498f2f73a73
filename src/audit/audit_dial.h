/* audit_dial: sockets of an audit peer: connecting and sending with a deadline that another thread can cut
 * short.
 *
 * Sockets are non-blocking; a wait ends at the deadline (monotonic ns; ERR_TIMEOUT) or as soon as `wake`
 * (an eventfd) can be read (ERR_INTERNAL). Names of hosts are looked up by the C library, which may take
 * longer: not by these functions.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"

#include <netdb.h>

struct dial {
    struct arena *arena; /* of errors */
    const char *network; /* "tcp", "udp", "unix", "unixgram": for the kind of socket, and for errors */
    const char *address;
    int64_t deadline_ns;
    int wake;
};

struct error *dial_unix(const struct dial *d, int *ret_fd) MUST_USE;
/* To the first of the addresses that answers. */
struct error *dial_addresses(const struct dial *d, const struct addrinfo *list, int *ret_fd) MUST_USE;
/* "dial tcp 127.0.0.1:1: WHAT" */
struct error *dial_error(const struct dial *d, enum err_kind kind, str what) COLD;

/* Sends all bytes; a datagram is sent whole or not at all. */
struct error *send_all(const struct dial *d, int fd, bytes b) MUST_USE;
/* Has the other end of a stream hung up? What it sent is thrown away. */
bool stream_has_ended(int fd);
