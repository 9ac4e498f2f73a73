#include "crypto/jose.h"

#include "base/encode.h"
#include "crypto/ecdsa.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

enum { RSA_BITS = 2048, RSA_BITS_MAX = 16384, ED25519_BYTES = 32, JWS_BYTES_MAX = 1024 * 1024 };
enum kind { KIND_RSA, KIND_EC256, KIND_EC384, KIND_EC521, KIND_ED25519, KIND_COUNT_ };

static const struct {
    const char *kty, *crv, *group; /* crv: NULL for RSA; group: OpenSSL's name of a curve */
    size_t number_bytes;           /* of a coordinate */
} kinds[KIND_COUNT_] = {
    [KIND_RSA] = {"RSA"},
    [KIND_EC256] = {"EC", "P-256", "P-256", 32},
    [KIND_EC384] = {"EC", "P-384", "P-384", 48},
    [KIND_EC521] = {"EC", "P-521", "P-521", 66},
    [KIND_ED25519] = {"OKP", "Ed25519", NULL, ED25519_BYTES},
};

struct algorithm {
    const char *name;
    enum kind kind;
    const char *digest; /* NULL: the algorithm's own */
    bool pss;
};

static const struct algorithm algorithms[] = {
    {"RS256", KIND_RSA, "SHA256", false},   {"RS384", KIND_RSA, "SHA384", false},
    {"RS512", KIND_RSA, "SHA512", false},   {"PS256", KIND_RSA, "SHA256", true},
    {"PS384", KIND_RSA, "SHA384", true},    {"PS512", KIND_RSA, "SHA512", true},
    {"ES256", KIND_EC256, "SHA256", false}, {"ES384", KIND_EC384, "SHA384", false},
    {"ES512", KIND_EC521, "SHA512", false}, {"EdDSA", KIND_ED25519, NULL, false},
};

static const struct algorithm *algorithm_named(str name)
{
    for (size_t i = 0; i < COUNT_OF(algorithms); i++)
        if (str_eq(name, str_from_cstr(algorithms[i].name)))
            return &algorithms[i];
    return NULL;
}

static struct error *bad_key(struct arena *a, const char *why)
{
    ERR_clear_error();
    return error_new(a, ERR_BAD_REQUEST, "invalid JSON Web Key: %s", why);
}

/* ---- making ---- */

static void put_bytes(struct arena *a, struct json *jwk, const char *name, bytes b)
{
    json_set_str(a, jwk, str_from_cstr(name), base64url_encode(a, b));
}

/* A number of the key; of its own length when n is 0. */
static bool put_number(struct arena *a, struct json *jwk, const char *name, const EVP_PKEY *key,
                       const char *param, size_t n)
{
    BIGNUM *number = NULL;

    if (EVP_PKEY_get_bn_param(key, param, &number) != 1)
        return false;
    size_t len = n ? n : (size_t)BN_num_bytes(number);
    uint8_t *out = arena_alloc(a, len);
    bool ok = BN_bn2binpad(number, out, (int)len) == (int)len;

    BN_clear_free(number);
    if (ok)
        put_bytes(a, jwk, name, (bytes){out, len});
    return ok;
}

