/* cors: requests that a browser sends for a page of another origin: before all else, as the page must not
 * learn more. */
#include "core/cors.h"

#include "api/front_private.h"

static const char methods[] = "DELETE,GET,OPTIONS,POST,PUT,LIST";

static bool is_method(str method)
{
    for (str rest = str_from_cstr(methods), one; rest.n > 0;) {
        str_cut(rest, ',', &one, &rest);
        if (str_eq(one, method))
            return true;
    }
    return false;
}

bool front_cors(struct front_call *fc)
{
    struct exchange *x = fc->exchange;
    str origin = exchange_header(x, STR("Origin"));

    if (origin.n == 0)
        return false;
    switch (core_cors(fc->front->core, x->arena, origin, &fc->allowed_headers)) {
    case CORS_OFF: return false;
    case CORS_REFUSED:
        answer_parsed(fc, &(struct parsed){.status = 403, .error = "origin not allowed"});
        return true;
    case CORS_ALLOWED: fc->allowed_origin = origin; break;
    }
    if (!str_eq(x->method, STR("OPTIONS")))
        return false;
    answer_preflight(fc, is_method(exchange_header(x, STR("Access-Control-Request-Method"))),
                     str_from_cstr(methods));
    return true;
}
