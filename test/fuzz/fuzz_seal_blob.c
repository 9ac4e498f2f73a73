/* BlobInfo as it may stand in a damaged store: it is refused, or what was read gives the same when written
 * and read again. */
#include "base/secure.h"
#include "seal/blob.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct seal_blob b, again;

    if (seal_blob_parse((bytes){data, size}, &b)) {
        check(seal_blob_parse(seal_blob_text(a, &b), &again));
        check(secret_equal(b.ciphertext, again.ciphertext) && secret_equal(b.iv, again.iv));
        check(str_eq(b.key_id, again.key_id) && secret_equal(b.wrapped_key, again.wrapped_key));
        check(b.mechanism == again.mechanism && b.wrapped == again.wrapped);
    }
    arena_free(a);
    return 0;
}
