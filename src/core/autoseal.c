#include "core/autoseal.h"

#include "base/log.h"
#include "base/metrics.h"
#include "core/active_private.h"
#include "seal/blob.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { RETRY_S = 5, QUEUE_MAX = 64 };
enum { RECOVERY_KEY, STORED_KEYS, REWRAPPED_COUNT };

static const char stored_keys_path[] = "core/hsm/barrier-unseal-keys",
                  recovery_key_path[] = "core/recovery-key";

struct autoseal {
    struct core *core;
    struct pool *pool;
    struct loop_timer retry, health, keep;
    bool trying;         /* a try is under way or its timer is set */
    uint64_t generation; /* of tries: an answer to an older one is not used */
    bool closed;         /* nothing is asked any more */
    bool unhealthy;
    int64_t healthy_ns; /* the last success, monotonic */
};

/* One question to the service. Made by the control thread, run on the pool's, answered to the control
 * thread. */
struct question {
    struct job job;
    struct post post;
    struct autoseal *owner;
    struct seal *seal;
    struct arena *arena; /* its own: error and blobs */
    void (*ask)(struct question *q);
    void (*answered)(struct question *q);
    uint64_t generation;
    struct error *error;
    struct secret *clear;
    bytes blobs[REWRAPPED_COUNT], rewrapped[REWRAPPED_COUNT];
    int64_t next_ns;   /* of keep */
    bool drops_change; /* core/coffer-root-change was left behind, and this node has the new root key */
};

static void question_free(struct question *q)
{
    secret_free(q->clear);
    arena_free(q->arena);
}

static void question_answered(struct loop *l, struct post *p)
{
    struct question *q = CONTAINER_OF(p, struct question, post);

    (void)l;
    q->answered(q);
}

static void question_ask(struct job *j)
{
    struct question *q = CONTAINER_OF(j, struct question, job);

    q->ask(q);
    wipe_stack(); /* keys went through */
    loop_post(q->owner->core->control, &q->post);
}

static struct question *question_new(struct autoseal *s, void (*ask)(struct question *q),
                                     void (*answered)(struct question *q))
{
    struct arena *a = arena_new(0);
    struct question *q = ARENA_NEW(a, struct question);

    *q = (struct question){.owner = s, .arena = a, .ask = ask, .answered = answered, .seal = s->core->seal};
    q->job.fn = question_ask;
    q->post.fn = question_answered;
    return q;
}

static void question_send(struct question *q)
{
    if (q->owner->closed) {
        question_free(q);
        return;
    }
    if (pool_submit(q->owner->pool, &q->job))
        return;
    q->error = error_new(q->arena, ERR_BUSY, "too much waits for the key service");
    loop_post(q->owner->core->control, &q->post);
}

/* ---- questions that are waited for ---- */

struct waited {
    struct job job;
    struct seal *seal;
    struct arena *arena;
    bool encrypts;
    bytes in, *ret_blob;
    struct secret **ret_clear;
    struct error *error;
    struct mutex mutex;
    struct cond cond;
    bool done; /* lock: mutex */
};

static void waited_run(struct job *j)
{
    struct waited *w = CONTAINER_OF(j, struct waited, job);

    w->error = w->encrypts ? seal_encrypt(w->seal, w->arena, w->in, w->ret_blob)
                           : seal_decrypt(w->seal, w->arena, w->in, w->ret_clear);
    wipe_stack();
    mutex_lock(&w->mutex);
    w->done = true;
    cond_signal(&w->cond);
    mutex_unlock(&w->mutex);
}

static struct error *wait_for(struct autoseal *s, struct waited *w)
{
    w->job.fn = waited_run;
    mutex_init(&w->mutex);
    cond_init(&w->cond);
    if (pool_submit(s->pool, &w->job)) {
        mutex_lock(&w->mutex);
        while (!w->done)
            cond_wait(&w->cond, &w->mutex);
        mutex_unlock(&w->mutex);
    } else {
        w->error = error_new(w->arena, ERR_BUSY, "too much waits for the key service");
    }
    cond_done(&w->cond);
    mutex_done(&w->mutex);
    return w->error;
}

