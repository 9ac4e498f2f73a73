#include "core/stored.h"

#include "base/cursor.h"
#include "base/library.h"
#include "core/spaces.h"

#include <snappy-c.h>
#define ZLIB_CONST /* inputs are not changed */
#include <zlib.h>

/* Loaded when the first bucket is met: it brings the C++ library with it, over a MiB. */
static struct {
    __typeof__(snappy_compress) *compress;
    __typeof__(snappy_uncompress) *uncompress;
    __typeof__(snappy_max_compressed_length) *max_compressed_length;
} snappy;
static const struct library_symbol snappy_symbols[] = {
    {"snappy_compress", &snappy.compress},
    {"snappy_uncompress", &snappy.uncompress},
    {"snappy_max_compressed_length", &snappy.max_compressed_length},
};
static struct library snappy_library = {"libsnappy.so.1", "libsnappy1v5", snappy_symbols,
                                        COUNT_OF(snappy_symbols), 0};

enum {
    STORED_CLEAR_BYTES_MAX = 128 * 1024 * 1024,
    SNAPPY_CHUNK_COMPRESSED = 0x00,
    SNAPPY_CHUNK_CLEAR = 0x01,
    SNAPPY_CHUNK_BYTES_MAX = 65536,
};

static struct error *damaged(struct arena *a, str path)
{
    return error_new(a, ERR_INTERNAL, "the stored entry %.*s cannot be decompressed", PSTR(path));
}

static struct error *gunzip(struct arena *a, str path, bytes in, bytes *ret)
{
    z_stream z = {.next_in = (uint8_t *)arena_copy(a, in.p, in.n), .avail_in = (uInt)in.n};
    struct buf out;
    int r = in.n <= UINT32_MAX ? inflateInit2(&z, 15 + 16) : Z_DATA_ERROR;

    if (r != Z_OK)
        return damaged(a, path);
    buf_init(&out, a, STORED_CLEAR_BYTES_MAX);
    do {
        uint8_t chunk[16384];

        z.next_out = chunk;
        z.avail_out = sizeof(chunk);
        r = inflate(&z, Z_NO_FLUSH);
        buf_put(&out, chunk, sizeof(chunk) - z.avail_out);
    } while (r == Z_OK && !out.full);
    (void)inflateEnd(&z); /* memory only */
    if (r != Z_STREAM_END || out.full)
        return damaged(a, path);
    *ret = buf_bytes(&out);
    return NULL;
}

/* CRC-32C (Castagnoli, reflected 0x82f63b78), masked as the framing format asks. */
static uint32_t masked_crc32c(bytes b)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < b.n; i++) {
        crc ^= b.p[i];
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + UINT32_C(0xa282ead8);
}

static uint32_t le(bytes b)
{
    uint32_t v = 0;

    for (size_t i = b.n; i > 0; i--)
        v = v << 8 | b.p[i - 1];
    return v;
}

static bool unsnap_chunk(struct buf *out, uint32_t type, bytes body)
{
    static _Thread_local char clear[SNAPPY_CHUNK_BYTES_MAX];
    size_t n = sizeof(clear);

    if (body.n < 4)
        return false;
    uint32_t crc = le((bytes){body.p, 4});

    body = (bytes){body.p + 4, body.n - 4};
    if (type == SNAPPY_CHUNK_COMPRESSED) {
        if (snappy.uncompress((const char *)body.p, body.n, clear, &n) != SNAPPY_OK)
            return false;
        body = (bytes){(const uint8_t *)clear, n};
    }
    if (body.n > SNAPPY_CHUNK_BYTES_MAX || masked_crc32c(body) != crc)
        return false;
    buf_put(out, body.p, body.n);
    return !out->full;
}

static struct error *unsnap(struct arena *a, str path, bytes in, bytes *ret)
{
    struct cursor c = cursor_from(in);
    struct buf out;

    TRY(library_load(a, &snappy_library));
    buf_init(&out, a, STORED_CLEAR_BYTES_MAX);
    while (!c.bad && c.n > 0) {
        uint8_t type = cursor_u8(&c);
        bytes body = cursor_take(&c, le(cursor_take(&c, 3)));

        if (type == 0xff ? !str_eq(str_from_bytes(body), STR("sNaPpY")) : type > 1 && type < 0x80)
            return damaged(a, path);
        if (type <= SNAPPY_CHUNK_CLEAR && !unsnap_chunk(&out, type, body))
            return damaged(a, path);
    }
    if (c.bad)
        return damaged(a, path);
    *ret = buf_bytes(&out);
    return NULL;
}

