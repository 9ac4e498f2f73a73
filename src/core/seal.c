#include "core/seal.h"

#include "base/encode.h"
#include "base/log.h"
#include "core/barrier.h"
#include "crypto/crypto.h"
#include "crypto/shares.h"
#include "seal/blob.h"
#include "seal/seal.h"

#include <stdlib.h>

static const char blob_path[] = "core/hsm/barrier-unseal-keys";

struct error *seal_config_check(struct arena *a, int64_t shares, int64_t threshold)
{
    const char *why = NULL;

    if (shares < 1)
        why = "shares must be at least one";
    else if (threshold < 1)
        why = "threshold must be at least one";
    else if (shares > 1 && threshold == 1)
        why = "threshold must be greater than one for multiple shares";
    else if (shares > SHARES_MAX)
        why = "shares must be less than 256";
    else if (threshold > SHARES_MAX)
        why = "threshold must be less than 256";
    else if (threshold > shares)
        why = "threshold cannot be larger than shares";
    return why ? error_new(a, ERR_BAD_REQUEST, "invalid seal configuration: %s", why) : NULL;
}

/* Settings as they are stored, of the seal itself or of the recovery shares: `path` names them in errors. */
static struct error *stored_config_parse(struct arena *a, const char *path, bytes text,
                                         struct seal_config *ret)
{
    struct json *v;
    struct error *e = json_parse(a, str_from_bytes(text), true, &v);

    if (e)
        return error_new(a, ERR_INTERNAL, "%s is not valid JSON", path);
    str type = json_get_str(v, STR("type"));
    int64_t shares = json_get_int(v, STR("secret_shares")),
            threshold = json_get_int(v, STR("secret_threshold"));

    e = seal_config_check(a, shares, threshold);
    if (e)
        return error_new(a, ERR_INTERNAL, "%s: %.*s", path, PSTR(e->text));
    if (type.n >= sizeof(ret->type))
        return error_new(a, ERR_INTERNAL, "%s: the type is too long", path);
    if (ret->type[0] == 0) /* else the seal's own have been read before */
        memcpy(ret->type, type.n ? type.p : "shamir", type.n ? type.n : sizeof("shamir"));
    ret->shares = (unsigned)shares;
    ret->threshold = (unsigned)threshold;
    str nonce = json_get_str(v, STR("nonce"));

    memset(ret->nonce, 0, sizeof(ret->nonce));
    if (nonce.n < sizeof(ret->nonce))
        memcpy(ret->nonce, nonce.n ? nonce.p : "", nonce.n);
    return NULL;
}

bool seal_config_is_auto(const struct seal_config *c)
{
    return c->type[0] && strcmp(c->type, "shamir") != 0;
}

struct error *recovery_config_parse(struct arena *a, bytes text, struct seal_config *ret)
{
    return stored_config_parse(a, "core/recovery-config", text, ret);
}

/* Under an auto seal it is the recovery shares that people hold. A store from before those have settings of
 * their own has them inside the barrier: none here. */
static struct error *recovery_config_load(struct storage *s, struct arena *a, struct seal_config *ret)
{
    bytes config;

    ret->shares = ret->threshold = 0;
    TRY(storage_get(s, a, STR("core/recovery-config"), &config));
    return config.p ? recovery_config_parse(a, config, ret) : NULL;
}

struct error *seal_config_load(struct storage *s, struct arena *a, struct seal_config *ret, bool *ret_exists)
{
    bytes keyring, config, blob;

    *ret = (struct seal_config){0};
    *ret_exists = false;
    TRY(storage_get(s, a, STR("core/keyring"), &keyring));
    if (!keyring.p)
        TRY(storage_get(s, a, STR("barrier/init"), &keyring));
    if (!keyring.p)
        return NULL;
    TRY(storage_get(s, a, STR("core/seal-config"), &config));
    if (!config.p)
        return error_new(a, ERR_INTERNAL, "the store has a keyring but no core/seal-config");
    TRY(stored_config_parse(a, "core/seal-config", config, ret));
    if (seal_config_is_auto(ret))
        TRY(recovery_config_load(s, a, ret));
    TRY(storage_get(s, a, str_from_cstr(blob_path), &blob));
    ret->has_blob = blob.p != NULL;
    *ret_exists = true;
    return NULL;
}

bytes seal_config_text_of(struct arena *a, const char *type, unsigned shares, unsigned threshold,
                          unsigned stored)
{
    struct json *v = json_object_ordered(a);

    json_set_str(a, v, STR("type"), str_from_cstr(type));
    json_set_int(a, v, STR("secret_shares"), shares);
    json_set_int(a, v, STR("secret_threshold"), threshold);
    json_set(a, v, STR("pgp_keys"), json_null(a));
    json_set_str(a, v, STR("nonce"), STR(""));
    json_set_bool(a, v, STR("backup"), false);
    json_set_int(a, v, STR("stored_shares"), stored);
    return bytes_from_str(json_text(a, v));
}

