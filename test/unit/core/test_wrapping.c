#include "base/encode.h"
#include "crypto/p521.h"
#include "rig.h"

static const char invalid[] = "wrapping token is not valid or does not exist";

static const char *token_body(struct rig *r, str token)
{
    return arena_cstr(r->arena, arena_fmt(r->arena, "{\"token\":\"%.*s\"}", PSTR(token)));
}

/* The request, its answer wrapped for so long. */
static struct wrap_info *wrapped(struct rig *r, int64_t ttl_s, enum op op, const char *path, const char *body)
{
    r->wrap_ttl_ns = ttl_s * NS_PER_S;
    struct answer a = rig_must(r, 200, op, path, r->root, body);

    r->wrap_ttl_ns = 0;
    assert_non_null(a.wrap_info);
    assert_null(a.data);
    assert_null(a.auth);
    return a.wrap_info;
}

static struct json *unwrapped(struct rig *r, str token)
{
    struct answer a = rig_must(r, 200, OP_UPDATE, "sys/wrapping/unwrap", r->root, token_body(r, token));
    struct json *v;

    assert_ok(json_parse(r->arena, a.raw, false, &v));
    return v;
}

static void refused(struct rig *r, int status, const char *path, str caller, const char *body,
                    const char *text)
{
    struct answer a = rig_must(r, status, OP_UPDATE, path, caller, body);

    assert_str(a.error, text);
}

static void opens_once(void **state)
{
    (void)state;
    struct rig r;

    rig_init(&r, "inmem");
    rig_must(&r, 204, OP_UPDATE, "cubbyhole/a", r.root, "{\"n\":12345678901234567890,\"s\":\"<&>\"}");
    struct wrap_info *w = wrapped(&r, 60, OP_READ, "cubbyhole/a", NULL);

    assert_int_equal(w->ttl_ns, 60 * NS_PER_S);
    assert_str(w->creation_path, "cubbyhole/a");
    assert_str(w->wrapped_accessor, "");
    const char *body = token_body(&r, w->token);
    struct answer a = rig_must(&r, 200, OP_UPDATE, "sys/wrapping/lookup", (str){0}, body);

    assert_str(json_text(r.arena, a.data), "{\"creation_path\":\"cubbyhole/a\",\"creation_time\":"
                                           "\"2026-11-22T04:36:28Z\",\"creation_ttl\":60}");
    refused(&r, 403, "sys/wrapping/unwrap", (str){0}, body, "permission denied"); /* spends nothing */
    struct json *v = unwrapped(&r, w->token);

    assert_str(json_text(r.arena, json_get(v, STR("data"))),
               "{\"n\":12345678901234567890,\"s\":\"\\u003c\\u0026\\u003e\"}");
    for (const char *const *p = (const char *const[]){"unwrap", "rewrap", "lookup", NULL}; *p; p++)
        refused(&r, 400, arena_cstr(r.arena, arena_fmt(r.arena, "sys/wrapping/%s", *p)), r.root, body,
                invalid);
    rig_done(&r);
}

/* What is wrapped is not told beside it. */
static void accessors_of_secret_ids_alone(void **state)
{
    (void)state;
    struct rig r;

    rig_init(&r, "inmem");
    rig_must(&r, 204, OP_UPDATE, "cubbyhole/a", r.root, "{\"secret_id_accessor\":\"a secret\"}");
    assert_str(wrapped(&r, 60, OP_READ, "cubbyhole/a", NULL)->wrapped_accessor, "");
    assert_str(
        wrapped(&r, 60, OP_UPDATE, "sys/wrapping/wrap", "{\"secret_id_accessor\":\"s\"}")->wrapped_accessor,
        "");
    rig_must(&r, 204, OP_UPDATE, "sys/auth/approle", r.root, "{\"type\":\"approle\"}");
    rig_must(&r, 204, OP_UPDATE, "auth/approle/role/r", r.root, "{}");
    struct wrap_info *w = wrapped(&r, 60, OP_UPDATE, "auth/approle/role/r/secret-id", "{}");
    struct json *v = unwrapped(&r, w->token);

    assert_true(w->wrapped_accessor.n > 0);
    assert_true(
        str_eq(w->wrapped_accessor, json_get_str(json_get(v, STR("data")), STR("secret_id_accessor"))));
    rig_done(&r);
}

