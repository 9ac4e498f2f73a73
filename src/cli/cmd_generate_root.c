/* operator generate-root: a new root token for who holds enough shares. */
#include "base/encode.h"
#include "base/rand.h"
#include "cli/cmd.h"
#include "cli/pgp_flag.h"
#include "cli/share.h"
#include "client/file.h"
#include "client/secret.h"

enum { OTP_CHARS_MAX = 1024 };

const struct flag generate_root_flags[] = {
    {"init", FLAG_BOOL, .help = "Start."},
    {"cancel", FLAG_BOOL, .help = "Cancel it."},
    {"status", FLAG_BOOL, .help = "Show how far it is."},
    {"decode", FLAG_STRING, .help = "The encoded token, or - for stdin: show the token; with -otp."},
    {"generate-otp", FLAG_BOOL, .help = "Make a one-time pad for -init."},
    {"otp", FLAG_STRING, .help = "The one-time pad: of -init, or for -decode."},
    {"pgp-key", FLAG_STRING,
     .help = "File with a PGP public key, or keybase:USER, that the token is encrypted to."},
    {"nonce", FLAG_STRING, .help = "Of the attempt; with each share."},
    {"dr-token", FLAG_BOOL, .help = "Refused: there is no replication."},
    {"recovery-token", FLAG_BOOL, .help = "Refused: there is no recovery mode."},
    {0},
};

static const struct shape status_shape[] = {
    {"nonce", JSON_STRING},
    {"started", JSON_BOOL},
    {"progress", JSON_NUMBER},
    {"required", JSON_NUMBER},
    {"complete", JSON_BOOL},
    {"encoded_token", JSON_STRING},
    {"encoded_root_token", JSON_STRING},
    {"pgp_fingerprint", JSON_STRING},
    {"otp", JSON_STRING},
    {"otp_length", JSON_NUMBER},
    {0},
};

static struct error *status_read(struct cli *c, struct json **ret_status)
{
    struct client_request rq = {.method = "GET", .path = STR("sys/generate-root/attempt")};
    return share_call(c, STR("Error getting root generation status"), &rq, ret_status);
}

static void pair_if(struct table *t, const char *name, const struct json *s, const char *member)
{
    str text = json_get_str(s, str_from_cstr(member));
    if (text.n)
        table_pair(t, str_from_cstr(name), text);
}

static struct error *status_print(struct cli *c, const struct json *answer)
{
    struct json *s = json_shape(c->arena, status_shape, answer);
    struct table t;
    if (c->format != OUTPUT_TABLE)
        return json_print(c, s);
    table_init(&t, c->arena, 2);
    table_pair(&t, STR("Nonce"), json_get_str(s, STR("nonce")));
    table_pair(&t, STR("Started"), value_text(c->arena, json_get(s, STR("started"))));
    table_pair(&t, STR("Progress"),
               arena_fmt(c->arena, "%lld/%lld", (long long)json_get_int(s, STR("progress")),
                         (long long)json_get_int(s, STR("required"))));
    table_pair(&t, STR("Complete"), value_text(c->arena, json_get(s, STR("complete"))));
    pair_if(&t, "PGP Fingerprint", s, "pgp_fingerprint");
    pair_if(&t, "Encoded Token", s, "encoded_token");
    pair_if(&t, "OTP", s, "otp");
    if (json_get_int(s, STR("otp_length")))
        table_pair(&t, STR("OTP Length"), value_text(c->arena, json_get(s, STR("otp_length"))));
    table_print(c, &t, false);
    return NULL;
}

static struct error *status(struct cli *c)
{
    struct json *answer;
    TRY(status_read(c, &answer));
    return status_print(c, answer);
}

static struct error *init(struct cli *c)
{
    str otp = flag_text(&c->flags, "otp");
    struct json *body = json_object(c->arena), *key = json_string(c->arena, (str){0}), *answer;
    if (flag_text(&c->flags, "pgp-key").n)
        TRY(pgp_flag_key(c, "pgp-key", &key));
    json_set_str(c->arena, body, STR("otp"), otp);
    json_set(c->arena, body, STR("pgp_key"), key);
    struct client_request rq = {.method = "PUT", .path = STR("sys/generate-root/attempt"), .body = body};
    TRY(share_call(c, STR("Error initializing root generation"), &rq, &answer));
    if (c->format == OUTPUT_TABLE && json_get_str(answer, STR("otp")).n)
        cli_warn(c, "A one-time pad was made and is shown below as OTP. Keep it: without it the new token "
                    "cannot be decoded.");
    return status_print(c, answer);
}

