/* seal: the Shamir seal: settings, shares, the stored root key, progress of an unseal.
 *
 * Stored (docs/formats/seal.md): core/seal-config (clear JSON), core/hsm/barrier-unseal-keys (BlobInfo over
 * the root key). A config without
 * stored blob is the old form: the shares give the root key itself.
 * Threads: none of its own; core's mutex guards what core keeps.
 */
#pragma once
#include "base/json.h"
#include "base/rand.h"
#include "base/secure.h"
#include "storage/storage.h"

struct seal_config {
    unsigned shares, threshold;
    bool has_blob;  /* core/hsm/barrier-unseal-keys exists */
    char nonce[64]; /* of the last rekey */
};

/* "shares must be at least one" …: the rules of the API, without its prefix. */
struct error *seal_config_check(struct arena *a, int64_t shares, int64_t threshold) MUST_USE;
/* ret_exists false: not initialised (no keyring and no barrier/init). A keyring without settings is an error.
 * */
struct error *seal_config_load(struct storage *s, struct arena *a, struct seal_config *ret, bool *ret_exists)
    MUST_USE;
bytes seal_config_text(struct arena *a, unsigned shares, unsigned threshold);

/* BlobInfo around the root key under the unseal key. */
bytes seal_blob_make(struct arena *a, struct rng *rng, bytes unseal_key, bytes root_key);
/* The root key from the combined unseal key. Errors: the API's "unable to retrieve stored keys: invalid key:
 * …". */
struct error *seal_root_key(struct storage *s, struct arena *a, const struct seal_config *c, bytes unseal_key,
                            struct secret **ret_root_key) MUST_USE;

/* Shares given so far in an unseal. */
struct unseal_progress {
    struct secret *shares[255];
    unsigned n;
    char nonce[UUID_TEXT_BYTES];
};
struct unseal_progress *unseal_progress_new(struct rng *rng);
void unseal_progress_free(struct unseal_progress *p); /* wipes */
/* False: this share was given before. */
bool unseal_progress_add(struct unseal_progress *p, bytes share);
/* The unseal key from all shares given. */
struct error *unseal_progress_join(const struct unseal_progress *p, struct arena *a, unsigned threshold,
                                   struct secret **ret_key) MUST_USE;
