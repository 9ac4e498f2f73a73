/* server: the server command: configuration, storage, core, loops, listeners, signals. */
#include "api/front.h"
#include "auth/methods.h"
#include "base/fault.h"
#include "base/log_file.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "base/secure.h"
#include "cli/cli.h"
#include "cli/server_dev.h"
#include "cli/server_private.h"
#include "crypto/crypto.h"
#include "engine/engines.h"
#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { DRAIN_S_MAX = 5, REQUEST_BYTES_MAX = 96 * 1024 * 1024 };

const struct flag server_flags[] = {
    {"config", FLAG_STRINGS,
     .help = "Configuration file, or folder of .hcl and .json files. May be given several times."},
    {"log-level", FLAG_STRING, .setting = "LOG_LEVEL", .help = "trace, debug, info, warn or error."},
    {"log-format", FLAG_STRING, .setting = "LOG_FORMAT", .help = "standard or json."},
    {"log-file", FLAG_STRING, .help = "Write the log to files of this name too; of a folder: in it."},
    {"log-rotate-bytes", FLAG_STRING, .help = "Begin a new log file before it is larger than this."},
    {"log-rotate-duration", FLAG_STRING, .help = "Begin a new log file after this time, by default 24h."},
    {"log-rotate-max-files", FLAG_STRING, .help = "Older log files that stay: 0 for all, -1 for none."},
    {"test-verify-only", FLAG_BOOL,
     .help = "Read the configuration, open storage and listeners, print the banner, end."},
    {"check", FLAG_BOOL,
     .help = "Read the configuration and the files it names, say what is wrong with them, end. Opens no "
             "storage."},
    {"dev", FLAG_BOOL, .help = "Run a server for development: in memory, unsealed, gone when it ends."},
    {"dev-root-token-id", FLAG_STRING, .setting = "DEV_ROOT_TOKEN_ID", .help = "The root token, with -dev."},
    {"dev-listen-address", FLAG_STRING, .initial = "127.0.0.1:8200", .setting = "DEV_LISTEN_ADDRESS",
     .help = "Address to listen on, with -dev."},
    {"dev-no-store-token", FLAG_BOOL, .help = "Do not hand the root token to the token helper, with -dev."},
    {"dev-tls", FLAG_BOOL, .help = "As -dev, with TLS under a CA made for this run."},
    {"dev-tls-cert-dir", FLAG_STRING,
     .help = "Where -dev-tls writes its certificates; a new folder without it."},
    {"dev-cluster-json", FLAG_STRING, .help = "Write address, CA and root token of -dev to this file."},
    {"dev-kv-v1", FLAG_BOOL, .help = "Mount kv version 1 at secret/, with -dev."},
    {0},
};

/* ---- settings ---- */

/* As many descriptors as the system allows: each connection is one. */
static void raise_limits(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r); /* fewer connections, nothing worse */
    }
}

static struct error *set_process(struct server *s)
{
    mallopt(M_ARENA_MAX, 2);
    raise_limits();
    if (!secure_process(!s->config->disable_mlock))
        return error_new(s->cli->arena, ERR_INTERNAL,
                         "Failed to lock memory: %s\n\n"
                         "The server locks its memory so that keys are never written to swap. Give it the "
                         "capability IPC_LOCK\n"
                         "(setcap cap_ipc_lock=+ep, or LimitMEMLOCK=infinity under systemd), or set "
                         "disable_mlock = true when the\n"
                         "machine has no swap or its swap is encrypted.",
                         strerror(errno));
    signal(SIGPIPE, SIG_IGN);
    return NULL;
}

/* Nobody shall believe in a lock that is not held. */
static struct error *ha_storage_check(struct arena *a, const struct config_block *ha)
{
    if (ha && !storage_type_is_known(ha->type))
        return error_new(a, ERR_BAD_REQUEST, "Unknown HA storage type %.*s", PSTR(ha->type));
    if (ha && !storage_type_has_lock(ha->type))
        return error_new(a, ERR_BAD_REQUEST, "Specified HA storage does not support HA");
    return NULL;
}

