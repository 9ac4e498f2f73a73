/* progress: what rekey and generate-root have in common: the state in memory, shares given so far. */
#include "base/encode.h"
#include "core/active_private.h"
#include "core/body.h"
#include "core/rekey/rekey.h"
#include "crypto/pgp.h"
#include "crypto/shares.h"

static str path_of(struct request *rq, const char *name)
{
    return arena_fmt(rq->arena, "rekey/%s", name);
}

struct error *rekey_load(struct request *rq, const char *name, struct json **ret)
{
    struct view memory = txn_view(rq->txn, SPACE_MEMORY);

    return view_get_json(&memory, path_of(rq, name), ret);
}

struct error *rekey_save(struct request *rq, const char *name, const struct json *state)
{
    struct view memory = txn_view(rq->txn, SPACE_MEMORY);

    return view_put_for(&memory, path_of(rq, name), bytes_from_str(json_text(rq->arena, state)),
                        REKEY_TTL_NS);
}

struct error *rekey_drop(struct request *rq, const char *name)
{
    struct view memory = txn_view(rq->txn, SPACE_MEMORY);

    return view_delete(&memory, path_of(rq, name));
}

struct error *rekey_body(struct request *rq, bytes *ret_share, str *ret_nonce)
{
    str key;

    if (rq->body_is_empty || rq->op != OP_UPDATE) /* a query is no body */
        return fail(rq, ERR_BAD_REQUEST, "EOF");
    TRY(body_str(rq->arena, rq->data, "nonce", ret_nonce));
    TRY(body_str(rq->arena, rq->data, "key", &key));
    if (key.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "'key' must be specified in request body as JSON");
    return share_parse(rq->arena, key, ret_share);
}

bool rekey_share_add(struct arena *a, struct json *state, str member, bytes share)
{
    struct json *list = json_get(state, member);

    if (!list)
        json_set(a, state, member, list = json_array(a));
    for (uint32_t i = 0; i < list->n; i++) {
        bytes other;

        if (base64_decode(a, list->items[i]->text, &other) && secret_equal(other, share))
            return false;
    }
    json_append(a, list, json_string(a, base64_encode(a, share)));
    return true;
}

unsigned rekey_share_count(const struct json *state, str member)
{
    const struct json *list = json_get(state, member);

    return list ? list->n : 0;
}

struct error *rekey_join(struct request *rq, const struct json *state, str member, const char *what,
                         struct secret **ret)
{
    const struct json *list = json_get(state, member);
    bytes shares[SHARES_MAX];

    for (uint32_t i = 0; i < list->n; i++)
        if (!base64_decode(rq->arena, list->items[i]->text, &shares[i]))
            return fail(rq, ERR_INTERNAL, "a share that was kept is damaged");
    struct error *e = shares_join(rq->arena, shares, list->n, ret);

    return e ? fail(rq, ERR_INTERNAL, "%s: %.*s", what, PSTR(e->text)) : NULL;
}

const struct rekey_target *rekey_in_force(const struct request *rq)
{
    return core_is_auto(rq->core) ? &rekey_recovery : &rekey_barrier;
}

static bytes draw(struct request *rq, bytes x, bytes y)
{
    uint8_t *key = arena_alloc(rq->arena, REKEY_KEY_BYTES);

    (void)x;
    (void)y;
    rng_bytes(rq->rng, key, REKEY_KEY_BYTES);
    return (bytes){key, REKEY_KEY_BYTES};
}

struct error *rekey_draw(struct request *rq, str nonce, bytes *ret)
{
    if (core_is_auto(rq->core))
        return request_memo(rq, draw, bytes_from_str(nonce), (bytes){0}, ret);
    *ret = draw(rq, (bytes){0}, (bytes){0});
    return NULL;
}

unsigned rekey_required(struct request *rq)
{
    mutex_lock(&rq->core->mutex);
    unsigned n = rq->core->seal_config.threshold;

    mutex_unlock(&rq->core->mutex);
    return n;
}

struct error *rekey_answer(struct request *rq, struct response *rs, struct json *data)
{
    (void)rq;
    rs->status = 200;
    rs->data = data;
    rs->bare_body = true;
    return NULL;
}

struct error *rekey_no_such(struct request *rq, struct response *rs)
{
    (void)rs;
    return fail(rq, ERR_UNSUPPORTED, "%s", "");
}

/* x: the keys' JSON. The result: a JSON array of fingerprints, or the error's text. */
static bytes fingerprints(struct request *rq, bytes x, bytes y)
{
    struct json *keys, *found = json_array(rq->arena);
    struct error *e = json_parse(rq->arena, str_from_bytes(x), false, &keys);
    bytes key;
    str one;

    (void)y;
    for (uint32_t i = 0; !e && i < keys->n; i++) {
        e = pgp_key_decode(rq->arena, keys->items[i]->text, &key);
        if (!e)
            e = pgp_fingerprint(rq->arena, key, &one);
        if (!e)
            json_append(rq->arena, found, json_string(rq->arena, one));
    }
    return bytes_from_str(e ? e->text : json_text(rq->arena, found));
}

struct error *rekey_fingerprints(struct request *rq, const struct json *keys, struct json **ret)
{
    bytes found;

    TRY(request_memo(rq, fingerprints, bytes_from_str(json_text(rq->arena, keys)), (bytes){0}, &found));
    if (!str_starts(str_from_bytes(found), STR("[")))
        return fail(rq, ERR_BAD_REQUEST, "%.*s", PSTR(str_from_bytes(found)));
    return json_parse(rq->arena, str_from_bytes(found), false, ret);
}
