/* http_client: blocking HTTP(S) requests for the CLI and, later, clouds; libcurl, loaded at first use.
 * Threads: one client per thread. Never on a loop or in the lane.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "net/http_server.h" /* struct http_header */

struct http_client;
struct http_client_config {
    str ca_file, ca_path, ca_pem, client_cert_file, client_key_file, tls_server_name, proxy;
    bool tls_skip_verify;
    bool no_proxy;      /* not even the environment's: what is asked knows this machine's secrets */
    int64_t timeout_ns; /* 0 = 60 s */
    const _Atomic(bool) *cancelled; /* NULL, or looked at about once a second: true ends a request */
};
struct http_client *http_client_new(const struct http_client_config *c);
void http_client_free(struct http_client *c);

struct http_result {
    int status;
    struct http_header *headers;
    size_t n_headers;
    bytes body;
};
/* `url` http://, https:// or with unix_socket set any URL whose host is ignored. Redirects are not followed
 * here. Errors: ERR_INTERNAL with a text as the peers' CLI prints it: `Get "URL": dial tcp 127.0.0.1:1:
 * connect: connection refused`. */
struct error *http_client_do(struct http_client *c, struct arena *a, str method, str url, str unix_socket,
                             const struct http_header *headers, size_t n_headers, bytes body,
                             struct http_result *ret) MUST_USE;
/* GET without an end: the body of a 200 goes to piece(arg, …) as it comes; false ends it. Other answers come
 * back in `ret` as always. No time limit. */
typedef bool http_piece_fn(void *arg, str piece);
struct error *http_client_stream(struct http_client *c, struct arena *a, str url, str unix_socket,
                                 const struct http_header *headers, size_t n_headers, http_piece_fn *piece,
                                 void *piece_arg, struct http_result *ret) MUST_USE;
str http_result_header(const struct http_result *r, str name);
