/* Reading values out of the tree of hcl.h. */
#include "config/hcl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool hcl_str(const struct hcl_value *v, str *ret)
{
    if (v->type != HCL_STRING && v->type != HCL_HEREDOC && v->type != HCL_NUMBER)
        return false;
    *ret = v->text;
    return true;
}

bool hcl_int_from_str(str s, int64_t *ret)
{
    bool negative = str_starts(s, STR("-"));
    if (negative || str_starts(s, STR("+")))
        s = str_from(s, 1);
    uint64_t base = 10, v = 0;
    if (s.n > 1 && s.p[0] == '0') {
        char c = (char)(s.p[1] | 0x20);
        base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
        s = str_from(s, c == 'x' || c == 'b' || c == 'o' ? 2 : 1);
    }
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        uint64_t d = c >= '0' && c <= '9'                     ? (uint64_t)(c - '0')
                     : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (uint64_t)((c | 0x20) - 'a' + 10)
                                                              : 16;
        if (d >= base || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
            return false;
    }
    if (s.n == 0 || v > (uint64_t)INT64_MAX + negative)
        return false;
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

const char *hcl_type_name(const struct hcl_value *v)
{
    return v->type == HCL_LIST     ? "*ast.ListType"
           : v->type == HCL_OBJECT ? "*ast.ObjectType"
                                   : "*ast.LiteralType";
}

/* The shortest digits that give the same double. */
static struct error *float_to_json(struct arena *a, const struct hcl_value *v, struct json **ret)
{
    char *text = arena_cstr(a, v->text), *end = text, digits[32];
    double d = text ? strtod(text, &end) : 0;
    if (!text || *end != '\0' || !isfinite(d))
        return hcl_error(a, v->pos, "\"%.*s\" is no number", PSTR(v->text));
    for (int precision = 1; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, d);
        if (strtod(digits, NULL) == d)
            break;
    }
    *ret = json_number(a, arena_str(a, str_from_cstr(digits)));
    return NULL;
}

static struct error *value_to_json(struct arena *a, const struct hcl_value *v, struct json **ret)
{
    int64_t i;
    switch (v->type) {
    case HCL_NUMBER:
        if (!hcl_int_from_str(v->text, &i))
            return hcl_error(a, v->pos, "\"%.*s\" is no 64-bit integer", PSTR(v->text));
        *ret = json_int(a, i);
        return NULL;
    case HCL_FLOAT: return float_to_json(a, v, ret);
    case HCL_BOOL: *ret = json_bool(a, str_eq(v->text, STR("true"))); return NULL;
    case HCL_NULL: *ret = json_null(a); return NULL;
    case HCL_OBJECT: return hcl_to_json(a, v, ret);
    case HCL_LIST:
        *ret = json_array(a);
        for (size_t n = 0; n < v->n; n++) {
            struct json *item;
            TRY(value_to_json(a, v->items[n], &item));
            json_append(a, *ret, item);
        }
        return NULL;
    default: *ret = json_string(a, v->text); return NULL;
    }
}

/* What an item gives under its first key: labels and objects are lists of one map. */
static struct error *item_to_json(struct arena *a, const struct hcl_item *item, struct json **ret)
{
    struct json *v;
    TRY(value_to_json(a, item->value, &v));
    for (size_t k = item->n_keys; k-- > 0;) {
        if (k == item->n_keys - 1 && item->value->type != HCL_OBJECT)
            continue;
        struct json *list = json_array(a);
        json_append(a, list, v);
        v = list;
        if (k == 0)
            break;
        struct json *map = json_object_ordered(a);
        json_set(a, map, item->keys[k].text, v);
        v = map;
    }
    *ret = v;
    return NULL;
}

struct error *hcl_to_json(struct arena *a, const struct hcl_value *object, struct json **ret)
{
    struct json *map = json_object_ordered(a);
    for (const struct hcl_item *item = object->first; item; item = item->next) {
        str key = item->keys[0].text;
        struct json *v, *old = json_get(map, key);
        if (map->n >= HCL_MAP_KEYS_MAX) /* look-up is a walk */
            return hcl_error(a, item->keys[0].pos, "more than %d keys in one block", HCL_MAP_KEYS_MAX);
        TRY(item_to_json(a, item, &v));
        if (old && (old->type == JSON_ARRAY) != (v->type == JSON_ARRAY))
            return hcl_error(a, item->value->pos, "%.*s: given before with another type (%s)", PSTR(key),
                             hcl_type_name(item->value));
        if (!old || old->type != JSON_ARRAY)
            json_set(a, map, key, v);
        else
            for (uint32_t i = 0; i < v->n; i++)
                json_append(a, old, v->items[i]);
    }
    *ret = map;
    return NULL;
}
