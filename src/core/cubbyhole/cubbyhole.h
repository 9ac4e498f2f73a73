/* cubbyhole: the store of one token, which ends with it. Stored: docs/formats/cubbyhole.md (ID/PATH in the
 * mount's view). */
#pragma once
#include "core/token/token.h"

/* Deletes up to `max` entries of what belongs to the token; ret_deleted is what it may have used of max;
 * ret_done: nothing is left. */
struct error *cubbyhole_clear(struct request *rq, const struct token_entry *te, unsigned max,
                              unsigned *ret_used, bool *ret_done) MUST_USE;

/* One entry of a token's own. Get: NULL if there is none. */
struct error *cubbyhole_get(struct request *rq, const struct token_entry *te, str name, struct json **ret)
    MUST_USE;
struct error *cubbyhole_put(struct request *rq, const struct token_entry *te, str name,
                            const struct json *value) MUST_USE;
