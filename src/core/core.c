#include "base/log.h"
#include "core/autoseal.h"
#include "core/identity/identity.h"
#include "core/lane.h"
#include "core/lease/sweep.h"
#include "core/login/lockout.h"
#include "core/mfa/mfa_private.h"
#include "core/oidc/oidc_private.h"
#include "core/rotation.h"
#include "core/stream.h"
#include "core/sys/sys.h"
#include "core/telemetry/telemetry.h"
#include "core/volatile.h"

#include <malloc.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    STORAGE_THREADS = 4,
    STORAGE_QUEUE_MAX = 8192,
    SLOW_THREADS_MAX = 32,
    SLOW_QUEUE_MAX = 1024,
    ZOMBIE_POLL_NS = 2000000
};

/* ---- state ---- */

enum core_state core_state(struct core *c)
{
    mutex_lock(&c->mutex);
    enum core_state s = c->state;

    mutex_unlock(&c->mutex);
    return s;
}

void core_set_state(struct core *c, enum core_state s)
{
    mutex_lock(&c->mutex);
    c->state = s;
    cond_broadcast(&c->changed);
    mutex_unlock(&c->mutex);
}

bool core_wait_state(struct core *c, enum core_state s, int64_t timeout_ns)
{
    bool in_time = true;

    mutex_lock(&c->mutex);
    while (c->state != s && in_time)
        in_time = cond_wait_ns(&c->changed, &c->mutex, timeout_ns);
    bool is = c->state == s;

    mutex_unlock(&c->mutex);
    return is;
}

/* ---- opened ---- */

struct opened *opened_new(struct barrier *own_barrier)
{
    struct opened *o = calloc(1, sizeof(*o));

    if (!o)
        die("out of memory");
    o->barrier = own_barrier;
    atomic_init(&o->refs, 1);
    return o;
}

void opened_unref(struct opened *o)
{
    if (!o || atomic_fetch_sub(&o->refs, 1) != 1)
        return;
    barrier_free(o->barrier);
    free(o);
}

/* ---- struct active ---- */

static const char *const space_prefixes[SPACE_CORE_COUNT_] = {
    [SPACE_CORE] = "core/",         [SPACE_POLICY] = "sys/policy/", [SPACE_TOKEN] = "sys/token/",
    [SPACE_EXPIRE] = "sys/expire/", [SPACE_SYS] = "sys/",           [SPACE_AUDIT] = "audit/",
    [SPACE_MEMORY] = "~mem/",
};

struct active *active_build(struct core *c, struct opened *o, struct storage_lock *own_lock)
{
    struct active *a = calloc(1, sizeof(*a));

    if (!a)
        die("out of memory");
    a->core = c;
    a->opened = o;
    atomic_fetch_add(&o->refs, 1);
    a->barrier = o->barrier;
    a->generation = atomic_load(&c->generation);
    a->arena = arena_new(0);
    a->lock = own_lock;
    a->fence.lock = own_lock;
    mutex_init(&a->spaces_mutex);
    mutex_init(&a->moves_mutex);
    for (int i = 0; i < SPACE_CORE_COUNT_; i++)
        a->core_spaces[i].prefix = str_from_cstr(space_prefixes[i]);
    bool cached = !c->config.config->disable_cache;

    a->lru = lru_new(cached ? (size_t)c->config.config->cache_size : 1,
                     cached ? (size_t)c->config.config->cache_bytes : 1);
    a->acls = acl_cache_new();
    snapshot_publish(a, mount_set_new(), NULL, NULL);
    a->identity = identity_new();
    a->lockout = lockout_new();
    a->volatiles = volatile_new(a);
    a->leases = lease_manager_new(a);
    a->rotation = rotation_new(a);
    a->oidc = oidc_new(a);
    a->mfa = mfa_new();
    a->since_ns = clock_wall_ns(c->config.clock);
    a->lane = lane_new(a);
    return a;
}

