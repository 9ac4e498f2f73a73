/* harness: a whole core in the test's process, its loops in threads: calls from any thread, waited for or
 * not.
 *
 * Use: harness_start(), harness_call() …, harness_stop(). On the test's own thread harness_must() also checks
 * the status.
 * Memory: an answer lives in the arena given; one that `done` gets, until it returns.
 * Threads: start, stop, must and the helpers after it on the test's thread; call and send from any.
 */
#pragma once
#include "../base/check.h"

#undef fail /* cmocka's; the engine contract has its own */
#include "base/mutex.h"
#include "config/config.h"
#include "core/core.h"

#include <stdatomic.h>

enum { HARNESS_LOOPS_MAX = 8 };

struct harness;
struct harness_options {
    const char *storage_type;            /* inmem, inmem_ha, file, sqlite; NULL: inmem */
    struct storage *storage;             /* instead: the caller's own, which stays open */
    const char *folder;                  /* of file and sqlite: the caller's, kept; NULL: one of its own */
    const struct engine *const *engines; /* besides the built-in ones; NULL-terminated */
    void (*configure)(struct config *c); /* changes the defaults */
    const struct clock *clock;           /* NULL: real */
    unsigned loops;                      /* 0: 2 */
    size_t request_bytes_max;            /* limit of a request's arena; 0: 96 MiB */
    const char *key, *root;              /* of an initialised store; NULL: a fresh one is initialised */
    /* Called when core and loops are there and nothing runs yet; or NULL. */
    void (*opened)(struct harness *h, void *arg);
    void *arg;
    /* A key service, the harness' from then on (it goes with the core: no restart), and its host. */
    struct seal *seal;
    struct seal_host *seal_host;
    bool stays_sealed; /* neither initialised nor unsealed */
    bool may_stand_by; /* ready when unsealed, though another core holds the lock */
};

struct harness_loop {
    struct loop *loop;
    struct thread thread;
};

struct harness {
    struct harness_options options;
    struct core *core;
    struct storage *storage;
    struct config *config;
    struct harness_loop loops[HARNESS_LOOPS_MAX];
    unsigned n_loops;
    _Atomic(unsigned) next_loop;
    struct mutex mutex;
    struct cond idle;
    size_t n_open;       /* lock: mutex; calls without an answer */
    struct arena *arena; /* of the harness, on the test's thread */
    char folder[32];     /* empty: none of its own */
    str root, key;       /* token; unseal key, hex */
};

struct answer {
    int status;
    enum err_kind kind; /* of an error */
    bool failed;
    str error;          /* its text */
    str data;           /* JSON text of the answer's data; empty: none */
    str client_token;   /* of an answer with auth */
    str mfa_request_id; /* of a login that waits for its second factor */
};

/* Ready when it returns: unsealed, active and with a root token, unless the options say otherwise. */
void harness_start(struct harness *h, const struct harness_options *options);
/* Waits for the calls under way, seals, ends the threads, closes what is its own. */
void harness_stop(struct harness *h);
/* Seals and ends core and loops, then starts them again on the same storage: all in memory is new. */
void harness_restart(struct harness *h);

/* Sends a call to one of the loops; done(answer, arg) is called once, there. A list's path gets its '/'.
 * body: JSON text or NULL; for reads it stands for the query. The strings are copied. */
void harness_send(struct harness *h, enum op op, const char *path, str token, const char *body,
                  void (*done)(const struct answer *answer, void *arg), void *arg);
/* The same, waited for; the answer lives in `a`. */
struct answer harness_call(struct harness *h, struct arena *a, enum op op, const char *path, str token,
                           const char *body);

/* As root; fails the test unless the status is as wanted. The answer lives in the harness. */
struct answer harness_must(struct harness *h, int status, enum op op, const char *path, const char *body);
void harness_unseal(struct harness *h);                                    /* and waits until it is ready */
void harness_mount(struct harness *h, const char *path, const char *type); /* "secret", "kv" */
void harness_audit_file(struct harness *h, const char *name,
                        const char *file); /* enables the device audit/NAME */
str harness_token(struct harness *h, const char *policy_name,
                  const char *policy); /* a new token with this policy alone */
struct json *answer_data(struct arena *a,
                         const struct answer *answer); /* parsed; fails the test if there is none */

/* A store of its own: in a fresh folder if it needs one, whose path goes into `folder`. */
struct storage *harness_storage_open(struct arena *a, const char *type, char folder[32]);
void harness_folder_remove(const char *folder); /* "" is fine */
