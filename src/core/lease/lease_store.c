#include "base/log.h"
#include "core/lease/lease_private.h"
#include "core/lease/member.h"

#include <stdlib.h>

static const str id_folder = {"id/", 3};

void lease_decode(struct json *stored, struct lease *ret)
{
    const struct json *auth = member_object(stored, "auth"), *secret = member_object(stored, "secret");
    const struct json *given = secret ? secret : auth;

    *ret = (struct lease){
        .id = member_str(stored, "lease_id"),
        .client_token = member_str(stored, "client_token"),
        .path = member_str(stored, "path"),
        .issue_time_ns = member_time_ns(stored, "issue_time"),
        .expire_time_ns = member_time_ns(stored, "expire_time"),
        .last_renewal_ns = member_time_ns(stored, "last_renewal_time"),
        .ttl_ns = member_int(given, "lease"),
        .max_ttl_ns = member_int(secret, "max_ttl"),
        .renewable = member_bool(given, "renewable"),
        .of_token = auth && !secret,
        .token_type = (int)member_int(stored, "token_type"),
        .revoke_err = member_str(stored, "revokeErr"),
        .stored = stored,
    };
}

void lease_encode(struct arena *a, struct lease *l)
{
    struct json *auth = member_object(l->stored, "auth"), *secret = member_object(l->stored, "secret");
    struct json *given = secret ? secret : auth;

    json_set_str(a, l->stored, STR("lease_id"), l->id);
    json_set_str(a, l->stored, STR("client_token"), l->client_token);
    json_set_str(a, l->stored, STR("path"), l->path);
    json_set_str(a, l->stored, STR("issue_time"), time_format(a, l->issue_time_ns));
    json_set_str(a, l->stored, STR("expire_time"), time_format(a, l->expire_time_ns));
    json_set_str(a, l->stored, STR("last_renewal_time"), time_format(a, l->last_renewal_ns));
    json_set_str(a, l->stored, STR("revokeErr"), l->revoke_err);
    if (given) {
        json_set_int(a, given, STR("lease"), l->ttl_ns);
        json_set_bool(a, given, STR("renewable"), l->renewable);
    }
    if (secret)
        json_set_int(a, secret, STR("max_ttl"), l->max_ttl_ns);
}

struct error *lease_get(struct view *expire, struct arena *a, str lease_id, struct lease **ret)
{
    struct json *stored;

    *ret = NULL;
    TRY(view_get_json(expire, arena_join(a, id_folder, lease_id), &stored));
    if (!stored)
        return NULL;
    *ret = ARENA_NEW(a, struct lease);
    lease_decode(stored, *ret);
    (*ret)->id = lease_id; /* where it lies, whatever it says */
    return NULL;
}

/* What the manager learns when the transaction is published. */
struct note {
    int64_t expire_ns;
    size_t n;
    char id[];
};

static struct note *note_new(str lease_id, int64_t expire_ns)
{
    struct note *note = malloc(sizeof(*note) + lease_id.n);

    if (!note)
        die("out of memory");
    note->expire_ns = expire_ns;
    note->n = lease_id.n;
    if (lease_id.n)
        memcpy(note->id, lease_id.p, lease_id.n);
    return note;
}

static void on_put(struct active *a, void *arg)
{
    struct note *note = arg;

    lease_manager_learn(active_leases(a), (str){note->id, note->n}, note->expire_ns);
    free(note);
}

static void on_delete(struct active *a, void *arg)
{
    struct note *note = arg;

    lease_manager_forget(active_leases(a), (str){note->id, note->n});
    free(note);
}

struct error *lease_put(struct request *rq, struct lease *l)
{
    struct view expire = txn_view(rq->txn, SPACE_EXPIRE);

    lease_encode(rq->arena, l);
    TRY(view_put_json(&expire, arena_join(rq->arena, id_folder, l->id), l->stored));
    txn_on_commit(rq->txn, on_put, free, note_new(l->id, l->expire_time_ns));
    return NULL;
}

struct error *lease_delete(struct request *rq, str lease_id)
{
    struct view expire = txn_view(rq->txn, SPACE_EXPIRE);

    TRY(view_delete(&expire, arena_join(rq->arena, id_folder, lease_id)));
    txn_on_commit(rq->txn, on_delete, free, note_new(lease_id, 0));
    return NULL;
}
