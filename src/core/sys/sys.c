/* sys: the system engine: its small routes, and the list of its tables. */
#include "core/sys/sys.h"

#include "core/active_private.h"
#include "core/login/lockout.h"
#include "core/mfa/mfa.h"
#include "core/password/password.h"
#include "core/policy/policy.h"
#include "core/quota/quota.h"
#include "core/rekey/rekey.h"
#include "core/wrapping/wrapping.h"

static struct error *seal_write(struct request *rq, struct response *rs)
{
    (void)rq;
    rs->control = core_control_seal;
    return NULL;
}

static struct error *key_status_read(struct request *rq, struct response *rs)
{
    struct barrier_status s = barrier_status(rq->active->barrier);
    struct json *data = response_data(rq, rs);

    json_set_int(rq->arena, data, STR("term"), s.term);
    json_set_str(rq->arena, data, STR("install_time"), time_format(rq->arena, s.install_time_ns));
    json_set_int(rq->arena, data, STR("encryptions"), (int64_t)s.encryptions);
    return NULL;
}

static const struct route small_routes[] = {
    {"seal", .ops = {[OP_UPDATE] = {seal_write}}, .flags = ROUTE_SUDO | ROUTE_CONTROL,
     .help = "seals the server: keys are wiped from memory"},
    {"key-status", .ops = {[OP_READ] = {key_status_read}}, .flags = ROUTE_TOP_LEVEL,
     .help = "term, age and use of the encryption key"},
    {0},
};

/* clang-format off */
static const struct route *const tables[] = {mfa_validate_routes,
 
    sys_mount_routes,
    sys_tune_routes,
    sys_remount_routes,
    sys_ui_routes,
    policy_routes,
    explain_routes,
    password_policy_routes,
    audit_routes,
    sys_audit_header_routes,
    lockout_routes,
    sys_lease_routes,
    sys_capability_routes,
    wrapping_routes,
    sys_tool_routes,
    sys_rotate_routes,
    rekey_routes,
    rekey_verify_routes,
    generate_root_routes,
    sys_in_flight_routes,
    sys_metric_routes,
    sys_monitor_routes,
    sys_counter_routes,
    sys_ui_header_routes,
    sys_node_routes,
    sys_cors_routes,
    sys_raw_routes,
    sys_plugin_routes,
    sys_state_routes,
    sys_sealed_routes,
    quota_routes,
    NULL,
};
/* clang-format on */

const struct engine sys_engine = {
    .type = "system",
    .kind = ENGINE_CORE,
    .routes = small_routes,
    .more_routes = tables,
    .plugin_version = "v1.14.7+builtin.vault",
    .help = "The system engine: mounts, policies, audit devices, seal.",
};
