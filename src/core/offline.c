#include "core/offline.h"

#include "core/active_private.h"
#include "core/autoseal.h"
#include "core/root_change.h"

#include <stdio.h>

struct core_seals core_seals(struct core *c)
{
    struct core_seals s = {0};

    mutex_lock(&c->mutex);
    snprintf(s.from, sizeof(s.from), "%s", c->seal_config.type);
    s.shares_needed = c->seal_config.threshold;
    s.due = c->migration.pending;
    mutex_unlock(&c->mutex);
    snprintf(s.to, sizeof(s.to), "%s", c->seal ? seal_type(c->seal) : "shamir");
    return s;
}

struct offline {
    struct post post;
    struct core *core;
    struct arena *arena;
    enum core_offline what;
    const bytes *shares;
    size_t n;
    struct error *error;
    struct mutex mutex;
    struct cond cond;
    bool done; /* lock: mutex */
};

static struct error *check(struct core *c, struct arena *a, const bytes *shares, size_t n)
{
    struct unseal_progress *p = unseal_progress_new(c->config.rng);
    struct root_change_left *left;
    struct secret *key = NULL, *back = NULL;
    bytes blob;

    for (size_t i = 0; i < n; i++)
        unseal_progress_add(p, shares[i]);
    struct error *e = unseal_progress_join(p, a, c->seal_config.threshold, &key);

    unseal_progress_free(p);
    if (!e)
        e = root_change_load(c->config.storage, a, &left);
    if (!e && !left) /* else the shares are tried when the change that was cut short is finished */
        e = core_check_key(c, a, secret_reveal(key));
    secret_free(key);
    TRY(e);
    if (!c->seal)
        return NULL;
    TRY(autoseal_encrypt(c->autoseal, c->seal, a, bytes_from_str(STR("a")), &blob));
    TRY(autoseal_decrypt(c->autoseal, c->seal, a, blob, &back));
    secret_free(back);
    return NULL;
}

static struct error *give(struct core *c, struct arena *a, const bytes *shares, size_t n, bool migrate)
{
    for (size_t i = 0; i < n; i++)
        TRY(core_unseal_share(c, a, shares[i], migrate));
    return core_state(c) > CORE_SEALED
               ? NULL
               : error_new(a, ERR_BAD_REQUEST, "these shares are too few, or one twice");
}

static void run(struct loop *l, struct post *post)
{
    struct offline *o = CONTAINER_OF(post, struct offline, post);
    struct core *c = o->core;

    (void)l;
    switch (o->what) {
    case OFFLINE_CHECK: o->error = check(c, o->arena, o->shares, o->n); break;
    case OFFLINE_MIGRATE: o->error = give(c, o->arena, o->shares, o->n, true); break;
    case OFFLINE_OPEN:
        o->error =
            c->stored_seal ? autoseal_try(c->autoseal, o->arena) : give(c, o->arena, o->shares, o->n, false);
        break;
    }
    wipe_stack();
    mutex_lock(&o->mutex);
    o->done = true;
    cond_signal(&o->cond);
    mutex_unlock(&o->mutex);
}

struct error *core_offline(struct core *c, struct arena *a, enum core_offline what, const bytes *shares,
                           size_t n)
{
    struct offline o = {.core = c, .arena = a, .what = what, .shares = shares, .n = n, .post.fn = run};

    mutex_init(&o.mutex);
    cond_init(&o.cond);
    loop_post(c->control, &o.post);
    mutex_lock(&o.mutex);
    while (!o.done)
        cond_wait(&o.cond, &o.mutex);
    mutex_unlock(&o.mutex);
    cond_done(&o.cond);
    mutex_done(&o.mutex);
    return o.error;
}
