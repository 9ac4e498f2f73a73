/* Listener blocks: docs/formats/config.md, section 5. */
#include "base/clock.h"
#include "config/address_template.h"
#include "config/config_private.h"

#define L(member) offsetof(struct config_listener, member)

static const struct row telemetry_rows[] = {
    {"unauthenticated_metrics_access", ROW_BOOL, L(unauthenticated_metrics_access)},
    {0},
};
static const struct row profiling_rows[] = {
    {"unauthenticated_pprof_access", ROW_BOOL, L(unauthenticated_pprof_access)},
    {0},
};
static const struct row inflight_rows[] = {
    {"unauthenticated_in_flight_requests_access", ROW_BOOL, L(unauthenticated_in_flight_access)},
    {0},
};

/* clang-format off */
static const struct row listener_rows[] = {
    {"type", ROW_IGNORED},
    {"address", ROW_STR, L(address)},
    {"cluster_address", ROW_STR, L(cluster_address)},
    {"tls_disable", ROW_BOOL, L(tls_disable)},
    {"tls_cert_file", ROW_STR, L(tls_cert_file)},
    {"tls_key_file", ROW_STR, L(tls_key_file)},
    {"tls_client_ca_file", ROW_STR, L(tls_client_ca_file)},
    {"tls_min_version", ROW_TLS, L(tls_min_version)},
    {"tls_max_version", ROW_TLS, L(tls_max_version)},
    {"tls_cipher_suites", ROW_STR, L(tls_cipher_suites)},
    {"tls_prefer_server_cipher_suites", ROW_IGNORED},
    {"tls_require_and_verify_client_cert", ROW_BOOL, L(tls_require_client_cert)},
    {"tls_disable_client_certs", ROW_BOOL, L(tls_disable_client_certs)},
    {"max_request_size", ROW_INT, L(max_request_bytes)},
    {"max_request_duration", ROW_DURATION, L(max_request_duration_ns)},
    {"http_read_timeout", ROW_DURATION, L(http_read_timeout_ns)},
    {"http_read_header_timeout", ROW_DURATION, L(http_read_header_timeout_ns)},
    {"http_write_timeout", ROW_DURATION, L(http_write_timeout_ns)},
    {"http_idle_timeout", ROW_DURATION, L(http_idle_timeout_ns)},
    {"proxy_protocol_behavior", ROW_STR, L(proxy_protocol_behavior)},
    {"proxy_protocol_authorized_addrs", ROW_LIST, L(proxy_protocol_addrs), L(n_proxy_protocol_addrs)},
    {"x_forwarded_for_authorized_addrs", ROW_LIST, L(x_forwarded_for_addrs), L(n_x_forwarded_for_addrs)},
    {"x_forwarded_for_hop_skips", ROW_COUNT, L(x_forwarded_for_hop_skips)},
    {"x_forwarded_for_reject_not_present", ROW_BOOL, L(x_forwarded_for_reject_not_present)},
    {"x_forwarded_for_reject_not_authorized", ROW_BOOL, L(x_forwarded_for_reject_not_authorized)},
    {"redact_version", ROW_BOOL, L(redact_version)},
    {"redact_addresses", ROW_BOOL, L(redact_addresses)},
    {"redact_cluster_name", ROW_BOOL, L(redact_cluster_name)},
    {"socket_mode", ROW_STR, L(socket_mode)},
    {"socket_user", ROW_STR, L(socket_user)},
    {"socket_group", ROW_STR, L(socket_group)},
    {"telemetry", ROW_BLOCK, .block = telemetry_rows},
    {"profiling", ROW_BLOCK, .block = profiling_rows},
    {"inflight_requests_logging", ROW_BLOCK, .block = inflight_rows},
    {"custom_response_headers", ROW_IGNORED}, /* headers_read() */
    {"require_request_header", ROW_IGNORED},
    {"role", ROW_IGNORED},
    {"purpose", ROW_IGNORED},
    {"cors_enabled", ROW_IGNORED},
    {"cors_allowed_origins", ROW_IGNORED},
    {"cors_allowed_headers", ROW_IGNORED},
    {"agent_api", ROW_IGNORED},
    {"proxy_api", ROW_IGNORED},
    {0},
};

static const struct config_listener listener_defaults = {
    .address = {"127.0.0.1:8200", 14},
    .tls_min_version = 12,
    .tls_max_version = 13,
    .max_request_bytes = 32 * 1024 * 1024,
    .max_request_duration_ns = 90 * NS_PER_S,
    .http_read_timeout_ns = 30 * NS_PER_S,
    .http_read_header_timeout_ns = 10 * NS_PER_S,
    .http_idle_timeout_ns = 300 * NS_PER_S,
};
/* clang-format on */

struct error *address_fill(struct arena *a, const char *key, str *address)
{
    struct interface_address *all;
    size_t n;
    if (!address_is_template(*address))
        return NULL;
    TRY(interface_addresses(a, &all, &n));
    struct error *e = address_template(a, *address, all, n, address);
    return e ? error_wrap(a, e, "%s: %.*s", key, PSTR(e->text)) : NULL;
}

