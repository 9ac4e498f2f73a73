/* operator rekey: new shares of the unseal key or of the recovery key. */
#include "cli/cmd.h"
#include "cli/pgp_flag.h"
#include "cli/share.h"
#include "client/secret.h"

const struct flag rekey_flags[] = {
    {"init", FLAG_BOOL, .help = "Start a rekey."},
    {"cancel", FLAG_BOOL, .help = "Cancel it; with -verify the verification."},
    {"status", FLAG_BOOL, .help = "Show how far it is; with -verify the verification."},
    {"verify", FLAG_BOOL,
     .help = "With -init: the new shares must be given back before they count. Else: what is asked for or "
             "given is about that."},
    {"key-shares", FLAG_INT, .alias = "n", .initial = "5", .help = "Number of new shares."},
    {"key-threshold", FLAG_INT, .alias = "t", .initial = "3", .help = "Number of them that are needed."},
    {"nonce", FLAG_STRING, .help = "Of the rekey, or of its verification; with each share."},
    {"target", FLAG_STRING, .initial = "barrier", .help = "Which key: barrier (unseal key) or recovery."},
    {"pgp-keys", FLAG_STRING,
     .help =
         "Comma-separated files with PGP public keys, or keybase:USER, that the shares are encrypted to."},
    {"backup", FLAG_BOOL, .help = "The server keeps the encrypted shares; with -pgp-keys."},
    {"backup-retrieve", FLAG_BOOL, .help = "Show what it has kept."},
    {"backup-delete", FLAG_BOOL, .help = "Delete that."},
    {0},
};

static const struct shape status_shape[] = {
    {"nonce", JSON_STRING},
    {"started", JSON_BOOL},
    {"t", JSON_NUMBER},
    {"n", JSON_NUMBER},
    {"progress", JSON_NUMBER},
    {"required", JSON_NUMBER},
    {"pgp_fingerprints", JSON_NULL},
    {"backup", JSON_BOOL},
    {"verification_required", JSON_BOOL},
    {"verification_nonce", JSON_STRING},
    {0},
};
static const struct shape verify_status_shape[] = {
    {"nonce", JSON_STRING}, {"started", JSON_BOOL},    {"t", JSON_NUMBER},
    {"n", JSON_NUMBER},     {"progress", JSON_NUMBER}, {0},
};
static const struct shape complete_shape[] = {
    {"nonce", JSON_STRING},
    {"complete", JSON_BOOL},
    {"keys", JSON_ARRAY},
    {"keys_base64", JSON_ARRAY},
    {"pgp_fingerprints", JSON_NULL},
    {"backup", JSON_BOOL},
    {"verification_required", JSON_BOOL},
    {"verification_nonce", JSON_STRING},
    {0},
};
static const struct shape verified_shape[] = {{"nonce", JSON_STRING}, {"complete", JSON_BOOL}, {0}};

static bool is_recovery(const struct cli *c)
{
    str target = flag_text(&c->flags, "target");
    return str_eq(target, STR("recovery")) || str_eq(target, STR("hsm"));
}

/* "init", "update", "verify": of the key that -target names. */
static str path_of(struct cli *c, const char *what)
{
    return arena_fmt(c->arena, "sys/%s/%s", is_recovery(c) ? "rekey-recovery-key" : "rekey", what);
}

static str backup_path(struct cli *c)
{
    return is_recovery(c) ? STR("sys/rekey/recovery-key-backup") : STR("sys/rekey/backup");
}

/* ---- showing ---- */

static void pair(struct table *t, const char *name, const struct json *o, const char *member)
{
    table_pair(t, str_from_cstr(name), value_text(t->arena, json_get(o, str_from_cstr(member))));
}

static void progress_rows(struct table *t, const struct json *s)
{
    long long progress = json_get_int(s, STR("progress")), required = json_get_int(s, STR("required"));
    const struct json *fingerprints = json_get(s, STR("pgp_fingerprints"));
    table_pair(t, STR("Rekey Progress"),
               arena_fmt(t->arena, "%lld/%lld%s", progress, required,
                         progress == required ? " (verification in progress)" : ""));
    pair(t, "New Shares", s, "n");
    pair(t, "New Threshold", s, "t");
    pair(t, "Verification Required", s, "verification_required");
    if (json_get_str(s, STR("verification_nonce")).n)
        pair(t, "Verification Nonce", s, "verification_nonce");
    if (!json_is_null(fingerprints) && fingerprints->n) {
        pair(t, "PGP Fingerprints", s, "pgp_fingerprints");
        pair(t, "Backup", s, "backup");
    }
}

