/* mount_config: settings of a mount from a request into their stored form. */
#include "core/sys/sys.h"

struct error *mount_list_set(struct request *rq, struct json *config, const char *name,
                             const struct json *given)
{
    struct json *list = json_array(rq->arena);
    str key = str_from_cstr(name);

    if (!given)
        return NULL;
    if (given->type == JSON_STRING) {
        for (str rest = given->text, item; rest.n > 0;) {
            str_cut(rest, ',', &item, &rest);
            json_append(rq->arena, list, json_string(rq->arena, str_trim(item)));
        }
    } else if (given->type == JSON_ARRAY) {
        for (uint32_t i = 0; i < given->n; i++) {
            if (given->items[i]->type != JSON_STRING)
                return fail(rq, ERR_BAD_REQUEST, "%s must be a list of strings", name);
            json_append(rq->arena, list, given->items[i]);
        }
    } else if (given->type != JSON_NULL) {
        return fail(rq, ERR_BAD_REQUEST, "%s must be a list of strings", name);
    }
    if (list->n > 0)
        json_set(rq->arena, config, key, list);
    else
        json_unset(config, key);
    return NULL;
}

struct error *mount_visibility_set(struct request *rq, struct json *config, str visibility)
{
    if (visibility.n && !str_eq(visibility, STR("hidden")) && !str_eq(visibility, STR("unauth")))
        return fail(rq, ERR_BAD_REQUEST, "invalid listing_visibility %.*s", PSTR(visibility));
    if (visibility.n)
        json_set_str(rq->arena, config, STR("listing_visibility"), visibility);
    else
        json_unset(config, STR("listing_visibility"));
    return NULL;
}

struct error *mount_ttl_parse(struct request *rq, const struct json *given, int64_t *ret_ns)
{
    str text = given && (given->type == JSON_STRING || given->type == JSON_NUMBER) ? given->text : (str){0};

    *ret_ns = 0;
    if (text.n == 0 || str_eq(text, STR("system")))
        return NULL;
    return duration_parse(rq->arena, text, ret_ns);
}

void mount_ttl_set(struct request *rq, struct json *config, const char *name, int64_t ns)
{
    if (ns)
        json_set_int(rq->arena, config, str_from_cstr(name), ns);
    else
        json_unset(config, str_from_cstr(name));
}
