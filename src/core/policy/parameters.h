/* parameters: what a rule says of the members of a request's data: which are allowed, denied, required.
 *
 * Source: docs/formats/policy.md, "Parameters". Those of a parsed policy live with it, merged ones in the
 * arena given.
 * Threads: no state, any thread.
 */
#pragma once
#include "base/arena.h"
#include "base/json.h"

struct hcl_value;

struct parameter {
    str key;                    /* lower case; "*": all others */
    const struct json **values; /* none: any value */
    size_t n;
};

struct parameters {
    const struct parameter *allowed, *denied; /* by key, each once */
    const str *required;
    size_t n_allowed, n_denied, n_required;
};

/* What a path block says, whose members have been checked for their types; NULL: nothing. */
struct error *parameters_of(struct arena *a, const struct hcl_value *block, const struct parameters **ret)
    MUST_USE;

/* Of the rules of one path in several policies: lists unite, a list that takes any value wins. Copies all
 * into `a`. */
struct parameters *parameters_merge(struct arena *a, const struct parameters *const *v, size_t n);

/* data: an object or NULL. No allocation. */
bool parameters_permit(const struct parameters *p, const struct json *data);
