/* handle: the path of one request through loops, pools and the lane (design in call.h). */
#include "base/fault.h"
#include "base/log.h"
#include "core/lane.h"
#include "core/lease/walk.h"
#include "core/login/login_private.h"
#include "core/quota/quota.h"
#include "core/wrapping/wrapping.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { DENIED_BARE, DENIED_WRAPPED };

/* ---- holding struct active ---- */

/* Pairs with active_retire (core.c): the count is raised before the pointer is read, the pointer cleared
 * before counts are read. */
static struct active *active_enter(struct core *c, struct inflight *slot, unsigned *ret_parity)
{
    for (;;) {
        uint64_t generation = atomic_load(&c->generation);
        unsigned parity = generation & 1;

        atomic_fetch_add(&slot->n[parity], 1);
        struct active *a = atomic_load(&c->active);

        if (a && atomic_load(&c->generation) == generation) {
            *ret_parity = parity;
            return a;
        }
        atomic_fetch_sub(&slot->n[parity], 1);
        if (!a)
            return NULL;
    }
}

static void active_leave(struct inflight *slot, unsigned parity)
{
    atomic_fetch_sub(&slot->n[parity], 1);
}

/* The count is read before the snapshot is trusted: a struct whose count is zero is never revived, and its
 * memory stays (see active_private.h). */
struct snapshot *snapshot_hold(struct active *a)
{
    for (;;) {
        struct snapshot *s = atomic_load(&a->snapshot);
        uint32_t refs = atomic_load(&s->refs);

        if (refs == 0 || !atomic_compare_exchange_weak(&s->refs, &refs, refs + 1))
            continue;
        if (s == atomic_load(&a->snapshot))
            return s;
        snapshot_drop(s);
    }
}

static void snapshot_drop_arg(void *arg)
{
    snapshot_drop(arg);
}

const struct mount_table *request_mounts(const struct request *rq)
{
    return rq->mounts;
}

/* ---- one run ---- */

static struct error *refuse(struct call_state *cs, int form)
{
    struct request *rq = &cs->call->rq;

    cs->refused = true;
    return form == DENIED_BARE ? fail(rq, ERR_DENIED, "permission denied")
                               : fail_wrapped(rq, ERR_DENIED, "permission denied");
}

static void find_route(struct request *rq)
{
    const struct mount *m = mount_find(request_mounts(rq), rq->path);

    rq->mount = m;
    if (!m)
        return;
    rq->rel = rq->path.n > m->path.n ? str_from(rq->path, m->path.n) : (str){0};
    if (!m->engine)
        return;
    rq->view = ARENA_NEW(rq->arena, struct view);
    *rq->view = txn_mount_view(rq->txn, m);
    rq->route = route_match(m->routes, rq->rel, rq->params);
}

static bool op_writes(enum op op)
{
    return op == OP_CREATE || op == OP_UPDATE || op == OP_PATCH || op == OP_DELETE;
}

static struct error *authenticate(struct call_state *cs)
{
    struct request *rq = &cs->call->rq;
    bool alive;

    if (rq->client_token.n == 0)
        return refuse(cs, DENIED_BARE);
    if (!rq->token) /* else it is the wrapping token that the request is about */
        TRY(token_find(rq, rq->client_token, &rq->token));
    if (!rq->token)
        return refuse(cs, DENIED_BARE);
    TRY(login_entity_of_token(rq, &alive));
    if (!alive)
        return refuse(cs, DENIED_BARE);
    TRY(acl_for(rq, rq->policies, rq->n_policies, &rq->acl));
    for (size_t i = 0; i < rq->token->n_policies; i++)
        rq->is_root = rq->is_root || str_eq(rq->token->policies[i], STR("root"));
    if (rq->token->num_uses != 0)
        TRY(token_use(rq, rq->token));
    return NULL;
}

static struct error *decide_create(struct request *rq)
{
    bool exists;

    if (rq->op != OP_UPDATE || !rq->route || !rq->route->exists)
        return NULL;
    TRY(rq->route->exists(rq, &exists));
    rq->op = exists ? OP_UPDATE : OP_CREATE;
    return NULL;
}

static struct error *authorise(struct call_state *cs, unsigned flags)
{
    struct request *rq = &cs->call->rq;

