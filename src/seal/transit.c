/* transit: another server's engine transit (Vault, OpenBao, coffer) as the key service. There is no envelope:
 * what is encrypted goes there itself. Its token is renewed at two thirds of its life. */
#include "base/encode.h"
#include "base/log.h"
#include "client/client.h"
#include "seal/seal_private.h"

#include <errno.h>
#include <unistd.h>

enum { RETRIES = 2, KEEP_MIN_S = 1, KEEP_MAX_S = 3600 };

struct transit_state {
    struct client *client;
    str mount, key_name;
    bool renews; /* until the server says that this token cannot be renewed */
};

static struct error *tls_settings(struct arena *a, const struct config_block *c,
                                  struct http_client_config *http)
{
    static const char *const names[] = {"tls_ca_cert",    "tls_ca_path",     "tls_client_cert",
                                        "tls_client_key", "tls_server_name", "tls_skip_verify"};
    str values[COUNT_OF(names)];
    bool any = false;

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        values[i] = config_block_get(c, str_from_cstr(names[i]));
        any = any || values[i].n > 0;
    }
    if (!any)
        return NULL; /* the environment's stay */
    *http = (struct http_client_config){.ca_file = values[0],
                                        .ca_path = values[1],
                                        .client_cert_file = values[2],
                                        .client_key_file = values[3],
                                        .tls_server_name = values[4],
                                        .proxy = http->proxy};
    return config_bool_from_str(values[5], &http->tls_skip_verify)
               ? NULL
               : error_new(a, ERR_BAD_REQUEST, "invalid value for tls_skip_verify: \"%.*s\"",
                           PSTR(values[5]));
}

static struct error *client_open(struct seal *s, struct arena *a, const struct config_block *c,
                                 struct client **ret)
{
    struct environment env = {.program = str_from_cstr(program_invocation_short_name),
                              .vars = (const char *const *)environ};
    struct client_settings settings;
    str address = config_block_get(c, STR("address")), token = config_block_get(c, STR("token")),
        name_space = seal_param(c, "namespace", NULL, "NAMESPACE");

    TRY(client_settings_from_environment(a, &env, &settings));
    if (address.n > 0)
        settings.address = address;
    if (token.n > 0)
        settings.token = token;
    settings.name_space = name_space;
    settings.wrap_ttl = (str){0};
    settings.retries_max = RETRIES;
    TRY(tls_settings(a, c, &settings.http));
    settings.http.cancelled = &s->host->cancelled;
    return client_new(a, &settings, ret);
}

static struct error *transit_open(struct seal *s, struct arena *a, const struct config_block *c,
                                  void **ret_state)
{
    struct transit_state *st = ARENA_NEW(s->arena, struct transit_state);
    bool never = false;

    st->mount = seal_param(c, "mount_path", "TRANSIT_WRAPPER_MOUNT_PATH", "TRANSIT_SEAL_MOUNT_PATH");
    st->key_name = seal_param(c, "key_name", "TRANSIT_WRAPPER_KEY_NAME", "TRANSIT_SEAL_KEY_NAME");
    if (st->mount.n == 0)
        return error_new(a, ERR_BAD_REQUEST, "mount_path is required");
    if (st->key_name.n == 0)
        return error_new(a, ERR_BAD_REQUEST, "key_name is required");
    while (str_ends(st->mount, STR("/")))
        st->mount.n--;
    st->mount = arena_str(s->arena, st->mount);
    st->key_name = arena_str(s->arena, st->key_name);
    if (!config_bool_from_str(seal_param(c, "disable_renewal", "TRANSIT_WRAPPER_DISABLE_RENEWAL",
                                         "TRANSIT_SEAL_DISABLE_RENEWAL"),
                              &never))
        return error_new(a, ERR_BAD_REQUEST, "invalid value for disable_renewal");
    st->renews = !never;
    TRY(client_open(s, s->arena, c, &st->client));
    *ret_state = st;
    return NULL;
}

