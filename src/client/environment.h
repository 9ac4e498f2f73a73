/* environment: the settings of clients from environment variables.
 *
 * A setting SUFFIX is read from PREFIX_SUFFIX: first the prefix of the name the program was called by (vault:
 * VAULT, bao: BAO, any other: COFFER), then COFFER, BAO, VAULT. An empty value counts as unset. Lifetime:
 * results point into `vars`. Threads: any, no state.
 */
#pragma once
#include "base/base.h"

struct environment {
    str program;             /* base name of argv[0] */
    const char *const *vars; /* "NAME=value", ends with NULL */
};

str environment_get(const struct environment *e, str name);       /* exactly this name; empty if unset */
str environment_setting(const struct environment *e, str suffix); /* as above; empty if unset */
/* "1 t T TRUE true True 0 f F FALSE false False", as Go's ParseBool; false and output untouched otherwise. */
bool bool_from_str(str s, bool *ret_value) MUST_USE;
