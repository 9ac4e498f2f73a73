/* Where credentials come from, one function a source, in the order of the chain (aws.c). */
#include "base/buf.h"
#include "base/encode.h"
#include "cloud/aws/aws_private.h"
#include "config/config.h"

enum { METADATA_TRIES = 3, FORM_BYTES_MAX = 128 * 1024 };
#define METADATA_ADDRESS   "http://169.254.169.254"
#define CONTAINER_ADDRESS  "http://169.254.170.2"
#define POD_IDENTITY_HOST  "169.254.170.23"
#define POD_IDENTITY_HOST6 "fd00:ec2::23"

static void take(struct arena *held, struct aws_credentials *ret, str key, str secret, str token)
{
    *ret = (struct aws_credentials){arena_str(held, key), arena_str(held, secret), arena_str(held, token), 0};
}

struct error *aws_from_settings(struct aws *aws, struct arena *a, struct arena *held,
                                struct aws_credentials *ret, bool *ret_found)
{
    const struct aws_settings *s = &aws->settings;

    (void)a;
    take(held, ret, s->access_key, s->secret_key, s->session_token);
    *ret_found = s->access_key.n > 0;
    return NULL;
}

struct error *aws_from_environment(struct aws *aws, struct arena *a, struct arena *held,
                                   struct aws_credentials *ret, bool *ret_found)
{
    str key = config_env_exact("AWS_ACCESS_KEY_ID"), secret = config_env_exact("AWS_SECRET_ACCESS_KEY");

    (void)aws;
    (void)a;
    if (key.n == 0)
        key = config_env_exact("AWS_ACCESS_KEY");
    if (secret.n == 0)
        secret = config_env_exact("AWS_SECRET_KEY");
    take(held, ret, key, secret, config_env_exact("AWS_SESSION_TOKEN"));
    *ret_found = key.n > 0 && secret.n > 0;
    return NULL;
}

/* A missing file or profile is no error: the next source is asked. */
struct error *aws_from_file(struct aws *aws, struct arena *a, struct arena *held, struct aws_credentials *ret,
                            bool *ret_found)
{
    str path = aws->settings.shared_file, profile = aws->settings.shared_profile, text;

    if (path.n == 0)
        path = cloud_home(a, ".aws/credentials");
    if (path.n == 0 || cloud_file_read(a, path, &text))
        return NULL;
    str key = profile_get(text, profile, STR("aws_access_key_id")),
        secret = profile_get(text, profile, STR("aws_secret_access_key"));

    take(held, ret, key, secret, profile_get(text, profile, STR("aws_session_token")));
    *ret_found = key.n > 0 && secret.n > 0;
    return NULL;
}

/* ---- a role, by the token service ---- */

static str sts_endpoint(struct aws *aws, struct arena *a)
{
    str given = config_env_exact("AWS_ENDPOINT_URL_STS");

    if (given.n > 0)
        return given;
    if (!str_eq(config_env_exact("AWS_STS_REGIONAL_ENDPOINTS"), STR("regional")))
        return STR("https://sts.amazonaws.com");
    return arena_fmt(a, "https://sts.%.*s.amazonaws.com%s", PSTR(aws_region(aws)),
                     str_starts(aws_region(aws), STR("cn-")) ? ".cn" : "");
}

static void put_form(struct buf *b, struct arena *a, const char *name, str value)
{
    buf_put_fmt(b, "%s%s=%.*s", b->n ? "&" : "", name, PSTR(url_encode(a, value)));
}