    acl_decide(rq->acl, rq->op, rq->path, &cs->decision);
    cs->decided = true;
    if (acl_judge(&cs->decision, rq->op, rq->data, rq->wrap_ttl_ns, flags & ROUTE_SUDO) !=
        ACL_LACKS_NOTHING) {
        cs->decision.allowed = false;
        return refuse(cs, DENIED_WRAPPED);
    }
    return NULL;
}

static struct error *unroutable(struct request *rq, const char *why)
{
    return fail(rq, ERR_NOT_FOUND, "no handler for route \"%.*s\". route entry %s.", PSTR(rq->path), why);
}

static struct error *dispatch(struct call_state *cs)
{
    struct request *rq = &cs->call->rq;
    struct response *rs = &cs->call->rs;

    if (!rq->mount)
        return unroutable(rq, "not found");
    if (rq->mount->tainted)
        return unroutable(rq, "is tainted");
    if (!rq->mount->engine)
        return unroutable(rq, "found, but backend is nil");
    if (rq->op == OP_HELP)
        return route_help(rq, rq->mount->engine, rq->route, rs);
    if (!rq->route)
        return fail_wrapped(rq, ERR_NOT_FOUND, "unsupported path");
    handler_fn *fn = rq->route->ops[rq->op].fn;

    if (!fn && rq->op == OP_CREATE)
        fn = rq->route->ops[OP_UPDATE].fn;
    if (!fn && (rq->route->flags & ROUTE_LOGIN))
        TRY(login_unsupported(rq));
    if (!fn)
        return fail_wrapped(rq, ERR_UNSUPPORTED, "unsupported operation");
    bool login = request_route_flags(rq) & ROUTE_LOGIN;
    struct error *e = fields_parse(rq);

    if (login)
        TRY(quota_login(rq)); /* what does not parse counts, too */
    TRY(e);
    int64_t begun_ns = clock_mono_ns(clock_real());

    e = login ? login_run(rq, rs, fn) : fn(rq, rs);

    cs->handled_ns = clock_mono_ns(clock_real()) - begun_ns;
    TRY(e);
    if (rs->secret_lease)
        TRY(lease_grant(rq, rs));
    fields_warn(rq, rs);
    return wrapping_apply(rq, rs);
}

static struct error *run_api(struct call_state *cs)
{
    struct request *rq = &cs->call->rq;

    find_route(rq);
    unsigned flags = request_route_flags(rq);

    if (cs->txn.mode == TXN_LOOP &&
        ((flags & ROUTE_LANE) || (op_writes(rq->op) && !(flags & ROUTE_READONLY)))) {
        cs->in_lane = true;
        cs->txn.stop = flags & ROUTE_SLOW ? TXN_WANTS_SLOW : TXN_WANTS_LANE;
        return NULL;
    }
    cs->request_only = (flags & ROUTE_CONTROL) != 0;
    cs->unaudited = (flags & ROUTE_NO_AUDIT) != 0;
    if (flags & ROUTE_WRAPPING)
        TRY(wrapping_check(rq));
    if (cs->later_step) { /* what the first step proved stands, though it may have ended the token itself */
    } else if (!(flags & ROUTE_UNAUTH)) {
        TRY(authenticate(cs));
        cs->token_ns = clock_mono_ns(clock_real()) - cs->run_ns;
        txn_reads_begin(&cs->txn);
        TRY(decide_create(rq));
        TRY(authorise(cs, flags));
        cs->checked_ns = clock_mono_ns(clock_real()) - cs->run_ns;
    } else {
        TRY(decide_create(rq));
    }
    return dispatch(cs);
}

static void run_reset(struct call_state *cs, enum txn_mode mode)
{
    struct request *rq = &cs->call->rq;

    arena_reset_to(rq->arena, cs->mark);
    if (rq->op == OP_CREATE && !cs->later_step)
        rq->op = OP_UPDATE; /* decided again */
    rq->txn = &cs->txn;
    rq->active = cs->active;
    rq->view = NULL;
    rq->mount = NULL;
    rq->route = NULL;
    rq->fields = NULL;
    rq->n_fields = 0;
    rq->rel = (str){0};
    cs->call->rs = (struct response){.warnings = cs->warnings, .n_warnings = cs->n_warnings};
    cs->call->error = NULL;
    cs->refused = false;
    rq->joined = NULL;
    if (!cs->later_step) {
        rq->token = rq->wrapping_token = NULL;
        rq->entity = NULL;
        rq->policies = rq->identity_policies = NULL;
        rq->n_policies = rq->n_identity_policies = 0;
        rq->acl = NULL;
        rq->is_root = false;
        cs->decided = false;
    }
    txn_begin(&cs->txn, cs->active, rq->arena, mode);
    cs->txn.may_block = cs->may_block;
    cs->txn.exclusive = cs->exclusive;
    cs->txn.slow_ok = cs->on_slow_pool && (mode == TXN_POOL || mode == TXN_REHEARSAL);
    cs->snapshot = snapshot_hold(cs->active);
    rq->mounts = &cs->snapshot->mounts->table;
    arena_defer(rq->arena, snapshot_drop_arg, cs->snapshot);
}