static struct error *networks_check(struct arena *a, const char *key, const str *addrs, size_t n)
{
    struct ip_range range;
    for (size_t i = 0; i < n; i++)
        if (!ip_range_parse(addrs[i], &range))
            return error_new(a, ERR_BAD_REQUEST,
                             "invalid value for %s: \"%.*s\" is no IP address or CIDR block", key,
                             PSTR(addrs[i]));
    return NULL;
}

static struct error *proxy_protocol_check(struct arena *a, const struct config_listener *l)
{
    str behavior = l->proxy_protocol_behavior;
    TRY(networks_check(a, "proxy_protocol_authorized_addrs", l->proxy_protocol_addrs,
                       l->n_proxy_protocol_addrs));
    if (behavior.n == 0 || str_eq(behavior, STR("use_always")))
        return NULL;
    if (!str_eq(behavior, STR("allow_authorized")) && !str_eq(behavior, STR("deny_unauthorized")))
        return error_new(a, ERR_BAD_REQUEST,
                         "unsupported value supplied for proxy_protocol_behavior: \"%.*s\"", PSTR(behavior));
    if (l->n_proxy_protocol_addrs == 0)
        return error_new(a, ERR_BAD_REQUEST,
                         "proxy_protocol_behavior set to %.*s but no proxy_protocol_authorized_addrs value",
                         PSTR(behavior));
    return NULL;
}

static struct error *listener_check(struct arena *a, struct config_listener *l)
{
    TRY(address_fill(a, "address", &l->address));
    TRY(address_fill(a, "cluster_address", &l->cluster_address));
    if (l->max_request_duration_ns < 0)
        return error_new(a, ERR_BAD_REQUEST, "max_request_duration cannot be negative");
    if (l->tls_require_client_cert && l->tls_disable_client_certs)
        return error_new(a, ERR_BAD_REQUEST,
                         "tls_disable_client_certs and tls_require_and_verify_client_cert are "
                         "mutually exclusive");
    if (l->tls_max_version < l->tls_min_version)
        return error_new(a, ERR_BAD_REQUEST,
                         "tls_max_version must be greater than or equal to tls_min_version");
    TRY(networks_check(a, "x_forwarded_for_authorized_addrs", l->x_forwarded_for_addrs,
                       l->n_x_forwarded_for_addrs));
    return proxy_protocol_check(a, l);
}

/* "default", "2xx", "404". */
static bool status_range(str key, int *ret_low, int *ret_high)
{
    int class = key.n == 3 ? key.p[0] - '0' : 0;
    uint64_t code;
    if (str_eq(key, STR("default"))) {
        *ret_low = 0;
        *ret_high = 999;
    } else if (class >= 1 && class <= 5 && str_eq(str_from(key, 1), STR("xx"))) {
        *ret_low = class * 100;
        *ret_high = class * 100 + 99;
    } else if (key.n == 3 && str_parse_u64(key, &code) && code >= 100 && code < 600) {
        *ret_low = *ret_high = (int)code;
    } else {
        return false;
    }
    return true;
}

/* Sets a header of a group; an equal name is replaced. */
static void header_set(struct arena *a, struct config_headers *g, str name, str value)
{
    for (size_t i = 0; i < g->n; i++)
        if (str_eq_nocase(g->headers[i].name, name)) {
            g->headers[i].value = value;
            return;
        }
    g->headers = array_room(a, g->headers, g->n, sizeof *g->headers);
    g->headers[g->n++] = (struct config_header){name, value};
}

/* The group of a range, in the order in which groups apply: the wider range first. */
static struct config_headers *headers_group(struct arena *a, struct config_listener *l, int low, int high)
{
    size_t at = 0;
    for (; at < l->n_response_headers; at++) {
        struct config_headers *g = &l->response_headers[at];
        if (g->status_low == low && g->status_high == high)
            return g;
        if (g->status_high - g->status_low < high - low)
            break;
    }
    size_t n = l->n_response_headers++, size = sizeof *l->response_headers;
    l->response_headers = array_room(a, l->response_headers, n, size);
    memmove(&l->response_headers[at + 1], &l->response_headers[at], (n - at) * size);
    l->response_headers[at] = (struct config_headers){.status_low = low, .status_high = high};
    return &l->response_headers[at];
}