struct error *autoseal_encrypt(struct autoseal *s, struct seal *with, struct arena *a, bytes clear,
                               bytes *ret_blob)
{
    return wait_for(
        s, &(struct waited){.seal = with, .arena = a, .encrypts = true, .in = clear, .ret_blob = ret_blob});
}

struct error *autoseal_decrypt(struct autoseal *s, struct seal *with, struct arena *a, bytes blob,
                               struct secret **ret_clear)
{
    return wait_for(s, &(struct waited){.seal = with, .arena = a, .in = blob, .ret_clear = ret_clear});
}

/* With the seal that has sealed the store, else the other: a migration between them may have been cut
 * short. */
static struct error *decrypt_stored(struct autoseal *s, struct arena *a, bytes blob, struct secret **ret)
{
    struct core *c = s->core;

    mutex_lock(&c->mutex);
    struct seal *stored = c->stored_seal;

    mutex_unlock(&c->mutex);
    if (!stored)
        return error_new(a, ERR_INTERNAL, "no key service has sealed this store");
    struct seal *other = stored == c->config.seal ? c->config.disabled_seal : c->config.seal;
    struct error *e = autoseal_decrypt(s, stored, a, blob, ret);

    return e && other && !autoseal_decrypt(s, other, a, blob, ret) ? NULL : e;
}

struct error *autoseal_root_key(struct autoseal *s, struct arena *a, bytes key, struct secret **ret)
{
    struct secret *clear = NULL;
    bytes blob;

    TRY(storage_get(s->core->config.storage, a, str_from_cstr(stored_keys_path), &blob));
    if (!blob.p)
        return error_new(a, ERR_INTERNAL, "stored unseal keys are supported, but none were found");
    struct error *e = decrypt_stored(s, a, blob, &clear);

    if (e && key.p && !seal_blob_open(a, blob, key, ret))
        return NULL;
    if (e)
        return error_new(a, e->kind,
                         "unable to retrieve stored keys: failed to decrypt keys from storage: %.*s",
                         PSTR(e->text));
    e = stored_keys_root(a, secret_reveal(clear), ret);
    secret_free(clear);
    return e;
}

struct error *autoseal_check_recovery(struct autoseal *s, struct arena *a, bytes key)
{
    struct secret *clear = NULL;
    bytes blob;

    TRY(storage_get(s->core->config.storage, a, str_from_cstr(recovery_key_path), &blob));
    if (!blob.p)
        return error_new(a, ERR_INTERNAL, "no recovery key found");
    struct error *e = decrypt_stored(s, a, blob, &clear);

    if (e)
        return error_new(a, e->kind, "failed to decrypt encrypted stored keys: %.*s", PSTR(e->text));
    bool same = secret_equal(secret_reveal(clear), key);

    secret_free(clear);
    return same ? NULL
                : error_new(a, ERR_BAD_REQUEST,
                            "invalid key: failed to verify recovery key: recovery key does not match "
                            "submitted values");
}

/* What is kept of an answer: a byte that tells whether it worked, then the result or the error's text. */
static bytes answer_of(struct arena *a, const struct error *e, bytes result)
{
    uint8_t head = e ? (uint8_t)(1 + e->kind) : 0;

    return bytes_from_str(arena_join(a, (str){(char *)&head, 1}, e ? e->text : str_from_bytes(result)));
}

static struct error *answer_take(struct arena *a, bytes answer, bytes *ret)
{
    bytes rest = {answer.p + 1, answer.n - 1};

    if (answer.p[0] != 0)
        return error_new(a, (enum err_kind)(answer.p[0] - 1), "%.*s", PSTR(str_from_bytes(rest)));
    *ret = rest;
    return NULL;
}

static bytes encrypt_for(struct request *rq, bytes clear, bytes unused)
{
    struct core *c = rq->core;
    bytes blob = {0};

    (void)unused;
    struct error *e = autoseal_encrypt(c->autoseal, c->seal, rq->arena, clear, &blob);

    return answer_of(rq->arena, e, blob);
}

struct error *autoseal_encrypt_in(struct request *rq, bytes clear, bytes *ret_blob)
{
    bytes answer;

    TRY(request_memo(rq, encrypt_for, clear, (bytes){0}, &answer));
    return answer_take(rq->arena, answer, ret_blob);
}