bytes seal_config_text(struct arena *a, unsigned shares, unsigned threshold)
{
    return seal_config_text_of(a, "shamir", shares, threshold, 1);
}

bytes stored_keys_text(struct arena *a, bytes root_key)
{
    str text = base64_encode(a, root_key);

    return bytes_from_str(arena_fmt(a, "[\"%.*s\"]", PSTR(text)));
}

struct error *stored_keys_root(struct arena *a, bytes clear, struct secret **ret)
{
    struct json *list;
    bytes key;

    TRY(json_parse(a, str_from_bytes(clear), true, &list));
    if (list->type != JSON_ARRAY || list->n != 1 || list->items[0]->type != JSON_STRING ||
        !base64_decode(a, list->items[0]->text, &key) || key.n == 0)
        return error_new(a, ERR_INTERNAL, "%s holds no root key", blob_path);
    *ret = secret_from(key);
    return NULL;
}

bytes seal_blob_make(struct arena *a, struct rng *rng, bytes unseal_key, bytes root_key)
{
    int64_t begun_ns = clock_mono_ns(clock_real());
    bytes clear = stored_keys_text(a, root_key);
    size_t n = AEAD_NONCE_BYTES + clear.n + AEAD_TAG_BYTES;
    uint8_t *out = arena_alloc(a, n);

    rng_bytes(rng, out, AEAD_NONCE_BYTES);
    aead_seal_once(out + AEAD_NONCE_BYTES, unseal_key, out, (bytes){0}, clear);
    seal_measure("shamir", true, begun_ns, true);
    return seal_blob_text(a, &(struct seal_blob){.ciphertext = {out, n}});
}

struct error *seal_blob_open(struct arena *a, bytes blob, bytes unseal_key, struct secret **ret)
{
    struct seal_blob parsed = {0};
    bytes sealed = {0};

    if (seal_blob_parse(blob, &parsed))
        sealed = parsed.ciphertext;
    if (sealed.n < AEAD_NONCE_BYTES + AEAD_TAG_BYTES)
        return error_new(a, ERR_INTERNAL, "%s is damaged", blob_path);
    if (unseal_key.n != 16 && unseal_key.n != 32)
        return error_new(a, ERR_BAD_REQUEST,
                         "unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: "
                         "wrong key length");
    int64_t begun_ns = clock_mono_ns(clock_real());
    struct aead_key *k = aead_key_new(unseal_key);
    size_t n = sealed.n - AEAD_NONCE_BYTES - AEAD_TAG_BYTES;
    uint8_t *clear = arena_alloc(a, n + 1);
    bool ok = aead_open(clear, k, sealed.p, (bytes){0},
                        (bytes){sealed.p + AEAD_NONCE_BYTES, sealed.n - AEAD_NONCE_BYTES});

    aead_key_free(k);
    seal_measure("shamir", false, begun_ns, ok);
    if (!ok)
        return error_new(a, ERR_BAD_REQUEST,
                         "unable to retrieve stored keys: invalid key: failed to decrypt keys from storage: "
                         "cipher: message authentication failed");
    return stored_keys_root(a, (bytes){clear, n}, ret);
}

struct error *seal_root_key(struct storage *s, struct arena *a, const struct seal_config *c, bytes unseal_key,
                            struct secret **ret)
{
    bytes blob;

    if (!c->has_blob) {
        *ret = secret_from(unseal_key);
        return NULL;
    }
    TRY(storage_get(s, a, str_from_cstr(blob_path), &blob));
    if (!blob.p)
        return error_new(a, ERR_INTERNAL, "%s is gone", blob_path);
    return seal_blob_open(a, blob, unseal_key, ret);
}

struct unseal_progress *unseal_progress_new(struct rng *rng)
{
    struct unseal_progress *p = calloc(1, sizeof(*p));

    if (!p)
        die("out of memory");
    rng_uuid(rng, p->nonce);
    return p;
}

void unseal_progress_free(struct unseal_progress *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < p->n; i++)
        secret_free(p->shares[i]);
    free(p);
}

bool unseal_progress_add(struct unseal_progress *p, bytes share)
{
    for (unsigned i = 0; i < p->n; i++)
        if (secret_equal(secret_reveal(p->shares[i]), share))
            return false;
    if (p->n < COUNT_OF(p->shares))
        p->shares[p->n++] = secret_from(share);
    return true;
}

struct error *unseal_progress_join(const struct unseal_progress *p, struct arena *a, unsigned threshold,
                                   struct secret **ret)
{
    bytes v[COUNT_OF(p->shares)];

    for (unsigned i = 0; i < p->n; i++)
        v[i] = secret_reveal(p->shares[i]);
    if (threshold == 1) {
        *ret = secret_from(v[0]);
        return NULL;
    }
    struct error *e = shares_join(a, v, p->n, ret);

    return e ? error_wrap(a, e, "failed to compute master key: %.*s", PSTR(e->text)) : NULL;
}