static struct error *status_print(struct cli *c, const struct json *answer, bool verify)
{
    struct json *s = json_shape(c->arena, verify ? verify_status_shape : status_shape, answer);
    struct table t;
    if (c->format != OUTPUT_TABLE)
        return json_print(c, s);
    table_init(&t, c->arena, 2);
    table_pair(&t, STR("Key"), STR("Value"));
    if (!verify)
        pair(&t, "Nonce", s, "nonce");
    pair(&t, "Started", s, "started");
    if (verify) {
        pair(&t, "New Shares", s, "n");
        pair(&t, "New Threshold", s, "t");
        pair(&t, "Verification Nonce", s, "nonce");
        table_pair(&t, STR("Verification Progress"),
                   arena_fmt(c->arena, "%lld/%lld", (long long)json_get_int(s, STR("progress")),
                             (long long)json_get_int(s, STR("t"))));
    } else if (json_get_bool(s, STR("started"))) {
        progress_rows(&t, s);
    }
    table_print(c, &t, true);
    return NULL;
}

static struct error *status_read(struct cli *c, bool verify, struct json **ret_status)
{
    struct client_request rq = {.method = "GET", .path = path_of(c, verify ? "verify" : "init")};
    return share_call(
        c, verify ? STR("Error reading rekey verification status") : STR("Error getting rekey status"), &rq,
        ret_status);
}

static struct error *status(struct cli *c, bool verify)
{
    struct json *answer;
    TRY(status_read(c, verify, &answer));
    return status_print(c, answer, verify);
}

/* ---- starting and ending ---- */

static void init_warn(struct cli *c, bool pgp, bool backup)
{
    if (c->format != OUTPUT_TABLE || (pgp && backup))
        return;
    cli_print(c, "%s", "");
    if (!pgp)
        cli_warn(c,
                 "WARNING! The new shares are shown once, to whoever gives the last share of the old key.\n"
                 "Without -pgp-keys they are shown in the clear; with -verify the old ones stay valid until\n"
                 "the new ones have been given back.\n");
    else
        cli_warn(c,
                 "WARNING! The encrypted shares are shown once. With -backup the server keeps them, too.\n");
}

static struct error *init(struct cli *c, bool verify)
{
    struct json *body = json_object(c->arena), *keys, *answer;
    bool backup = flag_bool(&c->flags, "backup");
    TRY(pgp_flag_keys(c, "pgp-keys", &keys));
    json_set_int(c->arena, body, STR("secret_shares"), flag_number(&c->flags, "key-shares"));
    json_set_int(c->arena, body, STR("secret_threshold"), flag_number(&c->flags, "key-threshold"));
    json_set(c->arena, body, STR("pgp_keys"), keys->n ? keys : json_null(c->arena));
    json_set_bool(c->arena, body, STR("backup"), backup);
    json_set_bool(c->arena, body, STR("require_verification"), verify);
    struct client_request rq = {.method = "PUT", .path = path_of(c, "init"), .body = body};
    TRY(share_call(c, STR("Error initializing rekey"), &rq, &answer));
    init_warn(c, keys->n > 0, backup);
    return status_print(c, answer, false);
}

static struct error *cancel(struct cli *c, bool verify)
{
    struct client_request rq = {.method = "DELETE", .path = path_of(c, verify ? "verify" : "init")};
    TRY(cli_call(c, STR("Error canceling rekey"), &rq, NULL));
    cli_print(c, verify ? "Success! Canceled the verification; it has started again with a new nonce"
                        : "Success! Canceled rekeying (if it was started)");
    return NULL;
}

/* ---- shares ---- */

static void keys_print(struct cli *c, const struct json *answer)
{
    const struct json *keys = json_get(answer, STR("keys_base64"));
    const struct json *fingerprints = json_get(answer, STR("pgp_fingerprints"));
    bool named = !json_is_null(fingerprints) && fingerprints->n == keys->n;
    cli_print(c, "%s", "");
    for (uint32_t i = 0; i < keys->n; i++) {
        str key = value_text(c->arena, keys->items[i]);
        str fingerprint = named ? value_text(c->arena, fingerprints->items[i]) : (str){0};
        if (named)
            cli_print(c, "Key %u fingerprint: %.*s; value: %.*s", i + 1, PSTR(fingerprint), PSTR(key));
        else
            cli_print(c, "Key %u: %.*s", i + 1, PSTR(key));
    }
    cli_print(c, "\nOperation nonce: %.*s\n", PSTR(json_get_str(answer, STR("nonce"))));
}

