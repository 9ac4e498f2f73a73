/* quota_private: a rule and the set of all. Source: docs/formats/quotas.md. */
#pragma once
#include "core/quota/quota.h"

#include <stdatomic.h>

/* in SPACE_SYS */
#define QUOTA_RATES  STR("quotas/rate-limit/")
#define QUOTA_LEASES STR("quotas/lease-count/")

struct quota_counts; /* of addresses, in count.c */

struct quota { /* a rule; in one block with its texts */
    _Atomic(uint32_t) refs;
    str name, mount, path, role; /* mount empty: all; path: inside the mount, "*" ends a pattern */
    double rate;
    int64_t interval_ns, block_ns; /* block 0: none */
    struct quota_counts *counts;   /* of a rate limit */
    int64_t max_leases;            /* of the other kind */
    uint16_t violations;           /* counter of base/metrics.h */
};

struct quota_rules { /* of one kind, sorted by mount */
    struct quota **v;
    size_t n;
};

struct quota_set {
    _Atomic(uint32_t) refs;
    struct arena *arena; /* it lives there */
    struct quota_rules rates, leases;
    bool tells_headers, audits_refusals;
    const str *exempt;
    size_t n_exempt;
};

/* count.c */
struct quota_counts *quota_counts_new(uint64_t limit, int64_t interval_ns, int64_t block_ns);
void quota_counts_free(struct quota_counts *c);
/* One request more of that address at that time (monotonic). False: too many. */
bool quota_counts_take(struct quota_counts *c, str address, int64_t now_ns, struct quota_told *ret);

/* quota.c */
/* The rule of a request. role: of a login, else empty. NULL: none. */
const struct quota *quota_match(const struct quota_rules *r, str mount, str path, str role);
/* Leases that the rule counts, of those that are published. */
int64_t quota_lease_count(struct request *rq, const struct quota *q);
bool quota_is_exempt(const struct quota_set *s, str path);
struct quota *quota_from_json(const struct json *stored); /* one reference; NULL: it cannot be used */
void quota_unref(struct quota *q);

/* quota_store.c */
bool quota_counts_leases(const struct request *rq); /* does the configuration say so? */
#define QUOTA_CONFIG STR("quotas/config")
struct error *quota_config_load(struct request *rq, struct json **ret) MUST_USE; /* never NULL */
struct error *quota_config_save(struct request *rq, const struct json *config) MUST_USE;
/* What is stored now is published with the request. It must run exclusive. */
struct error *quota_publish(struct request *rq) MUST_USE;
