/* azurekeyvault: a key of Azure's Key Vault, which wraps data keys with RSA-OAEP-256. */
#include "base/encode.h"
#include "cloud/azure/azure.h"
#include "seal/seal_private.h"

enum { HSM_KEY_BYTES = 33, HSM_SHORT_KEY_BYTES = 18 };
#define API "?api-version=7.1"

struct azurekeyvault_state {
    struct azure *azure;
    struct cloud_host host;
    str url; /* "https://NAME.SUFFIX/keys/KEY/" */
};

static struct error *azurekeyvault_open(struct seal *s, struct arena *a, const struct config_block *c,
                                        void **ret_state)
{
    struct azurekeyvault_state *st = ARENA_NEW(s->arena, struct azurekeyvault_state);
    struct azure_settings settings = {
        .tenant_id = seal_param(c, "tenant_id", "AZURE_TENANT_ID", NULL),
        .client_id = seal_param(c, "client_id", "AZURE_CLIENT_ID", NULL),
        .client_secret = seal_param(c, "client_secret", "AZURE_CLIENT_SECRET", NULL),
        .environment = seal_param(c, "environment", "AZURE_ENVIRONMENT", NULL),
    };
    struct azure_endpoints ends;
    str resource = seal_param(c, "resource", "AZURE_AD_RESOURCE", NULL),
        vault = seal_param(c, "vault_name", "AZUREKEYVAULT_WRAPPER_VAULT_NAME", "AZUREKEYVAULT_VAULT_NAME"),
        key = seal_param(c, "key_name", "AZUREKEYVAULT_WRAPPER_KEY_NAME", "AZUREKEYVAULT_KEY_NAME");

    if (vault.n == 0)
        return error_new(a, ERR_BAD_REQUEST, "vault name is required");
    if (key.n == 0)
        return error_new(a, ERR_BAD_REQUEST, "key name is required");
    TRY(azure_endpoints_find(s->arena, settings.environment, &ends));
    if (resource.n == 0)
        resource = ends.vault_suffix;
    st->url = arena_fmt(s->arena, "https://%.*s.%.*s/keys/%.*s/", PSTR(vault), PSTR(resource), PSTR(key));
    st->host = (struct cloud_host){s->host->rng, s->host->clock, &s->host->cancelled};
    TRY(azure_new(a, &settings, arena_fmt(a, "https://%.*s", PSTR(resource)), ends.authority, &st->host,
                  &st->azure));
    *ret_state = st;
    return NULL;
}

static void azurekeyvault_close(struct seal *s)
{
    azure_free(((struct azurekeyvault_state *)s->state)->azure);
}

/* Behind the last slash: the key's version. */
static str version_of(str kid)
{
    size_t slash = str_rindex(kid, '/');

    return slash < kid.n ? str_from(kid, slash + 1) : (str){0};
}

static struct error *azurekeyvault_check(struct seal *s, struct arena *a)
{
    struct azurekeyvault_state *st = s->state;
    struct json *answer;

    TRY(seal_step(a, azure_call(st->azure, a, arena_join(a, st->url, STR(API)), NULL, &answer),
                  "error fetching Azure Key Vault wrapper key information"));
    str version = version_of(json_get_str(json_get(answer, STR("key")), STR("kid")));

    if (version.n == 0)
        return error_new(
            a, ERR_INTERNAL,
            "error fetching Azure Key Vault wrapper key information: no key information returned");
    seal_set_key_id(s, version);
    return NULL;
}

/* An empty version is the newest one. */
static struct error *call(struct seal *s, struct arena *a, str version, const char *op, str value,
                          struct json **ret)
{
    struct azurekeyvault_state *st = s->state;
    struct json *body = json_object(a);

    json_set_str(a, body, STR("alg"), STR("RSA-OAEP-256"));
    json_set_str(a, body, STR("value"), value);
    return azure_call(st->azure, a, arena_fmt(a, "%.*s%.*s/%s" API, PSTR(st->url), PSTR(version), op), body,
                      ret);
}

static struct error *azurekeyvault_encrypt(struct seal *s, struct arena *a, bytes clear,
                                           struct seal_blob *ret)
{
    struct json *answer;
    uint8_t key[SEAL_DATA_KEY_BYTES];

    envelope_seal(s, a, clear, key, ret);
    str value = base64url_encode(a, (bytes){key, sizeof(key)});

    wipe(key, sizeof(key));
    TRY(seal_step(a, call(s, a, (str){0}, "wrapkey", value, &answer), "error wrapping data key"));
    ret->key_id = version_of(json_get_str(answer, STR("kid")));
    ret->wrapped_key = bytes_from_str(json_get_str(answer, STR("value")));
    if (ret->wrapped_key.n == 0 || ret->key_id.n == 0)
        return error_new(a, ERR_INTERNAL, "error wrapping data key: Key Vault gave no wrapped key");
    return NULL;
}

/* Managed HSMs put one zero byte behind a key of 32, two behind one of 16. */
static bytes without_padding(bytes key)
{
    if (key.n == HSM_KEY_BYTES && key.p[32] == 0)
        key.n = 32;
    else if (key.n == HSM_SHORT_KEY_BYTES && key.p[16] == 0 && key.p[17] == 0)
        key.n = 16;
    return key;
}

static struct error *azurekeyvault_decrypt(struct seal *s, struct arena *a, const struct seal_blob *b,
                                           struct secret **ret)
{
    struct json *answer;
    bytes key;

    TRY(seal_step(a,
                  call(s, a, url_encode(a, b->key_id), "unwrapkey", str_from_bytes(b->wrapped_key), &answer),
                  "error unwrapping data key"));
    if (!base64url_decode(a, json_get_str(answer, STR("value")), &key))
        return error_new(a, ERR_INTERNAL, "error unwrapping data key: Key Vault gave no key");
    return envelope_open(a, without_padding(key), b, ret);
}

const struct seal_ops seal_azurekeyvault = {
    .type = "azurekeyvault",
    .open = azurekeyvault_open,
    .close = azurekeyvault_close,
    .check = azurekeyvault_check,
    .encrypt = azurekeyvault_encrypt,
    .decrypt = azurekeyvault_decrypt,
};
