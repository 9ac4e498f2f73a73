#include "seal/blob.h"

#include "base/buf.h"
#include "base/cursor.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { BLOB_CIPHERTEXT = 1, BLOB_IV = 2, BLOB_WRAPPED = 4, BLOB_KEY_INFO = 5 };
enum { INFO_MECHANISM = 1, INFO_KEY_ID = 3, INFO_WRAPPED_KEY = 5 };

struct wire_field {
    uint64_t number;
    unsigned wire;
    uint64_t varint;
    bytes data;
};

/* False at the end, and when the message is damaged (c->bad). */
static bool field_next(struct cursor *c, struct wire_field *ret)
{
    if (c->bad || c->n == 0)
        return false;
    uint64_t tag = cursor_varint(c);

    *ret = (struct wire_field){.number = tag >> 3, .wire = tag & 7};
    switch (ret->wire) {
    case WIRE_VARINT: ret->varint = cursor_varint(c); break;
    case WIRE_64: cursor_take(c, 8); break;
    case WIRE_BYTES: ret->data = cursor_take(c, cursor_varint(c)); break;
    case WIRE_32: cursor_take(c, 4); break;
    default: c->bad = true;
    }
    return !c->bad;
}

static bool key_info_parse(bytes text, struct seal_blob *b)
{
    struct cursor c = cursor_from(text);
    struct wire_field f;

    while (field_next(&c, &f)) {
        if (f.number == INFO_MECHANISM && f.wire == WIRE_VARINT)
            b->mechanism = f.varint;
        else if (f.number == INFO_KEY_ID && f.wire == WIRE_BYTES)
            b->key_id = str_from_bytes(f.data);
        else if (f.number == INFO_WRAPPED_KEY && f.wire == WIRE_BYTES)
            b->wrapped_key = f.data;
    }
    return !c.bad && b->key_id.n <= SEAL_KEY_ID_BYTES_MAX;
}

bool seal_blob_parse(bytes text, struct seal_blob *ret)
{
    struct cursor c = cursor_from(text);
    struct seal_blob b = {0};
    struct wire_field f;

    if (text.n > SEAL_BLOB_BYTES_MAX)
        return false;
    while (field_next(&c, &f)) {
        if (f.number == BLOB_CIPHERTEXT && f.wire == WIRE_BYTES)
            b.ciphertext = f.data;
        else if (f.number == BLOB_IV && f.wire == WIRE_BYTES)
            b.iv = f.data;
        else if (f.number == BLOB_WRAPPED && f.wire == WIRE_VARINT)
            b.wrapped = f.varint != 0;
        else if (f.number == BLOB_KEY_INFO && f.wire == WIRE_BYTES && !key_info_parse(f.data, &b))
            return false;
    }
    if (c.bad)
        return false;
    *ret = b;
    return true;
}

static void put_varint(struct buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        buf_put_byte(b, (uint8_t)(v | 0x80));
    buf_put_byte(b, (uint8_t)v);
}

static void put_bytes(struct buf *b, unsigned number, bytes data)
{
    if (data.n == 0)
        return;
    put_varint(b, number << 3 | WIRE_BYTES);
    put_varint(b, data.n);
    buf_put(b, data.p, data.n);
}

static void put_number(struct buf *b, unsigned number, uint64_t v)
{
    if (v == 0)
        return;
    put_varint(b, number << 3 | WIRE_VARINT);
    put_varint(b, v);
}

bytes seal_blob_text(struct arena *a, const struct seal_blob *blob)
{
    struct buf info, out;

    buf_init(&info, a, SEAL_BLOB_BYTES_MAX);
    put_number(&info, INFO_MECHANISM, blob->mechanism);
    put_bytes(&info, INFO_KEY_ID, bytes_from_str(blob->key_id));
    put_bytes(&info, INFO_WRAPPED_KEY, blob->wrapped_key);
    buf_init(&out, a, SEAL_BLOB_BYTES_MAX);
    put_bytes(&out, BLOB_CIPHERTEXT, blob->ciphertext);
    put_bytes(&out, BLOB_IV, blob->iv);
    put_number(&out, BLOB_WRAPPED, blob->wrapped);
    put_varint(&out, BLOB_KEY_INFO << 3 | WIRE_BYTES);
    put_varint(&out, info.n);
    buf_put(&out, info.p, info.n);
    return buf_bytes(&out);
}