static struct error *load_config(struct server *s)
{
    struct cli *c = s->cli;
    const struct flag_value *paths = flag_value(&c->flags, "config");

    if (paths->n > 0)
        TRY(config_load(c->arena, paths->items, paths->n, &s->config));
    else if (!server_is_dev(c))
        return error_new(c->arena, ERR_BAD_REQUEST, "Must specify at least one config path using -config");
    if (server_is_dev(c))
        TRY(server_dev_config(c, s->config, &s->config));
    if (!s->config->storage)
        return error_new(c->arena, ERR_BAD_REQUEST, "A storage backend must be specified");
    TRY(ha_storage_check(c->arena, s->config->ha_storage));
    return server_set_log(c, s->config);
}

/* ---- start ---- */

static struct error *open_storage(struct server *s)
{
    struct arena *a = s->cli->arena;
    struct error *e = storage_open(a, s->config->storage, &s->storage);

    if (e && e->kind == ERR_BAD_REQUEST && str_starts(e->text, STR("Unknown storage type")))
        return e;
    return e ? error_wrap(a, e, "Error initializing storage of type %.*s: %.*s",
                          PSTR(s->config->storage->type), PSTR(e->text))
             : NULL;
}

struct error *server_open_seals(struct server *s)
{
    struct arena *a = s->cli->arena;

    s->seal_host.rng = rng_system();
    s->seal_host.clock = clock_real();
    for (size_t i = 0; i < s->config->n_seals; i++) {
        const struct config_block *stanza = &s->config->seals[i];
        struct seal **to = stanza->disabled ? &s->disabled_seal : &s->seal;

        if (str_eq(stanza->type, STR("shamir")) && stanza->disabled)
            return error_new(a, ERR_BAD_REQUEST,
                             "Shamir seals cannot be set disabled (they should simply not be set)");
        if (str_eq(stanza->type, STR("shamir")))
            continue;
        if (*to)
            return error_new(a, ERR_BAD_REQUEST, "seals: more than one of them is %s",
                             stanza->disabled ? "disabled" : "not disabled");
        struct error *e = seal_open(a, stanza, &s->seal_host, to);

        if (e)
            return error_new(a, e->kind, "Error parsing Seal configuration: %.*s", PSTR(e->text));
    }
    return NULL;
}

static void open_core(struct server *s)
{
    struct arena *a = s->cli->arena;
    struct core_config c = {
        .storage = s->storage,
        .storage_type = s->config->storage->type,
        .config = s->config,
        .rng = rng_system(),
        .clock = clock_real(),
        .version = arena_fmt(a, "1.14.7+coffer.%s", COFFER_VERSION),
        .engines = builtin_engines,
        .methods = builtin_methods,
        .storage_config = s->config->storage,
        .seal = s->seal,
        .disabled_seal = s->disabled_seal,
        .seal_host = &s->seal_host,
    };

    s->core = core_new(&c);
    s->starts_programs = seal_starts_programs(s->seal) || seal_starts_programs(s->disabled_seal);
    s->seal = s->disabled_seal = NULL;
    s->storage = NULL; /* the core's from here on: it opens it anew after a failure */
    for (size_t i = 0; i < s->n_loops; i++) {
        s->loops[i] = loop_new();
        core_attach_loop(s->core, s->loops[i]);
    }
    s->front = front_new(&(struct front_config){s->core, s->config, s->loops, s->n_loops});
}

static struct error *begin_core(struct server *s)
{
    struct error *e = core_begin(s->core, s->cli->arena);

    return e ? error_new(s->cli->arena, e->kind, "Error initializing core: %.*s", PSTR(e->text)) : NULL;
}

