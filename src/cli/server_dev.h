/* server_dev: `server -dev`: a server for trying things out: in memory, initialised, unsealed, with a known
 * root token and a kv
 * store at secret/. It is set up through its own API, as a user would.
 */
#pragma once
#include "cli/cli.h"
#include "config/config.h"

bool server_is_dev(const struct cli *c);
/* The configuration of -dev: inmem, one plain listener, added to what -config files say (NULL: none). */
struct error *server_dev_config(struct cli *c, struct config *given, struct config **ret_config) MUST_USE;
/* On the main thread, while the loops serve: init, unseal, token, mount; then prints what to do. */
struct error *server_dev_setup(struct cli *c, const struct config *config, int port) MUST_USE;
/* At the end: the certificates that -dev-tls wrote are removed. config may be NULL. */
void server_dev_clean(struct cli *c, const struct config *config);
