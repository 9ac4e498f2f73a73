/* Any bytes as a DNS answer: nothing, or a host with a port. */
#include "client/srv.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct rng *rng = rng_seeded_new(size);
    uint64_t port;
    str host;
    str found = srv_from_answer(a, (bytes){data, size}, rng);
    if (found.n && (!str_parse_u64(str_from(found, str_rindex(found, ':') + 1), &port) || port > UINT16_MAX ||
                    !str_cut(found, ':', &host, &found) || !host.n))
        abort();
    rng_seeded_free(rng);
    arena_free(a);
    return 0;
}
