#include "engine/kv/kv2_names.h"

#include "base/encode.h"
#include "crypto/crypto.h"

enum { NAME_KEYS_MAX = 64, NAME_SEALED_MAX = 4096 };

struct name_key {
    uint32_t version;
    uint8_t prk[SHA256_BYTES]; /* HKDF's first half of the policy's key: the same for every name */
};

struct kv2_names {
    struct object object; /* first */
    uint32_t latest;      /* index in keys */
    uint32_t n;
    struct name_key keys[];
};

/* ---- base 62 ---- */

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/* Five digits at a time: 62^5 is the largest power that fits a limb. */
str kv2_base62_encode(struct arena *a, bytes b)
{
    const uint32_t power = 916132832; /* 62^5 */
    size_t n = (b.n + 3) / 4, cap = b.n * 11 / 8 + 6, at = cap;
    uint32_t *limbs = ARENA_ARRAY(a, uint32_t, n);
    char *out = arena_alloc(a, cap);

    for (size_t i = 0; i < b.n; i++)
        limbs[n - 1 - (b.n - 1 - i) / 4] |= (uint32_t)b.p[i] << (b.n - 1 - i) % 4 * 8;
    for (size_t first = 0; first < n;) {
        uint64_t rest = 0;

        for (size_t i = first; i < n; i++) {
            uint64_t v = rest << 32 | limbs[i];

            limbs[i] = (uint32_t)(v / power);
            rest = v % power;
        }
        while (first < n && limbs[first] == 0)
            first++;
        for (int i = 0; i < 5 && (first < n || rest > 0); i++, rest /= 62)
            out[--at] = digits[rest % 62];
    }
    return (str){out + at, cap - at};
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'Z' ? c - 'A' + 36 : -1;
}

bool kv2_base62_decode(struct arena *a, str s, bytes *ret)
{
    if (s.n > NAME_SEALED_MAX)
        return false;
    size_t n = s.n * 3 / 4 + 1, used = 0; /* bytes at the end of the number */
    uint8_t *out = arena_zalloc(a, n);

    for (size_t i = 0; i < s.n; i++) {
        int value = digit_value(s.p[i]);

        if (value < 0)
            return false;
        uint32_t carry = (uint32_t)value;

        for (size_t k = 0; k < used || carry > 0; k++) {
            carry += out[n - 1 - k] * UINT32_C(62);
            out[n - 1 - k] = (uint8_t)carry;
            carry >>= 8;
            used = MAX(used, k + 1);
        }
    }
    *ret = (bytes){out + n - used, used};
    return true;
}

/* ---- the key policy ---- */

static struct error *unreadable(struct arena *a, str path)
{
    return error_new(a, ERR_INTERNAL, "the key policy %.*s is damaged or of a form this server does not know",
                     PSTR(path));
}

static bool is_known_form(const struct json *policy)
{
    return json_get_int(policy, STR("type")) == 0 && json_get_bool(policy, STR("derived")) &&
           json_get_int(policy, STR("kdf")) == 1 && json_get_bool(policy, STR("convergent_encryption"));
}

static bool key_read(struct arena *a, const struct json *policy, const struct json_member *m,
                     struct name_key *ret)
{
    int64_t form = json_get_int(policy, STR("convergent_version"));
    uint64_t version;
    bytes key;

    if (form == -1)
        form = json_get_int(m->value, STR("convergent_version"));
    if (form != 3 || !str_parse_u64(m->key, &version) || version == 0 || version > UINT32_MAX ||
        !base64_decode(a, json_get_str(m->value, STR("key")), &key) || key.n != AEAD_KEY_BYTES)
        return false;
    ret->version = (uint32_t)version;
    hkdf_sha256_extract(ret->prk, key, (bytes){0});
    return true;
}

struct error *kv2_names_parse(struct arena *scratch, str path, bytes clear, struct object **ret)
{
    struct json *policy;
    struct error *e = entry_json(scratch, path, clear, &policy);
    const struct json *keys = e ? NULL : json_get(policy, STR("keys"));

