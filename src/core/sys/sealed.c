/* sealed: the routes that work sealed, uninitialised or on a standby. Dispatched from this table before any
 * object exists;
 * not audited, no token. Quick answers are made on the loop, what reads storage or changes the state runs on
 * the control thread. */
#include "base/log.h"
#include "core/active_private.h"
#include "core/body.h"
#include "core/sys/sys.h"

#include <stdatomic.h>

typedef struct error *control_fn(struct core *c, struct arena *a, void *arg);

/* ---- status ---- */

struct status {
    enum core_state state;
    unsigned shares, threshold, progress;
    const char *type;
    bool migration;
    bool recovery_seal; /* the shares open nothing: a key service does */
    str nonce, cluster_name, cluster_id;
    bool ha;
    int64_t active_since_ns;
};

static struct status status_of(struct core *c, struct arena *a)
{
    struct status s = {.ha = c->ha != NULL, .type = "shamir", .recovery_seal = c->seal != NULL};

    mutex_lock(&c->mutex);
    s.state = c->state;
    s.shares = c->state == CORE_UNINITIALISED ? 0 : c->seal_config.shares;
    s.threshold = c->state == CORE_UNINITIALISED ? 0 : c->seal_config.threshold;
    if (c->progress && c->state <= CORE_SEALED) {
        s.progress = c->progress->n;
        s.nonce = arena_str(a, (str){c->progress->nonce, UUID_TEXT_BYTES});
    }
    s.cluster_name = arena_str(a, c->cluster_name);
    s.cluster_id = arena_str(a, c->cluster_id);
    s.active_since_ns = c->active_since_ns;
    s.migration = c->migration.pending;
    if (c->seal && c->state == CORE_UNINITIALISED) /* later it is the type of what people hold */
        s.type = seal_type(c->seal);
    mutex_unlock(&c->mutex);
    return s;
}

static void answer(struct core_call *call, int status, struct json *body)
{
    call->rs.status = status;
    call->rs.data = body;
    call->rs.bare_body = true;
}

static struct error *seal_status(struct core *c, struct arena *a, void *arg)
{
    struct core_call *call = arg;
    struct status s = status_of(c, a);
    struct json *o = json_object_ordered(a);

    json_set_str(a, o, STR("type"), str_from_cstr(s.type));
    json_set_bool(a, o, STR("initialized"), s.state != CORE_UNINITIALISED);
    json_set_bool(a, o, STR("sealed"), s.state <= CORE_SEALED);
    json_set_int(a, o, STR("t"), s.threshold);
    json_set_int(a, o, STR("n"), s.shares);
    json_set_int(a, o, STR("progress"), s.progress);
    json_set_str(a, o, STR("nonce"), s.nonce);
    json_set_str(a, o, STR("version"), c->config.version);
    json_set_str(a, o, STR("build_date"), STR(""));
    json_set_bool(a, o, STR("migration"), s.migration);
    if (s.cluster_id.n) {
        json_set_str(a, o, STR("cluster_name"), s.cluster_name);
        json_set_str(a, o, STR("cluster_id"), s.cluster_id);
    }
    json_set_bool(a, o, STR("recovery_seal"), s.recovery_seal);
    json_set_str(a, o, STR("storage_type"), c->config.storage_type);
    answer(call, 200, o);
    return NULL;
}

static struct error *leader(struct core *c, struct arena *a, void *arg)
{
    struct core_call *call = arg;
    struct status s = status_of(c, a);
    struct json *o = json_object_ordered(a);
    bool self = s.ha && s.state == CORE_ACTIVE;

    if (s.ha && s.state <= CORE_SEALED)
        return error_new(a, ERR_SEALED, "Vault is sealed");
    json_set_bool(a, o, STR("ha_enabled"), s.ha);
    json_set_bool(a, o, STR("is_self"), self);
    json_set_str(a, o, STR("active_time"), time_format(a, self ? s.active_since_ns : TIME_ZERO_NS));
    json_set_str(a, o, STR("leader_address"), self ? c->config.config->api_addr : (str){0});
    json_set_str(a, o, STR("leader_cluster_address"), self ? cluster_address(a, c->config.config) : (str){0});
    json_set_bool(a, o, STR("performance_standby"), false);
    json_set_int(a, o, STR("performance_standby_last_remote_wal"), 0);
    answer(call, 200, o);
    return NULL;
}

/* ---- health ---- */

