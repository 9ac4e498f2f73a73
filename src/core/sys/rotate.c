/* rotate: sys/rotate, sys/rotate/config, and the timers of the keyring. */
#include "base/log.h"
#include "core/active_private.h"
#include "core/rotation.h"
#include "core/sys/sys.h"

#include <stdlib.h>

/* A standby learns of a new term from core/upgrade/; it looks every ten seconds. */
enum { TICK_S = 300, UPGRADE_S = 120 };

struct rotation {
    struct active *active;
    struct loop_timer tick, clear;
};

/* ---- writing ---- */

static void published(struct active *a, void *arg)
{
    barrier_apply(a->barrier, arg);
}

/* The root key's copy lies where its first owner put it. */
static struct error *write_root_key(struct request *rq, const struct keyring_change *c)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    bytes object;
    bool newer;

    TRY(view_has(&core, STR("root-key"), &newer));
    TRY(keyring_change_root_key_object(c, rq->arena, &object));
    return view_put(&core, newer ? STR("root-key") : STR("master"), object);
}

struct error *keyring_write(struct request *rq, struct keyring_change *own_change)
{
    bytes record;

    txn_on_commit(rq->txn, published, keyring_change_free, own_change);
    TRY(keyring_change_record(own_change, rq->arena, rq->rng, &record));
    TRY(txn_put_raw(rq->txn, STR("core/keyring"), record));
    return write_root_key(rq, own_change);
}

static void arm_clear(struct active *a, void *arg)
{
    (void)arg;
    control_timer_set(a, &a->rotation->clear, UPGRADE_S * NS_PER_S);
}

static struct error *rotate(struct request *rq)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    uint32_t old = barrier_status(rq->active->barrier).term;
    struct keyring_change *c = keyring_change_new(rq->active->barrier);

    keyring_change_add_term(c, rq->rng, clock_wall_ns(rq->clock));
    str canary = arena_fmt(rq->arena, "new-rotation-term-%u", keyring_change_term(c));
    bytes key = keyring_change_key_object(c, rq->arena);

    /* the entries are still made under the old term: the new one is not in use yet */
    TRY(keyring_write(rq, c));
    if (rq->core->ha) {
        TRY(view_put(&core, arena_fmt(rq->arena, "upgrade/%u", old), key));
        txn_on_commit(rq->txn, arm_clear, NULL, NULL);
    }
    return view_put(&core, STR("canary-keyring"), bytes_from_str(canary));
}

static struct error *rotate_write(struct request *rq, struct response *rs)
{
    (void)rs;
    TRY(txn_exclusive(rq->txn));
    return rotate(rq);
}

/* ---- settings ---- */

static struct error *config_read(struct request *rq, struct response *rs)
{
    struct rotation_config c = barrier_rotation_config(rq->active->barrier);
    struct json *data = response_data(rq, rs);

    json_set_bool(rq->arena, data, STR("enabled"), !c.disabled);
    json_set_int(rq->arena, data, STR("max_operations"), (int64_t)c.operations_max);
    if (c.interval_ns)
        json_set_str(rq->arena, data, STR("interval"), duration_format(rq->arena, c.interval_ns));
    else
        json_set_int(rq->arena, data, STR("interval"), 0);
    return NULL;
}

static struct error *config_write(struct request *rq, struct response *rs)
{
    struct rotation_config old, c;

    (void)rs;
    TRY(txn_exclusive(rq->txn));
    old = c = barrier_rotation_config(rq->active->barrier);
    if (field_given(rq, "max_operations"))
        c.operations_max = (uint64_t)MAX(field_int(rq, "max_operations"), 0);
    if (field_given(rq, "interval"))
        c.interval_ns = field_ns(rq, "interval");
    if (field_given(rq, "enabled"))
        c.disabled = !field_bool(rq, "enabled");
    if (c.interval_ns != 0 && c.interval_ns < ROTATION_INTERVAL_MIN_NS)
        return fail(rq, ERR_BAD_REQUEST, "interval must be greater or equal to 24h0m0s");
    if (c.operations_max < ROTATION_OPERATIONS_MIN || c.operations_max > ROTATION_OPERATIONS_MAX)
        return fail(rq, ERR_BAD_REQUEST, "max_operations must be in the range [%llu,%llu]",
                    (unsigned long long)ROTATION_OPERATIONS_MIN, (unsigned long long)ROTATION_OPERATIONS_MAX);
    /* As in Vault, `enabled` is not looked at when nothing else changes. */
    if (c.operations_max == old.operations_max && c.interval_ns == old.interval_ns)
        return NULL;
    struct keyring_change *change = keyring_change_new(rq->active->barrier);

