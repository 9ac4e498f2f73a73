/* operator raft: what can be asked of a server whose storage is raft. coffer's is not, and answers that there
 * is no such cluster; Vault and OpenBao may. */
#include "cli/cmd.h"
#include "client/file.h"

const struct flag raft_join_flags[] = {
    {"leader-ca-cert", FLAG_STRING, .help = "PEM certificate authority of the leader, or @ and a file."},
    {"leader-client-cert", FLAG_STRING, .help = "PEM certificate shown to the leader, or @ and a file."},
    {"leader-client-key", FLAG_STRING, .help = "PEM key of that certificate: @ and a file."},
    {"retry", FLAG_BOOL, .help = "Try again until it succeeds."},
    {"non-voter", FLAG_BOOL, .help = "Join without a vote."},
    {0},
};

static struct error *text_or_file(struct cli *c, const char *flag, struct json *body, const char *member)
{
    str value = flag_text(&c->flags, flag);
    if (str_starts(value, STR("@")))
        TRY(prefixed(c, file_read(c->arena, str_from(value, 1), &value), "Failed to read -%s", flag));
    json_set_str(c->arena, body, str_from_cstr(member), value);
    return NULL;
}

struct error *cmd_raft_join(struct cli *c)
{
    struct json *body = json_object(c->arena);
    json_set_str(c->arena, body, STR("leader_api_addr"), c->n_args ? str_trim(c->args[0]) : STR(""));
    TRY(text_or_file(c, "leader-ca-cert", body, "leader_ca_cert"));
    TRY(text_or_file(c, "leader-client-cert", body, "leader_client_cert"));
    TRY(text_or_file(c, "leader-client-key", body, "leader_client_key"));
    json_set_bool(c->arena, body, STR("retry"), flag_bool(&c->flags, "retry"));
    json_set_bool(c->arena, body, STR("non_voter"), flag_bool(&c->flags, "non-voter"));
    struct client_request rq = {.method = "POST", .path = STR("sys/storage/raft/join"), .body = body};
    struct client_answer answer;
    TRY(cli_call(c, STR("Error joining the node to the Raft cluster"), &rq, &answer));
    bool joined = json_get_bool(answer.json, STR("joined"));
    if (c->format != OUTPUT_TABLE) {
        struct json *out = json_object(c->arena);
        json_set_bool(c->arena, out, STR("joined"), joined);
        return json_print(c, out);
    }
    struct table t;
    table_init(&t, c->arena, 2);
    table_pair(&t, STR("Key"), STR("Value"));
    table_pair(&t, STR("Joined"), joined ? STR("true") : STR("false"));
    table_print(c, &t, true);
    return NULL;
}

struct error *cmd_raft_list_peers(struct cli *c)
{
    struct client_request rq = {.method = "GET", .path = STR("sys/storage/raft/configuration")};
    struct json *secret;
    TRY(cli_find(c, STR("Error reading the raft cluster configuration"), &rq, &secret));
    const struct json *config = json_get(json_get(secret, STR("data")), STR("config"));
    if (json_is_null(config))
        return error_new(c->arena, ERR_NOT_FOUND, "No raft cluster configuration found");
    if (c->format != OUTPUT_TABLE)
        return json_print(c, secret);
    const struct json *servers = json_get(config, STR("servers"));
    str cells[] = {STR("Node"), STR("Address"), STR("State"), STR("Voter")};
    struct table t;
    table_init(&t, c->arena, COUNT_OF(cells));
    table_row(&t, cells);
    for (uint32_t i = 0; servers && servers->type == JSON_ARRAY && i < servers->n; i++) {
        const struct json *one = servers->items[i];
        cells[0] = json_get_str(one, STR("node_id"));
        cells[1] = json_get_str(one, STR("address"));
        cells[2] = json_get_bool(one, STR("leader")) ? STR("leader") : STR("follower");
        cells[3] = json_get_bool(one, STR("voter")) ? STR("true") : STR("false");
        table_row(&t, cells);
    }
    table_print(c, &t, true);
    return NULL;
}

struct error *cmd_raft_remove_peer(struct cli *c)
{
    struct json *body = json_object(c->arena);
    json_set_str(c->arena, body, STR("server_id"), str_trim(c->args[0]));
    struct client_request rq = {.method = "PUT", .path = STR("sys/storage/raft/remove-peer"), .body = body};
    TRY(cli_call(c, STR("Error removing the peer from raft cluster"), &rq, NULL));
    cli_print(c, "Peer removed successfully!");
    return NULL;
}
