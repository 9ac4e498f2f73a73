/* Any text as a server configuration: an error, or a configuration whose parts can be read. */
#include "config/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_block(const struct config_block *b)
{
    for (size_t i = 0; b && i < b->n; i++)
        if (!str_eq(config_block_get(b, b->pairs[i].key), b->pairs[i].value))
            abort(); /* keys are unique */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    struct config *c = NULL;
    struct error *e = config_parse(a, STR("fuzz"), (str){(const char *)data, size}, &c);
    if (!e != (c != NULL) || (e && e->kind != ERR_BAD_REQUEST))
        abort();
    if (c) {
        check_block(c->storage);
        check_block(c->ha_storage);
        for (size_t i = 0; i < c->n_seals; i++)
            check_block(&c->seals[i]);
        if (c->default_lease_ttl_ns > c->max_lease_ttl_ns || c->cache_size <= 0)
            abort();
        for (size_t i = 0; i < c->n_listeners; i++)
            if (c->listeners[i].address.n == 0 || c->listeners[i].n_response_headers == 0)
                abort();
    }
    arena_free(a);
    return 0;
}
