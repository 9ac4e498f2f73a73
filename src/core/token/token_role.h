/* token_role: what tokens made "against a role" may be (auth/token/roles/, auth/token/create/ROLE).
 *
 * Stored: docs/formats/tokens.md, "Roles" (sys/token/roles/NAME). Lifetime: of the request.
 */
#pragma once
#include "core/engine.h"

struct token_role {
    str name, path_suffix;
    struct token_fields token; /* bound_cidrs, explicit_max_ttl, period, num_uses, type, no_default_policy */
    const str *allowed, *allowed_globs, *disallowed, *disallowed_globs, *entity_aliases;
    size_t n_allowed, n_allowed_globs, n_disallowed, n_disallowed_globs, n_entity_aliases;
    bool orphan, renewable;
    /* values given under the names of before 1.2: shown as they were given, the token fields count */
    const str *old_bound_cidrs;
    size_t n_old_bound_cidrs;
    int64_t old_period_ns, old_explicit_max_ttl_ns;
};

struct error *token_role_load(struct request *rq, str name, struct token_role **ret)
    MUST_USE; /* NULL: none */
/* "*" stands for any text, wherever it is. */
bool token_glob_matches(str pattern, str text);
bool token_globs_match(const str *patterns, size_t n, str text);

extern const struct route token_role_routes[];
