/* Templates of identity tokens: refused, or rendered for nobody into JSON that an object can be made of. */
#include "core/oidc/oidc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct request rq = {.arena = arena_new(0), .clock = clock_real()};
    str template = {(const char *)data, size}, text;
    struct json *j;

    if (!claims_check(&rq, template) && size > 0) {
        if (claims_render(&rq, template, NULL, &text) || json_parse(rq.arena, text, false, &j))
            abort();
    }
    arena_free(rq.arena);
    return 0;
}
