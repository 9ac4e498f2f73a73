/* What the parser takes must come back from the writer: same tree, same text the second time. */
#include "base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(64 << 20);
    str text = {(const char *)data, size};
    struct json *v = NULL, *again = NULL, *first = NULL;
    struct error *strict = json_parse(a, text, false, &v), *loose = json_parse(a, text, true, &first);
    check((strict == NULL) == (v != NULL) && (loose == NULL) == (first != NULL));
    check(strict || !loose); /* the loose mode takes all that the strict one takes */
    if (v) {
        str written = json_text(a, v);
        check(json_parse(a, written, false, &again) == NULL);
        check(json_eq(v, again) && str_eq(written, json_text(a, again)));
        check(json_eq(v, json_copy(a, v)));
        struct buf indented;
        buf_init(&indented, a, 32 << 20);
        json_write_indented(&indented, v, 2);
        check(indented.full ||
              (json_parse(a, buf_str(&indented), false, &again) == NULL && json_eq(v, again)));
    }
    arena_free(a);
    return 0;
}
