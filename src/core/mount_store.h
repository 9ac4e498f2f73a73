/* mount_store: the stored mount tables, and the snapshot made from them. For core only. */
#pragma once
#include "core/active_private.h"
#include "core/txn_private.h"

enum table_kind { TABLE_MOUNTS, TABLE_LOCAL_MOUNTS, TABLE_AUTH, TABLE_LOCAL_AUTH, TABLE_COUNT_ };

struct mount_tables { /* as stored; in the request's arena */
    struct json *tables[TABLE_COUNT_];
    bool changed[TABLE_COUNT_];
    bool absent[TABLE_COUNT_]; /* as a single entry */
    bool split; /* the store keeps one entry per mount: absent tables are written in that form */
};

/* Reads all four; a missing one is made empty (changed). Errors stop the opening: a table is never rewritten
 * from a failed read. */
struct error *mount_tables_load(struct txn *t, struct mount_tables *ret) MUST_USE;
/* Adds what must be there (sys/, identity/, cubbyhole/, token/) and fills missing accessors and the like. */
void mount_tables_complete(struct request *rq, struct mount_tables *t);
/* the changed ones */
struct error *mount_tables_save(struct txn *t, const struct mount_tables *tables) MUST_USE;

/* The entry at a mount path ("secret/", "auth/userpass/"); NULL: none. */
struct json *mount_tables_find(const struct mount_tables *t, str path, enum table_kind *ret_kind);
/* A new entry, in table `kind`. */
struct json *mount_tables_add(struct request *rq, struct mount_tables *t, enum table_kind kind, str path,
                              str type, str description);
void mount_tables_remove(struct mount_tables *t, const struct json *entry, enum table_kind kind);

bool mount_is_core_type(str type); /* system, identity, cubbyhole, token: there is one of each, always */
/* The sorted, immutable table in memory of its own: one reference. */
struct mount_set *mount_set_make(struct active *a, const struct mount_tables *t);
/* Makes it and publishes it at commit (with the audit devices as they are then). */
void mount_tables_publish(struct request *rq, const struct mount_tables *t);