static bool parse_bool(str s, bool *ret)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"}, *const no[] = {
                                                                                  "0",     "f",     "F",
                                                                                  "FALSE", "false", "False"};

    for (size_t i = 0; i < COUNT_OF(yes); i++) {
        if (str_eq(s, str_from_cstr(yes[i])))
            return *ret = true;
        if (str_eq(s, str_from_cstr(no[i])))
            return !(*ret = false);
    }
    return false;
}

/* Below 200 no status ends an answer. */
static bool query_code(const struct request *rq, str name, int dflt, int *ret)
{
    const struct json *v = json_get(rq->data, name);
    int64_t code = dflt;
    bool ok = !v || (v->type == JSON_STRING && str_parse_i64(v->text, &code) && code >= 200 && code <= 999);

    *ret = (int)code;
    return ok;
}

static bool query_flag(const struct request *rq, str name, bool *ret)
{
    const struct json *v = json_get(rq->data, name);

    *ret = false;
    if (!v)
        return true;
    if (v->type == JSON_STRING && v->text.n == 0) /* the bare word means true */
        return *ret = true;
    return v->type == JSON_STRING && parse_bool(v->text, ret);
}

static struct error *health(struct core *c, struct arena *a, void *arg)
{
    struct core_call *call = arg;
    struct request *rq = &call->rq;
    struct status s = status_of(c, a);
    struct json *o = json_object_ordered(a);
    int active, standby, sealed, uninit, unused;
    bool standby_ok, perf_ok;
    bool ok = query_code(rq, STR("activecode"), 200, &active) &&
              query_code(rq, STR("standbycode"), 429, &standby) &&
              query_code(rq, STR("sealedcode"), 503, &sealed) &&
              query_code(rq, STR("uninitcode"), 501, &uninit) &&
              query_code(rq, STR("drsecondarycode"), 472, &unused) &&
              query_code(rq, STR("performancestandbycode"), 473, &unused) &&
              query_flag(rq, STR("standbyok"), &standby_ok) && query_flag(rq, STR("perfstandbyok"), &perf_ok);

    if (!ok)
        return error_new(a, ERR_BAD_REQUEST, "%s", "");
    int status = s.state == CORE_UNINITIALISED ? uninit
                 : s.state == CORE_SEALED      ? sealed
                 : s.state == CORE_ACTIVE      ? active
                 : standby_ok                  ? active
                                               : standby;
    const char *replication = s.state <= CORE_SEALED ? "unknown" : "disabled";

    json_set_bool(a, o, STR("initialized"), s.state != CORE_UNINITIALISED);
    json_set_bool(a, o, STR("sealed"), s.state <= CORE_SEALED);
    json_set_bool(a, o, STR("standby"), s.state != CORE_ACTIVE);
    json_set_bool(a, o, STR("performance_standby"), false);
    json_set_str(a, o, STR("replication_performance_mode"), str_from_cstr(replication));
    json_set_str(a, o, STR("replication_dr_mode"), str_from_cstr(replication));
    json_set_int(a, o, STR("server_time_utc"), clock_wall_ns(c->config.clock) / NS_PER_S);
    json_set_str(a, o, STR("version"), c->config.version);
    if (s.cluster_id.n) {
        json_set_str(a, o, STR("cluster_name"), s.cluster_name);
        json_set_str(a, o, STR("cluster_id"), s.cluster_id);
    }
    answer(call, status, o);
    return NULL;
}

/* ---- init ---- */

static void refresh(struct core *c, struct arena *a)
{
    struct error *e = core_refresh_seal_config(c, a);

    if (e)
        log_error("core", "failed to read the seal configuration", F_STR("error", error_log_text(a, e)));
}

static struct error *init_read(struct core *c, struct arena *a, void *arg)
{
    struct json *o = json_object(a);

    refresh(c, a);
    json_set_bool(a, o, STR("initialized"), core_state(c) != CORE_UNINITIALISED);
    answer(arg, 200, o);
    return NULL;
}

static struct error *seal_status_fresh(struct core *c, struct arena *a, void *arg)
{
    refresh(c, a);
    return seal_status(c, a, arg);
}

/* Shares are asked for under one of two names: what the seal at hand does not have must not be given. */
static const char *const init_names[2][3] = {{"secret_shares", "secret_threshold", "pgp_keys"},
                                             {"recovery_shares", "recovery_threshold", "recovery_pgp_keys"}};

static struct error *init_params_read(struct arena *a, const struct json *o, bool recovery,
                                      struct init_params *ret)
{
    const char *const *names = init_names[recovery];

    TRY(body_int(a, o, names[0], &ret->shares));
    TRY(body_int(a, o, names[1], &ret->threshold));
    TRY(body_str(a, o, "root_token_pgp_key", &ret->root_token_pgp_key));
    return body_strings(a, o, names[2], &ret->pgp_keys);
}

