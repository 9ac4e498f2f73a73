/* oidc_private: what the files of src/core/oidc share. */
#pragma once
#include "core/oidc/oidc.h"

#define OIDC_DEFAULT_KEY  "default"
#define OIDC_NAMED_KEYS   "oidc_tokens/named_keys/"
#define OIDC_PUBLIC_KEYS  "oidc_tokens/public_keys/"
#define OIDC_ROLES        "oidc_tokens/roles/"
#define OIDC_TTL_USUAL_NS (24 * 3600 * NS_PER_S)

extern const char *const oidc_algorithms[]; /* NULL-terminated */

struct view oidc_view(struct request *rq);                   /* of identity/ */
int64_t oidc_later_ns(const struct request *rq, int64_t ns); /* from now; or the end of time */

/* The stored form gets what the struct says. */
struct error *oidc_key_save(struct request *rq, struct oidc_key *k) MUST_USE;
/* New pairs for signing now and next; those before stay in the ring. */
struct error *oidc_key_make(struct request *rq, struct oidc_key *k) MUST_USE;
/* The next pair signs from now on; the last one is believed for verification_ttl_ns more. */
struct error *oidc_key_rotate(struct request *rq, struct oidc_key *k, int64_t verification_ttl_ns) MUST_USE;
bool oidc_key_can_sign(const struct oidc_key *k);
int64_t oidc_key_next_rotation_ns(const struct oidc_key *k);
/* Not later than this. */
void oidc_key_rotate_by(struct request *rq, struct oidc_key *k, int64_t when_ns);

struct oidc_ring { /* ids of public keys that are believed now */
    const str *ids;
    size_t n;
    int64_t next_expiry_ns; /* INT64_MAX: none of them expires */
};
struct oidc_ring oidc_key_ring(struct request *rq, const struct oidc_key *k);
/* Takes expired ones out of the ring; ret_ids: which. */
void oidc_key_prune(struct request *rq, struct oidc_key *k, const str **ret_ids, size_t *ret_n);

struct oidc_role {
    struct json *stored;
    str key, template, client_id;
    int64_t ttl_ns;
};
struct error *oidc_role_load(struct request *rq, str name, struct oidc_role **ret) MUST_USE; /* NULL: none */

/* When the timer looks again: 0: not known. A change of keys makes it look anew. */
int64_t oidc_next_run_ns(struct active *a);
void oidc_look_again(struct request *rq);
struct oidc *active_oidc(struct active *a); /* core's */
