/* web: a harness that is served over HTTP, on loopback, and a raw client.
 *
 * Threads: the test's. harness_restart() is not for this one.
 */
#pragma once
#include "api/front.h"
#include "harness.h"

struct web_options {
    int64_t max_request_bytes;   /* of the listener; 0: its default */
    size_t all_memory_bytes_max; /* 0: no limit */
    bool disable_printable_check;
};

struct web {
    struct harness h;
    struct web_options options;
    struct front *front;
    struct http_server *server;
    struct mutex mutex;
    struct cond drained;
    bool is_drained; /* lock: mutex */
};

void web_start(struct web *w, const struct harness_options *options, const struct web_options *web);
void web_stop(struct web *w);

int web_connect(struct web *w);
void web_send(int fd, str text);
/* All until the other side closes, or (n > 0) until n answers have begun. Fails the test after 20 s without a
 * byte. */
str web_receive(struct arena *a, int fd, unsigned n);

struct web_answer {
    int status;
    str head, body;
};
/* One request on a connection of its own. `fields`: more header lines, each with its end. */
struct web_answer web_call(struct web *w, struct arena *a, const char *method, str target, str token,
                           const char *fields, str body);
str web_field(const struct web_answer *answer,
              const char *name); /* the value of a header field; empty: absent */
