#include "core/lease/sweep.h"

#include "base/log.h"
#include "core/active_private.h"
#include "core/lease/scan.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { FIXES_IN_FLIGHT_MAX = 1024, SWEEP_MOUNTS_S = 60 * 60 };

struct sweep { /* one run; ends when the scans and all fixes have ended */
    struct active *active;
    const char *log;
    const struct sweep_folder *folder;
    struct space *mount; /* NULL: folders say their space */
    _Atomic(uint32_t) refs;
    _Atomic(uint32_t) in_flight;
    _Atomic(uint64_t) removed, left;
};

struct fix {
    struct sweep *sweep;
    const struct sweep_folder *folder;
    struct space *space;
    size_t n;
    char path[];
};

static void sweep_unref(struct sweep *s)
{
    if (atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    log_info(s->log, "finished tidying", F_INT("removed", s->removed), F_INT("left", s->left));
    free(s);
}

static struct error *fix_entry(struct request *rq, struct response *rs)
{
    const struct fix *f = rq->internal_arg;
    struct view v = {rq->txn, f->space};
    bool wrong, done = true;

    rq->view = &v;
    TRY(f->folder->judge(rq, (str){f->path, f->n}, &wrong));
    if (wrong)
        TRY(f->folder->fix(rq, (str){f->path, f->n}, &done));
    return done ? NULL : response_again(rs);
}

static void fixed(const struct error *e, void *arg)
{
    struct fix *f = arg;
    struct sweep *s = f->sweep;

    if (e)
        log_warn(s->log, "cannot remove what is left over", F_STR("error", e->text));
    atomic_fetch_add(e ? &s->left : &s->removed, 1);
    atomic_fetch_sub(&s->in_flight, 1);
    free(f);
    sweep_unref(s);
}

static struct space *space_of(const struct sweep *s)
{
    return s->mount ? s->mount : active_space(s->active, s->folder->space);
}

static struct error *visit(struct request *rq, str path, void *arg)
{
    struct sweep *s = arg;
    struct view v = {rq->txn, space_of(s)};
    bool wrong;

    rq->view = &v;
    TRY(s->folder->judge(rq, path, &wrong));
    if (!wrong)
        return NULL;
    if (atomic_load(&s->in_flight) >= FIXES_IN_FLIGHT_MAX) { /* the next run takes them */
        atomic_fetch_add(&s->left, 1);
        return NULL;
    }
    struct fix *f = malloc(sizeof(*f) + path.n);

    if (!f)
        die("out of memory");
    f->sweep = s;
    f->folder = s->folder;
    f->space = space_of(s);
    f->n = path.n;
    memcpy(f->path, path.p, path.n);
    atomic_fetch_add(&s->in_flight, 1);
    atomic_fetch_add(&s->refs, 1);
    if (!internal_submit(s->active, fix_entry, f, fixed))
        fixed(&(struct error){.kind = ERR_SEALED, .text = STR("sealed")}, f);
    return NULL;
}

static void scanned(bool complete, void *arg)
{
    struct sweep *s = arg;

    s->folder++;
    if (complete && s->folder->folder.n)
        scan_start(s->active, space_of(s), s->folder->folder, visit, scanned, s);
    else
        sweep_unref(s);
}

void sweep_start(struct active *a, const char *log, const struct sweep_folder *folders, struct space *mount)
{
    struct sweep *s = calloc(1, sizeof(*s));

    if (!s)
        die("out of memory");
    s->active = a;
    s->log = log;
    s->folder = folders;
    s->mount = mount;
    s->refs = 1;
    scan_start(a, space_of(s), folders->folder, visit, scanned, s);
}

/* ---- mounts ---- */

struct asked {
    struct space *space;
    const char *log;
    const struct sweep_folder *folders;
};

static void start_asked(struct active *a, void *arg)
{
    struct asked *asked = arg;

    sweep_start(a, asked->log, asked->folders, asked->space);
    free(asked);
}

void request_sweep(struct request *rq, const struct sweep_folder *folders)
{
    struct asked *asked = malloc(sizeof(*asked));

    if (!asked)
        die("out of memory");
    *asked = (struct asked){rq->mount->space, rq->mount->engine->type, folders};
    txn_on_commit(rq->txn, start_asked, free, asked);
}

static void tick(struct loop *l, struct loop_timer *t)
{
    struct active *a = CONTAINER_OF(t, struct active, sweep_timer);
    struct snapshot *s = snapshot_hold(a);

    (void)l;
    for (size_t i = 0; i < s->mounts->table.n; i++) {
        const struct mount *m = &s->mounts->table.mounts[i];

        if (m->engine && m->engine->sweep && !m->tainted)
            sweep_start(a, m->engine->type, m->engine->sweep, m->space);
    }
    snapshot_drop(s);
    sweep_mounts_start(a);
}

void sweep_mounts_start(struct active *a)
{
    a->sweep_timer.fn = tick;
    control_timer_set(a, &a->sweep_timer, SWEEP_MOUNTS_S * NS_PER_S);
}

void sweep_mounts_stop(struct active *a)
{
    if (a->sweep_timer.fn)
        control_timer_clear(a, &a->sweep_timer);
}
