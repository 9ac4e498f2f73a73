/* generate_root: a new root token for who holds enough shares. What is given out is the token under a
 * one-time pad that the one who started has, or encrypted to a PGP key. */
#include "base/encode.h"
#include "base/secure.h"
#include "core/body.h"
#include "core/rekey/rekey.h"
#include "core/token/token.h"
#include "crypto/pgp.h"

enum { OTP_CHARS = 28 /* as a root token has */ };
static const char name[] = "generate-root";

/* otp: only in the answer to who started without one. length: 0 in answers to shares. */
static struct json *status(struct request *rq, const struct json *state, unsigned progress, str token,
                           str otp, int length)
{
    struct arena *a = rq->arena;
    struct json *o = json_object_ordered(a);

    json_set_str(a, o, STR("nonce"), json_get_str(state, STR("nonce")));
    json_set_bool(a, o, STR("started"), state != NULL);
    json_set_int(a, o, STR("progress"), progress);
    json_set_int(a, o, STR("required"), rekey_required(rq));
    json_set_bool(a, o, STR("complete"), token.n > 0);
    json_set_str(a, o, STR("encoded_token"), token);
    json_set_str(a, o, STR("encoded_root_token"), token);
    json_set_str(a, o, STR("pgp_fingerprint"), json_get_str(state, STR("fingerprint")));
    json_set_str(a, o, STR("otp"), otp);
    json_set_int(a, o, STR("otp_length"), length);
    return o;
}

static struct error *attempt_read(struct request *rq, struct response *rs)
{
    struct json *state;

    TRY(rekey_load(rq, name, &state));
    return rekey_answer(
        rq, rs, status(rq, state, rekey_share_count(state, STR("progress")), (str){0}, (str){0}, OTP_CHARS));
}

static struct error *state_from_pgp(struct request *rq, str key, struct json *state)
{
    struct json *keys = json_array(rq->arena), *found;

    json_append(rq->arena, keys, json_string(rq->arena, key));
    struct error *e = rekey_fingerprints(rq, keys, &found);

    if (e && e->kind == ERR_WOULD_BLOCK)
        return e;
    if (e)
        return fail(rq, e->kind, "error parsing PGP key: %.*s", PSTR(e->text));
    json_set_str(rq->arena, state, STR("pgp_key"), arena_str(rq->arena, key));
    json_set(rq->arena, state, STR("fingerprint"), found->items[0]);
    return NULL;
}

static struct error *attempt_write(struct request *rq, struct response *rs)
{
    struct json *running, *state = json_object(rq->arena);
    str otp, pgp_key, given = {0};

    TRY(body_str(rq->arena, rq->data, "otp", &otp));
    TRY(body_str(rq->arena, rq->data, "pgp_key", &pgp_key));
    if (otp.n) {
        if (otp.n != OTP_CHARS)
            return fail(rq, ERR_BAD_REQUEST, "OTP string is wrong length");
    } else if (pgp_key.n) {
        TRY(state_from_pgp(rq, pgp_key, state));
    } else {
        char *drawn = arena_alloc(rq->arena, OTP_CHARS);

        rng_base62(rq->rng, drawn, OTP_CHARS);
        otp = given = (str){drawn, OTP_CHARS};
    }
    TRY(rekey_load(rq, name, &running));
    if (running)
        return fail(rq, ERR_BAD_REQUEST, "root generation already in progress");
    json_set_str(rq->arena, state, STR("otp"), otp);
    json_set_str(rq->arena, state, STR("nonce"), rng_uuid_str(rq->rng, rq->arena));
    TRY(rekey_save(rq, name, state));
    return rekey_answer(rq, rs, status(rq, state, 0, (str){0}, given, OTP_CHARS));
}

static struct error *attempt_delete(struct request *rq, struct response *rs)
{
    (void)rs;
    return rekey_drop(rq, name);
}

/* ---- shares ---- */

static struct error *check_key(struct request *rq, struct json *state)
{
    struct secret *key = NULL;
    struct error *e = rekey_join(rq, state, STR("progress"), "failed to compute root key", &key);

    if (!e && (e = rekey_in_force(rq)->check(rq, secret_reveal(key))) && e->kind != ERR_WOULD_BLOCK)
        e = fail(rq, ERR_BAD_REQUEST, "root generation aborted: unable to authenticate: %.*s", PSTR(e->text));
    secret_free(key);
    if (!e || e->kind == ERR_WOULD_BLOCK)
        return e;
    json_unset(state, STR("progress"));
    TRY(rekey_save(rq, name, state));
    txn_keep(rq->txn);
    return fail(rq, ERR_BAD_REQUEST, "%.*s", PSTR(e->text));
}

static struct error *encode(struct request *rq, const struct json *state, str token, str *ret)
{
    str otp = json_get_str(state, STR("otp"));

    if (otp.n == 0) {
        bytes key, message;

        TRY(pgp_key_decode(rq->arena, json_get_str(state, STR("pgp_key")), &key));
        struct error *e = pgp_encrypt(rq->arena, key, bytes_from_str(token), &message);

        if (e)
            return fail(rq, ERR_BAD_REQUEST, "error encrypting root token: %.*s", PSTR(e->text));
        *ret = base64_encode(rq->arena, message);
        return NULL;
    }
    if (otp.n != token.n)
        return fail(rq, ERR_INTERNAL, "the root token has not the length of the one-time pad");
    uint8_t *x = arena_copy(rq->arena, token.p, token.n);

