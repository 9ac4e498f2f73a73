/* migrate: from one seal to another. What people hold stays the same: unseal shares become recovery shares,
 * and back.
 *
 * Whether there is something to be done is found at the start from the configured seals and the type that is
 * stored; then the store opens with shares and `migrate` only, and the node that is active writes. The stored
 * type is written last of all that matters: cut short before it, the same shares open the store and it begins
 * anew; after it, it is done. Stored: docs/formats/seal.md, "Migration". Threads: the control thread.
 */
#pragma once
#include "core/seal.h"
#include "seal/seal.h"

struct core;
struct secret;

struct migration {
    bool mode;          /* found at the start; the node does not unseal by itself then */
    bool same_type;     /* both seals are of one type: which of them it is, is found by decrypting */
    bool same_done;     /* the new one opens the store */
    bool pending;       /* lock: the core's mutex */
    struct secret *key; /* the joined shares, from unsealing to the end of it; NULL: none */
};

/* Once, at the start. ERR_BAD_REQUEST: the configured seals and the store do not fit. */
struct error *migration_find(struct core *c, struct arena *a, const struct seal_config *config) MUST_USE;
/* Seals of one type: does the new one open the store already? Waits. */
struct error *migration_probe(struct core *c, struct arena *a) MUST_USE;
/* Of these settings: is there something to be done? */
bool migration_is_due(const struct core *c, const struct seal_config *config);
/* The seal that has sealed a store of this type; NULL: shares, or none that is configured. */
struct seal *migration_stored_seal(const struct core *c, const char *type);
/* Writes. The active object is there; waits for key services. */
struct error *migration_run(struct core *c, struct arena *a) MUST_USE;
void migration_forget_key(struct core *c);
