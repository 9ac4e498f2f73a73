/* status and operator unseal: both show what sys/seal-status and sys/leader say. */
#include "base/clock.h"
#include "cli/cmd.h"
#include "cli/hint.h"
#include "client/secret.h"

const struct flag unseal_flags[] = {
    {"reset", FLAG_BOOL, .help = "Discard the keys given so far."},
    {"migrate", FLAG_BOOL, .help = "The key is for a migration of the seal."},
    {0},
};

static const struct shape status_shape[] = {
    {"type", JSON_STRING},
    {"initialized", JSON_BOOL},
    {"sealed", JSON_BOOL},
    {"t", JSON_NUMBER},
    {"n", JSON_NUMBER},
    {"progress", JSON_NUMBER},
    {"nonce", JSON_STRING},
    {"version", JSON_STRING},
    {"build_date", JSON_STRING},
    {"migration", JSON_BOOL},
    {"cluster_name", JSON_STRING, .omit_empty = true},
    {"cluster_id", JSON_STRING, .omit_empty = true},
    {"recovery_seal", JSON_BOOL},
    {"storage_type", JSON_STRING, .omit_empty = true},
    {"hcp_link_status", JSON_STRING, .omit_empty = true},
    {"hcp_link_resource_ID", JSON_STRING, .omit_empty = true},
    {"warnings", JSON_ARRAY, .omit_empty = true},
    {"ha_enabled", JSON_BOOL},
    {"is_self", JSON_BOOL, .omit_empty = true},
    {"active_time", JSON_STRING},
    {"leader_address", JSON_STRING, .omit_empty = true},
    {"leader_cluster_address", JSON_STRING, .omit_empty = true},
    {"performance_standby", JSON_BOOL, .omit_empty = true},
    {"performance_standby_last_remote_wal", JSON_NUMBER, .omit_empty = true},
    {"last_wal", JSON_NUMBER, .omit_empty = true},
    {"raft_committed_index", JSON_NUMBER, .omit_empty = true},
    {"raft_applied_index", JSON_NUMBER, .omit_empty = true},
    {0},
};

#define NO_TIME "0001-01-01T00:00:00Z"

static void row(struct table *t, const char *name, const struct json *s, const char *member)
{
    table_pair(t, str_from_cstr(name), value_text(t->arena, json_get(s, str_from_cstr(member))));
}

static void row_if(struct table *t, const char *name, const struct json *s, const char *member)
{
    if (json_get(s, str_from_cstr(member)))
        row(t, name, s, member);
}

static void ha_rows(struct table *t, const struct json *s)
{
    bool sealed = json_get_bool(s, STR("sealed"));
    row(t, "HA Enabled", s, "ha_enabled");
    if (!json_get_bool(s, STR("ha_enabled")) || sealed)
        return;
    bool is_self = json_get_bool(s, STR("is_self"));
    bool perf_standby = json_get_bool(s, STR("performance_standby"));
    str cluster = json_get_str(s, STR("leader_cluster_address"));
    str leader = json_get_str(s, STR("leader_address"));
    str since = json_get_str(s, STR("active_time"));
    table_pair(t, STR("HA Cluster"), cluster);
    table_pair(t, STR("HA Mode"), is_self ? STR("active") : STR("standby"));
    if (is_self && since.n && !str_eq(since, STR(NO_TIME)))
        table_pair(t, STR("Active Since"), since);
    if (!is_self)
        table_pair(t, STR("Active Node Address"), leader.n ? leader : STR("<none>"));
    if (perf_standby) {
        row(t, "Performance Standby Node", s, "performance_standby");
        row(t, "Performance Standby Last Remote WAL", s, "performance_standby_last_remote_wal");
    }
}

static void status_rows(struct table *t, const struct json *s)
{
    struct arena *a = t->arena;
    bool recovery = json_get_bool(s, STR("recovery_seal"));
    table_pair(t, STR("Key"), STR("Value"));
    row(t, recovery ? "Recovery Seal Type" : "Seal Type", s, "type");
    row(t, "Initialized", s, "initialized");
    row(t, "Sealed", s, "sealed");
    row(t, recovery ? "Total Recovery Shares" : "Total Shares", s, "n");
    row(t, "Threshold", s, "t");
    if (json_get_bool(s, STR("sealed"))) {
        long long progress = json_get_int(s, STR("progress"));
        table_pair(t, STR("Unseal Progress"),
                   arena_fmt(a, "%lld/%lld", progress, (long long)json_get_int(s, STR("t"))));
        row(t, "Unseal Nonce", s, "nonce");
    }
    if (json_get_bool(s, STR("migration")))
        row(t, "Seal Migration in Progress", s, "migration");
    row(t, "Version", s, "version");
    row(t, "Build Date", s, "build_date");
    table_pair(t, STR("Storage Type"), json_get_str(s, STR("storage_type")));
    if (json_get(s, STR("cluster_name")) && json_get(s, STR("cluster_id"))) {
        row(t, "Cluster Name", s, "cluster_name");
        row(t, "Cluster ID", s, "cluster_id");
    }
    row_if(t, "HCP Link Status", s, "hcp_link_status");
    row_if(t, "HCP Link Resource ID", s, "hcp_link_resource_ID");
    ha_rows(t, s);
    row_if(t, "Raft Committed Index", s, "raft_committed_index");
    row_if(t, "Raft Applied Index", s, "raft_applied_index");
    row_if(t, "Last WAL", s, "last_wal");
    row_if(t, "Warnings", s, "warnings");
}

