/* login_private: for core: running a login, the entity behind a token, renewing what a login gave. */
#pragma once
#include "core/lease/lease.h"
#include "core/token/token.h"

/* The token's entity and all policies of the request. ret_alive false: the entity is gone or disabled, and
 * so is the token. */
struct error *login_entity_of_token(struct request *rq, bool *ret_alive) MUST_USE;
/* Runs the handler of a ROUTE_LOGIN route: the lockout before it, the token after it. */
struct error *login_run(struct request *rq, struct response *rs, handler_fn *fn) MUST_USE;
/* Another operation than the login's own: who it claims to be is found out first, as for a login. */
struct error *login_unsupported(struct request *rq) MUST_USE;
/* The token of a login whose factors are proven, with rq->mount of the login; path: the login's. */
struct error *login_make_token(struct request *rq, struct response *rs, str path, const struct login *l,
                               const struct entity *e) MUST_USE;
/* Identity policies of the entity of an answer that shows a token, beside its own. */
struct error *login_show_policies(struct request *rq, struct response_auth *auth) MUST_USE;
/* Asks the method that gave the token out, and sets the lease's times. ret_done false: nothing is renewed,
 * and that is no error. */
struct error *login_renew(struct request *rq, struct response *rs, const struct mount *m, struct lease *l,
                          int64_t increment_ns, bool *ret_done) MUST_USE;
