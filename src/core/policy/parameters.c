#include "core/policy/parameters.h"

#include "config/hcl.h"

#include <stdlib.h>

/* ---- from text ---- */

/* Numbers of a policy equal none that a request can send, as in Vault: theirs have no digits here. */
static struct error *value_of(struct arena *a, const struct hcl_value *v, struct json **ret)
{
    switch (v->type) {
    case HCL_STRING:
    case HCL_HEREDOC: *ret = json_string(a, v->text); break;
    case HCL_BOOL: *ret = json_bool(a, str_eq(v->text, STR("true"))); break;
    case HCL_NUMBER:
    case HCL_FLOAT: *ret = json_number(a, (str){0}); break;
    case HCL_NULL: *ret = json_null(a); break;
    case HCL_OBJECT: return hcl_to_json(a, v, ret);
    case HCL_LIST:
        *ret = json_array(a);
        for (size_t i = 0; i < v->n; i++) {
            struct json *item;

            TRY(value_of(a, v->items[i], &item));
            json_append(a, *ret, item);
        }
    }
    return NULL;
}

static struct error *parameter_of(struct arena *a, const struct hcl_item *item, struct parameter *ret)
{
    struct hcl_value *one[] = {item->value}, **v = item->value->items;
    size_t n = item->value->n;

    if (item->value->type != HCL_LIST) {
        v = one;
        n = item->value->type == HCL_OBJECT;
    }
    ret->key = arena_lower(a, item->keys[0].text);
    ret->values = ARENA_ARRAY(a, const struct json *, n);
    for (ret->n = 0; ret->n < n; ret->n++) {
        struct json *value;

        TRY(value_of(a, v[ret->n], &value));
        ret->values[ret->n] = value;
    }
    return NULL;
}

/* ---- lists in order ---- */

static int by_key(const void *x, const void *y)
{
    const struct parameter *a = x, *b = y;

    return str_cmp(a->key, b->key);
}

static struct parameter unite(struct arena *a, const struct parameter *v, size_t n, bool any_wins)
{
    struct parameter all = {.key = v->key};
    size_t total = 0;

    for (size_t i = 0; i < n; i++) {
        if (any_wins && v[i].n == 0)
            return all;
        total += v[i].n;
    }
    all.values = ARENA_ARRAY(a, const struct json *, total);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < v[i].n; k++)
            all.values[all.n++] = v[i].values[k];
    return all;
}

/* Sorted, equal keys made one. Within one rule a key that is repeated adds its values to a list that took
 * any. */
static size_t fold(struct arena *a, struct parameter *v, size_t n, bool any_wins)
{
    size_t kept = 0;

    if (n)
        qsort(v, n, sizeof *v, by_key);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && str_eq(v[end].key, v[i].key); end++)
            ;
        v[kept++] = end == i + 1 ? v[i] : unite(a, &v[i], end - i, any_wins);
    }
    return kept;
}

static size_t copy(struct arena *a, struct parameter *to, const struct parameter *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] =
            (struct parameter){arena_str(a, v[i].key), ARENA_ARRAY(a, const struct json *, v[i].n), v[i].n};
        for (size_t k = 0; k < v[i].n; k++)
            to[i].values[k] = json_copy(a, v[i].values[k]);
    }
    return n;
}

/* All maps of this name in the block as one list. */
static struct error *maps_of(struct arena *a, const struct hcl_value *block, str name,
                             const struct parameter **ret, size_t *ret_n)
{
    size_t total = 0, n = 0;

    for (const struct hcl_item *i = block->first; i; i = i->next)
        if (str_eq(i->keys[0].text, name) && i->value->type == HCL_OBJECT)
            total += i->value->n;
    struct parameter *v = ARENA_ARRAY(a, struct parameter, total);

    for (const struct hcl_item *i = block->first; i; i = i->next)
        if (str_eq(i->keys[0].text, name) && i->value->type == HCL_OBJECT)
            for (const struct hcl_item *m = i->value->first; m; m = m->next)
                TRY(parameter_of(a, m, &v[n++]));
    *ret = v;
    *ret_n = fold(a, v, n, false);
    return NULL;
}

static size_t names_of(struct arena *a, const struct hcl_value *block, str name, const str **ret)
{
    size_t total = 0, n = 0;

    for (const struct hcl_item *i = block->first; i; i = i->next)
        total += str_eq(i->keys[0].text, name) && i->value->type == HCL_LIST ? i->value->n : 0;
    str *v = ARENA_ARRAY(a, str, total);

    for (const struct hcl_item *i = block->first; i; i = i->next)
        for (size_t k = 0; str_eq(i->keys[0].text, name) && i->value->type == HCL_LIST && k < i->value->n;
             k++)
            v[n++] = arena_lower(a, i->value->items[k]->text);
    *ret = v;
    return n;
}