void call_run(struct call_state *cs, enum txn_mode mode)
{
    struct request *rq = &cs->call->rq;

    run_reset(cs, mode);
    cs->run_ns = mode == TXN_LOOP ? cs->started_ns : clock_mono_ns(clock_real());
    cs->token_ns = cs->checked_ns = cs->handled_ns = -1;
    if (!cs->internal_fn && !cs->later_step && mode != TXN_LOOP && cs->run_ns > cs->deadline_ns)
        cs->call->error = fail(rq, ERR_TIMEOUT, "request timed out");
    else if (cs->internal_fn)
        cs->call->error = cs->internal_fn(rq, &cs->call->rs);
    else
        cs->call->error = run_api(cs);
    if (cs->txn.stop != TXN_GO)
        return;
    if (!cs->internal_fn && (mode == TXN_LOOP || mode == TXN_POOL) && !txn_reads_are_consistent(&cs->txn)) {
        cs->loop_runs++;
        cs->txn.stop = cs->loop_runs < CALL_LOOP_RUNS_MAX ? TXN_WOULD_BLOCK : TXN_WANTS_LANE;
        return;
    }
    if (cs->call->error)
        txn_fail(&cs->txn);
    call_make_request_line(cs);
}

/* ---- audit ---- */

static void unref_set(void *arg)
{
    audit_set_unref(arg);
}

static struct audit_event event_of(struct call_state *cs)
{
    return (struct audit_event){.rq = &cs->call->rq,
                                .decision = cs->decided ? &cs->decision : NULL,
                                .time_ns = clock_wall_ns(cs->call->rq.clock)};
}

void call_make_request_line(struct call_state *cs)
{
    struct audit_set *set = cs->snapshot->audit;

    cs->ran = true;
    cs->request_lines = (struct audit_lines){0};
    if (cs->internal_fn || cs->unaudited || cs->request_line_written || audit_set_is_empty(set))
        return;
    struct audit_event e = event_of(cs);

    e.error_text = cs->refused ? STR("permission denied") : (str){0};
    audit_make_request(cs->call->rq.arena, set, &e, &cs->request_lines);
}

/* On the loop: with the devices enabled now, which the request itself may have changed. */
static void make_response_line(struct call_state *cs)
{
    struct arena *a = cs->call->rq.arena;

    cs->response_lines = (struct audit_lines){0};
    if (cs->internal_fn || cs->unaudited || cs->request_only)
        return;
    struct audit_set *set = cs->in_lane ? active_audit_set(cs->active) : audit_set_ref(cs->snapshot->audit);

    arena_defer(a, unref_set, set);
    if (audit_set_is_empty(set))
        return;
    struct audit_event e = event_of(cs);

    e.rs = &cs->call->rs;
    e.request_lines = &cs->request_lines;
    if (cs->call->error)
        e.error_text = cs->call->error->text;
    audit_make_response(a, set, &e, &cs->response_lines);
}

/* ---- the end of a call, on its loop ---- */

static void finished_push(struct inflight *slot, struct call_state *cs)
{
    cs->next = NULL;
    *slot->finished_end = cs;
    slot->finished_end = &cs->next;
}

static void finish_posted(struct loop *l, struct post *p)
{
    struct call_state *cs = CONTAINER_OF(p, struct call_state, post);

    (void)l;
    finished_push(cs->slot, cs);
}

static void finish_elsewhere(struct call_state *cs)
{
    cs->post.fn = finish_posted;
    loop_post(cs->slot->loop, &cs->post);
}

