/* login: what an auth method and core say to each other. Part of the contract of engine.h.
 *
 * A handler of a ROUTE_LOGIN route proves who it is and sets rs->login; core then finds or makes the entity,
 * collects the policies and makes the token. A wrong password or the like is answered with login_refuse(),
 * which counts for the lockout.
 * Lifetime: everything in rq->arena. Stored: docs/formats/userpass.md, "Token fields".
 */
#pragma once
#include "base/json.h"
#include "core/lease/member.h"
#include "core/login/policy_names.h"

struct request;
struct response;

struct token_fields { /* of a user or role; as stored */
    const str *policies, *bound_cidrs;
    size_t n_policies, n_bound_cidrs;
    int64_t ttl_ns, max_ttl_ns, explicit_max_ttl_ns, period_ns;
    int64_t num_uses;
    int type; /* 0 default, 1 service, 2 batch, 3 default-service, 4 default-batch */
    bool no_default_policy;
};

/* Rows of a route's field table. */
/* clang-format off */
#define TOKEN_FIELDS                                                                                         \
    {"token_bound_cidrs", FT_STRINGS, .help = "Addresses or blocks that the token may be used from."},       \
    {"token_explicit_max_ttl", FT_SECONDS, .help = "Hard end of the token's life, with all renewals."},      \
    {"token_max_ttl", FT_SECONDS, .help = "How long the token may live with all its renewals."},             \
    {"token_no_default_policy", FT_BOOL, .help = "Leave the policy \"default\" out."},                       \
    {"token_num_uses", FT_INT, .help = "How often the token may be used; 0: without limit."},                \
    {"token_period", FT_SECONDS, .help = "Makes a periodic token: each renewal gives this much."},           \
    {"token_policies", FT_STRINGS, .help = "Names of the token's policies."},                                \
    {"token_ttl", FT_SECONDS, .help = "How long the token lives at first."},                                 \
    {"token_type", FT_STRING, .dflt = "default-service", .help = "Kind of token: service, batch or default."}
/* clang-format on */

/* What the request gives, over what is there. Errors: 400 with the API's texts. */
struct error *token_fields_parse(struct request *rq, struct token_fields *f) MUST_USE;
void token_fields_load(struct arena *a, const struct json *stored, struct token_fields *ret);
void token_fields_save(struct arena *a, struct json *stored, const struct token_fields *f);
void token_fields_show(struct arena *a, struct json *data, const struct token_fields *f);
/* Addresses and blocks as they are kept and shown. Errors: 400 "error parsing address …". */
struct error *token_cidrs_parse(struct request *rq, const str *v, size_t n, const str **ret) MUST_USE;
/* May the peer use what is bound so? Without any: yes. */
bool token_cidrs_allow(const struct request *rq, const struct token_fields *f);

struct login {
    str alias;                         /* its name, in canonical form: one spelling for one user */
    str display_name;                  /* core puts the mount's name before it */
    const struct json *metadata;       /* of the token: object of strings, or NULL */
    const struct json *alias_metadata; /* kept with the alias; NULL: none */
    /* What the method calls the groups that the user is in: core keeps the external groups with such an
     * alias at this mount as that says. None: the user is in none of them. */
    const str *group_aliases;
    size_t n_group_aliases;
    const struct json *internal_data; /* kept with the lease for renewing; NULL: none */
    bool is_fixed;                    /* not to be renewed */
    struct token_fields token;
};

/* For a name or secret that is wrong: 400 with this text, and one failure more for the alias. */
struct error *login_refuse(struct request *rq, struct response *rs, const char *text);

struct renewal { /* of a token that a login made; the times begin as they were at the login */
    const struct json *metadata, *internal_data; /* NULL: none */
    const str *policies;                         /* of the token */
    size_t n_policies;
    bool gone;                /* out: whoever logged in is there no more; nothing is renewed */
    bool groups_known;        /* out: group_aliases say what login.group_aliases would say now */
    const str *group_aliases; /* out */
    size_t n_group_aliases;
    int64_t ttl_ns, max_ttl_ns, period_ns;
};
/* Sets the times from the user's fields as they are now; refuses when its policies are not the token's any
 * more. */
struct error *renewal_from_fields(struct request *rq, struct renewal *r, const struct token_fields *f)
    MUST_USE;