static size_t memory_max(void)
{
    long long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

    return pages > 0 && page > 0 ? (size_t)pages * (size_t)page / 4 : 0;
}

static struct error *open_listeners(struct server *s)
{
    struct arena *a = s->cli->arena;
    struct http_server_config c = {
        .loops = s->loops,
        .n_loops = s->n_loops,
        .handler = front_handle,
        .arg = s->front,
        .request_memory_bytes_max = REQUEST_BYTES_MAX,
        .all_memory_bytes_max = memory_max(),
    };

    s->listeners = ARENA_ARRAY(a, struct http_server *, s->config->n_listeners + 1);
    for (size_t i = 0; i < s->config->n_listeners; i++) {
        const struct config_listener *l = &s->config->listeners[i];
        struct error *e = http_server_listen(a, l, &c, &s->listeners[i]);

        if (e)
            return error_wrap(a, e, "Error initializing listener of type %s: %.*s",
                              l->is_unix ? "unix" : "tcp", PSTR(e->text));
        s->n_listeners++;
    }
    return NULL;
}

/* ---- running ---- */

static struct error *write_pid(struct server *s)
{
    str path = s->config->pid_file;
    char text[32];
    char *name = arena_cstr(s->cli->arena, path);

    if (path.n == 0)
        return NULL;
    int fd = name ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

    if (fd < 0)
        return error_errno(s->cli->arena, errno, "could not open pid file %.*s", PSTR(path));
    int n = snprintf(text, sizeof(text), "%d", (int)getpid());
    bool ok = write(fd, text, (size_t)n) == n;

    close(fd);
    return ok ? NULL : error_new(s->cli->arena, ERR_INTERNAL, "could not write pid file %.*s", PSTR(path));
}

static void remove_pid(struct server *s)
{
    char *name = arena_cstr(s->cli->arena, s->config->pid_file);

    if (name && *name)
        (void)unlink(name); /* gone already is fine */
}

static void on_term(struct loop *l, int signo, void *arg)
{
    struct server *s = arg;

    (void)signo;
    cli_print(s->cli, "==> Vault shutdown triggered");
    fflush(s->cli->out);
    loop_stop(l);
}

static void on_hup(struct loop *l, int signo, void *arg)
{
    (void)l;
    (void)signo;
    server_reload(arg);
}

static void on_usr1(struct loop *l, int signo, void *arg)
{
    (void)l;
    (void)signo;
    server_dump_metrics(arg);
}

static void on_usr2(struct loop *l, int signo, void *arg)
{
    (void)l;
    (void)signo;
    server_dump_state(arg);
}

static void run_loop(void *arg)
{
    loop_run(arg);
}

static void listener_drained(void *arg)
{
    struct server *s = arg;

    mutex_lock(&s->mutex);
    s->n_draining--;
    cond_signal(&s->drained);
    mutex_unlock(&s->mutex);
}

static void stop_listeners(struct server *s)
{
    s->n_draining = s->n_listeners;
    for (size_t i = 0; i < s->n_listeners; i++)
        http_server_stop(s->listeners[i], DRAIN_S_MAX * NS_PER_S, listener_drained, s);
    mutex_lock(&s->mutex);
    while (s->n_draining > 0)
        cond_wait(&s->drained, &s->mutex);
    mutex_unlock(&s->mutex);
}

static struct error *watch_signals(struct server *s)
{
    struct arena *a = s->cli->arena;

    s->main_loop = loop_new();
    TRY(loop_signal(s->main_loop, a, SIGTERM, on_term, s));
    TRY(loop_signal(s->main_loop, a, SIGINT, on_term, s));
    TRY(loop_signal(s->main_loop, a, SIGUSR1, on_usr1, s));
    TRY(loop_signal(s->main_loop, a, SIGUSR2, on_usr2, s));
    return loop_signal(s->main_loop, a, SIGHUP, on_hup, s);
}

