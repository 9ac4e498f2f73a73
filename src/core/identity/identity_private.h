/* identity_private: what the files of src/core/identity share: buckets as stored, blocks, the index, edits.
 */
#pragma once
#include "base/mutex.h"
#include "core/identity.pb-c.h"
#include "core/identity/identity.h"

enum { IDENTITY_BUCKETS = 256 };

/* ---- bucket.c: the stored form ---- */

enum bucket_kind { BUCKET_ENTITIES, BUCKET_LOCAL_ALIASES, BUCKET_GROUPS, BUCKET_KINDS_ };
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
bool bucket_remove(IdentityPb__Bucket *b, str id); /* false: there is none */
/* NULL: the item holds no message of this kind. In the arena. */
ProtobufCMessage *item_unpack(struct arena *a, const IdentityPb__Item *item, enum bucket_kind kind);

static inline str pb_str(ProtobufCBinaryData d)
{
    return (str){(const char *)d.data, d.len};
}
ProtobufCBinaryData pb_text(struct arena *a, str s);
/* Never NULL: an empty list is one. */
ProtobufCBinaryData *pb_texts(struct arena *a, const str *v, size_t n);
void pb_texts_add(struct arena *a, ProtobufCBinaryData **v, size_t *n, str s);
bool pb_texts_remove(ProtobufCBinaryData *v, size_t *n, str s); /* all that are equal */
bool pb_texts_have(const ProtobufCBinaryData *v, size_t n, str s);
/* In the arena. NULL: `b` holds no message of this kind. */
ProtobufCMessage *pb_unpack(struct arena *a, const ProtobufCMessageDescriptor *d, bytes b);
bytes pb_pack(struct arena *a, const ProtobufCMessage *m);
IdentityPb__Pair **pb_pairs(struct arena *a, const struct json *object,
                            size_t *ret_n); /* strings of an object; NULL: none */
IdentityPb__Timestamp *pb_now(struct request *rq);

/* ---- entity.c: blocks, one reference each ---- */

/* `local`: its aliases of local mounts, or NULL. */
struct entity *entity_new(const IdentityPb__Entity *e, const IdentityPb__LocalAliases *local);
void entity_unref(struct entity *e); /* NULL is fine */
struct group *group_new(const IdentityPb__Group *m);
/* The alias with this name, or the first that differs in case alone; NULL: none. */
const struct entity_alias *entity_alias_named(const struct entity *e, str accessor, str name);

/* ---- index.c: all that is loaded, by all that it is looked up by. Threads: any ---- */

enum index_key {
    KEY_ENTITY_ID,
    KEY_ENTITY_NAME,
    KEY_ENTITY_ALIAS, /* mount accessor, name */
    KEY_ENTITY_ALIAS_ID,
    KEY_ENTITY_MERGED, /* id of an entity that was merged into it */
    KEY_GROUP_ID,
    KEY_GROUP_NAME,
    KEY_GROUP_ALIAS,
    KEY_GROUP_ALIAS_ID,
    KEY_GROUP_PARENT, /* id of a group that it is in: found by index_children() */
    KEY_MEMBER,       /* internal */
};
struct index;

struct index *index_new(void);
void index_free(struct index *x);
/* The new one takes the place of the one with its id, in one step for those who look by id. */
void index_put_entity(struct index *x, struct entity *own);
void index_drop_entity(struct index *x, str id);
/* added, removed: ids of entities; those that are members already or no more are no error. */
struct index_members {
    const str *added, *removed;
    size_t n_added, n_removed;
};
void index_put_group(struct index *x, struct group *own, const struct index_members *m);
void index_drop_group(struct index *x, str id, const str *members, size_t n);
/* A reference held by the arena; NULL: none. `accessor` is empty but for aliases. */
const struct object *index_find(struct index *x, struct arena *a, enum index_key key, str accessor, str text);
/* Ids of the groups that the entity is in itself, sorted. */
const str *index_groups_of(struct index *x, struct arena *a, str entity_id, size_t *ret_n);
/* All under this key, sorted by id: KEY_ENTITY_ID, KEY_GROUP_ID. References held by the arena. */
const struct object *const *index_all(struct index *x, struct arena *a, enum index_key key, size_t *ret_n);
/* The groups that have this one as a parent, sorted by id. */
const struct group *const *index_children(struct index *x, struct arena *a, str group_id, size_t *ret_n);
size_t index_count_entities(struct index *x);
/* Adds to counts[i] the aliases of entities that have accessors[i], which are sorted. */
void index_count_aliases(struct index *x, const str *accessors, uint64_t *counts, size_t n);

/* ---- identity.c ---- */

struct view identity_view(struct request *rq);
/* Loads what a key needs: all entities or all groups, for one id its bucket. Then index_find(). */
struct error *identity_find(struct request *rq, enum index_key key, str accessor, str text,
                            const struct object **ret) MUST_USE;
struct error *identity_find_entity(struct request *rq, enum index_key key, str text,
                                   const struct entity **ret) MUST_USE;
struct error *identity_find_group(struct request *rq, enum index_key key, str text, const struct group **ret)
    MUST_USE;
