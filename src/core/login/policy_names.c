#include "core/login/policy_names.h"

#include <stdlib.h>

static int compare(const void *x, const void *y)
{
    return str_cmp(*(const str *)x, *(const str *)y);
}

bool policy_names_have(const str *v, size_t n, str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(v[i], name))
            return true;
    return false;
}

size_t policy_names_clean(struct arena *a, str *v, size_t n, bool with_default)
{
    size_t kept = 0, unique = 0;

    for (size_t i = 0; i < n; i++) {
        str name = arena_lower(a, str_trim(v[i]));

        if (str_eq(name, STR("root"))) {
            v[0] = name;
            return 1;
        }
        if (name.n)
            v[kept++] = name;
    }
    if (with_default)
        v[kept++] = STR("default");
    if (kept > 1)
        qsort(v, kept, sizeof(*v), compare);
    for (size_t i = 0; i < kept; i++)
        if (unique == 0 || !str_eq(v[unique - 1], v[i]))
            v[unique++] = v[i];
    return unique;
}

size_t policy_names_join(struct arena *a, const str *x, size_t nx, const str *y, size_t ny, const str **ret)
{
    str *v = ARENA_ARRAY(a, str, nx + ny + 1);

    if (nx)
        memcpy(v, x, nx * sizeof(*v));
    if (ny)
        memcpy(v + nx, y, ny * sizeof(*v));
    *ret = v;
    return policy_names_clean(a, v, nx + ny, false);
}

bool policy_names_agree(struct arena *a, const str *x, size_t nx, const str *y, size_t ny)
{
    const str dflt = STR("default"), *left, *right;

    nx = policy_names_join(a, x, nx, &dflt, 1, &left);
    ny = policy_names_join(a, y, ny, &dflt, 1, &right);
    for (size_t i = 0; nx == ny && i < nx; i++)
        if (!str_eq(left[i], right[i]))
            return false;
    return nx == ny;
}
