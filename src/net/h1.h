/* h1: the HTTP/1.1 codec: head parser, chunk decoder, writer of answer heads.
 *
 * Shape:   pure functions over slices: no I/O, no allocation, no state but the structs given. Slices in the
 *          results point into the input.
 * Strict:  what RFC 9112 lets a server refuse is refused (obsolete folding, bare LF, length and chunked
 *          together), since a lenient reader behind a proxy is how requests are smuggled. Every refusal ends
 *          the connection.
 * Threads: any.
 * Source:  docs/formats/http.md (the table of probes), RFC 9110, RFC 9112. Fuzzed: test/fuzz/fuzz_h1.c.
 */
#pragma once
#include "net/http_header.h"

enum {
    H1_HEAD_BYTES_MAX = 1024 * 1024, /* request line and fields together, as Go's server */
    H1_FIELDS_MAX = 1000,
    H1_CHUNK_OVERHEAD_MAX = 16 * 1024, /* framing bytes of a chunked body beyond what its data pays for */
};

enum h1_verdict { H1_MORE, H1_DONE, H1_BAD };

/* Why a message is refused: the status to answer and the words behind it. Static memory. */
struct h1_refusal {
    int status;
    const char *text; /* NULL: only the status line's words */
};

/* The search for the end of a head. Zero it for each head; call again with the same bytes and more. */
struct h1_scan {
    size_t head_bytes;                /* DONE: length of the head with its empty line */
    size_t lines;                     /* ended so far; DONE: the request line and the fields */
    const struct h1_refusal *refusal; /* BAD: why */
    size_t line_start;
    size_t seen;
};
enum h1_verdict h1_scan(struct h1_scan *s, str in);

struct h1_head {
    str method; /* any token */
    str target; /* begins with '/'; absolute-form is reduced to path and query; "*" with OPTIONS */
    int minor;  /* HTTP/1.minor: 0 or 1 */
    size_t n_headers;
    bool chunked;
    bool has_length;
    uint64_t content_length; /* 0 without has_length */
    bool keep_alive;
    bool expects_continue;
};
/* Parses a whole head, as h1_scan measured it. `headers` has room for scan.lines - 1 fields. NULL when it is
 * good. */
const struct h1_refusal *h1_parse(str head, struct http_header *headers, struct h1_head *ret_head) MUST_USE;

/* A chunked body. Zero it at the body's start. */
struct h1_chunks {
    int state;
    unsigned digits;
    uint64_t left;
    size_t overhead;
};
/* One step: uses up ret_used bytes of `in` and shows at most one piece of data in them (ret_data, may be
 * empty). MORE with ret_used < in.n: call again with the rest. DONE: what follows belongs to the next
 * request. BAD: answer 400. */
enum h1_verdict h1_chunks_next(struct h1_chunks *c, bytes in, size_t *ret_used, bytes *ret_data);

struct h1_reply {
    int minor; /* of the request */
    int status;
    const struct http_header
        *headers; /* an invalid name is left out; CR, LF and NUL in a value become blanks */
    size_t n_headers;
    str date;        /* RFC 9110 form; empty = no Date field */
    bool chunked;    /* Transfer-Encoding: chunked is written */
    bool has_length; /* Content-Length is written */
    uint64_t content_length;
    bool keep_alive; /* false: "Connection: close" */
};
size_t h1_reply_bytes_max(const struct h1_reply *r); /* room that h1_reply_write may need */
size_t h1_reply_write(const struct h1_reply *r,
                      char *out); /* the head with its empty line; returns its length */

bool h1_status_has_body(int status); /* false for 1xx, 204 and 304 */
enum { H1_STATUS_TEXT_MAX = 40 };
/* "Not Found"; for a number without words "status code 472", as Go. Written into `buffer` if it must be made.
 */
str h1_status_text(int status, char buffer[H1_STATUS_TEXT_MAX]);

enum { H1_DATE_BYTES = 29 };
void h1_date_write(int64_t unix_s, char out[H1_DATE_BYTES]); /* "Sun, 06 Nov 1994 08:49:37 GMT" */
