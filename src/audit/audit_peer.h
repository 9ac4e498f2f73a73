/* audit_peer: whoever takes entries at the other end of a socket, and the thread that sends them there.
 *
 * The connection is made with the first entries. When sending fails it is made again, once, and all
 * entries of the call are sent again. A call waits for its result, at most for the time-out of the peer
 * and a moment; after a call that took all of it the peer is "late": calls fail at once, and the thread
 * tries to connect every second until that succeeds. A peer that refuses is tried with each call, which is
 * quick. Streams get all entries in one piece; datagrams hold one entry each.
 * Threads: any. Errors: ERR_TIMEOUT, ERR_INTERNAL, with Go's texts ("dial tcp 127.0.0.1:1: connect:
 *   connection refused"), or "2 errors occurred: …" for the first failure and that of connecting again.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"

enum { PEER_ENDPOINTS_MAX = 8, PEER_QUEUE_MAX = 256 };

struct peer_endpoint {
    const char *network; /* "tcp", "udp", "unix", "unixgram"; others can't be dialled */
    const char *address; /* host:port, or the path of a socket */
};

struct audit_peer;
/* The endpoints are tried in order; copied. */
struct audit_peer *peer_new(const struct peer_endpoint *endpoints, size_t n, int64_t timeout_ns);
/* n = 0: just connects. Entries are copied. */
struct error *peer_write(struct audit_peer *p, struct arena *a, const bytes *entries, size_t n) MUST_USE;
void peer_free(struct audit_peer *p); /* no call may be under way; does not wait for the peer */
