/* ha: contending for the HA lock. One thread waits for it while the node is unsealed; the control thread
 * promotes and demotes. */
#include "base/log.h"
#include "base/metrics.h"
#include "core/active_private.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { LOCK_WAIT_NS = 200000000, RETRY_NS = 1000000000 };
enum { YIELD_S = 10 /* after a step-down */ };

struct ha {
    struct core *core;
    struct thread thread;
    struct mutex mutex;
    struct cond changed;
    bool contend; /* lock: mutex */
    bool quit;    /* lock: mutex */
    /* lock: mutex; a lock was won: the control thread will look at it, or the active object has it */
    bool busy;
    bool won;  /* lock: mutex; the control thread has yet to look at it */
    bool lost; /* lock: mutex; the lock won last is gone, perhaps before the control thread heard of it */
    int64_t pause_ns; /* lock: mutex; the last promotion failed, or it stepped down: not at once again */
    char value[UUID_TEXT_BYTES];
};

struct ha_post {
    struct post post;
    struct ha *ha;
    struct storage_lock *lock;
};

static void post_new(struct ha *ha, struct storage_lock *lock, void (*fn)(struct loop *l, struct post *p))
{
    struct ha_post *p = calloc(1, sizeof(*p));

    if (!p)
        die("out of memory");
    *p = (struct ha_post){.post.fn = fn, .ha = ha, .lock = lock};
    loop_post(ha->core->control, &p->post);
}

static void set_busy(struct ha *ha, bool busy, int64_t pause_ns)
{
    mutex_lock(&ha->mutex);
    ha->busy = busy;
    ha->won = false;
    ha->pause_ns = pause_ns;
    cond_broadcast(&ha->changed);
    mutex_unlock(&ha->mutex);
}

static bool was_lost(struct ha *ha)
{
    mutex_lock(&ha->mutex);
    bool lost = ha->lost;

    mutex_unlock(&ha->mutex);
    return lost;
}

static void lost_posted(struct loop *l, struct post *post)
{
    struct ha_post *p = CONTAINER_OF(post, struct ha_post, post);
    struct core *c = p->ha->core;
    struct active *a = atomic_load(&c->active);

    (void)l;
    if (a) {
        log_warn("core", "leadership lost, stopping active operation");
        metric_time(METRIC_LEADERSHIP_LOST, clock_wall_ns(c->config.clock) - c->active_since_ns, 1);
        core_set_state(c, CORE_STANDBY);
        core_deactivate(c);
        set_busy(p->ha, false, 0);
    }
    free(p);
}

static void lost(void *arg)
{
    struct ha *ha = arg;

    mutex_lock(&ha->mutex);
    ha->lost = true;
    mutex_unlock(&ha->mutex);
    post_new(ha, NULL, lost_posted);
}

static void won_posted(struct loop *l, struct post *post)
{
    struct ha_post *p = CONTAINER_OF(post, struct ha_post, post);
    struct core *c = p->ha->core;
    struct arena *err = arena_new(0);

    (void)l;
    if (core_state(c) != CORE_STANDBY || was_lost(p->ha)) {
        c->config.storage->ops->lock_release(p->lock);
        set_busy(p->ha, false, 0);
    } else {
        log_info("core", "acquired lock, enabling active operation");
        struct error *e = core_refresh_keyring(c, err);

        if (e) {
            log_error("core", "error performing key upgrades", F_STR("error", error_log_text(err, e)));
            c->config.storage->ops->lock_release(p->lock);
        } else {
            e = core_activate(c, err, p->lock); /* logs its error; the lock goes with it, others may try */
            if (!e && (e = migration_run(c, err))) {
                core_set_state(c, CORE_STANDBY);
                core_deactivate(c);
            }
        }
        set_busy(p->ha, !e, e ? RETRY_NS : 0);
    }
    arena_free(err);
    free(p);
}

static void ha_main(void *arg)
{
    struct ha *ha = arg;
    struct core *c = ha->core;

    mutex_lock(&ha->mutex);
    while (!ha->quit) {
        if (!ha->contend || ha->busy) {
            cond_wait(&ha->changed, &ha->mutex);
            continue;
        }
        if (ha->pause_ns) {
            int64_t pause_ns = ha->pause_ns;

            ha->pause_ns = 0;
            (void)cond_wait_ns(&ha->changed, &ha->mutex, pause_ns); /* woken early by stop: looked at again */
            continue;
        }
        ha->lost = false;
        mutex_unlock(&ha->mutex);
        struct arena *a = arena_new(0);
        struct storage_lock *lock = NULL;
        struct error *e = c->config.storage->ops->lock_acquire(c->config.storage, a, STR("core/lock"),
                                                               (str){ha->value, sizeof(ha->value)},
                                                               LOCK_WAIT_NS, lost, ha, &lock);

        if (e)
            log_error("core", "failed to acquire lock", F_STR("error", error_log_text(a, e)));
        bool failed = e != NULL;

        arena_free(a);
        mutex_lock(&ha->mutex);
        ha->pause_ns = failed ? RETRY_NS : 0;
        if (lock) {
            ha->busy = ha->won = true;
            post_new(ha, lock, won_posted);
        }
    }
    mutex_unlock(&ha->mutex);
}

struct ha *ha_new(struct core *c)
{
    struct ha *ha = calloc(1, sizeof(*ha));

    if (!ha)
        die("out of memory");
    ha->core = c;
    mutex_init(&ha->mutex);
    cond_init(&ha->changed);
    rng_uuid(c->config.rng, ha->value);
    thread_start(&ha->thread, "ha", ha_main, ha);
    return ha;
}

void ha_start(struct ha *ha)
{
    log_info("core", "entering standby mode");
    mutex_lock(&ha->mutex);
    ha->contend = true;
    if (!atomic_load(&ha->core->active) && !ha->won)
        ha->busy = false;
    cond_broadcast(&ha->changed);
    mutex_unlock(&ha->mutex);
}

void ha_stop(struct ha *ha)
{
    mutex_lock(&ha->mutex);
    ha->contend = false;
    cond_broadcast(&ha->changed);
    mutex_unlock(&ha->mutex);
}

void ha_yield(struct ha *ha)
{
    set_busy(ha, false, YIELD_S * NS_PER_S);
}

void ha_free(struct ha *ha)
{
    if (!ha)
        return;
    mutex_lock(&ha->mutex);
    ha->quit = true;
    cond_broadcast(&ha->changed);
    mutex_unlock(&ha->mutex);
    thread_join(&ha->thread);
    cond_done(&ha->changed);
    mutex_done(&ha->mutex);
    free(ha);
}
