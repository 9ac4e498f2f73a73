/* The commands of the program, one row each. */
#include "cli/cmd.h"
#include "cli/diagnose.h"

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
    {"agent", "Keeps tokens and files of secrets fresh on a client's machine", NULL, cmd_agent, COMMAND_ERRORS_ON_STDOUT | COMMAND_HIDDEN, agent_flags, 0, ARGS_ANY},
    {"agent generate-config", "Makes a configuration for the agent", "[FILE]", cmd_absent, COMMAND_ABSENT},
    {"audit", "Audit devices: list, enable, disable"},
    {"audit disable", "Disables an audit device", "PATH", cmd_audit_disable, HTTP, NULL, 1, 1},
    {"audit enable", "Enables an audit device", "TYPE [K=V...]", cmd_audit_enable, HTTP | COMMAND_ANY_ARGS, audit_enable_flags},
    {"audit list", "Lists the audit devices", NULL, cmd_audit_list, LIST},
    {"auth", "Auth methods: list, enable, tune, move, disable, help"},
    {"auth disable", "Disables an auth method and revokes what it gave out", "PATH", cmd_auth_disable, HTTP, NULL, 1, 1},
    {"auth enable", "Enables an auth method", "TYPE", cmd_auth_enable, HTTP, auth_enable_flags, 1, 1},
    {"auth help", "Shows how to log in by an auth method", "TYPE or PATH", cmd_auth_help, HTTP, NULL, 1, 1},
    {"auth list", "Lists the auth methods", NULL, cmd_auth_list, LIST},
    {"auth move", "Moves an auth method to another path", "SOURCE DESTINATION", cmd_auth_move, HTTP, NULL, 2, 2},
    {"auth tune", "Changes settings of an auth method", "PATH", cmd_auth_tune, HTTP, auth_tune_flags, 1, 1},
    {"debug", "Collects what the server says of itself into one archive", NULL, cmd_debug, HTTP, debug_flags},
    {"delete", "Deletes secrets and configuration", "PATH [K=V...]", cmd_delete, FIELD, NULL, 1, ARGS_ANY, "at least 1"},
    {"events", "Events: subscribe"},
    {"events subscribe", "Prints the events of a type as they happen", "TYPE", cmd_events_subscribe, HTTP, NULL, 1, 1},
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
    {"monitor", "Prints the server's log as it comes", NULL, cmd_monitor, HTTP, monitor_flags},
    {"namespace", "Namespaces: list, lookup, create, patch, delete, lock, unlock"},
    {"namespace create", "Makes a namespace", "PATH", cmd_namespace_create, FIELD, namespace_create_flags, 1, 1},
    {"namespace delete", "Deletes a namespace", "PATH", cmd_namespace_delete, HTTP, NULL, 1, 1},
    {"namespace list", "Lists the namespaces", NULL, cmd_namespace_list, LIST},
    {"namespace lock", "Locks the API of a namespace", "[PATH]", cmd_namespace_lock, OUT, NULL, 0, 1, "0-1"},
    {"namespace lookup", "Shows a namespace", "PATH", cmd_namespace_lookup, OUT, NULL, 1, 1},
    {"namespace patch", "Changes the metadata of a namespace", "PATH", cmd_namespace_patch, FIELD, namespace_patch_flags, 1, 1},
    {"namespace unlock", "Unlocks the API of a namespace", "[PATH]", cmd_namespace_unlock, OUT, NULL, 0, 1, "0-1"},
    {"operator", "What operators do: init, unseal, seal, rotate"},
#ifdef COFFER_SERVER
    {"operator diagnose", "Looks for what would keep the server from starting", NULL, cmd_diagnose, COMMAND_USAGE_IS_3, diagnose_flags},
#endif
    {"operator generate-root", "Makes a new root token from shares of the unseal key", "[KEY]", cmd_generate_root, OUT, generate_root_flags, 0, 1, "0-1"},
    {"operator init", "Initializes the server: makes the keys and the first root token", NULL, cmd_init, OUT, init_flags},
    {"operator key-status", "Shows the encryption key in use", NULL, cmd_key_status, OUT},
    {"operator members", "Lists the nodes of the cluster", NULL, cmd_members, OUT},
    {"operator migrate", "Copies all data from one storage to another", NULL, cmd_absent, COMMAND_ABSENT},
    {"operator raft", "The cluster of a server whose storage is raft: list-peers, join, remove-peer"},
    {"operator raft autopilot", "Manages raft's autopilot", NULL, cmd_absent, COMMAND_ABSENT},
    {"operator raft join", "Makes a node a part of a raft cluster", "[LEADER]", cmd_raft_join, OUT, raft_join_flags, 0, 1, "0-1"},
    {"operator raft list-peers", "Lists the nodes of a raft cluster", NULL, cmd_raft_list_peers, OUT},
    {"operator raft remove-peer", "Removes a node from a raft cluster", "ID", cmd_raft_remove_peer, HTTP, NULL, 1, 1},
    {"operator raft snapshot", "Saves and restores a raft cluster", NULL, cmd_absent, COMMAND_ABSENT},
    {"operator rekey", "Makes new shares of the unseal key or the recovery key", "[KEY]", cmd_rekey, OUT, rekey_flags, 0, 1, "0-1"},
    {"operator rotate", "Makes a new encryption key", NULL, cmd_rotate, OUT},
    {"operator seal", "Seals the server", NULL, cmd_seal, HTTP},
