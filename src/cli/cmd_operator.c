/* operator: init, seal, step-down, key-status, rotate, members. */
#include "base/clock.h"
#include "cli/cmd.h"
#include "cli/hint.h"
#include "cli/pgp_flag.h"
#include "cli/share.h"
#include "client/secret.h"

const struct flag init_flags[] = {
    {"status", FLAG_BOOL, .help = "Only say whether the server is initialized: exit code 0 if so, 2 if not."},
    {"key-shares", FLAG_INT, .alias = "n", .help = "Number of key shares, by default 5."},
    {"key-threshold", FLAG_INT, .alias = "t", .help = "Number of shares that unseal, by default 3."},
    {"pgp-keys", FLAG_STRING,
     .help =
         "Comma-separated files with PGP public keys, or keybase:USER, that the shares are encrypted to."},
    {"root-token-pgp-key", FLAG_STRING,
     .help = "File with a PGP public key, or keybase:USER, that the root token is encrypted to."},
    {"recovery-shares", FLAG_INT,
     .help = "Number of recovery key shares, by default 5; only with an auto seal."},
    {"recovery-threshold", FLAG_INT, .help = "Number of recovery shares needed, by default 3."},
    {"recovery-pgp-keys", FLAG_STRING, .help = "As -pgp-keys, for the recovery shares."},
    {"stored-shares", FLAG_INT, .help = "Ignored."},
    {"consul-auto", FLAG_BOOL, .help = "Not there: the server is named by -address or VAULT_ADDR."},
    {"consul-service", FLAG_STRING, .initial = "vault", .help = "Not there, as -consul-auto."},
    {0},
};

static struct error *init_status(struct cli *c)
{
    struct client_request rq = {.method = "GET", .path = STR("sys/init")};
    struct json *answer;
    c->exit_code = 1;
    TRY(share_call(c, STR("Error checking init status"), &rq, &answer));
    bool initialized = json_get_bool(answer, STR("initialized"));
    c->exit_code = initialized ? 0 : 2;
    if (c->format == OUTPUT_TABLE) {
        cli_print(c, initialized ? "Vault is initialized" : "Vault is not initialized");
        return NULL;
    }
    struct json *out = json_object(c->arena);
    json_set_bool(c->arena, out, STR("Initialized"), initialized);
    return json_print(c, out);
}

static struct error *put_pgp_keys(struct cli *c, struct json *body, const char *flag, const char *member)
{
    struct json *keys;
    TRY(pgp_flag_keys(c, flag, &keys));
    if (keys->n)
        json_set(c->arena, body, str_from_cstr(member), keys);
    return NULL;
}

static struct error *init_body(struct cli *c, bool auto_seal, struct json *body)
{
    const char *const numbers[][2] = {
        {"key-shares", "secret_shares"},
        {"key-threshold", "secret_threshold"},
        {"recovery-shares", "recovery_shares"},
        {"recovery-threshold", "recovery_threshold"},
    };
    const int64_t defaults[] = {auto_seal ? 0 : 5, auto_seal ? 0 : 3, auto_seal ? 5 : 0, auto_seal ? 3 : 0};
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        int64_t value = flag_number(&c->flags, numbers[i][0]);
        json_set_int(c->arena, body, str_from_cstr(numbers[i][1]), value ? value : defaults[i]);
    }
    TRY(put_pgp_keys(c, body, "pgp-keys", "pgp_keys"));
    TRY(put_pgp_keys(c, body, "recovery-pgp-keys", "recovery_pgp_keys"));
    if (flag_text(&c->flags, "root-token-pgp-key").n) {
        struct json *key;
        TRY(pgp_flag_key(c, "root-token-pgp-key", &key));
        json_set(c->arena, body, STR("root_token_pgp_key"), key);
    }
    return NULL;
}

static void print_keys(struct cli *c, const char *title, const struct json *keys)
{
    for (uint32_t i = 0; keys && keys->type == JSON_ARRAY && i < keys->n; i++)
        cli_print(c, "%s %u: %.*s", title, i + 1, PSTR(value_text(c->arena, keys->items[i])));
}

