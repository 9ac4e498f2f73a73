/* login with AWS: a signed request for the caller's own identity, which the server sends on to AWS.
 *
 * Source: AWS Signature Version 4, sts:GetCallerIdentity (API version 2011-06-15). Credentials: arguments,
 * environment, the profile in ~/.aws/credentials, else the role of the machine (instance metadata, version
 * 2).
 */
#include "base/clock.h"
#include "base/encode.h"
#include "cli/login.h"
#include "client/file.h"
#include "crypto/crypto.h"
#include "net/http_client.h"

#define STS_BODY  "Action=GetCallerIdentity&Version=2011-06-15"
#define FORM_TYPE "application/x-www-form-urlencoded; charset=utf-8"

struct credentials {
    str id, hmac_key, token; /* hmac_key: what AWS calls the secret access key */
};

/* ---- credentials ---- */

static void from_arguments(const struct json *given, struct credentials *ret)
{
    *ret = (struct credentials){json_get_str(given, STR("aws_access_key_id")),
                                json_get_str(given, STR("aws_secret_access_key")),
                                json_get_str(given, STR("aws_security_token"))};
}

static void from_environment(const struct cli *c, struct credentials *ret)
{
    *ret = (struct credentials){environment_get(&c->env, STR("AWS_ACCESS_KEY_ID")),
                                environment_get(&c->env, STR("AWS_SECRET_ACCESS_KEY")),
                                environment_get(&c->env, STR("AWS_SESSION_TOKEN"))};
}

/* The lines of [profile] in the file that AWS's own tools read; a missing file is none. */
static void from_file(struct cli *c, struct credentials *ret)
{
    str path = environment_get(&c->env, STR("AWS_SHARED_CREDENTIALS_FILE"));
    str profile = environment_get(&c->env, STR("AWS_PROFILE"));
    str text;
    bool inside = false;
    if (!path.n)
        path = arena_join(c->arena, environment_get(&c->env, STR("HOME")), STR("/.aws/credentials"));
    if (file_read(c->arena, path, &text))
        return;
    str head = arena_fmt(c->arena, "[%.*s]", PSTR(profile.n ? profile : STR("default")));
    for (str line; text.n;) {
        str key;
        str value;
        str_cut(text, '\n', &line, &text);
        line = str_trim(line);
        if (str_starts(line, STR("[")))
            inside = str_eq(line, head);
        if (!inside || !str_cut(line, '=', &key, &value))
            continue;
        key = str_trim(key);
        if (str_eq(key, STR("aws_access_key_id")))
            ret->id = str_trim(value);
        else if (str_eq(key, STR("aws_secret_access_key")))
            ret->hmac_key = str_trim(value);
        else if (str_eq(key, STR("aws_session_token")))
            ret->token = str_trim(value);
    }
}

static struct error *metadata_get(struct cli *c, struct http_client *http, const char *method, str path,
                                  struct http_header header, str *ret_body)
{
    str base = environment_get(&c->env, STR("AWS_EC2_METADATA_SERVICE_ENDPOINT"));
    base = base.n ? base : STR("http://169.254.169.254");
    struct http_result r;
    TRY(http_client_do(http, c->arena, str_from_cstr(method), arena_join(c->arena, base, path), (str){0},
                       &header, 1, (bytes){0}, &r));
    if (r.status != 200)
        return error_new(c->arena, ERR_NOT_FOUND, "the instance's metadata answers %d", r.status);
    *ret_body = str_from_bytes(r.body);
    return NULL;
}

static struct error *from_metadata(struct cli *c, struct http_client *http, struct credentials *ret)
{
    str session;
    str role;
    str text;
    struct json *answer;
    str path = STR("/latest/meta-data/iam/security-credentials/");
    struct http_header ttl = {STR("X-aws-ec2-metadata-token-ttl-seconds"), STR("60")};
    TRY(metadata_get(c, http, "PUT", STR("/latest/api/token"), ttl, &session));
    struct http_header auth = {STR("X-aws-ec2-metadata-token"), session};
    TRY(metadata_get(c, http, "GET", path, auth, &role));
    str_cut(role, '\n', &role, &text);
    TRY(metadata_get(c, http, "GET", arena_join(c->arena, path, str_trim(role)), auth, &text));
    TRY(json_parse(c->arena, text, false, &answer));
    *ret = (struct credentials){json_get_str(answer, STR("AccessKeyId")),
                                json_get_str(answer, STR("SecretAccessKey")),
                                json_get_str(answer, STR("Token"))};
    return NULL;
}

static struct error *credentials_find(struct cli *c, const struct json *given, struct credentials *ret)
{
    from_arguments(given, ret);
    if (!ret->id.n)
        from_environment(c, ret);
    if (!ret->id.n)
        from_file(c, ret);
    struct error *e = NULL;
    if (!ret->id.n &&
        !str_eq_nocase(environment_get(&c->env, STR("AWS_EC2_METADATA_DISABLED")), STR("true"))) {
        struct http_client_config config = {.timeout_ns = 2 * NS_PER_S};
        struct http_client *http = http_client_new(&config);
        e = from_metadata(c, http, ret);
        http_client_free(http);
    }
    if (ret->id.n && ret->hmac_key.n)
        return NULL;
    return error_new(c->arena, ERR_BAD_REQUEST,
                     "no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, fill "
                     "~/.aws/credentials, or give the machine a role%s%.*s%s",
                     e ? " (" : "", PSTR(e ? e->text : (str){0}), e ? ")" : "");
}

