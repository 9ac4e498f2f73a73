/* front: HTTP to request and back: paths, verbs, headers, bodies; the JSON envelope of answers.
 *
 * Threads: on the loops of the HTTP server. Memory: a request lives in its exchange's arena, an answer's
 * bytes in a scratch arena of its loop.
 * Source: docs/formats/http.md.
 */
#pragma once
#include "base/loop.h"
#include "core/core.h"
#include "net/http_server.h"

struct front;
struct front_config {
    struct core *core;
    const struct config *config;
    struct loop *const *loops;
    size_t n_loops;
};
struct front *front_new(const struct front_config *c);
void front_free(struct front *f);
/* Completed requests are logged at this level ("" and "off": not). Any thread. */
void front_log_requests(struct front *f, str level);
/* The http_server's handler; arg is the front. */
void front_handle(struct exchange *x, void *front);