    for (size_t i = 0; i < token.n; i++)
        x[i] ^= (uint8_t)otp.p[i];
    *ret = base64_encode(rq->arena, (bytes){x, token.n});
    while (str_ends(*ret, STR("=")))
        ret->n--;
    return NULL;
}

static struct error *complete(struct request *rq, struct response *rs, struct json *state)
{
    str token, encoded;

    TRY(check_key(rq, state));
    TRY(token_create_root(rq, &token));
    TRY(encode(rq, state, token, &encoded));
    TRY(rekey_drop(rq, name));
    return rekey_answer(rq, rs, status(rq, state, rekey_required(rq), encoded, (str){0}, 0));
}

static struct error *update(struct request *rq, struct response *rs)
{
    struct json *state;
    bytes share;
    str nonce;

    TRY(rekey_body(rq, &share, &nonce));
    TRY(share_check(rq->arena, share));
    TRY(rekey_load(rq, name, &state));
    if (!state)
        return fail(rq, ERR_BAD_REQUEST, "no root generation in progress");
    if (!str_eq(nonce, json_get_str(state, STR("nonce"))))
        return fail(rq, ERR_BAD_REQUEST,
                    "incorrect nonce supplied; nonce for this root generation operation is \"%.*s\"",
                    PSTR(json_get_str(state, STR("nonce"))));
    if (!rekey_share_add(rq->arena, state, STR("progress"), share))
        return fail(rq, ERR_BAD_REQUEST,
                    "given key has already been provided during this generation operation");
    unsigned n = rekey_share_count(state, STR("progress"));

    if (n >= rekey_required(rq))
        return complete(rq, rs, state);
    TRY(rekey_save(rq, name, state));
    return rekey_answer(rq, rs, status(rq, state, n, (str){0}, (str){0}, 0));
}

/* ---- the pad taken off again ---- */

static struct error *decode(struct request *rq, struct response *rs)
{
    str encoded = field_str(rq, "encoded_token"), otp = field_str(rq, "otp");
    bytes token;

    if (encoded.n == 0)
        return fail(rq, ERR_INTERNAL, "error xoring token: decoded first base64 value is nil or empty");
    str padded = arena_fmt(rq->arena, "%.*s%.*s", PSTR(encoded), (int)(-encoded.n & 3), "===");

    if (!base64_decode(rq->arena, padded, &token))
        return fail(rq, ERR_BAD_REQUEST, "error decoding base64'd token: encoded_token is not base64");
    if (token.n != otp.n)
        return fail(rq, ERR_INTERNAL,
                    "error xoring token: length of byte slices is not equivalent: %zu != %zu", token.n,
                    otp.n);
    char *clear = arena_copy(rq->arena, token.p, token.n);

    for (size_t i = 0; i < token.n; i++)
        clear[i] ^= otp.p[i];
    json_set_str(rq->arena, response_data(rq, rs), STR("token"), (str){clear, token.n});
    return NULL;
}

static const struct field attempt_fields[] = {
    {"otp", FT_STRING, FIELD_SENSITIVE, .help = "A one-time pad of 28 characters; none: one is drawn."},
    {"pgp_key", FT_STRING, .help = "A public key that the token is encrypted to, in base64."},
    {0},
};
static const struct field update_fields[] = {
    {"key", FT_STRING, FIELD_SENSITIVE, .help = "A share of the key that is in force."},
    {"nonce", FT_STRING, .help = "Of this attempt."},
    {0},
};
static const struct field decode_fields[] = {
    {"encoded_token", FT_STRING, FIELD_SENSITIVE, .help = "As the last share was answered."},
    {"otp", FT_STRING, FIELD_SENSITIVE, .help = "The one-time pad."},
    {0},
};

const struct route generate_root_routes[] = {
    {"generate-root/attempt", attempt_fields,
     .ops = {[OP_READ] = {attempt_read, .help = "Tells how far it is."},
             [OP_UPDATE] = {attempt_write, ROUTE_SLOW, "Starts."},
             [OP_DELETE] = {attempt_delete, .help = "Ends it: what was given is forgotten."},
             [OP_LIST] = {rekey_no_such}},
     .flags = ROUTE_UNAUTH | ROUTE_RAW_BODY | ROUTE_AUDIT_BARE,
     .help = "A new root token: start, progress, cancel."},
    {"generate-root/update", update_fields,
     .ops = {[OP_READ] = {update},
             [OP_DELETE] = {update},
             [OP_LIST] = {rekey_no_such},
             [OP_UPDATE] = {update, .help = "Gives a share. The answer to the last holds the token."}},
     .flags = ROUTE_UNAUTH | ROUTE_RAW_BODY | ROUTE_AUDIT_BARE, .help = "A share for the new root token."},
    {"decode-token", decode_fields, .ops = {[OP_UPDATE] = {decode, .help = "Takes the pad off a token."}},
     .flags = ROUTE_UNAUTH | ROUTE_READONLY | ROUTE_AUDIT_BARE, .help = "A token and its one-time pad."},
    {0},
};
