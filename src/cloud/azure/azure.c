#include "cloud/azure/azure.h"

#include "base/encode.h"
#include "config/config.h"

#define METADATA "http://169.254.169.254"

struct azure {
    struct arena *arena;
    struct cloud_host host;
    struct http_client *http, *metadata;
    struct azure_settings settings;
    str resource, authority;
    struct cloud_token token;
};

static const struct {
    const char *name, *authority, *vault_suffix;
} environments[] = {
    {"AZUREPUBLICCLOUD", "https://login.microsoftonline.com/", "vault.azure.net"},
    {"AZURECHINACLOUD", "https://login.chinacloudapi.cn/", "vault.azure.cn"},
    {"AZUREUSGOVERNMENTCLOUD", "https://login.microsoftonline.us/", "vault.usgovcloudapi.net"},
    {"AZUREGERMANCLOUD", "https://login.microsoftonline.de/", "vault.microsoftazure.de"},
};

/* Of an installation of one's own. */
static struct error *endpoints_from_file(struct arena *a, struct azure_endpoints *ret)
{
    str path = config_env_exact("AZURE_ENVIRONMENT_FILEPATH"), text;
    struct json *v;

    if (path.n == 0)
        return error_new(a, ERR_BAD_REQUEST, "azure: AZURE_ENVIRONMENT_FILEPATH is not set");
    TRY(cloud_file_read(a, path, &text));
    if (json_parse(a, text, true, &v))
        return error_new(a, ERR_BAD_REQUEST, "azure: %.*s is not JSON", PSTR(path));
    *ret = (struct azure_endpoints){json_get_str(v, STR("activeDirectoryEndpoint")),
                                    json_get_str(v, STR("keyVaultDNSSuffix"))};
    return NULL;
}

struct error *azure_endpoints_find(struct arena *a, str environment, struct azure_endpoints *ret)
{
    if (environment.n == 0)
        environment = STR("AZUREPUBLICCLOUD");
    if (str_eq_nocase(environment, STR("AZURESTACKCLOUD")))
        return endpoints_from_file(a, ret);
    for (size_t i = 0; i < COUNT_OF(environments); i++)
        if (str_eq_nocase(environment, str_from_cstr(environments[i].name))) {
            *ret = (struct azure_endpoints){str_from_cstr(environments[i].authority),
                                            str_from_cstr(environments[i].vault_suffix)};
            return NULL;
        }
    return error_new(a, ERR_BAD_REQUEST,
                     "autorest/azure: There is no cloud environment matching the name \"%.*s\"",
                     PSTR(environment));
}

struct error *azure_new(struct arena *a, const struct azure_settings *s, str resource, str authority,
                        const struct cloud_host *host, struct azure **ret)
{
    struct arena *arena = arena_new(0);
    struct azure *z = ARENA_NEW(arena, struct azure);

    (void)a;
    *z = (struct azure){.arena = arena, .host = *host};
    z->settings.tenant_id = arena_str(arena, s->tenant_id);
    z->settings.client_id = arena_str(arena, s->client_id);
    z->settings.client_secret = arena_str(arena, s->client_secret);
    z->resource = arena_str(arena, resource);
    z->authority =
        str_ends(authority, STR("/")) ? arena_str(arena, authority) : arena_join(arena, authority, STR("/"));
    z->http = http_client_new(&(struct http_client_config){.cancelled = host->cancelled});
    z->metadata =
        http_client_new(&(struct http_client_config){.cancelled = host->cancelled, .no_proxy = true});
    *ret = z;
    return NULL;
}

void azure_free(struct azure *z)
{
    if (!z)
        return;
    http_client_free(z->http);
    http_client_free(z->metadata);
    arena_free(z->token.arena);
    arena_free(z->arena);
}

static struct error *by_secret(struct azure *z, struct arena *a, struct json **ret)
{
    static const struct http_header form_type = {{"Content-Type", 12},
                                                 {"application/x-www-form-urlencoded", 33}};
    const struct azure_settings *s = &z->settings;
    str form = arena_fmt(a, "client_id=%.*s&client_secret=%.*s&grant_type=client_credentials&resource=%.*s",
                         PSTR(url_encode(a, s->client_id)), PSTR(url_encode(a, s->client_secret)),
                         PSTR(url_encode(a, z->resource)));

    return cloud_json(
        &z->host, z->http, a,
        &(struct cloud_request){.method = STR("POST"),
                                .url = arena_fmt(a, "%.*s%.*s/oauth2/token?api-version=1.0",
                                                 PSTR(z->authority), PSTR(url_encode(a, s->tenant_id))),
                                .headers = &form_type,
                                .n_headers = 1,
                                .body = bytes_from_str(form)},
        ret);
}

static struct error *by_identity(struct azure *z, struct arena *a, struct json **ret)
{
    static const struct http_header metadata = {{"Metadata", 8}, {"true", 4}};
    str base = config_env_exact("AZURE_POD_IDENTITY_AUTHORITY_HOST"), id = z->settings.client_id;

    while (str_ends(base, STR("/")))
        base.n--;
    if (base.n == 0)
        base = STR(METADATA);
    str url = arena_fmt(a, "%.*s/metadata/identity/oauth2/token?api-version=2018-02-01&resource=%.*s%s%.*s",
                        PSTR(base), PSTR(url_encode(a, z->resource)), id.n ? "&client_id=" : "",
                        PSTR(url_encode(a, id)));

    return cloud_json(
        &z->host, z->metadata, a,
        &(struct cloud_request){.method = STR("GET"), .url = url, .headers = &metadata, .n_headers = 1}, ret);
}

static struct error *token(struct azure *z, struct arena *a, str *ret)
{
    const struct azure_settings *s = &z->settings;
    struct json *answer;

    if (!cloud_token_is_good(&z->token, &z->host)) {
        struct error *e =
            s->client_id.n && s->client_secret.n ? by_secret(z, a, &answer) : by_identity(z, a, &answer);

        if (e)
            return error_new(a, ERR_INTERNAL, "azure: no access token: %.*s", PSTR(e->text));
        TRY(cloud_token_set(&z->token, &z->host, a, answer));
    }
    *ret = z->token.text;
    return NULL;
}

struct error *azure_call(struct azure *z, struct arena *a, str url, const struct json *body,
                         struct json **ret)
{
    str bearer;

    TRY(token(z, a, &bearer));
    struct error *e = cloud_bearer_call(&z->host, z->http, a, bearer, url, body, ret);

    if (e && e->kind == ERR_DENIED)
        cloud_token_drop(&z->token);
    return e;
}
