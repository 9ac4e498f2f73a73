#include "check.h"
#include "net/h1.h"
#include "probes.h"

#include <stdlib.h>

enum { BODY_MAX = 64 };

struct outcome {
    enum h1_verdict verdict; /* MORE: the request is not whole */
    int status;
    struct h1_head head;
    char body[BODY_MAX];
    size_t body_bytes;
    size_t used;
};

static void body_copy(struct outcome *o, bytes piece)
{
    assert_true(piece.n <= BODY_MAX - o->body_bytes);
    if (piece.n)
        memcpy(o->body + o->body_bytes, piece.p, piece.n);
    o->body_bytes += piece.n;
}

/* The body behind a head, given `step` bytes at a time. */
static void read_body(struct outcome *o, str in, size_t step)
{
    struct h1_chunks chunks = {0};
    if (!o->head.chunked) {
        size_t n = MIN(in.n, (size_t)o->head.content_length);
        body_copy(o, bytes_from_str(str_slice(in, 0, n)));
        o->used += n;
        o->verdict = n < o->head.content_length ? H1_MORE : H1_DONE;
        return;
    }
    o->verdict = H1_MORE;
    for (size_t at = 0; at < in.n && o->verdict == H1_MORE;) {
        size_t used;
        bytes piece;
        str given = str_slice(in, at, at + step);
        o->verdict = h1_chunks_next(&chunks, bytes_from_str(given), &used, &piece);
        body_copy(o, piece);
        assert_true(used <= given.n);
        at += used;
        o->used += used;
    }
    if (o->verdict == H1_BAD)
        o->status = 400;
}

/* One request, as a connection reads it that gets `step` bytes at a time. */
static struct outcome read_request(str in, size_t step)
{
    struct outcome o = {.verdict = H1_MORE};
    struct h1_scan scan = {0};
    for (size_t n = MIN(step, in.n); o.verdict == H1_MORE; n = MIN(n + step, in.n)) {
        o.verdict = h1_scan(&scan, str_slice(in, 0, n));
        if (n == in.n)
            break;
    }
    if (o.verdict == H1_BAD)
        o.status = scan.refusal->status;
    if (o.verdict != H1_DONE)
        return o;
    struct http_header *headers = malloc(scan.lines * sizeof *headers); /* exact: an overrun is seen */
    assert_non_null(headers);
    const struct h1_refusal *no = h1_parse(str_slice(in, 0, scan.head_bytes), headers, &o.head);
    free(headers);
    o.used = scan.head_bytes;
    if (no) {
        o.verdict = H1_BAD;
        o.status = no->status;
        return o;
    }
    read_body(&o, str_from(in, scan.head_bytes), step);
    return o;
}

static void check_probe(const struct probe *p, size_t step)
{
    struct outcome o = read_request(p->request, step);
    if (o.status != p->status || (p->status == 0) != (o.verdict == H1_DONE))
        fail_msg("%s, %zu bytes at a time: status %d, expected %d", p->name, step, o.status, p->status);
    if (p->target && !str_eq(o.head.target, str_from_cstr(p->target)))
        fail_msg("%s: target %.*s", p->name, PSTR(o.head.target));
    if (p->body && !str_eq((str){o.body, o.body_bytes}, str_from_cstr(p->body)))
        fail_msg("%s: body %.*s", p->name, (int)o.body_bytes, o.body);
    if (p->status == 0)
        assert_int_equal(o.used, p->request.n);
}

static void probes_are_answered_however_they_arrive(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_probes; i++)
        for (size_t step = 1; step <= probes[i].request.n; step++)
            check_probe(&probes[i], step);
}

static void a_good_request_cut_short_is_not_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_probes; i++)
        for (size_t n = 0; probes[i].status == 0 && n < probes[i].request.n; n++) {
            struct outcome o = read_request(str_slice(probes[i].request, 0, n), MAX(n, 1));
            if (o.verdict != H1_MORE)
                fail_msg("%s: whole after %zu bytes", probes[i].name, n);
        }
}

static void fields_are_split_and_trimmed(void **state)
{
    (void)state;
    str head = STR("GET / HTTP/1.1\r\nHost: h\r\nX-A:  b c \t\r\nx-a:\r\n\r\n");
    struct http_header f[3];
    struct h1_head h;
    struct h1_scan scan = {0};
    assert_int_equal(h1_scan(&scan, head), H1_DONE);
    assert_int_equal(scan.lines, 4);
    assert_null(h1_parse(head, f, &h));
    assert_int_equal(h.n_headers, 3);
    assert_true(str_eq(f[1].name, STR("X-A")) && str_eq(f[1].value, STR("b c")));
    assert_true(str_eq(f[2].name, STR("x-a")) && f[2].value.n == 0);
    assert_true(str_eq(h.method, STR("GET")));
}

