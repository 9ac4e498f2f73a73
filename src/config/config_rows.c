/* Values of the HCL tree into the fields of a struct, row by row. */
#include "base/clock.h"
#include "config/config_private.h"

#include <assert.h>

void config_warn(struct arena *a, struct config *c, str text)
{
    c->warnings = array_room(a, c->warnings, c->n_warnings, sizeof text);
    c->warnings[c->n_warnings++] = text;
}

bool item_is(const struct hcl_item *item, str name)
{
    return str_eq_nocase(item->keys[0].text, name);
}

bool config_bool_from_str(str s, bool *ret)
{
    static const char *const words[][2] = {{"0", "1"},        {"f", "t"},        {"F", "T"},
                                           {"false", "true"}, {"FALSE", "TRUE"}, {"False", "True"}};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        for (int v = 0; v < 2; v++)
            if (str_eq(s, str_from_cstr(words[i][v]))) {
                *ret = v == 1;
                return true;
            }
    if (s.n > 0)
        return false;
    *ret = false;
    return true;
}

static struct error *wrong_type(struct arena *a, const struct hcl_value *v, const char *wanted)
{
    return error_new(a, ERR_BAD_REQUEST, "expected %s, got %s", wanted, hcl_type_name(v));
}

struct error *bool_from_value(struct arena *a, const struct hcl_value *v, bool *ret)
{
    str text;
    int64_t i;
    if (v->type == HCL_NUMBER && hcl_int_from_str(v->text, &i)) {
        *ret = i != 0;
        return NULL;
    }
    if (v->type != HCL_BOOL && !hcl_str(v, &text))
        return wrong_type(a, v, "a bool");
    if (!config_bool_from_str(v->text, ret))
        return error_new(a, ERR_BAD_REQUEST,
                         "cannot parse '' as bool: strconv.ParseBool: parsing \"%.*s\": invalid syntax",
                         PSTR(v->text));
    return NULL;
}

static struct error *int_from_value(struct arena *a, const struct hcl_value *v, int64_t *ret)
{
    str text;
    if (!hcl_str(v, &text))
        return wrong_type(a, v, "a whole number");
    bool is_text = v->type != HCL_NUMBER; /* 010 is 8, "010" is 10 */
    if (!(is_text && str_parse_i64(text, ret)) && !hcl_int_from_str(text, ret))
        return error_new(a, ERR_BAD_REQUEST, "strconv.ParseInt: parsing \"%.*s\": invalid syntax",
                         PSTR(text));
    return NULL;
}

static struct error *duration_from_value(struct arena *a, const struct hcl_value *v, int64_t *ret_ns)
{
    str text = v->text, fraction;
    int64_t seconds;
    if (v->type == HCL_FLOAT) /* fractions of a second are cut */
        (void)str_cut(v->text, '.', &text, &fraction);
    else if (v->type != HCL_NUMBER && !hcl_str(v, &text))
        return error_new(a, ERR_BAD_REQUEST, "could not parse duration from input");
    if (v->type != HCL_NUMBER)
        return duration_parse(a, text, ret_ns);
    if (!hcl_int_from_str(text, &seconds) || __builtin_mul_overflow(seconds, NS_PER_S, ret_ns))
        return error_new(a, ERR_BAD_REQUEST, "time: invalid duration \"%.*s\"", PSTR(text));
    return NULL;
}

static void list_add(struct arena *a, str **list, size_t *n, str s)
{
    s = str_trim(s);
    if (s.n == 0)
        return;
    *list = array_room(a, *list, *n, sizeof s);
    (*list)[(*n)++] = s;
}

static struct error *list_from_value(struct arena *a, const struct hcl_value *v, str **list, size_t *n)
{
    str text;
    if (v->type == HCL_LIST) {
        for (size_t i = 0; i < v->n; i++) {
            if (!hcl_str(v->items[i], &text))
                return wrong_type(a, v->items[i], "text");
            list_add(a, list, n, text);
        }
        return NULL;
    }
    if (!hcl_str(v, &text))
        return wrong_type(a, v, "a list");
    for (str before; text.n > 0;) {
        (void)str_cut(text, ',', &before, &text);
        list_add(a, list, n, before);
    }
    return NULL;
}

static struct error *tls_version_from_value(struct arena *a, const struct hcl_value *v, int *ret)
{
    static const char *const names[] = {"tls10", "tls11", "tls12", "tls13"};
    for (int i = 0; v->type == HCL_STRING && i < (int)COUNT_OF(names); i++)
        if (str_eq(v->text, str_from_cstr(names[i]))) {
            *ret = 10 + i;
            return NULL;
        }
    return error_new(a, ERR_BAD_REQUEST,
                     "value \"%.*s\" not supported, please specify one of [tls10,tls11,tls12,tls13]",
                     PSTR(v->text));
}

