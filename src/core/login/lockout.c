#include "base/log.h"
#include "config/config.h"
#include "core/active_private.h"
#include "core/lease/member.h"
#include "core/login/lockout_private.h"
#include "core/stored.h"
#include "core/txn_private.h"

#include <stdlib.h>

struct lockout *lockout_new(void)
{
    struct lockout *l = calloc(1, sizeof(*l));

    if (!l)
        die("out of memory");
    mutex_init(&l->mutex);
    return l;
}

void lockout_free(struct lockout *l)
{
    if (!l)
        return;
    mutex_done(&l->mutex);
    free(l);
}

/* ---- counts ---- */

struct place {
    size_t set; /* keyed at random per process: nobody aims at another's place */
    uint8_t key[SHA256_BYTES];
};

static struct place place_of(struct arena *a, str accessor, str alias)
{
    str text = arena_fmt(a, "%.*s/%.*s", PSTR(accessor), PSTR(alias));
    struct place p = {.set = str_hash(text) % LOCKOUT_SETS};

    sha256(p.key, bytes_from_str(text), (bytes){0});
    return p;
}

static struct lockout_entry *find_locked(struct lockout *l, const struct place *p) REQUIRES(&l->mutex)
{
    for (int i = 0; i < LOCKOUT_WAYS; i++) {
        struct lockout_entry *c = &l->entries[p->set][i];

        if (c->n && memcmp(c->key, p->key, sizeof(c->key)) == 0)
            return c;
    }
    return NULL;
}

static struct lockout_entry *take_locked(struct lockout *l, const struct place *p) REQUIRES(&l->mutex)
{
    struct lockout_entry *oldest = &l->entries[p->set][0];

    for (int i = 0; i < LOCKOUT_WAYS; i++) {
        struct lockout_entry *c = &l->entries[p->set][i];

        if (c->n == 0 || (oldest->n && c->last_s < oldest->last_s))
            oldest = c;
    }
    *oldest = (struct lockout_entry){.n = 0};
    memcpy(oldest->key, p->key, sizeof(p->key));
    return oldest;
}

static bool look(struct lockout *l, const struct place *p, struct lockout_entry *ret)
{
    mutex_lock(&l->mutex);
    const struct lockout_entry *c = find_locked(l, p);

    if (c)
        *ret = *c;
    mutex_unlock(&l->mutex);
    return c != NULL;
}

static uint32_t count_one(struct lockout *l, const struct place *p, int64_t now_s, int64_t reset_s)
{
    mutex_lock(&l->mutex);
    struct lockout_entry *c = find_locked(l, p);

    if (!c)
        c = take_locked(l, p);
    else if (now_s > c->last_s + reset_s)
        c->n = 0;
    uint32_t n = ++c->n;

    c->last_s = now_s;
    mutex_unlock(&l->mutex);
    return n;
}

static void uncount_one(struct lockout *l, const struct place *p)
{
    mutex_lock(&l->mutex);
    struct lockout_entry *c = find_locked(l, p);

    if (c)
        c->n--;
    mutex_unlock(&l->mutex);
}

static void forget(struct lockout *l, const struct place *p)
{
    mutex_lock(&l->mutex);
    struct lockout_entry *c = find_locked(l, p);

    if (c)
        c->n = 0;
    mutex_unlock(&l->mutex);
}

/* ---- the rule of a mount ---- */

static int64_t or_else(int64_t own, int64_t other)
{
    return own > 0 ? own : other;
}

static bool is_supported(str type)
{
    return str_eq(type, STR("userpass")) || str_eq(type, STR("ldap")) || str_eq(type, STR("approle"));
}

struct lockout_rule lockout_rule_of(const struct request *rq, const struct mount *m)
{
    const struct config *config = rq->core->config.config;
    struct config_lockout c = config_lockout_of(config, m->type);
    const struct json *own = member_object(member_object(m->entry, "config"), "user_lockout_config");

    return (struct lockout_rule){
        .threshold = or_else(member_int(own, "lockout_threshold"), c.threshold),
        .duration_ns = or_else(member_int(own, "lockout_duration"), c.duration_ns),
        .counter_reset_ns = or_else(member_int(own, "lockout_counter_reset"), c.counter_reset_ns),
        .disabled = !is_supported(m->type) || config->disable_user_lockout || c.disabled ||
                    member_bool(own, "disable_lockout"),
    };
}

/* ---- what is stored ---- */