static void connection_and_expect_are_understood(void **state)
{
    static const struct {
        str head;
        bool keep_alive, expects_continue;
    } rows[] = {
        {STR("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), true, false},
        {STR("GET / HTTP/1.1\r\nHost: h\r\nConnection: Close\r\n\r\n"), false, false},
        {STR("GET / HTTP/1.1\r\nHost: h\r\nConnection: x, close ,y\r\n\r\n"), false, false},
        {STR("GET / HTTP/1.1\r\nHost: h\r\nConnection: x\r\nConnection: close\r\n\r\n"), false, false},
        {STR("GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n"), true, false},
        {STR("GET / HTTP/1.0\r\n\r\n"), false, false},
        {STR("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), true, false},
        {STR("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), false, false},
        {STR("GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\n\r\n"), true, true},
        {STR("GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), false, false},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct outcome o = read_request(rows[i].head, rows[i].head.n);
        assert_int_equal(o.status, 0);
        assert_int_equal(o.head.keep_alive, rows[i].keep_alive);
        assert_int_equal(o.head.expects_continue, rows[i].expects_continue);
    }
}

/* A head of `fields` fields, the last one with `pad` more bytes; malloc. */
static str head_with(size_t fields, size_t pad)
{
    static const str line = STR("GET / HTTP/1.1\r\nHost: h\r\n");
    size_t n = line.n + (fields - 1) * 6 + pad + 2;
    char *p = malloc(n);
    assert_non_null(p);
    memcpy(p, line.p, line.n);
    size_t at = line.n;
    for (size_t i = 1; i < fields; i++, at += 6)
        memcpy(p + at, "A: b\r\n", 6);
    memset(p + at - 2, 'b', pad);
    memcpy(p + at - 2 + pad, "\r\n\r\n", 4);
    return (str){p, n};
}

static void heads_have_limits(void **state)
{
    static const struct {
        size_t fields, bytes;
        enum h1_verdict verdict;
    } rows[] = {
        {200, 0, H1_DONE},       {H1_FIELDS_MAX, 0, H1_DONE},     {H1_FIELDS_MAX + 1, 0, H1_BAD},
        {2, 64 * 1024, H1_DONE}, {2, H1_HEAD_BYTES_MAX, H1_DONE}, {2, H1_HEAD_BYTES_MAX + 1, H1_BAD},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct h1_scan scan = {0};
        str bare = head_with(rows[i].fields, 0);
        str head = head_with(rows[i].fields, rows[i].bytes ? rows[i].bytes - bare.n : 0);
        assert_int_equal(h1_scan(&scan, head), rows[i].verdict);
        if (rows[i].verdict == H1_BAD)
            assert_int_equal(scan.refusal->status, 431);
        free((void *)(uintptr_t)bare.p);
        free((void *)(uintptr_t)head.p);
    }
}

static enum h1_verdict feed(struct h1_chunks *c, str in, size_t times)
{
    enum h1_verdict v = H1_MORE;
    for (size_t i = 0; i < times && v == H1_MORE; i++)
        for (size_t at = 0, used; at < in.n && v == H1_MORE; at += used) {
            bytes piece;
            v = h1_chunks_next(c, bytes_from_str(str_from(in, at)), &used, &piece);
        }
    return v;
}

static void small_chunks_are_fine_and_floods_of_framing_are_not(void **state)
{
    (void)state;
    struct h1_chunks small = {0};
    assert_int_equal(feed(&small, STR("1\r\na\r\n"), 1000000), H1_MORE);
    struct h1_chunks extended = {0};
    assert_int_equal(feed(&extended, STR("1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n"), 1000),
                     H1_BAD);
    struct h1_chunks trailers = {0};
    assert_int_equal(feed(&trailers, STR("0\r\n"), 1), H1_MORE);
    assert_int_equal(feed(&trailers, STR("A: b\r\n"), 10000), H1_BAD);
}

static void replies_are_written(void **state)
{
    static const struct http_header fields[] = {
        {STR("X-A"), STR("b")},
        {STR("X-Split"), STR("a\r\nSet-Cookie: x\0")},
        {STR("bad name"), STR("left out")},
        {STR(""), STR("left out")},
    };
    static const struct {
        struct h1_reply reply;
        str text;
    } rows[] = {
        {{.minor = 1, .status = 204, .keep_alive = true}, STR("HTTP/1.1 204 No Content\r\n\r\n")},
        {{.minor = 1,
          .status = 200,
          .has_length = true,
          .content_length = 1234567890123,
          .keep_alive = true,
          .date = STR("now")},
         STR("HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 1234567890123\r\n\r\n")},
        {{.minor = 1, .status = 472, .has_length = true},
         STR("HTTP/1.1 472 status code 472\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")},
        {{.minor = 0, .status = 404, .keep_alive = true},
         STR("HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\n\r\n")},
        {{.minor = 1, .status = 200, .keep_alive = true, .headers = fields, .n_headers = COUNT_OF(fields)},
         STR("HTTP/1.1 200 OK\r\nX-A: b\r\nX-Split: a  Set-Cookie: x \r\n\r\n")},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t max = h1_reply_bytes_max(&rows[i].reply);
        char *out = malloc(max);
        assert_non_null(out);
        size_t n = h1_reply_write(&rows[i].reply, out);
        if (!str_eq((str){out, n}, rows[i].text))
            fail_msg("row %zu: %.*s", i, (int)n, out);
        free(out);
    }
}

static void dates_are_written(void **state)
{
    static const struct {
        int64_t s;
        const char *text;
    } rows[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},          {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},  {951868799, "Tue, 29 Feb 2000 23:59:59 GMT"},
        {951868800, "Wed, 01 Mar 2000 00:00:00 GMT"},  {1767225599, "Wed, 31 Dec 2025 23:59:59 GMT"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"}, {-1, "Thu, 01 Jan 1970 00:00:00 GMT"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[H1_DATE_BYTES];
        h1_date_write(rows[i].s, out);
        assert_memory_equal(out, rows[i].text, H1_DATE_BYTES);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probes_are_answered_however_they_arrive),
        cmocka_unit_test(a_good_request_cut_short_is_not_whole),
        cmocka_unit_test(fields_are_split_and_trimmed),
        cmocka_unit_test(connection_and_expect_are_understood),
        cmocka_unit_test(heads_have_limits),
        cmocka_unit_test(small_chunks_are_fine_and_floods_of_framing_are_not),
        cmocka_unit_test(replies_are_written),
        cmocka_unit_test(dates_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