void active_destroy(struct active *a)
{
    if (!a)
        return;
    lane_free(a->lane);
    lease_manager_free(a->leases);
    rotation_free(a->rotation);
    telemetry_usage_free(a);
    oidc_free(a->oidc);
    mfa_free(a->mfa);
    identity_free(a->identity);
    lockout_stop(a->lockout);
    sweep_mounts_stop(a);
    lockout_free(a->lockout);
    volatile_free(a->volatiles);
    token_state_free(a->tokens);
    acl_cache_free(a->acls);
    lru_free(a->lru);
    snapshot_drop(atomic_load(&a->snapshot));
    for (struct snapshot *s = a->snapshots, *next; s; s = next) {
        next = s->next;
        free(s);
    }
    for (size_t i = 0; i < MOUNT_SPACE_CHAINS; i++)
        for (struct space *s = a->mount_spaces[i], *next; s; s = next) {
            next = s->next;
            free(s);
        }
    mutex_done(&a->spaces_mutex);
    moves_free(a);
    mutex_done(&a->moves_mutex);
    if (a->lock)
        a->core->config.storage->ops->lock_release(a->lock);
    opened_unref(a->opened);
    arena_free(a->arena);
    free(a);
}

struct token_state *active_tokens(struct active *a)
{
    return a->tokens;
}

struct lease_manager *active_leases(struct active *a)
{
    return a->leases;
}

struct identity *active_identity(struct active *a)
{
    return a->identity;
}

struct mfa *active_mfa(struct active *a)
{
    return a->mfa;
}

int64_t active_since_ns(const struct active *a)
{
    return a->since_ns;
}

struct oidc *active_oidc(struct active *a)
{
    return a->oidc;
}

struct lockout *active_lockout(struct active *a)
{
    return a->lockout;
}

struct acl_cache *active_acl_cache(struct active *a)
{
    return a->acls;
}

int64_t active_default_ttl_ns(const struct active *a)
{
    return a->core->config.config->default_lease_ttl_ns;
}

int64_t active_max_ttl_ns(const struct active *a)
{
    return a->core->config.config->max_lease_ttl_ns;
}

const struct clock *active_clock(const struct active *a)
{
    return a->core->config.clock;
}

struct rng *active_rng(const struct active *a)
{
    return a->core->config.rng;
}

struct waiter {
    struct mutex mutex;
    struct cond cond;
    bool done;
    struct arena *err_arena;
    struct error *error;
    void *arg;
    handler_fn *fn;
};

static struct error *waiter_run(struct request *rq, struct response *rs)
{
    struct waiter *w = rq->internal_arg;
    struct error *e;

    rq->internal_arg = w->arg;
    e = w->fn(rq, rs);
    rq->internal_arg = w;
    return e;
}

static void waiter_done(const struct error *e, void *arg)
{
    struct waiter *w = arg;

    mutex_lock(&w->mutex);
    w->error = e ? error_copy(w->err_arena, e) : NULL;
    w->done = true;
    cond_signal(&w->cond);
    mutex_unlock(&w->mutex);
}

struct error *active_run(struct active *a, struct arena *err, handler_fn *fn, void *arg)
{
    struct waiter w = {.err_arena = err, .fn = fn, .arg = arg};

    mutex_init(&w.mutex);
    cond_init(&w.cond);
    if (internal_submit(a, waiter_run, &w, waiter_done)) {
        mutex_lock(&w.mutex);
        while (!w.done)
            cond_wait(&w.cond, &w.mutex);
        mutex_unlock(&w.mutex);
    } else {
        w.error = error_new(err, ERR_SEALED, "Vault is sealed");
    }
    cond_done(&w.cond);
    mutex_done(&w.mutex);
    return w.error;
}

/* ---- promotion and its end, on the control thread ---- */

static int64_t holders(struct core *c, unsigned parity)
{
    int64_t n = atomic_load(&c->internal.n[parity]);

    for (unsigned i = 0; i < atomic_load(&c->n_loops); i++)
        n += atomic_load(&c->loops[i].n[parity]);
    return n;
}