static struct error *init_refuse(struct arena *a, const struct json *o, bool recovery, const char *seal)
{
    struct init_params given;
    str list = {0};

    TRY(init_params_read(a, o, recovery, &given));
    bool there[] = {given.shares != 0, given.threshold != 0, given.pgp_keys != NULL};

    for (size_t i = 0; i < COUNT_OF(there); i++)
        if (there[i])
            list = arena_fmt(a, "%.*s%s%s", PSTR(list), list.n ? "," : "", init_names[recovery][i]);
    return list.n ? error_new(a, ERR_BAD_REQUEST, "parameters %.*s not applicable to seal type %s",
                              PSTR(list), seal)
                  : NULL;
}

static struct error *init_write(struct core *c, struct arena *a, void *arg)
{
    struct core_call *call = arg;
    const struct json *o = call->rq.data;
    struct init_params p;
    int64_t stored;
    struct json *body = NULL;
    bool recovery = c->seal != NULL;

    TRY(body_int(a, o, "stored_shares", &stored));
    TRY(init_refuse(a, o, !recovery, recovery ? seal_type(c->seal) : "shamir"));
    TRY(init_params_read(a, o, recovery, &p));
    if (p.pgp_keys && (int64_t)p.pgp_keys->n != p.shares)
        return error_new(a, ERR_BAD_REQUEST, "incorrect number of PGP keys");
    refresh(c, a);
    if (core_state(c) != CORE_UNINITIALISED)
        return error_new(a, ERR_BAD_REQUEST, "Vault is already initialized");
    TRY(seal_config_check(a, p.shares, p.threshold));
    TRY(core_initialise(c, a, &p, &body));
    answer(call, 200, body);
    return NULL;
}

/* ---- unseal ---- */

static struct error *unseal_reset(struct core *c, struct arena *a)
{
    if (core_state(c) > CORE_SEALED)
        return error_new(a, ERR_BAD_REQUEST, "vault is unsealed");
    mutex_lock(&c->mutex);
    unseal_progress_free(TAKE(c->progress));
    mutex_unlock(&c->mutex);
    return NULL;
}

/* Another node may have migrated the store meanwhile. */
static struct error *check_migrate(struct core *c, struct arena *a, bool migrates)
{
    bool exists;

    if (migrates && !c->migration.mode)
        return error_new(a, ERR_INTERNAL, "can't perform a seal migration, no migration seal found");
    if (!c->migration.mode || core_state(c) != CORE_SEALED)
        return NULL;
    TRY(core_load_seal_config(c, a, &exists));
    TRY(migration_probe(c, a));
    return migrates || !migration_is_due(c, &c->seal_config)
               ? NULL
               : error_new(a, ERR_INTERNAL, "migrate option not provided and seal migration is pending");
}

static struct error *unseal(struct core *c, struct arena *a, void *arg)
{
    struct core_call *call = arg;
    const struct json *key, *reset, *migrate;
    bytes share;

    TRY(body_typed(a, call->rq.data, "key", JSON_STRING, &key));
    TRY(body_typed(a, call->rq.data, "reset", JSON_BOOL, &reset));
    TRY(body_typed(a, call->rq.data, "migrate", JSON_BOOL, &migrate));
    if (reset && reset->boolean) {
        TRY(unseal_reset(c, a));
        return seal_status_fresh(c, a, arg);
    }
    if (!key || key->text.n == 0)
        return error_new(a, ERR_BAD_REQUEST,
                         "'key' must be specified in request body as JSON, or 'reset' set to true");
    TRY(share_parse(a, key->text, &share));
    bool migrates = migrate && migrate->boolean;

    TRY(check_migrate(c, a, migrates));
    refresh(c, a);
    if (core_state(c) == CORE_UNINITIALISED)
        return error_new(a, ERR_BAD_REQUEST, "Vault is not initialized");
    TRY(share_check(a, share));
    if (core_state(c) == CORE_SEALED)
        TRY(core_unseal_share(c, a, share, migrates));
    return seal_status(c, a, arg);
}

/* A sealed server has nothing to seal or to step down from. */
static struct error *nothing(struct core *c, struct arena *a, void *arg)
{
    (void)c;
    (void)a;
    (void)arg;
    return NULL;
}

/* ---- dispatch ---- */