    if (!keys || keys->type != JSON_OBJECT || keys->n == 0 || keys->n > NAME_KEYS_MAX ||
        !is_known_form(policy))
        return unreadable(scratch, path);
    struct object *o = object_new(sizeof(struct kv2_names) + keys->n * sizeof(struct name_key));
    struct kv2_names *names = CONTAINER_OF(o, struct kv2_names, object);
    int64_t latest = json_get_int(policy, STR("latest_version"));

    names->n = keys->n;
    names->latest = UINT32_MAX;
    for (uint32_t i = 0; i < keys->n; i++) {
        if (!key_read(scratch, policy, &keys->members[i], &names->keys[i]))
            break;
        if (names->keys[i].version == latest)
            names->latest = i;
        if (i + 1 == keys->n && names->latest != UINT32_MAX) {
            *ret = o;
            return NULL;
        }
    }
    object_unref(o);
    return unreadable(scratch, path);
}

struct error *kv2_names_load(struct view *v, str base, const struct kv2_names **ret)
{
    struct object *o;

    TRY(view_get_object(v, arena_fmt(view_arena(v), "%.*spolicy/metadata", PSTR(base)), kv2_names_parse, &o));
    *ret = o ? CONTAINER_OF(o, const struct kv2_names, object) : NULL;
    return NULL;
}

#define KEY_REST                                                                                             \
    "\"ec_x\":null,\"ec_y\":null,\"ec_d\":null,\"rsa_key\":null,\"rsa_public_key\":null,\"public_key\":"     \
    "\"\",\"convergent_version\":"

static str random_base64(struct request *rq)
{
    uint8_t key[AEAD_KEY_BYTES];

    rng_bytes(rq->rng, key, sizeof(key));
    str s = base64_encode(rq->arena, (bytes){key, sizeof(key)});

    wipe(key, sizeof(key));
    return s;
}

/* In Vault's order, and as it writes this entry: without a newline. */
struct error *kv2_names_make(struct request *rq, struct view *v, str base)
{
    struct arena *a = rq->arena;
    int64_t now_ns = clock_wall_ns(rq->clock);
    str cipher = random_base64(rq), hmac = random_base64(rq), now = time_format(a, now_ns),
        prefix = str_slice(base, 0, base.n - 1);
    str key = arena_fmt(
        a, "{\"key\":\"%.*s\",\"hmac_key\":\"%.*s\",\"time\":\"%.*s\"," KEY_REST "3,\"creation_time\":%lld}",
        PSTR(cipher), PSTR(hmac), PSTR(now), (long long)(now_ns / NS_PER_S));
    str archive =
        arena_fmt(a,
                  "{\"keys\":[{\"key\":null,\"hmac_key\":null,\"time\":\"0001-01-01T00:00:00Z\"," KEY_REST
                  "0,\"creation_time\":0},%.*s]}",
                  PSTR(key));
    str policy = arena_fmt(a,
                           "{\"name\":\"metadata\",\"keys\":{\"1\":%.*s},\"derived\":true,\"kdf\":1,"
                           "\"convergent_encryption\":true,\"exportable\":false,"
                           "\"min_decryption_version\":1,\"min_encryption_version\":0,\"latest_version\":1,"
                           "\"archive_version\":1,\"archive_min_version\":0,"
                           "\"min_available_version\":0,\"deletion_allowed\":false,\"convergent_version\":-1,"
                           "\"type\":0,\"backup_info\":null,"
                           "\"restore_info\":null,\"allow_plaintext_backup\":false,\"version_template\":\"{{"
                           "version}}:\",\"storage_prefix\":\"%.*s\","
                           "\"auto_rotate_period\":0,\"Imported\":false,\"AllowImportedKeyRotation\":false}",
                           PSTR(key), PSTR(prefix));

    TRY(view_put(v, arena_fmt(a, "%.*sarchive/metadata", PSTR(base)), bytes_from_str(archive)));
    return view_put(v, arena_fmt(a, "%.*spolicy/metadata", PSTR(base)), bytes_from_str(policy));
}

