/* stanza: seals from a few parameters, for tests. */
#pragma once
#include "../base/check.h"
#include "crypto/crypto.h"
#include "seal/blob.h"
#include "seal/seal.h"

enum { STANZA_PAIRS_MAX = 16 };

static struct seal_host stanza_host;

/* pairs: key, value, …, NULL. The stanza lives in `a`. */
static inline struct error *stanza_open(struct arena *a, const char *type, const char *const *pairs,
                                        struct seal **ret)
{
    struct config_block *b = ARENA_NEW(a, struct config_block);

    crypto_init();
    stanza_host.rng = rng_system();
    stanza_host.clock = clock_real();
    b->type = str_from_cstr(type);
    b->pairs = ARENA_ARRAY(a, struct config_pair, STANZA_PAIRS_MAX);
    for (; *pairs; pairs += 2)
        b->pairs[b->n++] = (struct config_pair){str_from_cstr(pairs[0]), str_from_cstr(pairs[1])};
    return seal_open(a, b, &stanza_host, ret);
}

#define STANZA(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* What was encrypted comes back; no flipped bit gives anything else, and nothing crashes. */
static inline void stanza_round_trip(struct seal *s, struct arena *a, bool flips)
{
    bytes clear = bytes_from_str(STR("[\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"]")), blob;
    struct secret *back = NULL;

    assert_ok(seal_encrypt(s, a, clear, &blob));
    assert_ok(seal_decrypt(s, a, blob, &back));
    assert_true(secret_equal(secret_reveal(back), clear));
    secret_free(back);
    for (size_t bit = 0; flips && bit < 8 * blob.n; bit++) {
        uint8_t *bad = arena_copy(a, blob.p, blob.n);

        bad[bit / 8] ^= (uint8_t)(1u << bit % 8);
        back = NULL;
        if (!seal_decrypt(s, a, (bytes){bad, blob.n}, &back)) /* of a part that says nothing: the same */
            assert_true(secret_equal(secret_reveal(back), clear));
        secret_free(back);
    }
}
