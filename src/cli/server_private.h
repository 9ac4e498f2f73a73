/* server_private: the parts of the server command.
 *
 * Threads: the main thread, but for `drained`.
 */
#pragma once
#include "api/front.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "cli/cli.h"
#include "config/config.h"
#include "seal/seal.h"

enum { SERVER_LOOPS_MAX = 16 };

struct server {
    struct cli *cli;
    struct config *config; /* of the start; a reload takes parts of a later one */
    struct storage *storage;
    bool has_ha;                       /* the storage has a lock */
    struct seal *seal, *disabled_seal; /* until the core has them */
    struct seal_host seal_host;
    bool starts_programs; /* a seal does */
    struct core *core;
    struct front *front;
    struct loop *main_loop; /* signals */
    struct loop *loops[SERVER_LOOPS_MAX];
    struct thread threads[SERVER_LOOPS_MAX];
    size_t n_loops;
    struct http_server **listeners;
    size_t n_listeners; /* open */
    struct mutex mutex;
    struct cond drained;
    size_t n_draining; /* lock: mutex */
};

/* Level and format of the log: flags before the configuration. */
struct error *server_set_log(struct cli *c, const struct config *config) MUST_USE;
/* The log's file, if there is one: flags before the configuration. */
struct error *server_open_log_file(struct cli *c, const struct config *config) MUST_USE;
void server_log_warnings(const struct config *config);
/* Key services; without one, shares open the store. */
struct error *server_open_seals(struct server *s) MUST_USE;
/* One datagram to the service manager, if there is one (the notify socket's protocol). */
void server_notify(struct server *s, const char *state);
/* SIGHUP: the files are read again; level of the log, custom response headers, certificates, CA of clients
 * and audit files are taken over. What cannot be read keeps the old one and is said in the log. */
void server_reload(struct server *s);
/* What scripts and people look for first, on stdout. */
void server_print_banner(struct server *s);
/* SIGUSR1: all metrics on stderr, a line each. SIGUSR2: state, memory and connections to the log. */
void server_dump_metrics(struct server *s);
void server_dump_state(struct server *s);
