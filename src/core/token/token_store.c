#include "base/ip_range.h"
#include "base/log.h"
#include "core/internal.h"
#include "core/login/login_private.h"
#include "core/quota/quota.h"
#include "core/token/token_form.h"
#include "core/token/token_private.h"

#include <stdlib.h>

enum { ID_RANDOM = 24, ACCESSOR_BYTES = 24, CUBBYHOLE_ID_BYTES = 24 };

static struct token_state *state_of(const struct request *rq)
{
    return active_tokens(rq->active);
}

bool token_is_endless_root(const struct token_entry *te)
{
    return te->n_policies == 1 && str_eq(te->policies[0], STR("root")) && te->ttl_ns == 0;
}

bool token_inner_id(struct request *rq, str token_string, str *ret_inner_id)
{
    *ret_inner_id = token_string;
    if (token_form_is_batch(token_string))
        return false;
    return !token_form_is_signed(token_string) ||
           token_form_open(rq->arena, state_of(rq)->sign_key, token_string, ret_inner_id);
}

/* ---- look-up ---- */

struct error *token_load_hash(struct request *rq, str hash, const struct token_entry **ret)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    struct object *o;

    *ret = NULL;
    TRY(view_get_object(&v, arena_join(rq->arena, STR("id/"), hash), token_entry_parse, &o));
    if (o)
        *ret = CONTAINER_OF(o, struct token_entry, object);
    return NULL;
}

struct error *token_load(struct request *rq, str inner_id, const struct token_entry **ret)
{
    char hash[TOKEN_HASH_MAX + 1];

    token_hash(state_of(rq), inner_id, hash);
    return token_load_hash(rq, str_from_cstr(hash), ret);
}

str token_lease_id(struct arena *a, const struct token_entry *te)
{
    return arena_fmt(a, "%.*s/%s", PSTR(te->path), te->hash);
}

struct error *token_lease(struct request *rq, const struct token_entry *te, struct lease **ret)
{
    struct view v = txn_view(rq->txn, SPACE_EXPIRE);

    if (te->type != TOKEN_BATCH)
        return lease_get(&v, rq->arena, token_lease_id(rq->arena, te), ret);
    *ret = ARENA_NEW(rq->arena, struct lease);
    **ret = (struct lease){.issue_time_ns = token_batch_end_ns(te) - te->ttl_ns,
                           .expire_time_ns = token_batch_end_ns(te),
                           .last_renewal_ns = TIME_ZERO_NS,
                           .ttl_ns = te->ttl_ns};
    return NULL;
}

/* What the manager does not know as live is asked of storage: it may be loading, or the lease is in a group
 * in flight. */
static struct error *is_live(struct request *rq, const struct token_entry *te, bool *ret_live)
{
    int64_t now = clock_wall_ns(rq->clock);
    struct lease *l;

    *ret_live = false;
    if (te->num_uses < 0 || te->type != TOKEN_SERVICE ||
        (te->namespace_id.n && !str_eq(te->namespace_id, STR("root"))))
        return NULL;
    if (token_is_endless_root(te) ||
        lease_manager_is_live(active_leases(rq->active), te->path, str_from_cstr(te->hash), now)) {
        *ret_live = true;
        return NULL;
    }
    TRY(token_lease(rq, te, &l));
    *ret_live = l && l->revoke_err.n == 0 && !lease_is_due(l, now);
    return NULL;
}

struct error *token_load_live(struct request *rq, str inner_id, const struct token_entry **ret)
{
    bool live = false;

    TRY(token_load(rq, inner_id, ret));
    if (*ret)
        TRY(is_live(rq, *ret, &live));
    if (!live)
        *ret = NULL;
    return NULL;
}

static bool peer_is_allowed(const struct request *rq, const struct token_entry *te)
{
    for (size_t i = 0; i < te->n_bound_cidrs; i++)
        if (ip_text_is_in(te->bound_cidrs[i], rq->peer.remote_address))
            return true;
    return te->n_bound_cidrs == 0;
}

static struct error *find_live(struct request *rq, str token_string, const struct token_entry **ret)
{
    str inner;

    *ret = NULL;
    if (token_form_is_batch(token_string))
        return token_batch_find(rq, token_string, ret);
    if (token_string.n == 0 || !token_inner_id(rq, token_string, &inner))
        return NULL;
    return token_load_live(rq, inner, ret);
}

struct error *token_find_live(struct request *rq, str token_string, const struct token_entry **ret)
{
    int64_t begun_ns = clock_mono_ns(clock_real());

    TRY(find_live(rq, token_string, ret));
    txn_time(rq->txn, METRIC_TOKEN_LOOKUP, begun_ns);
    return NULL;
}

