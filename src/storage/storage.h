/* storage: the whole contract for a backend: opaque values under paths. A backend knows nothing of the
 * barrier.
 *
 * Paths:    no leading '/', never empty, case sensitive, bytes; a trailing '/' is part of the path
 *           (core/sscGenCounter/).
 * Values:   opaque ciphertext, 0 .. caps.value_bytes_max.
 * Threads:  get and list from any thread at once; commit from one thread at a time, while gets go on; a get
 *           that starts after a commit returned sees it.
 * Lifetime: results live in the arena given.
 * Errors:   ERR_FULL (no space), ERR_IO (a device failed; the handle refuses further commits and must be
 *           reopened), ERR_BUSY (another process holds it), ERR_TOO_LARGE (key, value or batch over the
 * limit), ERR_UNKNOWN_OUTCOME, ERR_FENCED, ERR_INTERNAL for the rest. A damaged entry names its path. After a
 * commit that ends with any kind but ERR_IO and ERR_UNKNOWN_OUTCOME nothing has been written, and later ones
 * may succeed.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "config/config.h"

struct storage;

struct storage_caps {
    bool transactional; /* a batch is all or nothing */
    bool blocking;      /* get and list may wait for a device: never called on a loop or in the lane first */
    bool has_lock;      /* can serve HA */
    size_t value_bytes_max;
    size_t key_bytes_max;
    unsigned batch_max; /* entries of one commit */
};

struct storage_put {
    str path;
    bytes value;
    bool deletes; /* the entry is removed; an absent one is no error */
};

struct storage_batch {
    struct storage_put *puts; /* in order; the same path may appear again, the last one counts */
    size_t n;
    /* HA: the commit fails with ERR_FENCED when this lock is not held any more; or NULL */
    const struct storage_fence *fence;
};

/* The HA lock. Held until released or lost; `lost` is called once, on any thread, when it is gone. It must
 * not release the lock itself; lock_release waits for a call of `lost` that is under way. */
struct storage_lock;
struct storage_fence {
    struct storage_lock *lock;
};

struct storage_ops {
    const char *type; /* "sqlite" */
    struct error *(*open)(struct arena *a, const struct config_block *config, struct storage **ret_s);
    void (*close)(struct storage *s);
    /* Absent: ret_value->p == NULL. A present empty value has p != NULL, n == 0. */
    struct error *(*get)(struct storage *s, struct arena *a, str path, bytes *ret_value);
    /* One level below prefix ("" or ending in '/'): names, folders with a trailing '/', sorted by bytes, no
     * duplicates. An entry whose path is the prefix itself (trailing '/') has the empty name: prefix + name
     * is always an entry's path. */
    struct error *(*list)(struct storage *s, struct arena *a, str prefix, str **ret_names, size_t *ret_n);
    struct error *(*commit)(struct storage *s, struct arena *a, const struct storage_batch *batch);
    /* Optional, NULL without has_lock. acquire waits at most wait_ns, ret_lock == NULL when another holds it.
     */
    struct error *(*lock_acquire)(struct storage *s, struct arena *a, str path, str value, int64_t wait_ns,
                                  void (*lost)(void *arg), void *arg, struct storage_lock **ret_lock);
    struct error *(*lock_holder)(struct storage *s, struct arena *a, str path,
                                 str *ret_value);    /* empty: nobody */
    void (*lock_release)(struct storage_lock *lock); /* frees it; also a lost one */
};

struct storage { /* first member of every backend's own struct */
    const struct storage_ops *ops;
    struct storage_caps caps;
    bool failed; /* a commit ended with ERR_IO: the handle refuses every further one. Belongs to the
                    committing thread */
};

extern const struct storage_ops storage_inmem, storage_inmem_ha, storage_file, storage_sqlite;

/* Opens the backend that the block names ("storage" of the configuration). ERR_BAD_REQUEST "Unknown storage
 * type X". */
bool storage_type_is_known(str type);
bool storage_type_has_lock(str type); /* can serve HA */
struct error *storage_open(struct arena *a, const struct config_block *config, struct storage **ret_s)
    MUST_USE;
void storage_close(struct storage *s);
struct error *storage_get(struct storage *s, struct arena *a, str path, bytes *ret_value) MUST_USE;
struct error *storage_list(struct storage *s, struct arena *a, str prefix, str **ret_names, size_t *ret_n)
    MUST_USE;
struct error *storage_commit(struct storage *s, struct arena *a, const struct storage_batch *batch) MUST_USE;

/* inmem for tests: a second handle on the same data (two nodes in one process). Closing the last one drops
 * the data. */
struct storage *storage_inmem_share(struct storage *s);
/* inmem for tests: the lock is taken away from its holder, as when a session expires. */
void storage_inmem_break_lock(struct storage *s, str path);