#ifdef COFFER_SERVER
    {"operator seal-migrate", "Migrates the seal of a store whose server is stopped", "[KEY...]", cmd_seal_migrate, 0, seal_migrate_flags, 0, ARGS_ANY},
#endif
    {"operator step-down", "Makes the active node give up its place", NULL, cmd_step_down, HTTP},
    {"operator unseal", "Gives the server one share of the unseal key", "[KEY]", cmd_unseal, OUT, unseal_flags, 0, 1, "1"},
    {"operator usage", "Counts the clients in a span of time", NULL, cmd_usage, OUT, usage_flags},
    {"patch", "Changes parts of what is at a path", "PATH [K=V...]", cmd_patch, FIELD, force_flags, 1, ARGS_ANY},
    {"path-help", "Shows the server's help for a path", "PATH", cmd_path_help, OUT, NULL, 1, 1},
    {"pki", "Certificates: health-check, issue, reissue, list-intermediates, verify-sign", .flags = COMMAND_HIDDEN},
    {"pki health-check", "Looks for faults of a pki mount", "MOUNT", cmd_absent, COMMAND_ABSENT},
    {"pki issue", "Makes an intermediate authority", "PARENT MOUNT", cmd_absent, COMMAND_ABSENT},
    {"pki list-intermediates", "Lists the authorities that one has signed", "PARENT", cmd_absent, COMMAND_ABSENT},
    {"pki reissue", "Makes an intermediate authority like an older one", "PARENT TEMPLATE MOUNT", cmd_absent, COMMAND_ABSENT},
    {"pki verify-sign", "Checks whether one authority has signed another", "PARENT CHILD", cmd_absent, COMMAND_ABSENT},
    {"plugin", "Plugins of the catalog: list, info, register, deregister, reload, reload-status"},
    {"plugin deregister", "Removes a plugin from the catalog", "[TYPE] NAME", cmd_plugin_deregister, HTTP, plugin_info_flags, 1, 2, "1 or 2"},
    {"plugin info", "Shows a plugin", "[TYPE] NAME", cmd_plugin_info, FIELD, plugin_info_flags, 1, 2, "1 or 2"},
    {"plugin list", "Lists the plugins of a type (auth, database, secret), or all", "[TYPE]", cmd_plugin_list, LIST, NULL, 0, 1, "0-1"},
    {"plugin register", "Puts a plugin into the catalog", "[TYPE] NAME", cmd_plugin_register, HTTP, plugin_register_flags, 1, 2, "1 or 2"},
    {"plugin reload", "Loads a plugin again", NULL, cmd_plugin_reload, HTTP, plugin_reload_flags},
    {"plugin reload-status", "Shows how far the reload of a cluster is", "ID", cmd_plugin_reload_status, OUT, NULL, 1, 1},
    {"policy", "Policies: list, read, write, delete, fmt, explain, test"},
    {"policy delete", "Deletes a policy", "NAME", cmd_policy_delete, HTTP, NULL, 1, 1},
    {"policy explain", "Says which policy and which rule decide about a request", "OPERATION PATH [K=V...]", cmd_policy_explain, FIELD, policy_explain_flags, 2, ARGS_ANY, "at least 2"},
    {"policy fmt", "Formats a policy file", "FILE", cmd_policy_fmt, HTTP, NULL, 1, 1},
    {"policy list", "Lists the policies", NULL, cmd_policy_list, OUT},
    {"policy read", "Prints a policy", "NAME", cmd_policy_read, OUT, NULL, 1, 1},
#ifdef COFFER_SERVER
    {"policy test", "Checks a policy file against a file of cases, without a server", "FILE CASES", cmd_policy_test, COMMAND_FORMAT, NULL, 2, 2},
