#include "cli/flags.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

static void item_add(struct arena *a, struct flag_value *v, str item)
{
    item = str_trim(item);
    v->items = arena_grow(a, v->items, v->n * sizeof(str), (v->n + 1) * sizeof(str));
    v->items[v->n++] = item;
}

static struct error *parse_int(struct arena *a, str text, int64_t *ret)
{
    str digits = str_starts(text, STR("+")) ? str_from(text, 1) : text;
    if (str_parse_i64(digits, ret))
        return NULL;
    bool is_number = digits.n > 0;
    for (size_t i = str_starts(digits, STR("-")); i < digits.n; i++)
        is_number = is_number && digits.p[i] >= '0' && digits.p[i] <= '9';
    return error_new(a, ERR_BAD_REQUEST, "strconv.ParseInt: parsing \"%.*s\": %s", PSTR(text),
                     is_number && !str_eq(digits, STR("-")) ? "value out of range" : "invalid syntax");
}

/* The reason only; the caller says which flag it was. */
static struct error *value_set(struct arena *a, struct flag_value *v, str text)
{
    switch (v->flag->type) {
    case FLAG_BOOL:
        if (!bool_from_str(text, &v->boolean))
            return error_new(a, ERR_BAD_REQUEST, "strconv.ParseBool: parsing \"%.*s\": invalid syntax",
                             PSTR(text));
        return NULL;
    case FLAG_STRING: v->text = text; return NULL;
    case FLAG_INT: return parse_int(a, text, &v->number);
    case FLAG_DURATION:
        if (!str_eq(text, STR("system")))
            return duration_parse(a, text, &v->number);
        v->number = -NS_PER_S;
        return NULL;
    case FLAG_STRINGS: item_add(a, v, text); return NULL;
    case FLAG_COMMAS:
        for (str item; text.n; item_add(a, v, item))
            str_cut(text, ',', &item, &text);
        return NULL;
    case FLAG_PAIRS: {
        str key;
        str value;
        if (!str_cut(text, '=', &key, &value))
            return error_new(a, ERR_BAD_REQUEST, "missing = in KV pair: \"%.*s\"", PSTR(text));
        if (!v->pairs)
            v->pairs = json_object_ordered(a);
        json_set_str(a, v->pairs, str_trim(key), str_trim(value));
        return NULL;
    }
    }
    return NULL;
}

void flags_init(struct flags *f, struct arena *a, const struct environment *e,
                const struct flag *const sets[FLAG_SETS_MAX])
{
    *f = (struct flags){0};
    size_t n = 0;
    for (size_t i = 0; i < FLAG_SETS_MAX; i++) {
        f->sets[i] = sets[i];
        for (const struct flag *row = sets[i]; row && row->name; row++)
            n++;
    }
    f->values = ARENA_ARRAY(a, struct flag_value, n);
    for (size_t i = 0; i < FLAG_SETS_MAX; i++) {
        for (const struct flag *row = sets[i]; row && row->name; row++) {
            struct flag_value *v = &f->values[f->n++];
            v->flag = row;
            struct error *bad = row->initial ? value_set(a, v, str_from_cstr(row->initial)) : NULL;
            assert(!bad);
            str setting = row->setting ? environment_setting(e, str_from_cstr(row->setting)) : (str){0};
            if (setting.n)
                (void)!value_set(a, v, setting); /* one that does not parse leaves the default */
        }
    }
}

static struct flag_value *find(const struct flags *f, str name, bool with_alias)
{
    for (size_t i = 0; i < f->n; i++) {
        const struct flag *row = f->values[i].flag;
        if (str_eq(name, str_from_cstr(row->name)) ||
            (with_alias && str_eq(name, str_from_cstr(row->alias)) && name.n))
            return &f->values[i];
    }
    return NULL;
}

static struct error *set_given(struct arena *a, struct flag_value *v, str name, str text)
{
    struct error *bad = value_set(a, v, text);
    v->given = true;
    if (bad && v->flag->type == FLAG_BOOL)
        return error_wrap(a, bad, "invalid boolean value \"%.*s\" for -%.*s: %.*s", PSTR(text), PSTR(name),
                          PSTR(bad->text));
    if (bad)
        return error_wrap(a, bad, "invalid value \"%.*s\" for flag -%.*s: %.*s", PSTR(text), PSTR(name),
                          PSTR(bad->text));
    return NULL;
}

struct error *flags_parse(struct flags *f, struct arena *a, const str *args, size_t n, size_t *ret_used)
{
    size_t i = 0;
    while (i < n && args[i].n > 1 && args[i].p[0] == '-') {
        str arg = args[i++];
        str name = str_from(arg, str_starts(arg, STR("--")) ? 2 : 1);
        if (!name.n)
            break;
        str text;
        if (name.p[0] == '-' || name.p[0] == '=')
            return error_new(a, ERR_BAD_REQUEST, "bad flag syntax: %.*s", PSTR(arg));
        bool has_text = str_cut(name, '=', &name, &text);
        struct flag_value *v = find(f, name, true);
        if (!v)
            return error_new(a, ERR_BAD_REQUEST, "flag provided but not defined: -%.*s", PSTR(name));
        if (!has_text && v->flag->type == FLAG_BOOL) {
            text = STR("true");
        } else if (!has_text) {
            if (i == n)
                return error_new(a, ERR_BAD_REQUEST, "flag needs an argument: -%.*s", PSTR(name));
            text = args[i++];
        }
        TRY(set_given(a, v, name, text));
    }
    *ret_used = i;
    return NULL;
}

const struct flag_value *flag_find(const struct flags *f, const char *name)
{
    return find(f, str_from_cstr(name), false);
}

const struct flag_value *flag_value(const struct flags *f, const char *name)
{
    const struct flag_value *v = flag_find(f, name);
    assert(v);
    return v;
}

bool flag_given(const struct flags *f, const char *name)
{
    return flag_value(f, name)->given;
}

bool flag_bool(const struct flags *f, const char *name)
{
    return flag_value(f, name)->boolean;
}

str flag_text(const struct flags *f, const char *name)
{
    return flag_value(f, name)->text;
}

int64_t flag_number(const struct flags *f, const char *name)
{
    return flag_value(f, name)->number;
}
