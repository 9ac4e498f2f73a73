/* The server's configuration: one text to a draft, drafts merged, the environment, defaults. */
#include "config/config.h"

#include "base/clock.h"
#include "config/config_private.h"

#include <errno.h>
#include <unistd.h>

#define C(member) offsetof(struct config, member)

enum { SEALS_MAX = 3, HSM_MAX = 1, USAGE_PERIOD_S = 600, GAUGE_CARDINALITY_MAX = 500, LEASE_BUCKETS = 168 };

/* clang-format off */
static const struct row telemetry_rows[] = {
    {"prometheus_retention_time", ROW_DURATION, C(prometheus_retention_ns)},
    {"disable_hostname", ROW_BOOL, C(metrics_disable_hostname)},
    {"statsite_address", ROW_STR, C(telemetry.statsite_address)},
    {"statsd_address", ROW_STR, C(telemetry.statsd_address)},
    {"dogstatsd_addr", ROW_STR, C(telemetry.dogstatsd_addr)},
    {"dogstatsd_tags", ROW_LIST, C(telemetry.dogstatsd_tags), C(telemetry.n_dogstatsd_tags)},
    {"enable_hostname_label", ROW_BOOL, C(telemetry.hostname_label)},
    {"metrics_prefix", ROW_STR, C(telemetry.prefix)},
    {"usage_gauge_period", ROW_STR, C(telemetry.usage_gauge_period)},
    {"maximum_gauge_cardinality", ROW_INT, C(telemetry.gauge_cardinality_max)},
    {"lease_metrics_epsilon", ROW_DURATION, C(telemetry.lease_epsilon_ns)},
    {"num_lease_metrics_buckets", ROW_INT, C(telemetry.lease_buckets)},
    {"add_lease_metrics_namespace_labels", ROW_BOOL, C(telemetry.lease_namespace_labels)},
    {"filter_default", ROW_BOOL, C(telemetry.filter_default)},
    {"prefix_filter", ROW_LIST, C(telemetry.prefix_filters), C(telemetry.n_prefix_filters)},
    {"circonus_api_token", ROW_STR, C(telemetry.circonus_api_token)}, {"circonus_api_app", ROW_IGNORED},
    {"circonus_api_url", ROW_IGNORED}, {"circonus_submission_interval", ROW_IGNORED},
    {"circonus_submission_url", ROW_IGNORED}, {"circonus_check_id", ROW_IGNORED},
    {"circonus_check_force_metric_activation", ROW_IGNORED}, {"circonus_check_instance_id", ROW_IGNORED},
    {"circonus_check_search_tag", ROW_IGNORED}, {"circonus_check_tags", ROW_IGNORED},
    {"circonus_check_display_name", ROW_IGNORED}, {"circonus_broker_id", ROW_IGNORED},
    {"circonus_broker_select_tag", ROW_IGNORED},
    {"stackdriver_project_id", ROW_STR, C(telemetry.stackdriver_project_id)},
    {"stackdriver_location", ROW_IGNORED}, {"stackdriver_namespace", ROW_IGNORED},
    {"stackdriver_debug_logs", ROW_IGNORED},
    {0},
};