struct error *stored_unpack(struct arena *a, str path, bytes packed, bytes *ret)
{
    bytes rest = packed.n > 0 ? (bytes){packed.p + 1, packed.n - 1} : packed;

    switch (packed.n > 0 ? packed.p[0] : 0) {
    case 'G': return gunzip(a, path, rest, ret);
    case 'S': return unsnap(a, path, rest, ret);
    case 'L':
    case '4':
        return error_new(a, ERR_INTERNAL,
                         "the stored entry %.*s is compressed in a form that has no known writer",
                         PSTR(path));
    default: *ret = packed; return NULL;
    }
}

/* A big table is written with every mount: a little larger, five times as fast. */
static int level_for(size_t n)
{
    enum { BIG_BYTES = 64 * 1024 };

    return n < BIG_BYTES ? Z_BEST_COMPRESSION : Z_BEST_SPEED;
}

bytes stored_gzip(struct arena *a, bytes clear)
{
    z_stream z = {.next_in = clear.p, .avail_in = (uInt)clear.n};

    if (clear.n > UINT32_MAX / 2 ||
        deflateInit2(&z, level_for(clear.n), Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return clear;
    size_t cap = deflateBound(&z, (uLong)clear.n);
    uint8_t *out = arena_alloc(a, cap + 1);

    out[0] = 'G';
    z.next_out = out + 1;
    z.avail_out = (uInt)cap;
    int r = deflate(&z, Z_FINISH);

    (void)deflateEnd(&z); /* memory only */
    return r == Z_STREAM_END ? (bytes){out, 1 + cap - z.avail_out} : clear;
}

static void put_le(struct buf *out, uint32_t v, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_put_byte(out, (uint8_t)(v >> 8 * i));
}

static void snap_chunk(struct buf *out, struct arena *a, bytes clear)
{
    size_t n = snappy.max_compressed_length(clear.n);
    char *packed = arena_alloc(a, n);
    bool small = snappy.compress((const char *)clear.p, clear.n, packed, &n) == SNAPPY_OK && n < clear.n;
    bytes body = small ? (bytes){(const uint8_t *)packed, n} : clear;

    buf_put_byte(out, small ? SNAPPY_CHUNK_COMPRESSED : SNAPPY_CHUNK_CLEAR);
    put_le(out, (uint32_t)body.n + 4, 3);
    put_le(out, masked_crc32c(clear), 4);
    buf_put(out, body.p, body.n);
}

bytes stored_snappy(struct arena *a, bytes clear)
{
    struct buf out;

    if (library_load(a, &snappy_library))
        return clear; /* as good: readers take both */
    buf_init(&out, a, SIZE_MAX);
    buf_put_str(&out, STR("S\xff\x06\0\0sNaPpY"));
    for (size_t i = 0; i < clear.n; i += SNAPPY_CHUNK_BYTES_MAX)
        snap_chunk(&out, a, (bytes){clear.p + i, MIN(clear.n - i, SNAPPY_CHUNK_BYTES_MAX)});
    return buf_bytes(&out);
}

struct error *stored_table_load(struct view *v, str path, struct arena *a, struct json **ret)
{
    bytes packed, clear;
    str full = arena_join(a, v->space->prefix, path);

    *ret = NULL;
    TRY(view_get(v, path, &packed));
    if (!packed.p)
        return NULL;
    TRY(stored_unpack(a, full, packed, &clear));
    if (json_parse(a, str_from_bytes(clear), true, ret))
        return error_new(a, ERR_INTERNAL, "the stored entry %.*s is not valid JSON", PSTR(full));
    if ((*ret)->type != JSON_OBJECT)
        return error_new(a, ERR_INTERNAL, "the stored entry %.*s is no table", PSTR(full));
    (*ret)->ordered = true;
    return NULL;
}

bytes stored_table_bytes(struct arena *a, const struct json *table)
{
    struct buf clear;

    buf_init(&clear, a, SIZE_MAX / 4);
    json_write(&clear, table);
    buf_put_byte(&clear, '\n');
    return stored_gzip(a, buf_bytes(&clear));
}

struct error *stored_table_save(struct view *v, str path, const struct json *table)
{
    return view_put(v, path, stored_table_bytes(view_arena(v), table));
}
