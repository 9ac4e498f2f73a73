/* quota: rate limits: how many requests an address may send in a time, for a mount, a path in it, a role of
 * its logins, or everything; and, where the configuration switches them on, limits of the leases of a mount,
 * a path in it, or all. Stored: docs/formats/quotas.md (sys/quotas/).
 *
 * The rules are part of the snapshot (active_private.h): immutable, swapped at publication. Each rule counts
 * addresses in a table of its own, which goes with it; a rule that is written as it was keeps its counts.
 * Of the rules that fit a request the most specific one counts it: role, path, longest pattern, mount, all.
 * Bounds: QUOTA_ADDRESSES_MAX addresses a rule; of those that share a place the one seen first goes.
 * Threads: loops count, under the lock of a small part of a table; sets change in the lane, at publication.
 */
#pragma once
#include "core/core.h"

enum { QUOTA_ADDRESSES_MAX = 32768 };

struct active;
struct quota_set;

struct quota_set *quota_set_ref(struct quota_set *s); /* NULL is fine */
void quota_set_unref(struct quota_set *s);
bool quota_set_limits_rates(const struct quota_set *s);
/* At activation: the stored rules; NULL: none. */
struct error *quota_open(struct request *rq, struct quota_set **ret) MUST_USE;

/* Counts the request on its way in, on its loop, once; call->quota is what the answer tells. False: it is one
 * too many: call->error says so, and it goes no further. A login by a role with a rule of its own is counted
 * by quota_login() instead. scratch: reset by it. */
bool quota_enter(struct active *a, struct core_call *call, struct arena *scratch);
/* A login whose role is known: before any proof. Errors: 429. */
struct error *quota_login(struct request *rq) MUST_USE;

/* In the lane, before a lease with this path is made. Errors: 429. May ask to run alone: then nothing is in
 * flight and the count is exact. */
struct error *quota_lease(struct request *rq, str path) MUST_USE;

/* With the mount its rules go, or move. */
struct error *quota_mount_gone(struct request *rq, str path) MUST_USE;
struct error *quota_mount_moved(struct request *rq, str from, str to) MUST_USE;

/* sys/quotas/…, relative to sys/ */
extern const struct route quota_routes[];