static void internal_end(struct call_state *cs)
{
    struct core *c = cs->active->core;
    struct arena *a = cs->call->rq.arena;

    txn_measured(&cs->txn);
    if (cs->internal_done)
        cs->internal_done(cs->call->error, cs->call->rq.internal_arg);
    unsigned parity = cs->parity;

    arena_free(a); /* holds cs */
    active_leave(&c->internal, parity);
}

static void finish(struct call_state *cs)
{
    if (cs->internal_fn)
        internal_end(cs);
    else
        finish_elsewhere(cs);
}

void call_failed(struct call_state *cs, struct error *e)
{
    cs->call->error = e;
    cs->call->rs = (struct response){0};
    cs->txn.measures = NULL;
    finish(cs);
}

static void control_done(struct core *c, void *arg)
{
    (void)c;
    finish(arg);
}

/* Token, decision and warnings of the first step stay. */
static void keep_first_step(struct call_state *cs)
{
    cs->warnings = cs->call->rs.warnings;
    cs->n_warnings = cs->call->rs.n_warnings;
    cs->mark = arena_mark(cs->call->rq.arena);
}

void call_committed(struct call_state *cs)
{
    struct response *rs = &cs->call->rs;

    txn_measured(&cs->txn);
    if (!cs->call->error && rs->again) {
        if (!cs->later_step)
            keep_first_step(cs);
        cs->later_step = true;
        cs->call->rq.step++;
        cs->rehearsals = 0;
        cs->may_block = cs->exclusive = cs->solo = false;
        lane_resubmit(cs->active->lane, cs);
    } else if (!cs->call->error && rs->control) {
        core_control_run(cs->active->core, cs->call, control_done, cs);
    } else {
        finish(cs);
    }
}

/* All audit lines of the turn in one write per device, then the answers. Lines of different sets go in runs
 * of one set. */
static void write_lines(struct inflight *slot, struct call_state *from, struct call_state *to,
                        struct audit_set *set)
{
    size_t n = 0;
    const struct audit_lines **lines;

    for (struct call_state *cs = from; cs != to; cs = cs->next)
        n += 2;
    lines = ARENA_ARRAY(slot->scratch, const struct audit_lines *, n + 1);
    n = 0;
    for (struct call_state *cs = from; cs != to; cs = cs->next) {
        if (cs->request_lines.set && !cs->request_line_written)
            lines[n++] = &cs->request_lines;
        if (cs->response_lines.set)
            lines[n++] = &cs->response_lines;
    }
    if (n == 0 || audit_write(slot->scratch, set, lines, n))
        return;
    for (struct call_state *cs = from; cs != to; cs = cs->next) {
        cs->call->rs = (struct response){0};
        cs->call->error = fail(&cs->call->rq, ERR_INTERNAL, "internal error");
    }
}

static struct audit_set *set_of(const struct call_state *cs)
{
    if (cs->response_lines.set)
        return cs->response_lines.set;
    return cs->request_line_written ? NULL : cs->request_lines.set;
}

/* A response line follows a request line that was written, will be written with it, or had no device then
 * (the request enabled one). */
static bool is_answerable(const struct call_state *cs)
{
    return cs->ran && (!cs->in_lane || cs->request_line_written || !cs->request_lines.set);
}

static void answer_finished(struct inflight *slot)
{
    struct call_state *first = slot->finished;

    slot->finished = NULL;
    slot->finished_end = &slot->finished;
    for (struct call_state *cs = first; cs; cs = cs->next)
        if (is_answerable(cs))
            make_response_line(cs);
    for (struct call_state *from = first, *to; from; from = to) {
        struct audit_set *set = set_of(from);

        for (to = from->next; to && set_of(to) == set; to = to->next)
            ;
        if (set)
            write_lines(slot, from, to, set);
    }
    int64_t now_ns = clock_mono_ns(clock_real());

    for (struct call_state *cs = first, *next; cs; cs = next) {
        next = cs->next;
        call_measure(cs, now_ns);
        cs->call->done(cs->call);
    }
    arena_reset(slot->scratch);
}

/* An answer may let the next request of its connection in, which is finished at once: the loop must not sleep
 * on it. */
static void turn_end(struct loop *l, struct loop_hook *h)
{
    struct inflight *slot = CONTAINER_OF(h, struct inflight, hook);

    (void)l;
    while (slot->finished)
        answer_finished(slot);
}

/* ---- pools ---- */

