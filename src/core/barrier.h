/* barrier: encrypts every entry; the keyring is its keys. Part of struct opened.
 *
 * Record (docs/formats/barrier.md):  | term u32 BE | version u8 = 2 | nonce 12 | ciphertext n | tag 16 |
 *   AES-256-GCM, additional data = the full path (version 1: none). Every record made counts one encryption.
 * Threads: seal and open from any thread; use and close are ordered by a guard: after barrier_close returned
 * no key is used or kept.
 */
#pragma once
#include "base/json.h"
#include "base/rand.h"
#include "base/secure.h"

enum {
    BARRIER_OVERHEAD_BYTES = 33,
    BARRIER_KEY_BYTES = 32,
    KEYRING_TERM = 1, /* the term field of the keyring's own record, always */
};
struct barrier;

enum barrier_result { BARRIER_OK, BARRIER_CLOSED, BARRIER_DAMAGED };

/* From the root key and the clear keyring JSON. Errors name what is wrong. */
struct error *barrier_from_keyring(struct arena *a, bytes keyring_json, struct barrier **ret) MUST_USE;
/* A new keyring with one term. */
struct barrier *barrier_new(struct rng *rng, int64_t now_ns, bytes root_key);
void barrier_close(struct barrier *b); /* wipes the keys; later use gives BARRIER_CLOSED */
void barrier_free(struct barrier *b);

/* out: clear.n + BARRIER_OVERHEAD_BYTES */
enum barrier_result barrier_seal(struct barrier *b, struct rng *rng, uint8_t *out, str path, bytes clear)
    MUST_USE;
/* out: record.n - BARRIER_OVERHEAD_BYTES (record.n must be at least that: else DAMAGED) */
enum barrier_result barrier_open(struct barrier *b, uint8_t *out, str path, bytes record) MUST_USE;

/* The keyring's clear JSON (a secret: in `a`, which is wiped) and its record under the root key. */
struct error *barrier_keyring_record(struct barrier *b, struct arena *a, struct rng *rng, bytes *ret_record)
    MUST_USE;
/* Clear text of core/master: the root key as a key object. */
struct error *barrier_root_key_object(struct barrier *b, struct arena *a, bytes *ret_json) MUST_USE;
/* Adds a term; BARRIER_CLOSED if closed. */
enum barrier_result barrier_rotate(struct barrier *b, struct rng *rng, int64_t now_ns) MUST_USE;

struct barrier_status {
    uint32_t term;
    int64_t install_time_ns;
    uint64_t encryptions;
};
struct barrier_status barrier_status(struct barrier *b);

/* One record under a key of its own (keyring under the root key, BlobInfo's key): no barrier object. */
void record_seal(uint8_t *out, bytes key, struct rng *rng, uint32_t term, str path, bytes clear);
bool record_open(uint8_t *out, bytes key, str path, bytes record) MUST_USE;
