#include "cli/pairs.h"

#include "client/file.h"

struct source {
    int fd;
    bool used;
};

static struct error *stdin_read(struct arena *a, struct source *in, str *ret_text)
{
    if (in->used)
        return error_new(a, ERR_BAD_REQUEST, "stdin already consumed");
    in->used = true;
    return fd_read(a, in->fd, STR("stdin"), ret_text);
}

static struct error *merge_json(struct arena *a, str text, struct json *into)
{
    struct json *object;
    TRY(json_parse(a, text, true, &object));
    if (object->type == JSON_NULL)
        return NULL;
    if (object->type != JSON_OBJECT)
        return error_new(a, ERR_BAD_REQUEST, "json: cannot unmarshal: an object is expected");
    for (uint32_t i = 0; i < object->n; i++)
        json_set(a, into, object->members[i].key, object->members[i].value);
    return NULL;
}

static void add_value(struct arena *a, struct json *into, str key, struct json *value)
{
    struct json *old = json_get(into, key);
    if (!old) {
        json_set(a, into, key, value);
        return;
    }
    if (old->type != JSON_ARRAY) {
        struct json *array = json_array(a);
        json_append(a, array, old);
        json_set(a, into, key, array);
        old = array;
    }
    json_append(a, old, value);
}

static struct error *add(struct arena *a, struct source *in, str arg, struct json *into)
{
    str text;
    str key;
    str value;
    if (str_eq(arg, STR("-"))) {
        TRY(stdin_read(a, in, &text));
        return merge_json(a, text, into);
    }
    if (arg.p[0] == '@') {
        TRY(file_read(a, str_from(arg, 1), &text));
        return merge_json(a, text, into);
    }
    if (!str_cut(arg, '=', &key, &value))
        return error_new(a, ERR_BAD_REQUEST, "format must be key=value");
    if (str_eq(value, STR("-")))
        TRY(stdin_read(a, in, &value));
    else if (str_starts(value, STR("@")))
        TRY(file_read(a, str_from(value, 1), &value));
    else if (str_starts(value, STR("\\@")))
        value = str_from(value, 1);
    add_value(a, into, key, json_string(a, value));
    return NULL;
}

struct error *pairs_parse(struct arena *a, int stdin_fd, const str *args, size_t n, struct json **ret_object)
{
    struct source in = {.fd = stdin_fd};
    struct json *object = json_object(a);
    for (size_t i = 0; i < n; i++) {
        struct error *bad = args[i].n ? add(a, &in, args[i], object) : NULL;
        if (bad)
            return error_wrap(a, bad, "invalid key/value pair \"%.*s\": %.*s", PSTR(args[i]),
                              PSTR(bad->text));
    }
    *ret_object = object;
    return NULL;
}
