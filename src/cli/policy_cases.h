/* policy_cases: what a policy is expected to allow and to deny, as a file of lines
 * (docs/how-to/policy-test.md).
 *
 *     # comment
 *     OPERATION PATH allow|deny
 *
 * The path is all between the first and the last word, so it may hold blanks. Errors: ERR_BAD_REQUEST that
 * names the line. Lifetime: the arena; texts point into `text`.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"

struct policy_case {
    uint32_t line;
    str operation, path;
    bool allow;
};

enum { POLICY_CASES_MAX = 100000 };
struct error *policy_cases_parse(struct arena *a, str text, struct policy_case **ret_cases, size_t *ret_n)
    MUST_USE;
