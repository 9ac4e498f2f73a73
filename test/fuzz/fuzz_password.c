/* Any text as a password policy: the API's error, or passwords that are as its rules ask. */
#include "core/password/password.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct password_policy *p = NULL;
    const struct error *e = password_policy_parse(a, (str){(const char *)data, size}, &p);

    if (!e != (p != NULL) || (e && e->kind != ERR_BAD_REQUEST))
        abort();
    if (p && p->length < 8) {
        struct rng *rng = rng_seeded_new(1);
        str made;
        int64_t n = 0;

        password_generate(a, rng, p, &made);
        for (str rest = made; rest.n > 0; n++) {
            size_t k = str_utf8_len(rest);

            if (k == 0)
                abort();
            rest = str_from(rest, k);
        }
        if (made.n && n != p->length)
            abort();
        rng_seeded_free(rng);
    }
    arena_free(a);
    return 0;
}
