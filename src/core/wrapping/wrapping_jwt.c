#include "base/encode.h"
#include "core/wrapping/wrapping_private.h"
#include "crypto/p521.h"

enum { JWT_EARLY_NS_S = 5 };

static struct error *key_load(struct request *rq, struct json **ret)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);

    TRY(view_get_json(&core, STR("wrapping/jwtkey"), ret));
    return *ret ? NULL : fail(rq, ERR_INTERNAL, "the store has no core/wrapping/jwtkey");
}

static str key_number(const struct json *key, const char *name)
{
    const struct json *v = json_get(key, str_from_cstr(name));

    return v && v->type == JSON_NUMBER ? v->text : (str){0};
}

struct error *wrapping_jwt_key(struct request *rq, str *ret_x, str *ret_y)
{
    struct json *key;

    TRY(key_load(rq, &key));
    *ret_x = key_number(key, "x");
    *ret_y = key_number(key, "y");
    return NULL;
}

static str encode(struct arena *a, str text)
{
    return base64url_encode(a, bytes_from_str(text));
}

struct error *wrapping_jwt_make(struct request *rq, const struct wrapping_claims *c, str *ret)
{
    struct arena *a = rq->arena;
    struct json *claims = json_object(a), *key;
    uint8_t signature[P521_SIGNATURE_BYTES];
    int64_t now_s = c->time_ns / NS_PER_S;

    TRY(key_load(rq, &key));
    json_set_str(a, claims, STR("jti"), c->token_id);
    json_set_int(a, claims, STR("iat"), now_s);
    json_set_int(a, claims, STR("nbf"), now_s - JWT_EARLY_NS_S);
    json_set_int(a, claims, STR("exp"), (c->time_ns + c->ttl_ns) / NS_PER_S);
    json_set_str(a, claims, STR("type"), STR("wrapping"));
    json_set_str(a, claims, STR("addr"), rq->core->config.config->api_addr);
    json_set_str(a, claims, STR("accessor"), c->accessor);
    str text = arena_fmt(a, "%.*s.%.*s", PSTR(encode(a, STR("{\"alg\":\"ES512\",\"typ\":\"JWT\"}"))),
                         PSTR(encode(a, json_text(a, claims))));

    TRY(p521_sign(a, key_number(key, "x"), key_number(key, "y"), key_number(key, "d"), bytes_from_str(text),
                  signature));
    *ret = arena_fmt(a, "%.*s.%.*s", PSTR(text),
                     PSTR(base64url_encode(a, (bytes){signature, sizeof(signature)})));
    return NULL;
}

bool wrapping_jwt_is_one(str token)
{
    size_t dots = 0;

    for (size_t i = 0; i < token.n; i++)
        dots += token.p[i] == '.';
    return dots == 2 && token.n > 4 && token.p[1] != '.' && !str_starts(token, STR("hvs.")) &&
           !str_starts(token, STR("hvb."));
}

static struct error *refuse(struct request *rq, const char *why)
{
    return fail(rq, ERR_DENIED, "error validating wrapping token: %s", why);
}

static bool part_parse(struct arena *a, str part, struct json **ret)
{
    bytes text;

    return base64url_decode(a, part, &text) && json_parse(a, str_from_bytes(text), false, ret) == NULL &&
           (*ret)->type == JSON_OBJECT;
}

struct error *wrapping_jwt_open(struct request *rq, str jwt, str *ret_token_id)
{
    struct arena *a = rq->arena;
    str header, payload, rest, signature, x, y;
    struct json *head, *claims;
    bytes sig;

    str_cut(jwt, '.', &header, &rest);
    str_cut(rest, '.', &payload, &signature);
    if (!part_parse(a, header, &head) || !part_parse(a, payload, &claims) ||
        !base64url_decode(a, signature, &sig))
        return refuse(rq, "wrapping token could not be parsed: it is not a JWT");
    TRY(wrapping_jwt_key(rq, &x, &y));
    if (!str_eq(json_get_str(head, STR("alg")), STR("ES512")) ||
        !p521_verify(a, x, y, bytes_from_str(str_slice(jwt, 0, header.n + 1 + payload.n)), sig))
        return refuse(rq,
                      "wrapping token signature could not be validated: error in cryptographic primitive");
    const struct json *type = json_get(claims, STR("type"));

    if (!type)
        return refuse(rq, "could not validate type claim");
    if (type->type != JSON_STRING)
        return refuse(rq, "could not parse type claim");
    if (!str_eq(type->text, STR("wrapping")))
        return refuse(rq, "unexpected type claim");
    *ret_token_id = json_get_str(claims, STR("jti"));
    return NULL;
}
