/* ttl: how long something given out may live, by what was asked, what the mount allows, and when it began.
 * Every time is cut to the second first, as the API counts. Warnings are the API's texts.
 */
#pragma once
#include "core/engine.h"

struct ttl_ask {
    int64_t increment_ns;    /* asked by the client; 0: nothing */
    int64_t usual_ns;        /* what the engine gives when nothing is asked; 0: the mount's default */
    int64_t period_ns;       /* periodic: may be renewed for ever, by this much */
    int64_t max_ns;          /* of the role, 0: none */
    int64_t explicit_max_ns; /* since start_ns, also for periodic ones; 0: none */
    int64_t start_ns;        /* when it was given out */
    int64_t mount_default_ns, mount_max_ns;
};

/* Errors: ERR_BAD_REQUEST "past the max TTL, cannot renew". */
struct error *ttl_decide(struct request *rq, struct response *rs, const struct ttl_ask *ask,
                         int64_t *ret_ttl_ns) MUST_USE;
/* "1h", "1h30m": a duration without its zero parts at the end. */
str ttl_text(struct arena *a, int64_t ns);
