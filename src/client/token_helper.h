/* token_helper: where the token is kept between two calls.
 *
 * Default: the file $HOME/.vault-token (mode 0600, written as .vault-token.tmp and renamed; blanks trimmed on
 * reading). With `token_helper = "/path"` in the HCL file $VAULT_CONFIG_PATH or ~/.vault that program is run
 * as `$SHELL -c "PATH get|store"`: get prints the token (taken as it is), store reads it from stdin. Errors:
 * "failed to get token helper: …" for configuration; else what the file system or the program said.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "client/environment.h"

struct error *token_get(struct arena *a, const struct environment *e, str *ret_token)
    MUST_USE; /* empty: none kept */
struct error *token_store(struct arena *a, const struct environment *e, str token) MUST_USE;
