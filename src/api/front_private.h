/* front_private: between request.c (HTTP to request) and answer.c (response to HTTP). */
#pragma once
#include "api/front.h"

struct front_loop {
    struct loop *loop;
    struct arena *scratch; /* answers being made */
};

struct front {
    struct core *core;
    const struct config *config;
    char host_name_text[256];
    str host_name;               /* told in a header; empty: not */
    _Atomic(int) requests_level; /* of enum log_level; -1: completed requests are not logged */
    size_t n_loops;
    struct front_loop loops[];
};

struct front_call { /* in the exchange's arena */
    struct core_call call;
    struct exchange *exchange;
    struct front *front;
    int64_t started_ns;  /* wall; only where requests are logged */
    str allowed_origin;  /* of a page in a browser; empty: not asked, or not looked at */
    str allowed_headers; /* that it may send */
};

/* What the request asks, without the core: a redirect or an error to answer at once (status > 0), or status 0
 * and the call filled. */
struct parsed {
    int status;
    const char *error; /* NULL: an empty list of errors */
    str location;      /* of a redirect */
    struct error *e;   /* instead of `error` */
    bool empty;        /* no body at all */
};
struct parsed request_parse(struct front_call *fc);

/* The address X-Forwarded-For gives, under the listener's rules. */
struct error *forwarded_address(struct exchange *x, str *ret_address) MUST_USE;

/* True: answered: the page is of an origin that may not use the API, or the browser asks before it sends. */
bool front_cors(struct front_call *fc);

void answer_parsed(struct front_call *fc, const struct parsed *p);
void answer_preflight(struct front_call *fc, bool method_ok, str methods);
void answer_call(struct front_call *fc);
void answer_stream(struct front_call *fc);
