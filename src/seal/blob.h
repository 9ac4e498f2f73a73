/* blob: BlobInfo, the protobuf message in which a seal keeps what it has encrypted.
 *
 * Shape:    docs/formats/seal.md, "BlobInfo". Fields that no seal writes are skipped when read.
 * Lifetime: a parsed blob's slices point into the text. Threads: no state.
 */
#pragma once
#include "base/arena.h"

enum { SEAL_BLOB_BYTES_MAX = 64 * 1024, SEAL_KEY_ID_BYTES_MAX = 1024 };

struct seal_blob {
    bytes ciphertext;
    bytes iv;           /* empty: the ciphertext carries its own, or needs none */
    uint64_t mechanism; /* 1: envelope of awskms and gcpckms; else 0 */
    str key_id;
    bytes wrapped_key; /* the data key as the service gave it back; empty: no envelope */
    bool wrapped;      /* of seal-wrapped entries only */
};

/* False: not a BlobInfo, or too big. */
bool seal_blob_parse(bytes text, struct seal_blob *ret) MUST_USE;
/* Zero values are left out; key_info is always there, perhaps empty. */
bytes seal_blob_text(struct arena *a, const struct seal_blob *b);
