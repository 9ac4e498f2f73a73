#include "storage/listing.h"

void listing_add_name(struct listing *l, str name)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 32;
        l->names = arena_grow(l->arena, l->names, l->cap * sizeof(str), cap * sizeof(str));
        l->cap = cap;
    }
    l->names[l->n++] = arena_str(l->arena, name);
}

bool listing_add(struct listing *l, str path, str *ret_skip_to)
{
    if (!str_starts(path, l->prefix))
        return false;
    *ret_skip_to = (str){0};
    str name = str_from(path, l->prefix.n);
    size_t slash = str_index(name, '/');
    if (slash < name.n) {
        size_t n = l->prefix.n + slash + 1;
        if (n > l->skip_cap) {
            l->skip_cap = 2 * n;
            l->skip = arena_alloc(l->arena, l->skip_cap);
        }
        memcpy(l->skip, path.p, n);
        l->skip[n - 1] = '/' + 1; /* just after everything that begins with the folder */
        *ret_skip_to = (str){l->skip, n};
        name.n = slash + 1;
    }
    listing_add_name(l, name);
    return true;
}
