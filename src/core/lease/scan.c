#include "core/lease/scan.h"

#include "base/log.h"
#include "core/internal.h"

#include <stdlib.h>

struct names { /* each ends in a NUL */
    char *p;
    size_t n, cap;
};

struct scan {
    struct active *active;
    struct space *space;
    scan_visit_fn *visit;
    void (*done)(bool complete, void *arg);
    void *arg;
    struct names folders; /* to be listed; the last one next */
    char *folder;         /* the one whose leaves are being visited, NULL: none */
    struct names leaves;
    size_t at;      /* in leaves */
    size_t next_at; /* after the step under way */
    bool listed;    /* the step under way was a listing */
    struct names found_folders, found_leaves;
};

static void names_add(struct names *v, str a, str b)
{
    size_t n = a.n + b.n + 1;

    if (v->n + n > v->cap) {
        v->cap = MAX(v->cap * 2, v->n + n + 256);
        v->p = realloc(v->p, v->cap);
        if (!v->p)
            die("out of memory");
    }
    if (a.n)
        memcpy(v->p + v->n, a.p, a.n);
    if (b.n)
        memcpy(v->p + v->n + a.n, b.p, b.n);
    v->n += n;
    v->p[v->n - 1] = 0;
}

static void names_done(struct names *v)
{
    free(v->p);
    *v = (struct names){0};
}

/* The last name, without its NUL. */
static str names_last(const struct names *v)
{
    size_t from = v->n - 1;

    while (from > 0 && v->p[from - 1])
        from--;
    return (str){v->p + from, v->n - 1 - from};
}

static struct error *list_folder(struct request *rq, struct scan *s)
{
    struct view v = {rq->txn, s->space};
    str folder = names_last(&s->folders);
    str *names;
    size_t n;

    TRY(view_list(&v, folder, &names, &n));
    names_done(&s->found_folders);
    names_done(&s->found_leaves);
    for (size_t i = 0; i < n; i++) {
        if (memchr(names[i].p, 0, names[i].n))
            continue;
        if (str_ends(names[i], STR("/")))
            names_add(&s->found_folders, folder, names[i]);
        else
            names_add(&s->found_leaves, names[i], (str){0});
    }
    s->listed = true;
    return NULL;
}

static struct error *visit_leaves(struct request *rq, struct scan *s)
{
    size_t at = s->at;

    for (unsigned i = 0; i < SCAN_STEP_ENTRIES && at < s->leaves.n; i++) {
        str name = str_from_cstr(s->leaves.p + at);

        TRY(s->visit(rq, arena_join(rq->arena, str_from_cstr(s->folder), name), s->arg));
        at += name.n + 1;
    }
    s->next_at = at;
    s->listed = false;
    return NULL;
}

static struct error *scan_step(struct request *rq, struct response *rs)
{
    struct scan *s = rq->internal_arg;

    (void)rs;
    return s->at < s->leaves.n ? visit_leaves(rq, s) : list_folder(rq, s);
}

static void scan_end(struct scan *s, bool complete)
{
    s->done(complete, s->arg);
    names_done(&s->folders);
    names_done(&s->leaves);
    names_done(&s->found_folders);
    names_done(&s->found_leaves);
    free(s->folder);
    free(s);
}

/* What the step found is taken over; false: nothing is left. */
static bool take_step(struct scan *s)
{
    if (!s->listed) {
        s->at = s->next_at;
        return s->at < s->leaves.n || s->folders.n > 0;
    }
    str folder = names_last(&s->folders);

    free(s->folder);
    s->folder = strndup(folder.p, folder.n);
    if (!s->folder)
        die("out of memory");
    s->folders.n -= folder.n + 1;
    for (size_t i = 0; i < s->found_folders.n;) {
        str name = str_from_cstr(s->found_folders.p + i);

        names_add(&s->folders, name, (str){0});
        i += name.n + 1;
    }
    names_done(&s->leaves);
    s->leaves = s->found_leaves;
    s->found_leaves = (struct names){0};
    s->at = 0;
    return s->leaves.n > 0 || s->folders.n > 0;
}

static void scan_stepped(const struct error *e, void *arg)
{
    struct scan *s = arg;

    if (e) {
        if (e->kind != ERR_SEALED)
            log_warn("core", "reading the stored entries failed", F_STR("error", e->text));
        scan_end(s, false);
    } else if (!take_step(s)) {
        scan_end(s, true);
    } else if (!internal_read(s->active, scan_step, s, scan_stepped)) {
        scan_end(s, false);
    }
}

void scan_start(struct active *a, struct space *space, str folder, scan_visit_fn *visit,
                void (*done)(bool complete, void *arg), void *arg)
{
    struct scan *s = calloc(1, sizeof(*s));

    if (!s)
        die("out of memory");
    s->active = a;
    s->space = space;
    s->visit = visit;
    s->done = done;
    s->arg = arg;
    names_add(&s->folders, folder, (str){0});
    if (!internal_read(a, scan_step, s, scan_stepped))
        scan_end(s, false);
}
