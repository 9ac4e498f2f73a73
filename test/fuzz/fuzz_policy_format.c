/* Any text as a policy to format: what comes out of a policy is one again, and formatting that changes
 * nothing. */
#include "cli/policy_format.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    str text = {(const char *)data, size};
    str once;
    str twice;
    struct error *refused = policy_check(a, text);
    struct error *e = policy_format(a, text, &once);
    if (!refused && !e)
        if (policy_check(a, once) || policy_format(a, once, &twice) || !str_eq(once, twice))
            abort();
    arena_free(a);
    return 0;
}
