/* identity_engine: the engine identity/: who stands behind a token, as an API. Its routes are in tables of
 * their own. */
#include "core/identity/identity_private.h"
#include "core/mfa/mfa.h"
#include "core/oidc/oidc.h"

/* One line for each table: src/core/oidc and src/core/mfa have theirs. */
/* clang-format off */
static const struct route *const tables[] = {
    identity_entity_routes,
    identity_alias_routes,
    identity_merge_routes,
    identity_group_routes,
    identity_group_alias_routes,
    oidc_key_routes,
    oidc_token_routes,
    mfa_method_routes,
    mfa_enforcement_routes,
    NULL,
};
/* clang-format on */

const struct engine identity_engine = {
    .type = "identity",
    .kind = ENGINE_CORE,
    .more_routes = tables,
    .help = "Entities, their aliases and groups: who stands behind a token.",
    .plugin_version = "v1.14.7+builtin.vault",
};
