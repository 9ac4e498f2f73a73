/* srv: where a service is, by the SRV records of DNS (RFC 2782): `_http._tcp.HOST`.
 *
 * Of several records one of the lowest priority is drawn, each with a chance of its weight. Threads: any.
 * Lifetime: the arena.
 */
#pragma once
#include "base/arena.h"
#include "base/rand.h"

enum { SRV_ANSWER_BYTES_MAX = 64 * 1024 };

/* "target:port" out of a DNS answer; empty: it has no record that can be used. */
str srv_from_answer(struct arena *a, bytes answer, struct rng *rng);
/* Asks the system's resolvers; empty: no record, or no answer. */
str srv_lookup(struct arena *a, str host);
