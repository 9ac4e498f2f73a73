/* kv2_private: what the files of the versioned kv engine share. Form of everything stored:
 * docs/formats/kv2.md. */
#pragma once
#include "core/engine.h"
#include "core/mount.h"
#include "engine/kv/kv2_names.h"
#include "kv2.pb-c.h"

/* Entries that one step of a bulk request writes at most, beside those that every request writes. */
enum { KV2_STEP_ENTRIES = 50 };

/* A mount's store, opened for one run of a handler. */
struct kv2 {
    struct request *rq;
    struct view view;
    str base;                      /* "UUID/" of the mount's backend_aware_uuid: all entries lie below it */
    const struct kv2_names *names; /* NULL: nothing was written yet */
    str salt;                      /* empty until it is needed */
};

/* Fails while version 1 data is not taken over yet. */
struct error *kv2_open(struct request *rq, struct kv2 *ret) MUST_USE;
/* The same; makes what a new mount has not: salt, key for names, mark of a finished upgrade. */
struct error *kv2_open_to_write(struct request *rq, struct kv2 *ret) MUST_USE;
/* Of any mount, whatever its upgrade says; `names` is loaded. */
struct error *kv2_open_unchecked(struct request *rq, const struct mount *m, struct kv2 *ret) MUST_USE;
struct error *kv2_complete(struct kv2 *s) MUST_USE;

/* Is there metadata for the key that the path names? For the core's create or update. */
struct error *kv2_exists(struct request *rq, bool *ret_exists) MUST_USE;
str kv2_path(const struct request *rq); /* the {path...} of the route */

/* Messages live in the request's arena; fields that this program does not know survive a rewrite. */
struct error *kv2_config_load(struct kv2 *s, Kv2__Configuration **ret) MUST_USE;
struct error *kv2_config_save(struct kv2 *s, const Kv2__Configuration *c) MUST_USE;
/* What is absent is all zero. */
struct error *kv2_upgrade_info_load(struct kv2 *s, Kv2__UpgradeInfo **ret) MUST_USE;
struct error *kv2_upgrade_info_save(struct kv2 *s, const Kv2__UpgradeInfo *info) MUST_USE;
/* NULL: absent. Versions ascend, each has its value. */
struct error *kv2_meta_load(struct kv2 *s, str key, Kv2__KeyMetadata **ret) MUST_USE;
struct error *kv2_meta_save(struct kv2 *s, const Kv2__KeyMetadata *m) MUST_USE;
struct error *kv2_meta_delete(struct kv2 *s, const Kv2__KeyMetadata *m) MUST_USE;
Kv2__KeyMetadata *kv2_meta_new(struct kv2 *s, str key);
/* The parts of kv2_meta_load, for tests of the form. NULL: damaged. */
Kv2__KeyMetadata *kv2_meta_unpack(struct arena *a, bytes b);
bytes kv2_pack(struct arena *a, const ProtobufCMessage *m);

Kv2__VersionMetadata *kv2_meta_find(const Kv2__KeyMetadata *m, uint64_t version); /* NULL: no such version */
Kv2__VersionMetadata *kv2_meta_add(struct kv2 *s, Kv2__KeyMetadata *m, uint64_t version);

str kv2_version_path(const struct kv2 *s, const Kv2__KeyMetadata *m, uint64_t version);
struct error *kv2_version_load(struct kv2 *s, const Kv2__KeyMetadata *m, uint64_t version,
                               struct json **ret_data) MUST_USE;
struct error *kv2_version_save(struct kv2 *s, const Kv2__KeyMetadata *m, uint64_t number,
                               const Kv2__Version *v) MUST_USE;

Kv2__Timestamp *kv2_time(struct arena *a, int64_t wall_ns);
Kv2__Duration *kv2_duration(struct arena *a, int64_t ns);
int64_t kv2_time_ns(const Kv2__Timestamp *t);                /* clamped to what 64 bits hold */
int64_t kv2_duration_ns(const Kv2__Duration *d);             /* NULL: 0 */
str kv2_time_text(struct arena *a, const Kv2__Timestamp *t); /* NULL: "" */

/* Is it past its time of deletion, or destroyed? */
bool kv2_is_gone(const struct kv2 *s, const Kv2__VersionMetadata *v);
/* When a version made (or restored) now is deleted by itself; NULL: never. */
Kv2__Timestamp *kv2_deletion_time(struct kv2 *s, const Kv2__Configuration *c, const Kv2__KeyMetadata *m,
                                  int64_t now_ns);
/* created_time, deletion_time, destroyed, version, custom_metadata. */
void kv2_describe(struct kv2 *s, struct json *o, const Kv2__KeyMetadata *m, uint64_t number,
                  const Kv2__VersionMetadata *v);

/* Versions that leave the metadata, lowest first, and whose entries are still to be deleted. */
struct kv2_dropped {
    uint64_t numbers[KV2_STEP_ENTRIES];
    size_t n;
    bool more; /* a further step is needed */
};
/* Drops the versions up to `last` from the metadata, at most as many as a step takes; oldest_version
 * follows. */
void kv2_drop(Kv2__KeyMetadata *m, uint64_t last, struct kv2_dropped *ret);
struct error *kv2_delete_dropped(struct kv2 *s, const Kv2__KeyMetadata *m, const struct kv2_dropped *d)
    MUST_USE;

/* JSON merge patch (RFC 7396): members replace, null removes, objects merge. `patch` is an object; target
 * may be anything or NULL. */
struct json *kv2_merge(struct arena *a, const struct json *target, const struct json *patch);

/* The answer to a path that has no meaning in this engine: 404 with a hint. */
struct error *kv2_invalid(struct request *rq, struct response *rs);

extern const struct route kv2_data_routes[], kv2_metadata_routes[], kv2_version_routes[];
