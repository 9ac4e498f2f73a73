/* fuzz_h1: a request read whole and cut in two at every point gives the same verdict, head and body; nothing
 * is read past the end. */
#include "net/h1.h"

#include <stdlib.h>

enum { SPLIT_BYTES_MAX = 512, BODY_BYTES_MAX = 4096 };

struct outcome {
    enum h1_verdict verdict;
    int status;
    size_t used;
    size_t n_headers;
    size_t target_bytes;
    bool keep_alive;
    uint64_t content_length;
    uint8_t body[BODY_BYTES_MAX];
    size_t body_bytes;
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void chunks_read(struct outcome *o, struct h1_chunks *c, bytes in)
{
    size_t at = 0;
    while (o->verdict == H1_MORE && at < in.n) {
        size_t used;
        bytes piece;
        o->verdict = h1_chunks_next(c, (bytes){in.p + at, in.n - at}, &used, &piece);
        require(used > 0 && used <= in.n - at && piece.n <= used);
        for (size_t i = 0; i < piece.n && o->body_bytes < BODY_BYTES_MAX; i++)
            o->body[o->body_bytes++] = piece.p[i];
        at += used;
    }
    o->used += at;
    if (o->verdict == H1_BAD)
        o->status = 400;
}

static bool head_read(struct outcome *o, str in, size_t head_bytes, size_t lines, struct h1_head *h)
{
    char *exact = malloc(head_bytes);
    struct http_header *headers = malloc(lines * sizeof *headers);
    require(exact && headers);
    memcpy(exact, in.p, head_bytes);
    const struct h1_refusal *no = h1_parse((str){exact, head_bytes}, headers, h);
    if (no) {
        o->verdict = H1_BAD;
        o->status = no->status;
    } else {
        require(h->n_headers < lines && h->method.n && h->target.n);
        require(!h->chunked || !h->has_length);
        o->n_headers = h->n_headers;
        o->target_bytes = h->target.n;
        o->keep_alive = h->keep_alive;
        o->content_length = h->content_length;
    }
    free(headers);
    free(exact);
    return !no;
}

/* The first `cut` bytes, then the rest. */
static void request_read(struct outcome *o, str in, size_t cut)
{
    struct h1_scan scan = {0};
    struct h1_head h;
    *o = (struct outcome){.verdict = h1_scan(&scan, str_slice(in, 0, cut))};
    if (o->verdict == H1_MORE)
        o->verdict = h1_scan(&scan, in);
    if (o->verdict == H1_BAD)
        o->status = scan.refusal->status;
    if (o->verdict != H1_DONE || !head_read(o, in, scan.head_bytes, scan.lines, &h))
        return;
    o->used = scan.head_bytes;
    if (!h.chunked)
        return;
    struct h1_chunks chunks = {0};
    size_t middle = MAX(cut, scan.head_bytes);
    o->verdict = H1_MORE;
    chunks_read(o, &chunks, bytes_from_str(str_slice(in, scan.head_bytes, middle)));
    chunks_read(o, &chunks, bytes_from_str(str_from(in, middle)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct outcome whole;
    static struct outcome cut;
    str in = {(const char *)data, size};
    request_read(&whole, in, size);
    for (size_t at = 0; at < size && size <= SPLIT_BYTES_MAX; at++) {
        request_read(&cut, in, at);
        require(memcmp(&whole, &cut, sizeof whole) == 0);
    }
    return 0;
}
