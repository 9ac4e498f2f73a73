/* A token string from a client, and a stored token entry: refused, or something that can be read. */
#include "base/ip_range.h"
#include "core/token/token_form.h"
#include "core/token/token_private.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_string(struct arena *a, struct hmac_key *key, str text)
{
    str inner, block, address;

    if (token_form_open(a, key, text, &inner) && (inner.n == 0 || !token_form_is_signed(text)))
        abort();
    str signed_form = token_form_sign(a, key, text.n ? text : STR("x"));

    if (text.n > TOKEN_PLAIN_MAX && signed_form.n <= TOKEN_SIGNED_MAX && text.n < 256 &&
        (!token_form_open(a, key, signed_form, &inner) || !str_eq(inner, text)))
        abort();
    if (str_cut(text, ' ', &block, &address) && ip_text_is_in(block, address) && block.n == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hmac_key *key;
    struct arena *a = arena_new(0);
    struct object *o = NULL;

    if (!key) {
        crypto_init();
        key = hmac_key_new(bytes_from_str(STR("8b1d3c55-0f0e-4a7b-9c2d-11aa22bb33cc")));
    }
    fuzz_string(a, key, (str){(const char *)data, size});
    if (!token_entry_parse(a, STR("sys/token/id/h00"), (bytes){data, size}, &o)) {
        const struct token_entry *te = CONTAINER_OF(o, struct token_entry, object);
        size_t n = te->id.n + te->path.n;

        for (size_t i = 0; i < te->n_policies; i++)
            n += te->policies[i].n;
        if (n > o->bytes)
            abort();
        if (te->meta)
            (void)json_text(a, te->meta);
        object_unref(o);
    }
    arena_free(a);
    return 0;
}
