/* token: the token store: entries, accessors, parents, and the auth/token/ routes.
 *
 * Stored: docs/formats/tokens.md (sys/token/id, accessor, parent, salt; own lease sys/expire/id/PATH/hash).
 * Token strings: inner ids "hvs." + 24, signed "hvs." + ~91, own ids; batch tokens "hvb.", which are stored
 * nowhere. What is stored is always the inner id.
 * Order of writing: accessor, parent, id, lease.
 */
#pragma once
#include "core/engine.h"

struct token_state; /* salt and signing key, decoded once per activation; in struct active */
struct token_entry;

enum token_type { TOKEN_DEFAULT = 0, TOKEN_SERVICE = 1, TOKEN_BATCH = 2 };
enum {
    TOKEN_HASH_MAX = 65 /* characters of a stored name */,
    TOKEN_STEP_ENTRIES = 56 /* that one step may write */
};

struct token_entry { /* one heap block, immutable, reference-counted with its cache entry */
    struct object object;
    enum token_type type;
    str id, accessor, parent, path, display_name, role, entity_id, cubbyhole_id, namespace_id;
    const str *policies;
    size_t n_policies;
    const struct json *meta; /* object of strings or NULL */
    const str *bound_cidrs;
    size_t n_bound_cidrs;
    int64_t num_uses; /* 0 no limit, -1 being revoked */
    int64_t creation_time_s;
    int64_t ttl_ns, explicit_max_ttl_ns, period_ns;
    bool no_identity_policies;
    char hash[TOKEN_HASH_MAX + 1]; /* stored name of the id, NUL-terminated; empty: a batch token, whose id is
                                      the token itself and whose memory is the request's */
};

/* At activation: reads or makes sys/token/salt and core/index-header-hmac-key (writes join the activation's
 * transaction). */
struct error *token_state_open(struct txn *t, struct rng *rng, struct token_state **ret) MUST_USE;
void token_state_free(struct token_state *s);

/* Looks the request's own token up. NULL: unknown, malformed, dead (no lease), expired or being revoked. Does
 * not count a use. ERR_DENIED: alive, but bound to other addresses than the peer's. */
struct error *token_find(struct request *rq, str token_string, const struct token_entry **ret) MUST_USE;
/* Any token: NULL as above, wherever it may be used from. */
struct error *token_find_live(struct request *rq, str token_string, const struct token_entry **ret) MUST_USE;
struct error *token_find_accessor(struct request *rq, str accessor, const struct token_entry **ret) MUST_USE;
/* Counts one use of a num_uses token (writes; kept when the request is refused). The last use makes it -1 and
 * revokes it after. */
struct error *token_use(struct request *rq, const struct token_entry *te) MUST_USE;
/* The root policy alone and no end: needs no lease. */
bool token_is_endless_root(const struct token_entry *te);

struct token_spec {
    str id;              /* own id; empty: a new one */
    str parent;          /* inner id; empty: orphan */
    const str *policies; /* as they shall be stored: sorted, lower case */
    size_t n_policies;
    const str *bound_cidrs;
    size_t n_bound_cidrs;
    str path, display_name, entity_id, role;
    const struct json *meta;
    int64_t num_uses, ttl_ns, explicit_max_ttl_ns, period_ns;
    bool renewable;
    bool no_default_policy;
    bool unsigned_form;   /* root tokens are given out as they are */
    enum token_type type; /* TOKEN_DEFAULT: service */
    bool explicit_max_of_role,
        period_of_role; /* asked of the role at each renewal, not in the token's entry */
    /* of a login; kept in the lease for renewing */
    bool is_login;
    const str *method_policies; /* as the auth method named them */
    size_t n_method_policies;
    const struct json *internal_data, *alias; /* NULL: null */
    int64_t max_ttl_ns;
};
/* Makes a service token with its lease in this transaction, or a batch token, and fills rs->auth. Errors:
 * ERR_BAD_REQUEST for an own id in use, for a batch token with the root policy. */
struct error *token_create(struct request *rq, struct response *rs, const struct token_spec *spec) MUST_USE;
/* The root token of init and generate-root: path auth/token/root, policies root, no lease. */
struct error *token_create_root(struct request *rq, str *ret_token) MUST_USE;
/* One step of revoking a token and all below it; ret_done when nothing is left. Idempotent; for bulk handlers
 * and expiry. A token with children is dead from the first step on, and core/coffer-pending/ holds {"what":
 * "token-revoke"} until the last. */
struct error *token_revoke_step(struct request *rq, str inner_id, bool *ret_done) MUST_USE;
/* The same within a step that does more: writes at most *left entries (of TOKEN_STEP_ENTRIES), and a few that
 * end it. */
struct error *token_revoke_within(struct request *rq, str inner_id, unsigned *left, bool *ret_done) MUST_USE;
/* One step of an entry of core/coffer-pending/ with what == "token-revoke", after a start. It is deleted with
 * the last step. */
struct error *token_resume(struct request *rq, const struct json *pending, bool *ret_done) MUST_USE;

extern const struct engine token_engine;     /* auth/token/ */
extern const struct engine cubbyhole_engine; /* src/core/cubbyhole */