static struct error *count_from_value(struct arena *a, const struct hcl_value *v, int *ret)
{
    int64_t i;
    TRY(int_from_value(a, v, &i));
    if (i < 0 || i > INT32_MAX)
        return error_new(a, ERR_BAD_REQUEST, "cannot be negative but set to %.*s", PSTR(v->text));
    *ret = (int)i;
    return NULL;
}

static struct error *row_value(struct reader *r, const struct row *row, const struct hcl_value *v, void *base)
{
    struct arena *a = r->arena;
    void *field = (char *)base + row->offset;
    switch (row->kind) {
    case ROW_IGNORED: return NULL;
    case ROW_STR:
        if (hcl_str(v, field))
            return NULL;
        return hcl_error(a, v->pos, "root.%s: unknown type for string %s", row->name, hcl_type_name(v));
    case ROW_BOOL: return bool_from_value(a, v, field);
    case ROW_INT: return int_from_value(a, v, field);
    case ROW_COUNT: return count_from_value(a, v, field);
    case ROW_DURATION: return duration_from_value(a, v, field);
    case ROW_TLS: return tls_version_from_value(a, v, field);
    case ROW_LIST: return list_from_value(a, v, field, (size_t *)(void *)((char *)base + row->count_offset));
    case ROW_BLOCK:
        if (v->type == HCL_OBJECT)
            return rows_read(r, row->block, v, base, NULL);
        return hcl_error(a, v->pos, "root.%s: not an object type for struct (%s)", row->name,
                         hcl_type_name(v));
    }
    return NULL;
}

struct error *rows_read(struct reader *r, const struct row *rows, const struct hcl_value *object, void *base,
                        uint64_t *ret_given)
{
    uint64_t given = 0;
    for (const struct hcl_item *item = object->first; item; item = item->next) {
        size_t i = 0;
        while (rows[i].name && !item_is(item, str_from_cstr(rows[i].name)))
            i++;
        assert(i < ROWS_MAX);
        struct hcl_pos pos = item->keys[0].pos;
        if (!rows[i].name && item->n_keys == 1)
            config_warn(r->arena, r->config,
                        arena_fmt(r->arena,
                                  "unknown or unsupported field %.*s found in configuration at %.*s:%u:%u",
                                  PSTR(item->keys[0].text), PSTR(r->file_name), pos.line, pos.col));
        if (!rows[i].name || item->value->type == HCL_NULL)
            continue;
        struct error *e = row_value(r, &rows[i], item->value, base);
        if (e && !str_starts(e->text, STR("At ")))
            e = error_wrap(r->arena, e, "invalid value for %s: %.*s", rows[i].name, PSTR(e->text));
        TRY(e);
        given |= UINT64_C(1) << i;
    }
    if (ret_given)
        *ret_given = given;
    return NULL;
}

static size_t row_bytes(const struct row *row)
{
    switch (row->kind) {
    case ROW_STR: return sizeof(str);
    case ROW_BOOL: return sizeof(bool);
    case ROW_INT:
    case ROW_DURATION: return sizeof(int64_t);
    case ROW_COUNT:
    case ROW_TLS: return sizeof(int);
    case ROW_LIST: return sizeof(str *);
    default: return 0;
    }
}

static bool row_is_empty(const struct row *row, const void *base)
{
    const void *field = (const char *)base + row->offset;
    switch (row->kind) {
    case ROW_STR: return ((const str *)field)->n == 0;
    case ROW_INT:
    case ROW_DURATION: return *(const int64_t *)field == 0;
    case ROW_COUNT:
    case ROW_TLS: return *(const int *)field == 0;
    default: return false;
    }
}

static void row_copy(const struct row *row, void *base, const void *from)
{
    memcpy((char *)base + row->offset, (const char *)from + row->offset, row_bytes(row));
    if (row->kind == ROW_LIST)
        memcpy((char *)base + row->count_offset, (const char *)from + row->count_offset, sizeof(size_t));
}

void rows_default(const struct row *rows, void *base, const void *defaults)
{
    for (const struct row *row = rows; row->name; row++)
        if (row_is_empty(row, base))
            row_copy(row, base, defaults);
}

void rows_merge(const struct row *rows, void *base, const void *from, uint64_t from_given)
{
    for (size_t i = 0; rows[i].name; i++) {
        const struct row *row = &rows[i];
        for (const struct row *b = row->block; b && b->name && (from_given >> i & 1); b++)
            row_copy(b, base, from); /* a block replaces the one before */
        bool copy = (from_given >> i & 1) && !row_is_empty(row, from);
        if (row->merge == MERGE_ANY)
            copy = copy && *(const bool *)((const char *)from + row->offset);
        else if (row->merge == MERGE_MAX)
            copy = copy && *(const int64_t *)(const void *)((const char *)from + row->offset) >
                               *(const int64_t *)(const void *)((const char *)base + row->offset);
        if (copy)
            row_copy(row, base, from);
    }
}
