#include "base/rand.h"

#include "base/encode.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/secure.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

struct rng {
    bool seeded;
    struct mutex lock;
    uint64_t state; /* lock: lock */
};

struct rng *rng_system(void)
{
    static struct rng system; /* never written to */
    return &system;
}

struct rng *rng_seeded_new(uint64_t seed)
{
    struct rng *r = calloc(1, sizeof(*r));
    if (!r)
        die("out of memory");
    r->seeded = true;
    r->state = seed;
    mutex_init(&r->lock);
    return r;
}

void rng_seeded_free(struct rng *r)
{
    if (!r)
        return;
    mutex_done(&r->lock);
    free(r);
}

/* splitmix64 (Steele, Lea, Flood): reproducible on every machine, and nothing more is asked of it. */
static uint64_t seeded_next(struct rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void seeded_bytes(struct rng *r, uint8_t *out, size_t n)
{
    mutex_lock(&r->lock);
    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = seeded_next(r);
        memcpy(out + i, &v, MIN(n - i, 8));
    }
    mutex_unlock(&r->lock);
}

void rng_bytes(struct rng *r, void *out, size_t n)
{
    uint8_t *p = out;
    if (r->seeded) {
        seeded_bytes(r, p, n);
        return;
    }
    while (n) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno != EINTR)
            die("getrandom: %s", strerrorname_np(errno));
        p += MAX(got, 0);
        n -= (size_t)MAX(got, 0);
    }
}

uint64_t rng_below(struct rng *r, uint64_t bound)
{
    uint64_t v,
        skip = (0 - bound) % bound; /* 2^64 mod bound: values below it would make some results likelier */
    do
        rng_bytes(r, &v, sizeof(v));
    while (v < skip);
    return v % bound;
}

void rng_base62(struct rng *r, char *out, size_t n)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint8_t drawn[64];
    size_t at = sizeof(drawn);
    for (size_t i = 0; i < n;) {
        if (at == sizeof(drawn)) {
            at = sizeof(drawn) -
                 MIN(sizeof(drawn), (n - i) + (n - i) / 16 + 1); /* 8 of 256 values are refused */
            rng_bytes(r, drawn + at, sizeof(drawn) - at);
        }
        uint8_t v = drawn[at++];
        if (v < 4 * 62)
            out[i++] = digits[v % 62];
    }
    wipe(drawn, sizeof(drawn));
}

void rng_uuid(struct rng *r, char out[UUID_TEXT_BYTES])
{
    uint8_t b[16];
    rng_bytes(r, b, sizeof(b));
    hex_encode_to(out, (bytes){b, 4});
    hex_encode_to(out + 9, (bytes){b + 4, 2});
    hex_encode_to(out + 14, (bytes){b + 6, 2});
    hex_encode_to(out + 19, (bytes){b + 8, 2});
    hex_encode_to(out + 24, (bytes){b + 10, 6});
    out[8] = out[13] = out[18] = out[23] = '-';
}

str rng_uuid_str(struct rng *r, struct arena *a)
{
    char text[UUID_TEXT_BYTES];
    rng_uuid(r, text);
    return arena_str(a, (str){text, sizeof(text)});
}
