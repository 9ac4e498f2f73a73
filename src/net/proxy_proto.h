/* proxy_proto: the PROXY protocol's header, versions 1 and 2: who is behind the load balancer.
 *
 * Shape:   a pure function over the first bytes of a connection. The header is optional, as in the peers: a
 *          connection that begins otherwise is passed on unchanged.
 * Source:  docs/formats/http.md; the protocol is HAProxy's proxy-protocol.txt.
 *          Fuzzed: test/fuzz/fuzz_proxy_proto.c.
 */
#pragma once
#include "base/ip_range.h"

enum { PROXY_HEADER_BYTES_MAX = 4096 }; /* longer ones (TLVs may run to 64 KiB) are refused */

enum proxy_verdict {
    PROXY_MORE,  /* too few bytes to tell */
    PROXY_NONE,  /* no header */
    PROXY_FOUND, /* ret_header is set */
    PROXY_BAD,   /* begins as a header but is none */
};
struct proxy_header {
    size_t header_bytes;
    bool has_address; /* false for LOCAL, UNKNOWN and unix sockets: the connection's own address stays */
    struct ip_address source;
    uint16_t source_port;
};
enum proxy_verdict proxy_parse(bytes in, struct proxy_header *ret_header) MUST_USE;

/* What a listener does with a peer: its `proxy_protocol_behavior` and the addresses it trusts. */
enum proxy_policy {
    PROXY_POLICY_OFF,    /* no header is looked for */
    PROXY_POLICY_USE,    /* the header's address is taken */
    PROXY_POLICY_IGNORE, /* a header is read and forgotten */
    PROXY_POLICY_REFUSE, /* the connection is closed */
};
/* False: not one of "", "use_always", "allow_authorized", "deny_unauthorized". */
bool proxy_policy_is_known(str behavior);
enum proxy_policy proxy_policy_for(str behavior, const struct ip_range *authorized, size_t n,
                                   const struct ip_address *peer);
