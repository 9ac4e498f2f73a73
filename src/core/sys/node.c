/* node: this node and its cluster: ha-status, host-info, versions, step-down; and what only Vault's
 * Enterprise edition or its raft storage has, answered as the edition without them does. */
#include "base/encode.h"
#include "core/active_private.h"
#include "core/sys/sys.h"

#include <stdlib.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

/* ---- high availability ---- */

static str host_name(struct arena *a)
{
    char name[256] = {0};

    return gethostname(name, sizeof(name) - 1) == 0 ? arena_str(a, str_from_cstr(name)) : (str){0};
}

/* Not set: that of the API with the next port. */
str cluster_address(struct arena *a, const struct config *c)
{
    enum { DEFAULT_PORT = 443 };
    str host = str_from(c->api_addr, str_find(c->api_addr, STR("://")) + 3);
    size_t colon, port_at;
    int64_t port = DEFAULT_PORT;

    if (c->disable_clustering || c->cluster_addr.n || host.n == 0)
        return c->disable_clustering ? (str){0} : c->cluster_addr;
    host = str_slice(host, 0, str_index(host, '/'));
    colon = str_rindex(host, ':');
    port_at = colon < host.n && !str_ends(host, STR("]")) ? colon : host.n;
    if (port_at < host.n && !str_parse_i64(str_from(host, port_at + 1), &port))
        return (str){0};
    return arena_fmt(a, "https://%.*s:%lld", PSTR(str_slice(host, 0, port_at)), (long long)port + 1);
}

static struct error *ha_status_read(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    struct json *nodes = json_array(a), *self = json_object(a);

    json_set_str(a, self, STR("hostname"), host_name(a));
    json_set_str(a, self, STR("api_address"), rq->core->config.config->api_addr);
    json_set_str(a, self, STR("cluster_address"), cluster_address(a, rq->core->config.config));
    json_set_bool(a, self, STR("active_node"), true);
    json_set(a, self, STR("last_echo"), json_null(a));
    json_set_str(a, self, STR("version"), rq->core->config.version);
    json_append(a, nodes, self);
    json_set(a, response_data(rq, rs), STR("nodes"), nodes);
    return NULL;
}

static struct error *step_down_write(struct request *rq, struct response *rs)
{
    (void)rq;
    rs->control = core_control_step_down;
    return NULL;
}

/* ---- the host ---- */

static struct json *host_memory(struct arena *a, const struct sysinfo *s)
{
    struct json *o = json_object(a);
    uint64_t unit = s->mem_unit, total = s->totalram * unit, unused = (s->freeram + s->bufferram) * unit;

    json_set_int(a, o, STR("total"), (int64_t)total);
    json_set_int(a, o, STR("available"), (int64_t)unused);
    json_set_int(a, o, STR("free"), (int64_t)(s->freeram * unit));
    json_set_int(a, o, STR("used"), (int64_t)(total - unused));
    return o;
}

static struct json *host_self(struct arena *a, const struct sysinfo *s, int64_t now_ns)
{
    struct json *o = json_object(a);
    struct utsname u;

    json_set_str(a, o, STR("hostname"), host_name(a));
    json_set_str(a, o, STR("os"), STR("linux"));
    json_set_int(a, o, STR("uptime"), s->uptime);
    json_set_int(a, o, STR("bootTime"), now_ns / NS_PER_S - s->uptime);
    json_set_int(a, o, STR("procs"), s->procs);
    if (uname(&u) == 0) {
        json_set_str(a, o, STR("kernelVersion"), arena_str(a, str_from_cstr(u.release)));
        json_set_str(a, o, STR("kernelArch"), arena_str(a, str_from_cstr(u.machine)));
    }
    return o;
}

static struct json *host_disks(struct arena *a)
{
    struct json *all = json_array(a), *o = json_object(a);
    struct statvfs v;

