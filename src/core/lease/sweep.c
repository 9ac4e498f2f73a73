#include "core/lease/sweep.h"

#include "base/log.h"
#include "core/internal.h"
#include "core/lease/scan.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { FIXES_IN_FLIGHT_MAX = 1024 };

struct sweep { /* one run; ends when the scans and all fixes have ended */
    struct active *active;
    const char *log;
    const struct sweep_folder *folder;
    _Atomic(uint32_t) refs;
    _Atomic(uint32_t) in_flight;
    _Atomic(uint64_t) removed, left;
};

struct fix {
    struct sweep *sweep;
    const struct sweep_folder *folder;
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
    bool wrong, done = true;

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

static struct error *visit(struct request *rq, str path, void *arg)
{
    struct sweep *s = arg;
    bool wrong;

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
        scan_start(s->active, s->folder->space, s->folder->folder, visit, scanned, s);
    else
        sweep_unref(s);
}

void sweep_start(struct active *a, const char *log, const struct sweep_folder *folders)
{
    struct sweep *s = calloc(1, sizeof(*s));

    if (!s)
        die("out of memory");
    s->active = a;
    s->log = log;
    s->folder = folders;
    s->refs = 1;
    scan_start(a, folders->space, folders->folder, visit, scanned, s);
}
