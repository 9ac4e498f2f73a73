/* active_private: struct active and struct core from inside. For core only.
 *
 * Threads: `core->active` is swapped by the control thread only. Fields of struct active are set before it is
 * published and constant
 *   after, but for `snapshot` (commit thread) and what has a lock of its own.
 */
#pragma once
#include "base/mutex.h"
#include "base/pool.h"
#include "core/active.h"
#include "core/audit/audit.h"
#include "core/barrier.h"
#include "core/core.h"
#include "core/internal.h"
#include "core/lease/lease.h"
#include "core/lru.h"
#include "core/migrate.h"
#include "core/mount.h"
#include "core/policy/policy.h"
#include "core/route.h"
#include "core/seal.h"
#include "core/spaces.h"
#include "core/token/token.h"

struct cors;
struct lane;
struct volatile_store;
struct ha;
struct autoseal;
struct telemetry;
struct usage;
struct stream;
struct move;
struct quota_set;

struct opened { /* from unseal to seal; reference-counted: core and active */
    struct barrier *barrier;
    _Atomic(uint32_t) refs;
};

/* What every request reads: immutable, swapped at publication. The struct itself stays allocated until struct
 * active ends (its count is
 * read by those who are about to hold it), the contents go with the last reference. */
struct mount_set { /* a mount table and the arena it lives in (this struct too); shared by snapshots */
    _Atomic(uint32_t) refs;
    struct arena *arena;
    struct mount_table table;
    size_t bytes[2][2]; /* stored tables: of auth methods, local */
};

struct snapshot {
    _Atomic(uint32_t) refs;
    struct mount_set *mounts;
    struct audit_set *audit;
    struct quota_set *quotas; /* NULL: none */
    struct snapshot *next;    /* all of this active */
};

enum { MOUNT_SPACE_CHAINS = 4096 };

struct active {
    struct core *core;
    struct opened *opened;
    struct barrier *barrier; /* of opened */
    struct lru *lru;
    struct lane *lane;
    struct space core_spaces[SPACE_CORE_COUNT_];
    struct space *mount_spaces[MOUNT_SPACE_CHAINS]; /* lock: spaces_mutex */
    struct mutex spaces_mutex;
    _Atomic(struct snapshot *) snapshot;
    struct snapshot *snapshots; /* commit thread */
    struct mutex moves_mutex;
    struct move *moves; /* lock: moves_mutex; remount.c */
    struct token_state *tokens;
    struct lease_manager *leases;
    struct rotation *rotation;
    struct oidc *oidc;
    struct mfa *mfa;
    int64_t since_ns; /* wall time */
    struct acl_cache *acls;
    struct identity *identity;
    struct lockout *lockout;
    struct usage *usage; /* NULL: not counted */
    struct volatile_store *volatiles;
    struct loop_timer sweep_timer; /* control thread; lease/sweep.h */
    struct storage_lock *lock;     /* HA; NULL without */
    struct storage_fence fence;
    str cluster_name, cluster_id;
    struct arena *arena; /* process-like memory of this active */
    uint64_t generation;
    struct active *next_zombie;
};

struct inflight { /* one per loop: requests that hold struct active, by parity of its generation */
    _Alignas(64) _Atomic(int64_t) n[2];
    struct call_state *calls; /* all, the last come first */
    struct loop *loop;
    struct core *core;
    struct loop_hook hook;
    /* waiting for the end of the loop turn: audit lines, then answers */
    struct call_state *finished, **finished_end;
    struct arena *scratch;
};

enum { CORE_LOOPS_MAX = 64 };
enum { STORAGE_GET, STORAGE_LIST, STORAGE_PUT, STORAGE_DELETE, STORAGE_OPS_ };

struct engine_entry {
    const struct engine *engine;
    struct route_table *routes;
};

struct core {
    struct core_config config;
    struct loop *control;
    struct thread control_thread;
    struct pool *storage_pool;
    struct pool *slow_pool; /* a thread a CPU: what request_memo() computes */
    _Atomic(struct active *) active;
    _Atomic(uint64_t) generation;
    _Atomic(bool) has_quotas; /* of the snapshot published last: asked before anything is held */
    struct inflight loops[CORE_LOOPS_MAX];
    struct inflight internal; /* internal requests */
    _Atomic(unsigned) n_loops;
    struct engine_entry *engines; /* NULL engine ends */
    struct active *zombies;       /* control thread: sealed, still held by stragglers */
    struct mutex cors_mutex;
    struct cors *cors;  /* lock: cors_mutex; sys/cors.c; NULL: off */
    struct mutex mutex; /* below */
    struct cond changed;
    enum core_state state;            /* lock: mutex */
    struct opened *opened;            /* lock: mutex */
    struct seal_config seal_config;   /* lock: mutex; valid unless UNINITIALISED */
    struct unseal_progress *progress; /* lock: mutex */
    str cluster_name, cluster_id;     /* lock: mutex; while active */
    struct arena *cluster_arena;      /* lock: mutex */
    int64_t active_since_ns;          /* lock: mutex */
    struct ha *ha;                    /* NULL without an HA lock */
    struct seal *seal;                /* the configuration's key service; NULL: shares open the store */
    struct seal *stored_seal;         /* lock: mutex; the one that opens the store as it is; NULL: shares */
    struct autoseal *autoseal;        /* control thread */
    struct migration migration;       /* control thread, but for `pending` */
    /* control thread: storage failed; reopen and activate once all stragglers are gone */
    bool rebuild;
    struct loop_timer zombie_timer; /* control thread */
    struct mutex streams_mutex;
    struct stream *streams; /* lock: streams_mutex */
    unsigned n_streams;     /* lock: streams_mutex */
    struct telemetry *telemetry;
    struct loop_timer telemetry_timer;      /* control thread */
    uint16_t storage_metrics[STORAGE_OPS_]; /* series of base/metrics.h */
};