#endif
    {"policy write", "Writes a policy from a file, or from stdin with -", "NAME FILE", cmd_policy_write, HTTP, NULL, 2, 2},
    {"print", "Prints what the client uses"},
    {"print token", "Prints the token in use", NULL, cmd_print_token, HTTP},
    {"proxy", "Forwards requests and adds tokens to them", NULL, cmd_agent, COMMAND_ERRORS_ON_STDOUT | COMMAND_HIDDEN, agent_flags, 0, ARGS_ANY},
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
    {"ssh", "Runs ssh with a key or password from the server", "USER@HOST", cmd_absent, COMMAND_ABSENT},
    {"status", "Shows whether the server is initialized and sealed", NULL, cmd_status, OUT},
    {"token", "Tokens: create, lookup, renew, revoke, capabilities"},
    {"token capabilities", "Shows what a token may do at a path", "[TOKEN] PATH", cmd_token_capabilities, OUT, NULL, 1, 2, "1-2"},
    {"token create", "Makes a token", NULL, cmd_token_create, FIELD, token_create_flags},
    {"token lookup", "Shows a token", "[TOKEN]", cmd_token_lookup, OUT | COMMAND_ANY_ARGS, token_lookup_flags},
    {"token renew", "Renews a token", "[TOKEN]", cmd_token_renew, OUT | COMMAND_ANY_ARGS, token_renew_flags},
    {"token revoke", "Revokes a token and its children", "[TOKEN]", cmd_token_revoke, HTTP | COMMAND_ANY_ARGS, token_revoke_flags},
    {"transform", "Encodes data in its own form: import, import-version", .flags = COMMAND_HIDDEN},
    {"transform import", "Brings a key into the transform engine", "PATH KEY", cmd_absent, COMMAND_ABSENT},
    {"transform import-version", "Brings a new version of a key in", "PATH KEY", cmd_absent, COMMAND_ABSENT},
    {"transit", "Encryption as a service: import, import-version", .flags = COMMAND_HIDDEN},
    {"transit import", "Brings a key into the transit engine", "PATH KEY", cmd_absent, COMMAND_ABSENT},
    {"transit import-version", "Brings a new version of a key in", "PATH KEY", cmd_absent, COMMAND_ABSENT},
    {"unwrap", "Unwraps a wrapped answer", "[TOKEN]", cmd_unwrap, FIELD, NULL, 0, 1, "0-1"},
    {"version", "Prints the version", NULL, cmd_version, COMMAND_HIDDEN | COMMAND_ANY_ARGS},
    {"version-history", "Lists the versions that the server ran as", NULL, cmd_version_history, OUT},
    {"write", "Writes secrets and configuration", "PATH [K=V...]", cmd_write, FIELD, force_flags, 1, ARGS_ANY},
    {0},
};
// clang-format on

/* What commands were called before they were put into groups. `seal` is not run by its old name: a word that
 * takes a service down is better typed in full. */
static const struct {
    const char *old, *now;
} old_names[] = {
    {"audit-disable", "audit disable"},
    {"audit-enable", "audit enable"},
    {"audit-list", "audit list"},
    {"auth-disable", "auth disable"},
    {"auth-enable", "auth enable"},
    {"auth-tune", "auth tune"},
    {"capabilities", "token capabilities"},
    {"generate-root", "operator generate-root"},
    {"init", "operator init"},
    {"key-status", "operator key-status"},
    {"mount", "secrets enable"},
    {"mount-tune", "secrets tune"},
    {"mounts", "secrets list"},
    {"policies", "policy list"},
    {"policy-delete", "policy delete"},
    {"policy-write", "policy write"},
    {"rekey", "operator rekey"},
    {"remount", "secrets move"},
    {"renew", "lease renew"},
    {"revoke", "lease revoke"},
    {"rotate", "operator rotate"},
    {"seal", "operator seal"},
    {"step-down", "operator step-down"},
    {"token-create", "token create"},
    {"token-lookup", "token lookup"},
    {"token-renew", "token renew"},
    {"token-revoke", "token revoke"},
    {"unmount", "secrets disable"},
    {"unseal", "operator unseal"},
};

const struct command *command_named(str name)
{
    for (const struct command *row = commands; row->name; row++)
        if (str_eq(name, str_from_cstr(row->name)))
            return row;
    return NULL;
}

const struct command *command_of_old_name(str name, bool *ret_runs)
{
    *ret_runs = !str_eq(name, STR("seal"));
    for (size_t i = 0; i < COUNT_OF(old_names); i++)
        if (str_eq(name, str_from_cstr(old_names[i].old)))
            return command_named(str_from_cstr(old_names[i].now));
    return NULL;
}
