/* token_private: what the token files share. */
#pragma once
#include "core/active.h"
#include "core/lease/lease.h"
#include "core/token/token.h"
#include "crypto/crypto.h"

struct token_state {
    struct secret *salt;       /* text of a UUID */
    struct hmac_key *salt_key; /* the same as a key */
    struct hmac_key *sign_key; /* core/index-header-hmac-key */
};

/* The stored name of an id or accessor: 65 or 40 characters and a NUL. */
void token_hash(const struct token_state *s, str id, char out[TOKEN_HASH_MAX + 1]);

/* Token string to inner id. False: a signed token that does not open, or a batch token. */
bool token_inner_id(struct request *rq, str token_string, str *ret_inner_id) MUST_USE;
/* Stored bytes to a block of its own; path ends in the stored name. */
object_parse_fn token_entry_parse;
/* The entry as it is stored, dead or not. NULL: none. */
struct error *token_load(struct request *rq, str inner_id, const struct token_entry **ret) MUST_USE;
struct error *token_load_hash(struct request *rq, str hash, const struct token_entry **ret) MUST_USE;
struct error *token_load_accessor(struct request *rq, str accessor, const struct token_entry **ret) MUST_USE;
/* The same if it is alive, else NULL. */
struct error *token_load_live(struct request *rq, str inner_id, const struct token_entry **ret) MUST_USE;
str token_lease_id(struct arena *a, const struct token_entry *te);
/* Its lease; NULL: none. A batch token's is made up. */
struct error *token_lease(struct request *rq, const struct token_entry *te, struct lease **ret) MUST_USE;

struct error *token_batch_make(struct request *rq, const struct token_spec *spec, int64_t now_ns,
                               str *ret_token) MUST_USE;
/* What it says, if the barrier made it, else NULL. */
const struct token_entry *token_batch_open(struct request *rq, str token);
/* NULL: malformed, not made here, past its end, or its parent is gone. */
struct error *token_batch_find(struct request *rq, str token, const struct token_entry **ret) MUST_USE;
int64_t token_batch_end_ns(const struct token_entry *te);

struct json *token_entry_json(struct arena *a, const struct token_spec *spec, str id, str accessor,
                              str cubbyhole_id, int64_t now_ns);
struct json *token_lease_json(struct arena *a, const struct token_spec *spec, str id, str accessor);

/* One step of deleting a token whose children become orphans. */
struct error *token_revoke_orphan_step(struct request *rq, str inner_id, bool *ret_done) MUST_USE;
/* Removes what is left of tokens that are gone, in the background; the log says how much. */
void token_tidy_start(struct active *a);

handler_fn token_create_handler, token_create_orphan_handler, token_create_role_handler;
extern const struct field token_create_fields[], token_create_role_fields[];
handler_fn token_renew_handler, token_renew_self_handler, token_renew_accessor_handler;
/* A request about tokens names one: `token`, or the caller's own. */
struct error *token_of_accessor(struct request *rq, const struct token_entry **ret)
    MUST_USE; /* 400 texts of the API; NULL never */
