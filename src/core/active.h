/* active: what exists only on the active node: from promotion to seal, step-down or a lost lock.
 *
 * Lifetime: a request holds it from core_handle to core_call_end (see handle.c); the control thread builds
 * and ends it.
 */
#pragma once
#include "core/engine.h"

struct active;
struct token_state;
struct lease_manager;
struct acl_cache;
struct audit_set;

struct token_state *active_tokens(struct active *a);
struct lease_manager *active_leases(struct active *a);
int64_t active_default_ttl_ns(const struct active *a); /* default_lease_ttl of the configuration */
int64_t active_max_ttl_ns(const struct active *a);
const struct clock *active_clock(const struct active *a);
int64_t active_since_ns(const struct active *a); /* wall time at which it began to be made */
struct rng *active_rng(const struct active *a);
