/* secret_table: a secret (client/secret.h) as the rows of a Key/Value table, and its fields by name.
 * Lifetime: the arena.
 */
#pragma once
#include "cli/render.h"

/* Rows in the peers' order: lease, auth, wrapping, data; the header row first. No rows but the header if the
 * secret is empty. */
void secret_rows(struct table *t, const struct json *secret);
/* What -field NAME means for this secret; NULL if it has no such field. */
const struct json *secret_field(struct arena *a, const struct json *secret, str name);
/* The keys of a list answer; NULL if it has none. */
const struct json *secret_keys(const struct json *secret);
