/* stream: answers without an end (sys/monitor): made by response_stream(), pulled by their connection.
 *
 * A source is opened when the answer's head is about to be sent, and holds nothing of struct active: a stream
 * outlives the request. It ends when its source says so, when the connection is gone, and at seal (after one
 * more pull). At most STREAMS_MAX at a time.
 * Threads: open, next, close on the connection's loop; stream_wake() on any.
 */
#pragma once
#include "base/base.h"

enum { STREAMS_MAX = 64 };

struct stream;
struct stream_source {
    const char *content_type;
    void *(*open)(struct stream *s, const void *arg); /* arg of response_stream(); lives during the call */
    /* Up to max bytes, at once; 0: nothing now (stream_wake() comes), or no more when *ret_end is set */
    size_t (*next)(void *opened, uint8_t *out, size_t max, bool *ret_end);
    void (*close)(void *opened); /* stream_wake() is not called after */
};
void stream_wake(struct stream *s);

/* For the front. */
struct core;
struct core_call;
/* The stream of call->rs, before core_call_end(); NULL: there are too many. ready(arg) is called on the loop
 * whenever there may be more. */
struct stream *core_stream_open(struct core_call *call, void (*ready)(void *arg), void *arg);
size_t core_stream_next(struct stream *s, uint8_t *out, size_t max, bool *ret_end);
void core_stream_close(struct stream *s);
/* Control thread: of a core whose active object is gone. */
void core_streams_end(struct core *c);
