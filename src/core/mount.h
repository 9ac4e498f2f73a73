/* mount: the mount tables and the router. An immutable snapshot that every request holds; changed only by
 * publishing a new one.
 *
 * Stored: docs/formats/mounts.md (core/mounts, core/local-mounts, core/auth, core/local-auth; gzip). Unknown
 * fields survive.
 * Lifetime: a mount lives as long as the snapshot it was found in, which the request holds (rq->arena).
 */
#pragma once
#include "core/engine.h"

struct route_table;

struct mount {
    str path; /* "secret/"; auth mounts "auth/userpass/" */
    str type, description, uuid, backend_aware_uuid, accessor;
    const struct json *options;                     /* object of strings, or NULL */
    int64_t default_lease_ttl_ns, max_lease_ttl_ns; /* 0: the system's */
    bool is_auth, local, seal_wrap, tainted, unmounting;
    const str *audit_request_keys, *audit_response_keys; /* audit_non_hmac_*_keys */
    size_t n_audit_request_keys, n_audit_response_keys;
    const struct route_table *routes; /* of the engine */
    /* NULL: a type this program does not have; kept, shown, its paths answer an error */
    const struct engine *engine;
    struct space *space;
    const struct json *entry; /* as stored, unknown fields and all */
    _Atomic(uint16_t)
        *metrics; /* series, by enum mount_metric (core/measure.h); METRIC_NONE: not asked for yet */
};

struct mount_table { /* sorted by path; never changes */
    const struct mount *mounts;
    size_t n;
};

/* Longest mount whose path begins `path` ("secret" finds "secret/" too). NULL: none. */
const struct mount *mount_find(const struct mount_table *t, str path);
const struct mount_table *request_mounts(const struct request *rq); /* of the snapshot the request runs on */
/* falls back to the system's; the longest is at most 200 years, so that what begins now has an end */
int64_t mount_default_ttl_ns(const struct request *rq, const struct mount *m);
int64_t mount_max_ttl_ns(const struct request *rq, const struct mount *m);