static struct error *cancel(struct cli *c)
{
    struct client_request rq = {.method = "DELETE", .path = STR("sys/generate-root/attempt")};
    TRY(cli_call(c, STR("Error canceling root token generation"), &rq, NULL));
    cli_print(c, "Success! Root token generation canceled (if it was started)");
    return NULL;
}

static struct error *give(struct cli *c)
{
    struct json *before, *answer, *body = json_object(c->arena);
    str key, nonce;
    TRY(status_read(c, &before));
    if (!json_get_bool(before, STR("started")))
        return usage_error(c,
                           "No root generation is in progress. Start one with: operator generate-root -init");
    TRY(share_ask(c, STR("Operation nonce"), before, &key, &nonce));
    json_set_str(c->arena, body, STR("key"), key);
    json_set_str(c->arena, body, STR("nonce"), nonce);
    struct client_request rq = {.method = "PUT", .path = STR("sys/generate-root/update"), .body = body};
    TRY(share_call(c, STR("Error posting unseal key"), &rq, &answer));
    return status_print(c, answer);
}

/* ---- without shares ---- */

static struct error *generate_otp(struct cli *c)
{
    struct json *answer, *out = json_object_ordered(c->arena);
    TRY(status_read(c, &answer));
    int64_t n = json_get_int(answer, STR("otp_length"));
    if (n < 1 || n > OTP_CHARS_MAX)
        return error_new(c->arena, ERR_INTERNAL, "Error reading OTP length: the server says %lld",
                         (long long)n);
    char *otp = arena_alloc(c->arena, (size_t)n);
    rng_base62(rng_system(), otp, (size_t)n);
    if (c->format == OUTPUT_TABLE) {
        cli_put_value(c, (str){otp, (size_t)n});
        return NULL;
    }
    json_set_str(c->arena, out, STR("otp"), (str){otp, (size_t)n});
    json_set_int(c->arena, out, STR("otp_length"), n);
    return json_print(c, out);
}

static struct error *decode(struct cli *c, str encoded)
{
    str otp = flag_text(&c->flags, "otp");
    struct json *out = json_object(c->arena);
    bytes token;
    if (otp.n == 0)
        return usage_error(c, "Missing otp: use -otp to supply it");
    if (str_eq(encoded, STR("-"))) {
        struct error *bad = fd_read(c->arena, c->in_fd, STR("stdin"), &encoded);
        if (bad)
            return usage_error(c, "Failed to read from stdin: %.*s", PSTR(bad->text));
        encoded = str_trim(encoded);
    }
    str padded = arena_fmt(c->arena, "%.*s%.*s", PSTR(encoded), (int)(-encoded.n & 3), "===");
    if (!base64_decode(c->arena, padded, &token))
        return usage_error(c, "Error decoding root token: it is not base64");
    if (token.n != otp.n)
        return usage_error(c, "Error xoring token: length of byte slices is not equivalent: %zu != %zu",
                           token.n, otp.n);
    char *clear = arena_copy(c->arena, token.p, token.n);
    for (size_t i = 0; i < token.n; i++)
        clear[i] ^= otp.p[i];
    if (c->format == OUTPUT_TABLE) {
        cli_put_value(c, (str){clear, token.n});
        return NULL;
    }
    json_set_str(c->arena, out, STR("token"), (str){clear, token.n});
    return json_print(c, out);
}

struct error *cmd_generate_root(struct cli *c)
{
    bool dr = flag_bool(&c->flags, "dr-token"), recovery = flag_bool(&c->flags, "recovery-token");
    str encoded = flag_text(&c->flags, "decode");
    if (dr && recovery)
        return usage_error(c, "Both -recovery-token and -dr-token flags are set");
    if (dr || recovery)
        return usage_error(c,
                           dr ? "-dr-token: there is no replication that such a token would be for"
                              : "-recovery-token: there is no recovery mode that such a token would be for");
    if (flag_bool(&c->flags, "generate-otp"))
        return generate_otp(c);
    if (encoded.n)
        return decode(c, encoded);
    if (flag_bool(&c->flags, "cancel"))
        return cancel(c);
    if (flag_bool(&c->flags, "init"))
        return init(c);
    return flag_bool(&c->flags, "status") ? status(c) : give(c);
}