static void reap_zombies(struct core *c)
{
    for (struct active **at = &c->zombies; *at;) {
        struct active *z = *at;

        if (holders(c, z->generation & 1) > 0) {
            at = &z->next_zombie;
            continue;
        }
        *at = z->next_zombie;
        active_destroy(z);
    }
}

static void rebuild(struct core *c);

static void zombie_tick(struct loop *l, struct loop_timer *t)
{
    struct core *c = CONTAINER_OF(t, struct core, zombie_timer);

    reap_zombies(c);
    if (c->zombies)
        loop_timer_set(l, t, ZOMBIE_POLL_NS);
    else if (c->rebuild)
        rebuild(c);
}

struct error *core_activate(struct core *c, struct arena *err, struct storage_lock *own_lock)
{
    /* the counters of this parity must be free of the generation before the last: its holders have deadlines
     * */
    int64_t begun_ns = clock_mono_ns(clock_real());

    for (reap_zombies(c); c->zombies && holders(c, atomic_load(&c->generation) & 1) > 0; reap_zombies(c))
        sched_yield();
    reap_zombies(c); /* the last of them may have left between the look and the count */
    struct active *a = active_build(c, c->opened, own_lock);
    struct error *e = active_open(a, err);

    if (e) {
        log_error("core", "post-unseal setup failed", F_STR("error", error_log_text(err, e)));
        metric_time(METRIC_LEADERSHIP_SETUP_FAILED, clock_mono_ns(clock_real()) - begun_ns, 1);
        active_destroy(a);
        return e;
    }
    mutex_lock(&c->mutex);
    c->cluster_name = arena_str(c->cluster_arena, a->cluster_name);
    c->cluster_id = arena_str(c->cluster_arena, a->cluster_id);
    c->active_since_ns = clock_wall_ns(c->config.clock);
    mutex_unlock(&c->mutex);
    atomic_store(&c->active, a);
    telemetry_usage_start(a);
    lease_manager_start(a->leases);
    identity_start(a);
    rotation_start(a->rotation);
    oidc_start(a->oidc);
    lockout_start(a);
    sweep_mounts_start(a);
    core_set_state(c, CORE_ACTIVE);
    autoseal_active(c->autoseal);
    metric_time(METRIC_POST_UNSEAL, clock_mono_ns(clock_real()) - begun_ns, 1);
    telemetry_tick(c);
    malloc_trim(0); /* what opening needed is not needed again */
    log_info("core", "post-unseal setup complete");
    if (!internal_submit(a, pending_resume, NULL, NULL))
        log_warn("core", "unfinished work could not be taken up");
    return NULL;
}

void core_deactivate(struct core *c)
{
    struct active *a = atomic_load(&c->active);

    if (!a)
        return;
    int64_t begun_ns = clock_mono_ns(clock_real());

    log_info("core", "pre-seal teardown starting");
    autoseal_inactive(c->autoseal);
    atomic_store(&c->active, NULL);
    atomic_fetch_add(&c->generation, 1);
    core_streams_end(c);
    telemetry_usage_stop(a);
    lease_manager_stop(a->leases);
    identity_stop(a->identity);
    lane_close(a->lane);
    if (a->lock) /* now, not with the last straggler */
        c->config.storage->ops->lock_release(TAKE(a->lock));
    a->next_zombie = c->zombies;
    c->zombies = a;
    mutex_lock(&c->mutex);
    c->cluster_name = c->cluster_id = (str){0};
    arena_reset(c->cluster_arena);
    mutex_unlock(&c->mutex);
    loop_timer_set(c->control, &c->zombie_timer, ZOMBIE_POLL_NS);
    metric_time(METRIC_PRE_SEAL, clock_mono_ns(clock_real()) - begun_ns, 1);
    log_info("core", "pre-seal teardown complete");
}