struct error *parameters_of(struct arena *a, const struct hcl_value *block, const struct parameters **ret)
{
    struct parameters *p = ARENA_NEW(a, struct parameters);

    TRY(maps_of(a, block, STR("allowed_parameters"), &p->allowed, &p->n_allowed));
    TRY(maps_of(a, block, STR("denied_parameters"), &p->denied, &p->n_denied));
    p->n_required = names_of(a, block, STR("required_parameters"), &p->required);
    *ret = p->n_allowed || p->n_denied || p->n_required ? p : NULL;
    return NULL;
}

struct parameters *parameters_merge(struct arena *a, const struct parameters *const *v, size_t n)
{
    struct parameters *all = ARENA_NEW(a, struct parameters);

    for (size_t i = 0; i < n; i++) {
        all->n_allowed += v[i]->n_allowed;
        all->n_denied += v[i]->n_denied;
        all->n_required += v[i]->n_required;
    }
    struct parameter *allowed = ARENA_ARRAY(a, struct parameter, all->n_allowed);
    struct parameter *denied = ARENA_ARRAY(a, struct parameter, all->n_denied);
    str *required = ARENA_ARRAY(a, str, all->n_required);
    size_t n_allowed = 0, n_denied = 0, n_required = 0;

    for (size_t i = 0; i < n; i++) {
        n_allowed += copy(a, allowed + n_allowed, v[i]->allowed, v[i]->n_allowed);
        n_denied += copy(a, denied + n_denied, v[i]->denied, v[i]->n_denied);
        for (size_t k = 0; k < v[i]->n_required; k++)
            required[n_required++] = arena_str(a, v[i]->required[k]);
    }
    all->n_allowed = fold(a, allowed, n_allowed, true);
    all->n_denied = fold(a, denied, n_denied, true);
    all->allowed = allowed;
    all->denied = denied;
    all->required = required;
    return all;
}

/* ---- judging ---- */

static int compare_lowered(str lower, str any)
{
    size_t n = MIN(lower.n, any.n);

    for (size_t i = 0; i < n; i++) {
        uint8_t x = (uint8_t)lower.p[i], y = (uint8_t)any.p[i];

        if (y >= 'A' && y <= 'Z')
            y = (uint8_t)(y + ('a' - 'A'));
        if (x != y)
            return x < y ? -1 : 1;
    }
    return (lower.n > any.n) - (lower.n < any.n);
}

static const struct parameter *find(const struct parameter *v, size_t n, str key)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int d = compare_lowered(v[middle].key, key);

        if (d == 0)
            return &v[middle];
        if (d < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool glob_matches(str pattern, str text)
{
    bool before = pattern.n > 1 && str_starts(pattern, STR("*"));
    bool after = pattern.n > 1 && str_ends(pattern, STR("*"));
    str inner = str_slice(pattern, before, pattern.n - after);

    if (before && after)
        return inner.n == 0 || str_find(text, inner) < text.n;
    if (before)
        return str_ends(text, inner);
    return after ? str_starts(text, inner) : str_eq(pattern, text);
}

static bool value_is_in(const struct parameter *p, const struct json *value)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->values[i]->type == JSON_STRING && value->type == JSON_STRING
                ? glob_matches(p->values[i]->text, value->text)
                : json_eq(p->values[i], value))
            return true;
    return p->n == 0;
}

/* Most fields take a list as well as one value: an element that is denied is not let in by brackets around
 * it. */
static bool is_denied(const struct parameter *p, const struct json *value)
{
    if (value_is_in(p, value))
        return true;
    for (uint32_t i = 0; value->type == JSON_ARRAY && i < value->n; i++)
        if (value_is_in(p, value->items[i]))
            return true;
    return false;
}

static bool denies(const struct parameters *p, const struct json *data)
{
    if (p->n_denied && find(p->denied, p->n_denied, STR("*")))
        return true;
    for (uint32_t i = 0; p->n_denied && i < data->n; i++) {
        const struct parameter *d = find(p->denied, p->n_denied, data->members[i].key);

        if (d && is_denied(d, data->members[i].value))
            return true;
    }
    return false;
}

bool parameters_permit(const struct parameters *p, const struct json *data)
{
    bool others = p->n_allowed == 0 || find(p->allowed, p->n_allowed, STR("*"));

    for (size_t i = 0; i < p->n_required; i++)
        if (!json_get(data, p->required[i]))
            return false;
    if (!data || data->type != JSON_OBJECT || data->n == 0)
        return true;
    if (denies(p, data))
        return false;
    for (uint32_t i = 0; p->n_allowed && i < data->n; i++) {
        const struct parameter *a = find(p->allowed, p->n_allowed, data->members[i].key);

        if (a ? !value_is_in(a, data->members[i].value) : !others)
            return false;
    }
    return true;
}
