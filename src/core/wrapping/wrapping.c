#include "base/encode.h"
#include "core/cubbyhole/cubbyhole.h"
#include "core/envelope.h"
#include "core/token/token_private.h"
#include "core/wrapping/wrapping_private.h"

enum { WRAPPED_BYTES_MAX = 64 * 1024 * 1024 };

static const str wrapping_policy[] = {{"response-wrapping", 17}};

bool wrapping_is_token(const struct token_entry *te)
{
    return te->n_policies == 1 && str_eq(te->policies[0], wrapping_policy[0]);
}

/* ---- which token a request is about ---- */

static struct error *token_named(struct request *rq, bool *ret_own, str *ret)
{
    const struct json *given = json_get(rq->data, STR("token"));

    *ret_own = json_is_null(given);
    *ret = *ret_own ? rq->client_token : given->text;
    if (!*ret_own && given->type != JSON_STRING)
        return fail(rq, ERR_DENIED,
                    "error validating wrapping token: could not decode token in request body");
    if (ret->n == 0)
        return fail(rq, ERR_DENIED, "error validating wrapping token: %s",
                    *ret_own ? "token is empty" : "empty token in request body");
    return NULL;
}

struct error *wrapping_check(struct request *rq)
{
    const struct token_entry *te;
    bool own;
    str token;

    TRY(token_named(rq, &own, &token));
    if (wrapping_jwt_is_one(token))
        TRY(wrapping_jwt_open(rq, token, &token));
    TRY(token_find(rq, token, &te));
    if (!te || !wrapping_is_token(te))
        return fail(rq, ERR_BAD_REQUEST, "wrapping token is not valid or does not exist");
    rq->wrapping_token = te;
    if (own)
        rq->token = te;
    return NULL;
}

/* ---- wrapping ---- */

static struct error *fill_cubbyhole(struct request *rq, const struct token_entry *te, const struct wrapped *w,
                                    int64_t now_ns)
{
    struct arena *a = rq->arena;
    struct json *response = json_object(a), *info = json_object(a);

    json_set_str(a, response, STR("response"), w->response);
    TRY(cubbyhole_put(rq, te, STR("response"), response));
    json_set_str(a, info, STR("creation_path"), w->creation_path);
    json_set_int(a, info, STR("creation_ttl"), w->ttl_ns);
    json_set_str(a, info, STR("creation_time"), time_format(a, now_ns));
    return cubbyhole_put(rq, te, STR("wrapinfo"), info);
}

struct error *wrapping_make(struct request *rq, struct response *rs, const struct wrapped *w)
{
    int64_t now = clock_wall_ns(rq->clock);
    struct token_spec spec = {.policies = wrapping_policy,
                              .n_policies = 1,
                              .path = rq->path,
                              .num_uses = 1,
                              .ttl_ns = w->ttl_ns,
                              .explicit_max_ttl_ns = w->ttl_ns};
    struct wrap_info *info = ARENA_NEW(rq->arena, struct wrap_info);
    struct response made = {0};
    const struct token_entry *te;
    str inner;

    TRY(token_create(rq, &made, &spec));
    *info = (struct wrap_info){.token = made.auth->client_token,
                               .accessor = made.auth->accessor,
                               .creation_path = w->creation_path,
                               .wrapped_accessor = w->wrapped_accessor,
                               .ttl_ns = w->ttl_ns,
                               .creation_time_ns = now};
    if (!token_inner_id(rq, info->token, &inner))
        return fail(rq, ERR_INTERNAL, "a new token does not open");
    TRY(token_load(rq, inner, &te));
    TRY(fill_cubbyhole(rq, te, w, now));
    if (rq->wrap_as_jwt)
        TRY(wrapping_jwt_make(rq, &(struct wrapping_claims){inner, w->wrapped_accessor, now, w->ttl_ns},
                              &info->token));
    *rs = (struct response){.wrap_info = info, .warnings = rs->warnings, .n_warnings = rs->n_warnings};
    return NULL;
}

static struct error *envelope_text(struct request *rq, const struct response *rs, str *ret)
{
    struct buf b;

    buf_init(&b, rq->arena, WRAPPED_BYTES_MAX);
    buf_put_byte(&b, '{');
    envelope_write(&b, rq->id, rs);
    buf_put_byte(&b, '}');
    *ret = buf_str(&b);
    return b.full ? fail(rq, ERR_TOO_LARGE, "the answer is too large to be wrapped") : NULL;
}

/* An answer that is no plain envelope is kept with its status and type; its body, unless it is an envelope
 * itself, in base64. */
static struct error *raw_text(struct request *rq, const struct response *rs, str *ret)
{
    struct arena *a = rq->arena;
    struct json *data = json_object(a);
    str type = rs->raw_content_type.n ? rs->raw_content_type : STR("application/json"), body;

    if (rs->raw_content_type.n)
        body = base64_encode(a, rs->raw_body);
    else if (rs->bare_body && rs->data)
        body = base64_encode(a, bytes_from_str(arena_join(a, json_text(a, rs->data), STR("\n"))));
    else
        TRY(envelope_text(rq, rs, &body));
    json_set_int(a, data, STR("http_status_code"), rs->status ? rs->status : 200);
    json_set_str(a, data, STR("http_content_type"), type);
    json_set_str(a, data, STR("http_raw_body"), body);
    return envelope_text(rq, &(struct response){.data = data}, ret);
}

struct error *wrapping_apply(struct request *rq, struct response *rs)
{
    struct wrapped w = {.creation_path = rq->path};
    bool plain = rs->raw_content_type.n == 0 && !rs->bare_body && (rs->status == 0 || rs->status == 200);

    if (rq->wrap_ttl_ns == 0 || rs->wrap_info || rs->again || rs->control || !response_has_body(rs))
        return NULL;
    w.ttl_ns = MIN(rq->wrap_ttl_ns, INT64_MAX - clock_wall_ns(rq->clock)); /* its end must be a time */
    if (rs->auth)
        w.wrapped_accessor = rs->auth->accessor;
    else if (str_eq(rq->mount->type, STR("approle"))) /* a new secret id; elsewhere it is somebody's data */
        w.wrapped_accessor = json_get_str(rs->data, STR("secret_id_accessor"));
    TRY(plain ? envelope_text(rq, rs, &w.response) : raw_text(rq, rs, &w.response));
    return wrapping_make(rq, rs, &w);
}
