/* identity_private: what the files of src/core/identity share: buckets as stored, blocks, maps. */
#pragma once
#include "base/mutex.h"
#include "core/identity.pb-c.h"
#include "core/identity/identity.h"

enum { IDENTITY_BUCKETS = 256 };

/* ---- bucket.c: the stored form ---- */

enum bucket_kind { BUCKET_ENTITIES, BUCKET_LOCAL_ALIASES, BUCKET_GROUPS };
unsigned bucket_number(str item_id);
str bucket_path(struct arena *a, enum bucket_kind kind, unsigned number); /* in the view of identity/ */
struct error *bucket_parse(struct arena *a, str path, bytes stored, IdentityPb__Bucket **ret) MUST_USE;
bytes bucket_pack(struct arena *a, const IdentityPb__Bucket *b);
/* Absent: an empty one with its key. */
struct error *bucket_read(struct view *v, enum bucket_kind kind, unsigned number, IdentityPb__Bucket **ret)
    MUST_USE;
struct error *bucket_write(struct view *v, const IdentityPb__Bucket *b) MUST_USE;
const IdentityPb__Item *bucket_find(const IdentityPb__Bucket *b, str id); /* NULL: none */
/* Puts the message in place of the one with this id, or at the end. */
void bucket_set(struct arena *a, IdentityPb__Bucket *b, enum bucket_kind kind, str id,
                const ProtobufCMessage *m);
/* NULL: the item holds no message of this kind. In the arena. */
ProtobufCMessage *item_unpack(struct arena *a, const IdentityPb__Item *item, enum bucket_kind kind);

static inline str pb_str(ProtobufCBinaryData d)
{
    return (str){(const char *)d.data, d.len};
}
ProtobufCBinaryData pb_text(struct arena *a, str s);
IdentityPb__Pair **pb_pairs(struct arena *a, const struct json *object,
                            size_t *ret_n); /* strings of an object; NULL: none */

/* ---- entity.c: blocks ---- */

/* `local`: its aliases of local mounts, or NULL. One reference. */
struct entity *entity_new(const IdentityPb__Entity *e, const IdentityPb__LocalAliases *local);
void entity_unref(struct entity *e);

/* ---- group.c ---- */

struct membership {
    str entity_id;
    const struct group *group;
};

struct group_set { /* with all it points to in its arena */
    _Atomic(uint32_t) refs;
    struct arena *arena;
    struct group *groups; /* sorted by id */
    size_t n;
    struct membership *members; /* sorted by entity */
    size_t n_members;
};
struct group_set *group_set_ref(struct group_set *s);
void group_set_unref(struct group_set *s); /* NULL is fine */
struct error *group_set_load(struct request *rq, struct view *v, struct group_set **ret) MUST_USE;
size_t group_set_of(struct arena *a, const struct group_set *s, str entity_id,
                    const struct group *const **ret);

/* ---- identity.c: for handlers that change entities; they run alone ---- */

/* The stored messages. NULL: none. */
struct error *identity_get(struct request *rq, str id, IdentityPb__Entity **ret,
                           IdentityPb__LocalAliases **ret_local) MUST_USE;
/* Writes the entity into its bucket, and its aliases of local mounts (NULL: left as they are, when it has
 * none). */
struct error *identity_put(struct request *rq, const IdentityPb__Entity *m,
                           const IdentityPb__LocalAliases *local) MUST_USE;
