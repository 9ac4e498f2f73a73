/* lockout_prune: stored locks whose time is over, or whose mount is gone, are removed in the background,
 * now and then: names that nobody has would stay for ever else. */
#include "base/log.h"
#include "core/active_private.h"
#include "core/lease/scan.h"
#include "core/login/lockout_private.h"
#include "core/mount.h"

#include <stdlib.h>

enum { PRUNE_S = 15 * 60 };

struct stale {
    size_t n;
    char path[];
};

static const struct mount *mount_of(const struct request *rq, str accessor)
{
    const struct mount_table *t = request_mounts(rq);

    for (size_t i = 0; i < t->n; i++)
        if (str_eq(t->mounts[i].accessor, accessor))
            return &t->mounts[i];
    return NULL;
}

/* path: login/lockedUsers/root/ACCESSOR/NAME */
static struct error *is_stale(struct request *rq, str path, bool *ret)
{
    str rest = str_from(path, STR(LOCKED_FOLDER).n);
    const struct mount *m = mount_of(rq, str_slice(rest, 0, str_index(rest, '/')));
    int64_t since_s = 0;
    bool found;

    TRY(lockout_stored_get(rq, path, &found, &since_s));
    *ret = found && (!m || clock_wall_ns(rq->clock) / NS_PER_S - since_s >=
                               lockout_rule_of(rq, m).duration_ns / NS_PER_S);
    return NULL;
}

static struct error *remove_stale(struct request *rq, struct response *rs)
{
    const struct stale *s = rq->internal_arg;
    struct view core = txn_view(rq->txn, SPACE_CORE);
    str path = {s->path, s->n};
    bool stale;

    (void)rs;
    TRY(is_stale(rq, path, &stale));
    return stale ? view_delete(&core, path) : NULL;
}

static void removed(const struct error *e, void *arg)
{
    if (e)
        log_warn("core", "a lock whose time is over could not be removed", F_STR("error", e->text));
    free(arg);
}

static struct error *visit(struct request *rq, str path, void *arg)
{
    bool stale;

    (void)arg;
    TRY(is_stale(rq, path, &stale));
    if (!stale)
        return NULL;
    struct stale *s = malloc(sizeof(*s) + path.n);

    if (!s)
        die("out of memory");
    s->n = path.n;
    memcpy(s->path, path.p, path.n);
    if (!internal_submit(rq->active, remove_stale, s, removed))
        free(s); /* the next round finds it again */
    return NULL;
}

static void visited(bool complete, void *arg)
{
    (void)complete; /* what is left is for the next round */
    (void)arg;
}

static void tick(struct loop *loop, struct loop_timer *t)
{
    struct lockout *l = CONTAINER_OF(t, struct lockout, timer);

    (void)loop;
    lockout_start(l->active);
}

void lockout_start(struct active *a)
{
    struct lockout *l = active_lockout(a);

    l->active = a;
    l->timer.fn = tick;
    scan_start(a, active_space(a, SPACE_CORE), STR(LOCKED_FOLDER), visit, visited, NULL);
    control_timer_set(a, &l->timer, PRUNE_S * NS_PER_S);
}

void lockout_stop(struct lockout *l)
{
    if (l->active)
        control_timer_clear(l->active, &l->timer);
}
