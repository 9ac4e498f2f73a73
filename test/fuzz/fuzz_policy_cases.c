/* Any text as a file of cases: each case has an operation, a path and a verdict, or the line is named. */
#include "cli/policy_cases.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct policy_case *cases = NULL;
    size_t n = 0;
    struct error *e = policy_cases_parse(a, (str){(const char *)data, size}, &cases, &n);
    for (size_t i = 0; !e && i < n; i++)
        if (!cases[i].operation.n || !cases[i].path.n || !cases[i].line)
            abort();
    if (e && !str_starts(e->text, STR("line ")))
        abort();
    arena_free(a);
    return 0;
}
