/* gcp: access tokens of Google's APIs, and calls with them.
 *
 * Credentials: a JSON file (service account, or a user's own), else the machine's metadata service. A token
 * is fetched anew five minutes before it ends.
 * Threads: one at a time, and one that may wait.
 * Errors:  ERR_INTERNAL, the service's own words. Source: docs/formats/gcp.md.
 */
#pragma once
#include "cloud/cloud.h"

struct gcp;
/* file: path of the credentials; empty: GOOGLE_APPLICATION_CREDENTIALS, gcloud's own file, metadata. */
struct error *gcp_new(struct arena *a, str file, const struct cloud_host *host, struct gcp **ret) MUST_USE;
void gcp_free(struct gcp *g); /* NULL is fine */
/* body: NULL: a GET. Any answer but 2xx is an error. */
struct error *gcp_call(struct gcp *g, struct arena *a, str url, const struct json *body,
                       struct json **ret_answer) MUST_USE;