static struct error *sts_answer(struct arena *a, struct arena *held, const char *action,
                                const struct http_result *r, struct aws_credentials *ret)
{
    str xml = str_from_bytes(r->body);
    int64_t expires_ns = 0;

    if (r->status / 100 != 2)
        return error_new(a, ERR_INTERNAL, "error assuming role: %s: %.*s: %.*s (status %d)", action,
                         PSTR(xml_text(xml, STR("Code"))), PSTR(xml_text(xml, STR("Message"))), r->status);
    take(held, ret, xml_text(xml, STR("AccessKeyId")), xml_text(xml, STR("SecretAccessKey")),
         xml_text(xml, STR("SessionToken")));
    if (ret->access_key.n == 0 || ret->secret_key.n == 0 || ret->session_token.n == 0 ||
        !time_parse(xml_text(xml, STR("Expiration")), &expires_ns))
        return error_new(a, ERR_INTERNAL, "error assuming role: %s: the answer has no credentials", action);
    ret->expires_ns = expires_ns;
    return NULL;
}

static struct error *sts_send(struct aws *aws, struct arena *a, const struct aws_credentials *signer,
                              str form, struct http_result *ret)
{
    str endpoint = sts_endpoint(aws, a), host = str_from(endpoint, str_find(endpoint, STR("://")) + 3),
        region = str_eq(endpoint, STR("https://sts.amazonaws.com")) ? STR("us-east-1") : aws_region(aws);
    struct http_header h[4] = {
        {STR("Content-Type"), STR("application/x-www-form-urlencoded; charset=utf-8")}};
    size_t n_signature = 0;

    if (signer)
        aws_sign(a, signer,
                 &(struct aws_signing){.method = STR("POST"),
                                       .host = host,
                                       .path = STR("/"),
                                       .headers = h,
                                       .n_headers = 1,
                                       .body = bytes_from_str(form),
                                       .region = region,
                                       .service = STR("sts"),
                                       .now_ns = aws_now_ns(aws)},
                 h + 1, &n_signature);
    return cloud_send(&aws->host, aws->http, a,
                      &(struct cloud_request){.method = STR("POST"),
                                              .url = arena_join(a, endpoint, STR("/")),
                                              .headers = h,
                                              .n_headers = 1 + n_signature,
                                              .body = bytes_from_str(form)},
                      ret);
}

/* What a role is assumed with: every source but roles. */
static struct error *base_credentials(struct aws *aws, struct arena *a, struct aws_credentials *ret)
{
    static aws_source_fn *const sources[] = {aws_from_environment, aws_from_file, aws_from_container,
                                             aws_from_instance};

    for (size_t i = 0; i < COUNT_OF(sources); i++) {
        bool found = false;

        TRY(sources[i](aws, a, a, ret, &found));
        if (found)
            return NULL;
    }
    return error_new(a, ERR_INTERNAL, "error assuming role: there are no credentials to assume it with");
}

struct error *aws_from_role(struct aws *aws, struct arena *a, struct arena *held, struct aws_credentials *ret,
                            bool *ret_found)
{
    const struct aws_settings *s = &aws->settings;
    bool by_token = s->web_identity_token_file.n > 0;
    const char *action = by_token ? "AssumeRoleWithWebIdentity" : "AssumeRole";
    struct aws_credentials base = {0};
    struct http_result r;
    struct buf form;

    if (s->role_arn.n == 0)
        return NULL;
    str session = s->role_session_name;

    if (session.n == 0)
        session = arena_fmt(a, "%lld", (long long)clock_wall_ns(aws->host.clock));
    buf_init(&form, a, FORM_BYTES_MAX);
    put_form(&form, a, "Action", str_from_cstr(action));
    put_form(&form, a, "Version", STR("2011-06-15"));
    put_form(&form, a, "RoleArn", s->role_arn);
    put_form(&form, a, "RoleSessionName", session);
    if (by_token) {
        str token;

        TRY(cloud_file_read(a, s->web_identity_token_file, &token)); /* it is renewed by others */
        put_form(&form, a, "WebIdentityToken", str_trim(token));
    } else {
        TRY(base_credentials(aws, a, &base));
        put_form(&form, a, "DurationSeconds", STR("900"));
    }
    TRY(sts_send(aws, a, by_token ? NULL : &base, buf_str(&form), &r));
    if (aws_learn_time(aws, &r, xml_text(str_from_bytes(r.body), STR("Code"))))
        TRY(sts_send(aws, a, by_token ? NULL : &base, buf_str(&form), &r));
    TRY(sts_answer(a, held, action, &r, ret));
    *ret_found = true;
    return NULL;
}

