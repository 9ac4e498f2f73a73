/* The metadata of a secret id: a map of strings whose names have values, or an error that says so. */
#include "auth/approle/approle_private.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(16 * 1024 * 1024);
    struct request rq = {.arena = a};
    struct json *map = NULL;
    struct error *e = metadata_parse(&rq, (str){(const char *)data, size}, &map);

    if (e) {
        assert(e->kind == ERR_BAD_REQUEST);
        assert(str_starts(e->text, STR("failed to parse metadata: ")));
    } else {
        for (uint32_t i = 0; i < map->n; i++) {
            assert(map->members[i].value->type == JSON_STRING);
            assert(map->members[i].key.n == 0 || map->members[i].value->text.n > 0);
        }
        (void)json_text(a, map);
    }
    arena_free(a);
    return 0;
}
