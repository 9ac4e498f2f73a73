/* metadata: what a client says about a secret id: "k=v, k=v", an object of strings in JSON, or base64 of
 * either. */
#include "auth/approle/approle_private.h"
#include "base/encode.h"

static bool is_map_of_strings(const struct json *j)
{
    if (!j || j->type != JSON_OBJECT)
        return false;
    for (uint32_t i = 0; i < j->n; i++)
        if (j->members[i].value->type != JSON_STRING)
            return false;
    return true;
}

/* Names and values of pairs are lower case, as the API makes them. */
static struct error *parse_pairs(struct request *rq, str text, struct json *map)
{
    str pair, key, value;

    text = arena_lower(rq->arena, text);
    for (bool more = true; more;) {
        more = str_cut(text, ',', &pair, &text);
        pair = str_trim(pair);
        if (pair.n == 0)
            continue;
        str_cut(pair, '=', &key, &value);
        if (str_index(pair, '=') == pair.n || str_index(value, '=') < value.n)
            return fail(rq, ERR_BAD_REQUEST,
                        "failed to parse metadata: failed to parse the input: invalid <key,value> format");
        key = str_trim(key);
        value = str_trim(value);
        if (key.n == 0 || value.n == 0)
            return fail(rq, ERR_BAD_REQUEST,
                        "failed to parse metadata: failed to parse the input: invalid <key,value> pair: key: "
                        "\"%.*s\" value: \"%.*s\"",
                        PSTR(key), PSTR(value));
        json_set_str(rq->arena, map, key, value);
    }
    return NULL;
}

struct error *metadata_parse(struct request *rq, str text, struct json **ret)
{
    struct json *j = NULL;
    bytes decoded;

    text = str_trim(text);
    if (base64_decode(rq->arena, text, &decoded))
        text = str_trim(str_from_bytes(decoded));
    *ret = json_object(rq->arena);
    if (entry_json(rq->arena, STR("metadata"), bytes_from_str(text), &j) || !is_map_of_strings(j))
        return parse_pairs(rq, text, *ret);
    for (uint32_t i = 0; i < j->n; i++)
        if (j->members[i].key.n && j->members[i].value->text.n == 0)
            return fail(rq, ERR_BAD_REQUEST, "failed to parse metadata: invalid value for key \"%.*s\"",
                        PSTR(j->members[i].key));
    *ret = j;
    return NULL;
}