static void init_prose(struct cli *c, const struct json *out, bool auto_seal)
{
    cli_print(c, "\nInitial Root Token: %.*s\n", PSTR(json_get_str(out, STR("root_token"))));
    if (auto_seal) {
        cli_print(c, "Success! Vault is initialized\n");
        cli_print(c,
                  "The recovery keys above were made with %lld shares and a threshold of %lld. Keep them in\n"
                  "different places: they are needed to make a new root token and for other operations.",
                  (long long)json_get_int(out, STR("recovery_keys_shares")),
                  (long long)json_get_int(out, STR("recovery_keys_threshold")));
        return;
    }
    long long shares = json_get_int(out, STR("unseal_shares"));
    long long threshold = json_get_int(out, STR("unseal_threshold"));
    cli_print(c,
              "Vault initialized with %lld key shares and a key threshold of %lld. Keep the shares\n"
              "in different places. After a start, or when it was sealed, Vault needs %lld of them\n"
              "before it can serve requests.\n",
              shares, threshold, threshold);
    cli_print(c,
              "Nobody can read the stored data without the shares: fewer than %lld of them are\n"
              "worth nothing, and they cannot be made again.",
              threshold);
}

static const struct shape init_shape[] = {
    {"unseal_keys_b64", JSON_ARRAY},       {"unseal_keys_hex", JSON_ARRAY},
    {"unseal_shares", JSON_NUMBER},        {"unseal_threshold", JSON_NUMBER},
    {"recovery_keys_b64", JSON_ARRAY},     {"recovery_keys_hex", JSON_ARRAY},
    {"recovery_keys_shares", JSON_NUMBER}, {"recovery_keys_threshold", JSON_NUMBER},
    {"root_token", JSON_STRING},           {0},
};

/* The nine members that scripts know, from the server's answer and what was asked for. */
static struct json *init_result(struct arena *a, const struct json *answer, const struct json *asked,
                                bool auto_seal)
{
    const char *const copies[][2] = {
        {"unseal_keys_b64", "keys_base64"},
        {"unseal_keys_hex", "keys"},
        {"recovery_keys_b64", "recovery_keys_base64"},
        {"recovery_keys_hex", "recovery_keys"},
        {"root_token", "root_token"},
    };
    struct json *out = json_object(a);
    for (size_t i = 0; i < COUNT_OF(copies); i++) {
        struct json *v = json_get(answer, str_from_cstr(copies[i][1]));
        if (v)
            json_set(a, out, str_from_cstr(copies[i][0]), v);
    }
    json_set_int(a, out, STR("unseal_shares"), auto_seal ? 1 : json_get_int(asked, STR("secret_shares")));
    json_set_int(a, out, STR("unseal_threshold"),
                 auto_seal ? 1 : json_get_int(asked, STR("secret_threshold")));
    json_set_int(a, out, STR("recovery_keys_shares"), json_get_int(asked, STR("recovery_shares")));
    json_set_int(a, out, STR("recovery_keys_threshold"), json_get_int(asked, STR("recovery_threshold")));
    return json_shape(a, init_shape, out);
}

struct error *cmd_init(struct cli *c)
{
    if (flag_bool(&c->flags, "consul-auto"))
        return usage_error(c, "-consul-auto is not there: name the server by -address or VAULT_ADDR.");
    if (flag_bool(&c->flags, "status"))
        return init_status(c);
    struct client_request status_rq = {
        .method = "GET", .path = STR("sys/seal-status"), .root_namespace = true};
    struct json *status;
    struct json *answer;
    struct json *body = json_object(c->arena);
    TRY(share_call(c, STR("Error initializing"), &status_rq, &status));
    bool auto_seal = json_get_bool(status, STR("recovery_seal"));
    TRY(init_body(c, auto_seal, body));
    struct client_request rq = {.method = "PUT", .path = STR("sys/init"), .body = body};
    TRY(share_call(c, STR("Error initializing"), &rq, &answer));
    struct json *out = init_result(c->arena, answer, body, auto_seal);
    if (c->format != OUTPUT_TABLE)
        return json_print(c, out);
    print_keys(c, "Unseal Key", json_get(out, STR("unseal_keys_b64")));
    print_keys(c, "Recovery Key", json_get(out, STR("recovery_keys_b64")));
    init_prose(c, out, auto_seal);
    hint_next(c, auto_seal ? "login" : "operator unseal");
    return NULL;
}

struct error *cmd_seal(struct cli *c)
{
    struct client_request rq = {.method = "PUT", .path = STR("sys/seal")};
    TRY(cli_call(c, STR("Error sealing"), &rq, NULL));
    cli_print(c, "Success! Vault is sealed.");
    return NULL;
}

