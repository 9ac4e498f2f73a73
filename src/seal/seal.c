#include "crypto/crypto.h"
#include "seal/seal_private.h"

#include <stdatomic.h>

enum { HEALTH_INTERVAL_S = 600, HEALTH_UNHEALTHY_INTERVAL_S = 60 };

static const struct seal_ops *const kinds[] = {&seal_awskms,  &seal_azurekeyvault, &seal_exec,
                                               &seal_gcpckms, &seal_static,        &seal_transit};

static struct error *health_read(struct arena *a, const struct config_block *c, struct seal_health *ret)
{
    str enabled = config_block_get(c, STR("health_check_enabled")),
        interval = config_block_get(c, STR("health_check_interval")),
        unhealthy = config_block_get(c, STR("health_check_interval_unhealthy"));
    bool on = true;

    *ret = (struct seal_health){false, HEALTH_INTERVAL_S * NS_PER_S, HEALTH_UNHEALTHY_INTERVAL_S * NS_PER_S};
    if (enabled.n > 0 && !config_bool_from_str(enabled, &on))
        return error_new(a, ERR_BAD_REQUEST, "invalid value for health_check_enabled: \"%.*s\"",
                         PSTR(enabled));
    if (interval.n > 0)
        TRY(duration_parse(a, interval, &ret->interval_ns));
    if (unhealthy.n > 0)
        TRY(duration_parse(a, unhealthy, &ret->unhealthy_interval_ns));
    ret->disabled = !on || ret->interval_ns <= 0 || ret->unhealthy_interval_ns <= 0;
    return NULL;
}

struct seal_health seal_health(const struct seal *s)
{
    return s->health;
}

struct error *seal_open(struct arena *a, const struct config_block *stanza, struct seal_host *host,
                        struct seal **ret)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (!str_eq(stanza->type, str_from_cstr(kinds[i]->type)))
            continue;
        struct arena *arena = arena_new(0);
        struct seal *s = ARENA_NEW(arena, struct seal);

        *s = (struct seal){.ops = kinds[i], .arena = arena, .host = host};
        struct error *e = health_read(a, stanza, &s->health);

        if (!e)
            e = kinds[i]->open(s, a, stanza, &s->state);
        if (e) {
            e = error_copy(a, e); /* it may live in what is closed */
            seal_close(s);
            return e;
        }
        *ret = s;
        return NULL;
    }
    if (str_eq(stanza->type, STR("pkcs11")))
        return error_new(a, ERR_BAD_REQUEST, "KMS type 'pkcs11' requires the Vault Enterprise HSM binary");
    return error_new(a, ERR_BAD_REQUEST, "Unknown KMS type \"%.*s\"", PSTR(stanza->type));
}

void seal_close(struct seal *s)
{
    if (!s)
        return;
    if (s->ops->close && s->state)
        s->ops->close(s);
    arena_free(s->arena);
}

const char *seal_type(const struct seal *s)
{
    return s->ops->type;
}

str seal_key_id(const struct seal *s)
{
    return (str){s->key_id, s->key_id_n};
}

void seal_set_key_id(struct seal *s, str id)
{
    s->key_id_n = MIN(id.n, sizeof(s->key_id));
    memcpy(s->key_id, id.n ? id.p : "", s->key_id_n);
}

struct error *seal_step(struct arena *a, const struct error *e, const char *step)
{
    return e ? error_new(a, e->kind, "%s: %.*s", step, PSTR(e->text)) : NULL;
}

bool seal_starts_programs(const struct seal *s)
{
    return s && s->ops->starts_programs;
}

str seal_param(const struct config_block *stanza, const char *key, const char *exact, const char *setting)
{
    str value = {0};

    if (exact)
        value = config_env_exact(exact);
    if (value.n == 0 && setting)
        value = config_env(setting, NULL);
    return value.n > 0 ? value : config_block_get(stanza, str_from_cstr(key));
}

static struct error *check(struct seal *s, struct arena *a)
{
    if (s->checked || !s->ops->check)
        return NULL;
    TRY(s->ops->check(s, a));
    s->checked = true;
    return NULL;
}

/* It happens rarely: the series are looked up each time. */
static void measure_as(struct arena *a, const char *type, const char *what, int64_t ns, bool ok)
{
    uint16_t done = metric_id(METRIC_COUNTER, arena_fmt(a, "seal.%s%s", type, what), NULL, 0),
             took = metric_id(METRIC_SAMPLE, arena_fmt(a, "seal.%s%s.time", type, what), NULL, 0);

    metric_count(done, 1);
    metric_time(took, ns, 1);
    if (!ok)
        metric_count(metric_id(METRIC_COUNTER, arena_fmt(a, "seal.%s%s.error", type, what), NULL, 0), 1);
}

void seal_measure(const char *type, bool encrypts, int64_t begun_ns, bool ok)
{
    int64_t ns = clock_mono_ns(clock_real()) - begun_ns;
    const char *what = encrypts ? "encrypt" : "decrypt";
    struct arena *a = arena_new(0);

    measure_as(a, "", what, ns, ok);
    measure_as(a, arena_fmt(a, "%s.", type).p, what, ns, ok);
    arena_free(a);
}

static struct error *encrypt(struct seal *s, struct arena *a, bytes clear, bytes *ret_blob)
{
    struct seal_blob b = {0};