static struct error *complete_print(struct cli *c, const struct json *full, const struct json *before)
{
    struct json *answer = json_shape(c->arena, complete_shape, full), *verification;
    if (c->format != OUTPUT_TABLE)
        return json_print(c, answer);
    keys_print(c, answer);
    if (json_get_bool(answer, STR("backup")))
        cli_print(c, "The server keeps the encrypted shares: see -backup-retrieve and -backup-delete.\n");
    if (!json_get_bool(answer, STR("verification_required"))) {
        cli_print(c,
                  "Vault rekeyed with %lld key shares and a key threshold of %lld. The old shares are worth\n"
                  "nothing any more. Keep the new ones in different places.",
                  (long long)json_get_int(before, STR("n")), (long long)json_get_int(before, STR("t")));
        return NULL;
    }
    cli_print(c,
              "The new shares do not count yet. Give them back with -verify, and the nonce below, up to the\n"
              "new threshold; until then the old ones are valid.\n");
    TRY(status_read(c, true, &verification));
    return status_print(c, verification, true);
}

static struct error *give(struct cli *c, bool verify)
{
    struct json *before, *answer;
    str key, nonce;
    TRY(status_read(c, verify, &before));
    if (!json_get_bool(before, STR("started")))
        return usage_error(c, verify ? "No rekey verification is in progress."
                                     : "No rekey is in progress. Start one with: operator rekey -init");
    TRY(share_ask(c, STR("Rekey operation nonce"), before, &key, &nonce));
    struct json *body = json_object(c->arena);
    json_set_str(c->arena, body, STR("key"), key);
    json_set_str(c->arena, body, STR("nonce"), nonce);
    struct client_request rq = {
        .method = "PUT", .path = path_of(c, verify ? "verify" : "update"), .body = body};
    TRY(share_call(c, STR("Error posting unseal key"), &rq, &answer));
    if (!json_get_bool(answer, STR("complete")))
        return status(c, verify);
    if (!verify)
        return complete_print(c, answer, before);
    if (c->format != OUTPUT_TABLE)
        return json_print(c, json_shape(c->arena, verified_shape, answer));
    cli_print(c, "Success! The new shares were verified and are the valid ones from now on.");
    return NULL;
}

/* ---- what the server has kept ---- */

static struct error *backup_retrieve(struct cli *c)
{
    const char *const names[][2] = {{"Keys", "keys"}, {"KeysB64", "keys_base64"}, {"Nonce", "nonce"}};
    struct client_request rq = {.method = "GET", .path = backup_path(c)};
    struct json *answer, *secret = json_object(c->arena), *data = json_object(c->arena);
    TRY(share_call(c, STR("Error retrieving rekey stored keys"), &rq, &answer));
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct json *v = json_get(answer, str_from_cstr(names[i][1]));
        json_set(c->arena, data, str_from_cstr(names[i][0]), v ? v : json_null(c->arena));
    }
    json_set(c->arena, secret, STR("data"), data);
    return secret_print(c, secret_from_json(c->arena, secret));
}

static struct error *backup_delete(struct cli *c)
{
    struct client_request rq = {.method = "DELETE", .path = backup_path(c)};
    TRY(cli_call(c, STR("Error deleting rekey stored keys"), &rq, NULL));
    cli_print(c, "Success! Delete stored keys (if they existed)");
    return NULL;
}

struct error *cmd_rekey(struct cli *c)
{
    str target = flag_text(&c->flags, "target");
    bool verify = flag_bool(&c->flags, "verify");
    if (!is_recovery(c) && !str_eq(target, STR("barrier")))
        return usage_error(c, "Unknown target: %.*s", PSTR(target));
    if (flag_bool(&c->flags, "backup-delete"))
        return backup_delete(c);
    if (flag_bool(&c->flags, "backup-retrieve"))
        return backup_retrieve(c);
    if (flag_bool(&c->flags, "cancel"))
        return cancel(c, verify);
    if (flag_bool(&c->flags, "init"))
        return init(c, verify);
    return flag_bool(&c->flags, "status") ? status(c, verify) : give(c, verify);
}
