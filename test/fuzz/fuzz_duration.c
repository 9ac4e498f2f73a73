/* The small parsers of base: durations, times, numbers, hex, base64, percent-encoding. What they take comes
 * back unchanged. */
#include "base/clock.h"
#include "base/encode.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void decoders(struct arena *a, str s)
{
    bytes b, again;
    str decoded, twice;
    if (hex_decode(a, s, &b))
        check(str_eq_nocase(hex_encode(a, b), s));
    if (base64_decode(a, s, &b))
        check(base64_decode(a, base64_encode(a, b), &again) &&
              str_eq(str_from_bytes(b), str_from_bytes(again)));
    if (base64url_decode(a, s, &b))
        check(base64url_decode(a, base64url_encode(a, b), &again) &&
              str_eq(str_from_bytes(b), str_from_bytes(again)));
    for (int plus = 0; plus < 2; plus++)
        if (url_decode(a, s, plus, &decoded)) {
            check(url_decode(a, url_encode(a, decoded), plus, &twice) && str_eq(decoded, twice));
            check(url_decode(a, url_encode_path(a, decoded), plus, &twice) && str_eq(decoded, twice));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new(0);
    str s = {(const char *)data, size};
    int64_t v, again;
    uint64_t u;
    if (!duration_parse(a, s, &v))
        check(!duration_parse(a, duration_format(a, v), &again) && v == again);
    if (time_parse(s, &v))
        check(time_parse(time_format(a, v), &again) && v == again);
    if (str_parse_u64(s, &u) && u <= INT64_MAX)
        check(str_parse_i64(s, &v) && v == (int64_t)u);
    decoders(a, s);
    arena_free(a);
    return 0;
}