static const struct row config_rows[] = {
    {"disable_clustering", ROW_BOOL, C(disable_clustering)}, /* row 0: see settings_from_block */
    {"api_addr", ROW_STR, C(api_addr)},
    {"cluster_addr", ROW_STR, C(cluster_addr)},
    {"cluster_name", ROW_STR, C(cluster_name)},
    {"pid_file", ROW_STR, C(pid_file)},
    {"ui", ROW_BOOL, C(ui), .merge = MERGE_ANY},
    {"disable_mlock", ROW_BOOL, C(disable_mlock), .merge = MERGE_ANY},
    {"disable_cache", ROW_BOOL, C(disable_cache), .merge = MERGE_ANY},
    {"disable_printable_check", ROW_BOOL, C(disable_printable_check)},
    {"raw_storage_endpoint", ROW_BOOL, C(raw_storage_endpoint), .merge = MERGE_ANY},
    {"introspection_endpoint", ROW_BOOL, C(introspection_endpoint), .merge = MERGE_ANY},
    {"enable_response_header_hostname", ROW_BOOL, C(enable_response_header_hostname), .merge = MERGE_ANY},
    {"enable_lease_count_quotas", ROW_BOOL, C(enable_lease_count_quotas), .merge = MERGE_ANY},
    {"cache_size", ROW_INT, C(cache_size)},
    {"cache_bytes", ROW_INT, C(cache_bytes)},
    {"max_lease_ttl", ROW_DURATION, C(max_lease_ttl_ns), .merge = MERGE_MAX},
    {"default_lease_ttl", ROW_DURATION, C(default_lease_ttl_ns), .merge = MERGE_MAX},
    {"default_max_request_duration", ROW_DURATION, C(default_max_request_duration_ns), .merge = MERGE_MAX},
    {"log_level", ROW_STR, C(log_level)},
    {"log_format", ROW_STR, C(log_format)},
    {"log_file", ROW_STR, C(log_file)},
    {"log_rotate_duration", ROW_STR, C(log_rotate_duration)},
    {"log_rotate_bytes", ROW_STR, C(log_rotate_bytes)},
    {"log_rotate_max_files", ROW_STR, C(log_rotate_max_files)},
    {"log_requests_level", ROW_STR, C(log_requests_level)},
    {"telemetry", ROW_BLOCK, .block = telemetry_rows},
    /* blocks with functions of their own */
    {"storage", ROW_IGNORED}, {"backend", ROW_IGNORED}, {"ha_storage", ROW_IGNORED}, {"ha_backend", ROW_IGNORED},
    {"user_lockout", ROW_IGNORED}, {"listener", ROW_IGNORED}, {"seal", ROW_IGNORED}, {"kms", ROW_IGNORED}, {"hsm", ROW_IGNORED},
    /* known and without effect */
    {"service_registration", ROW_IGNORED}, {"entropy", ROW_IGNORED},
    {"cloud", ROW_IGNORED}, {"cluster_cipher_suites", ROW_IGNORED}, {"disable_indexing", ROW_IGNORED},
    {"disable_performance_standby", ROW_IGNORED}, {"disable_sealwrap", ROW_IGNORED},
    {"disable_sentinel_trace", ROW_IGNORED}, {"enable_response_header_raft_node_id", ROW_IGNORED},
    {"plugin_directory", ROW_IGNORED}, {"plugin_file_uid", ROW_IGNORED},
    {"plugin_file_permissions", ROW_IGNORED}, {"experiments", ROW_IGNORED}, {"license_path", ROW_IGNORED},
    {"detect_deadlocks", ROW_IGNORED}, {"imprecise_lease_role_tracking", ROW_IGNORED},
    {"administrative_namespace_path", ROW_IGNORED},
    {0},
};

static const struct config config_default = {
    .cache_size = 131072,
    .cache_bytes = 16 * 1024 * 1024,
    .max_lease_ttl_ns = 768 * 3600 * NS_PER_S,
    .default_lease_ttl_ns = 768 * 3600 * NS_PER_S,
    .default_max_request_duration_ns = 90 * NS_PER_S,
    .telemetry = {.prefix = {"vault", 5},
                  .usage_period_ns = USAGE_PERIOD_S * NS_PER_S,
                  .gauge_cardinality_max = GAUGE_CARDINALITY_MAX,
                  .lease_epsilon_ns = 3600 * NS_PER_S,
                  .lease_buckets = LEASE_BUCKETS,
                  .filter_default = true},
};
/* clang-format on */

_Static_assert(COUNT_OF(config_rows) <= ROWS_MAX, "one bit for each row");

/* What files said so far. Zero and empty: not said. */
struct draft {
    struct config config;
    uint64_t given; /* by row */
};

