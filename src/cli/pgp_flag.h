/* pgp_flag: values of -pgp-keys and its like: files (binary, base64 of that, or armored) and keybase:USER.
 *
 * Result: base64 of the binary public key, as the API takes it. Errors: a local mistake (exit code 1) that
 * names the flag. keybase: asks https://keybase.io, the one network access of the command line beside the
 * server.
 */
#pragma once
#include "cli/cli.h"

/* Every name of a comma-separated list, in order: an array. */
struct error *pgp_flag_keys(struct cli *c, const char *flag, struct json **ret_keys) MUST_USE;
/* The one name of a flag. */
struct error *pgp_flag_key(struct cli *c, const char *flag, struct json **ret_key) MUST_USE;
