/* core/seal: settings of the seal, shares, the root key stored under an unseal key, progress of an unseal.
 * What a key service opens: core/autoseal.h and seal/seal.h.
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
    char type[32];              /* "shamir", "awskms" … */
    unsigned shares, threshold; /* unseal shares; under an auto seal recovery shares (0: none known) */
    bool has_blob;              /* core/hsm/barrier-unseal-keys exists */
    char nonce[64];             /* of the last rekey */
};

/* "shares must be at least one" …: the rules of the API, without its prefix. */
struct error *seal_config_check(struct arena *a, int64_t shares, int64_t threshold) MUST_USE;
/* ret_exists false: not initialised (no keyring and no barrier/init). A keyring without settings is an error.
 * */
struct error *seal_config_load(struct storage *s, struct arena *a, struct seal_config *ret, bool *ret_exists)
    MUST_USE;
/* The text of core/recovery-config: what there is in it goes to shares, threshold and nonce. */
struct error *recovery_config_parse(struct arena *a, bytes text, struct seal_config *ret) MUST_USE;
bool seal_config_is_auto(const struct seal_config *c);
bytes seal_config_text(struct arena *a, unsigned shares, unsigned threshold);
/* The same of any type; stored: 1, and 0 in core/recovery-config. */
bytes seal_config_text_of(struct arena *a, const char *type, unsigned shares, unsigned threshold,
                          unsigned stored);

/* Clear text of core/hsm/barrier-unseal-keys, and the root key out of it. */
bytes stored_keys_text(struct arena *a, bytes root_key);
struct error *stored_keys_root(struct arena *a, bytes clear, struct secret **ret_root_key) MUST_USE;

/* BlobInfo around the root key under the unseal key. */
bytes seal_blob_make(struct arena *a, struct rng *rng, bytes unseal_key, bytes root_key);
struct error *seal_blob_open(struct arena *a, bytes blob, bytes unseal_key, struct secret **ret_root_key)
    MUST_USE;
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
