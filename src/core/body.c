#include "core/body.h"

#include "base/encode.h"

enum { SHARE_BYTES_MIN = 16, SHARE_BYTES_MAX = 33 };

static const char *const type_words[] = {"null", "bool", "number", "string", "array", "object"};

struct error *body_typed(struct arena *a, const struct json *o, const char *name, enum json_type type,
                         const struct json **ret)
{
    static const char *const wants[] = {"", "bool", "int", "string", "[]string", "map"};
    const struct json *v = json_get_nocase(o, str_from_cstr(name));

    *ret = json_is_null(v) ? NULL : v;
    if (*ret && v->type != type)
        return error_new(a, ERR_BAD_REQUEST, "json: cannot unmarshal %s into Go struct field .%s of type %s",
                         type_words[v->type], name, wants[type]);
    return NULL;
}

struct error *body_int(struct arena *a, const struct json *o, const char *name, int64_t *ret)
{
    const struct json *v;

    TRY(body_typed(a, o, name, JSON_NUMBER, &v));
    *ret = 0;
    if (v && !str_parse_i64(v->text, ret))
        return error_new(a, ERR_BAD_REQUEST,
                         "json: cannot unmarshal number %.*s into Go struct field .%s of type int",
                         PSTR(v->text), name);
    return NULL;
}

struct error *body_str(struct arena *a, const struct json *o, const char *name, str *ret)
{
    const struct json *v;

    TRY(body_typed(a, o, name, JSON_STRING, &v));
    *ret = v ? v->text : (str){0};
    return NULL;
}

struct error *body_bool(struct arena *a, const struct json *o, const char *name, bool *ret)
{
    const struct json *v;

    TRY(body_typed(a, o, name, JSON_BOOL, &v));
    *ret = v && v->boolean;
    return NULL;
}

struct error *body_strings(struct arena *a, const struct json *o, const char *name, const struct json **ret)
{
    TRY(body_typed(a, o, name, JSON_ARRAY, ret));
    for (uint32_t i = 0; *ret && i < (*ret)->n; i++)
        if ((*ret)->items[i]->type != JSON_STRING)
            return error_new(a, ERR_BAD_REQUEST,
                             "json: cannot unmarshal %s into Go struct field .%s of type string",
                             type_words[(*ret)->items[i]->type], name);
    if (*ret && (*ret)->n == 0)
        *ret = NULL;
    return NULL;
}

struct error *share_parse(struct arena *a, str text, bytes *ret)
{
    if (!hex_decode(a, text, ret) || ret->n < SHARE_BYTES_MIN || ret->n > SHARE_BYTES_MAX)
        if (!base64_decode(a, text, ret))
            return error_new(a, ERR_BAD_REQUEST, "'key' must be a valid hex or base64 string");
    return NULL;
}

struct error *share_check(struct arena *a, bytes share)
{
    if (share.n < SHARE_BYTES_MIN)
        return error_new(a, ERR_BAD_REQUEST, "invalid key: key is shorter than minimum %d bytes",
                         SHARE_BYTES_MIN);
    if (share.n > SHARE_BYTES_MAX)
        return error_new(a, ERR_BAD_REQUEST, "invalid key: key is longer than maximum %d bytes",
                         SHARE_BYTES_MAX);
    return NULL;
}