/* The headers of one status key: {"Name": ["a", "b"], …}. */
static struct error *group_read(struct reader *r, struct config_headers *g, const struct json *map)
{
    for (uint32_t i = 0; map->type == JSON_OBJECT && i < map->n; i++) {
        str name = map->members[i].key;
        const struct json *values = map->members[i].value;
        struct buf b;
        buf_init(&b, r->arena, HCL_TEXT_BYTES_MAX);
        if (values->type != JSON_ARRAY)
            return error_new(r->arena, ERR_BAD_REQUEST, "headers must be given in a list of strings: %.*s",
                             PSTR(name));
        for (uint32_t k = 0; k < values->n; k++) {
            if (values->items[k]->type != JSON_STRING)
                return error_new(r->arena, ERR_BAD_REQUEST,
                                 "headers must be given in a list of strings: %.*s", PSTR(name));
            buf_put_fmt(&b, "%s%.*s", k > 0 ? "; " : "", PSTR(values->items[k]->text));
        }
        if (str_eq_nocase(str_slice(name, 0, 8), STR("X-Vault-")))
            config_warn(r->arena, r->config,
                        arena_fmt(r->arena, "ignored response header %.*s: names with X-Vault- are reserved",
                                  PSTR(name)));
        else
            header_set(r->arena, g, name, buf_str(&b));
    }
    return NULL;
}

/* One custom_response_headers block: status key → [{name: [values]}]. */
static struct error *headers_read_block(struct reader *r, struct config_listener *l, const struct json *block)
{
    for (uint32_t i = 0; block->type == JSON_OBJECT && i < block->n; i++) {
        str key = block->members[i].key;
        const struct json *maps = block->members[i].value;
        int low, high;
        if (!status_range(key, &low, &high))
            return error_new(r->arena, ERR_BAD_REQUEST,
                             "invalid status code found in the server configuration: %.*s", PSTR(key));
        if (maps->type != JSON_ARRAY)
            return error_new(r->arena, ERR_BAD_REQUEST,
                             "invalid value for custom_response_headers: %.*s is no block", PSTR(key));
        for (uint32_t k = 0; k < maps->n; k++)
            TRY(group_read(r, headers_group(r->arena, l, low, high), maps->items[k]));
    }
    return NULL;
}

static struct error *headers_read(struct reader *r, struct config_listener *l, const struct hcl_value *object)
{
    header_set(r->arena, headers_group(r->arena, l, 0, 999), STR("Strict-Transport-Security"),
               STR("max-age=31536000; includeSubDomains"));
    for (const struct hcl_item *item = object->first; item; item = item->next) {
        if (!item_is(item, STR("custom_response_headers")) || item->value->type == HCL_NULL)
            continue;
        struct hcl_item only = *item;
        only.next = NULL;
        struct json *map;
        TRY(hcl_to_json(r->arena, &(struct hcl_value){.type = HCL_OBJECT, .first = &only, .n = 1}, &map));
        const struct json *blocks = map->members[0].value;
        if (blocks->type != JSON_ARRAY)
            return error_new(r->arena, ERR_BAD_REQUEST,
                             "invalid value for custom_response_headers: expected a block");
        for (uint32_t i = 0; i < blocks->n; i++)
            TRY(headers_read_block(r, l, blocks->items[i]));
    }
    return NULL;
}

/* The type: the label, or the key `type`. */
static str listener_type(const struct hcl_item *item)
{
    str type = {0};
    if (item->n_keys > 1)
        return item->keys[1].text;
    for (const struct hcl_item *i = item->value->first; i; i = i->next)
        if (item_is(i, STR("type")) && !hcl_str(i->value, &type))
            return (str){0};
    return type;
}

static struct error *listener_read(struct reader *r, const struct hcl_item *item, struct config_listener *ret)
{
    struct config_listener l = {0};
    if (item->value->type != HCL_OBJECT)
        return hcl_error(r->arena, item->value->pos, "root: not an object type for struct (%s)",
                         hcl_type_name(item->value));
    str type = listener_type(item);
    if (type.n == 0)
        return error_new(r->arena, ERR_BAD_REQUEST, "listener type must be specified");
    l.is_unix = str_eq_nocase(type, STR("unix"));
    if (!l.is_unix && !str_eq_nocase(type, STR("tcp")))
        return error_new(r->arena, ERR_BAD_REQUEST, "unsupported listener type \"%.*s\"", PSTR(type));
    TRY(rows_read(r, listener_rows, item->value, &l, NULL));
    if (l.is_unix && l.address.n == 0)
        l.address = STR("/run/vault.sock");
    rows_default(listener_rows, &l, &listener_defaults);
    TRY(listener_check(r->arena, &l));
    TRY(headers_read(r, &l, item->value));
    *ret = l;
    return NULL;
}

struct error *listeners_read(struct reader *r, const struct hcl_value *root)
{
    struct config *c = r->config;
    size_t index = 0;
    for (const struct hcl_item *item = root->first; item; item = item->next) {
        if (!item_is(item, STR("listener")) || item->value->type == HCL_NULL)
            continue;
        size_t n = c->n_listeners;
        c->listeners = array_room(r->arena, c->listeners, n, sizeof *c->listeners);
        struct error *e = listener_read(r, item, &c->listeners[n]);
        if (e)
            return error_wrap(r->arena, e, "error parsing 'listener': listeners.%zu: %.*s", index,
                              PSTR(e->text));
        c->n_listeners++;
        index++;
    }
    return NULL;
}