/* Names that some storage does not take, of logins that may claim any: such locks are in memory alone. */
static bool is_storable(str alias)
{
    enum { NAME_MAX_BYTES = 240 };
    size_t longest = 0, n = 0;

    for (size_t i = 0; i < alias.n; i++) {
        n = alias.p[i] == '/' ? 0 : n + 1;
        longest = MAX(longest, n);
    }
    return longest <= NAME_MAX_BYTES && alias.n <= 4 * NAME_MAX_BYTES && str_index(alias, 0) == alias.n &&
           str_find(alias, STR("..")) == alias.n;
}

static str stored_path(struct request *rq, str accessor, str alias)
{
    return arena_fmt(rq->arena, LOCKED_FOLDER "%.*s/%.*s", PSTR(accessor), PSTR(alias));
}

struct error *lockout_stored_get(struct request *rq, str path, bool *ret_found, int64_t *ret_s)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    bytes stored, clear;

    *ret_found = false;
    TRY(view_get(&core, path, &stored));
    if (!stored.p)
        return NULL;
    TRY(stored_unpack(rq->arena, path, stored, &clear));
    *ret_found = str_parse_i64(str_trim(str_from_bytes(clear)), ret_s);
    return NULL;
}

static struct error *stored_put(struct request *rq, str path, int64_t s)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);

    return view_put(&core, path,
                    stored_gzip(rq->arena, bytes_from_str(arena_fmt(rq->arena, "%lld\n", (long long)s))));
}

/* ---- logins ---- */

static int64_t now_s(const struct request *rq)
{
    return clock_wall_ns(rq->clock) / NS_PER_S;
}

struct error *lockout_check(struct request *rq, const struct lockout_rule *rule, str alias)
{
    struct place p = place_of(rq->arena, rq->mount->accessor, alias);
    struct lockout_entry c = {.n = 0};
    bool locked = false;
    int64_t since = 0;

    if (look(active_lockout(rq->active), &p, &c) && c.n > 0) {
        locked = c.n >= rule->threshold;
        since = c.last_s;
    } else if (is_storable(alias)) {
        TRY(lockout_stored_get(rq, stored_path(rq, rq->mount->accessor, alias), &locked, &since));
    }
    if (locked && now_s(rq) - since < rule->duration_ns / NS_PER_S)
        return fail(rq, ERR_DENIED, "permission denied");
    return NULL;
}

struct change { /* of a count, by a request in the lane */
    struct lockout *of;
    struct place place;
};

static struct change *change_new(struct request *rq, const struct place *p)
{
    struct change *c = malloc(sizeof(*c));

    if (!c)
        die("out of memory");
    *c = (struct change){active_lockout(rq->active), *p};
    return c;
}

static void counted(struct active *a, void *arg)
{
    (void)a;
    free(arg);
}

static void uncounted(void *arg)
{
    struct change *c = arg;

    uncount_one(c->of, &c->place);
    free(c);
}

struct error *lockout_count(struct request *rq, const struct lockout_rule *rule, str alias)
{
    struct place p = place_of(rq->arena, rq->mount->accessor, alias);
    bool for_real = rq->txn->mode == TXN_LANE;
    struct lockout_entry c = {.n = 0};
    uint32_t n;

    if (for_real) {
        n = count_one(active_lockout(rq->active), &p, now_s(rq), rule->counter_reset_ns / NS_PER_S);
        txn_on_commit(rq->txn, counted, uncounted, change_new(rq, &p));
    } else {
        (void)look(active_lockout(rq->active), &p, &c);
        n = c.n + 1;
    }
    if (n >= rule->threshold && is_storable(alias))
        TRY(stored_put(rq, stored_path(rq, rq->mount->accessor, alias), now_s(rq)));
    txn_keep(rq->txn);
    return NULL;
}

static void cleared(struct active *a, void *arg)
{
    struct change *c = arg;

    (void)a;
    forget(c->of, &c->place);
    free(c);
}

struct error *lockout_clear(struct request *rq, str mount_accessor, str alias)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    struct place p = place_of(rq->arena, mount_accessor, alias);
    str path = stored_path(rq, mount_accessor, alias);
    struct lockout_entry c;
    bool stored = false;

    if (is_storable(alias))
        TRY(view_has(&core, path, &stored));
    if (stored)
        TRY(view_delete(&core, path));
    if (look(active_lockout(rq->active), &p, &c))
        txn_on_commit(rq->txn, cleared, free, change_new(rq, &p));
    return NULL;
}