/* ---- endpoints of container and instance ---- */

static struct error *metadata_get(struct aws *aws, struct arena *a, const char *method, str url,
                                  const struct http_header *headers, size_t n, struct http_result *ret)
{
    struct error *e = NULL;

    for (int i = 0; i < METADATA_TRIES; i++) {
        *ret = (struct http_result){0};
        e = http_client_do(aws->metadata, a, str_from_cstr(method), url, (str){0}, headers, n, (bytes){0},
                           ret);
        if (!e && !cloud_is_transient(ret->status))
            return NULL;
        if (!cloud_pause(&aws->host, 30 * NS_PER_MS << i))
            break;
    }
    return e;
}

static struct error *json_credentials(struct arena *a, struct arena *held, const char *from, bytes body,
                                      struct aws_credentials *ret)
{
    struct json *v;
    int64_t expires_ns = 0;

    TRY(json_parse(a, str_from_bytes(body), true, &v));
    str code = json_get_str(v, STR("Code")), expires = json_get_str(v, STR("Expiration"));

    if (code.n > 0 && !str_eq(code, STR("Success")))
        return error_new(a, ERR_INTERNAL, "%s: %.*s: %.*s", from, PSTR(code),
                         PSTR(json_get_str(v, STR("Message"))));
    take(held, ret, json_get_str(v, STR("AccessKeyId")), json_get_str(v, STR("SecretAccessKey")),
         json_get_str(v, STR("Token")));
    if (ret->access_key.n == 0 || ret->secret_key.n == 0 ||
        (expires.n > 0 && !time_parse(expires, &expires_ns)))
        return error_new(a, ERR_INTERNAL, "%s: the answer has no credentials", from);
    ret->expires_ns = expires_ns;
    return NULL;
}

/* Credentials are asked for of this machine only. What stands before an @ is a user's name, no host: no such
 * address is taken, so that there is nothing to read in two ways. */
static bool is_local(str url)
{
    static const char *const hosts[] = {"localhost",     "127.0.0.1",       "[::1]",
                                        "169.254.170.2", POD_IDENTITY_HOST, "[" POD_IDENTITY_HOST6 "]"};
    str rest = str_from(url, str_find(url, STR("://")) + 3),
        authority =
            str_slice(rest, 0, MIN(MIN(str_index(rest, '/'), str_index(rest, '?')), str_index(rest, '#')));
    size_t colon = str_rindex(authority, ':'), bracket = str_rindex(authority, ']');
    str host = colon < authority.n && (bracket == authority.n || colon > bracket)
                   ? str_slice(authority, 0, colon)
                   : authority,
        port = str_from(authority, host.n + 1);
    uint64_t number;

    if (str_index(authority, '@') < authority.n || (port.n > 0 && !str_parse_u64(port, &number)))
        return false;
    for (size_t i = 0; i < COUNT_OF(hosts); i++)
        if (str_eq_nocase(host, str_from_cstr(hosts[i])))
            return true;
    return false;
}