static void run_in_pool(struct job *j)
{
    struct call_state *cs = CONTAINER_OF(j, struct call_state, job);
    enum err_kind why = ERR_SEALED;

    if (cs->pool_mode == TXN_REHEARSAL) {
        call_run(cs, TXN_REHEARSAL);
        txn_drop_hooks(&cs->txn);
        cs->may_block = cs->may_block || cs->txn.past_lru_always; /* another rehearsal would not help */
        if (cs->txn.stop == TXN_WANTS_SLOW)
            call_to_slow_pool(cs);
        else
            lane_resubmit(cs->active->lane, cs);
        return;
    }
    do
        call_run(cs, TXN_POOL);
    while (cs->txn.stop == TXN_WOULD_BLOCK);
    txn_drop_hooks(&cs->txn);
    if (cs->txn.stop == TXN_GO) {
        finish(cs);
        return;
    }
    if (cs->txn.stop == TXN_WANTS_SLOW) {
        call_to_slow_pool(cs);
        return;
    }
    cs->in_lane = true;
    if (!lane_submit(cs->active->lane, cs, &why))
        call_failed(cs, error_new(cs->call->rq.arena, why, "%s",
                                  why == ERR_BUSY ? "too many writes are waiting" : "Vault is sealed"));
}

bool call_to_pool(struct call_state *cs, enum txn_mode mode)
{
    cs->pool_mode = mode;
    cs->on_slow_pool = false;
    cs->job.fn = run_in_pool;
    return pool_submit(cs->active->core->storage_pool, &cs->job);
}

void call_to_slow_pool(struct call_state *cs)
{
    cs->pool_mode = cs->in_lane ? TXN_REHEARSAL : TXN_POOL;
    cs->on_slow_pool = true;
    cs->job.fn = run_in_pool;
    if (!pool_submit(cs->active->core->slow_pool, &cs->job))
        call_failed(cs, error_new(cs->call->rq.arena, ERR_BUSY, "too many slow requests are waiting"));
}

/* ---- the way in ---- */

static void free_walks(void *rq)
{
    walks_free(rq);
}

static struct inflight *slot_of(struct core *c, const struct loop *l)
{
    unsigned n = atomic_load(&c->n_loops);

    for (unsigned i = 0; i < n; i++)
        if (c->loops[i].loop == l)
            return &c->loops[i];
    die("core_handle on a loop that is not attached");
}

static void answer_now(struct core_call *call, struct error *e)
{
    call->error = e;
    call->done(call);
}

static struct error *not_active(struct core *c, struct request *rq)
{
    if (core_state(c) == CORE_STANDBY)
        return fail(rq, ERR_STANDBY, "local node not active but active cluster node not found");
    if (str_eq(rq->path, STR("sys/rekey/init")))
        return fail(rq, ERR_SEALED, "node is not active");
    return fail(rq, ERR_SEALED, "Vault is sealed");
}

static bool fits_quota(struct core *c, struct core_call *call, struct inflight *slot)
{
    unsigned parity;
    struct active *a = active_enter(c, slot, &parity);
    bool fits = !a || quota_enter(a, call, slot->scratch);

    if (a)
        active_leave(slot, parity);
    return fits;
}

static void list_live(struct call_state *cs)
{
    cs->live_next = cs->slot->calls;
    if (cs->live_next)
        cs->live_next->live_prev = cs;
    cs->slot->calls = cs;
}

static void unlist_live(struct call_state *cs)
{
    if (cs->live_prev)
        cs->live_prev->live_next = cs->live_next;
    else
        cs->slot->calls = cs->live_next;
    if (cs->live_next)
        cs->live_next->live_prev = cs->live_prev;
}