/* The token opens it as the caller's own, too; for nothing else is it good, and trying spends it. */
static void own_token(void **state)
{
    (void)state;
    struct rig r;

    rig_init(&r, "sqlite");
    struct wrap_info *w = wrapped(&r, 60, OP_UPDATE, "sys/wrapping/wrap", "{\"k\":\"v\"}");
    struct answer a = rig_must(&r, 200, OP_UPDATE, "sys/wrapping/unwrap", w->token, NULL);

    assert_true(str_find(a.raw, STR("\"data\":{\"k\":\"v\"}")) < a.raw.n);
    refused(&r, 400, "sys/wrapping/unwrap", w->token, NULL, invalid);
    w = wrapped(&r, 60, OP_UPDATE, "sys/wrapping/wrap", "{\"k\":\"v\"}");
    rig_must(&r, 403, OP_READ, "sys/mounts", w->token, NULL);
    refused(&r, 400, "sys/wrapping/unwrap", r.root, token_body(&r, w->token), invalid);
    w = wrapped(&r, 60, OP_UPDATE, "sys/wrapping/wrap", "{\"k\":\"v\"}");
    a = rig_must(&r, 200, OP_READ, "cubbyhole/response", w->token, NULL);
    assert_int_equal(a.n_warnings, 1);
    assert_non_null(json_get(a.data, STR("response")));
    rig_done(&r);
}

static void what_is_wrapped(void **state)
{
    (void)state;
    struct rig r;

    rig_init(&r, "inmem");
    struct wrap_info *w = wrapped(&r, 60, OP_UPDATE, "auth/token/create", "{\"policies\":[\"default\"]}");
    const struct json *auth = json_get(unwrapped(&r, w->token), STR("auth"));

    assert_true(str_eq(w->wrapped_accessor, json_get_str(auth, STR("accessor"))));
    rig_must(&r, 200, OP_READ, "auth/token/lookup-self", json_get_str(auth, STR("client_token")), NULL);
    r.wrap_ttl_ns = 60 * NS_PER_S; /* nothing to wrap, an error, an empty list */
    assert_null(rig_must(&r, 204, OP_UPDATE, "cubbyhole/b", r.root, "{\"k\":\"v\"}").wrap_info);
    rig_must(&r, 404, OP_READ, "cubbyhole/none", r.root, NULL);
    rig_must(&r, 404, OP_LIST, "cubbyhole/none", r.root, NULL);
    r.wrap_ttl_ns = 0;
    refused(&r, 400, "sys/wrapping/wrap", r.root, "{\"k\":\"v\"}",
            "endpoint requires response wrapping to be used");
    /* an answer with a body of its own comes back as it was */
    w = wrapped(&r, 60, OP_READ, "sys/internal/ui/feature-flags", NULL);
    struct answer a = rig_must(&r, 200, OP_UPDATE, "sys/wrapping/unwrap", r.root, token_body(&r, w->token));

    assert_str(a.raw, "{\"feature_flags\":null}\n");
    w = wrapped(&r, 60, OP_UPDATE, "auth/token/tidy", NULL);
    rig_must(&r, 202, OP_UPDATE, "sys/wrapping/unwrap", r.root, token_body(&r, w->token));
    rig_done(&r);
}

static void moves_to_a_new_token(void **state)
{
    (void)state;
    struct rig r;

    rig_init(&r, "inmem");
    struct wrap_info *w = wrapped(&r, 60, OP_UPDATE, "sys/wrapping/wrap", "{\"k\":\"v\"}");

    clock_manual_advance(r.clock, 50 * NS_PER_S);
    struct answer a = rig_must(&r, 200, OP_UPDATE, "sys/wrapping/rewrap", r.root, token_body(&r, w->token));

    assert_str(a.wrap_info->creation_path, "sys/wrapping/wrap");
    assert_int_equal(a.wrap_info->ttl_ns, 60 * NS_PER_S);
    refused(&r, 400, "sys/wrapping/unwrap", r.root, token_body(&r, w->token), invalid);
    clock_manual_advance(r.clock, 50 * NS_PER_S);
    assert_str(json_get_str(json_get(unwrapped(&r, a.wrap_info->token), STR("data")), STR("k")), "v");
    w = wrapped(&r, 60, OP_UPDATE, "sys/wrapping/wrap", "{\"k\":\"v\"}");
    clock_manual_advance(r.clock, 61 * NS_PER_S);
    refused(&r, 400, "sys/wrapping/unwrap", r.root, token_body(&r, w->token), invalid);
    rig_done(&r);
}

static void names_no_token(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        bool root;
        int status;
        const char *error;
    } cases[] = {
        {NULL, false, 403, "error validating wrapping token: token is empty"},
        {"{}", true, 400, invalid},
        {"{\"token\":\"\"}", true, 403, "error validating wrapping token: empty token in request body"},
        {"{\"token\":7}", true, 403,
         "error validating wrapping token: could not decode token in request body"},
        {"{\"token\":[\"x\"]}", true, 403,
         "error validating wrapping token: could not decode token in request body"},
        {"{\"token\":null}", true, 400, invalid},
        {"{\"token\":\"hvs.none\"}", true, 400, invalid},
        {"{\"token\":\"hvs.a.b\"}", true, 400, invalid},
        {"{\"token\":\"aaaa.b.c\"}", true, 403,
         "error validating wrapping token: wrapping token could not be parsed: it is not a JWT"},
        {"{\"token\":\"..\"}", true, 400, invalid},
    };
    static const char *const paths[] = {"sys/wrapping/unwrap", "sys/wrapping/rewrap", "sys/wrapping/lookup"};
    struct rig r;

    rig_init(&r, "inmem");
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        for (size_t k = 0; k < COUNT_OF(paths); k++)
            refused(&r, cases[i].status, paths[k], cases[i].root ? r.root : (str){0}, cases[i].body,
                    cases[i].error);
    rig_done(&r);
}

