/* login with AWS: a signed sts:GetCallerIdentity, which the server sends on to AWS (docs/formats/aws.md).
 * Credentials: arguments, else wherever cloud/aws finds some. */
#include "base/encode.h"
#include "cli/login.h"
#include "cloud/aws/aws.h"
#include "crypto/crypto.h"

#define STS_BODY "Action=GetCallerIdentity&Version=2011-06-15"

static void put_base64(struct arena *a, struct json *body, const char *name, str text)
{
    json_set_str(a, body, str_from_cstr(name), base64_encode(a, bytes_from_str(text)));
}

static void put_headers(struct arena *a, struct json *out, const struct http_header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_set(a, out, headers[i].name, json_strings(a, &headers[i].value, 1));
}

/* The headers to send, as a JSON object of lists. */
static struct json *signed_headers(struct arena *a, const struct aws_credentials *k, str region, str host,
                                   str server_id)
{
    const struct http_header headers[] = {
        {STR("Content-Type"), STR("application/x-www-form-urlencoded; charset=utf-8")},
        {STR("X-Vault-AWS-IAM-Server-ID"), server_id},
    };
    struct aws_signing s = {.method = STR("POST"),
                            .host = host,
                            .path = STR("/"),
                            .headers = headers,
                            .n_headers = server_id.n ? 2 : 1,
                            .body = bytes_from_str(STR(STS_BODY)),
                            .region = region,
                            .service = STR("sts"),
                            .now_ns = clock_wall_ns(clock_real())};
    struct http_header more[3];
    size_t n_more;
    struct json *out = json_object(a);
    str length = arena_fmt(a, "%zu", s.body.n);
    aws_sign(a, k, &s, more, &n_more);
    put_headers(a, out, headers, s.n_headers);
    put_headers(a, out, more, n_more);
    put_headers(a, out, &(struct http_header){STR("Content-Length"), length}, 1);
    return out;
}

static struct error *credentials_find(struct cli *c, const struct json *given, struct aws **ret_aws,
                                      struct aws_credentials *ret)
{
    struct cloud_host *host = ARENA_NEW(c->arena, struct cloud_host);
    *host = (struct cloud_host){.rng = rng_system(), .clock = clock_real()};
    struct aws_settings s = {.access_key = json_get_str(given, STR("aws_access_key_id")),
                             .secret_key = json_get_str(given, STR("aws_secret_access_key")),
                             .session_token = json_get_str(given, STR("aws_security_token"))};
    TRY(aws_new(c->arena, &s, host, ret_aws));
    return aws_credentials_get(*ret_aws, c->arena, ret);
}

struct error *login_aws(struct cli *c, const struct json *given, str path, struct json **ret_secret)
{
    struct arena *a = c->arena;
    struct aws *aws = NULL;
    struct aws_credentials k;
    str region = json_get_str(given, STR("region"));
    region = region.n ? region : STR("us-east-1");
    str host = str_eq(region, STR("us-east-1")) ? STR("sts.amazonaws.com")
                                                : arena_fmt(a, "sts.%.*s.amazonaws.com", PSTR(region));
    crypto_init();
    struct error *bad = credentials_find(c, given, &aws, &k);
    str headers = {0}; /* as text: the credentials' own texts are wiped with aws */
    if (!bad)
        headers = json_text(a, signed_headers(a, &k, region, host, json_get_str(given, STR("header_value"))));
    aws_free(aws);
    if (bad)
        return error_wrap(
            a, bad,
            "%.*s: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, fill ~/.aws/credentials, or give "
            "the machine a role",
            PSTR(bad->text));
    struct json *body = json_object(a);
    json_set_str(a, body, STR("role"), json_get_str(given, STR("role")));
    json_set_str(a, body, STR("iam_http_request_method"), STR("POST"));
    put_base64(a, body, "iam_request_url", arena_fmt(a, "https://%.*s/", PSTR(host)));
    put_base64(a, body, "iam_request_body", STR(STS_BODY));
    put_base64(a, body, "iam_request_headers", headers);
    return login_put(c, path, (str){0}, body, ret_secret);
}
