/* aws: credentials, signatures and calls of AWS's APIs, without an SDK.
 *
 * Credentials come from the first source that has some: the configuration; AWS_ACCESS_KEY_ID and its kin; the
 * shared file's profile; a role (by a web identity's token, else assumed with what the other sources give);
 * the container's endpoint; the instance's metadata. What expires is fetched anew five minutes before.
 * A clock that is wrong is answered: the service's own time is taken from its refusal.
 * Threads:  one at a time, and one that may wait.
 * Errors:   ERR_INTERNAL, the service's as "CODE: message" ("AccessDeniedException: …").
 * Source:   AWS's Signature Version 4; facts of the chain: docs/formats/aws.md.
 */
#pragma once
#include "cloud/cloud.h"

enum { AWS_HEADERS_MAX = 32 };

struct aws_credentials {
    str access_key, secret_key, session_token; /* the last may be empty */
    int64_t expires_ns;                        /* wall; 0: never */
};

/* ---- signing ---- */

struct aws_signing {
    str method, host, path, query; /* as they are sent: path "/", query without '?' */
    const struct http_header *headers;
    size_t n_headers; /* all of them are signed */
    bytes body;
    str region, service;
    int64_t now_ns;
    bool path_is_final; /* S3: the path is not encoded once more */
};
/* Headers to be added: X-Amz-Date, X-Amz-Security-Token if there is one, Authorization. ret has room for
 * three. */
void aws_sign(struct arena *a, const struct aws_credentials *c, const struct aws_signing *s,
              struct http_header ret[3], size_t *ret_n);

/* ---- where credentials come from ---- */

struct aws;
/* What a configuration says; empty: the environment and the defaults. Texts are copied. */
struct aws_settings {
    str access_key, secret_key, session_token;
    str region;
    str shared_file, shared_profile;
    str role_arn, role_session_name, web_identity_token_file;
};
/* ERR_BAD_REQUEST: one of access key and secret key alone. */
struct error *aws_new(struct arena *a, const struct aws_settings *s, const struct cloud_host *host,
                      struct aws **ret) MUST_USE;
void aws_free(struct aws *aws); /* wipes; NULL is fine */
/* "NoCredentialProviders: no valid providers in chain" when no source has any. Valid until the next call. */
struct error *aws_credentials_get(struct aws *aws, struct arena *a, struct aws_credentials *ret) MUST_USE;
/* The configuration's, else found; "us-east-1" if nothing says. Lives as long as aws. */
str aws_region(struct aws *aws);

/* ---- calls ---- */

struct aws_call {
    str service;             /* "kms" */
    str endpoint;            /* "https://host[:port]" */
    str target;              /* "TrentService.Encrypt" */
    str content_type;        /* "application/x-amz-json-1.1" */
    const struct json *body; /* object */
};
/* POST / with the JSON body; signed anew for each of up to four tries. Any answer but 2xx is an error. */
struct error *aws_call(struct aws *aws, struct arena *a, const struct aws_call *call,
                       struct json **ret_answer) MUST_USE;
