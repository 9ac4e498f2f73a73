#include "base/log.h"
#include "core/internal.h"
#include "core/lease/scan.h"
#include "core/token/token_private.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { FIXES_IN_FLIGHT_MAX = 1024 };

struct tidy { /* one run; ends when the scans and all fixes have ended */
    struct active *active;
    _Atomic(uint32_t) refs;
    _Atomic(uint32_t) in_flight;
    _Atomic(uint64_t) removed, left;
};

struct fix {
    struct tidy *tidy;
    size_t n;
    char path[]; /* below sys/token/ */
};

static void tidy_unref(struct tidy *t)
{
    if (atomic_fetch_sub(&t->refs, 1) > 1)
        return;
    log_info("token", "finished tidying the tokens", F_INT("removed", t->removed), F_INT("left", t->left));
    free(t);
}

/* What is wrong with an accessor entry or a parent entry: nothing, its token is gone, or its token is dead.
 */
enum verdict { SOUND, DANGLING, DEAD };

static struct error *judge(struct request *rq, str path, enum verdict *ret, const struct token_entry **ret_te)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    const struct token_entry *live = NULL;
    str token_id = {0};

    *ret_te = NULL;
    *ret = SOUND;
    if (str_starts(path, STR("accessor/"))) {
        struct json *j;

        TRY(view_get_json(&v, path, &j));
        const struct json *id = json_get_nocase(j, STR("token_id"));

        if (!id || id->type != JSON_STRING)
            return NULL;
        token_id = id->text;
        TRY(token_load(rq, token_id, ret_te));
    } else {
        TRY(token_load_hash(rq, str_from(path, str_rindex(path, '/') + 1), ret_te));
    }
    if (!*ret_te) {
        *ret = DANGLING;
    } else {
        TRY(token_load_live(rq, (*ret_te)->id, &live));
        if (!live && (*ret_te)->type == TOKEN_SERVICE)
            *ret = DEAD;
    }
    return NULL;
}

static struct error *fix_entry(struct request *rq, struct response *rs)
{
    struct fix *f = rq->internal_arg;
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    const struct token_entry *te;
    enum verdict verdict;
    bool done = true;

    TRY(judge(rq, (str){f->path, f->n}, &verdict, &te));
    if (verdict == DANGLING)
        return view_delete(&v, (str){f->path, f->n});
    if (verdict == DEAD)
        TRY(token_revoke_step(rq, te->id, &done));
    return done ? NULL : response_again(rs);
}

static void fixed(const struct error *e, void *arg)
{
    struct fix *f = arg;
    struct tidy *t = f->tidy;

    if (e)
        log_warn("token", "cannot remove what is left of a token", F_STR("error", e->text));
    atomic_fetch_add(e ? &t->left : &t->removed, 1);
    atomic_fetch_sub(&t->in_flight, 1);
    free(f);
    tidy_unref(t);
}

static struct error *visit(struct request *rq, str path, void *arg)
{
    struct tidy *t = arg;
    const struct token_entry *te;
    enum verdict verdict;

    TRY(judge(rq, path, &verdict, &te));
    if (verdict == SOUND)
        return NULL;
    if (atomic_load(&t->in_flight) >= FIXES_IN_FLIGHT_MAX) { /* the next run takes them */
        atomic_fetch_add(&t->left, 1);
        return NULL;
    }
    struct fix *f = malloc(sizeof(*f) + path.n);

    if (!f)
        die("out of memory");
    f->tidy = t;
    f->n = path.n;
    memcpy(f->path, path.p, path.n);
    atomic_fetch_add(&t->in_flight, 1);
    atomic_fetch_add(&t->refs, 1);
    if (!internal_submit(t->active, fix_entry, f, fixed))
        fixed(&(struct error){.kind = ERR_SEALED, .text = STR("sealed")}, f);
    return NULL;
}

static void parents_scanned(bool complete, void *arg)
{
    (void)complete; /* logged by the scan */
    tidy_unref(arg);
}

static void accessors_scanned(bool complete, void *arg)
{
    struct tidy *t = arg;

    if (complete)
        scan_start(t->active, SPACE_TOKEN, STR("parent/"), visit, parents_scanned, t);
    else
        tidy_unref(t);
}

void token_tidy_start(struct active *a)
{
    struct tidy *t = calloc(1, sizeof(*t));

    if (!t)
        die("out of memory");
    t->active = a;
    t->refs = 1;
    scan_start(a, SPACE_TOKEN, STR("accessor/"), visit, accessors_scanned, t);
}
