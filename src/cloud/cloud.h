/* cloud: what the clouds' rooms share: the process around them, waiting between tries, small files, times.
 *
 * Threads: no state. Everything here may wait: never on a loop or in the lane.
 */
#pragma once
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/rand.h"
#include "net/http_client.h"

enum { CLOUD_TRIES_MAX = 4, CLOUD_FILE_BYTES_MAX = 1024 * 1024 };

/* Lives longer than what uses it. */
struct cloud_host {
    struct rng *rng;
    const struct clock *clock;
    const _Atomic(bool) *cancelled; /* NULL, or true at the end of the process: what waits gives up */
};

/* Waits; false: cancelled. */
bool cloud_pause(const struct cloud_host *h, int64_t ns) MUST_USE;
/* A request with one more try after a failed connection, 429 and 5xx, and a growing random pause between
 * them. */
struct cloud_request {
    str method, url;
    const struct http_header *headers;
    size_t n_headers;
    bytes body;
};
struct error *cloud_send(const struct cloud_host *h, struct http_client *http, struct arena *a,
                         const struct cloud_request *rq, struct http_result *ret) MUST_USE;
bool cloud_is_transient(int status); /* 429, 5xx */

/* The same with a JSON answer; any but 2xx is an error in the service's words (401: ERR_DENIED). */
struct error *cloud_json(const struct cloud_host *h, struct http_client *http, struct arena *a,
                         const struct cloud_request *rq, struct json **ret_answer) MUST_USE;
/* With "Authorization: Bearer"; a POST of `body`, or a GET when it is NULL. */
struct error *cloud_bearer_call(const struct cloud_host *h, struct http_client *http, struct arena *a,
                                str bearer, str url, const struct json *body, struct json **ret_answer)
    MUST_USE;

/* An access token until five minutes before its end. */
struct cloud_token {
    struct arena *arena; /* NULL: none */
    str text;
    int64_t expires_ns;
};
bool cloud_token_is_good(const struct cloud_token *t, const struct cloud_host *h);
/* From {"access_token", "expires_in"}, the number perhaps as text. */
struct error *cloud_token_set(struct cloud_token *t, const struct cloud_host *h, struct arena *a,
                              const struct json *answer) MUST_USE;
void cloud_token_drop(struct cloud_token *t);

/* The whole of a small file. Errors name it. */
struct error *cloud_file_read(struct arena *a, str path, str *ret) MUST_USE;
/* PATH below the home folder; empty without one. */
str cloud_home(struct arena *a, const char *path);
/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, the one form that is still made). */
bool http_date_parse(str s, int64_t *ret_wall_ns) MUST_USE;
