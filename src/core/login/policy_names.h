/* policy_names: a list of policy names in the form in which it is kept and compared. */
#pragma once
#include "base/arena.h"

/* Trimmed, lower case, sorted, each once; "root" stands alone. with_default: "default" is there, unless
 * root is. In place. */
size_t policy_names_clean(struct arena *a, str *v, size_t n, bool with_default); /* v: room for n + 1 */
bool policy_names_have(const str *v, size_t n, str name);
/* Both lists, cleaned, without more. */
size_t policy_names_join(struct arena *a, const str *x, size_t nx, const str *y, size_t ny, const str **ret);
/* The same names, "default" apart? */
bool policy_names_agree(struct arena *a, const str *x, size_t nx, const str *y, size_t ny);
