#include "cloud/gcp/gcp.h"

#include "base/encode.h"
#include "config/config.h"
#include "crypto/rsa_sign.h"

enum { ASSERTION_S = 3600 };
#define SCOPE        "https://www.googleapis.com/auth/cloud-platform"
#define TOKEN_URI    "https://oauth2.googleapis.com/token"
#define METADATA     "metadata.google.internal"
#define METADATA_URL "http://%.*s/computeMetadata/v1/instance/service-accounts/default/token"

struct gcp {
    struct arena *arena;
    struct cloud_host host;
    struct http_client *http, *metadata;
    str file; /* empty: metadata */
    struct cloud_token token;
};

struct error *gcp_new(struct arena *a, str file, const struct cloud_host *host, struct gcp **ret)
{
    struct arena *arena = arena_new(0);
    struct gcp *g = ARENA_NEW(arena, struct gcp);
    str unused;

    *g = (struct gcp){.arena = arena, .host = *host};
    if (file.n == 0)
        file = config_env_exact("GOOGLE_APPLICATION_CREDENTIALS");
    if (file.n == 0) {
        file = cloud_home(a, ".config/gcloud/application_default_credentials.json");
        if (cloud_file_read(a, file, &unused)) /* not there */
            file = (str){0};
    }
    g->file = arena_str(arena, file);
    g->http = http_client_new(&(struct http_client_config){.cancelled = host->cancelled});
    g->metadata =
        http_client_new(&(struct http_client_config){.cancelled = host->cancelled, .no_proxy = true});
    *ret = g;
    return NULL;
}

void gcp_free(struct gcp *g)
{
    if (!g)
        return;
    http_client_free(g->http);
    http_client_free(g->metadata);
    arena_free(g->token.arena);
    arena_free(g->arena);
}

/* header.claims.signature (RFC 7519), made by the service account for itself. */
static struct error *assertion(struct gcp *g, struct arena *a, const struct json *account, str token_uri,
                               str *ret)
{
    struct json *header = json_object_ordered(a), *claims = json_object_ordered(a);
    int64_t now_s = clock_wall_ns(g->host.clock) / NS_PER_S;
    bytes signature;

    json_set_str(a, header, STR("alg"), STR("RS256"));
    json_set_str(a, header, STR("typ"), STR("JWT"));
    json_set_str(a, header, STR("kid"), json_get_str(account, STR("private_key_id")));
    json_set_str(a, claims, STR("iss"), json_get_str(account, STR("client_email")));
    json_set_str(a, claims, STR("scope"), STR(SCOPE));
    json_set_str(a, claims, STR("aud"), token_uri);
    json_set_int(a, claims, STR("iat"), now_s);
    json_set_int(a, claims, STR("exp"), now_s + ASSERTION_S);
    str text = arena_fmt(a, "%.*s.%.*s", PSTR(base64url_encode(a, bytes_from_str(json_text(a, header)))),
                         PSTR(base64url_encode(a, bytes_from_str(json_text(a, claims)))));

    TRY(rsa_sign_sha256(a, json_get_str(account, STR("private_key")), bytes_from_str(text), &signature));
    *ret = arena_fmt(a, "%.*s.%.*s", PSTR(text), PSTR(base64url_encode(a, signature)));
    return NULL;
}

static struct error *form_of(struct gcp *g, struct arena *a, const struct json *c, str token_uri, str *ret)
{
    str type = json_get_str(c, STR("type")), jwt;

    if (str_eq(type, STR("authorized_user"))) {
        *ret = arena_fmt(a, "client_id=%.*s&client_secret=%.*s&grant_type=refresh_token&refresh_token=%.*s",
                         PSTR(url_encode(a, json_get_str(c, STR("client_id")))),
                         PSTR(url_encode(a, json_get_str(c, STR("client_secret")))),
                         PSTR(url_encode(a, json_get_str(c, STR("refresh_token")))));
        return NULL;
    }
    if (!str_eq(type, STR("service_account")))
        return error_new(a, ERR_INTERNAL, "google: credentials of type \"%.*s\" are not known", PSTR(type));
    TRY(assertion(g, a, c, token_uri, &jwt));
    *ret = arena_fmt(
        a, "assertion=%.*s&grant_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Agrant-type%%3Ajwt-bearer", PSTR(jwt));
    return NULL;
}

static struct error *by_file(struct gcp *g, struct arena *a, struct json **ret)
{
    static const struct http_header form_type = {{"Content-Type", 12},
                                                 {"application/x-www-form-urlencoded", 33}};
    struct json *c;
    str text, form, uri;

    TRY(cloud_file_read(a, g->file, &text));
    if (json_parse(a, text, true, &c))
        return error_new(a, ERR_INTERNAL, "google: %.*s is not JSON", PSTR(g->file));
    uri = json_get_str(c, STR("token_uri"));
    if (uri.n == 0)
        uri = STR(TOKEN_URI);
    TRY(form_of(g, a, c, uri, &form));
    return cloud_json(&g->host, g->http, a,
                      &(struct cloud_request){.method = STR("POST"),
                                              .url = uri,
                                              .headers = &form_type,
                                              .n_headers = 1,
                                              .body = bytes_from_str(form)},
                      ret);
}

static struct error *by_metadata(struct gcp *g, struct arena *a, struct json **ret)
{
    static const struct http_header flavor = {{"Metadata-Flavor", 15}, {"Google", 6}};
    str host = config_env_exact("GCE_METADATA_HOST");

    if (host.n == 0)
        host = STR(METADATA);
    return cloud_json(&g->host, g->metadata, a,
                      &(struct cloud_request){.method = STR("GET"),
                                              .url = arena_fmt(a, METADATA_URL, PSTR(host)),
                                              .headers = &flavor,
                                              .n_headers = 1},
                      ret);
}

static struct error *token(struct gcp *g, struct arena *a, str *ret)
{
    struct json *answer;

    if (!cloud_token_is_good(&g->token, &g->host)) {
        struct error *e = g->file.n ? by_file(g, a, &answer) : by_metadata(g, a, &answer);

        if (e)
            return error_new(a, ERR_INTERNAL, "google: no access token: %.*s", PSTR(e->text));
        TRY(cloud_token_set(&g->token, &g->host, a, answer));
    }
    *ret = g->token.text;
    return NULL;
}

struct error *gcp_call(struct gcp *g, struct arena *a, str url, const struct json *body, struct json **ret)
{
    str bearer;

    TRY(token(g, a, &bearer));
    struct error *e = cloud_bearer_call(&g->host, g->http, a, bearer, url, body, ret);

    if (e && e->kind == ERR_DENIED)
        cloud_token_drop(&g->token); /* refused as such: the next call asks for another */
    return e;
}
