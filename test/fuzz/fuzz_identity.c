/* Identity buckets as stored: whatever parses is packed again and says the same then. */
#include "core/identity/identity_private.h"
#include "crypto/crypto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void read_items(struct arena *a, const IdentityPb__Bucket *b)
{
    for (size_t i = 0; i < b->n_items; i++)
        for (int kind = BUCKET_ENTITIES; kind <= BUCKET_GROUPS; kind++) {
            ProtobufCMessage *m = item_unpack(a, b->items[i], kind);

            if (!m)
                continue;
            if (kind == BUCKET_ENTITIES)
                entity_unref(entity_new((const IdentityPb__Entity *)m, NULL));
            IdentityPb__Bucket copy = *b;

            bucket_set(a, &copy, kind, (str){(const char *)b->items[i]->id.data, b->items[i]->id.len}, m);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static bool ready;
    struct arena *a = arena_new(0);
    IdentityPb__Bucket *b, *again;

    if (!ready)
        crypto_init();
    ready = true;
    if (!bucket_parse(a, STR("p"), (bytes){p, n}, &b)) {
        bytes once = bucket_pack(a, b), twice;

        /* the library takes a long form of the field number 0, which no writer makes, and refuses the short
         * one */
        if (!bucket_parse(a, STR("p"), once, &again)) {
            twice = bucket_pack(a, again);
            check(once.n == twice.n && memcmp(once.p, twice.p, once.n) == 0);
        }
        read_items(a, b);
    }
    arena_free(a);
    return 0;
}
