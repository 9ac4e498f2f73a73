/* Any text as a policy: rules or the API's error; what compiles decides like the slow reference on its own
 * paths. */
#include "../unit/core/acl_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct policy *p = NULL;
    const struct error *e = policy_parse(a, STR("fuzz"), (str){(const char *)data, size}, &p);

    if (!e != (p != NULL) ||
        (e && (e->kind != ERR_BAD_REQUEST || !str_starts(e->text, STR("failed to parse policy: ")))))
        abort();
    if (p && p->n < 64) {
        const struct policy *set[] = {p};
        struct acl *acl = acl_compile(set, 1, false, NULL);

        for (size_t i = 0; i < p->n; i++) {
            reference_check(acl, set, 1, OP_READ, p->rules[i].path);
            reference_check(acl, set, 1, OP_LIST, arena_join(a, p->rules[i].path, STR("/")));
        }
        acl_unref(acl);
    }
    arena_free(a);
    return 0;
}
