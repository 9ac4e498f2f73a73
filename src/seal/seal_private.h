/* seal_private: what the files of src/seal share: the table of a kind, parameters, the envelope. */
#pragma once
#include "base/mutex.h"
#include "seal/blob.h"
#include "seal/seal.h"

struct seal_ops {
    const char *type;
    bool starts_programs;
    /* Fills `s`, which is zeroed but for arena and host, from the stanza. */
    struct error *(*open)(struct seal *s, struct arena *a, const struct config_block *stanza,
                          void **ret_state);
    void (*close)(struct seal *s); /* NULL: nothing to do but freeing the arena */
    /* NULL: nothing to ask. Else asked before the first use, until it has worked once. */
    struct error *(*check)(struct seal *s, struct arena *a);
    /* NULL: nothing. Else keeps what the seal needs alive; when to be called again, 0: never. */
    int64_t (*keep)(struct seal *s, struct arena *a);
    struct error *(*encrypt)(struct seal *s, struct arena *a, bytes clear, struct seal_blob *ret);
    struct error *(*decrypt)(struct seal *s, struct arena *a, const struct seal_blob *b,
                             struct secret **ret_clear);
};

struct seal {
    const struct seal_ops *ops;
    struct arena *arena;
    struct seal_host *host;
    void *state; /* the kind's own, in the arena */
    char key_id[SEAL_KEY_ID_BYTES_MAX];
    size_t key_id_n;
    bool checked;
    struct seal_health health;
};

extern const struct seal_ops seal_awskms, seal_azurekeyvault, seal_exec, seal_gcpckms, seal_static,
    seal_transit;

/* NULL for NULL; else "STEP: text". */
struct error *seal_step(struct arena *a, const struct error *e, const char *step) MUST_USE;
void seal_set_key_id(struct seal *s, str id);

/* A parameter: `exact` is an environment variable's whole name, `setting` one without VAULT_, BAO_ or
 * COFFER_; each may be NULL, and they win over the stanza, in this order. */
str seal_param(const struct config_block *stanza, const char *key, const char *exact, const char *setting);

/* The envelope: AES-256-GCM under a data key that is used once; only that key goes to the service. */
enum { SEAL_DATA_KEY_BYTES = 32 };
/* Makes the data key, and ciphertext and iv of ret. */
void envelope_seal(struct seal *s, struct arena *a, bytes clear, uint8_t ret_key[SEAL_DATA_KEY_BYTES],
                   struct seal_blob *ret);
/* Under any key of 16 or 32 bytes. */
void envelope_seal_with(struct seal *s, struct arena *a, bytes key, bytes clear, struct seal_blob *ret);
/* Errors: the key or the blob is not the one it was made with. */
struct error *envelope_open(struct arena *a, bytes key, const struct seal_blob *b, struct secret **ret_clear)
    MUST_USE;

/* ENVELOPE: the service has encrypted a data key. DIRECT, in old stores: it has encrypted the contents
 * themselves. */
enum { MECHANISM_DIRECT = 0, MECHANISM_ENVELOPE = 1 };
/* Opens either; `ask` has the service decrypt. */
typedef struct error *ask_decrypt_fn(struct seal *s, struct arena *a, bytes ciphertext, bytes *ret_clear);
struct error *mechanism_decrypt(struct seal *s, struct arena *a, const struct seal_blob *b,
                                ask_decrypt_fn *ask, struct secret **ret_clear) MUST_USE;
