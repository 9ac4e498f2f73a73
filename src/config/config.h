/* config: the server's configuration file(s): facts in docs/formats/config.md.
 *
 * Lifetime: everything in the arena given. Errors: ERR_BAD_REQUEST, text "error loading configuration from
 * PATH: …" with "At L:C: …" inside for syntax, and the key's name for a value; what only shows when all files
 * are merged (lease limits, two seals, the environment) has no path. Unknown keys are no error: they are
 * listed in `warnings`. Not checked here: log_level and log_format (a flag may still replace them),
 * tls_cipher_suites (the TLS room's).
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "base/log.h"

struct config_pair {
    str key, value; /* numbers, bools and lists as text, as the backend gets them */
};

struct config_block { /* storage, ha_storage, seal */
    str type;
    struct config_pair
        *pairs; /* redirect_addr, cluster_addr, disable_clustering, disabled, purpose are taken out */
    size_t n;
    bool disabled; /* seal: its `disabled` */
};

struct config_lockout { /* user_lockout: of one type of auth method; zero: not said */
    str type;           /* "all", "userpass" … */
    int64_t threshold, duration_ns, counter_reset_ns;
    bool disabled, disabled_given;
};

struct config_header {
    str name, value;
};
struct config_headers {          /* custom_response_headers: one group per status key */
    int status_low, status_high; /* default: 0, 999; "2xx": 200, 299; "404": 404, 404 */
    struct config_header *headers;
    size_t n;
};

struct config_listener {
    bool is_unix;
    str address, cluster_address;
    bool tls_disable;
    str tls_cert_file, tls_key_file, tls_client_ca_file;
    int tls_min_version, tls_max_version; /* 10 11 12 13 */
    str tls_cipher_suites;
    bool tls_require_client_cert, tls_disable_client_certs;
    int64_t max_request_bytes; /* default 33554432; <= -1: none */
    int64_t max_request_duration_ns, http_read_timeout_ns, http_read_header_timeout_ns, http_write_timeout_ns,
        http_idle_timeout_ns;
    str proxy_protocol_behavior;
    str *proxy_protocol_addrs;
    size_t n_proxy_protocol_addrs;
    str *x_forwarded_for_addrs;
    size_t n_x_forwarded_for_addrs;
    int x_forwarded_for_hop_skips;
    bool x_forwarded_for_reject_not_present, x_forwarded_for_reject_not_authorized;
    bool unauthenticated_metrics_access, unauthenticated_pprof_access, unauthenticated_in_flight_access;
    /* in the answers that need no token: empty instead */
    bool redact_version, redact_addresses, redact_cluster_name;
    str socket_mode, socket_user, socket_group; /* applied only if all three are given */
    struct config_headers *response_headers;
    size_t n_response_headers;
};

struct config_telemetry {
    str statsite_address, statsd_address, dogstatsd_addr; /* host:port; empty: none */
    str *dogstatsd_tags;                                  /* "name:value" or "name" */
    size_t n_dogstatsd_tags;
    bool hostname_label;
    str prefix; /* "vault" */
    str usage_gauge_period;
    int64_t usage_period_ns; /* of the text above: 10 minutes; 0: none */
    int64_t gauge_cardinality_max, lease_epsilon_ns, lease_buckets;
    bool lease_namespace_labels, filter_default;
    str *prefix_filters; /* "+name" lets through, "-name" stops; the longest that fits decides */
    size_t n_prefix_filters;
    str circonus_api_token, stackdriver_project_id; /* sinks that are not there: to be told so */
};

struct config {
    struct config_block *storage, *ha_storage; /* NULL if absent */
    struct config_block *seals;
    size_t n_seals;
    struct config_listener *listeners;
    size_t n_listeners;
    str api_addr, cluster_addr, cluster_name, pid_file;
    bool disable_clustering, ui, disable_mlock, disable_cache, raw_storage_endpoint, introspection_endpoint;
    bool enable_response_header_hostname, disable_printable_check;
    bool enable_lease_count_quotas; /* coffer's own */
    int64_t cache_size;             /* entries; default 131072 */
    int64_t cache_bytes;            /* coffer's own; default 16 MiB */
    int64_t max_lease_ttl_ns, default_lease_ttl_ns, default_max_request_duration_ns;
    str log_level, log_format, log_file;                             /* empty: info, standard, none */
    str log_rotate_duration, log_rotate_bytes, log_rotate_max_files; /* as text: a flag may replace them */
    str log_requests_level;                                          /* empty: requests are not logged */
    struct config_lockout *lockouts;
    size_t n_lockouts;
    bool disable_user_lockout; /* by the environment: everywhere */
    struct config_telemetry telemetry;
    bool metrics_disable_hostname;
    int64_t prometheus_retention_ns; /* 0: no Prometheus output; 24 h when there is a telemetry block without
                                        a value */
    str *warnings; /* "unknown or unsupported field foo found in configuration at FILE:4:1" */
    size_t n_warnings;
};

/* Loads and merges files and directories in order; the environment (VAULT_API_ADDR …) is applied last. */
struct error *config_load(struct arena *a, const str *paths, size_t n, struct config **ret_config) MUST_USE;
struct error *config_parse(struct arena *a, str file_name, str text, struct config **ret_config)
    MUST_USE; /* one text, no environment */
struct config *config_defaults(struct arena *a);
/* What holds for auth methods of a type: its own block, then that of "all", then 5 failures, 15 minutes each.
 * */
struct config_lockout config_lockout_of(const struct config *c, str type);
str config_block_get(const struct config_block *b, str key); /* empty if absent */

/* The environment's value for `name` without its prefix ("ADDR" for VAULT_ADDR, BAO_ADDR, COFFER_ADDR); empty
 * if unset. Of several: the prefix of the name the program was called by, then COFFER, BAO, VAULT. ret_full
 * may be NULL: the whole name, for error texts. Slices of the environment: they live until a setenv(). */
str config_env(const char *name, str *ret_full);
/* The variable of exactly this name; empty if unset. */
str config_env_exact(const char *name);
/* Go's ParseBool: 1 t T true TRUE True, 0 f F false FALSE False; "" is false too. False: another text. */
bool config_bool_from_str(str s, bool *ret) MUST_USE;