/* The environment's "PREFIX_NAME=value"; empty if there is none. */
static str env_entry(str prefix, str name)
{
    for (char **e = environ; e && *e; e++) {
        str entry = str_from_cstr(*e), rest = str_from(entry, prefix.n);
        if (str_starts(entry, prefix) && str_starts(rest, name) &&
            str_starts(str_from(rest, name.n), STR("=")))
            return entry;
    }
    return (str){0};
}

str config_env(const char *name, str *ret_full)
{
    const char *called = program_invocation_short_name;
    const str own = strcmp(called, "vault") == 0 ? STR("VAULT_")
                    : strcmp(called, "bao") == 0 ? STR("BAO_")
                                                 : STR("COFFER_");
    const str prefixes[] = {own, STR("COFFER_"), STR("BAO_"), STR("VAULT_")};
    str full = {0}, value = {0};
    for (size_t i = 0; i < COUNT_OF(prefixes) && value.n == 0; i++)
        (void)str_cut(env_entry(prefixes[i], str_from_cstr(name)), '=', &full, &value);
    if (ret_full)
        *ret_full = full;
    return value;
}

str config_env_exact(const char *name)
{
    str full, value = {0};
    (void)str_cut(env_entry((str){0}, str_from_cstr(name)), '=', &full, &value);
    return value;
}

str config_block_get(const struct config_block *b, str key)
{
    for (size_t i = 0; b && i < b->n; i++)
        if (str_eq(b->pairs[i].key, key))
            return b->pairs[i].value;
    return (str){0};
}

/* Takes a pair out of a block; empty if absent. */
static str block_take(struct config_block *b, str key)
{
    for (size_t i = 0; b && i < b->n; i++)
        if (str_eq(b->pairs[i].key, key)) {
            str value = b->pairs[i].value;
            memmove(&b->pairs[i], &b->pairs[i + 1], (--b->n - i) * sizeof *b->pairs);
            return value;
        }
    return (str){0};
}

static size_t count_blocks(const struct hcl_value *root, str name)
{
    size_t n = 0;
    for (const struct hcl_item *item = root->first; item; item = item->next)
        n += item_is(item, name) && item->value->type != HCL_NULL;
    return n;
}

static struct error *block_read(struct arena *a, const struct hcl_item *item, struct config_block *ret)
{
    struct json *map;
    if (item->value->type != HCL_OBJECT)
        return hcl_error(a, item->value->pos, "root: not an object type for map (%s)",
                         hcl_type_name(item->value));
    TRY(hcl_to_json(a, item->value, &map));
    struct config_block b = {.type = arena_lower(a, item->keys[item->n_keys > 1 ? 1 : 0].text)};
    b.pairs = ARENA_ARRAY(a, struct config_pair, map->n);
    for (uint32_t i = 0; i < map->n; i++) {
        const struct json *v = map->members[i].value;
        str value = v->type == JSON_STRING ? v->text : json_is_null(v) ? (str){0} : json_text(a, v);
        b.pairs[b.n++] = (struct config_pair){map->members[i].key, value};
    }
    *ret = b;
    return NULL;
}

/* The one block called `name`, or else `old_name`. None: *ret_block stays. */
static struct error *storage_read(struct arena *a, const struct hcl_value *root, str name, str old_name,
                                  struct config_block **ret_block)
{
    size_t n = count_blocks(root, name);
    if (n == 0) {
        name = old_name;
        n = count_blocks(root, name);
    }
    if (n > 1)
        return error_new(a, ERR_BAD_REQUEST, "error parsing '%.*s': only one \"%.*s\" block is permitted",
                         PSTR(name), PSTR(name));
    for (const struct hcl_item *item = root->first; item; item = item->next) {
        if (!item_is(item, name) || item->value->type == HCL_NULL)
            continue;
        struct config_block *b = ARENA_NEW(a, struct config_block);
        struct error *e = block_read(a, item, b);
        if (e)
            return error_wrap(a, e, "error parsing '%.*s': %.*s", PSTR(name), PSTR(e->text));
        *ret_block = b;
    }
    return NULL;
}

