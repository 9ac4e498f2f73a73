/* seal: a key service that opens the store by itself: it encrypts the root key and the recovery key.
 *
 * A seal is opened from its stanza and the environment without asking the service: what is wrong then is a
 * mistake of the configuration. The service is asked at the first use (seal_check's part), and until that has
 * worked at each use.
 * Stored:   BlobInfo (blob.h); what each kind puts into it: docs/formats/seal.md.
 * Threads:  one at a time, and one that may wait: a service may take a minute.
 * Lifetime: from seal_open to seal_close; results live in the arena given.
 * Errors:   ERR_BAD_REQUEST from seal_open (its text is the operator's); ERR_INTERNAL from the service, with
 *           the step and the service's own words; ERR_BAD_REQUEST for a blob that the service says it cannot
 *           open is not told apart: services differ.
 */
#pragma once
#include "base/clock.h"
#include "base/error.h"
#include "base/metrics.h"
#include "base/rand.h"
#include "base/secure.h"
#include "config/config.h"

enum { SEAL_CLEAR_BYTES_MAX = 4096 };

struct seal;

/* The process around a seal; lives longer than it. */
struct seal_host {
    struct rng *rng;
    const struct clock *clock;
    _Atomic(bool) cancelled; /* set at the end of the process: what waits for a service gives up */
};

/* No stanza of this name: "Unknown KMS type "x"". The stanza must live as long as the seal. */
struct error *seal_open(struct arena *a, const struct config_block *stanza, struct seal_host *host,
                        struct seal **ret_seal) MUST_USE;
void seal_close(struct seal *s);             /* NULL is fine */
const char *seal_type(const struct seal *s); /* "awskms" */
/* The key that encrypts now, as far as the last use told; empty: not known yet. */
str seal_key_id(const struct seal *s);
/* Does it start programs? Then the process may not forbid that to itself. */
bool seal_starts_programs(const struct seal *s);

/* How often the active node tries it: health_check_* of the stanza. */
struct seal_health {
    bool disabled;
    int64_t interval_ns, unhealthy_interval_ns;
};
struct seal_health seal_health(const struct seal *s);

/* clear: 1 .. SEAL_CLEAR_BYTES_MAX; ret_blob: BlobInfo's text. */
struct error *seal_encrypt(struct seal *s, struct arena *a, bytes clear, bytes *ret_blob) MUST_USE;
struct error *seal_decrypt(struct seal *s, struct arena *a, bytes blob, struct secret **ret_clear) MUST_USE;
/* Keeps alive what the seal needs (a token); nanoseconds until it is to be called again, 0: never. */
int64_t seal_keep(struct seal *s, struct arena *a);
/* Encrypts and decrypts something: does the service do its work? */
struct error *seal_test(struct seal *s, struct arena *a) MUST_USE;

/* Counts a root key or the like that was encrypted or decrypted with a seal of this type ("shamir": by shares). */
void seal_measure(const char *type, bool encrypts, int64_t begun_ns, bool ok);
