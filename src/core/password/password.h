/* password: password policies: how long a password is, and of which characters.
 * Grammar: docs/formats/password-policy.md.
 *
 * A policy lives in the arena it was parsed in, and may point into its text. Threads: no state.
 * Errors of the parser: ERR_BAD_REQUEST, worded as the API words what follows "invalid password policy: ".
 */
#pragma once
#include "core/engine.h"

enum { PASSWORD_LENGTH_MIN = 4, PASSWORD_LENGTH_MAX = 100, PASSWORD_CHARSET_MAX = 256 };

struct password_rule {
    const uint32_t *charset; /* code points, as given */
    size_t n;
    int64_t chars_min; /* of them there are at least so many; not positive: any number */
};

struct password_policy {
    int64_t length; /* positive; in characters */
    struct password_rule *rules;
    size_t n_rules;
    const uint32_t *charset; /* of all rules: sorted, each once, never empty */
    size_t n_charset;
};

struct error *password_policy_parse(struct arena *a, str text, struct password_policy **ret) MUST_USE;
/* Draws whole passwords until one has what the rules ask for: each is as likely as any other. ret_password is
 * empty when none was found within a second, or for over PASSWORD_CHARSET_MAX characters or a length over
 * PASSWORD_LENGTH_MAX. UTF-8, in the arena. Takes that second: not on a loop. */
void password_generate(struct arena *a, struct rng *rng, const struct password_policy *p, str *ret_password);

extern const struct route password_policy_routes[]; /* below sys/ */