struct space *active_space(struct active *a, enum core_space which);
/* The space of a mount's view, made at first use; lives as long as the active. */
struct space *active_mount_space(struct active *a, str prefix);

struct snapshot *snapshot_hold(struct active *a);
void snapshot_drop(struct snapshot *s);
/* On the commit thread (or before anything runs): a new snapshot with these parts; the old one loses its
 * reference. */
void snapshot_publish(struct active *a, struct mount_set *own_mounts, struct audit_set *own_audit,
                      struct quota_set *own_quotas);
struct mount_set *mount_set_new(void); /* empty, one reference */
struct mount_set *mount_set_ref(struct mount_set *m);
void mount_set_unref(struct mount_set *m);

/* A device or the lock failed under a commit: writes answer 503 until the control thread has rebuilt (or
 * stepped down). Any thread. */
void core_storage_failed(struct active *a, enum err_kind kind);
/* Runs call->rs.control on the control thread, puts its error into call->error, then calls then(core, arg)
 * there. */
void core_control_run(struct core *c, struct core_call *call, void (*then)(struct core *c, void *arg),
                      void *arg);
/* Routes that work sealed (sys/sealed.c): true when the call was taken. On the call's loop. */
bool sys_sealed_handle(struct core *c, struct core_call *call);

/* lifecycle (core.c), control thread only */
struct error *core_activate(struct core *c, struct arena *a, struct storage_lock *own_lock) MUST_USE;
void core_deactivate(struct core *c); /* the active object goes; the keys stay */
/* A new active object that no request finds: init uses it to write what opening makes, and the root token. */
struct active *active_build(struct core *c, struct opened *o, struct storage_lock *own_lock);
/* activate.c: reads or makes what a store needs */
struct error *active_open(struct active *a, struct arena *err) MUST_USE;
void active_destroy(struct active *a); /* nothing may hold it */
struct opened *opened_new(struct barrier *own_barrier);
void opened_unref(struct opened *o);
/* Runs fn in the lane of `a` and waits. The error is copied to `err`. */
struct error *active_run(struct active *a, struct arena *err, handler_fn *fn, void *arg) MUST_USE;
void core_set_state(struct core *c, enum core_state s);
void core_compile_engines(struct core *c); /* registry.c */
const struct engine_entry *core_engine_find(struct core *c, str type, enum engine_kind kind);
extern const struct engine sys_engine;

/* unseal.c, control thread */
/* An uninitialised store is looked at again: another node, or the one before us, may have initialised it. */
struct error *core_refresh_seal_config(struct core *c, struct arena *a) MUST_USE;
/* Settings that could not be read at the start are read again: their error is the answer. */
struct error *core_need_seal_config(struct core *c, struct arena *a) MUST_USE;
/* Reads the store's settings and takes them over; an error also when they do not fit the configuration. */
struct error *core_load_seal_config(struct core *c, struct arena *a, bool *ret_exists) MUST_USE;
bool core_is_auto(struct core *c); /* a key service has sealed the store; any thread */
/* Does this joined key open the store? Nothing changes. */
struct error *core_check_key(struct core *c, struct arena *a, bytes key) MUST_USE;
struct error *core_unseal_root(struct core *c, struct arena *a, bytes root_key) MUST_USE;
/* migrate: the shares are given for the migration, too. */
struct error *core_unseal_share(struct core *c, struct arena *a, bytes share, bool migrate) MUST_USE;
/* Before taking over: the active node before may have changed the keyring. */
struct error *core_refresh_keyring(struct core *c, struct arena *a) MUST_USE;
struct init_params {
    int64_t shares, threshold;
    const struct json *pgp_keys; /* base64, one a share; NULL: the shares are given in the clear */
    str root_token_pgp_key;      /* base64; empty: so is the root token */
};
/* Everything is refused before anything is stored. */
struct error *core_initialise(struct core *c, struct arena *a, const struct init_params *p,
                              struct json **ret_answer) MUST_USE;
/* ha.c */
struct ha *ha_new(struct core *c);
void ha_start(struct ha *ha); /* unsealed: contend for the lock */
void ha_stop(struct ha *ha);  /* sealed: stop contending */
void ha_yield(struct ha *ha); /* the active object is gone: others first */
void ha_free(struct ha *ha);
/* response.control of sys/step-down: without an active node elsewhere it comes back after a while */
struct error *core_control_step_down(struct core *c, struct arena *a, void *arg) MUST_USE;
/* response.control of sys/seal */
struct error *core_control_seal(struct core *c, struct arena *a, void *arg) MUST_USE;
void moves_free(struct active *a); /* sys/remount.c */
/* sys/cors.c; open: a part of the opening */
struct error *core_cors_open(struct request *rq) MUST_USE;
void core_cors_init(struct core *c);
void core_cors_done(struct core *c);