    if (clear.n == 0 || clear.n > SEAL_CLEAR_BYTES_MAX)
        return error_new(a, ERR_INTERNAL, "%s: nothing to encrypt, or too much", s->ops->type);
    TRY(check(s, a));
    TRY(s->ops->encrypt(s, a, clear, &b));
    if (b.key_id.n > SEAL_KEY_ID_BYTES_MAX || b.wrapped_key.n > SEAL_BLOB_BYTES_MAX / 4 ||
        b.ciphertext.n > SEAL_BLOB_BYTES_MAX / 4)
        return error_new(a, ERR_INTERNAL, "%s: the service's answer is too long", s->ops->type);
    seal_set_key_id(s, b.key_id);
    *ret_blob = seal_blob_text(a, &b);
    return NULL;
}

struct error *seal_encrypt(struct seal *s, struct arena *a, bytes clear, bytes *ret_blob)
{
    int64_t begun_ns = clock_mono_ns(clock_real());
    struct error *e = encrypt(s, a, clear, ret_blob);

    seal_measure(s->ops->type, true, begun_ns, !e);
    return e;
}

static struct error *decrypt(struct seal *s, struct arena *a, bytes blob, struct secret **ret)
{
    struct seal_blob b;

    if (!seal_blob_parse(blob, &b) || b.ciphertext.n == 0)
        return error_new(a, ERR_INTERNAL, "failed to proto decode stored keys: the entry is damaged");
    TRY(check(s, a));
    return s->ops->decrypt(s, a, &b, ret);
}

struct error *seal_decrypt(struct seal *s, struct arena *a, bytes blob, struct secret **ret)
{
    int64_t begun_ns = clock_mono_ns(clock_real());
    struct error *e = decrypt(s, a, blob, ret);

    seal_measure(s->ops->type, false, begun_ns, !e);
    return e;
}

struct error *seal_test(struct seal *s, struct arena *a)
{
    str value = arena_fmt(a, "Heartbeat %llu", (unsigned long long)rng_below(s->host->rng, 1000));
    struct secret *clear = NULL;
    bytes blob;
    struct error *e = seal_encrypt(s, a, bytes_from_str(value), &blob);

    if (e)
        return error_wrap(a, e, "failed to encrypt seal health test value, seal backend may be unreachable");
    e = seal_decrypt(s, a, blob, &clear);
    if (e)
        return error_wrap(a, e, "failed to decrypt seal health test value, seal backend may be unreachable");
    bool same = secret_equal(secret_reveal(clear), bytes_from_str(value));

    secret_free(clear);
    return same ? NULL
                : error_new(a, ERR_INTERNAL, "seal health test value failed to decrypt to expected value");
}

int64_t seal_keep(struct seal *s, struct arena *a)
{
    return s->ops->keep ? s->ops->keep(s, a) : 0;
}

/* ---- envelope ---- */

void envelope_seal_with(struct seal *s, struct arena *a, bytes key, bytes clear, struct seal_blob *ret)
{
    uint8_t *iv = arena_alloc(a, AEAD_NONCE_BYTES), *out = arena_alloc(a, clear.n + AEAD_TAG_BYTES);

    rng_bytes(s->host->rng, iv, AEAD_NONCE_BYTES);
    aead_seal_once(out, key, iv, (bytes){0}, clear);
    ret->iv = (bytes){iv, AEAD_NONCE_BYTES};
    ret->ciphertext = (bytes){out, clear.n + AEAD_TAG_BYTES};
}

void envelope_seal(struct seal *s, struct arena *a, bytes clear, uint8_t ret_key[SEAL_DATA_KEY_BYTES],
                   struct seal_blob *ret)
{
    rng_bytes(s->host->rng, ret_key, SEAL_DATA_KEY_BYTES);
    envelope_seal_with(s, a, (bytes){ret_key, SEAL_DATA_KEY_BYTES}, clear, ret);
}

/* Some write nonce and ciphertext into one field. */
struct error *envelope_open(struct arena *a, bytes key, const struct seal_blob *b, struct secret **ret)
{
    bytes sealed = b->ciphertext, iv = b->iv;

    if (iv.n == 0 && sealed.n > AEAD_NONCE_BYTES) {
        iv = (bytes){sealed.p, AEAD_NONCE_BYTES};
        sealed = (bytes){sealed.p + AEAD_NONCE_BYTES, sealed.n - AEAD_NONCE_BYTES};
    }
    if (key.n != 16 && key.n != 32)
        return error_new(a, ERR_INTERNAL, "error decrypting data: the data key has %zu bytes", key.n);
    if (iv.n != AEAD_NONCE_BYTES || sealed.n <= AEAD_TAG_BYTES)
        return error_new(a, ERR_INTERNAL, "error decrypting data: the entry is damaged");
    struct secret *clear = secret_new(sealed.n - AEAD_TAG_BYTES);

    if (!aead_open_once(secret_fill(clear), key, iv.p, (bytes){0}, sealed)) {
        secret_free(clear);
        return error_new(a, ERR_INTERNAL, "error decrypting data: cipher: message authentication failed");
    }
    *ret = clear;
    return NULL;
}

struct error *mechanism_decrypt(struct seal *s, struct arena *a, const struct seal_blob *b,
                                ask_decrypt_fn *ask, struct secret **ret)
{
    bytes key;

    if (b->mechanism == MECHANISM_DIRECT) {
        TRY(seal_step(a, ask(s, a, b->ciphertext, &key), "error decrypting data"));
        *ret = secret_from(key);
        return NULL;
    }
    if (b->mechanism != MECHANISM_ENVELOPE)
        return error_new(a, ERR_INTERNAL, "invalid mechanism: %llu", (unsigned long long)b->mechanism);
    TRY(seal_step(a, ask(s, a, b->wrapped_key, &key), "error decrypting data encryption key"));
    return envelope_open(a, key, b, ret);
}