/* ---- names ---- */

struct derived {
    uint8_t cipher[AEAD_KEY_BYTES], mac[HMAC_SHA256_BYTES];
};

static void derive(struct derived *out, const struct name_key *k, str context)
{
    uint8_t both[sizeof(struct derived)];

    hkdf_sha256_expand(both, sizeof(both), k->prk, bytes_from_str(context));
    memcpy(out->cipher, both, sizeof(out->cipher));
    memcpy(out->mac, both + sizeof(out->cipher), sizeof(out->mac));
    wipe(both, sizeof(both));
}

static str seal_segment(const struct kv2_names *names, struct arena *a, str context, str segment)
{
    const struct name_key *k = &names->keys[names->latest];
    size_t n = AEAD_NONCE_BYTES + segment.n + AEAD_TAG_BYTES;
    uint8_t mac[HMAC_SHA256_BYTES], *body = arena_alloc(a, n);
    struct derived keys;

    derive(&keys, k, context);
    hmac_sha256_once(mac, (bytes){keys.mac, sizeof(keys.mac)}, bytes_from_str(segment));
    memcpy(body, mac, AEAD_NONCE_BYTES);
    aead_seal_once(body + AEAD_NONCE_BYTES, (bytes){keys.cipher, sizeof(keys.cipher)}, mac, (bytes){0},
                   bytes_from_str(segment));
    wipe(&keys, sizeof(keys));
    str body64 = base64_encode(a, (bytes){body, n}), text = arena_fmt(a, "%u:%.*s", k->version, PSTR(body64));

    return kv2_base62_encode(a, bytes_from_str(text));
}

str kv2_names_seal(const struct kv2_names *names, struct arena *a, str base, str key)
{
    str clear = arena_fmt(a, "%.*smetadata", PSTR(base)), path = clear, segment;

    while (key.n > 0) {
        str_cut(key, '/', &segment, &key);
        if (segment.n == 0)
            continue;
        str sealed = seal_segment(names, a, clear, segment);

        path = arena_fmt(a, "%.*s/%.*s", PSTR(path), PSTR(sealed));
        clear = arena_fmt(a, "%.*s/%.*s", PSTR(clear), PSTR(segment));
    }
    return path;
}

static bool open_segment(const struct kv2_names *names, struct arena *a, str context, str name, str *ret)
{
    str version, body64;
    uint64_t wanted;
    bytes text, body;

    if (!kv2_base62_decode(a, name, &text) || !str_cut(str_from_bytes(text), ':', &version, &body64) ||
        !str_parse_u64(version, &wanted) || !base64_decode(a, body64, &body) ||
        body.n < AEAD_NONCE_BYTES + AEAD_TAG_BYTES)
        return false;
    for (uint32_t i = 0; i < names->n; i++) {
        if (names->keys[i].version != wanted)
            continue;
        size_t n = body.n - AEAD_NONCE_BYTES - AEAD_TAG_BYTES;
        uint8_t *clear = arena_alloc(a, n);
        struct derived keys;

        derive(&keys, &names->keys[i], context);
        bool ok = aead_open_once(clear, (bytes){keys.cipher, sizeof(keys.cipher)}, body.p, (bytes){0},
                                 (bytes){body.p + AEAD_NONCE_BYTES, n + AEAD_TAG_BYTES});

        wipe(&keys, sizeof(keys));
        *ret = (str){(char *)clear, n};
        return ok;
    }
    return false;
}

struct error *kv2_names_open(const struct kv2_names *names, struct arena *a, str base, str folder, str name,
                             str *ret)
{
    str context = arena_fmt(a, "%.*smetadata%s%.*s", PSTR(base), folder.n ? "/" : "", PSTR(folder));

    if (!open_segment(names, a, context, name, ret))
        return error_new(a, ERR_INTERNAL, "the stored name %.*s/%.*s cannot be decrypted: damaged or moved",
                         PSTR(context), PSTR(name));
    return NULL;
}
