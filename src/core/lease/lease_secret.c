/* lease_secret: leases of secrets: given out, renewed, and ended by their engines. */
#include "base/log.h"
#include "core/lease/lease_private.h"
#include "core/lease/member.h"
#include "core/lease/ttl.h"
#include "core/mount.h"
#include "core/quota/quota.h"
#include "core/token/token_private.h"

enum { LEASE_RANDOM = 24 };

/* sys/expire/token/NAME(token)/NAME(LEASE_ID) */
static str index_path(struct request *rq, str token_id, str lease_id)
{
    char token[TOKEN_HASH_MAX + 1], lease[TOKEN_HASH_MAX + 1];

    token_hash(active_tokens(rq->active), token_id, token);
    token_hash(active_tokens(rq->active), lease_id, lease);
    return arena_fmt(rq->arena, "token/%s/%s", token, lease);
}

/* The token that asked; its parent for a batch token. Empty: a batch token without one. */
static str owner_of(struct request *rq, const struct lease *l)
{
    const struct token_entry *batch =
        l->token_type == TOKEN_BATCH ? token_batch_open(rq, l->client_token) : NULL;

    if (l->token_type == TOKEN_BATCH)
        return batch ? batch->parent : (str){0};
    return l->client_token;
}

/* ---- given out ---- */

static struct error *limit_by_token(struct request *rq, const struct lease *l, int64_t now_ns,
                                    int64_t *ttl_ns)
{
    const struct token_entry *te;

    if (l->token_type != TOKEN_BATCH)
        return NULL;
    te = token_batch_open(rq, l->client_token);
    int64_t left = te ? token_batch_end_ns(te) - now_ns : 0;

    if (left <= 0)
        return fail(rq, ERR_BAD_REQUEST, "failed to renew entry: the batch token of this lease has ended");
    *ttl_ns = MIN(*ttl_ns, left);
    return NULL;
}

static struct json *stored_secret(struct request *rq, const struct secret_lease *s)
{
    struct arena *a = rq->arena;
    struct json *secret = json_object(a), *internal = s->internal_data ? s->internal_data : json_object(a);

    json_set_str(a, internal, STR("secret_type"), str_from_cstr(s->secret_type));
    json_set(a, secret, STR("internal_data"), internal);
    json_set_str(a, secret, STR("LeaseID"), (str){0});
    return secret;
}

static struct json *stored_new(struct request *rq, const struct response *rs, const struct secret_lease *s)
{
    struct arena *a = rq->arena;
    struct json *j = json_object(a);

    json_set_int(a, j, STR("token_type"), rq->token->type);
    json_set(a, j, STR("data"), rs->data ? rs->data : json_null(a));
    json_set(a, j, STR("secret"), stored_secret(rq, s));
    json_set(a, j, STR("auth"), json_null(a));
    json_set_str(a, j, STR("login_role"), (str){0});
    json_set_int(a, j, STR("version"), 1);
    return j;
}

static void answer(struct response *rs, const struct lease *l)
{
    rs->lease_id = l->id;
    rs->renewable = l->renewable;
    rs->lease_duration_s = l->ttl_ns / NS_PER_S;
}

struct error *lease_grant(struct request *rq, struct response *rs)
{
    const struct secret_lease *s = rs->secret_lease;
    int64_t begun_ns = clock_mono_ns(clock_real());
    int64_t now = clock_wall_ns(rq->clock);
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);
    struct ttl_ask ask = {.usual_ns = s->ttl_ns,
                          .max_ns = s->max_ttl_ns,
                          .start_ns = now,
                          .mount_default_ns = mount_default_ttl_ns(rq, rq->mount),
                          .mount_max_ns = mount_max_ttl_ns(rq, rq->mount)};
    char *random = arena_alloc(rq->arena, LEASE_RANDOM);

    if (!rq->token)
        return fail(rq, ERR_INTERNAL, "a secret with a lease needs a token");
    TRY(quota_lease(rq, rq->path));
    rng_base62(rq->rng, random, LEASE_RANDOM);
    struct lease l = {.id = arena_fmt(rq->arena, "%.*s/%.*s", PSTR(rq->path), LEASE_RANDOM, random),
                      .client_token = rq->token->id,
                      .path = rq->path,
                      .issue_time_ns = now,
                      .last_renewal_ns = TIME_ZERO_NS,
                      .max_ttl_ns = s->max_ttl_ns,
                      .renewable = s->renewable,
                      .token_type = rq->token->type,
                      .stored = stored_new(rq, rs, s)};

    TRY(ttl_decide(rq, rs, &ask, &l.ttl_ns));
    TRY(limit_by_token(rq, &l, now, &l.ttl_ns));
    l.expire_time_ns = now + l.ttl_ns;
    str owner = owner_of(rq, &l);

    TRY(lease_put(rq, &l));
    if (owner.n)
        TRY(view_put(&v, index_path(rq, owner, l.id), bytes_from_str(l.id)));
    answer(rs, &l);
    txn_time(rq->txn, METRIC_EXPIRE_REGISTER, begun_ns);
    return NULL;
}

/* ---- back at its engine ---- */

static struct secret_lease secret_of(struct request *rq, const struct lease *l)
{
    const struct json *secret = member_object(l->stored, "secret");
    struct json *internal = member_object(secret, "internal_data");
    str type = member_str(internal, "secret_type");

    return (struct secret_lease){.secret_type = arena_str(rq->arena, type).p,
                                 .ttl_ns = l->ttl_ns,
                                 .max_ttl_ns = l->max_ttl_ns,
                                 .renewable = l->renewable,
                                 .internal_data = internal,
                                 .data = member_object(l->stored, "data"),
                                 .issue_time_ns = l->issue_time_ns};
}