static struct error *seal_read(struct arena *a, const struct hcl_item *item, struct config_block *ret)
{
    TRY(block_read(a, item, ret));
    (void)block_take(ret, STR("purpose")); /* of Vault's own KMS users */
    str disabled = block_take(ret, STR("disabled"));
    if (!config_bool_from_str(disabled, &ret->disabled))
        return error_new(a, ERR_BAD_REQUEST, "invalid value for disabled: \"%.*s\"", PSTR(disabled));
    return NULL;
}

static struct error *seals_read(struct arena *a, const struct hcl_value *root, str name, size_t max,
                                struct config *c)
{
    size_t n = count_blocks(root, name), size = sizeof *c->seals;
    if (n > max)
        return error_new(a, ERR_BAD_REQUEST,
                         "error parsing '%.*s': only %zu or less \"%.*s\" blocks are permitted", PSTR(name),
                         max, PSTR(name));
    c->seals = arena_grow(a, c->seals, c->n_seals * size, (c->n_seals + n) * size);
    for (const struct hcl_item *item = root->first; item; item = item->next) {
        if (!item_is(item, name) || item->value->type == HCL_NULL)
            continue;
        struct error *e = seal_read(a, item, &c->seals[c->n_seals]);
        if (e)
            return error_wrap(a, e, "error parsing '%.*s': %.*s", PSTR(name), PSTR(e->text));
        c->n_seals++;
    }
    return NULL;
}

static struct error *blocks_read(struct reader *r, const struct hcl_value *root)
{
    struct arena *a = r->arena;
    struct config *c = r->config;
    if (count_blocks(root, STR("telemetry")) > 1)
        return error_new(a, ERR_BAD_REQUEST,
                         "error parsing 'telemetry': only one 'telemetry' block is permitted");
    if (count_blocks(root, STR("service_registration")) > 1)
        return error_new(a, ERR_BAD_REQUEST,
                         "error parsing 'service_registration': only one \"service_registration\" "
                         "block is permitted");
    TRY(storage_read(a, root, STR("storage"), STR("backend"), &c->storage));
    TRY(storage_read(a, root, STR("ha_storage"), STR("ha_backend"), &c->ha_storage));
    TRY(seals_read(a, root, STR("hsm"), HSM_MAX, c));
    TRY(seals_read(a, root, STR("seal"), SEALS_MAX, c));
    TRY(seals_read(a, root, STR("kms"), SEALS_MAX, c));
    TRY(lockouts_read(r, root));
    return listeners_read(r, root);
}

static struct error *text_read(struct arena *a, str file_name, str text, struct draft *ret)
{
    struct hcl_value *root;
    struct reader r = {a, file_name, &ret->config};
    TRY(hcl_parse(a, text, &root));
    ret->config.telemetry.filter_default = true;
    if (count_blocks(root, STR("telemetry")) > 0)
        ret->config.prometheus_retention_ns = 24 * 3600 * NS_PER_S;
    TRY(rows_read(&r, config_rows, root, &ret->config, &ret->given));
    return blocks_read(&r, root);
}

/* Both arrays, one after the other. */
static void *array_join(struct arena *a, void *x, size_t nx, const void *y, size_t ny, size_t size)
{
    if (ny == 0)
        return x;
    char *p = arena_grow(a, x, nx * size, (nx + ny) * size);
    memcpy(p + nx * size, y, ny * size);
    return p;
}

