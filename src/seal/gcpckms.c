/* gcpckms: Google's Cloud KMS, by its REST interface. */
#include "base/encode.h"
#include "cloud/gcp/gcp.h"
#include "seal/seal_private.h"

struct gcpckms_state {
    struct gcp *gcp;
    struct cloud_host host;
    str url; /* of the key */
};

static struct error *need(struct arena *a, const struct config_block *c, const char *key, const char *exact,
                          const char *setting, str *ret)
{
    *ret = seal_param(c, key, exact, setting);
    return ret->n ? NULL
                  : error_new(a, ERR_BAD_REQUEST, "'%s' not found for GCP CKMS wrapper configuration", key);
}

static struct error *gcpckms_open(struct seal *s, struct arena *a, const struct config_block *c,
                                  void **ret_state)
{
    struct gcpckms_state *st = ARENA_NEW(s->arena, struct gcpckms_state);
    str project, region, ring, key, endpoint = config_block_get(c, STR("endpoint"));

    TRY(need(a, c, "project", "GOOGLE_PROJECT", NULL, &project));
    TRY(need(a, c, "region", "GOOGLE_REGION", NULL, &region));
    TRY(need(a, c, "key_ring", "GCPCKMS_WRAPPER_KEY_RING", "GCPCKMS_SEAL_KEY_RING", &ring));
    TRY(need(a, c, "crypto_key", "GCPCKMS_WRAPPER_CRYPTO_KEY", "GCPCKMS_SEAL_CRYPTO_KEY", &key));
    while (str_ends(endpoint, STR("/")))
        endpoint.n--;
    if (endpoint.n == 0)
        endpoint = STR("https://cloudkms.googleapis.com");
    st->url = arena_fmt(s->arena, "%.*s/v1/projects/%.*s/locations/%.*s/keyRings/%.*s/cryptoKeys/%.*s",
                        PSTR(endpoint), PSTR(project), PSTR(region), PSTR(ring), PSTR(key));
    st->host = (struct cloud_host){s->host->rng, s->host->clock, &s->host->cancelled};
    TRY(gcp_new(a, seal_param(c, "credentials", "GOOGLE_CREDENTIALS", NULL), &st->host, &st->gcp));
    *ret_state = st;
    return NULL;
}

static void gcpckms_close(struct seal *s)
{
    gcp_free(((struct gcpckms_state *)s->state)->gcp);
}

static struct error *call(struct seal *s, struct arena *a, const char *method, const struct json *body,
                          struct json **ret)
{
    struct gcpckms_state *st = s->state;

    return gcp_call(st->gcp, a, arena_fmt(a, "%.*s%s", PSTR(st->url), method), body, ret);
}

static struct error *gcpckms_check(struct seal *s, struct arena *a)
{
    static const char *const wanted[] = {"useToSign", "useToVerify", "viewPublicKey", "useToDecrypt",
                                         "useToEncrypt"};
    struct json *body = json_object(a), *list = json_array(a), *answer;

    TRY(seal_step(a, call(s, a, "", NULL, &answer), "error checking key existence"));
    for (size_t i = 0; i < COUNT_OF(wanted); i++)
        json_append(a, list, json_string(a, arena_fmt(a, "cloudkms.cryptoKeyVersions.%s", wanted[i])));
    json_set(a, body, STR("permissions"), list);
    TRY(seal_step(a, call(s, a, ":testIamPermissions", body, &answer), "error checking key permissions"));
    const struct json *got = json_get(answer, STR("permissions"));

    return got && got->type == JSON_ARRAY && got->n > 0
               ? NULL
               : error_new(a, ERR_INTERNAL, "error checking key permissions: none of them is granted");
}

static struct error *gcpckms_encrypt(struct seal *s, struct arena *a, bytes clear, struct seal_blob *ret)
{
    struct json *body = json_object(a), *answer;
    uint8_t key[SEAL_DATA_KEY_BYTES];

    envelope_seal(s, a, clear, key, ret);
    json_set_str(a, body, STR("plaintext"), base64_encode(a, (bytes){key, sizeof(key)}));
    wipe(key, sizeof(key));
    TRY(seal_step(a, call(s, a, ":encrypt", body, &answer), "error encrypting data"));
    ret->mechanism = MECHANISM_ENVELOPE;
    ret->key_id = json_get_str(answer, STR("name"));
    if (!base64_decode(a, json_get_str(answer, STR("ciphertext")), &ret->wrapped_key) ||
        ret->wrapped_key.n == 0 || ret->key_id.n == 0)
        return error_new(a, ERR_INTERNAL, "error encrypting data: Cloud KMS gave no ciphertext");
    return NULL;
}

static struct error *kms_decrypt(struct seal *s, struct arena *a, bytes ciphertext, bytes *ret)
{
    struct json *body = json_object(a), *answer;

    json_set_str(a, body, STR("ciphertext"), base64_encode(a, ciphertext));
    TRY(call(s, a, ":decrypt", body, &answer));
    if (!base64_decode(a, json_get_str(answer, STR("plaintext")), ret) || ret->n == 0)
        return error_new(a, ERR_INTERNAL, "Cloud KMS gave no plaintext");
    return NULL;
}

static struct error *gcpckms_decrypt(struct seal *s, struct arena *a, const struct seal_blob *b,
                                     struct secret **ret)
{
    return mechanism_decrypt(s, a, b, kms_decrypt, ret);
}

const struct seal_ops seal_gcpckms = {
    .type = "gcpckms",
    .open = gcpckms_open,
    .close = gcpckms_close,
    .check = gcpckms_check,
    .encrypt = gcpckms_encrypt,
    .decrypt = gcpckms_decrypt,
};