struct error *identity_load(struct request *rq, enum bucket_kind kind, unsigned number) MUST_USE;
struct error *identity_load_all(struct request *rq, enum bucket_kind kind) MUST_USE;
struct index *active_index(struct active *a);
/* The groups of an entity as identity_groups_for(); ret_direct: how many of them it is in itself. */
struct error *identity_groups_of(struct request *rq, str entity_id, const struct group *const **ret,
                                 size_t *ret_n, size_t *ret_direct) MUST_USE;

/* ---- edit.c: what a request changes. It runs alone, so what is in memory is what was published; a bucket is
 * read once and written once, at the end, in the order in which they were first changed ---- */

/* What one transaction may change and hold in memory; the rest of it is for others. */
enum { EDIT_BUCKETS_MAX = 96, EDIT_BYTES_MAX = 24 * 1024 * 1024 };

struct effects;
struct edit {
    struct request *rq;
    struct effects *effects;
    struct view view;
    IdentityPb__Bucket *open[BUCKET_KINDS_][IDENTITY_BUCKETS];
    bool dirty[BUCKET_KINDS_][IDENTITY_BUCKETS];
    IdentityPb__Bucket *order[BUCKET_KINDS_ * IDENTITY_BUCKETS]; /* the dirty ones */
    unsigned n_dirty;
    unsigned n_keys; /* keys of MFA that go with their entities, twice: a merge writes them anew */
};

struct error *edit_begin(struct edit **ret, struct request *rq) MUST_USE;
/* The messages as stored or as put before. NULL: none. */
struct error *edit_entity(struct edit *e, str id, IdentityPb__Entity **ret,
                          IdentityPb__LocalAliases **ret_local) MUST_USE;
/* local: aliases of local mounts; NULL: left as they are, when it has none. */
struct error *edit_put_entity(struct edit *e, const IdentityPb__Entity *m,
                              const IdentityPb__LocalAliases *local) MUST_USE;
struct error *edit_drop_entity(struct edit *e, str id) MUST_USE;
struct error *edit_group(struct edit *e, str id, IdentityPb__Group **ret) MUST_USE; /* NULL: none */
/* Counts its modify index up. */
struct error *edit_put_group(struct edit *e, IdentityPb__Group *m) MUST_USE;
struct error *edit_drop_group(struct edit *e, str id) MUST_USE;
/* May that many buckets more be changed? A handler in steps ends one when not. */
bool edit_has_room(const struct edit *e, unsigned buckets);
struct error *edit_commit(struct edit *e) MUST_USE;

/* One entity alone: begin, put, commit. */
struct error *identity_get(struct request *rq, str id, IdentityPb__Entity **ret,
                           IdentityPb__LocalAliases **ret_local) MUST_USE;
struct error *identity_put(struct request *rq, const IdentityPb__Entity *m,
                           const IdentityPb__LocalAliases *local) MUST_USE;

/* ---- making.c: new messages and what they may hold ---- */

/* With an id, times, and a name of its own if that is empty. */
struct error *entity_make(struct request *rq, str name, IdentityPb__Entity **ret) MUST_USE;
struct error *group_make(struct request *rq, str name, str type, IdentityPb__Group **ret) MUST_USE;
IdentityPb__Alias *alias_make(struct request *rq, str mount_accessor, str name, str canonical_id);
void alias_belongs(struct request *rq, IdentityPb__Alias *m, str canonical_id);

struct owner { /* of aliases: an entity's messages */
    IdentityPb__Entity *m;
    IdentityPb__LocalAliases *local; /* NULL: none */
};
struct error *owner_open(struct edit *e, str id, struct owner *ret) MUST_USE; /* of an entity that is there */
IdentityPb__Alias *owner_alias(const struct owner *o, str alias_id);          /* NULL: it has none such */
IdentityPb__Alias *owner_detach(struct owner *o, str alias_id);               /* NULL: it has none such */
/* Where it belongs by its `local`. */
void owner_attach(struct request *rq, struct owner *o, IdentityPb__Alias *alias);

/* The field "metadata" if it is given: 64 pairs, keys of 128 bytes, values of 512. what: "entity", "group". */
struct error *metadata_take(struct request *rq, const char *what, IdentityPb__Pair ***v, size_t *n) MUST_USE;
/* The field "policies" if it is given, cleaned. 400 for root. */
struct error *policies_take(struct request *rq, ProtobufCBinaryData **v, size_t *n) MUST_USE;
const struct mount *mount_by_accessor(const struct request *rq, str accessor); /* NULL: none */

/* ---- show.c ---- */

struct error *entity_show(struct request *rq, struct response *rs, const struct entity *e) MUST_USE;
struct error *group_show(struct request *rq, struct response *rs, const struct group *g) MUST_USE;
/* Of an entity or a group, whose id this is. */
void alias_show(struct request *rq, struct response *rs, const struct entity_alias *alias, str canonical_id);
void alias_list_add(struct request *rq, struct json *info, const struct entity_alias *alias,
                    str canonical_id); /* into key_info of a list of aliases */
struct json *alias_brief(struct request *rq, const struct entity_alias *alias); /* in lists of their owners */

/* ---- the routes ---- */

struct lookup { /* one of: id; name; alias_id; alias_name and accessor */
    str id, name, alias_id, alias_name, accessor;
};
struct error *lookup_question(struct request *rq, struct lookup *ret) MUST_USE;
handler_fn alias_read, alias_delete;

extern const struct route identity_entity_routes[], identity_alias_routes[], identity_group_routes[],
    identity_group_alias_routes[], identity_merge_routes[];
