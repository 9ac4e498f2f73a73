#include "core/lease/walk.h"

#include "base/log.h"

#include <stdlib.h>

struct level {
    struct level *up;
    char *names; /* each after its length, a size_t */
    size_t n, at;
    bool cut;
    size_t folder_n;
    char folder[];
};

struct walk {
    struct level *top;
    size_t depth;
    size_t next_at; /* of the top level, when the step is published */
    size_t root_n;
    char root[];
};

static void *must(void *p)
{
    if (!p)
        die("out of memory");
    return p;
}

static void keep(char *to, str s)
{
    if (s.n)
        memcpy(to, s.p, s.n);
}

static void walk_free(struct walk *w)
{
    while (w && w->top)
        walk_pop(w);
    free(w);
}

struct walk *walk_of(struct request *rq, enum walk_kind kind, str root, bool *ret_new)
{
    struct walk *w = rq->walks[kind];

    *ret_new = !w || !str_eq((str){w->root, w->root_n}, root);
    if (!*ret_new)
        return w;
    walk_free(w);
    w = must(malloc(sizeof(*w) + root.n));
    *w = (struct walk){.root_n = root.n};
    keep(w->root, root);
    rq->walks[kind] = w;
    return w;
}

void walk_end(struct request *rq, enum walk_kind kind)
{
    walk_free(rq->walks[kind]);
    rq->walks[kind] = NULL;
}

void walks_free(struct request *rq)
{
    for (int k = 0; k < WALK_KINDS_; k++)
        walk_end(rq, (enum walk_kind)k);
}

size_t walk_depth(const struct walk *w)
{
    return w->depth;
}

static void set_names(struct level *l, const str *names, size_t n)
{
    size_t size = 0;

    l->cut = n > WALK_NAMES_MAX;
    n = MIN(n, WALK_NAMES_MAX);
    for (size_t i = 0; i < n; i++)
        size += sizeof(size_t) + names[i].n;
    free(l->names);
    l->names = must(malloc(size + 1));
    l->n = size;
    l->at = 0;
    for (size_t i = 0, at = 0; i < n; i++) {
        memcpy(l->names + at, &names[i].n, sizeof(size_t));
        keep(l->names + at + sizeof(size_t), names[i]);
        at += sizeof(size_t) + names[i].n;
    }
}

void walk_push(struct walk *w, str folder, const str *names, size_t n)
{
    struct level *l = must(calloc(1, sizeof(*l) + folder.n));

    l->up = w->top;
    l->folder_n = folder.n;
    keep(l->folder, folder);
    set_names(l, names, n);
    w->top = l;
    w->depth++;
}

void walk_pop(struct walk *w)
{
    struct level *l = w->top;

    w->top = l->up;
    w->depth--;
    free(l->names);
    free(l);
}

bool walk_refill(struct walk *w, const str *names, size_t n, bool rest)
{
    size_t at = 0, from = 0;
    str last = {0};

    w->top->at = 0;
    while (rest && walk_next(w, &at, &last))
        ;
    while (rest && from < n && str_cmp(names[from], last) <= 0)
        from++;
    set_names(w->top, names + from, n - from); /* last is in the old ones */
    return from < n;
}

bool walk_is_cut(const struct walk *w)
{
    return w->top->cut;
}

str walk_folder(const struct walk *w)
{
    return (str){w->top->folder, w->top->folder_n};
}

bool walk_is_inside(const struct walk *w, str folder)
{
    for (const struct level *l = w->top; l; l = l->up)
        if (str_eq((str){l->folder, l->folder_n}, folder))
            return true;
    return false;
}

bool walk_next(const struct walk *w, size_t *at, str *ret_name)
{
    const struct level *l = w->top;

    if (l->at + *at >= l->n)
        return false;
    ret_name->p = l->names + l->at + *at + sizeof(size_t);
    memcpy(&ret_name->n, ret_name->p - sizeof(size_t), sizeof(size_t));
    *at += sizeof(size_t) + ret_name->n;
    return true;
}

static void on_published(struct active *a, void *arg)
{
    struct walk *w = arg;

    (void)a;
    w->top->at = w->next_at;
}

void walk_advance(struct request *rq, struct walk *w, size_t at)
{
    w->next_at = w->top->at + at;
    txn_on_commit(rq->txn, on_published, NULL, w);
}