static void draft_merge(struct arena *a, struct draft *to, const struct draft *from)
{
    struct config *t = &to->config;
    const struct config *f = &from->config;
    rows_merge(config_rows, t, f, from->given);
    to->given |= from->given;
    t->storage = f->storage ? f->storage : t->storage;
    t->ha_storage = f->ha_storage ? f->ha_storage : t->ha_storage;
    t->seals = array_join(a, t->seals, t->n_seals, f->seals, f->n_seals, sizeof *t->seals);
    t->n_seals += f->n_seals;
    t->listeners =
        array_join(a, t->listeners, t->n_listeners, f->listeners, f->n_listeners, sizeof *t->listeners);
    t->n_listeners += f->n_listeners;
    t->lockouts = array_join(a, t->lockouts, t->n_lockouts, f->lockouts, f->n_lockouts, sizeof *t->lockouts);
    t->n_lockouts += f->n_lockouts;
    t->warnings = array_join(a, t->warnings, t->n_warnings, f->warnings, f->n_warnings, sizeof *t->warnings);
    t->n_warnings += f->n_warnings;
}

/* Settings that a storage block may give too; the top-level key wins, ha_storage comes before storage. */
static struct error *settings_from_block(struct arena *a, struct draft *d, struct config_block *b)
{
    struct config *c = &d->config;
    str redirect = block_take(b, STR("redirect_addr"));
    str advertise = block_take(b, STR("advertise_addr"));
    str cluster = block_take(b, STR("cluster_addr"));
    str disable = block_take(b, STR("disable_clustering"));
    if (c->api_addr.n == 0)
        c->api_addr = redirect.n > 0 ? redirect : advertise;
    if (c->cluster_addr.n == 0)
        c->cluster_addr = cluster;
    if (disable.n == 0 || (d->given & 1))
        return NULL;
    d->given |= 1;
    if (!config_bool_from_str(disable, &c->disable_clustering))
        return error_new(a, ERR_BAD_REQUEST, "invalid value for disable_clustering: \"%.*s\"", PSTR(disable));
    return NULL;
}

static struct error *draft_finish(struct arena *a, struct draft *d)
{
    struct config *c = &d->config;
    TRY(settings_from_block(a, d, c->ha_storage));
    TRY(settings_from_block(a, d, c->storage));
    if (c->n_seals == 2 && c->seals[0].disabled == c->seals[1].disabled)
        return error_new(a, ERR_BAD_REQUEST, "seals: two seals provided but %s",
                         c->seals[0].disabled ? "both are disabled" : "neither is disabled");
    rows_default(config_rows, c, &config_default);
    if (c->cache_size < 0)
        c->cache_size = config_default.cache_size;
    if (c->cache_bytes < 0)
        c->cache_bytes = config_default.cache_bytes;
    return NULL;
}

static struct error *telemetry_finish(struct arena *a, struct config_telemetry *t)
{
    str period = t->usage_gauge_period;

    for (size_t i = 0; i < t->n_prefix_filters; i++)
        if (!str_starts(t->prefix_filters[i], STR("+")) && !str_starts(t->prefix_filters[i], STR("-")))
            return error_new(a, ERR_BAD_REQUEST, "Filter rule must begin with either '+' or '-': \"%.*s\"",
                             PSTR(t->prefix_filters[i]));
    t->prefix = t->prefix.n ? t->prefix : STR("vault");
    t->gauge_cardinality_max =
        t->gauge_cardinality_max > 0 ? t->gauge_cardinality_max : GAUGE_CARDINALITY_MAX;
    t->lease_epsilon_ns = t->lease_epsilon_ns > 0 ? t->lease_epsilon_ns : 3600 * NS_PER_S;
    t->lease_buckets = t->lease_buckets > 0 ? t->lease_buckets : LEASE_BUCKETS;
    t->usage_period_ns = USAGE_PERIOD_S * NS_PER_S;
    if (str_eq(period, STR("none")))
        t->usage_period_ns = 0;
    else if (period.n > 0)
        TRY(duration_parse(a, period, &t->usage_period_ns));
    return NULL;
}

/* What only holds once nothing changes any more. */
static struct error *config_check(struct arena *a, struct config *c)
{
    struct error *e = telemetry_finish(a, &c->telemetry);

