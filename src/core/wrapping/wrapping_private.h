/* wrapping_private: what the wrapping files share. */
#pragma once
#include "core/active_private.h"
#include "core/wrapping/wrapping.h"

struct wrapped {
    int64_t ttl_ns;
    str creation_path, wrapped_accessor;
    str response; /* JSON text */
};
/* Makes the token and its cubbyhole; the answer becomes wrap_info alone. */
struct error *wrapping_make(struct request *rq, struct response *rs, const struct wrapped *w) MUST_USE;

/* wrapping_jwt.c: the token as a JWT, signed with core/wrapping/jwtkey. */
struct wrapping_claims {
    str token_id, accessor;
    int64_t time_ns, ttl_ns;
};
struct error *wrapping_jwt_make(struct request *rq, const struct wrapping_claims *c, str *ret) MUST_USE;
bool wrapping_jwt_is_one(str token);
/* Errors: ERR_DENIED, if it is not ours. */
struct error *wrapping_jwt_open(struct request *rq, str jwt, str *ret_token_id) MUST_USE;
/* The public half of the key, as decimal numbers. */
struct error *wrapping_jwt_key(struct request *rq, str *ret_x, str *ret_y) MUST_USE;