static struct error *serve(struct server *s)
{
    struct error *e = NULL;

    for (size_t i = 0; i < s->n_loops; i++)
        thread_start(&s->threads[i], arena_fmt(s->cli->arena, "loop-%zu", i).p, run_loop, s->loops[i]);
    if (server_is_dev(s->cli)) /* may start a token helper */
        e = server_dev_setup(s->cli, s->config, http_server_port(s->listeners[0]));
    if (!secure_lockdown(s->starts_programs))
        log_warn("core", "system calls could not be restricted", F_CSTR("error", strerror(errno)));
    server_notify(s, "READY=1");
    if (!e)
        loop_run(s->main_loop);
    server_notify(s, "STOPPING=1");
    stop_listeners(s);
    atomic_store(&s->seal_host.cancelled, true); /* nobody waits for a key service any more */
    core_seal(s->core);
    for (size_t i = 0; i < s->n_loops; i++) {
        loop_stop(s->loops[i]);
        thread_join(&s->threads[i]);
    }
    remove_pid(s);
    return e;
}

/* All that can be found wrong without touching storage or an address. */
static struct error *check(struct server *s)
{
    struct arena *a = s->cli->arena;

    TRY(load_config(s));
    if (!storage_type_is_known(s->config->storage->type))
        return error_new(a, ERR_BAD_REQUEST, "Unknown storage type %.*s", PSTR(s->config->storage->type));
    for (size_t i = 0; i < s->config->n_listeners; i++) {
        const struct config_listener *l = &s->config->listeners[i];
        SSL_CTX *context;

        if (l->is_unix || l->tls_disable)
            continue;
        struct error *e = tls_context_new(a, l, &context);

        if (e)
            return error_wrap(a, e, "Error initializing listener of type tcp: %.*s", PSTR(e->text));
        tls_context_free(context);
    }
    TRY(server_open_seals(s));
    for (size_t i = 0; i < s->config->n_warnings; i++)
        cli_print(s->cli, "Warning: %.*s", PSTR(s->config->warnings[i]));
    cli_print(s->cli, "Success! The configuration is valid.");
    return NULL;
}

static struct error *start(struct server *s)
{
    long long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    s->n_loops = (size_t)MIN(MAX(cpus, 1), SERVER_LOOPS_MAX);
    TRY(load_config(s));
    TRY(server_open_log_file(s->cli, s->config));
    TRY(set_process(s));
    TRY(watch_signals(s)); /* before any thread: they inherit the blocked signals */
    TRY(open_storage(s));
    TRY(server_open_seals(s));
    open_core(s);
    TRY(open_listeners(s));
    TRY(begin_core(s));
    return write_pid(s);
}

static void finish(struct server *s)
{
    for (size_t i = 0; i < s->n_listeners; i++)
        http_server_free(s->listeners[i]);
    core_free(s->core);
    front_free(s->front);
    for (size_t i = 0; s->core && i < s->n_loops; i++)
        loop_free(s->loops[i]);
    loop_free(s->main_loop);
    storage_close(s->storage);
    seal_close(s->seal);
    seal_close(s->disabled_seal);
}

int command_server(struct cli *c)
{
    struct server s = {.cli = c};

    mutex_init(&s.mutex);
    cond_init(&s.drained);
    fault_init_from_env();
    crypto_init();
    log_hold(true);
    bool only_check = flag_bool(&c->flags, "check");
    struct error *e = only_check ? check(&s) : start(&s);

    if (!e && !only_check) {
        server_print_banner(&s);
        log_hold(false);
        server_log_warnings(s.config);
        if (!flag_bool(&c->flags, "test-verify-only"))
            e = serve(&s);
    }
    if (e) {
        cli_print(c, "%.*s", PSTR(e->text));
        log_hold(false);
    }
    server_dev_clean(c, s.config);
    finish(&s);
    log_file_close();
    return e ? 1 : 0;
}