/* Sealed means: no active, no keys, nothing of the keyring in memory. */
static void seal_now(struct core *c)
{
    autoseal_stop(c->autoseal);
    migration_forget_key(c);
    if (core_state(c) < CORE_STANDBY)
        return;
    int64_t begun_ns = clock_mono_ns(clock_real());

    log_info("core", "marked as sealed");
    core_set_state(c, CORE_SEALED);
    if (c->ha)
        ha_stop(c->ha);
    core_deactivate(c);
    mutex_lock(&c->mutex);
    struct opened *o = TAKE(c->opened);

    mutex_unlock(&c->mutex);
    if (o) {
        barrier_close(o->barrier);
        opened_unref(o);
    }
    wipe_stack(); /* it was opened on this thread */
    metric_time(METRIC_SEAL, clock_mono_ns(clock_real()) - begun_ns, 1);
    telemetry_tick(c);
    log_info("core", "vault is sealed");
}

/* Storage failed under a commit (design section 5): reopened, never the same descriptors again. */
static void rebuild(struct core *c)
{
    struct arena *err = arena_new(0);
    struct error *e = NULL;

    c->rebuild = false;
    if (atomic_load(&c->active)) {
        /* sealed and unsealed meanwhile, and in use: its next failure asks for this again */
    } else if (!c->config.storage_config) {
        seal_now(c);
    } else if (core_state(c) >= CORE_STANDBY) {
        storage_close(c->config.storage);
        c->config.storage = NULL;
        e = storage_open(err, c->config.storage_config, &c->config.storage);
        if (e)
            /* a supervisor starts us anew; nothing acknowledged is lost */
            die("storage could not be opened again: %.*s", PSTR(e->text));
        log_warn("core", "storage was opened again after a failure");
        e = core_activate(c, err, NULL);
        if (e)
            seal_now(c);
    }
    arena_free(err);
}

struct control_post {
    struct post post;
    struct core *core;
    struct core_call *call;
    void (*then)(struct core *c, void *arg);
    void *arg;
    uint64_t generation;
    bool step_down;
    struct mutex *mutex;
    struct cond *cond;
    bool *done;
    struct loop_timer *timer;
    int64_t delay_ns;
};

static struct control_post *control_post_new(struct core *c, void (*fn)(struct loop *l, struct post *p))
{
    struct control_post *p = calloc(1, sizeof(*p));

    if (!p)
        die("out of memory");
    p->core = c;
    p->post.fn = fn;
    return p;
}

static void storage_failed_posted(struct loop *l, struct post *post)
{
    struct control_post *p = CONTAINER_OF(post, struct control_post, post);
    struct core *c = p->core;
    struct active *a = atomic_load(&c->active);

    (void)l;
    if (a && a->generation == p->generation) {
        core_deactivate(c);
        core_set_state(c, CORE_STANDBY);
        if (c->ha)
            ha_start(c->ha);
        else
            c->rebuild = true;
    }
    free(p);
}

void core_storage_failed(struct active *a, enum err_kind kind)
{
    struct control_post *p = control_post_new(a->core, storage_failed_posted);

    p->generation = a->generation;
    p->step_down = kind != ERR_IO;
    loop_post(a->core->control, &p->post);
}

static void control_run_posted(struct loop *l, struct post *post)
{
    struct control_post *p = CONTAINER_OF(post, struct control_post, post);
    struct core_call *call = p->call;

    (void)l;
    call->error = call->rs.control(p->core, call->rq.arena, call->rs.control_arg);
    wipe_stack(); /* keys went through */
    p->then(p->core, p->arg);
    free(p);
}

void core_control_run(struct core *c, struct core_call *call, void (*then)(struct core *c, void *arg),
                      void *arg)
{
    struct control_post *p = control_post_new(c, control_run_posted);

    p->call = call;
    p->then = then;
    p->arg = arg;
    loop_post(c->control, &p->post);
}

