/* azure: access tokens of Azure's APIs, and calls with them.
 *
 * Credentials: an application's secret, else the machine's managed identity. A token is fetched anew five
 * minutes before it ends.
 * Threads: one at a time, and one that may wait.
 * Errors:  ERR_INTERNAL, the service's own words. Source: docs/formats/azure.md.
 */
#pragma once
#include "cloud/cloud.h"

struct azure;
struct azure_settings { /* empty: the environment's AZURE_… */
    str tenant_id, client_id, client_secret;
    str environment; /* AZUREPUBLICCLOUD … */
};
struct azure_endpoints {
    str authority;    /* "https://login.microsoftonline.com/" */
    str vault_suffix; /* "vault.azure.net" */
};
/* ERR_BAD_REQUEST: an environment that is not known. */
struct error *azure_endpoints_find(struct arena *a, str environment, struct azure_endpoints *ret) MUST_USE;

struct error *azure_new(struct arena *a, const struct azure_settings *s, str resource, str authority,
                        const struct cloud_host *host, struct azure **ret) MUST_USE;
void azure_free(struct azure *z); /* NULL is fine */
/* body: NULL: a GET. Any answer but 2xx is an error. */
struct error *azure_call(struct azure *z, struct arena *a, str url, const struct json *body,
                         struct json **ret_answer) MUST_USE;
