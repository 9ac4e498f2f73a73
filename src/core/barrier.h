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

/* The keyring's record under the root key, for core/keyring (its clear JSON is in `a`, which is wiped). */
struct error *barrier_keyring_record(struct barrier *b, struct arena *a, struct rng *rng, bytes *ret_record)
    MUST_USE;
/* Clear text of core/master: the root key as a key object. */
struct error *barrier_root_key_object(struct barrier *b, struct arena *a, bytes *ret_json) MUST_USE;
struct error *barrier_root_key(struct barrier *b, struct arena *a, struct secret **ret_copy) MUST_USE;

/* A change of the keyring takes two steps, since what writes it may be run again and may fail: it is made
 * and its record written (keyring_change_record), and only when that is durable the barrier takes it over.
 * Between the two no other change is made (txn_exclusive). */
struct rotation_config {
    bool disabled;
    uint64_t operations_max;
    int64_t interval_ns; /* 0: none */
};
#define ROTATION_OPERATIONS_MIN  UINT64_C(1000000)
#define ROTATION_OPERATIONS_MAX  UINT64_C(3865470566) /* of one AES-GCM key with random nonces */
#define ROTATION_INTERVAL_MIN_NS (24 * 3600 * INT64_C(1000000000))

struct keyring_change;
/* Changes nothing but that the count of encryptions becomes durable, with one more for a record written with
 * it. */
struct keyring_change *keyring_change_new(struct barrier *b);
void keyring_change_free(void *change);
/* A new term, the one to be used from then on. */
void keyring_change_add_term(struct keyring_change *c, struct rng *rng, int64_t now_ns);
void keyring_change_set_rotation(struct keyring_change *c, const struct rotation_config *config);
void keyring_change_set_root_key(struct keyring_change *c, bytes root_key);
/* Clear text of core/master for what the barrier becomes. */
struct error *keyring_change_root_key_object(const struct keyring_change *c, struct arena *a, bytes *ret_json)
    MUST_USE;
uint32_t keyring_change_term(const struct keyring_change *c); /* the new one, else the one in use */
/* Clear text of core/upgrade/T: the new term as a key object. */
bytes keyring_change_key_object(const struct keyring_change *c, struct arena *a);
/* Errors: ERR_SEALED; ERR_INTERNAL when the keyring is full. */
struct error *keyring_change_record(const struct keyring_change *c, struct arena *a, struct rng *rng,
                                    bytes *ret_record) MUST_USE;
void barrier_apply(struct barrier *b,
                   struct keyring_change *own_change); /* cannot fail; nothing when closed */

struct rotation_config barrier_rotation_config(struct barrier *b);
/* Why a new term is due, as the log says it; NULL: it is not. */
const char *barrier_rotation_due(struct barrier *b, int64_t now_ns);
/* Records made since the count was last durable. */
uint64_t barrier_uncounted(struct barrier *b);

struct barrier_status {
    uint32_t term;
    int64_t install_time_ns;
    uint64_t encryptions;
};
struct barrier_status barrier_status(struct barrier *b);

/* One record under a key of its own (keyring under the root key, BlobInfo's key): no barrier object. */
void record_seal(uint8_t *out, bytes key, struct rng *rng, uint32_t term, str path, bytes clear);
bool record_open(uint8_t *out, bytes key, str path, bytes record) MUST_USE;
