/* Any text as HCL or its JSON form: a tree or an error, and the tree can be walked and read generically. */
#include "config/hcl.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t walk(const struct hcl_value *v, int depth)
{
    size_t total = v->text.n;
    if (depth > HCL_DEPTH_MAX + 1)
        abort();
    for (size_t i = 0; i < v->n && v->type == HCL_LIST; i++)
        total += walk(v->items[i], depth + 1);
    size_t n = 0;
    for (const struct hcl_item *i = v->first; i; i = i->next, n++) {
        for (size_t k = 0; k < i->n_keys; k++)
            total += i->keys[k].text.n;
        total += walk(i->value, depth + 1);
    }
    if (v->type == HCL_OBJECT && n != v->n)
        abort();
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct hcl_value *root = NULL;
    struct json *map;
    struct error *e = hcl_parse(a, (str){(const char *)data, size}, &root);
    if (!e != (root != NULL) || (e && e->kind != ERR_BAD_REQUEST))
        abort();
    if (root) {
        (void)walk(root, 0);
        if (!hcl_to_json(a, root, &map))
            (void)json_text(a, map);
    }
    arena_free(a);
    return 0;
}
