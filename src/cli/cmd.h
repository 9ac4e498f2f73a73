/* cmd: every command's function, by group; the table in commands.c names them. Also the flag rows that belong
 * to them. */
#pragma once
#include "cli/cli.h"

/* cmd_generic.c */
command_fn cmd_read, cmd_write, cmd_list, cmd_delete, cmd_patch, cmd_unwrap, cmd_path_help, cmd_print_token,
    cmd_version;
extern const struct flag force_flags[];
/* cmd_status.c */
command_fn cmd_status, cmd_unseal;
extern const struct flag unseal_flags[];
/* cmd_operator.c */
command_fn cmd_init, cmd_seal, cmd_step_down, cmd_key_status, cmd_rotate, cmd_members;
extern const struct flag init_flags[];
/* cmd_rekey.c, cmd_generate_root.c */
command_fn cmd_rekey, cmd_generate_root;
extern const struct flag rekey_flags[], generate_root_flags[];
/* cmd_kv.c */
command_fn cmd_kv_get, cmd_kv_put, cmd_kv_list, cmd_kv_delete, cmd_kv_undelete, cmd_kv_destroy;
extern const struct flag kv_get_flags[], kv_put_flags[], kv_list_flags[], kv_versions_flags[];
/* cmd_kv_patch.c */
command_fn cmd_kv_patch, cmd_kv_rollback, cmd_kv_enable_versioning;
extern const struct flag kv_patch_flags[], kv_rollback_flags[];
/* cmd_kv_metadata.c */
command_fn cmd_metadata_get, cmd_metadata_put, cmd_metadata_patch, cmd_metadata_delete;
extern const struct flag metadata_flags[], metadata_put_flags[], metadata_patch_flags[];
/* cmd_policy.c, policy_format.c */
command_fn cmd_policy_list, cmd_policy_read, cmd_policy_write, cmd_policy_delete, cmd_policy_fmt;
/* cmd_mount.c */
command_fn cmd_secrets_list, cmd_secrets_enable, cmd_secrets_tune, cmd_secrets_disable, cmd_secrets_move;
command_fn cmd_auth_list, cmd_auth_enable, cmd_auth_tune, cmd_auth_disable, cmd_auth_move;
extern const struct flag secrets_enable_flags[], secrets_tune_flags[], auth_enable_flags[], auth_tune_flags[];
/* cmd_token.c */
command_fn cmd_token_create, cmd_token_lookup, cmd_token_renew, cmd_token_revoke, cmd_token_capabilities;
extern const struct flag token_create_flags[], token_lookup_flags[], token_renew_flags[],
    token_revoke_flags[];
/* cmd_lease.c */
command_fn cmd_lease_lookup, cmd_lease_renew, cmd_lease_revoke;
extern const struct flag lease_renew_flags[], lease_revoke_flags[];
/* cmd_audit.c */
command_fn cmd_audit_list, cmd_audit_enable, cmd_audit_disable;
extern const struct flag audit_enable_flags[];
/* cmd_debug.c */
command_fn cmd_debug;
extern const struct flag debug_flags[];
/* cmd_monitor.c */
command_fn cmd_monitor;
extern const struct flag monitor_flags[];
/* cmd_login.c */
command_fn cmd_login, cmd_auth_help;
extern const struct flag login_flags[];
/* cmd_plugin.c */
command_fn cmd_plugin_list, cmd_plugin_info, cmd_plugin_register, cmd_plugin_deregister, cmd_plugin_reload,
    cmd_plugin_reload_status;
extern const struct flag plugin_info_flags[], plugin_register_flags[], plugin_reload_flags[];
/* cmd_namespace.c */
command_fn cmd_namespace_list, cmd_namespace_lookup, cmd_namespace_create, cmd_namespace_patch,
    cmd_namespace_delete, cmd_namespace_lock, cmd_namespace_unlock;
extern const struct flag namespace_create_flags[], namespace_patch_flags[];
/* cmd_raft.c */
command_fn cmd_raft_list_peers, cmd_raft_join, cmd_raft_remove_peer;
extern const struct flag raft_join_flags[];
/* cmd_history.c */
command_fn cmd_version_history, cmd_usage, cmd_events_subscribe;
extern const struct flag usage_flags[];
/* cmd_absent.c */
command_fn cmd_absent, cmd_agent;
extern const struct flag agent_flags[];
/* cmd_seal_migrate.c, only in programs with COFFER_SERVER */
command_fn cmd_seal_migrate;
extern const struct flag seal_migrate_flags[];
/* cmd_policy_explain.c; cmd_policy_test.c, only in programs with COFFER_SERVER */
command_fn cmd_policy_explain, cmd_policy_test;
extern const struct flag policy_explain_flags[];
