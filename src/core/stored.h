/* stored: entries in the forms Vault stores them: JSON that keeps what it does not know, compressed tables.
 * Forms: docs/formats/storage.md. Readers take every form (plain, gzip, snappy framing) by the first byte.
 */
#pragma once
#include "core/txn.h"

/* Removes the compression of an entry, if any. ERR_INTERNAL names the path for a damaged one. */
struct error *stored_unpack(struct arena *a, str path, bytes packed, bytes *ret_clear) MUST_USE;
bytes stored_gzip(struct arena *a, bytes clear);   /* 'G' and a gzip stream */
bytes stored_snappy(struct arena *a, bytes clear); /* 'S' and a stream of snappy's framing format */

/* A table entry {"type": T, "entries": [...]}; NULL: absent. */
struct error *stored_table_load(struct view *v, str path, struct arena *a, struct json **ret) MUST_USE;
bytes stored_table_bytes(struct arena *a, const struct json *table); /* as it is saved */
struct error *stored_table_save(struct view *v, str path, const struct json *table) MUST_USE;
