/* identity: entities, their aliases and groups: who stands behind a token.
 *
 * Stored: docs/formats/identity.md (buckets in the view of identity/). In memory: sharded maps of
 * immutable, reference-counted entities by id and by (mount accessor, alias name), and one immutable set of
 * groups; changed at publication only.
 * Loading: buckets load in the background after activation; an entity asked for before that loads its
 * bucket, an alias look-up all. A bucket is loaded before anything in it is changed, and every change runs
 * alone (txn_exclusive): what is in memory is never older than what the lane sees.
 * Lifetime: entities and groups handed out are held by the request's arena. Threads: any.
 */
#pragma once
#include "core/engine.h"

struct identity;                            /* in struct active */
extern const struct engine identity_engine; /* identity/ */

struct identity_pair {
    str key, value;
};

struct entity_alias {
    str id, name, mount_accessor;
    const struct identity_pair *metadata, *custom_metadata;
    size_t n_metadata, n_custom_metadata;
    bool local; /* its mount is: kept in a bucket of its own */
};

struct entity { /* one heap block */
    _Atomic(uint32_t) refs;
    uint32_t bytes;
    str id, name;
    const str *policies;
    size_t n_policies;
    const struct identity_pair *metadata;
    size_t n_metadata;
    const struct entity_alias *aliases;
    size_t n_aliases;
    bool disabled;
};

struct group {
    str id, name;
    const str *policies, *parents; /* parents: ids */
    size_t n_policies, n_parents;
    const struct identity_pair *metadata;
    size_t n_metadata;
};

struct identity *identity_new(void);
void identity_free(struct identity *s);             /* NULL is fine */
void identity_start(struct active *a);              /* begins to load in the background */
void identity_stop(struct identity *s);             /* the load ends at its next bucket */
struct identity *active_identity(struct active *a); /* core's */

/* NULL: no such entity. */
struct error *identity_entity_for(struct request *rq, str entity_id, const struct entity **ret) MUST_USE;
/* The entity with the alias; NULL: none. */
struct error *identity_find_alias(struct request *rq, str mount_accessor, str name, const struct entity **ret)
    MUST_USE;
struct error *identity_count(struct request *rq, size_t *ret_n) MUST_USE; /* of all entities */
/* The groups it is in, itself or through others. */
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