/* ---- the JWT ---- */

static str part(struct rig *r, str jwt, int i)
{
    bytes b;
    str piece = {0};

    for (str rest = jwt; i >= 0; i--)
        str_cut(rest, '.', &piece, &rest);
    assert_true(base64url_decode(r->arena, piece, &b));
    return str_from_bytes(b);
}

static str forged(struct rig *r, str header, str payload, str signature)
{
    return arena_fmt(r->arena, "%.*s.%.*s.%.*s", PSTR(base64url_encode(r->arena, bytes_from_str(header))),
                     PSTR(base64url_encode(r->arena, bytes_from_str(payload))),
                     PSTR(base64url_encode(r->arena, bytes_from_str(signature))));
}

static void jwt(void **state)
{
    (void)state;
    struct rig r;

    rig_init(&r, "inmem");
    r.wrap_as_jwt = true;
    str token = wrapped(&r, 60, OP_UPDATE, "sys/wrapping/wrap", "{\"k\":\"v\"}")->token;

    r.wrap_as_jwt = false;
    struct json *key = rig_must(&r, 200, OP_READ, "sys/wrapping/pubkey", (str){0}, NULL).data, *claims;
    str header = part(&r, token, 0), payload = part(&r, token, 1), signature = part(&r, token, 2);
    str x = json_get_str(key, STR("jwt_x")), y = json_get_str(key, STR("jwt_y"));

    assert_str(header, "{\"alg\":\"ES512\",\"typ\":\"JWT\"}");
    assert_true(p521_verify(r.arena, x, y, bytes_from_str(str_slice(token, 0, str_rindex(token, '.'))),
                            bytes_from_str(signature)));
    assert_ok(json_parse(r.arena, payload, false, &claims));
    assert_str(json_get_str(claims, STR("type")), "wrapping");
    assert_int_equal(json_get_int(claims, STR("exp")) - json_get_int(claims, STR("iat")), 60);
    assert_int_equal(json_get_int(claims, STR("iat")) - json_get_int(claims, STR("nbf")), 5);
    assert_true(str_starts(json_get_str(claims, STR("jti")), STR("hvs.")));
    str none = forged(&r, STR("{\"alg\":\"none\"}"), payload, (str){0});
    str other = forged(&r, header, STR("{\"jti\":\"hvs.x\",\"type\":\"wrapping\"}"), signature);

    refused(&r, 403, "sys/wrapping/unwrap", r.root, token_body(&r, none),
            "error validating wrapping token: wrapping token signature could not be validated: error in "
            "cryptographic primitive");
    refused(&r, 403, "sys/wrapping/unwrap", other, NULL,
            "error validating wrapping token: wrapping token signature could not be validated: error in "
            "cryptographic primitive");
    rig_must(&r, 200, OP_UPDATE, "sys/wrapping/lookup", (str){0}, token_body(&r, token));
    rig_must(&r, 200, OP_UPDATE, "sys/wrapping/unwrap", token, NULL); /* as the caller's own */
    refused(&r, 400, "sys/wrapping/unwrap", r.root, token_body(&r, token), invalid);
    rig_done(&r);
}

static void policies_bound_it(void **state)
{
    (void)state;
    static const struct {
        int64_t ttl_s;
        int status;
    } cases[] = {{0, 403}, {9, 403}, {10, 200}, {20, 200}, {21, 403}};
    struct rig r;

    rig_init(&r, "inmem");
    rig_must(&r, 204, OP_UPDATE, "sys/policies/acl/w", r.root,
             "{\"policy\":\"path \\\"sys/mounts\\\" { capabilities = [\\\"read\\\"] min_wrapping_ttl = "
             "\\\"10s\\\" "
             "max_wrapping_ttl = \\\"20s\\\" }\"}");
    str token = rig_must(&r, 200, OP_UPDATE, "auth/token/create", r.root, "{\"policies\":[\"w\"]}")
                    .auth->client_token;

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        r.wrap_ttl_ns = cases[i].ttl_s * NS_PER_S;
        rig_must(&r, cases[i].status, OP_READ, "sys/mounts", token, NULL);
    }
    rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accessors_of_secret_ids_alone),
        cmocka_unit_test(opens_once),
        cmocka_unit_test(own_token),
        cmocka_unit_test(what_is_wrapped),
        cmocka_unit_test(moves_to_a_new_token),
        cmocka_unit_test(names_no_token),
        cmocka_unit_test(jwt),
        cmocka_unit_test(policies_bound_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