void core_handle(struct core *c, struct core_call *call)
{
    struct request *rq = &call->rq;
    struct inflight *slot = slot_of(c, call->loop);
    enum err_kind why = ERR_SEALED;
    unsigned parity;

    rq->core = c;
    rq->clock = c->config.clock;
    rq->rng = c->config.rng;
    call->state = NULL;
    if (atomic_load(&c->has_quotas) && !fits_quota(c, call, slot)) {
        answer_now(call, call->error);
        return;
    }
    if (sys_sealed_handle(c, call))
        return;
    if (str_ends(rq->path, STR("/")) && (rq->op == OP_UPDATE || rq->op == OP_PATCH)) {
        answer_now(call, core_state(c) == CORE_ACTIVE
                             ? fail(rq, ERR_BAD_REQUEST, "cannot write to a path ending in '/'")
                             : not_active(c, rq));
        return;
    }
    struct active *a = active_enter(c, slot, &parity);

    if (!a) {
        answer_now(call, not_active(c, rq));
        return;
    }
    struct call_state *cs = ARENA_NEW(rq->arena, struct call_state);

    *cs = (struct call_state){.call = call, .active = a, .slot = slot, .parity = parity};
    cs->started_ns = clock_mono_ns(clock_real());
    cs->deadline_ns = cs->started_ns + c->config.config->default_max_request_duration_ns;
    call->state = cs;
    cs->op_asked = rq->op;
    list_live(cs);
    arena_defer(rq->arena, memos_free, cs);
    arena_defer(rq->arena, free_walks, rq);
    cs->mark = arena_mark(rq->arena);
    call_run(cs, TXN_LOOP);
    if (cs->txn.stop == TXN_GO) {
        finished_push(slot, cs);
    } else if (cs->txn.stop == TXN_WOULD_BLOCK) {
        if (!call_to_pool(cs, TXN_POOL))
            answer_now(call, fail(rq, ERR_BUSY, "too many reads are waiting"));
    } else if (cs->txn.stop == TXN_WANTS_SLOW) {
        call_to_slow_pool(cs);
    } else {
        cs->in_lane = true;
        if (!lane_submit(a->lane, cs, &why))
            answer_now(call, fail(rq, why, "%s",
                                  why == ERR_BUSY ? "too many writes are waiting" : "Vault is sealed"));
    }
}

void core_call_end(struct core_call *call)
{
    struct call_state *cs = call->state;

    if (!cs)
        return;
    call->state = NULL;
    unlist_live(cs);
    arena_reset_to(call->rq.arena, cs->mark); /* references go before the hold on active */
    active_leave(cs->slot, cs->parity);
}

void core_attach_loop(struct core *c, struct loop *l)
{
    unsigned i = atomic_load(&c->n_loops);

    if (i == CORE_LOOPS_MAX)
        die("more loops than the core serves");
    struct inflight *slot = &c->loops[i];

    slot->loop = l;
    slot->core = c;
    slot->finished_end = &slot->finished;
    slot->scratch = arena_new(0);
    slot->hook.fn = turn_end;
    loop_before_sleep(l, &slot->hook);
    atomic_store(&c->n_loops, i + 1);
}

/* ---- internal requests ---- */

static struct call_state *internal_new(struct active *a, handler_fn *fn, void *arg,
                                       void (*done)(const struct error *e, void *arg))
{
    struct arena *arena = arena_new(96 * 1024 * 1024);
    struct call_state *cs = ARENA_NEW(arena, struct call_state);
    struct core *c = a->core;

    *cs = (struct call_state){
        .active = a, .internal_fn = fn, .internal_done = done, .in_lane = true, .unaudited = true};
    cs->parity = a->generation & 1;
    atomic_fetch_add(&c->internal.n[cs->parity], 1);
    cs->call = &cs->internal_call;
    cs->call->state = cs;
    cs->call->rq = (struct request){.arena = arena,
                                    .core = c,
                                    .clock = c->config.clock,
                                    .rng = c->config.rng,
                                    .op = OP_UPDATE,
                                    .internal_arg = arg};
    arena_defer(arena, memos_free, cs);
    arena_defer(arena, free_walks, &cs->call->rq);
    cs->mark = arena_mark(arena);
    return cs;
}

static void internal_refused(struct call_state *cs)
{
    struct core *c = cs->active->core;
    unsigned parity = cs->parity;

    arena_free(cs->call->rq.arena);
    active_leave(&c->internal, parity);
}

bool internal_submit(struct active *a, handler_fn *fn, void *arg,
                     void (*done)(const struct error *e, void *arg))
{
    struct call_state *cs = internal_new(a, fn, arg, done);
    enum err_kind why = ERR_SEALED;

    if (lane_submit(a->lane, cs, &why))
        return true;
    internal_refused(cs);
    return false;
}

bool internal_read(struct active *a, handler_fn *fn, void *arg,
                   void (*done)(const struct error *e, void *arg))
{
    struct call_state *cs = internal_new(a, fn, arg, done);

    cs->in_lane = false;
    if (call_to_pool(cs, TXN_POOL))
        return true;
    internal_refused(cs);
    return false;
}
