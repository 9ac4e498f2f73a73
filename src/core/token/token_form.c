#include "core/token/token_form.h"

#include "base/buf.h"
#include "base/cursor.h"
#include "base/encode.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { SIGNED_VERSION = 1, SIGNED_HMAC = 2, SIGNED_TOKEN = 3, TOKEN_RANDOM = 1 };

static const str service_prefix = {"hvs.", 4};

static void put_varint(struct buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        buf_put_byte(b, (uint8_t)(v | 0x80));
    buf_put_byte(b, (uint8_t)v);
}

static void put_field(struct buf *b, unsigned number, bytes value)
{
    put_varint(b, number << 3 | WIRE_BYTES);
    put_varint(b, value.n);
    buf_put(b, value.p, value.n);
}

str token_form_sign(struct arena *a, struct hmac_key *key, str inner_id)
{
    struct buf token, whole;
    uint8_t mac[HMAC_SHA256_BYTES];

    buf_init(&token, a, TOKEN_SIGNED_MAX);
    put_field(&token, TOKEN_RANDOM, bytes_from_str(inner_id));
    hmac_sha256(mac, key, buf_bytes(&token));
    buf_init(&whole, a, TOKEN_SIGNED_MAX);
    put_varint(&whole, SIGNED_VERSION << 3 | WIRE_VARINT);
    put_varint(&whole, 1);
    put_field(&whole, SIGNED_HMAC, (bytes){mac, sizeof(mac)});
    put_field(&whole, SIGNED_TOKEN, buf_bytes(&token));
    return arena_join(a, service_prefix, base64url_encode(a, buf_bytes(&whole)));
}

bool token_form_is_signed(str token)
{
    return str_starts(token, service_prefix) && token.n > TOKEN_PLAIN_MAX;
}

struct wire_field {
    uint64_t number;
    uint64_t varint;
    bytes value; /* of length-delimited ones */
    unsigned wire;
};

/* False at the end or at damage (c->bad). */
static bool next_field(struct cursor *c, struct wire_field *f)
{
    if (c->bad || c->n == 0)
        return false;
    uint64_t tag = cursor_varint(c);

    *f = (struct wire_field){.number = tag >> 3, .wire = tag & 7};
    switch (f->wire) {
    case WIRE_VARINT: f->varint = cursor_varint(c); break;
    case WIRE_64: (void)cursor_take(c, 8); break;
    case WIRE_32: (void)cursor_take(c, 4); break;
    case WIRE_BYTES: {
        uint64_t n = cursor_varint(c);

        if (n > c->n)
            c->bad = true;
        else
            f->value = cursor_take(c, (size_t)n);
        break;
    }
    default: c->bad = true;
    }
    return !c->bad;
}

bool token_form_open(struct arena *a, struct hmac_key *key, str token, str *ret_inner_id)
{
    uint8_t expected[HMAC_SHA256_BYTES];
    bytes message, mac = {0}, inner = {0}, random = {0};
    uint64_t version = 0;
    struct wire_field f;

    if (!token_form_is_signed(token) || token.n > TOKEN_SIGNED_MAX ||
        !base64url_decode(a, str_from(token, service_prefix.n), &message))
        return false;
    struct cursor c = cursor_from(message);

    while (next_field(&c, &f)) {
        if (f.number == SIGNED_VERSION && f.wire == WIRE_VARINT)
            version = f.varint;
        else if (f.number == SIGNED_HMAC && f.wire == WIRE_BYTES)
            mac = f.value;
        else if (f.number == SIGNED_TOKEN && f.wire == WIRE_BYTES)
            inner = f.value;
    }
    if (c.bad || version != 1)
        return false;
    hmac_sha256(expected, key, inner);
    if (!secret_equal((bytes){expected, sizeof(expected)}, mac))
        return false;
    c = cursor_from(inner);
    while (next_field(&c, &f))
        if (f.number == TOKEN_RANDOM && f.wire == WIRE_BYTES)
            random = f.value;
    if (c.bad || random.n == 0)
        return false;
    *ret_inner_id = str_from_bytes(random);
    return true;
}

bool token_form_is_batch(str token)
{
    return str_starts(token, STR("hvb.")) || str_starts(token, STR("b."));
}

bool token_form_has_prefix(str id)
{
    return str_starts(id, service_prefix) || str_starts(id, STR("s."));
}