struct error *token_find(struct request *rq, str token_string, const struct token_entry **ret)
{
    TRY(token_find_live(rq, token_string, ret));
    if (*ret && !peer_is_allowed(rq, *ret))
        return fail(rq, ERR_DENIED, "permission denied");
    return NULL;
}

struct error *token_load_accessor(struct request *rq, str accessor, const struct token_entry **ret)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    char hash[TOKEN_HASH_MAX + 1];
    struct json *j;

    *ret = NULL;
    token_hash(state_of(rq), accessor, hash);
    TRY(view_get_json(&v, arena_fmt(rq->arena, "accessor/%s", hash), &j));
    const struct json *id = json_get_nocase(j, STR("token_id"));

    if (!id || id->type != JSON_STRING)
        return NULL;
    return token_load(rq, id->text, ret);
}

struct error *token_find_accessor(struct request *rq, str accessor, const struct token_entry **ret)
{
    bool live = false;

    TRY(token_load_accessor(rq, accessor, ret));
    if (*ret)
        TRY(is_live(rq, *ret, &live));
    if (!live)
        *ret = NULL;
    return NULL;
}

/* ---- use counts ---- */

struct spent {
    size_t n;
    char id[];
};

static struct error *revoke_spent(struct request *rq, struct response *rs)
{
    const struct spent *s = rq->internal_arg;
    bool done;

    TRY(token_revoke_step(rq, (str){s->id, s->n}, &done));
    return done ? NULL : response_again(rs);
}

static void spent_free(void *arg)
{
    struct spent *s = arg;

    wipe(s->id, s->n);
    free(s);
}

static void spent_revoked(const struct error *e, void *arg)
{
    if (e) /* it stays dead; the end of its lease tries again */
        log_warn("token", "cannot revoke a token whose uses are spent", F_STR("error", e->text));
    spent_free(arg);
}

static void on_spent(struct active *a, void *arg)
{
    if (!internal_submit(a, revoke_spent, arg, spent_revoked))
        spent_free(arg);
}

struct error *token_use(struct request *rq, const struct token_entry *te)
{
    int64_t begun_ns = clock_mono_ns(clock_real());
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    str path = arena_fmt(rq->arena, "id/%s", te->hash);
    struct json *j;

    if (te->num_uses == 0)
        return NULL;
    TRY(view_get_json(&v, path, &j));
    if (!j || te->num_uses < 0)
        return fail(rq, ERR_DENIED, "permission denied");
    json_set_int(rq->arena, j, STR("num_uses"), te->num_uses == 1 ? -1 : te->num_uses - 1);
    json_set_int(rq->arena, j, STR("NumUses"), 0);
    TRY(view_put_json(&v, path, j));
    txn_time(rq->txn, METRIC_TOKEN_STORE, begun_ns);
    if (te->num_uses == 1) {
        struct spent *s = malloc(sizeof(*s) + te->id.n);

        if (!s)
            die("out of memory");
        s->n = te->id.n;
        memcpy(s->id, te->id.p, te->id.n);
        txn_on_commit(rq->txn, on_spent, spent_free, s);
    }
    txn_keep(rq->txn);
    return NULL;
}

/* ---- creation ---- */

static str random_text(struct request *rq, size_t n)
{
    char *p = arena_alloc(rq->arena, n);

    rng_base62(rq->rng, p, n);
    return (str){p, n};
}

struct made {
    str id, accessor, cubbyhole_id;
    char hash[TOKEN_HASH_MAX + 1];
};

static struct error *choose_id(struct request *rq, const struct token_spec *spec, struct made *m)
{
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    bool taken = false;

    m->id = spec->id.n ? spec->id : arena_join(rq->arena, STR("hvs."), random_text(rq, ID_RANDOM));
    m->accessor = random_text(rq, ACCESSOR_BYTES);
    if (token_form_has_prefix(m->id))
        m->cubbyhole_id = random_text(rq, CUBBYHOLE_ID_BYTES);
    token_hash(state_of(rq), m->id, m->hash);
    if (spec->id.n)
        TRY(view_has(&v, arena_fmt(rq->arena, "id/%s", m->hash), &taken));
    if (taken)
        return fail(rq, ERR_BAD_REQUEST, "cannot create a token with a duplicate ID");
    return NULL;
}

