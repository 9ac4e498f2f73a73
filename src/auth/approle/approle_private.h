/* approle_private: roles and secret ids as stored. Source: docs/formats/approle.md.
 *
 * Lifetime: everything in rq->arena. Secret ids are never stored: entries are filed under HMACs of them.
 */
#pragma once
#include "auth/approle/approle.h"

enum { APPROLE_ID_MAX = 4096 }; /* of a secret id, bytes */

struct role {
    str name; /* as its secret ids are filed under: lower case, but for roles of old */
    str role_id, hmac_key;
    str prefix; /* "secret_id/" or "secret_id_local/" */
    struct token_fields token;
    bool bind_secret_id;
    int64_t secret_id_num_uses, secret_id_ttl_ns;
    const str *secret_id_cidrs; /* NULL: never set */
    size_t n_secret_id_cidrs;
    const str *old_policies; /* shown when they were set by that name last */
    size_t n_old_policies;
    int64_t old_period_ns;
    struct json *stored; /* whole, for saving with unknown fields kept */
};

struct secret_id {
    str folder, hmac; /* where it is: folder + hmac */
    str accessor;
    int64_t num_uses;                                   /* left; 0: without limit */
    int64_t ttl_ns, created_ns, expires_ns, updated_ns; /* expires: TIME_ZERO_NS never */
    const struct json *metadata;                        /* object of strings */
    const str *cidrs, *token_cidrs;
    size_t n_cidrs, n_token_cidrs;
    struct json *stored;
};

/* ---- role.c ---- */

/* NULL: no such role. */
struct error *role_load(struct request *rq, str name, struct role **ret) MUST_USE;
/* 500 "role "x" does not exist", as most routes below a role answer. */
struct error *role_must(struct request *rq, struct role **ret) MUST_USE;
/* A fresh one, not stored yet, with keys of its own. */
struct role *role_new(struct request *rq, str name);
/* And the index of role ids, which must not have it for another role. previous_id: the one it had; empty:
 * none, or the same. */
struct error *role_save(struct request *rq, struct role *r, str previous_id) MUST_USE;
bool role_is_local(const struct role *r);
/* The name of the role with that role id; empty: there is none. */
struct error *role_name_of_id(struct request *rq, str role_id, str *ret_name) MUST_USE;
struct error *role_forget_id(struct request *rq, str role_id) MUST_USE; /* the index's entry */
/* At most the mount's longest time. */
struct error *role_check_period(struct request *rq, const struct role *r) MUST_USE;
/* Policies as the old names take them: cleaned. */
void role_clean_policies(struct request *rq, const char *field, const str **ret, size_t *ret_n);
/* Errors: 500 "failed to validate CIDR blocks: …", `what` before "CIDR". */
struct error *role_check_blocks(struct request *rq, const char *what, const str *v, size_t n) MUST_USE;

/* ---- secret_id.c ---- */

/* Where the role's secret ids are: its folder. */
str secret_id_folder(struct request *rq, const struct role *r);
str secret_id_hmac(struct request *rq, const struct role *r, str secret_id);
/* NULL: there is none, or its time is over. */
struct error *secret_id_load(struct request *rq, str folder, str hmac, struct secret_id **ret) MUST_USE;
/* Also one whose time is over. */
struct error *secret_id_load_any(struct request *rq, str folder, str hmac, struct secret_id **ret) MUST_USE;
bool secret_id_is_over(const struct request *rq, const struct secret_id *s);
struct error *secret_id_save(struct request *rq, struct secret_id *s) MUST_USE;
/* With its accessor. */
struct error *secret_id_delete(struct request *rq, const struct secret_id *s) MUST_USE;
/* The HMAC that the accessor stands for; empty: there is none. */
struct error *secret_id_of_accessor(struct request *rq, bool local, str accessor, str *ret_hmac) MUST_USE;
/* Makes the accessor, sets the times, and stores both. */
struct error *secret_id_register(struct request *rq, const struct role *r, str id, struct secret_id *s)
    MUST_USE;
/* The blocks of a secret id must lie within the role's. */
struct error *secret_id_check_within(struct request *rq, const str *role, size_t n_role, const str *own,
                                     size_t n_own) MUST_USE;
int64_t secret_id_ttl(const struct request *rq, int64_t ttl_ns); /* at most the mount's */

/* SHA-256 of the mount's salt and a text, in hex: the names of indexes. Empty: the mount has no salt yet. */
struct error *approle_salted(struct request *rq, str text, bool make_salt, str *ret) MUST_USE;

/* Key=value pairs, JSON, or base64 of either: `metadata` of a secret id. Errors: 400. */
struct error *metadata_parse(struct request *rq, str text, struct json **ret) MUST_USE;

extern const struct route approle_field_routes[];
extern const struct route approle_secret_id_routes[];
extern const struct route approle_login_routes[];
/* Accessors without a secret id, which takes long to see; from row APPROLE_TIDY_IDS on, secret ids whose time
 * is over. */
enum { APPROLE_TIDY_ROWS = 5, APPROLE_TIDY_IDS = 2 };
extern const struct sweep_folder approle_tidy[APPROLE_TIDY_ROWS];
struct error *approle_login_alias(struct request *rq, str *ret_name);
struct error *approle_login_role(struct request *rq, str *ret_name);
struct error *approle_renew(struct request *rq, struct renewal *r);