/* ---- the signature ---- */

static str sha256_hex(struct arena *a, str text)
{
    uint8_t out[SHA256_BYTES];
    sha256(out, bytes_from_str(text), (bytes){0});
    return hex_encode(a, (bytes){out, sizeof(out)});
}

static bytes mac(struct arena *a, bytes key, str text)
{
    uint8_t *out = arena_alloc(a, HMAC_SHA256_BYTES);
    hmac_sha256_once(out, key, bytes_from_str(text));
    return (bytes){out, HMAC_SHA256_BYTES};
}

/* 20130524T000000Z */
static str compact_time(struct arena *a, int64_t wall_ns)
{
    str t = time_format(a, wall_ns);
    return arena_fmt(a, "%.4s%.2s%.2sT%.2s%.2s%.2sZ", t.p, t.p + 5, t.p + 8, t.p + 11, t.p + 14, t.p + 17);
}

static str signature(struct arena *a, const struct credentials *k, str scope, str to_sign)
{
    bytes key = bytes_from_str(arena_join(a, STR("AWS4"), k->hmac_key));
    for (str part; scope.n; key = mac(a, key, part))
        str_cut(scope, '/', &part, &scope);
    return hex_encode(a, mac(a, key, to_sign));
}

/* The headers to send as a JSON object of lists, with the signature over them. `headers`: lower-case names in
 * order. */
static struct json *signed_headers(struct arena *a, const struct credentials *k, str region, str now,
                                   const struct http_header *headers, size_t n)
{
    struct json *out = json_object(a);
    str lines = {0};
    str names = {0};
    for (size_t i = 0; i < n; i++) {
        if (!headers[i].value.n)
            continue;
        lines = arena_fmt(a, "%.*s%.*s:%.*s\n", PSTR(lines), PSTR(headers[i].name), PSTR(headers[i].value));
        names = arena_fmt(a, "%.*s%s%.*s", PSTR(names), names.n ? ";" : "", PSTR(headers[i].name));
        json_set(a, out, headers[i].name, json_strings(a, &headers[i].value, 1));
    }
    str canonical = arena_fmt(a, "POST\n/\n\n%.*s\n%.*s\n%.*s", PSTR(lines), PSTR(names),
                              PSTR(sha256_hex(a, STR(STS_BODY))));
    str scope = arena_fmt(a, "%.8s/%.*s/sts/aws4_request", now.p, PSTR(region));
    str to_sign = arena_fmt(a, "AWS4-HMAC-SHA256\n%.*s\n%.*s\n%.*s", PSTR(now), PSTR(scope),
                            PSTR(sha256_hex(a, canonical)));
    str line = arena_fmt(a, "AWS4-HMAC-SHA256 Credential=%.*s/%.*s, SignedHeaders=%.*s, Signature=%.*s",
                         PSTR(k->id), PSTR(scope), PSTR(names), PSTR(signature(a, k, scope, to_sign)));
    json_set(a, out, STR("authorization"), json_strings(a, &line, 1));
    return out;
}

static void put_base64(struct arena *a, struct json *body, const char *name, str text)
{
    json_set_str(a, body, str_from_cstr(name), base64_encode(a, bytes_from_str(text)));
}

struct error *login_aws(struct cli *c, const struct json *given, str path, struct json **ret_secret)
{
    struct arena *a = c->arena;
    struct credentials k = {0};
    str region = json_get_str(given, STR("region"));
    str role = json_get_str(given, STR("role"));
    region = region.n ? region : STR("us-east-1");
    TRY(credentials_find(c, given, &k));
    crypto_init();
    str now = compact_time(a, clock_wall_ns(clock_real()));
    str host = str_eq(region, STR("us-east-1")) ? STR("sts.amazonaws.com")
                                                : arena_fmt(a, "sts.%.*s.amazonaws.com", PSTR(region));
    const struct http_header headers[] = {
        {STR("content-length"), arena_fmt(a, "%zu", sizeof(STS_BODY) - 1)},
        {STR("content-type"), STR(FORM_TYPE)},
        {STR("host"), host},
        {STR("x-amz-date"), now},
        {STR("x-amz-security-token"), k.token},
        {STR("x-vault-aws-iam-server-id"), json_get_str(given, STR("header_value"))},
    };
    struct json *body = json_object(a);
    json_set_str(a, body, STR("role"), role);
    json_set_str(a, body, STR("iam_http_request_method"), STR("POST"));
    put_base64(a, body, "iam_request_url", arena_fmt(a, "https://%.*s/", PSTR(host)));
    put_base64(a, body, "iam_request_body", STR(STS_BODY));
    put_base64(a, body, "iam_request_headers",
               json_text(a, signed_headers(a, &k, region, now, headers, COUNT_OF(headers))));
    return login_put(c, path, (str){0}, body, ret_secret);
}