/* The engine sees its own mount's view, whatever the request is about. */
static struct error *ask_engine(struct request *rq, const struct mount *m, bool renews,
                                struct secret_lease *s)
{
    const struct mount *mount = rq->mount;
    struct view *view = rq->view, own = txn_mount_view(rq->txn, m);

    rq->mount = m;
    rq->view = &own;
    struct error *e = renews ? m->engine->secret_renew(rq, s) : m->engine->secret_revoke(rq, s);

    rq->mount = mount;
    rq->view = view;
    return e;
}

static struct error *mount_of(struct request *rq, const struct lease *l, const struct mount **ret)
{
    *ret = mount_find(request_mounts(rq), l->path);
    if (!*ret)
        return fail(rq, ERR_NOT_FOUND, "no handler for route \"%.*s\". route entry not found.",
                    PSTR(l->path));
    if (!(*ret)->engine)
        return fail(rq, ERR_BAD_REQUEST, "the engine \"%.*s\" of this lease is not in this program",
                    PSTR((*ret)->type));
    return NULL;
}

bool lease_is_foreign(const struct request *rq, const struct lease *l)
{
    const struct mount *m = l->of_token ? NULL : mount_find(request_mounts(rq), l->path);

    return m && !m->engine;
}

struct error *lease_renew_secret(struct request *rq, struct response *rs, struct lease *l,
                                 int64_t increment_ns)
{
    int64_t now = clock_wall_ns(rq->clock), begun_ns = clock_mono_ns(clock_real());
    const struct mount *m;

    TRY(mount_of(rq, l, &m));
    if (!m->engine->secret_renew)
        return fail(rq, ERR_BAD_REQUEST, "lease is not renewable");
    struct secret_lease s = secret_of(rq, l);

    s.increment_ns = increment_ns;
    struct error *e = ask_engine(rq, m, true, &s);

    if (e && e->kind != ERR_WOULD_BLOCK)
        return fail(rq, ERR_BAD_REQUEST, "failed to renew entry: %.*s", PSTR(e->text));
    TRY(e);
    struct ttl_ask ask = {.increment_ns = increment_ns,
                          .usual_ns = s.ttl_ns,
                          .max_ns = s.max_ttl_ns,
                          .start_ns = l->issue_time_ns,
                          .mount_default_ns = mount_default_ttl_ns(rq, m),
                          .mount_max_ns = mount_max_ttl_ns(rq, m)};

    TRY(ttl_decide(rq, rs, &ask, &l->ttl_ns));
    TRY(limit_by_token(rq, l, now, &l->ttl_ns));
    l->max_ttl_ns = s.max_ttl_ns;
    l->renewable = s.renewable;
    l->last_renewal_ns = now;
    l->expire_time_ns = now + l->ttl_ns;
    answer(rs, l);
    TRY(lease_put(rq, l));
    txn_time(rq->txn, METRIC_EXPIRE_RENEW, begun_ns);
    return NULL;
}

/* ---- ended ---- */

static struct error *undo(struct request *rq, const struct lease *l)
{
    const struct mount *m;

    TRY(mount_of(rq, l, &m));
    if (!m->engine->secret_revoke)
        return NULL;
    struct secret_lease s = secret_of(rq, l);
    struct error *e = ask_engine(rq, m, false, &s);

    if (e && e->kind == ERR_INTERNAL)
        return fail(rq, ERR_BAD_REQUEST, "failed to revoke entry: %.*s", PSTR(e->text));
    return e;
}

static struct error *delete_secret(struct request *rq, const struct lease *l)
{
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);
    str owner = owner_of(rq, l);

    if (owner.n)
        TRY(view_delete(&v, index_path(rq, owner, l->id)));
    return lease_delete(rq, l->id);
}

struct error *lease_revoke_secret(struct request *rq, const struct lease *l, bool force, unsigned *left,
                                  bool *ret_done)
{
    enum { ENTRIES = LEASE_HOOK_ENTRIES + 2 };

    *ret_done = *left >= ENTRIES;
    if (!*ret_done)
        return NULL;
    *left -= ENTRIES;
    struct error *e = undo(rq, l);

    if (e && (!force || e->kind == ERR_WOULD_BLOCK))
        return e;
    if (e)
        log_warn("expiration", "a lease was ended by force, its engine failed to undo it",
                 F_STR("error", e->text), F_STR("lease_id", l->id));
    return delete_secret(rq, l);
}

struct error *lease_expire_now(struct request *rq, struct lease *l)
{
    l->expire_time_ns = clock_wall_ns(rq->clock);
    return lease_put(rq, l);
}

struct error *lease_expire_of_token(struct request *rq, str token_hash_text, unsigned *left, bool *ret_done)
{
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);
    str folder = arena_fmt(rq->arena, "token/%.*s/", PSTR(token_hash_text)), *names;
    int64_t begun_ns = clock_mono_ns(clock_real());
    size_t n;

    TRY(view_list(&v, folder, &names, &n));
    for (size_t i = 0; i < n; i++) {
        str path = arena_join(rq->arena, folder, names[i]);
        bytes id;
        struct lease *l;

        *ret_done = *left >= 2;
        if (!*ret_done)
            return NULL;
        TRY(view_get(&v, path, &id));
        TRY(lease_get(&v, rq->arena, str_from_bytes(id), &l));
        if (l && !l->of_token && l->revoke_err.n == 0)
            TRY(lease_expire_now(rq, l));
        TRY(view_delete(&v, path));
        *left -= 2;
    }
    *ret_done = true;
    txn_time(rq->txn, METRIC_EXPIRE_REVOKE_BY_TOKEN, begun_ns);
    return NULL;
}
