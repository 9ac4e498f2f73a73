/* rand: randomness that tests can set.
 * rng_system: getrandom(2), never seeded by us. rng_seeded: reproducible, for tests only (never in a
 * server).
 * Threads: rng_system any; a seeded one has a lock inside.
 */
#pragma once
#include "base/arena.h"

struct rng;
struct rng *rng_system(void);
struct rng *rng_seeded_new(uint64_t seed);
void rng_seeded_free(struct rng *r);

void rng_bytes(struct rng *r, void *out, size_t n);
uint64_t rng_below(struct rng *r, uint64_t bound);   /* uniform in [0, bound) */
void rng_base62(struct rng *r, char *out, size_t n); /* uniform over 0-9A-Za-z, no NUL */
enum { UUID_TEXT_BYTES = 36 };
/* 8-4-4-4-12 lower-case hex of 16 random bytes, no version bits */
void rng_uuid(struct rng *r, char out[UUID_TEXT_BYTES]);
str rng_uuid_str(struct rng *r, struct arena *a);