static void timer_posted(struct loop *l, struct post *post)
{
    struct control_post *p = CONTAINER_OF(post, struct control_post, post);
    struct active *a = atomic_load(&p->core->active);

    if (a && a->generation == p->generation) /* else the timer may be gone */
        loop_timer_set(l, p->timer, p->delay_ns);
    free(p);
}

void control_timer_clear(struct active *a, struct loop_timer *t)
{
    loop_timer_clear(a->core->control, t);
}

void control_timer_set(struct active *a, struct loop_timer *t, int64_t delay_ns)
{
    struct control_post *p = control_post_new(a->core, timer_posted);

    p->timer = t;
    p->delay_ns = delay_ns;
    p->generation = a->generation;
    loop_post(a->core->control, &p->post);
}

/* ---- calls from outside that wait for the control thread ---- */

static void wait_posted(struct core *c, void (*fn)(struct loop *l, struct post *p))
{
    struct mutex mutex;
    struct cond cond;
    bool done = false;
    struct control_post *p = control_post_new(c, fn);

    mutex_init(&mutex);
    cond_init(&cond);
    p->mutex = &mutex;
    p->cond = &cond;
    p->done = &done;
    loop_post(c->control, &p->post);
    mutex_lock(&mutex);
    while (!done)
        cond_wait(&cond, &mutex);
    mutex_unlock(&mutex);
    cond_done(&cond);
    mutex_done(&mutex);
}

static void wake(struct control_post *p)
{
    mutex_lock(p->mutex);
    *p->done = true;
    cond_signal(p->cond);
    mutex_unlock(p->mutex);
    free(p);
}

static void seal_posted(struct loop *l, struct post *post)
{
    struct control_post *p = CONTAINER_OF(post, struct control_post, post);

    (void)l;
    seal_now(p->core);
    wake(p);
}

void core_seal(struct core *c)
{
    wait_posted(c, seal_posted);
}

struct error *core_control_seal(struct core *c, struct arena *a, void *arg)
{
    (void)a;
    (void)arg;
    seal_now(c);
    return NULL;
}

struct error *core_control_step_down(struct core *c, struct arena *a, void *arg)
{
    (void)a;
    (void)arg;
    if (!atomic_load(&c->active) || !c->ha)
        return NULL;
    int64_t begun_ns = clock_mono_ns(clock_real());

    log_warn("core", "stepping down from active operation to standby");
    core_set_state(c, CORE_STANDBY);
    core_deactivate(c);
    metric_time(METRIC_STEP_DOWN, clock_mono_ns(clock_real()) - begun_ns, 1);
    ha_yield(c->ha);
    return NULL;
}

static void reload_posted(struct loop *l, struct post *post)
{
    struct control_post *p = CONTAINER_OF(post, struct control_post, post);
    struct active *a = atomic_load(&p->core->active);

    (void)l;
    if (a) {
        struct audit_set *set = active_audit_set(a);

        audit_reopen(set);
        audit_set_unref(set);
    }
    wake(p);
}

void core_reload(struct core *c)
{
    wait_posted(c, reload_posted);
}

/* ---- start and end ---- */

static void control_main(void *arg)
{
    struct core *c = arg;

    loop_run(c->control);
}

static void probe(struct core *c)
{
    struct arena *a = arena_new(0);
    struct error *e = migration_probe(c, a);

    if (e)
        log_error("core", "failed to read the seal configuration", F_STR("error", error_log_text(a, e)));
    arena_free(a);
}

static void begin_posted(struct loop *l, struct post *post)
{
    struct control_post *p = CONTAINER_OF(post, struct control_post, post);

    (void)l;
    autoseal_keep(p->core->autoseal);
    if (p->core->migration.mode)
        probe(p->core);
    else
        autoseal_begin(p->core->autoseal);
    free(p);
}

struct error *core_begin(struct core *c, struct arena *a)
{
    struct seal_config config;
    bool exists;