static bytes check_for(struct request *rq, bytes key, bytes unused)
{
    (void)unused;
    return answer_of(rq->arena, autoseal_check_recovery(rq->core->autoseal, rq->arena, key), (bytes){0});
}

struct error *autoseal_check_recovery_in(struct request *rq, bytes key)
{
    bytes answer, unused;

    TRY(request_memo(rq, check_for, key, (bytes){0}, &answer));
    return answer_take(rq->arena, answer, &unused);
}

/* ---- unsealing ---- */

static void try_failed(struct autoseal *s, str why)
{
    log_warn("core", "failed to unseal core", F_STR("error", why), F_CSTR("seal", seal_type(s->core->seal)));
    loop_timer_set(s->core->control, &s->retry, RETRY_S * NS_PER_S);
}

static struct error *open_clear(struct core *c, struct arena *a, bytes clear)
{
    struct secret *root = NULL;

    TRY(stored_keys_root(a, clear, &root));
    struct error *e = core_unseal_root(c, a, secret_reveal(root));

    secret_free(root);
    if (!e)
        log_info("core", "unsealed with stored key");
    return e;
}

static void try_ask(struct question *q)
{
    q->error = seal_decrypt(q->seal, q->arena, q->blobs[0], &q->clear);
    if (q->error)
        q->error = error_new(q->arena, ERR_INTERNAL,
                             "fetching stored unseal keys failed: failed to decrypt keys from storage: %.*s",
                             PSTR(q->error->text));
}

static void try_answered(struct question *q)
{
    struct autoseal *s = q->owner;

    if (s->trying && q->generation == s->generation && core_state(s->core) == CORE_SEALED) {
        if (!q->error)
            q->error = open_clear(s->core, q->arena, secret_reveal(q->clear));
        if (q->error)
            try_failed(s, q->error->text);
        else
            s->trying = false;
    }
    wipe_stack();
    question_free(q);
}

/* Another node may have initialised the store meanwhile. */
static struct error *stored_keys(struct core *c, struct arena *a, bytes *ret)
{
    TRY(core_refresh_seal_config(c, a));
    if (core_state(c) == CORE_UNINITIALISED)
        return error_new(a, ERR_INTERNAL, "stored unseal keys are supported, but none were found");
    TRY(core_need_seal_config(c, a));
    TRY(storage_get(c->config.storage, a, str_from_cstr(stored_keys_path), ret));
    return ret->p ? NULL
                  : error_new(a, ERR_INTERNAL, "stored unseal keys are supported, but none were found");
}

static void retry(struct loop *l, struct loop_timer *t)
{
    struct autoseal *s = CONTAINER_OF(t, struct autoseal, retry);

    (void)l;
    if (core_state(s->core) > CORE_SEALED) {
        log_warn("core", "attempted unseal with stored keys, but vault is already unsealed");
        s->trying = false;
        return;
    }
    log_info("core", "stored unseal keys supported, attempting fetch");
    struct question *q = question_new(s, try_ask, try_answered);
    struct error *e = stored_keys(s->core, q->arena, &q->blobs[0]);

    q->generation = ++s->generation;
    if (e) {
        try_failed(s, e->text);
        question_free(q);
    } else {
        question_send(q);
    }
}

static void keep_ask(struct question *q)
{
    q->next_ns = seal_keep(q->seal, q->arena);
}

static void keep_answered(struct question *q)
{
    if (q->next_ns > 0)
        loop_timer_set(q->owner->core->control, &q->owner->keep, q->next_ns);
    question_free(q);
}

static void keep_tick(struct loop *l, struct loop_timer *t)
{
    (void)l;
    question_send(question_new(CONTAINER_OF(t, struct autoseal, keep), keep_ask, keep_answered));
}

void autoseal_keep(struct autoseal *s)
{
    loop_timer_set(s->core->control, &s->keep, 0);
}

void autoseal_begin(struct autoseal *s)
{
    s->trying = true;
    loop_timer_set(s->core->control, &s->retry, 0);
}

struct error *autoseal_try(struct autoseal *s, struct arena *a)
{
    struct secret *root = NULL;

    log_info("core", "stored unseal keys supported, attempting fetch");
    struct error *e = autoseal_root_key(s, a, (bytes){0}, &root);

