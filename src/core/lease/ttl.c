#include "core/lease/ttl.h"

str ttl_text(struct arena *a, int64_t ns)
{
    str s = duration_format(a, ns);

    if (str_ends(s, STR("m0s")))
        s.n -= 2;
    if (str_ends(s, STR("h0m")))
        s.n -= 2;
    return s;
}

static int64_t whole_seconds(int64_t ns)
{
    return ns - ns % NS_PER_S;
}

static int64_t smaller_limit(int64_t limit, int64_t other)
{
    return other > 0 && other < limit ? other : limit;
}

static void warn_capped(struct request *rq, struct response *rs, const char *what, const char *noun,
                        int64_t ns, int64_t max_ns)
{
    response_warn(rq, rs,
                  "%s of \"%.*s\" exceeded the effective max_ttl of \"%.*s\"; %s value is capped accordingly",
                  what, PSTR(ttl_text(rq->arena, ns)), PSTR(ttl_text(rq->arena, max_ns)), noun);
}

struct error *ttl_decide(struct request *rq, struct response *rs, const struct ttl_ask *ask,
                         int64_t *ret_ttl_ns)
{
    int64_t max = smaller_limit(smaller_limit(ask->mount_max_ns, ask->max_ns), ask->explicit_max_ns);
    int64_t lifetime = max; /* from the start; 0: without end */
    int64_t ttl;

    if (ask->period_ns > 0) {
        ttl = ask->period_ns;
        if (ttl > max) {
            warn_capped(rq, rs, "period", "period", ttl, max);
            ttl = max;
        }
        lifetime = ask->explicit_max_ns;
    } else if (ask->increment_ns > 0) {
        ttl = ask->increment_ns;
    } else {
        ttl = ask->usual_ns > 0 ? ask->usual_ns : ask->mount_default_ns;
    }
    if (lifetime > 0) {
        int64_t age = whole_seconds(clock_wall_ns(rq->clock)) - whole_seconds(ask->start_ns);
        int64_t left = lifetime - age;

        if (left <= 0)
            return fail(rq, ERR_BAD_REQUEST, "past the max TTL, cannot renew");
        if (ttl > left) {
            warn_capped(rq, rs, "TTL", "TTL", ttl, left);
            ttl = left;
        }
    }
    *ret_ttl_ns = ttl;
    return NULL;
}