struct error *aws_from_container(struct aws *aws, struct arena *a, struct arena *held,
                                 struct aws_credentials *ret, bool *ret_found)
{
    str url = config_env_exact("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        relative = config_env_exact("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        token = config_env_exact("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
        token_file = config_env_exact("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    struct http_header h[2] = {{STR("Accept"), STR("application/json")}, {STR("Authorization"), {0}}};
    struct http_result r;

    if (url.n == 0 && relative.n == 0)
        return NULL;
    if (url.n == 0)
        url = arena_join(a, STR(CONTAINER_ADDRESS), relative);
    if (!is_local(url))
        return error_new(a, ERR_INTERNAL,
                         "CredentialsEndpointError: invalid endpoint host, only loopback hosts are allowed");
    if (token_file.n > 0)
        TRY(cloud_file_read(a, token_file, &token));
    h[1].value = str_trim(token);
    TRY(metadata_get(aws, a, "GET", url, h, h[1].value.n ? 2 : 1, &r));
    if (r.status != 200)
        return error_new(a, ERR_INTERNAL, "CredentialsEndpointError: status %d", r.status);
    TRY(json_credentials(a, held, "CredentialsEndpointError", r.body, ret));
    *ret_found = true;
    return NULL;
}

static str metadata_address(void)
{
    str given = config_env_exact("AWS_EC2_METADATA_SERVICE_ENDPOINT");

    return str_ends(given, STR("/")) ? str_slice(given, 0, given.n - 1)
           : given.n                 ? given
                                     : STR(METADATA_ADDRESS);
}

static bool is_true(const char *name)
{
    return str_eq_nocase(config_env_exact(name), STR("true"));
}

/* The session of version 2. Instances that refuse it (or are none) are asked without. */
static struct error *metadata_session(struct aws *aws, struct arena *a, struct http_header *ret,
                                      size_t *ret_n)
{
    static const struct http_header ttl = {{"X-aws-ec2-metadata-token-ttl-seconds", 36}, {"21600", 5}};
    struct http_result r;
    struct error *e =
        metadata_get(aws, a, "PUT", arena_join(a, metadata_address(), STR("/latest/api/token")), &ttl, 1, &r);

    *ret_n = 0;
    if (!e && r.status == 200) {
        *ret = (struct http_header){STR("X-aws-ec2-metadata-token"), str_trim(str_from_bytes(r.body))};
        *ret_n = 1;
        return NULL;
    }
    if (!e && r.status == 400)
        return error_new(a, ERR_INTERNAL, "EC2MetadataError: the session's token was refused (400)");
    if (is_true("AWS_EC2_METADATA_V1_DISABLED"))
        return error_new(a, ERR_INTERNAL, "EC2MetadataError: no session, and version 1 is disabled");
    return e; /* nobody is there: no use in asking again */
}

static struct error *metadata_read(struct aws *aws, struct arena *a, const struct http_header *session,
                                   size_t n, str path, str *ret)
{
    struct http_result r;

    TRY(metadata_get(aws, a, "GET", arena_join(a, metadata_address(), path), session, n, &r));
    if (r.status != 200)
        return error_new(a, ERR_INTERNAL, "EC2MetadataError: %.*s: status %d", PSTR(path), r.status);
    *ret = str_from_bytes(r.body);
    return NULL;
}

struct error *aws_from_instance(struct aws *aws, struct arena *a, struct arena *held,
                                struct aws_credentials *ret, bool *ret_found)
{
    str base = STR("/latest/meta-data/iam/security-credentials/"), role, text, unused;
    struct http_header session;
    size_t n;

    if (is_true("AWS_EC2_METADATA_DISABLED"))
        return NULL;
    if (metadata_session(aws, a, &session, &n))
        return NULL; /* this is no instance */
    TRY(metadata_read(aws, a, &session, n, base, &role));
    str_cut(str_trim(role), '\n', &role, &unused);
    TRY(metadata_read(aws, a, &session, n, arena_join(a, base, url_encode(a, str_trim(role))), &text));
    TRY(json_credentials(a, held, "EC2RoleRequestError", bytes_from_str(text), ret));
    *ret_found = true;
    return NULL;
}

str aws_instance_region(struct aws *aws, struct arena *a)
{
    struct http_header session;
    struct json *document;
    str text;
    size_t n;

    if (is_true("AWS_EC2_METADATA_DISABLED") || metadata_session(aws, a, &session, &n) ||
        metadata_read(aws, a, &session, n, STR("/latest/dynamic/instance-identity/document"), &text) ||
        json_parse(a, text, true, &document))
        return (str){0};
    return json_get_str(document, STR("region"));
}
