/* policy_format: `policy fmt`: checks a policy's text and writes it in canonical form.
 *
 * Form: two blanks per level, one blank around "=", which is aligned in a run of lines that follow each
 * other, lists as ["a", "b"] (one element a line if the source had it so), a blank line between blocks and
 * before a comment that begins a new one. Comments stay. Errors: ERR_BAD_REQUEST for JSON, for what is no
 * HCL, and where the form would change the policy. Lifetime: the arena; the text must live as long.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"

struct error *policy_check(struct arena *a, str text) MUST_USE; /* "failed to parse policy: …" */
struct error *policy_format(struct arena *a, str text, str *ret_text) MUST_USE;