    /* what cannot be read is no mistake of the configuration: it may come back */
    if (!seal_config_load(c->config.storage, a, &config, &exists) && exists)
        TRY(migration_find(c, a, &config));
    if (c->migration.mode)
        TRY(core_load_seal_config(c, a, &exists));
    if (c->seal)
        loop_post(c->control, &control_post_new(c, begin_posted)->post);
    return NULL;
}

static void load_state(struct core *c)
{
    struct arena *a = arena_new(0);
    bool exists = false;
    struct error *e = core_load_seal_config(c, a, &exists);

    if (e) {
        log_error("core", "failed to read the seal configuration", F_STR("error", error_log_text(a, e)));
        exists = true;
    }
    if (!exists)
        log_info("core", "security barrier not initialized");
    c->state = exists ? CORE_SEALED : CORE_UNINITIALISED;
    arena_free(a);
}

static unsigned slow_threads(void)
{
    long long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    return (unsigned)MIN(MAX(cpus, 1), SLOW_THREADS_MAX);
}

struct core *core_new(const struct core_config *config)
{
    struct core *c = aligned_alloc(_Alignof(struct core), sizeof(*c));

    if (!c)
        die("out of memory");
    memset(c, 0, sizeof(*c));
    c->config = *config;
    mutex_init(&c->mutex);
    mutex_init(&c->streams_mutex);
    core_cors_init(c);
    cond_init(&c->changed);
    c->cluster_arena = arena_new(0);
    c->zombie_timer.fn = zombie_tick;
    core_compile_engines(c);
    c->seal = c->config.seal;
    load_state(c);
    c->storage_pool = pool_new("storage", STORAGE_THREADS, STORAGE_QUEUE_MAX);
    c->slow_pool = pool_new("slow", slow_threads(), SLOW_QUEUE_MAX);
    c->control = loop_new();
    c->autoseal = autoseal_new(c);
    telemetry_start(c);
    thread_start(&c->control_thread, "control", control_main, c);
    if (c->config.storage->caps.has_lock)
        c->ha = ha_new(c);
    return c;
}

static void reap_posted(struct loop *l, struct post *post)
{
    struct control_post *p = CONTAINER_OF(post, struct control_post, post);

    (void)l;
    for (reap_zombies(p->core); p->core->zombies; reap_zombies(p->core))
        sched_yield();
    wake(p);
}

static void close_posted(struct loop *l, struct post *post)
{
    struct control_post *p = CONTAINER_OF(post, struct control_post, post);

    (void)l;
    autoseal_close(p->core->autoseal);
    wake(p);
}

void core_free(struct core *c)
{
    if (!c)
        return;
    core_seal(c);
    ha_free(c->ha);
    if (c->config.seal_host)
        atomic_store(&c->config.seal_host->cancelled, true);
    wait_posted(c, reap_posted); /* no request asks a key service any more */
    wait_posted(c, close_posted);
    autoseal_end(c->autoseal);
    wait_posted(c, reap_posted); /* its last answers have been taken */
    loop_stop(c->control);
    thread_join(&c->control_thread);
    telemetry_stop(c);
    pool_free(c->storage_pool);
    pool_free(c->slow_pool);
    if (c->config.storage_config) /* perhaps another one than it began with */
        storage_close(c->config.storage);
    loop_free(c->control);
    autoseal_free(c->autoseal);
    seal_close(c->config.seal);
    seal_close(c->config.disabled_seal);
    unseal_progress_free(c->progress);
    for (struct engine_entry *e = c->engines; e->engine; e++)
        route_table_free(e->routes);
    free(c->engines);
    for (unsigned i = 0; i < atomic_load(&c->n_loops); i++)
        arena_free(c->loops[i].scratch);
    arena_free(c->cluster_arena);
    core_cors_done(c);
    cond_done(&c->changed);
    mutex_done(&c->mutex);
    mutex_done(&c->streams_mutex);
    free(c);
}

struct rng *core_rng(const struct core *c)
{
    return c->config.rng;
}
