/* state: sys/config/state/sanitized and sys/config/reload; sys/pprof, which speaks of a runtime that is not
 * here. */
#include "core/active_private.h"
#include "core/sys/sys.h"

#include <fcntl.h>
#include <unistd.h>

/* ---- the configuration ---- */

/* What the file does not say is shown as zero, as the API does. */
static void set_int(struct arena *a, struct json *o, const char *name, int64_t v, int64_t dflt)
{
    json_set_int(a, o, str_from_cstr(name), v == dflt ? 0 : v);
}

static void set_strings(struct arena *a, struct json *o, const char *name, const str *v, size_t n)
{
    if (n > 0)
        json_set(a, o, str_from_cstr(name), json_strings(a, v, n));
}

static void set_text(struct arena *a, struct json *o, const char *name, str v)
{
    if (v.n > 0)
        json_set_str(a, o, str_from_cstr(name), v);
}

static struct json *listener_of(struct arena *a, const struct config_listener *l)
{
    struct json *o = json_object(a), *c = json_object(a);

    json_set_str(a, c, STR("address"), l->address);
    set_text(a, c, "cluster_address", l->cluster_address);
    json_set_bool(a, c, STR("tls_disable"), l->tls_disable);
    set_text(a, c, "tls_cert_file", l->tls_cert_file);
    set_text(a, c, "tls_key_file", l->tls_key_file);
    set_text(a, c, "tls_client_ca_file", l->tls_client_ca_file);
    set_text(a, c, "tls_cipher_suites", l->tls_cipher_suites);
    set_text(a, c, "proxy_protocol_behavior", l->proxy_protocol_behavior);
    set_strings(a, c, "proxy_protocol_authorized_addrs", l->proxy_protocol_addrs, l->n_proxy_protocol_addrs);
    set_strings(a, c, "x_forwarded_for_authorized_addrs", l->x_forwarded_for_addrs,
                l->n_x_forwarded_for_addrs);
    json_set_str(a, o, STR("type"), l->is_unix ? STR("unix") : STR("tcp"));
    json_set(a, o, STR("config"), c);
    return o;
}

static struct json *storage_of(struct arena *a, const struct config *c, const struct config_block *b)
{
    struct json *o = json_object(a);

    json_set_str(a, o, STR("type"), b->type);
    json_set_str(a, o, STR("redirect_addr"), c->api_addr);
    json_set_str(a, o, STR("cluster_addr"), c->cluster_addr);
    json_set_bool(a, o, STR("disable_clustering"), c->disable_clustering);
    return o;
}

static struct json *seals_of(struct arena *a, const struct config *c)
{
    struct json *list = json_array(a);

    for (size_t i = 0; i < MAX(c->n_seals, 1); i++) {
        struct json *o = json_object(a);

        json_set_str(a, o, STR("type"), c->n_seals ? c->seals[i].type : STR("shamir"));
        json_set_bool(a, o, STR("disabled"), c->n_seals && c->seals[i].disabled);
        json_append(a, list, o);
    }
    return list;
}

/* Tokens of outside services are left empty. */
static struct json *telemetry_of(struct arena *a, const struct config *c)
{
    const struct config_telemetry *t = &c->telemetry;
    struct json *o = json_object(a);

    json_set_str(a, o, STR("statsite_address"), t->statsite_address);
    json_set_str(a, o, STR("statsd_address"), t->statsd_address);
    json_set_str(a, o, STR("dogstatsd_addr"), t->dogstatsd_addr);
    json_set(a, o, STR("dogstatsd_tags"), json_strings(a, t->dogstatsd_tags, t->n_dogstatsd_tags));
    json_set_bool(a, o, STR("disable_hostname"), c->metrics_disable_hostname);
    json_set_str(a, o, STR("metrics_prefix"), t->prefix);
    json_set_int(a, o, STR("usage_gauge_period"), t->usage_period_ns);
    json_set_int(a, o, STR("maximum_gauge_cardinality"), t->gauge_cardinality_max);
    json_set_int(a, o, STR("prometheus_retention_time"), c->prometheus_retention_ns);
    json_set_int(a, o, STR("lease_metrics_epsilon"), t->lease_epsilon_ns);
    json_set_int(a, o, STR("num_lease_metrics_buckets"), t->lease_buckets);
    json_set_bool(a, o, STR("add_lease_metrics_namespace_labels"), t->lease_namespace_labels);
    json_set_str(a, o, STR("circonus_api_token"), (str){0});
    json_set_str(a, o, STR("stackdriver_project_id"), t->stackdriver_project_id);
    return o;
}

