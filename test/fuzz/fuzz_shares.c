/* Shares from outside: the first byte says how long each is, the rest is cut into shares. They are refused or
 * joined, and shares made of what was joined give it back. */
#include "crypto/shares.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes shares[8];
    size_t n = 0, length = size ? data[0] : 0;
    for (size_t at = 1; at < size && n < 8; at += MAX(length, 1))
        shares[n++] = (bytes){data + at, MIN(length, size - at)};
    if (n == 0)
        return 0;
    struct arena *a = arena_new(0);
    struct secret *secret = NULL, *parts[3], *again = NULL;
    if (!shares_join(a, shares, n, &secret)) {
        shares_split(parts, 3, 2, rng_system(), secret_reveal(secret));
        bytes two[] = {secret_reveal(parts[2]), secret_reveal(parts[0])};
        check(!shares_join(a, two, 2, &again));
        check(secret_equal(secret_reveal(secret), secret_reveal(again)));
        for (int i = 0; i < 3; i++)
            secret_free(parts[i]);
    }
    secret_free(again);
    secret_free(secret);
    arena_free(a);
    return 0;
}
