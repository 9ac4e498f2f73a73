/* userpass_private: a user as stored. */
#pragma once
#include "auth/userpass/userpass.h"

struct user {
    struct token_fields token;
    str password_hash; /* bcrypt text; empty: none, or one in clear (of 2015), which `password` has */
    str password;
    /* the names that token fields had before 1.2; kept only when they were used last, and shown then */
    const str *old_policies, *old_cidrs;
    size_t n_old_policies, n_old_cidrs;
    int64_t old_ttl_ns, old_max_ttl_ns;
    struct json *stored; /* whole, for saving with unknown fields kept */
};

str user_name(const struct request *rq); /* of the path, in canonical form */
/* NULL: no such user. */
struct error *user_load(struct request *rq, str name, struct user **ret) MUST_USE;
struct error *user_save(struct request *rq, str name, struct user *u) MUST_USE;
struct user *user_new(struct request *rq);
/* Take policies (and ttl, max_ttl, bound_cidrs) for the token fields they stand for, unless those are given
 * too. */
void user_take_old_policies(struct request *rq, struct user *u);
struct error *user_take_old_fields(struct request *rq, struct user *u) MUST_USE;
void user_show(struct request *rq, struct json *data, const struct user *u);