    if (statvfs("/", &v) == 0) {
        json_set_str(a, o, STR("path"), STR("/"));
        json_set_int(a, o, STR("total"), (int64_t)(v.f_blocks * v.f_frsize));
        json_set_int(a, o, STR("free"), (int64_t)(v.f_bavail * v.f_frsize));
        json_set_int(a, o, STR("used"), (int64_t)((v.f_blocks - v.f_bfree) * v.f_frsize));
        json_append(a, all, o);
    }
    return all;
}

static struct error *host_info_read(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    struct json *data = response_data(rq, rs), *cpus = json_array(a);
    int64_t now = clock_wall_ns(rq->clock);
    struct sysinfo s = {0};

    (void)sysinfo(&s);
    for (int i = 0; i < (int)sysconf(_SC_NPROCESSORS_ONLN); i++) {
        struct json *cpu = json_object(a);

        json_set_int(a, cpu, STR("cpu"), i);
        json_append(a, cpus, cpu);
    }
    json_set(a, data, STR("cpu"), cpus);
    json_set(a, data, STR("cpu_times"), json_array(a));
    json_set(a, data, STR("disk"), host_disks(a));
    json_set(a, data, STR("host"), host_self(a, &s, now));
    json_set(a, data, STR("memory"), host_memory(a, &s));
    json_set_str(a, data, STR("timestamp"), time_format(a, now));
    return NULL;
}

/* ---- versions ---- */

static struct error *experiments_read(struct request *rq, struct response *rs)
{
    static const str known[] = {{"events.alpha1", 13}};

    json_set(rq->arena, response_data(rq, rs), STR("available"), json_strings(rq->arena, known, 1));
    json_set(rq->arena, response_data(rq, rs), STR("enabled"), json_array(rq->arena));
    return NULL;
}

struct version {
    str name, build_date;
    int64_t installed_ns;
};

static int compare_versions(const void *x, const void *y)
{
    const struct version *a = x, *b = y;

    return a->installed_ns < b->installed_ns ? -1 : a->installed_ns > b->installed_ns;
}

static struct error *versions_load(struct request *rq, struct version **ret, size_t *ret_n)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    str *names;

    TRY(view_list(&core, STR("versions/"), &names, ret_n));
    *ret = ARENA_ARRAY(rq->arena, struct version, *ret_n + 1);
    for (size_t i = 0; i < *ret_n; i++) {
        struct json *v;

        TRY(view_get_json(&core, arena_join(rq->arena, STR("versions/"), names[i]), &v));
        (*ret)[i] = (struct version){names[i], json_get_str(v, STR("BuildDate")), 0};
        if (!time_parse(json_get_str(v, STR("TimestampInstalled")), &(*ret)[i].installed_ns))
            (*ret)[i].installed_ns = TIME_ZERO_NS;
    }
    qsort(*ret, *ret_n, sizeof(**ret), compare_versions);
    return NULL;
}

static str time_to_the_second(struct arena *a, int64_t ns)
{
    return time_format(a, ns == TIME_ZERO_NS ? ns : ns / NS_PER_S * NS_PER_S);
}

static struct error *version_history_list(struct request *rq, struct response *rs)
{
    struct arena *a = rq->arena;
    struct json *keys = json_array(a), *info = json_object(a);
    struct version *v;
    size_t n;

    TRY(versions_load(rq, &v, &n));
    for (size_t i = 0; i < n; i++) {
        struct json *o = json_object(a);

        json_set_str(a, o, STR("timestamp_installed"), time_to_the_second(a, v[i].installed_ns));
        json_set_str(a, o, STR("build_date"), v[i].build_date);
        json_set(a, o, STR("previous_version"), i > 0 ? json_string(a, v[i - 1].name) : json_null(a));
        json_append(a, keys, json_string(a, v[i].name));
        json_set(a, info, v[i].name, o);
    }
    json_set(a, response_data(rq, rs), STR("keys"), keys);
    json_set(a, response_data(rq, rs), STR("key_info"), info);
    return NULL;
}

/* ---- what is not here ---- */

static struct error *replication_read(struct request *rq, struct response *rs)
{
    json_set_str(rq->arena, response_data(rq, rs), STR("mode"), STR("disabled"));
    return NULL;
}