    if (!e)
        e = core_unseal_root(s->core, a, secret_reveal(root));
    secret_free(root);
    if (e)
        log_warn("core", "failed to unseal core", F_STR("error", e->text));
    else
        log_info("core", "unsealed with stored key");
    return e;
}

void autoseal_stop(struct autoseal *s)
{
    if (!s)
        return;
    s->trying = false;
    s->generation++;
    loop_timer_clear(s->core->control, &s->retry);
}

/* ---- new keys of the service ---- */

static void rewrap_ask(struct question *q)
{
    struct arena *a = q->arena;
    bytes unused;

    q->error = seal_encrypt(q->seal, a, bytes_from_str(STR("a")), &unused); /* tells the key in use */
    for (size_t i = 0; !q->error && i < REWRAPPED_COUNT; i++) {
        struct seal_blob b;
        struct secret *clear = NULL;

        if (!q->blobs[i].p || !seal_blob_parse(q->blobs[i], &b) || str_eq(b.key_id, seal_key_id(q->seal)))
            continue;
        if (i == STORED_KEYS) /* known: it need not be read */
            clear = secret_from(stored_keys_text(a, secret_reveal(q->clear)));
        else
            q->error = seal_decrypt(q->seal, a, q->blobs[i], &clear);
        if (!q->error)
            q->error = seal_encrypt(q->seal, a, secret_reveal(clear), &q->rewrapped[i]);
        secret_free(clear);
    }
}

static struct error *rewrap_write(struct request *rq, struct response *rs)
{
    static const char *const paths[REWRAPPED_COUNT] = {recovery_key_path, stored_keys_path};
    static const char *const words[REWRAPPED_COUNT] = {"upgrading recovery key", "upgrading stored keys"};
    struct question *q = rq->internal_arg;

    (void)rs;
    TRY(txn_exclusive(rq->txn));
    for (size_t i = 0; i < REWRAPPED_COUNT; i++) {
        bytes now;

        if (!q->rewrapped[i].p)
            continue;
        TRY(txn_get_raw(rq->txn, str_from_cstr(paths[i]), &now)); /* a rekey may have been faster */
        if (!str_eq(str_from_bytes(now), str_from_bytes(q->blobs[i])))
            continue;
        log_info("core", words[i]);
        TRY(txn_put_raw(rq->txn, str_from_cstr(paths[i]), q->rewrapped[i]));
    }
    struct view core = txn_view(rq->txn, SPACE_CORE);

    return q->drops_change ? view_delete(&core, STR("coffer-root-change")) : NULL;
}

static void rewrap_done(const struct error *e, void *arg)
{
    if (e)
        log_warn("core", "post-unseal upgrade seal keys failed", F_STR("error", e->text));
    question_free(arg);
}

static void rewrap_answered(struct question *q)
{
    struct active *a = atomic_load(&q->owner->core->active);
    bool due = q->rewrapped[RECOVERY_KEY].p || q->rewrapped[STORED_KEYS].p || q->drops_change;

    if (atomic_load(&q->owner->core->config.seal_host->cancelled))
        ; /* the process ends: it was broken off, and is asked again at the next start */
    else if (q->error)
        log_warn("core", "post-unseal upgrade seal keys failed", F_STR("error", q->error->text));
    else if (due && a && a->generation == q->generation && internal_submit(a, rewrap_write, q, rewrap_done))
        return;
    question_free(q);
}

/* ---- health ---- */

static void health_ask(struct question *q)
{
    q->error = seal_test(q->seal, q->arena);
}

static void health_answered(struct question *q)
{
    struct autoseal *s = q->owner;
    struct active *a = atomic_load(&s->core->active);
    struct seal_health h = seal_health(q->seal);
    int64_t now_ns = clock_mono_ns(s->core->config.clock);

    if (a && a->generation == q->generation) {
        if (q->error) {
            log_line(LOG_WARN, "core", arena_cstr(q->arena, q->error->text),
                     &F_STR("error", q->error->cause ? q->error->cause->text : q->error->text), 1);
        } else {
            log_debug("core", "seal health test passed");
            if (s->unhealthy)
                log_info("core", "seal backend is now healthy again",
                         F_STR("downtime", duration_format(q->arena, now_ns - s->healthy_ns)));
            s->healthy_ns = now_ns;
        }
        s->unhealthy = q->error != NULL;
        metric_gauge(STR("seal.unreachable.time"), NULL, 0, (double)((now_ns - s->healthy_ns) / NS_PER_MS));
        loop_timer_set(s->core->control, &s->health, s->unhealthy ? h.unhealthy_interval_ns : h.interval_ns);
    }
    question_free(q);
}

