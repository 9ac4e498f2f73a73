/* wrapping_routes: sys/wrapping/. The token a request is about was found before it came here. */
#include "base/encode.h"
#include "core/cubbyhole/cubbyhole.h"
#include "core/wrapping/wrapping_private.h"

static struct error *wrap(struct request *rq, struct response *rs)
{
    if (rq->wrap_ttl_ns == 0)
        return fail(rq, ERR_BAD_REQUEST, "endpoint requires response wrapping to be used");
    rs->data = rq->data ? rq->data : json_object(rq->arena);
    return NULL;
}

static struct error *info_load(struct request *rq, struct json **ret)
{
    TRY(cubbyhole_get(rq, rq->wrapping_token, STR("wrapinfo"), ret));
    return *ret ? NULL
                : fail(rq, ERR_BAD_REQUEST,
                       "no information found; wrapping token may be from a previous Vault version");
}

static struct error *response_load(struct request *rq, str *ret)
{
    struct json *stored;

    TRY(cubbyhole_get(rq, rq->wrapping_token, STR("response"), &stored));
    if (!stored)
        return fail(rq, ERR_BAD_REQUEST,
                    "no information found; wrapping token may be from a previous Vault version");
    const struct json *text = json_get(stored, STR("response"));

    if (json_is_null(text))
        return fail_wrapped(rq, ERR_INTERNAL, "no response found inside the cubbyhole");
    if (text->type != JSON_STRING)
        return fail_wrapped(rq, ERR_INTERNAL, "could not decode response inside the cubbyhole");
    *ret = text->text;
    return NULL;
}

static struct error *lookup(struct request *rq, struct response *rs)
{
    static const char *const kept[] = {"creation_path", "creation_time"};
    struct json *info;

    TRY(info_load(rq, &info));
    for (size_t i = 0; i < COUNT_OF(kept); i++) {
        struct json *v = json_get(info, str_from_cstr(kept[i]));

        if (!json_is_null(v))
            json_set(rq->arena, response_data(rq, rs), str_from_cstr(kept[i]), v);
    }
    json_set_int(rq->arena, response_data(rq, rs), STR("creation_ttl"),
                 json_get_int(info, STR("creation_ttl")) / NS_PER_S);
    return NULL;
}

/* Another's token is spent; the caller's own was when it was let in. */
static struct error *spend(struct request *rq)
{
    return rq->wrapping_token == rq->token ? NULL : token_use(rq, rq->wrapping_token);
}

/* What was wrapped may be a caller's own words: of an answer that cannot be, none is made. */
static bool is_raw_answer(const struct json *data)
{
    str type = json_get_str(data, STR("http_content_type"));
    int64_t status = json_get_int(data, STR("http_status_code"));
    bool ok = type.n > 0 && status >= 200 && status <= 599 && status != 304;

    for (size_t i = 0; ok && i < type.n; i++)
        ok = type.p[i] >= ' ' && type.p[i] <= '~';
    return ok;
}

/* An answer that was no envelope comes back as it was. */
static struct error *restore(struct request *rq, struct response *rs, const struct json *data)
{
    str body = json_get_str(data, STR("http_raw_body"));

    rs->status = (int)json_get_int(data, STR("http_status_code"));
    rs->raw_content_type = json_get_str(data, STR("http_content_type"));
    if (!base64_decode(rq->arena, body, &rs->raw_body))
        rs->raw_body = bytes_from_str(body);
    return NULL;
}

static struct error *unwrap(struct request *rq, struct response *rs)
{
    str text;

    TRY(spend(rq));
    TRY(response_load(rq, &text));
    if (str_find(text, STR("\"http_raw_body\"")) < text.n) {
        struct json *answer;

        TRY(json_parse(rq->arena, text, true, &answer));
        const struct json *data = json_get(answer, STR("data"));

        if (is_raw_answer(data))
            return restore(rq, rs, data);
    }
    rs->raw_content_type = STR("application/json");
    rs->raw_body = bytes_from_str(text);
    return NULL;
}

/* The new token is made before the old one is spent: what fails leaves the old one good. */
static struct error *rewrap(struct request *rq, struct response *rs)
{
    struct json *info;
    struct wrapped w;

    TRY(info_load(rq, &info));
    w = (struct wrapped){.ttl_ns = json_get_int(info, STR("creation_ttl")),
                         .creation_path = json_get_str(info, STR("creation_path"))};
    if (rq->wrap_ttl_ns > 0)
        w.ttl_ns = MIN(w.ttl_ns, rq->wrap_ttl_ns);
    TRY(response_load(rq, &w.response));
    TRY(wrapping_make(rq, rs, &w));
    return spend(rq);
}

static struct error *pubkey(struct request *rq, struct response *rs)
{
    struct json *data = response_data(rq, rs);
    str x, y;

    TRY(wrapping_jwt_key(rq, &x, &y));
    json_set_str(rq->arena, data, STR("jwt_curve"), STR("p521"));
    json_set_str(rq->arena, data, STR("jwt_x"), x);
    json_set_str(rq->arena, data, STR("jwt_y"), y);
    return NULL;
}

static const struct field token_fields[] = {
    {"token", FT_STRING, FIELD_QUERY | FIELD_SENSITIVE,
     .help = "The wrapping token; without it, the caller's own."},
    {0},
};

const struct route wrapping_routes[] = {
    {"wrapping/wrap", NULL, .ops = {[OP_UPDATE] = {wrap, .help = "Wraps what is sent."}},
     .flags = ROUTE_RAW_BODY, .help = "Wraps any JSON object for whoever gets the token.",
     .about = "The answer is a token that opens what was sent once, with wrapping/unwrap."},
    {"wrapping/lookup", token_fields,
     .ops = {[OP_READ] = {lookup, .help = "Shows what a wrapping token was made for."},
             [OP_UPDATE] = {lookup, ROUTE_READONLY, "Shows what a wrapping token was made for."}},
     .flags = ROUTE_UNAUTH | ROUTE_WRAPPING,
     .help = "What a wrapping token was made for, without opening it."},
    {"wrapping/unwrap", token_fields, .ops = {[OP_UPDATE] = {unwrap, .help = "Opens a wrapped answer."}},
     .flags = ROUTE_WRAPPING, .help = "Gives the wrapped answer, once."},
    {"wrapping/rewrap", token_fields,
     .ops = {[OP_UPDATE] = {rewrap, .help = "Moves a wrapped answer to a new token."}},
     .flags = ROUTE_WRAPPING, .help = "Moves a wrapped answer to a new token that lives as long again."},
    {"wrapping/pubkey", NULL, .ops = {[OP_READ] = {pubkey, .help = "Shows the key."}}, .flags = ROUTE_UNAUTH,
     .help = "The public key of wrapping tokens in JWT form."},
    {0},
};
