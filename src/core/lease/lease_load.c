#include "base/log.h"
#include "core/active_private.h"
#include "core/lease/lease_private.h"
#include "core/lease/scan.h"

static struct error *visit(struct request *rq, str path, void *arg)
{
    struct lease_manager *m = arg;
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);
    str id = str_from(path, 3); /* after "id/" */
    struct lease *l;

    if (lease_manager_is_stopped(m))
        return fail(rq, ERR_SEALED, "the expiration manager is stopped");
    struct error *e = lease_get(&v, rq->arena, id, &l);

    if (e && e->kind == ERR_INTERNAL) { /* a damaged lease must not keep all others from ending */
        log_error("expiration", "a stored lease cannot be read", F_STR("error", e->text));
        return NULL;
    }
    TRY(e);
    if (!l)
        return NULL;
    enum lease_state state = lease_is_foreign(rq, l) ? LEASE_FOREIGN
                             : l->revoke_err.n       ? LEASE_IRREVOCABLE
                                                     : LEASE_LIVE;

    lease_index_load(m->index, id, l->expire_time_ns, state);
    return NULL;
}

static void done(bool complete, void *arg)
{
    lease_manager_loaded(arg, complete);
}

void lease_load_start(struct lease_manager *m)
{
    scan_start(m->active, active_space(m->active, SPACE_EXPIRE), STR("id/"), visit, done, m);
}