static void health_tick(struct loop *l, struct loop_timer *t)
{
    struct autoseal *s = CONTAINER_OF(t, struct autoseal, health);
    struct question *q = question_new(s, health_ask, health_answered);

    (void)l;
    q->generation = atomic_load(&s->core->generation);
    question_send(q);
}

static struct error *rewrap_load(struct core *c, struct question *q)
{
    struct storage *from = c->config.storage;
    bytes change;

    TRY(storage_get(from, q->arena, str_from_cstr(recovery_key_path), &q->blobs[RECOVERY_KEY]));
    TRY(storage_get(from, q->arena, str_from_cstr(stored_keys_path), &q->blobs[STORED_KEYS]));
    TRY(storage_get(from, q->arena, STR("core/coffer-root-change"), &change));
    q->drops_change = change.p != NULL && !c->ha;
    return barrier_root_key(c->opened->barrier, q->arena, &q->clear);
}

/* Very old stores have the settings of the recovery shares inside the barrier. What cannot be read stays
 * there: outside it would keep the store shut. */
static struct error *move_recovery_config(struct request *rq, struct response *rs)
{
    struct view core = txn_view(rq->txn, SPACE_CORE);
    struct seal_config unused = {0};
    bytes now, old;

    (void)rs;
    TRY(view_get(&core, STR("recovery-seal-config"), &old));
    if (!old.p)
        return NULL;
    TRY(txn_get_raw(rq->txn, STR("core/recovery-config"), &now));
    if (!now.p) {
        TRY(recovery_config_parse(rq->arena, old, &unused));
        TRY(txn_put_raw(rq->txn, STR("core/recovery-config"), old));
    }
    return view_delete(&core, STR("recovery-seal-config"));
}

static void find_recovery_config(struct core *c)
{
    struct arena *a = arena_new(0);
    bool exists;
    struct error *e = active_run(atomic_load(&c->active), a, move_recovery_config, NULL);

    if (!e)
        e = core_load_seal_config(c, a, &exists);
    if (e)
        log_warn("core", "the settings of the recovery shares cannot be moved",
                 F_STR("error", error_log_text(a, e)));
    arena_free(a);
}

void autoseal_active(struct autoseal *s)
{
    struct core *c = s->core;

    if (!c->seal || c->stored_seal != c->seal)
        return;
    if (c->seal_config.threshold == 0)
        find_recovery_config(c);
    struct question *q = question_new(s, rewrap_ask, rewrap_answered);
    struct error *e = rewrap_load(c, q);

    q->generation = atomic_load(&c->generation);
    if (e) {
        log_warn("core", "post-unseal upgrade seal keys failed", F_STR("error", e->text));
        question_free(q);
    } else {
        question_send(q);
    }
    s->unhealthy = false;
    s->healthy_ns = clock_mono_ns(c->config.clock);
    if (!seal_health(c->seal).disabled)
        loop_timer_set(c->control, &s->health, seal_health(c->seal).interval_ns);
}

void autoseal_inactive(struct autoseal *s)
{
    if (s)
        loop_timer_clear(s->core->control, &s->health);
}

/* ---- */

struct autoseal *autoseal_new(struct core *c)
{
    struct autoseal *s = calloc(1, sizeof(*s));

    if (!s)
        die("out of memory");
    *s = (struct autoseal){.core = c, .retry.fn = retry, .health.fn = health_tick, .keep.fn = keep_tick};
    s->pool = pool_new("seal", 1, QUEUE_MAX);
    return s;
}

void autoseal_close(struct autoseal *s)
{
    s->closed = true;
    autoseal_stop(s);
    autoseal_inactive(s);
    loop_timer_clear(s->core->control, &s->keep);
}

void autoseal_end(struct autoseal *s)
{
    if (s)
        pool_free(TAKE(s->pool));
}

void autoseal_free(struct autoseal *s)
{
    free(s);
}
