/* identity: entities, their aliases and groups: who stands behind a token.
 *
 * Stored: docs/formats/identity.md (buckets in the view of identity/). In memory: a sharded index of
 * immutable, reference-counted entities and groups by ids, names and aliases, and of memberships; changed at
 * publication only. The members of a group are not in memory with it: they are read from its bucket.
 * Loading: buckets load in the background after activation; an entity asked for before that loads its
 * bucket, a look-up by name or alias all of them, a group all of groups. A bucket is loaded before anything
 * in it is changed, and every change runs alone (txn_exclusive): what is in memory is never older than what
 * the lane sees.
 * Lifetime: entities and groups handed out are held by the request's arena. Threads: any.
 */
#pragma once
#include "core/engine.h"

struct identity;                            /* in struct active */
extern const struct engine identity_engine; /* identity/ */

struct identity_pair {
    str key, value;
};

/* Of lists and metadata: NULL is none at all, which the API shows as null; what was set to an empty one is
 * shown so until it is next changed or loaded. */
struct entity_alias { /* of an entity, or of an external group */
    str id, name, mount_accessor;
    const struct identity_pair *metadata, *custom_metadata;
    size_t n_metadata, n_custom_metadata;
    const str *merged_from; /* ids of entities it belonged to */
    size_t n_merged_from;
    int64_t created_ns, updated_ns;
    bool local; /* its mount is: kept in a bucket of its own */
};

struct entity { /* one heap block */
    struct object object;
    str id, name;
    const str *policies, *merged; /* merged: ids of the entities that were made one with it */
    size_t n_policies, n_merged;
    const struct identity_pair *metadata;
    size_t n_metadata;
    const struct entity_alias *aliases;
    size_t n_aliases;
    int64_t created_ns, updated_ns;
    bool disabled;
};

struct group { /* one heap block */
    struct object object;
    str id, name;
    const str *policies, *parents; /* parents: ids */
    size_t n_policies, n_parents, n_members;
    const struct identity_pair *metadata;
    size_t n_metadata;
    const struct entity_alias *alias; /* NULL: none */
    int64_t created_ns, updated_ns;
    uint64_t modify_index;
    bool external;      /* an auth method says who is in it */
    bool members_given; /* an empty list of members, not none */
};

struct identity *identity_new(void);
void identity_free(struct identity *s);             /* NULL is fine */
void identity_start(struct active *a);              /* begins to load in the background */
void identity_stop(struct identity *s);             /* the load ends at its next bucket */
struct identity *active_identity(struct active *a); /* core's */

/* NULL: no such entity. Of one that was merged into another, the other: its tokens stand for that now. */
struct error *identity_entity_for(struct request *rq, str entity_id, const struct entity **ret) MUST_USE;
/* The entity with the alias; NULL: none. Names of aliases, entities and groups: the one written the same,
 * else the only one that differs in the case of ASCII letters alone. */
struct error *identity_find_alias(struct request *rq, str mount_accessor, str name, const struct entity **ret)
    MUST_USE;
struct error *identity_count(struct request *rq, size_t *ret_n) MUST_USE; /* of all entities */
/* After that: adds to counts[i] the aliases of entities that have accessors[i], which are sorted. */
void identity_count_aliases(struct request *rq, const str *accessors, uint64_t *counts, size_t n);
/* The groups it is in, itself or through others: first those it is in itself, by id. */
struct error *identity_groups_for(struct request *rq, const struct entity *e, const struct group *const **ret,
                                  size_t *ret_n) MUST_USE;
/* Policies of the entity and its groups: lower case, sorted, each once. */
struct error *identity_policies_for(struct request *rq, const struct entity *e, const str **ret,
                                    size_t *ret_n) MUST_USE;
const struct entity_alias *entity_alias_of(const struct entity *e, str mount_accessor); /* NULL: none */
str identity_pair_get(const struct identity_pair *v, size_t n, str key, bool *ret_found);

/* What a login shows of its alias. */
struct identity_claim {
    str mount_accessor, mount_type, mount_path, name;
    bool local;
    const struct json *metadata; /* NULL: none */
};
/* The entity of the alias; both are made if there are none, and the alias's metadata follow the claim. */
struct error *identity_of_login(struct request *rq, const struct identity_claim *c, const struct entity **ret,
                                bool *ret_created) MUST_USE;
/* What an auth method says of an entity's groups: it is put into the external groups with an alias of these
 * names at the method's mount, and out of all others that have their alias there. The rest of this request
 * sees it so (rq->joined), others once it is published. */
struct error *identity_refresh_groups(struct request *rq, const struct entity *e, str mount_accessor,
                                      const str *names, size_t n) MUST_USE;
struct identity_joined {
    const struct entity *entity; /* may be one that this request makes */
    const str *group_ids;        /* that it is in itself */
    size_t n_groups;
};