static struct error *enterprise(struct request *rq, struct response *rs)
{
    (void)rs;
    return fail(rq, ERR_NOT_FOUND, "enterprise-only feature");
}

static struct error *no_raft(struct request *rq, struct response *rs)
{
    (void)rs;
    return fail(rq, ERR_INTERNAL, "raft backend not in use");
}

static const struct field rest_fields[] = {
    {"path", FT_STRING, FIELD_PATH, .help = "Any path."},
    {0},
};

#define REFUSED                                                                                              \
    {                                                                                                        \
        enterprise, ROUTE_READONLY, "Refused."                                                               \
    }
#define REFUSED_FREE                                                                                         \
    {                                                                                                        \
        enterprise, ROUTE_READONLY | ROUTE_UNAUTH, "Refused."                                                \
    }
#define REFUSED_OPS                                                                                          \
    {                                                                                                        \
        [OP_READ] = REFUSED, [OP_UPDATE] = REFUSED, [OP_DELETE] = REFUSED, [OP_LIST] = REFUSED,              \
        [OP_PATCH] = REFUSED                                                                                 \
    }
#define NO_RAFT_OPS                                                                                          \
    {                                                                                                        \
        [OP_UPDATE] = { no_raft, ROUTE_READONLY | ROUTE_UNAUTH, "Refused." }                                 \
    }

const struct route sys_node_routes[] = {
    {"ha-status", NULL, .ops = {[OP_READ] = {ha_status_read, .help = "Shows the nodes."}},
     .flags = ROUTE_TOP_LEVEL, .help = "The nodes of the cluster."},
    {"step-down", NULL, .ops = {[OP_UPDATE] = {step_down_write, ROUTE_SUDO | ROUTE_CONTROL, "Steps down."}},
     .help = "Lets another node become active."},
    {"host-info", NULL, .ops = {[OP_READ] = {host_info_read, .help = "Shows the host."}},
     .help = "The host this node runs on."},
    {"experiments", NULL, .ops = {[OP_READ] = {experiments_read, .help = "Shows the experiments."}},
     .help = "Experiments there are: none is enabled."},
    {"version-history", NULL, .ops = {[OP_LIST] = {version_history_list, .help = "Lists the versions."}},
     .help = "The versions that have run on this store."},
    {"replication/status", NULL, .ops = {[OP_READ] = {replication_read, ROUTE_UNAUTH, "Shows the mode."}},
     .help = "Replication: disabled."},
    {"replication/dr/status", NULL, .ops = {[OP_READ] = REFUSED_FREE}, .flags = ROUTE_HIDDEN,
     .help = "Enterprise only."},
    {"replication/performance/status", NULL, .ops = {[OP_READ] = REFUSED_FREE}, .flags = ROUTE_HIDDEN,
     .help = "Enterprise only."},
    {"replication/{path...}", rest_fields, .ops = REFUSED_OPS, .flags = ROUTE_HIDDEN,
     .help = "Enterprise only."},
    {"license/status", NULL, .ops = {[OP_READ] = REFUSED}, .flags = ROUTE_HIDDEN, .help = "Enterprise only."},
    {"namespaces", NULL, .ops = {[OP_LIST] = REFUSED}, .flags = ROUTE_HIDDEN, .help = "Enterprise only."},
    {"namespaces/{path...}", rest_fields, .ops = REFUSED_OPS, .flags = ROUTE_HIDDEN,
     .help = "Enterprise only."},
    {"config/control-group", NULL, .ops = REFUSED_OPS, .flags = ROUTE_HIDDEN, .help = "Enterprise only."},
    {"control-group/{path...}", rest_fields, .ops = REFUSED_OPS, .flags = ROUTE_HIDDEN,
     .help = "Enterprise only."},
    {"storage/raft/join", NULL, .ops = NO_RAFT_OPS, .flags = ROUTE_HIDDEN,
     .help = "There is no raft storage."},
    {"storage/raft/bootstrap", NULL, .ops = NO_RAFT_OPS, .flags = ROUTE_HIDDEN,
     .help = "There is no raft storage."},
    {0},
};
