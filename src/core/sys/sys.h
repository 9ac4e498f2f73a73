/* sys: the tables that make up the system engine, mounted at sys/. For core only. */
#pragma once
#include "core/engine.h"
#include "core/mount.h"

extern const struct route sys_mount_routes[], sys_tune_routes[], sys_remount_routes[], sys_ui_routes[],
    sys_audit_header_routes[], sys_lease_routes[], sys_capability_routes[], sys_tool_routes[],
    sys_rotate_routes[], sys_counter_routes[], sys_ui_header_routes[], sys_node_routes[], sys_cors_routes[],
    sys_raw_routes[], sys_plugin_routes[], sys_state_routes[], sys_sealed_routes[], sys_metric_routes[],
    sys_in_flight_routes[], sys_monitor_routes[];

struct config;
/* node.c; as other nodes are told; empty: none */
str cluster_address(struct arena *a, const struct config *c);

/* metrics.c, in_flight.c: what a listener may give without a token, in any state of the node; arg is the
 * struct core_call. sys_in_flight on the control thread. */
struct error *sys_metrics(struct core *c, struct arena *a, void *arg) MUST_USE;
struct error *sys_in_flight(struct core *c, struct arena *a, void *arg) MUST_USE;

/* mount_answer.c: a mount as sys/mounts and sys/auth show it; as tune shows it. */
struct json *mount_answer(struct arena *a, const struct mount *m);
struct json *mount_tune_answer(struct request *rq, const struct mount *m);
extern const char *const mount_string_lists[]; /* the settings that are lists of strings; NULL-terminated */
bool mount_token_type_parse(str text, int *ret) MUST_USE;

/* mount_config.c: settings of a mount from a request into their stored form. */
struct error *mount_list_set(struct request *rq, struct json *config, const char *name,
                             const struct json *given) MUST_USE;
struct error *mount_visibility_set(struct request *rq, struct json *config, str visibility) MUST_USE;
/* "" and "system": 0 */
struct error *mount_ttl_parse(struct request *rq, const struct json *given, int64_t *ret_ns) MUST_USE;
void mount_ttl_set(struct request *rq, struct json *config, const char *name, int64_t ns);

/* The path a route names: "secret/", "auth/userpass/" for routes under auth/. */
str mount_path_named(const struct request *rq);
const struct mount *mount_exact(const struct request *rq, str path); /* NULL: none at just this path */
/* Refuses a path that the front never lets through: with an empty segment, "." or "..", control characters.
 * */
struct error *mount_path_reachable(struct request *rq, str path) MUST_USE;
/* Refuses a path that overlaps a mount. */
struct error *mount_path_free(struct request *rq, str path) MUST_USE;

/* One step of taking a mount away with all it stored (docs/formats/mounts.md, "unmounting"). Idempotent. */
struct error *unmount_step(struct request *rq, str path, bool *ret_done) MUST_USE;
/* Internal request: finishes what core/coffer-pending/ lists, one step a run. */
struct error *pending_resume(struct request *rq, struct response *rs) MUST_USE;

/* capabilities.c: names of CAP_* bits, sorted; "deny" for none. */
struct json *capabilities_named(struct arena *a, unsigned bits);
/* What a token may do: the names of its policies with those of its identity, and their compiled set. Errors:
 * its entity is gone or disabled. */
struct error *capabilities_acl_of(struct request *rq, const struct token_entry *te, const str **ret_policies,
                                  size_t *ret_n, const struct acl **ret) MUST_USE;
/* sealed.c: is this answered to anybody, sealed or not, before any policy is asked? */
bool sys_path_needs_no_token(enum op op, str path);
