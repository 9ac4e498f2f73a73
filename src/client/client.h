/* client: the Vault API from the caller's side, over net/http_client.
 *
 * Threads: one client per thread; calls block. Memory: answers live in the arena given to each call.
 * Errors: client_send() fails only when there is no answer (connection, TLS, a token that cannot be sent);
 * what the server refused is made an error by client_check(), with the text that the peers' command line
 * prints. Retries only if settings ask for them.
 */
#pragma once
#include "base/json.h"
#include "client/environment.h"
#include "net/http_client.h"

struct client_settings {
    str address; /* http://, https:// or unix:///path */
    str token;
    str name_space;
    str wrap_ttl; /* as the header takes it; empty = no wrapping */
    const str *mfa;
    size_t n_mfa;
    struct http_header *headers; /* sent with every request; names do not begin with X-Vault- */
    size_t n_headers;
    bool policy_override, disable_redirects;
    bool srv_lookup;          /* an address without a port is looked up in DNS (client/srv.h) */
    int64_t rate_interval_ns; /* between two requests, in the long run; 0: no limit */
    uint64_t rate_burst;      /* so many may go out at once */
    uint64_t retries_max;
    struct http_client_config http;
};
/* All that VAULT_*, BAO_* and COFFER_* variables say; the token too. Errors: "failed to read environment:
 * could not parse NAME". */
struct error *client_settings_from_environment(struct arena *a, const struct environment *e,
                                               struct client_settings *ret_settings) MUST_USE;

struct client;
struct error *client_new(struct arena *a, const struct client_settings *s, struct client **ret_client)
    MUST_USE;
void client_free(struct client *c);                 /* NULL is fine */
void client_set_token(struct client *c, str token); /* the text must live as long as the client */
str client_token(const struct client *c);
str client_address(const struct client *c);
const struct client_settings *client_settings(const struct client *c);

struct client_request {
    const char *method; /* LIST is sent as GET with list=true */
    str path;           /* behind /v1/; slashes at both ends do not matter */
    const struct json
        *params; /* NULL, or an object: query parameters; an array's items become one parameter each */
    const struct json *body; /* NULL = none */
    bool never_wrap;
    bool root_namespace;
};

enum { CLIENT_HEADERS_MAX = 64 };
/* A request as it goes out. */
struct client_prepared {
    const char *method;
    str path, url;
    bytes body;
    struct http_header headers[CLIENT_HEADERS_MAX];
    size_t n_headers;
};
struct error *client_prepare(const struct client *c, struct arena *a, const struct client_request *rq,
                             struct client_prepared *ret_prepared) MUST_USE;

struct client_answer {
    int status;
    const char *method; /* as sent */
    str url;
    str name_space; /* X-Vault-Namespace of the answer */
    str path;
    str body;
    struct json *json; /* NULL if the body is not JSON */
};

struct error *client_send(struct client *c, struct arena *a, const struct client_request *rq,
                          struct client_answer *ret_answer) MUST_USE;
/* GET of an answer without an end: the body of a 200 goes to piece(arg, …) as it comes, false ends it. */
struct error *client_stream(struct client *c, struct arena *a, const struct client_request *rq,
                            http_piece_fn *piece, void *arg, struct client_answer *ret_answer) MUST_USE;
/* NULL for 2xx, 3xx (and 429 of sys/health), else "Error making API request.\n\nURL: …\nCode: …. Errors:\n\n*
 * …". */
struct error *client_check(struct arena *a, const struct client_answer *answer) MUST_USE;
/* Waits: between two tries of a request, or two questions about work that the server still does. */
void client_pause(int64_t ns);