static void transit_close(struct seal *s)
{
    client_free(((struct transit_state *)s->state)->client);
}

static struct error *put(struct seal *s, struct arena *a, str path, const struct json *body,
                         struct json **ret)
{
    struct transit_state *st = s->state;
    struct client_answer answer;

    TRY(client_send(st->client, a, &(struct client_request){.method = "PUT", .path = path, .body = body},
                    &answer));
    TRY(client_check(a, &answer));
    if (!answer.json)
        return error_new(a, ERR_INTERNAL, "transit: %.*s: the answer is not JSON", PSTR(path));
    *ret = answer.json;
    return NULL;
}

static struct error *operate(struct seal *s, struct arena *a, const char *op, const char *in, str value,
                             const char *out, str *ret)
{
    struct transit_state *st = s->state;
    struct json *body = json_object(a), *answer;

    json_set_str(a, body, str_from_cstr(in), value);
    TRY(put(s, a, arena_fmt(a, "%.*s/%s/%.*s", PSTR(st->mount), op, PSTR(st->key_name)), body, &answer));
    *ret = json_get_str(json_get(answer, STR("data")), str_from_cstr(out));
    return ret->n ? NULL : error_new(a, ERR_INTERNAL, "transit: %s: the answer has no %s", op, out);
}

/* "vault:v3:…": three parts, the middle one names the key's version. */
static struct error *transit_encrypt(struct seal *s, struct arena *a, bytes clear, struct seal_blob *ret)
{
    str text, first, version, rest;

    TRY(operate(s, a, "encrypt", "plaintext", base64_encode(a, clear), "ciphertext", &text));
    if (!str_cut(text, ':', &first, &rest) || !str_cut(rest, ':', &version, &rest) || version.n == 0 ||
        str_index(rest, ':') < rest.n)
        return error_new(a, ERR_INTERNAL, "invalid ciphertext returned");
    ret->ciphertext = bytes_from_str(text);
    ret->key_id = version;
    return NULL;
}

static struct error *transit_decrypt(struct seal *s, struct arena *a, const struct seal_blob *b,
                                     struct secret **ret)
{
    str text;
    bytes clear;

    TRY(operate(s, a, "decrypt", "ciphertext", str_from_bytes(b->ciphertext), "plaintext", &text));
    if (!base64_decode(a, text, &clear) || clear.n == 0)
        return error_new(a, ERR_INTERNAL, "transit: decrypt: the answer is not base64");
    *ret = secret_from(clear);
    return NULL;
}

/* A token that cannot be renewed (a root token) is used as it is. */
static int64_t transit_keep(struct seal *s, struct arena *a)
{
    struct transit_state *st = s->state;
    struct json *body = json_object(a), *answer;

    if (!st->renews)
        return 0;
    json_set_int(a, body, STR("increment"), 0);
    struct error *e = put(s, a, STR("auth/token/renew-self"), body, &answer);
    int64_t ttl_s = e ? 0 : json_get_int(json_get(answer, STR("auth")), STR("lease_duration"));

    if (e && e->kind == ERR_INTERNAL && str_find(e->text, STR("Code: ")) == e->text.n)
        return KEEP_MIN_S * 10 * NS_PER_S; /* nobody answered: later */
    st->renews = !e && ttl_s > 0 && json_get_bool(json_get(answer, STR("auth")), STR("renewable"));
    if (e)
        log_info("core", "unable to renew token, disabling renewal", F_STR("error", e->text));
    return st->renews ? MIN(MAX(ttl_s * 2 / 3, KEEP_MIN_S), KEEP_MAX_S) * NS_PER_S : 0;
}

const struct seal_ops seal_transit = {
    .type = "transit",
    .open = transit_open,
    .close = transit_close,
    .encrypt = transit_encrypt,
    .decrypt = transit_decrypt,
    .keep = transit_keep,
};