#define OPS(x) (1u << (x))
static const struct sealed_route {
    const char *path;
    unsigned ops;
    /* the last: until the store is known to be initialised, storage is asked */
    enum { LOOP, CONTROL, CONTROL_UNTIL_INIT } where;
    bool needs_body;                                 /* an empty body is "EOF" */
    bool only_sealed;                                /* an active node has it in its own table */
    bool only_ha;                                    /* but not without an HA lock */
    bool last;                                       /* of this path: other operations are 405 */
    enum { ALL, METRICS_OPEN, IN_FLIGHT_OPEN } open; /* only from a listener that says so */
    control_fn *fn;
} sealed_routes[] = {
    {"sys/metrics", OPS(OP_READ), LOOP, .open = METRICS_OPEN, .fn = sys_metrics},
    {"sys/in-flight-req", OPS(OP_READ), CONTROL, .open = IN_FLIGHT_OPEN, .fn = sys_in_flight},
    {"sys/health", OPS(OP_READ) | OPS(OP_HEADER), LOOP, .last = true, .fn = health},
    {"sys/seal-status", OPS(OP_READ), CONTROL_UNTIL_INIT, .last = true, .fn = seal_status_fresh},
    {"sys/leader", OPS(OP_READ), LOOP, .last = true, .fn = leader},
    {"sys/init", OPS(OP_READ), CONTROL_UNTIL_INIT, .fn = init_read},
    {"sys/init", OPS(OP_UPDATE), CONTROL, .needs_body = true, .last = true, .fn = init_write},
    {"sys/unseal", OPS(OP_UPDATE), CONTROL, .needs_body = true, .last = true, .fn = unseal},
    {"sys/seal", OPS(OP_UPDATE), LOOP, .only_sealed = true, .last = true, .fn = nothing},
    {"sys/step-down", OPS(OP_UPDATE), LOOP, .only_sealed = true, .only_ha = true, .last = true,
     .fn = nothing},
};

bool sys_path_needs_no_token(enum op op, str path)
{
    for (size_t i = 0; i < COUNT_OF(sealed_routes); i++) {
        const struct sealed_route *r = &sealed_routes[i];

        if ((r->ops & OPS(op)) && !r->only_sealed && r->open == ALL && str_eq(path, str_from_cstr(r->path)))
            return true;
    }
    return false;
}

struct control_answer {
    struct post post;
    struct core_call *call;
};

static void answer_posted(struct loop *l, struct post *p)
{
    struct core_call *call = CONTAINER_OF(p, struct control_answer, post)->call;

    (void)l;
    call->done(call);
}

static void control_finished(struct core *c, void *arg)
{
    struct control_answer *x = arg;

    (void)c;
    loop_post(x->call->loop, &x->post);
}

static void run_sealed(struct core *c, struct core_call *call, const struct sealed_route *r)
{
    struct arena *a = call->rq.arena;

    if (r->needs_body && call->rq.body_is_empty) {
        call->error = error_new(a, ERR_BAD_REQUEST, "EOF");
        call->done(call);
    } else if (r->where == CONTROL ||
               (r->where == CONTROL_UNTIL_INIT && core_state(c) == CORE_UNINITIALISED)) {
        struct control_answer *x = ARENA_NEW(a, struct control_answer);

        x->call = call;
        x->post.fn = answer_posted;
        call->rs.control = r->fn;
        call->rs.control_arg = call;
        core_control_run(c, call, control_finished, x);
    } else {
        call->error = r->fn(c, a, call);
        call->done(call);
    }
}

static bool is_open_for(const struct sealed_route *r, const struct request *rq)
{
    return r->open == ALL || (r->open == METRICS_OPEN && rq->peer.metrics_open) ||
           (r->open == IN_FLIGHT_OPEN && rq->peer.in_flight_open);
}

bool sys_sealed_handle(struct core *c, struct core_call *call)
{
    struct request *rq = &call->rq;

    str path = rq->path;

    if (!str_starts(path, STR("sys/")))
        return false;
    if (rq->op == OP_LIST) /* its slash is the front's */
        path.n--;
    for (size_t i = 0; i < COUNT_OF(sealed_routes); i++) {
        const struct sealed_route *r = &sealed_routes[i];

        if (!str_eq(path, str_from_cstr(r->path)) || !is_open_for(r, rq))
            continue;
        if (r->ops & OPS(rq->op)) {
            if (r->only_sealed && core_state(c) > CORE_SEALED && (c->ha || !r->only_ha))
                return false;
            run_sealed(c, call, r);
            return true;
        }
        if (r->last) {
            call->error = error_new(rq->arena, ERR_UNSUPPORTED, "%s", "");
            call->done(call);
            return true;
        }
    }
    return false;
}
