/* core: the heart, seen from outside: api/, the server command, tests.
 *
 * struct core   the process's: storage, settings, control thread, the unseal progress; lives from start to
 * exit.
 * struct opened root key and keyring: from unseal to seal.
 * struct active everything that exists only on the active node; sealed or standby = no such object.
 * Threads: core_handle on loops only; the rest any thread.
 */
#pragma once
#include "base/loop.h"
#include "core/engine.h"
#include "seal/seal.h"
#include "storage/storage.h"

struct core_config {
    struct storage *storage;
    str storage_type;            /* "file" as seal-status shows it */
    const struct config *config; /* lives as long as core */
    struct rng *rng;
    const struct clock *clock;
    str version;                         /* "1.14.7+coffer.0.1.0" */
    const struct engine *const *engines; /* the mountable ones (engine/engines.h); NULL-terminated */
    const struct engine *const *methods; /* the auth methods (auth/methods.h); NULL: none */
    /* To reopen storage after a device failed: then storage is the core's, closed with it. NULL: the
     * caller's,
     * and a failure seals. */
    const struct config_block *storage_config;
    /* The key services of the configuration; NULL: none, shares open the store. `disabled_seal` is the one
     * that is being left. The core's: closed with it. `seal_host` is set when there is one; it outlives the
     * core. */
    struct seal *seal, *disabled_seal;
    struct seal_host *seal_host;
};
struct core *core_new(const struct core_config *c);
/* Do the configured seals fit the store? With a key service it begins to unseal by itself. Once, before the
 * first request. ERR_BAD_REQUEST: they do not. */
struct error *core_begin(struct core *c, struct arena *a) MUST_USE;
/* Seals, ends the threads. Loops must have stopped or drained. */
void core_free(struct core *c);

/* One request of the API. The front fills the first part; core_handle runs it and calls done exactly once on
 * `loop`, perhaps
 * before it returns. Then the reply has been made durable and audited: only its bytes are left to be made.
 * Memory: the call and all it points to live in rq.arena. */
struct quota_told { /* of the rate limit that counted the request; told in headers when limit is not 0 */
    uint64_t limit, remaining;
    int64_t reset_s;
    int64_t retry_after_s; /* of a request that was refused; else negative */
};

struct core_call {
    struct request rq;
    struct response rs;
    struct error *error; /* out: NULL or what the client gets; rs is void then */
    struct loop *loop;
    void (*done)(struct core_call *call);
    const struct quota_told *quota; /* out; NULL: nothing to tell */
    /* core's own */
    struct call_state *state;
};
void core_handle(struct core *c, struct core_call *call);
/* Must be called on each loop that calls core_handle, before it runs; and when it has stopped. */
void core_attach_loop(struct core *c, struct loop *l);
/* After done: the bytes of the answer are made, the call's hold on struct active ends. */
void core_call_end(struct core_call *call);

enum core_state { CORE_UNINITIALISED, CORE_SEALED, CORE_STANDBY, CORE_ACTIVE };
enum core_state core_state(struct core *c); /* what is known without asking storage */
void core_seal(struct core *c);             /* blocks until sealed; SIGTERM */
void core_reload(struct core *c);           /* SIGHUP: audit files reopened */

/* Waits (tests, -dev): false after timeout. */
bool core_wait_state(struct core *c, enum core_state s, int64_t timeout_ns);
struct rng *core_rng(const struct core *c);
