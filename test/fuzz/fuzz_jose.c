/* Tokens and keys from outside: a line of JWK, then the token. What is refused is refused without harm; of a
 * public key that loads, the public part loads. */
#include "crypto/jose.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str key, token;
    struct arena *a = arena_new(0);
    struct json *jwk;
    struct jose_key *k = NULL, *again;
    struct jws j;

    str_cut((str){(const char *)data, size}, '\n', &key, &token);
    if (!json_parse(a, key, false, &jwk) && !jose_key_load(a, jwk, &k) && k->kind < 4 && !k->is_private &&
        jose_key_load(a, jwk_public(a, jwk), &again))
        abort();
    if (!jws_parse(a, str_trim(token), &j) && k && jws_verify(&j, k) && j.alg.n == 0)
        abort();
    arena_free(a);
    return 0;
}
