/* Keys and signatures of RFC 7515 A.2, A.3, A.4, RFC 8037 A; and what must not verify. */
#include "../base/check.h"
#include "base/encode.h"
#include "crypto/crypto.h"
#include "crypto/jose.h"

static const char rs256_key[] =
    "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-"
    "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"
    "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
    "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"
    "DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}";
#define JOE "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
static const char rs256[] =
    "eyJhbGciOiJSUzI1NiJ9." JOE
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
    "O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07"
    "Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgG"
    "Y9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
static const char es256_key[] =
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";
static const char es256[] = "eyJhbGciOiJFUzI1NiJ9." JOE
                            ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-"
                            "Kg6NU1Q";
static const char es512_key[] =
    "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_"
    "NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\",\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-"
    "x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}";
static const char es512[] =
    "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA."
    "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgo"
    "XD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
static const char ed_key[] = "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"alg\":\"EdDSA\",\"x\":\"11qYAYKxCrfVS_"
                             "7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
                             "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}";
static const char ed[] =
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

static const struct {
    const char *key, *token;
} published[] = {{rs256_key, rs256}, {es256_key, es256}, {es512_key, es512}, {ed_key, ed}};

static void assert_refused(const struct error *e)
{
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_BAD_REQUEST);
}

static struct json *parsed(struct arena *a, str text)
{
    struct json *j;

    assert_ok(json_parse(a, text, false, &j));
    return j;
}

static struct jose_key *key_of(struct arena *a, const struct json *jwk)
{
    struct jose_key *k;

    assert_ok(jose_key_load(a, jwk, &k));
    return k;
}

static bool verifies(struct arena *a, str token, const struct jose_key *k)
{
    struct jws j;

    return !jws_parse(a, token, &j) && jws_verify(&j, k);
}

static void published_ones(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);

    for (size_t i = 0; i < COUNT_OF(published); i++)
        for (size_t k = 0; k < COUNT_OF(published); k++)
            assert_int_equal(verifies(a, str_from_cstr(published[i].token),
                                      key_of(a, parsed(a, str_from_cstr(published[k].key)))),
                             i == k);
    struct jose_key *own = key_of(a, parsed(a, str_from_cstr(ed_key)));
    str token;

    assert_ok(jws_sign(a, own, bytes_from_str(STR("Example of Ed25519 signing")), &token));
    assert_true(str_eq(token, str_from_cstr(ed))); /* deterministic */
    arena_free(a);
}

static void each_algorithm(void **state)
{
    static const char *const names[] = {"RS256", "RS384", "RS512", "PS256", "PS384",
                                        "PS512", "ES256", "ES384", "ES512", "EdDSA"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct arena *a = arena_new(0);
        struct json *jwk;
        struct jws j;
        str token;

        assert_ok(jwk_generate(a, str_from_cstr(names[i]), STR("kid-1"), &jwk));
        struct jose_key *own = key_of(a, jwk), *public = key_of(a, jwk_public(a, jwk));

        assert_true(own->is_private && !public->is_private);
        assert_null(json_get(jwk_public(a, jwk), STR("d")));
        assert_null(json_get(jwk_public(a, jwk), STR("p")));
        assert_ok(jws_sign(a, own, bytes_from_str(STR("{}")), &token));
        assert_ok(jws_parse(a, token, &j));
        assert_true(str_eq(j.alg, str_from_cstr(names[i])) && str_eq(j.kid, STR("kid-1")));
        assert_true(str_eq(str_from_bytes(j.payload), STR("{}")));
        assert_true(jws_verify(&j, public));
        j.payload = j.signature;
        for (size_t at = 0; at < j.signature.n; at += 7) {
            uint8_t *changed = arena_copy(a, j.payload.p, j.payload.n);

            changed[at] ^= 1;
            j.signature.p = changed;
            assert_false(jws_verify(&j, public));
        }
        assert_refused(jws_sign(a, public, (bytes){0}, &token));
        arena_free(a);
    }
}

/* The key says what it is for: nothing that the token says of itself makes it weaker. */
static void pinned_by_the_key(void **state)
{
    static const char *const heads[] = {"{\"alg\":\"none\"}", "{\"alg\":\"HS256\"}", "{}",
                                        "{\"alg\":null}",     "{\"alg\":\"rs256\"}", "{\"alg\":\"PS256\"}",
                                        "{\"alg\":\"RS384\"}"};

    (void)state;
    struct arena *a = arena_new(0);
    struct json *jwk;
    str token;

    assert_ok(jwk_generate(a, STR("RS256"), STR("k"), &jwk));
    struct jose_key *k = key_of(a, jwk);

    assert_ok(jws_sign(a, k, bytes_from_str(STR("x")), &token));
    assert_true(verifies(a, token, k));
    str tail = str_from(token, str_index(token, '.'));

    for (size_t i = 0; i < COUNT_OF(heads); i++) {
        str head = base64url_encode(a, bytes_from_str(str_from_cstr(heads[i])));

        assert_false(verifies(a, arena_join(a, head, tail), k));
        assert_false(verifies(a, arena_fmt(a, "%.*s.eA.", PSTR(head)), k));
    }
    json_unset(jwk, STR("alg"));
    struct jose_key *any = key_of(a, jwk);

    assert_true(verifies(a, token, any));
    json_set_str(a, jwk, STR("alg"), STR("PS256"));
    assert_false(verifies(a, token, key_of(a, jwk)));
    json_set_str(a, jwk, STR("alg"), STR("ES256"));
    assert_refused(jose_key_load(a, jwk, &any));
    arena_free(a);
}

static void malformed(void **state)
{
    static const char *const tokens[] = {"", "a", "a.b", "a.b.c.d", "..", "e30.e30.!", "e30=.e30.e30",
                                         "bm8.e30.e30", "W10.e30.e30",
                                         /* {"alg":"EdDSA","crit":["b64"]} */
                                         "eyJhbGciOiJFZERTQSIsImNyaXQiOlsiYjY0Il19.e30.e30"};
    static const char *const keys[] = {
        "{}", "{\"kty\":\"oct\",\"k\":\"AAAA\"}", "{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
        /* not on the curve */
        ("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
         "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}"),
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"};

    (void)state;
    struct arena *a = arena_new(0);
    struct jose_key *k;
    struct jws j;

    for (size_t i = 0; i < COUNT_OF(tokens); i++)
        assert_refused(jws_parse(a, str_from_cstr(tokens[i]), &j));
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_refused(jose_key_load(a, parsed(a, str_from_cstr(keys[i])), &k));
    arena_free(a);
}

static int prepare(void **state)
{
    (void)state;
    crypto_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_ones),
        cmocka_unit_test(each_algorithm),
        cmocka_unit_test(pinned_by_the_key),
        cmocka_unit_test(malformed),
    };

    return cmocka_run_group_tests(tests, prepare, NULL);
}
