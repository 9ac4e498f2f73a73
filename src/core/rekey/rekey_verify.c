/* rekey_verify: the new shares are given back before they count. A nonce of its own; a wrong share or a
 * restart draws a new one. */
#include "base/encode.h"
#include "base/secure.h"
#include "core/body.h"
#include "core/rekey/rekey.h"

static const struct rekey_target *target_of(const struct request *rq)
{
    return str_starts(rq->rel, STR("rekey-recovery-key/")) ? &rekey_recovery : &rekey_barrier;
}

static struct json *status(struct arena *a, const struct json *state)
{
    struct json *o = json_object_ordered(a);
    str nonce = json_get_str(state, STR("verification_nonce"));

    json_set_str(a, o, STR("nonce"), nonce);
    json_set_bool(a, o, STR("started"), nonce.n > 0);
    json_set_int(a, o, STR("t"), json_get_int(state, STR("threshold")));
    json_set_int(a, o, STR("n"), json_get_int(state, STR("shares")));
    json_set_int(a, o, STR("progress"), rekey_share_count(state, STR("verified")));
    return o;
}

static struct error *load(struct request *rq, struct json **ret)
{
    TRY(target_of(rq)->supported(rq));
    TRY(rekey_load(rq, target_of(rq)->name, ret));
    return *ret ? NULL : fail(rq, ERR_BAD_REQUEST, "no rekey configuration found");
}

static struct error *verify_read(struct request *rq, struct response *rs)
{
    struct json *state;

    TRY(load(rq, &state));
    return rekey_answer(rq, rs, status(rq->arena, state));
}

static struct error *start_again(struct request *rq, struct json *state)
{
    json_unset(state, STR("verified"));
    json_set_str(rq->arena, state, STR("verification_nonce"), rng_uuid_str(rq->rng, rq->arena));
    return rekey_save(rq, target_of(rq)->name, state);
}

static struct error *verify_restart(struct request *rq, struct response *rs)
{
    struct json *state;

    TRY(load(rq, &state));
    if (json_get(state, STR("verification_nonce")))
        TRY(start_again(rq, state));
    return rekey_answer(rq, rs, status(rq->arena, state));
}

static struct error *compare(struct request *rq, const struct json *state, bytes *ret_key)
{
    struct secret *key = NULL;

    if (!base64_decode(rq->arena, json_get_str(state, STR("new_key")), ret_key))
        return fail(rq, ERR_INTERNAL, "the new key that was kept is damaged");
    TRY(rekey_join(rq, state, STR("verified"), "failed to compute key for verification", &key));
    bool same = secret_equal(secret_reveal(key), *ret_key);

    secret_free(key);
    return same ? NULL
                : fail(rq, ERR_BAD_REQUEST, "rekey verification failed; incorrect key shares supplied");
}

static struct error *complete(struct request *rq, struct response *rs, struct json *state)
{
    struct json *answer = json_object_ordered(rq->arena);
    bytes new_key;
    struct error *e = compare(rq, state, &new_key);

    if (e) {
        TRY(start_again(rq, state));
        txn_keep(rq->txn);
        return e;
    }
    TRY(rekey_finish(rq, target_of(rq), state, new_key));
    json_set_str(rq->arena, answer, STR("nonce"), json_get_str(state, STR("verification_nonce")));
    json_set_bool(rq->arena, answer, STR("complete"), true);
    return rekey_answer(rq, rs, answer);
}

static struct error *verify(struct request *rq, struct response *rs)
{
    const struct rekey_target *t = target_of(rq);
    struct json *state;
    bytes share;
    str nonce, expected;

    TRY(t->supported(rq));
    TRY(rekey_body(rq, &share, &nonce));
    TRY(share_check(rq->arena, share));
    TRY(rekey_load(rq, t->name, &state));
    if (!state)
        return fail(rq, ERR_BAD_REQUEST, "no rekey in progress");
    expected = json_get_str(state, STR("verification_nonce"));
    if (expected.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "no rekey verification in progress");
    if (!str_eq(nonce, expected))
        return fail(rq, ERR_BAD_REQUEST,
                    "incorrect nonce supplied; nonce for this verify operation is \"%.*s\"", PSTR(expected));
    if (!rekey_share_add(rq->arena, state, STR("verified"), share))
        return fail(rq, ERR_BAD_REQUEST, "given key has already been provided during this verify operation");
    if (rekey_share_count(state, STR("verified")) < json_get_int(state, STR("threshold"))) {
        TRY(rekey_save(rq, t->name, state));
        return rekey_answer(rq, rs, status(rq->arena, state));
    }
    TRY(txn_exclusive(rq->txn));
    return complete(rq, rs, state);
}

static const struct field fields[] = {
    {"key", FT_STRING, FIELD_SENSITIVE, .help = "One of the new shares."},
    {"nonce", FT_STRING, .help = "Of this verification."},
    {0},
};

#define VERIFY                                                                                               \
    {                                                                                                        \
        [OP_READ] = {verify_read, .help = "Tells how far the verification is."},                             \
        [OP_UPDATE] = {verify, .help = "Gives a new share. With the last the new shares count."},            \
        [OP_DELETE] = {verify_restart, .help = "Starts the verification again, with a new nonce."},          \
        [OP_LIST] = {rekey_no_such},                                                                         \
    }

const struct route rekey_verify_routes[] = {
    {"rekey/verify", fields, .ops = VERIFY, .flags = ROUTE_UNAUTH | ROUTE_NO_AUDIT | ROUTE_RAW_BODY,
     .help = "New shares of the unseal key, given back."},
    {"rekey-recovery-key/verify", fields, .ops = VERIFY,
     .flags = ROUTE_UNAUTH | ROUTE_NO_AUDIT | ROUTE_RAW_BODY,
     .help = "New shares of the recovery key, given back."},
    {0},
};