static struct error *store(struct request *rq, const struct token_spec *spec, const struct made *m,
                           int64_t now_ns)
{
    struct arena *a = rq->arena;
    struct view v = txn_view(rq->txn, SPACE_TOKEN);
    struct json *accessor = json_object(a);
    int64_t begun_ns = clock_mono_ns(clock_real());
    char hash[TOKEN_HASH_MAX + 1];

    json_set_str(a, accessor, STR("token_id"), m->id);
    json_set_str(a, accessor, STR("accessor_id"), m->accessor);
    json_set_str(a, accessor, STR("namespace_id"), STR("root"));
    token_hash(state_of(rq), m->accessor, hash);
    TRY(view_put_json(&v, arena_fmt(a, "accessor/%s", hash), accessor));
    txn_time(rq->txn, METRIC_TOKEN_CREATE_ACCESSOR, begun_ns);
    if (spec->parent.n) {
        token_hash(state_of(rq), spec->parent, hash);
        TRY(view_put(&v, arena_fmt(a, "parent/%s/%s", hash, m->hash), (bytes){0}));
    }
    return view_put_json(&v, arena_fmt(a, "id/%s", m->hash),
                         token_entry_json(a, spec, m->id, m->accessor, m->cubbyhole_id, now_ns));
}

static struct error *store_lease(struct request *rq, const struct token_spec *spec, const struct made *m,
                                 int64_t now_ns)
{
    int64_t begun_ns = clock_mono_ns(clock_real());

    if (spec->ttl_ns > 0) /* root tokens are not counted */
        TRY(quota_lease(rq, spec->path));
    struct lease l = {
        .id = arena_fmt(rq->arena, "%.*s/%s", PSTR(spec->path), m->hash),
        .client_token = m->id,
        .path = spec->path,
        .issue_time_ns = now_ns,
        .expire_time_ns = spec->ttl_ns > 0 ? now_ns + spec->ttl_ns : TIME_ZERO_NS, /* never: root */
        .last_renewal_ns = TIME_ZERO_NS,
        .ttl_ns = spec->ttl_ns,
        .renewable = spec->renewable,
        .stored = token_lease_json(rq->arena, spec, m->id, m->accessor),
    };

    TRY(lease_put(rq, &l));
    txn_time(rq->txn, METRIC_EXPIRE_REGISTER_AUTH, begun_ns);
    return NULL;
}

/* m->id becomes the token's string as it is given out. */
static struct error *make_service(struct request *rq, const struct token_spec *spec, int64_t now_ns,
                                  struct made *m)
{
    bool is_plain = spec->unsigned_form || spec->id.n ||
                    (spec->n_policies == 1 && str_eq(spec->policies[0], STR("root")) && spec->ttl_ns == 0);

    TRY(choose_id(rq, spec, m));
    TRY(store(rq, spec, m, now_ns));
    TRY(store_lease(rq, spec, m, now_ns));
    if (!is_plain)
        m->id = token_form_sign(rq->arena, state_of(rq)->sign_key, m->id);
    return NULL;
}

struct error *token_create(struct request *rq, struct response *rs, const struct token_spec *spec)
{
    int64_t now = clock_wall_ns(rq->clock), begun_ns = clock_mono_ns(clock_real());
    bool is_batch = spec->type == TOKEN_BATCH;
    struct made m = {0};

    TRY(is_batch ? token_batch_make(rq, spec, now, &m.id) : make_service(rq, spec, now, &m));
    txn_time(rq->txn, METRIC_TOKEN_CREATE, begun_ns);
    rs->auth = ARENA_NEW(rq->arena, struct response_auth);
    *rs->auth = (struct response_auth){
        .client_token = m.id,
        .accessor = m.accessor,
        .entity_id = spec->entity_id,
        .display_name = spec->display_name,
        .token_type = is_batch ? STR("batch") : STR("service"),
        .policies = spec->policies,
        .token_policies = spec->policies,
        .n_policies = spec->n_policies,
        .n_token_policies = spec->n_policies,
        .metadata = spec->meta && spec->meta->n ? spec->meta : NULL,
        .ttl_ns = spec->ttl_ns,
        .num_uses = spec->num_uses,
        .issue_time_ns = now,
        .renewable = spec->renewable,
        .orphan = spec->parent.n == 0,
    };
    return login_show_policies(rq, rs->auth);
}

struct error *token_create_root(struct request *rq, str *ret_token)
{
    static const str root_policy[] = {{"root", 4}};
    struct token_spec spec = {.policies = root_policy,
                              .n_policies = 1,
                              .path = STR("auth/token/root"),
                              .display_name = STR("root")};
    struct made m = {0};

    int64_t begun_ns = clock_mono_ns(clock_real());

    TRY(choose_id(rq, &spec, &m));
    TRY(store(rq, &spec, &m, clock_wall_ns(rq->clock)));
    txn_time(rq->txn, METRIC_TOKEN_CREATE, begun_ns);
    *ret_token = m.id;
    return NULL;
}