    keyring_change_set_rotation(change, &c);
    return keyring_write(rq, change);
}

/* ---- in the background ---- */

/* Looked at again when it runs alone: a request may have been faster. */
struct error *rotation_tick(struct request *rq, struct response *rs)
{
    struct barrier *b = rq->active->barrier;

    (void)rs;
    TRY(txn_exclusive(rq->txn));
    if (barrier_rotation_due(b, clock_wall_ns(rq->clock)))
        return rotate(rq);
    return barrier_uncounted(b) > 0 ? keyring_write(rq, keyring_change_new(b)) : NULL;
}

struct error *rotation_clear_upgrades(struct request *rq, struct response *rs)
{
    enum { STEP = 32 };
    struct view core = txn_view(rq->txn, SPACE_CORE);
    bool done;

    TRY(view_clear(&core, STR("upgrade/"), STEP, &done));
    return done ? NULL : response_again(rs);
}

static void ended(const struct error *e, void *arg)
{
    (void)arg;
    if (e)
        log_error("core", "the keyring could not be written", F_STR("error", e->text));
}

static void submit(struct rotation *r, handler_fn *fn)
{
    if (!internal_submit(r->active, fn, NULL, ended))
        return; /* sealed meanwhile */
}

static void tick(struct loop *l, struct loop_timer *t)
{
    struct rotation *r = CONTAINER_OF(t, struct rotation, tick);
    struct barrier *b = r->active->barrier;
    const char *reason = barrier_rotation_due(b, clock_wall_ns(active_clock(r->active)));

    loop_timer_set(l, t, TICK_S * NS_PER_S);
    if (reason)
        log_info("core", "automatic barrier key rotation triggered", F_STR("reason", str_from_cstr(reason)));
    if (reason || barrier_uncounted(b) > 0)
        submit(r, rotation_tick);
}

static void clear(struct loop *l, struct loop_timer *t)
{
    (void)l;
    submit(CONTAINER_OF(t, struct rotation, clear), rotation_clear_upgrades);
}

struct rotation *rotation_new(struct active *a)
{
    struct rotation *r = calloc(1, sizeof(*r));

    if (!r)
        die("out of memory");
    *r = (struct rotation){.active = a, .tick.fn = tick, .clear.fn = clear};
    return r;
}

void rotation_start(struct rotation *r)
{
    control_timer_set(r->active, &r->tick, TICK_S * NS_PER_S);
    if (r->active->core->ha) /* what the one before left */
        control_timer_set(r->active, &r->clear, UPGRADE_S * NS_PER_S);
}

void rotation_free(struct rotation *r)
{
    if (!r)
        return;
    control_timer_clear(r->active, &r->tick);
    control_timer_clear(r->active, &r->clear);
    free(r);
}

static const struct field config_fields[] = {
    {"enabled", FT_BOOL, .help = "Are new keys made by themselves?"},
    {"interval", FT_SECONDS, .help = "Age at which a key is replaced, at least 24h; 0: none."},
    {"max_operations", FT_INT, .help = "Encryptions after which a key is replaced."},
    {0},
};

const struct route sys_rotate_routes[] = {
    {"rotate", NULL, .ops = {[OP_UPDATE] = {rotate_write, ROUTE_SUDO, "Makes a new key."}},
     .help = "Makes a new key that everything is encrypted with from now on.",
     .about = "What was written before keeps its key; keys are never dropped."},
    {"rotate/config", config_fields,
     .ops = {[OP_READ] = {config_read, .help = "Shows when new keys are made."},
             [OP_UPDATE] = {config_write, .help = "Sets when new keys are made."}},
     .help = "When new keys are made by themselves."},
    {0},
};
