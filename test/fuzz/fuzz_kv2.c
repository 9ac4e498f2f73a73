/* The stored messages of kv version 2, its key policy and its names: refused, or read and written back
 * the same. */
#include "crypto/crypto.h"
#include "engine/kv/kv2_private.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_metadata(struct arena *a, bytes b)
{
    Kv2__KeyMetadata *m = kv2_meta_unpack(a, b);
    struct kv2_dropped dropped;

    if (!m)
        return;
    bytes once = kv2_pack(a, &m->base);
    Kv2__KeyMetadata *again = kv2_meta_unpack(a, once);

    if (!again) /* the library reads field number 0, which is none, in a long form only */
        return;
    bytes twice = kv2_pack(a, &again->base);

    if (once.n != twice.n || memcmp(once.p, twice.p, once.n) != 0)
        abort();
    uint64_t last = m->current_version;

    kv2_drop(m, last, &dropped);
    for (size_t i = 0; i < dropped.n; i++)
        if (dropped.numbers[i] > last)
            abort();
    if (!dropped.more && m->n_versions > 0 && m->versions[0]->key <= last)
        abort();
}

static void fuzz_name(struct arena *a, str name)
{
    static const char policy[] =
        "{\"keys\":{\"1\":{\"key\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\","
        "\"convergent_version\":3}},\"derived\":true,\"kdf\":1,\"convergent_encryption\":true,"
        "\"convergent_version\":-1,\"type\":0,\"latest_version\":1}";
    struct object *o;
    bytes number;
    str clear;

    if (kv2_names_parse(a, STR("policy"), bytes_from_str(str_from_cstr(policy)), &o))
        abort();
    const struct kv2_names *names = (const struct kv2_names *)(const void *)o;

    if (!kv2_names_open(names, a, STR("base/"), (str){0}, name, &clear) && clear.n > 0 &&
        str_index(clear, '/') == clear.n &&
        !str_eq(kv2_names_seal(names, a, STR("base/"), clear),
                arena_fmt(a, "base/metadata/%.*s", PSTR(name))))
        abort();
    object_unref(o);
    if (name.n > 0 && name.p[0] != '0' && kv2_base62_decode(a, name, &number) &&
        !str_eq(kv2_base62_encode(a, number), name))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool begun;
    struct arena *a = arena_new(0);
    struct object *o;

    if (!begun)
        crypto_init();
    begun = true;
    fuzz_metadata(a, (bytes){data, size});
    if (!kv2_names_parse(a, STR("policy"), (bytes){data, size}, &o))
        object_unref(o);
    fuzz_name(a, (str){(const char *)data, size});
    arena_free(a);
    return 0;
}
