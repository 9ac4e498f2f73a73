/* Stored methods and enforcements of the second factor: what reads as one, and is written as short as it can
 * be, is written and read again alike. */
#include "core/mfa/mfa_private.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(struct arena *a, const ProtobufCMessageDescriptor *d, bytes in)
{
    ProtobufCMessage *m = pb_unpack(a, d, in);

    if (!m)
        return;
    bytes out = pb_pack(a, m);

    if (out.n != in.n) /* the library shortens numbers that were too long, also those of unknown fields */
        return;
    ProtobufCMessage *again = pb_unpack(a, d, out);

    if (!again || pb_pack(a, again).n != out.n)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);

    round_trip(a, &mfa_pb__method__descriptor, (bytes){data, size});
    round_trip(a, &mfa_pb__enforcement__descriptor, (bytes){data, size});
    arena_free(a);
    return 0;
}