/* Adds what sys/leader says to the seal status. A sealed server with HA storage does not answer that, but has
 * HA. */
static struct error *status_print(struct cli *c, struct json *seal_status)
{
    struct client_answer leader;
    struct client_request rq = {.method = "GET", .path = STR("sys/leader"), .never_wrap = true};
    struct json *all = json_object_ordered(c->arena);
    json_set_str(c->arena, all, STR("active_time"), STR(NO_TIME));
    TRY(prefixed(c, cli_send(c, &rq, &leader), "Error checking leader status"));
    struct error *refused = client_check(c->arena, &leader);
    if (refused && str_find(refused->text, STR("Vault is sealed")) == refused->text.n)
        return prefixed(c, refused, "Error checking leader status");
    if (refused)
        json_set_bool(c->arena, all, STR("ha_enabled"), true);
    for (uint32_t i = 0; !refused && leader.json && leader.json->type == JSON_OBJECT && i < leader.json->n;
         i++)
        json_set(c->arena, all, leader.json->members[i].key, leader.json->members[i].value);
    for (uint32_t i = 0; i < seal_status->n; i++)
        json_set(c->arena, all, seal_status->members[i].key, seal_status->members[i].value);
    struct json *status = json_shape(c->arena, status_shape, all);
    if (c->format != OUTPUT_TABLE)
        return json_print(c, status);
    struct table t;
    table_init(&t, c->arena, 2);
    status_rows(&t, status);
    table_print(c, &t, true);
    if (!json_get_bool(status, STR("initialized")))
        hint_next(c, "operator init");
    else if (json_get_bool(status, STR("sealed")))
        hint_next(c, "operator unseal");
    else if (!client_token(c->client).n)
        hint_next(c, "login");
    return NULL;
}

static struct error *object_of(struct cli *c, const struct client_answer *answer, struct json **ret_object)
{
    if (!answer->json || answer->json->type != JSON_OBJECT)
        return error_new(c->arena, ERR_INTERNAL, "the answer of %.*s is no JSON object", PSTR(answer->url));
    *ret_object = answer->json;
    return NULL;
}

struct error *cmd_status(struct cli *c)
{
    struct client_request rq = {
        .method = "GET", .path = STR("sys/seal-status"), .never_wrap = true, .root_namespace = true};
    struct client_answer answer;
    struct json *status;
    c->exit_code = 1; /* of any error */
    TRY(cli_call(c, STR("Error checking seal status"), &rq, &answer));
    TRY(object_of(c, &answer, &status));
    TRY(status_print(c, status));
    c->exit_code = json_get_bool(status, STR("sealed")) ? 2 : 0;
    return NULL;
}

struct error *cmd_unseal(struct cli *c)
{
    str key = c->n_args ? c->args[0] : (str){0};
    bool reset = flag_bool(&c->flags, "reset");
    if (!c->n_args && !reset) {
        struct error *bad = cli_prompt(c, c->out, "Unseal Key (will be hidden): ", &key);
        if (bad)
            return usage_error(c, "An error occurred attempting to ask for an unseal key: %.*s",
                               PSTR(bad->text));
    }
    struct json *body = json_object(c->arena);
    if (reset)
        json_set_bool(c->arena, body, STR("reset"), true);
    else
        json_set_str(c->arena, body, STR("key"), str_trim(key));
    json_set_bool(c->arena, body, STR("migrate"), flag_bool(&c->flags, "migrate"));
    struct client_request rq = {.method = "PUT", .path = STR("sys/unseal"), .body = body, .never_wrap = true};
    struct client_answer answer;
    struct json *status;
    TRY(cli_call(c, reset ? STR("Error resetting") : STR("Error unsealing"), &rq, &answer));
    TRY(object_of(c, &answer, &status));
    return status_print(c, status);
}