static void put_settings(struct arena *a, const struct config *c, struct json *o)
{
    const struct config *d = config_defaults(a);
    const struct {
        const char *name;
        bool v;
    } bools[] = {
        {"disable_cache", c->disable_cache},
        {"disable_clustering", c->disable_clustering},
        {"disable_indexing", false},
        {"disable_mlock", c->disable_mlock},
        {"disable_performance_standby", true},
        {"disable_printable_check", c->disable_printable_check},
        {"disable_sealwrap", false},
        {"disable_sentinel_trace", false},
        {"enable_response_header_hostname", c->enable_response_header_hostname},
        {"enable_response_header_raft_node_id", false},
        {"enable_ui", c->ui},
        {"introspection_endpoint", c->introspection_endpoint},
        {"raw_storage_endpoint", c->raw_storage_endpoint},
    };
    const struct {
        const char *name;
        str v;
    } texts[] = {
        {"api_addr", c->api_addr},
        {"cluster_addr", c->cluster_addr},
        {"cluster_name", c->cluster_name},
        {"pid_file", c->pid_file},
        {"log_level", c->log_level},
        {"log_format", c->log_format},
        {"cluster_cipher_suites", {0}},
        {"plugin_directory", {0}},
        {"log_requests_level", c->log_requests_level},
    };

    for (size_t i = 0; i < COUNT_OF(bools); i++)
        json_set_bool(a, o, str_from_cstr(bools[i].name), bools[i].v);
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        json_set_str(a, o, str_from_cstr(texts[i].name), texts[i].v);
    set_text(a, o, "log_file", c->log_file);
    set_text(a, o, "log_rotate_duration", c->log_rotate_duration);
    set_text(a, o, "log_rotate_bytes", c->log_rotate_bytes);
    set_text(a, o, "log_rotate_max_files", c->log_rotate_max_files);
    set_int(a, o, "cache_size", c->cache_size, d->cache_size);
    set_int(a, o, "default_lease_ttl", c->default_lease_ttl_ns / NS_PER_S,
            d->default_lease_ttl_ns / NS_PER_S);
    set_int(a, o, "max_lease_ttl", c->max_lease_ttl_ns / NS_PER_S, d->max_lease_ttl_ns / NS_PER_S);
    set_int(a, o, "default_max_request_duration", c->default_max_request_duration_ns,
            d->default_max_request_duration_ns);
    json_set_int(a, o, STR("plugin_file_permissions"), 0);
    json_set_int(a, o, STR("plugin_file_uid"), 0);
    json_set(a, o, STR("experiments"), json_null(a));
}

static struct error *state_read(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    const struct config *c = rq->core->config.config;
    struct json *o = response_data(rq, rs), *listeners = json_array(a);

    put_settings(a, c, o);
    for (size_t i = 0; i < c->n_listeners; i++)
        json_append(a, listeners, listener_of(a, &c->listeners[i]));
    json_set(a, o, STR("listeners"), listeners);
    if (c->storage)
        json_set(a, o, STR("storage"), storage_of(a, c, c->storage));
    if (c->ha_storage)
        json_set(a, o, STR("ha_storage"), storage_of(a, c, c->ha_storage));
    json_set(a, o, STR("seals"), seals_of(a, c));
    json_set(a, o, STR("telemetry"), telemetry_of(a, c));
    return NULL;
}

/* There is no licence: it is as it was. */
static struct error *reload_write(struct request *rq, struct response *rs)
{
    (void)rs;
    if (!str_eq(field_str(rq, "subsystem"), STR("license")))
        return fail_wrapped(rq, ERR_NOT_FOUND, "unsupported path");
    return NULL;
}

static const struct field reload_fields[] = {
    {"subsystem", FT_STRING, FIELD_PATH, .help = "What is read again: license."},
    {0},
};

/* ---- pprof ---- */

static struct error *pprof_index(struct request *rq, struct response *rs)
{
    static const char page[] = "<html>\n<head><title>pprof</title></head>\n<body>\n"
                               "<p>This server is no Go program: it has no profiles of a Go runtime.</p>\n"
                               "<p><a href=\"cmdline\">cmdline</a>: its command line</p>\n</body>\n</html>\n";

    (void)rq;
    rs->raw_content_type = STR("text/html; charset=utf-8");
    rs->raw_body = bytes_from_str(str_from_cstr(page));
    return NULL;
}

/* The arguments, with NUL bytes between them. */
static struct error *pprof_cmdline(struct request *rq, struct response *rs)
{
    enum { BYTES_MAX = 64 * 1024 };
    uint8_t *text = arena_alloc(rq->arena, BYTES_MAX);
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, BYTES_MAX) : -1;

    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return fail(rq, ERR_INTERNAL, "the command line cannot be read");
    rs->raw_content_type = STR("text/plain; charset=utf-8");
    rs->raw_body = (bytes){text, (size_t)n - 1}; /* the last one's NUL */
    return NULL;
}

static struct error *pprof_absent(struct request *rq, struct response *rs)
{
    (void)rs;
    return fail(rq, ERR_NOT_FOUND, "this server is no Go program: it has no such profile");
}

/* clang-format off */
#define ABSENT(name) \
    {"pprof/" name, NULL, .ops = {[OP_READ] = {pprof_absent, .help = "Refused."}}, .help = "A profile that is not here."}

const struct route sys_state_routes[] = {
    {"config/state/sanitized", NULL, .ops = {[OP_READ] = {state_read, .help = "Shows the configuration."}},
     .help = "The configuration in use, without what is secret."},
    {"config/reload/{subsystem}", reload_fields,
     .ops = {[OP_UPDATE] = {reload_write, ROUTE_READONLY, "Does nothing."}},
     .help = "Reads the licence again: there is none."},
    {"pprof/", NULL, .ops = {[OP_READ] = {pprof_index, .help = "Shows what there is."}},
     .help = "Profiles of the running program."},
    {"pprof/cmdline", NULL, .ops = {[OP_READ] = {pprof_cmdline, .help = "Shows the arguments."}},
     .help = "Arguments that the program was started with."},
    ABSENT("allocs"), ABSENT("block"), ABSENT("goroutine"), ABSENT("heap"), ABSENT("mutex"), ABSENT("profile"),
    ABSENT("symbol"), ABSENT("threadcreate"), ABSENT("trace"),
    {0},
};
/* clang-format on */
