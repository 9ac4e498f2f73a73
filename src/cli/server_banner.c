/* The banner of a start: docs/formats/config.md. One key a line, in the order of the bytes of plain names. */
#include "cli/server_private.h"

#include <stdlib.h>

static void line(struct server *s, const char *name, str value)
{
    cli_print(s->cli, "%24s: %.*s", name, PSTR(value));
}

/* The address given, or the listener's with the next port. */
static str cluster_address(struct arena *a, const struct config_listener *l)
{
    size_t colon = str_rindex(l->address, ':');
    uint64_t port;

    if (l->cluster_address.n || !str_parse_u64(str_from(l->address, colon + 1), &port))
        return l->cluster_address;
    return arena_fmt(a, "%.*s:%llu", PSTR(str_slice(l->address, 0, colon)), (unsigned long long)port + 1);
}

static str forwarded(struct arena *a, const struct config_listener *l)
{
    struct buf b;

    if (l->n_x_forwarded_for_addrs == 0)
        return (str){0};
    buf_init(&b, a, SIZE_MAX);
    buf_put_str(&b, STR(", x_forwarded_for_authorized_addrs: \"["));
    for (size_t i = 0; i < l->n_x_forwarded_for_addrs; i++)
        buf_put_fmt(&b, "%s%.*s", i ? " " : "", PSTR(l->x_forwarded_for_addrs[i]));
    buf_put_fmt(&b,
                "]\", x_forwarded_for_hop_skips: \"%d\", x_forwarded_for_reject_not_authorized: \"%s\", "
                "x_forwarded_for_reject_not_present: \"%s\"",
                l->x_forwarded_for_hop_skips, l->x_forwarded_for_reject_not_authorized ? "true" : "false",
                l->x_forwarded_for_reject_not_present ? "true" : "false");
    return buf_str(&b);
}

static void listener_line(struct server *s, size_t i)
{
    struct arena *a = s->cli->arena;
    const struct config_listener *l = &s->config->listeners[i];
    str cluster = l->is_unix ? l->cluster_address : cluster_address(a, l);

    line(s, arena_fmt(a, "Listener %zu", i + 1).p,
         arena_fmt(a,
                   "%s (addr: \"%.*s\", cluster address: \"%.*s\", max_request_duration: \"%.*s\", "
                   "max_request_size: \"%lld\", tls: \"%s\"%.*s)",
                   l->is_unix ? "unix" : "tcp", PSTR(l->address), PSTR(cluster),
                   PSTR(duration_format(a, l->max_request_duration_ns)), (long long)l->max_request_bytes,
                   l->is_unix || l->tls_disable ? "disabled" : "enabled", PSTR(forwarded(a, l))));
}

static int compare(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

/* Names alone: a value may be a secret. */
static str environment_names(struct server *s)
{
    struct arena *a = s->cli->arena;
    size_t n = 0;
    struct buf b;

    while (s->cli->env.vars[n])
        n++;
    str *names = ARENA_ARRAY(a, str, n + 1), value;

    for (size_t i = 0; i < n; i++)
        str_cut(str_from_cstr(s->cli->env.vars[i]), '=', &names[i], &value);
    qsort(names, n, sizeof(*names), compare);
    buf_init(&b, a, SIZE_MAX);
    for (size_t i = 0; i < n; i++)
        buf_put_fmt(&b, "%s%.*s", i ? ", " : "", PSTR(names[i]));
    return buf_str(&b);
}

void server_print_banner(struct server *s)
{
    struct arena *a = s->cli->arena;
    const struct config *c = s->config;
    bool ha = s->has_ha && !c->ha_storage;

    cli_print(s->cli, "==> Vault server configuration:\n");
    if (c->ha_storage)
        line(s, "HA Storage", c->ha_storage->type);
    if (c->api_addr.n)
        line(s, "Api Address", c->api_addr);
    if (s->has_ha && c->cluster_addr.n)
        line(s, "Cluster Address", c->cluster_addr);
    line(s, "Environment Variables", environment_names(s));
    for (size_t i = 0; i < s->n_listeners; i++)
        listener_line(s, i);
    line(s, "Log Level", c->log_level);
    line(s, "Mlock", arena_fmt(a, "supported: true, enabled: %s", c->disable_mlock ? "false" : "true"));
    line(s, "Recovery Mode", STR("false"));
    line(s, "Storage", arena_fmt(a, "%.*s%s", PSTR(c->storage->type), ha ? " (HA available)" : ""));
    line(s, "Version", arena_fmt(a, "Coffer v%s (API of Vault 1.14.7)", COFFER_VERSION));
    cli_print(s->cli, "\n==> Vault server started! Log data will stream in below:\n");
    fflush(s->cli->out);
}
