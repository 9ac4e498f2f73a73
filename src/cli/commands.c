/* The commands of the program, one row each. */
#include "cli/cmd.h"

enum {
    HTTP = COMMAND_HTTP,
    OUT = COMMAND_HTTP | COMMAND_FORMAT,
    FIELD = COMMAND_HTTP | COMMAND_FORMAT | COMMAND_FIELD,
    LIST = COMMAND_HTTP | COMMAND_FORMAT | COMMAND_DETAILED,
};

#ifdef COFFER_SERVER
static struct error *run_server(struct cli *c)
{
    c->exit_code = command_server(c);
    return NULL;
}
#endif

// clang-format off
const struct command commands[] = {
    {"audit", "Audit devices: list, enable, disable"},
    {"audit disable", "Disables an audit device", "PATH", cmd_audit_disable, HTTP, NULL, 1, 1},
    {"audit enable", "Enables an audit device", "TYPE [K=V...]", cmd_audit_enable, HTTP | COMMAND_ANY_ARGS, audit_enable_flags},
    {"audit list", "Lists the audit devices", NULL, cmd_audit_list, LIST},
    {"auth", "Auth methods: list, enable, tune, move, disable"},
    {"auth disable", "Disables an auth method and revokes what it gave out", "PATH", cmd_auth_disable, HTTP, NULL, 1, 1},
    {"auth enable", "Enables an auth method", "TYPE", cmd_auth_enable, HTTP, auth_enable_flags, 1, 1},
    {"auth list", "Lists the auth methods", NULL, cmd_auth_list, LIST},
    {"auth move", "Moves an auth method to another path", "SOURCE DESTINATION", cmd_auth_move, HTTP, NULL, 2, 2},
    {"auth tune", "Changes settings of an auth method", "PATH", cmd_auth_tune, HTTP, auth_tune_flags, 1, 1},
    {"delete", "Deletes secrets and configuration", "PATH [K=V...]", cmd_delete, FIELD, NULL, 1, ARGS_ANY, "at least 1"},
    {"kv", "Key-value store"},
    {"kv delete", "Deletes the newest version of a secret, or the versions given", "PATH", cmd_kv_delete, FIELD, kv_versions_flags, 1, 1},
    {"kv destroy", "Removes versions of a secret for ever", "PATH", cmd_kv_destroy, FIELD, kv_versions_flags, 1, 1},
    {"kv enable-versioning", "Makes a version 1 mount one of version 2", "MOUNT", cmd_kv_enable_versioning, HTTP, NULL, 1, 1},
    {"kv get", "Reads a secret", "PATH", cmd_kv_get, FIELD, kv_get_flags, 1, 1},
    {"kv list", "Lists the secrets below a path", "[PATH]", cmd_kv_list, LIST, kv_list_flags, 0, 1, "1"},
    {"kv metadata", "What is stored about a secret"},
    {"kv metadata delete", "Deletes all versions of a secret and its metadata", "PATH", cmd_metadata_delete, HTTP, metadata_flags, 1, 1},
    {"kv metadata get", "Reads the metadata of a secret", "PATH", cmd_metadata_get, FIELD, metadata_flags, 1, 1},
    {"kv metadata patch", "Changes parts of the metadata of a secret", "PATH", cmd_metadata_patch, OUT, metadata_patch_flags, 1, 1},
    {"kv metadata put", "Writes the metadata of a secret", "PATH", cmd_metadata_put, OUT, metadata_put_flags, 1, 1},
    {"kv patch", "Changes parts of a secret", "PATH [K=V...]", cmd_kv_patch, FIELD, kv_patch_flags, 1, ARGS_ANY},
    {"kv put", "Writes a secret", "PATH [K=V...]", cmd_kv_put, FIELD, kv_put_flags, 1, ARGS_ANY},
    {"kv rollback", "Makes an older version the newest again", "PATH", cmd_kv_rollback, FIELD, kv_rollback_flags, 1, 1},
    {"kv undelete", "Brings deleted versions back", "PATH", cmd_kv_undelete, FIELD, kv_versions_flags, 1, 1},
    {"lease", "Leases: lookup, renew, revoke"},
    {"lease lookup", "Shows a lease", "ID", cmd_lease_lookup, OUT | COMMAND_ANY_ARGS},
    {"lease renew", "Renews a lease", "ID", cmd_lease_renew, OUT | COMMAND_ANY_ARGS, lease_renew_flags},
    {"lease revoke", "Revokes a lease, or all below a prefix", "ID", cmd_lease_revoke, HTTP, lease_revoke_flags, 1, 1},
    {"list", "Lists what is below a path", "PATH", cmd_list, LIST, NULL, 1, 1},
    {"login", "Logs in and keeps the token", "[TOKEN or K=V...]", cmd_login, FIELD, login_flags, 0, ARGS_ANY},
    {"operator", "What operators do: init, unseal, seal, rotate"},
    {"operator init", "Initializes the server: makes the keys and the first root token", NULL, cmd_init, OUT, init_flags},
    {"operator key-status", "Shows the encryption key in use", NULL, cmd_key_status, OUT},
    {"operator members", "Lists the nodes of the cluster", NULL, cmd_members, OUT},
    {"operator rotate", "Makes a new encryption key", NULL, cmd_rotate, OUT},
    {"operator seal", "Seals the server", NULL, cmd_seal, HTTP},
    {"operator step-down", "Makes the active node give up its place", NULL, cmd_step_down, HTTP},
    {"operator unseal", "Gives the server one share of the unseal key", "[KEY]", cmd_unseal, OUT, unseal_flags, 0, 1, "1"},
    {"patch", "Changes parts of what is at a path", "PATH [K=V...]", cmd_patch, FIELD, force_flags, 1, ARGS_ANY},
    {"path-help", "Shows the server's help for a path", "PATH", cmd_path_help, OUT, NULL, 1, 1},
    {"policy", "Policies: list, read, write, delete, fmt"},
    {"policy delete", "Deletes a policy", "NAME", cmd_policy_delete, HTTP, NULL, 1, 1},
    {"policy fmt", "Formats a policy file", "FILE", cmd_policy_fmt, HTTP, NULL, 1, 1},
    {"policy list", "Lists the policies", NULL, cmd_policy_list, OUT},
    {"policy read", "Prints a policy", "NAME", cmd_policy_read, OUT, NULL, 1, 1},
    {"policy write", "Writes a policy from a file, or from stdin with -", "NAME FILE", cmd_policy_write, HTTP, NULL, 2, 2},
    {"print", "Prints what the client uses"},
    {"print token", "Prints the token in use", NULL, cmd_print_token, HTTP},
    {"read", "Reads secrets and configuration", "PATH [K=V...]", cmd_read, FIELD | COMMAND_RAW, NULL, 1, ARGS_ANY},
    {"secrets", "Secrets engines: list, enable, tune, move, disable"},
    {"secrets disable", "Disables a secrets engine and deletes its data", "PATH", cmd_secrets_disable, HTTP, NULL, 1, 1},
    {"secrets enable", "Enables a secrets engine", "TYPE", cmd_secrets_enable, HTTP, secrets_enable_flags, 1, 1},
    {"secrets list", "Lists the secrets engines", NULL, cmd_secrets_list, LIST},
    {"secrets move", "Moves a secrets engine to another path", "SOURCE DESTINATION", cmd_secrets_move, HTTP, NULL, 2, 2},
    {"secrets tune", "Changes settings of a secrets engine", "PATH", cmd_secrets_tune, HTTP, secrets_tune_flags, 1, 1},
#ifdef COFFER_SERVER
    {"server", "Runs the server", NULL, run_server, COMMAND_ERRORS_ON_STDOUT, server_flags, 0, ARGS_ANY},
#endif
    {"status", "Shows whether the server is initialized and sealed", NULL, cmd_status, OUT},
    {"token", "Tokens: create, lookup, renew, revoke, capabilities"},
    {"token capabilities", "Shows what a token may do at a path", "[TOKEN] PATH", cmd_token_capabilities, OUT, NULL, 1, 2, "1-2"},
    {"token create", "Makes a token", NULL, cmd_token_create, FIELD, token_create_flags},
    {"token lookup", "Shows a token", "[TOKEN]", cmd_token_lookup, OUT | COMMAND_ANY_ARGS, token_lookup_flags},
    {"token renew", "Renews a token", "[TOKEN]", cmd_token_renew, OUT | COMMAND_ANY_ARGS, token_renew_flags},
    {"token revoke", "Revokes a token and its children", "[TOKEN]", cmd_token_revoke, HTTP | COMMAND_ANY_ARGS, token_revoke_flags},
    {"unwrap", "Unwraps a wrapped answer", "[TOKEN]", cmd_unwrap, FIELD, NULL, 0, 1, "0-1"},
    {"version", "Prints the version", NULL, cmd_version, COMMAND_HIDDEN | COMMAND_ANY_ARGS},
    {"write", "Writes secrets and configuration", "PATH [K=V...]", cmd_write, FIELD, force_flags, 1, ARGS_ANY},
    {0},
};
// clang-format on
