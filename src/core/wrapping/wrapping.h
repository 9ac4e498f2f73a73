/* wrapping: an answer is put into the cubbyhole of a token of its own, which opens it once.
 *
 * Stored: docs/formats/wrapping.md. Threads: of the request. A wrapped read writes: it ends up in the lane.
 * Errors: what is said of a token that is none or not a wrapping one has the API's texts.
 */
#pragma once
#include "core/engine.h"

/* After a handler's success: if the request asks for it and there is something to wrap. */
struct error *wrapping_apply(struct request *rq, struct response *rs) MUST_USE;
/* For routes with ROUTE_WRAPPING: sets rq->wrapping_token, and rq->token if that is the caller's own. */
struct error *wrapping_check(struct request *rq) MUST_USE;
bool wrapping_is_token(const struct token_entry *te);

extern const struct route wrapping_routes[]; /* relative to sys/ */
