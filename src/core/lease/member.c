#include "core/lease/member.h"

#include "base/clock.h"

static struct json *find(const struct json *object, const char *key)
{
    return json_get_nocase(object, str_from_cstr(key));
}

str member_str(const struct json *object, const char *key)
{
    const struct json *v = find(object, key);

    return v && v->type == JSON_STRING ? v->text : (str){0};
}

int64_t member_int(const struct json *object, const char *key)
{
    const struct json *v = find(object, key);
    int64_t n = 0;

    return v && v->type == JSON_NUMBER && str_parse_i64(v->text, &n) ? n : 0;
}

bool member_bool(const struct json *object, const char *key)
{
    const struct json *v = find(object, key);

    return v && v->type == JSON_BOOL && v->boolean;
}

str *member_strs(struct arena *a, const struct json *object, const char *key, size_t *ret_n)
{
    const struct json *v = find(object, key);
    str *items = NULL;

    *ret_n = 0;
    if (!v || v->type != JSON_ARRAY)
        return NULL;
    items = ARENA_ARRAY(a, str, v->n);
    for (uint32_t i = 0; i < v->n; i++)
        if (v->items[i]->type == JSON_STRING)
            items[(*ret_n)++] = v->items[i]->text;
    return items;
}

int64_t member_time_ns(const struct json *object, const char *key)
{
    int64_t ns = TIME_ZERO_NS;

    return time_parse(member_str(object, key), &ns) ? ns : TIME_ZERO_NS;
}

struct json *member_object(const struct json *object, const char *key)
{
    struct json *v = find(object, key);

    return v && v->type == JSON_OBJECT ? v : NULL;
}