struct error *cmd_step_down(struct cli *c)
{
    struct client_request rq = {.method = "PUT", .path = STR("sys/step-down")};
    TRY(cli_call(c, STR("Error stepping down"), &rq, NULL));
    cli_print(c, "Success! Stepped down: %.*s", PSTR(client_address(c->client)));
    return NULL;
}

/* 02 Jan 06 15:04 UTC */
static str install_time(struct arena *a, str rfc3339)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    int64_t ns;
    uint64_t month;
    if (!time_parse(rfc3339, &ns))
        return rfc3339;
    str t = time_format(a, ns);
    if (!str_parse_u64(str_slice(t, 5, 7), &month) || month < 1 || month > 12)
        return rfc3339;
    return arena_fmt(a, "%.2s %.3s %.2s %.5s UTC", t.p + 8, months + (month - 1) * 3, t.p + 2, t.p + 11);
}

static const struct shape key_shape[] = {
    {"term", JSON_NUMBER},
    {"install_time", JSON_STRING},
    {"encryptions", JSON_NUMBER},
    {0},
};

static struct error *key_status(struct cli *c, const char *head)
{
    struct client_request rq = {.method = "GET", .path = STR("sys/key-status")};
    struct json *answer;
    TRY(share_call(c, STR("Error reading key status"), &rq, &answer));
    if (c->format != OUTPUT_TABLE)
        return json_print(c, json_shape(c->arena, key_shape, answer));
    if (head)
        cli_print(c, "%s\n", head);
    struct table t;
    table_init(&t, c->arena, 2);
    table_pair(&t, STR("Key Term"), value_text(c->arena, json_get(answer, STR("term"))));
    table_pair(&t, STR("Install Time"), install_time(c->arena, json_get_str(answer, STR("install_time"))));
    table_pair(&t, STR("Encryption Count"), value_text(c->arena, json_get(answer, STR("encryptions"))));
    table_print(c, &t, false);
    return NULL;
}

struct error *cmd_key_status(struct cli *c)
{
    return key_status(c, NULL);
}

struct error *cmd_rotate(struct cli *c)
{
    struct client_request rq = {.method = "POST", .path = STR("sys/rotate")};
    TRY(cli_call(c, STR("Error rotating key"), &rq, NULL));
    return key_status(c, "Success! Rotated key");
}

static const struct shape node_shape[] = {
    {"hostname", JSON_STRING},
    {"api_address", JSON_STRING},
    {"cluster_address", JSON_STRING},
    {"active_node", JSON_BOOL},
    {"last_echo", JSON_NULL},
    {"version", JSON_STRING},
    {"upgrade_version", JSON_STRING, .omit_empty = true},
    {"redundancy_zone", JSON_STRING, .omit_empty = true},
    {0},
};

struct error *cmd_members(struct cli *c)
{
    struct client_request rq = {.method = "GET", .path = STR("sys/ha-status")};
    struct json *answer;
    TRY(share_call(c, STR("Error reading HA status"), &rq, &answer));
    struct json *in = json_get(answer, STR("nodes"));
    if (!in || in->type != JSON_ARRAY)
        in = json_get(answer, STR("Nodes"));
    struct json *nodes = json_array(c->arena);
    for (uint32_t i = 0; in && in->type == JSON_ARRAY && i < in->n; i++)
        json_append(c->arena, nodes, json_shape(c->arena, node_shape, in->items[i]));
    if (c->format != OUTPUT_TABLE) {
        struct json *out = json_object(c->arena);
        json_set(c->arena, out, STR("Nodes"), nodes);
        return json_print(c, out);
    }
    static const str headers[] = {STR("Host Name"),       STR("API Address"), STR("Cluster Address"),
                                  STR("Active Node"),     STR("Version"),     STR("Upgrade Version"),
                                  STR("Redundancy Zone"), STR("Last Echo")};
    static const char *const members[] = {"hostname", "api_address",     "cluster_address", "active_node",
                                          "version",  "upgrade_version", "redundancy_zone", "last_echo"};
    struct table t;
    table_init(&t, c->arena, COUNT_OF(headers));
    table_row(&t, headers);
    for (uint32_t i = 0; i < nodes->n; i++) {
        str cells[COUNT_OF(headers)];
        for (size_t j = 0; j < COUNT_OF(headers); j++) {
            const struct json *v = json_get(nodes->items[i], str_from_cstr(members[j]));
            cells[j] = json_is_null(v) ? (str){0} : value_text(c->arena, v);
        }
        table_row(&t, cells);
    }
    table_print(c, &t, true);
    return NULL;
}
