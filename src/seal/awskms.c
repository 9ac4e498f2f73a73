/* awskms: AWS's key management: DescribeKey at the first use, Encrypt and Decrypt of data keys. */
#include "base/encode.h"
#include "cloud/aws/aws.h"
#include "seal/seal_private.h"

struct awskms_state {
    struct aws *aws;
    struct cloud_host host;
    str key_id, endpoint; /* endpoint empty: the region's own */
};

/* Environment variables may be forbidden for parameters (not for credentials). */
static str param(const struct config_block *c, bool no_env, const char *key, const char *exact,
                 const char *setting)
{
    return no_env ? config_block_get(c, str_from_cstr(key)) : seal_param(c, key, exact, setting);
}

static struct error *awskms_open(struct seal *s, struct arena *a, const struct config_block *c,
                                 void **ret_state)
{
    struct awskms_state *st = ARENA_NEW(s->arena, struct awskms_state);
    bool no_env = false;
    struct aws_settings settings = {
        .access_key = config_block_get(c, STR("access_key")),
        .secret_key = config_block_get(c, STR("secret_key")),
        .session_token = config_block_get(c, STR("session_token")),
        .region = config_block_get(c, STR("region")),
        .shared_file = config_block_get(c, STR("shared_creds_filename")),
        .shared_profile = config_block_get(c, STR("shared_creds_profile")),
        .role_arn = config_block_get(c, STR("role_arn")),
        .role_session_name = config_block_get(c, STR("role_session_name")),
        .web_identity_token_file = config_block_get(c, STR("web_identity_token_file")),
    };

    if (!config_bool_from_str(config_block_get(c, STR("disallow_env_vars")), &no_env))
        return error_new(a, ERR_BAD_REQUEST, "invalid value for disallow_env_vars");
    st->key_id =
        arena_str(s->arena, param(c, no_env, "kms_key_id", "AWSKMS_WRAPPER_KEY_ID", "AWSKMS_SEAL_KEY_ID"));
    if (st->key_id.n == 0)
        return error_new(a, ERR_BAD_REQUEST,
                         "key id not found in env or config for aws kms wrapper configuration");
    st->endpoint = arena_str(s->arena, param(c, no_env, "endpoint", "AWS_KMS_ENDPOINT", NULL));
    if (st->endpoint.n > 0 && str_find(st->endpoint, STR("://")) == st->endpoint.n)
        st->endpoint = arena_join(s->arena, STR("https://"), st->endpoint);
    while (str_ends(st->endpoint, STR("/")))
        st->endpoint.n--;
    seal_set_key_id(s, st->key_id);
    st->host = (struct cloud_host){s->host->rng, s->host->clock, &s->host->cancelled};
    TRY(aws_new(a, &settings, &st->host, &st->aws));
    *ret_state = st;
    return NULL;
}

static void awskms_close(struct seal *s)
{
    aws_free(((struct awskms_state *)s->state)->aws);
}

static struct error *call(struct seal *s, struct arena *a, const char *op, const struct json *body,
                          struct json **ret)
{
    struct awskms_state *st = s->state;
    str region = aws_region(st->aws), endpoint = st->endpoint;

    if (endpoint.n == 0)
        endpoint = arena_fmt(a, "https://kms.%.*s.amazonaws.com%s", PSTR(region),
                             str_starts(region, STR("cn-")) ? ".cn" : "");
    return aws_call(st->aws, a,
                    &(struct aws_call){.service = STR("kms"),
                                       .endpoint = endpoint,
                                       .target = arena_fmt(a, "TrentService.%s", op),
                                       .content_type = STR("application/x-amz-json-1.1"),
                                       .body = body},
                    ret);
}

static struct error *awskms_check(struct seal *s, struct arena *a)
{
    struct awskms_state *st = s->state;
    struct json *body = json_object(a), *answer;

    json_set_str(a, body, STR("KeyId"), st->key_id);
    TRY(seal_step(a, call(s, a, "DescribeKey", body, &answer),
                  "error fetching AWS KMS wrapping key information"));
    str id = json_get_str(json_get(answer, STR("KeyMetadata")), STR("KeyId"));

    if (id.n == 0)
        return error_new(a, ERR_INTERNAL,
                         "error fetching AWS KMS wrapping key information: no key id returned");
    seal_set_key_id(s, id);
    return NULL;
}

static struct error *awskms_encrypt(struct seal *s, struct arena *a, bytes clear, struct seal_blob *ret)
{
    struct awskms_state *st = s->state;
    struct json *body = json_object(a), *answer;
    uint8_t key[SEAL_DATA_KEY_BYTES];

    envelope_seal(s, a, clear, key, ret);
    json_set_str(a, body, STR("KeyId"), st->key_id);
    json_set_str(a, body, STR("Plaintext"), base64_encode(a, (bytes){key, sizeof(key)}));
    wipe(key, sizeof(key));
    TRY(seal_step(a, call(s, a, "Encrypt", body, &answer), "error encrypting data"));
    ret->mechanism = MECHANISM_ENVELOPE;
    ret->key_id = json_get_str(answer, STR("KeyId"));
    if (!base64_decode(a, json_get_str(answer, STR("CiphertextBlob")), &ret->wrapped_key) ||
        ret->wrapped_key.n == 0 || ret->key_id.n == 0)
        return error_new(a, ERR_INTERNAL, "error encrypting data: AWS KMS gave no ciphertext");
    return NULL;
}

static struct error *kms_decrypt(struct seal *s, struct arena *a, bytes ciphertext, bytes *ret)
{
    struct json *body = json_object(a), *answer;

    json_set_str(a, body, STR("CiphertextBlob"), base64_encode(a, ciphertext));
    TRY(call(s, a, "Decrypt", body, &answer));
    if (!base64_decode(a, json_get_str(answer, STR("Plaintext")), ret) || ret->n == 0)
        return error_new(a, ERR_INTERNAL, "AWS KMS gave no plaintext");
    return NULL;
}

static struct error *awskms_decrypt(struct seal *s, struct arena *a, const struct seal_blob *b,
                                    struct secret **ret)
{
    return mechanism_decrypt(s, a, b, kms_decrypt, ret);
}

const struct seal_ops seal_awskms = {
    .type = "awskms",
    .open = awskms_open,
    .close = awskms_close,
    .check = awskms_check,
    .encrypt = awskms_encrypt,
    .decrypt = awskms_decrypt,
};