    if (e)
        return error_wrap(a, e, "error parsing 'telemetry': %.*s", PSTR(e->text));
    if (c->default_lease_ttl_ns > c->max_lease_ttl_ns)
        return error_new(a, ERR_BAD_REQUEST, "cannot have DefaultLeaseTTL larger than MaxLeaseTTL");
    TRY(address_fill(a, "api_addr", &c->api_addr));
    return address_fill(a, "cluster_addr", &c->cluster_addr);
}

static void env_str(const char *name, str *value)
{
    str s = config_env(name, NULL);
    if (s.n > 0)
        *value = s;
}

static struct error *env_bool(struct arena *a, const char *name, bool *value)
{
    str full, s = config_env(name, &full);
    if (s.n > 0 && !config_bool_from_str(s, value))
        return error_new(a, ERR_BAD_REQUEST, "Error parsing the environment variable %.*s", PSTR(full));
    return NULL;
}

static struct error *env_apply(struct arena *a, struct config *c)
{
    env_str("ADVERTISE_ADDR", &c->api_addr);
    env_str("REDIRECT_ADDR", &c->api_addr);
    env_str("API_ADDR", &c->api_addr);
    env_str("CLUSTER_ADDR", &c->cluster_addr);
    env_str("LOG_LEVEL", &c->log_level);
    env_str("LOG_FORMAT", &c->log_format);
    str seal = config_env("SEAL_TYPE", NULL);
    if (seal.n > 0 && c->n_seals == 0) {
        c->seals = ARENA_NEW(a, struct config_block);
        c->n_seals = 1;
    }
    for (size_t i = 0; seal.n > 0 && i < c->n_seals; i++)
        if (!c->seals[i].disabled)
            c->seals[i].type = arena_lower(a, seal);
    TRY(env_bool(a, "UI", &c->ui));
    TRY(env_bool(a, "DISABLE_USER_LOCKOUT", &c->disable_user_lockout));
    return env_bool(a, "DISABLE_MLOCK", &c->disable_mlock);
}

static struct error *loading(struct arena *a, str path, struct error *e)
{
    return e ? error_wrap(a, e, "error loading configuration from %.*s: %.*s", PSTR(path), PSTR(e->text))
             : NULL;
}

static struct error *file_load(struct arena *a, str file, struct draft *d)
{
    str text;
    struct draft one = {0};
    TRY(config_read_file(a, file, &text));
    TRY(text_read(a, file, text, &one));
    draft_merge(a, d, &one);
    return NULL;
}

static struct error *path_load(struct arena *a, str path, struct draft *d)
{
    str *files;
    size_t n;
    bool is_dir;
    TRY(config_find_files(a, path, &files, &n, &is_dir));
    for (size_t i = 0; i < n; i++) {
        struct error *e = file_load(a, files[i], d);
        if (e && is_dir)
            e = error_wrap(a, e, "error loading \"%.*s\": %.*s", PSTR(files[i]), PSTR(e->text));
        TRY(e);
    }
    return NULL;
}

struct error *config_load(struct arena *a, const str *paths, size_t n, struct config **ret_config)
{
    struct draft *d = ARENA_NEW(a, struct draft);
    for (size_t i = 0; i < n; i++)
        TRY(loading(a, paths[i], path_load(a, arena_str(a, paths[i]), d)));
    TRY(draft_finish(a, d));
    TRY(env_apply(a, &d->config));
    TRY(config_check(a, &d->config));
    *ret_config = &d->config;
    return NULL;
}

struct error *config_parse(struct arena *a, str file_name, str text, struct config **ret_config)
{
    struct draft *d = ARENA_NEW(a, struct draft);
    TRY(loading(a, file_name, text_read(a, file_name, text, d)));
    TRY(draft_finish(a, d));
    TRY(config_check(a, &d->config));
    *ret_config = &d->config;
    return NULL;
}

struct config *config_defaults(struct arena *a)
{
    return arena_copy(a, &config_default, sizeof config_default);
}