static bool put_rsa(struct arena *a, struct json *jwk, const EVP_PKEY *key)
{
    static const struct {
        const char *name, *param;
    } numbers[] = {{"n", OSSL_PKEY_PARAM_RSA_N},          {"e", OSSL_PKEY_PARAM_RSA_E},
                   {"d", OSSL_PKEY_PARAM_RSA_D},          {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
                   {"q", OSSL_PKEY_PARAM_RSA_FACTOR2},    {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
                   {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};
    bool ok = true;

    for (size_t i = 0; ok && i < COUNT_OF(numbers); i++)
        ok = put_number(a, jwk, numbers[i].name, key, numbers[i].param, 0);
    return ok;
}

static bool put_ed25519(struct arena *a, struct json *jwk, const EVP_PKEY *key)
{
    uint8_t *x = arena_alloc(a, ED25519_BYTES), *d = arena_alloc(a, ED25519_BYTES);
    size_t x_n = ED25519_BYTES, d_n = ED25519_BYTES;

    if (EVP_PKEY_get_raw_public_key(key, x, &x_n) != 1 || EVP_PKEY_get_raw_private_key(key, d, &d_n) != 1)
        return false;
    put_bytes(a, jwk, "x", (bytes){x, x_n});
    put_bytes(a, jwk, "d", (bytes){d, d_n});
    return true;
}

static EVP_PKEY *generate(enum kind kind)
{
    switch (kind) {
    case KIND_RSA: return EVP_RSA_gen(RSA_BITS);
    case KIND_ED25519: return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    default: return EVP_EC_gen(kinds[kind].group);
    }
}

static bool put_key(struct arena *a, struct json *jwk, enum kind kind, const EVP_PKEY *key)
{
    size_t n = kinds[kind].number_bytes;

    if (!key)
        return false;
    if (kind == KIND_RSA)
        return put_rsa(a, jwk, key);
    if (kind == KIND_ED25519)
        return put_ed25519(a, jwk, key);
    return put_number(a, jwk, "x", key, OSSL_PKEY_PARAM_EC_PUB_X, n) &&
           put_number(a, jwk, "y", key, OSSL_PKEY_PARAM_EC_PUB_Y, n) &&
           put_number(a, jwk, "d", key, OSSL_PKEY_PARAM_PRIV_KEY, n);
}

struct error *jwk_generate(struct arena *a, str alg, str kid, struct json **ret)
{
    const struct algorithm *al = algorithm_named(alg);

    if (!al)
        return error_new(a, ERR_BAD_REQUEST, "unknown algorithm \"%.*s\"", PSTR(alg));
    struct json *jwk = json_object_ordered(a);

    json_set_str(a, jwk, STR("use"), STR("sig"));
    json_set_str(a, jwk, STR("kty"), str_from_cstr(kinds[al->kind].kty));
    json_set_str(a, jwk, STR("kid"), kid);
    if (kinds[al->kind].crv)
        json_set_str(a, jwk, STR("crv"), str_from_cstr(kinds[al->kind].crv));
    json_set_str(a, jwk, STR("alg"), alg);
    EVP_PKEY *key = generate(al->kind);
    bool ok = put_key(a, jwk, al->kind, key);

    EVP_PKEY_free(key);
    if (!ok) {
        ERR_clear_error();
        return error_new(a, ERR_INTERNAL, "no %.*s key could be made", PSTR(alg));
    }
    *ret = jwk;
    return NULL;
}

struct json *jwk_public(struct arena *a, const struct json *jwk)
{
    static const char *const names[] = {"use", "kty", "kid", "crv", "alg", "x", "y", "n", "e"};
    struct json *out = json_object_ordered(a);

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        str name = str_from_cstr(names[i]);
        struct json *value = json_get(jwk, name);

        if (value)
            json_set(a, out, name, value);
    }
    return out;
}

/* ---- reading keys ---- */

/* False: absent, empty, or not base64url. */
static bool number_bytes(struct arena *a, const struct json *jwk, const char *name, bytes *ret)
{
    return base64url_decode(a, json_get_str(jwk, str_from_cstr(name)), ret) && ret->n > 0;
}

static EVP_PKEY *pkey_from(const char *type, OSSL_PARAM_BLD *builder, bool is_private)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    for (OSSL_PARAM *p = params; p && p->key; p++)
        OPENSSL_cleanse(p->data, p->data_size);
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

enum { RSA_NUMBERS = 8, RSA_PUBLIC_NUMBERS = 2, RSA_PLAIN_NUMBERS = 3 };

static EVP_PKEY *load_rsa(struct arena *a, const struct json *jwk, bool is_private)
{
    static const char *const names[RSA_NUMBERS] = {"n", "e", "d", "p", "q", "dp", "dq", "qi"};
    static const char *const params[RSA_NUMBERS] = {
        OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,           OSSL_PKEY_PARAM_RSA_D,
        OSSL_PKEY_PARAM_RSA_FACTOR1,   OSSL_PKEY_PARAM_RSA_FACTOR2,     OSSL_PKEY_PARAM_RSA_EXPONENT1,
        OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *numbers[RSA_NUMBERS] = {0};
    size_t n = 0, wanted = is_private ? RSA_NUMBERS : RSA_PUBLIC_NUMBERS;
    bytes b;

    while (n < wanted && number_bytes(a, jwk, names[n], &b) && b.n <= RSA_BITS_MAX / 8 &&
           (numbers[n] = BN_bin2bn(b.p, (int)b.n, NULL)) != NULL)
        n++;
    if (is_private && n < wanted) /* without the factors it is slower, that is all */
        wanted = RSA_PLAIN_NUMBERS;
    bool ok = builder && n >= wanted && BN_num_bits(numbers[0]) >= RSA_BITS && BN_is_odd(numbers[1]) &&
              !BN_is_one(numbers[1]);

    for (size_t i = 0; ok && i < wanted; i++)
        ok = OSSL_PARAM_BLD_push_BN(builder, params[i], numbers[i]) == 1;
    EVP_PKEY *key = ok ? pkey_from("RSA", builder, is_private) : NULL;

    for (size_t i = 0; i < RSA_NUMBERS; i++)
        BN_clear_free(numbers[i]);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static EVP_PKEY *load_ec(struct arena *a, enum kind kind, const struct json *jwk, bool is_private)
{
    size_t n = kinds[kind].number_bytes;
    uint8_t point[1 + 2 * ECDSA_NUMBER_BYTES_MAX] = {4};
    bytes x, y, d;

    if (!number_bytes(a, jwk, "x", &x) || !number_bytes(a, jwk, "y", &y) || x.n != n || y.n != n ||
        (is_private && (!number_bytes(a, jwk, "d", &d) || d.n > n)))
        return NULL;
    memcpy(point + 1, x.p, n);
    memcpy(point + 1 + n, y.p, n);
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *number = is_private ? BN_bin2bn(d.p, (int)d.n, NULL) : NULL;
    bool ok =
        builder &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, kinds[kind].group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * n) == 1 &&
        (!is_private || OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, number) == 1);
    EVP_PKEY *key = ok ? pkey_from("EC", builder, is_private) : NULL;

    BN_clear_free(number);
    OSSL_PARAM_BLD_free(builder);
    return key;
}

static EVP_PKEY *load_ed25519(struct arena *a, const struct json *jwk, bool is_private)
{
    bytes b;

    if (!number_bytes(a, jwk, is_private ? "d" : "x", &b) || b.n != ED25519_BYTES)
        return NULL;
    return is_private ? EVP_PKEY_new_raw_private_key_ex(NULL, "ED25519", NULL, b.p, b.n)
                      : EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, b.p, b.n);
}

static EVP_PKEY *load_kind(struct arena *a, enum kind kind, const struct json *jwk, bool is_private)
{
    switch (kind) {
    case KIND_RSA: return load_rsa(a, jwk, is_private);
    case KIND_ED25519: return load_ed25519(a, jwk, is_private);
    default: return load_ec(a, kind, jwk, is_private);
    }
}

static enum kind kind_of(const struct json *jwk)
{
    str kty = json_get_str(jwk, STR("kty")), crv = json_get_str(jwk, STR("crv"));
    unsigned k = 0;

    while (k < KIND_COUNT_ && !(str_eq(kty, str_from_cstr(kinds[k].kty)) &&
                                (!kinds[k].crv || str_eq(crv, str_from_cstr(kinds[k].crv)))))
        k++;
    return (enum kind)k;
}

static void free_pkey(void *pkey)
{
    EVP_PKEY_free(pkey);
}

struct error *jose_key_load(struct arena *a, const struct json *jwk, struct jose_key **ret)
{
    enum kind kind = kind_of(jwk);
    str alg = json_get_str(jwk, STR("alg"));
    const struct algorithm *al = algorithm_named(alg);

    if (kind == KIND_COUNT_)
        return bad_key(a, "unknown kind or curve");
    if (alg.n > 0 && (!al || al->kind != kind))
        return bad_key(a, "its algorithm is not one of its kind");
    bool is_private = json_get(jwk, STR("d")) != NULL;
    EVP_PKEY *pkey = load_kind(a, kind, jwk, is_private);

    if (!pkey)
        return bad_key(a, "its numbers are not those of such a key");
    arena_defer(a, free_pkey, pkey);
    *ret = ARENA_NEW(a, struct jose_key);
    **ret = (struct jose_key){.pkey = pkey,
                              .kid = json_get_str(jwk, STR("kid")),
                              .alg = alg,
                              .kind = kind,
                              .is_private = is_private};
    return NULL;
}

/* ---- signing ---- */

static bool set_padding(const struct algorithm *al, EVP_PKEY_CTX *ctx)
{
    return !al->pss || (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
                        EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1);
}

static bool is_curve(enum kind kind)
{
    return kinds[kind].group != NULL;
}

static bool sign(struct arena *a, const struct algorithm *al, EVP_PKEY *pkey, bytes data, bytes *ret)
{
    size_t n = (size_t)EVP_PKEY_get_size(pkey), number = kinds[al->kind].number_bytes;
    uint8_t *out = arena_alloc(a, n);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *how;
    bool ok = ctx && EVP_DigestSignInit_ex(ctx, &how, al->digest, NULL, NULL, pkey, NULL) == 1 &&
              set_padding(al, how) && EVP_DigestSign(ctx, out, &n, data.p, data.n) == 1;

    EVP_MD_CTX_free(ctx);
    *ret = (bytes){out, n};
    if (ok && is_curve(al->kind)) {
        uint8_t *raw = arena_alloc(a, 2 * number);

        ok = ecdsa_from_der((bytes){out, n}, number, raw);
        *ret = (bytes){raw, 2 * number};
    }
    return ok;
}

struct error *jws_sign(struct arena *a, const struct jose_key *key, bytes payload, str *ret)
{
    const struct algorithm *al = algorithm_named(key->alg);
    struct json *header = json_object_ordered(a);
    bytes signature;

    if (!al || !key->is_private)
        return bad_key(a, "it cannot sign");
    json_set_str(a, header, STR("alg"), key->alg);
    if (key->kid.n)
        json_set_str(a, header, STR("kid"), key->kid);
    str head = base64url_encode(a, bytes_from_str(json_text(a, header)));
    str body = base64url_encode(a, payload);
    str signed_part = arena_fmt(a, "%.*s.%.*s", PSTR(head), PSTR(body));

    if (!sign(a, al, key->pkey, bytes_from_str(signed_part), &signature)) {
        ERR_clear_error();
        return error_new(a, ERR_INTERNAL, "the key could not sign");
    }
    str tail = base64url_encode(a, signature);

    *ret = arena_fmt(a, "%.*s.%.*s", PSTR(signed_part), PSTR(tail));
    return NULL;
}

/* ---- verifying ---- */

/* Without the padding that base64url_decode() would let pass. */
static bool part_decode(struct arena *a, str part, bytes *ret)
{
    return str_index(part, '=') == part.n && base64url_decode(a, part, ret);
}

struct error *jws_parse(struct arena *a, str compact, struct jws *ret)
{
    str head, rest, body, tail;
    bytes header;
    struct json *h;

    if (compact.n > JWS_BYTES_MAX)
        return error_new(a, ERR_BAD_REQUEST, "the token is too long");
    if (!str_cut(compact, '.', &head, &rest) || !str_cut(rest, '.', &body, &tail) ||
        str_index(tail, '.') != tail.n)
        return error_new(a, ERR_BAD_REQUEST, "compact JWS format must have three parts");
    *ret = (struct jws){.signed_part = str_slice(compact, 0, head.n + 1 + body.n)};
    if (!part_decode(a, head, &header) || !part_decode(a, body, &ret->payload) ||
        !part_decode(a, tail, &ret->signature))
        return error_new(a, ERR_BAD_REQUEST, "the token's parts are not base64url");
    if (json_parse(a, str_from_bytes(header), false, &h) || h->type != JSON_OBJECT)
        return error_new(a, ERR_BAD_REQUEST, "the token's header is not a JSON object");
    if (json_get(h, STR("crit")))
        return error_new(a, ERR_BAD_REQUEST, "the token's header asks for extensions that are not known");
    ret->header = h;
    ret->alg = json_get_str(h, STR("alg"));
    ret->kid = json_get_str(h, STR("kid"));
    return NULL;
}

bool jws_verify(const struct jws *j, const struct jose_key *key)
{
    const struct algorithm *al = algorithm_named(j->alg);
    uint8_t der[ECDSA_DER_BYTES_MAX];
    bytes signature = j->signature;

    if (!al || al->kind != key->kind || (key->alg.n > 0 && !str_eq(key->alg, j->alg)))
        return false;
    if (is_curve(al->kind))
        signature = (bytes){der, ecdsa_to_der(signature, kinds[al->kind].number_bytes, der)};
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *how;
    bool ok = signature.n > 0 && ctx &&
              EVP_DigestVerifyInit_ex(ctx, &how, al->digest, NULL, NULL, key->pkey, NULL) == 1 &&
              set_padding(al, how) &&
              EVP_DigestVerify(ctx, signature.p, signature.n, (const uint8_t *)j->signed_part.p,
                               j->signed_part.n) == 1;

    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}
