/* Signature Version 4: a canonical request, its hash in a string to sign, a key derived from day, region and
 * service. */
#include "base/buf.h"
#include "base/encode.h"
#include "cloud/aws/aws_private.h"
#include "crypto/crypto.h"

#include <stdlib.h>

enum { CANONICAL_BYTES_MAX = 1024 * 1024, STAMP_BYTES = 16, DAY_BYTES = 8 };

static int by_name(const void *x, const void *y)
{
    const struct http_header *a = x, *b = y;

    return str_cmp(a->name, b->name);
}

static int by_text(const void *x, const void *y)
{
    const str *a = x, *b = y;

    return str_cmp(*a, *b);
}

/* "20261122T042734Z" */
static str stamp(struct arena *a, int64_t now_ns)
{
    char text[TIME_TEXT_MAX];
    struct buf b;

    (void)time_format_fixed(text, now_ns - now_ns % NS_PER_S, 0); /* 2026-11-22T04:27:34Z */
    buf_init(&b, a, STAMP_BYTES);
    for (const char *p = text; *p; p++)
        if (*p != '-' && *p != ':')
            buf_put_byte(&b, (uint8_t)*p);
    return buf_str(&b);
}

static str sha256_hex(struct arena *a, bytes data)
{
    uint8_t hash[SHA256_BYTES];

    sha256(hash, data, (bytes){0});
    return hex_encode(a, (bytes){hash, sizeof(hash)});
}

/* Parameters sorted; a name alone gets its '='. */
static void put_query(struct buf *out, struct arena *a, str query)
{
    size_t n = 0, max = 1;

    for (size_t i = 0; i < query.n; i++)
        max += query.p[i] == '&';
    str *parts = ARENA_ARRAY(a, str, max);

    for (str rest = query; rest.n > 0;) {
        str part;

        str_cut(rest, '&', &part, &rest);
        if (part.n > 0)
            parts[n++] = str_index(part, '=') < part.n ? part : arena_join(a, part, STR("="));
    }
    qsort(parts, n, sizeof(*parts), by_text);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_put_byte(out, '&');
        buf_put_str(out, parts[i]);
    }
}

static str names_of(struct arena *a, const struct http_header *h, size_t n)
{
    struct buf b;

    buf_init(&b, a, CANONICAL_BYTES_MAX);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_put_byte(&b, ';');
        buf_put_str(&b, h[i].name);
    }
    return buf_str(&b);
}

/* All headers, the host and the length among them, by their lower-case names. */
static size_t canonical_headers(struct arena *a, const struct aws_signing *s, const struct http_header *more,
                                size_t n_more, struct http_header *to)
{
    size_t n = 0;

    to[n++] = (struct http_header){STR("host"), s->host};
    if (s->body.n > 0)
        to[n++] = (struct http_header){STR("content-length"), arena_fmt(a, "%zu", s->body.n)};
    for (size_t i = 0; i < s->n_headers && n < AWS_HEADERS_MAX; i++)
        to[n++] = (struct http_header){arena_lower(a, s->headers[i].name), str_trim(s->headers[i].value)};
    for (size_t i = 0; i < n_more; i++)
        to[n++] = (struct http_header){arena_lower(a, more[i].name), more[i].value};
    qsort(to, n, sizeof(*to), by_name);
    return n;
}

static str canonical_request(struct arena *a, const struct aws_signing *s, const struct http_header *h,
                             size_t n, str names)
{
    struct buf b;
    str hash = {0};

    buf_init(&b, a, CANONICAL_BYTES_MAX);
    buf_put_fmt(&b, "%.*s\n", PSTR(s->method));
    buf_put_str(&b, s->path_is_final ? s->path : url_encode_path(a, s->path));
    buf_put_byte(&b, '\n');
    put_query(&b, a, s->query);
    buf_put_byte(&b, '\n');
    for (size_t i = 0; i < n; i++) {
        if (str_eq(h[i].name, STR("x-amz-content-sha256")))
            hash = h[i].value;
        buf_put_fmt(&b, "%.*s:%.*s\n", PSTR(h[i].name), PSTR(h[i].value));
    }
    buf_put_fmt(&b, "\n%.*s\n%.*s", PSTR(names), PSTR(hash.n ? hash : sha256_hex(a, s->body)));
    return buf_str(&b);
}

static void signing_key(uint8_t out[SHA256_BYTES], struct arena *a, const struct aws_credentials *c, str day,
                        const struct aws_signing *s)
{
    const str steps[] = {day, s->region, s->service, STR("aws4_request")};
    bytes key = bytes_from_str(arena_join(a, STR("AWS4"), c->secret_key));

    for (size_t i = 0; i < COUNT_OF(steps); i++) {
        uint8_t next[HMAC_SHA256_BYTES];

        hmac_sha256_once(next, key, bytes_from_str(steps[i]));
        memcpy(out, next, sizeof(next));
        wipe(next, sizeof(next));
        key = (bytes){out, SHA256_BYTES};
    }
}

void aws_sign(struct arena *a, const struct aws_credentials *c, const struct aws_signing *s,
              struct http_header ret[3], size_t *ret_n)
{
    struct http_header all[AWS_HEADERS_MAX + 4];
    uint8_t key[SHA256_BYTES], mac[HMAC_SHA256_BYTES];
    str time = stamp(a, s->now_ns), day = str_slice(time, 0, DAY_BYTES);
    size_t n_more = 0;

    ret[n_more++] = (struct http_header){STR("X-Amz-Date"), time};
    if (c->session_token.n > 0)
        ret[n_more++] = (struct http_header){STR("X-Amz-Security-Token"), c->session_token};
    size_t n = canonical_headers(a, s, ret, n_more, all);
    str names = names_of(a, all, n),
        scope = arena_fmt(a, "%.*s/%.*s/%.*s/aws4_request", PSTR(day), PSTR(s->region), PSTR(s->service)),
        request = canonical_request(a, s, all, n, names),
        text = arena_fmt(a, "AWS4-HMAC-SHA256\n%.*s\n%.*s\n%.*s", PSTR(time), PSTR(scope),
                         PSTR(sha256_hex(a, bytes_from_str(request))));

    signing_key(key, a, c, day, s);
    hmac_sha256_once(mac, (bytes){key, sizeof(key)}, bytes_from_str(text));
    wipe(key, sizeof(key));
    ret[n_more++] = (struct http_header){
        STR("Authorization"),
        arena_fmt(a, "AWS4-HMAC-SHA256 Credential=%.*s/%.*s, SignedHeaders=%.*s, Signature=%.*s",
                  PSTR(c->access_key), PSTR(scope), PSTR(names),
                  PSTR(hex_encode(a, (bytes){mac, sizeof(mac)})))};
    *ret_n = n_more;
}
