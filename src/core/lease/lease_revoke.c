/* lease_revoke: ending one lease, and all below a prefix, in steps. */
#include "core/lease/lease_private.h"
#include "core/lease/walk.h"
#include "core/token/token.h"

static const str id_folder = {"id/", 3};
enum { STEP_LISTS = 64 };

static struct error *revoke_within(struct request *rq, const struct lease *l, enum lease_how how,
                                   unsigned *left, bool *ret_done)
{
    struct lease later = *l;

    *ret_done = *left > 0;
    if (!*ret_done)
        return NULL;
    if (how == LEASE_LATER) {
        *left -= 1;
        return lease_expire_now(rq, &later);
    }
    if (!l->of_token)
        return lease_revoke_secret(rq, l, how == LEASE_FORCE, left, ret_done);
    TRY(token_revoke_within(rq, l->client_token, left, ret_done));
    if (!*ret_done)
        return NULL;
    *left -= MIN(*left, 1);
    return lease_delete(rq, l->id); /* also when the token was gone before */
}

struct error *lease_revoke_within(struct request *rq, const struct lease *l, enum lease_how how,
                                  unsigned *left, bool *ret_done)
{
    int64_t begun_ns = clock_mono_ns(clock_real());

    TRY(revoke_within(rq, l, how, left, ret_done));
    if (*ret_done)
        txn_time(rq->txn, how == LEASE_LATER ? METRIC_EXPIRE_LAZY_REVOKE : METRIC_EXPIRE_REVOKE_COMMON,
                 begun_ns);
    return NULL;
}

struct step {
    struct request *rq;
    struct walk *walk;
    struct view expire;
    enum lease_how how;
    unsigned left, lists;
    size_t at;
    bool wrote, full;
};

static struct error *list(struct step *s, str folder, str **ret_names, size_t *ret_n)
{
    s->lists++;
    return view_list(&s->expire, arena_join(s->rq->arena, id_folder, folder), ret_names, ret_n);
}

static struct error *revoke_named(struct step *s, str id, bool *ret_done)
{
    struct lease *l;

    *ret_done = true;
    TRY(lease_get(&s->expire, s->rq->arena, id, &l));
    if (!l ||
        (s->how == LEASE_LATER && (lease_is_due(l, clock_wall_ns(s->rq->clock)) || l->revoke_err.n > 0)))
        return NULL;
    return lease_revoke_within(s->rq, l, s->how, &s->left, ret_done);
}

/* The next name of the top level. */
static struct error *visit(struct step *s, str name, size_t next_at)
{
    str path = arena_join(s->rq->arena, walk_folder(s->walk), name), *names;
    unsigned before = s->left;
    bool done;
    size_t n;

    if (!str_ends(name, STR("/"))) {
        TRY(revoke_named(s, path, &done));
        s->full = !done;
        s->wrote = s->wrote || s->left < before;
    } else {
        TRY(list(s, path, &names, &n));
        s->full = n > 0 && s->wrote; /* into the folder with the next step */
        if (n > 0 && !s->wrote) {
            walk_push(s->walk, path, names, n);
            s->at = 0;
            return NULL;
        }
    }
    if (!s->full)
        s->at = next_at;
    return NULL;
}

/* The names of the top level are used up. Leases that end later are still there: only those not yet seen
 * count. */
static struct error *look_again(struct step *s, bool *ret_done)
{
    bool later = s->how == LEASE_LATER;
    str *names, name;
    size_t n = 0;

    s->at = 0;
    if (!later || walk_is_cut(s->walk))
        TRY(list(s, walk_folder(s->walk), &names, &n));
    if (n > 0 && walk_refill(s->walk, names, n, later))
        return NULL;
    *ret_done = walk_depth(s->walk) == 1;
    if (*ret_done)
        return NULL;
    walk_pop(s->walk);
    if (walk_next(s->walk, &s->at, &name)) /* the folder itself */
        walk_advance(s->rq, s->walk, s->at);
    s->full = true;
    return NULL;
}

struct error *lease_revoke_prefix(struct request *rq, str prefix, enum lease_how how, bool *ret_done)
{
    int64_t begun_ns = clock_mono_ns(clock_real());
    bool is_new;
    struct step s = {.rq = rq,
                     .walk = walk_of(rq, WALK_LEASES, prefix, &is_new),
                     .expire = txn_view(rq->txn, SPACE_EXPIRE),
                     .how = how,
                     .left = TOKEN_STEP_ENTRIES};
    str *names, name;
    size_t n;

    *ret_done = false;
    if (is_new || walk_depth(s.walk) == 0) {
        TRY(list(&s, prefix, &names, &n));
        walk_push(s.walk, prefix, names, n);
    }
    while (!s.full && s.left > 0 && s.lists < STEP_LISTS && !*ret_done) {
        size_t next_at = s.at;

        if (walk_next(s.walk, &next_at, &name))
            TRY(visit(&s, name, next_at));
        else if (s.wrote)
            break;
        else
            TRY(look_again(&s, ret_done));
    }
    if (s.wrote)
        walk_advance(rq, s.walk, s.at);
    if (*ret_done) {
        walk_end(rq, WALK_LEASES);
        txn_time(rq->txn, how == LEASE_FORCE ? METRIC_EXPIRE_REVOKE_FORCE : METRIC_EXPIRE_REVOKE_PREFIX,
                 begun_ns);
    }
    return NULL;
}

struct error *lease_revoke_prefix_step(struct request *rq, str prefix, bool *ret_done)
{
    return lease_revoke_prefix(rq, prefix, LEASE_STRICT, ret_done);
}
