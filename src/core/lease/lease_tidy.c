/* lease_tidy: ends leases whose token is gone, and removes index entries that point to no lease. */
#include "core/lease/lease_private.h"
#include "core/lease/sweep.h"
#include "core/token/token_private.h"

static struct error *lease_is_wrong(struct request *rq, str path, bool *ret_wrong)
{
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);
    const struct token_entry *te = NULL;
    struct lease *l;

    *ret_wrong = false;
    TRY(lease_get(&v, rq->arena, str_from(path, 3), &l)); /* after "id/" */
    if (!l || l->revoke_err.n > 0 || lease_is_foreign(rq, l))
        return NULL;
    if (l->token_type == TOKEN_BATCH)
        TRY(token_batch_find(rq, l->client_token, &te));
    else
        TRY(token_load(rq, l->client_token, &te));
    *ret_wrong = te == NULL;
    return NULL;
}

static struct error *end_lease(struct request *rq, str path, bool *ret_done)
{
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);
    unsigned left = TOKEN_STEP_ENTRIES;
    struct lease *l;

    TRY(lease_get(&v, rq->arena, str_from(path, 3), &l));
    return l ? lease_revoke_within(rq, l, l->of_token ? LEASE_STRICT : LEASE_LATER, &left, ret_done) : NULL;
}

static struct error *index_is_wrong(struct request *rq, str path, bool *ret_wrong)
{
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);
    bytes id;
    bool has = true;

    TRY(view_get(&v, path, &id));
    if (id.n > 0)
        TRY(view_has(&v, arena_join(rq->arena, STR("id/"), str_from_bytes(id)), &has));
    *ret_wrong = !has;
    return NULL;
}

static struct error *delete_index(struct request *rq, str path, bool *ret_done)
{
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);

    (void)ret_done;
    return view_delete(&v, path);
}

void lease_tidy_start(struct active *a)
{
    static const struct sweep_folder folders[] = {{SPACE_EXPIRE, {"id/", 3}, lease_is_wrong, end_lease},
                                                  {SPACE_EXPIRE, {"token/", 6}, index_is_wrong, delete_index},
                                                  {0}};

    sweep_start(a, "expiration", folders, NULL);
}
