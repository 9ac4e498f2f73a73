/* PGP keys from outside: armored or binary; what is taken has a fingerprint. */
#include "base/arena.h"
#include "crypto/pgp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    bytes key = {data, size}, unwrapped, message;
    str fingerprint;

    if (pgp_dearmor(a, (str){(const char *)data, size}, &unwrapped))
        key = unwrapped;
    if (!pgp_fingerprint(a, key, &fingerprint)) {
        if (fingerprint.n < 32)
            abort();
        if (!pgp_encrypt(a, key, bytes_from_str(STR("secret")), &message) && message.n < 32)
            abort();
    }
    arena_free(a);
    return 0;
}
