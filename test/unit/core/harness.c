#include "harness.h"

#include "auth/methods.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "engine/engines.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

enum { REQUEST_BYTES_MAX = 96 * 1024 * 1024, READY_S = 60 };

/* ---- calls ---- */

struct harness_call { /* in its own arena */
    struct core_call call;
    struct post post;
    struct harness *harness;
    str body;
    void (*done)(const struct answer *answer, void *arg);
    void *arg;
};

static void answer_fail(struct answer *a, const struct error *e)
{
    a->status = error_status(e->kind);
    a->kind = e->kind;
    a->failed = true;
    a->error = e->text;
}

static struct answer answer_of(struct arena *a, const struct core_call *call)
{
    const struct response *rs = &call->rs;
    struct answer answer = {0};

    if (call->error) {
        answer_fail(&answer, call->error);
        return answer;
    }
    answer.status = rs->status ? rs->status : rs->data || rs->auth || rs->n_warnings ? 200 : 204;
    if (rs->data)
        answer.data = json_text(a, rs->data);
    if (rs->auth) {
        answer.client_token = rs->auth->client_token;
        answer.mfa_request_id = json_get_str(rs->auth->mfa_requirement, STR("mfa_request_id"));
    }
    return answer;
}

/* The hold on struct active ends only when done has returned: as long as a real answer is being made of it.
 * */
static void call_end(struct core_call *call)
{
    struct harness_call *hc = CONTAINER_OF(call, struct harness_call, call);
    struct harness *h = hc->harness;
    struct answer answer = answer_of(call->rq.arena, call);

    hc->done(&answer, hc->arg);
    core_call_end(call);
    arena_free(call->rq.arena);
    mutex_lock(&h->mutex);
    if (--h->n_open == 0)
        cond_broadcast(&h->idle);
    mutex_unlock(&h->mutex);
}

static void call_begin(struct loop *l, struct post *p)
{
    struct harness_call *hc = CONTAINER_OF(p, struct harness_call, post);
    struct request *rq = &hc->call.rq;

    (void)l;
    rq->body_is_empty = hc->body.n == 0;
    if (hc->body.n > 0)
        hc->call.error = json_parse(rq->arena, hc->body, true, &rq->data);
    if (hc->call.error)
        call_end(&hc->call); /* as the front refuses it */
    else
        core_handle(hc->harness->core, &hc->call);
}

void harness_send(struct harness *h, enum op op, const char *path, str token, const char *body,
                  void (*done)(const struct answer *answer, void *arg), void *arg)
{
    struct arena *a =
        arena_new(h->options.request_bytes_max ? h->options.request_bytes_max : REQUEST_BYTES_MAX);
    struct harness_call *hc = ARENA_NEW(a, struct harness_call);
    struct request *rq = &hc->call.rq;

    rq->arena = a;
    rq->id = rng_uuid_str(rng_system(), a);
    rq->op = op;
    rq->path = arena_str(a, str_from_cstr(path));
    if (op == OP_LIST && !str_ends(rq->path, STR("/")))
        rq->path = arena_join(a, rq->path, STR("/"));
    rq->client_token = arena_str(a, token);
    rq->peer.remote_address = STR("127.0.0.1");
    hc->harness = h;
    hc->body = arena_str(a, str_from_cstr(body));
    hc->done = done;
    hc->arg = arg;
    hc->call.loop = h->loops[atomic_fetch_add(&h->next_loop, 1) % h->n_loops].loop;
    hc->call.done = call_end;
    hc->post.fn = call_begin;
    mutex_lock(&h->mutex);
    h->n_open++;
    mutex_unlock(&h->mutex);
    loop_post(hc->call.loop, &hc->post);
}

struct waiter {
    struct mutex mutex;
    struct cond cond;
    struct arena *arena;
    struct answer answer;
    bool done; /* lock: mutex */
};

static void wake(const struct answer *answer, void *arg)
{
    struct waiter *w = arg;

    mutex_lock(&w->mutex);
    w->answer = *answer;
    w->answer.error = arena_str(w->arena, answer->error);
    w->answer.data = arena_str(w->arena, answer->data);
    w->answer.client_token = arena_str(w->arena, answer->client_token);
    w->answer.mfa_request_id = arena_str(w->arena, answer->mfa_request_id);
    w->done = true;
    cond_signal(&w->cond);
    mutex_unlock(&w->mutex);
}

struct answer harness_call(struct harness *h, struct arena *a, enum op op, const char *path, str token,
                           const char *body)
{
    struct waiter w = {.arena = a};

    mutex_init(&w.mutex);
    cond_init(&w.cond);
    harness_send(h, op, path, token, body, wake, &w);
    mutex_lock(&w.mutex);
    while (!w.done)
        cond_wait(&w.cond, &w.mutex);
    mutex_unlock(&w.mutex);
    cond_done(&w.cond);
    mutex_done(&w.mutex);
    return w.answer;
}

struct answer harness_must(struct harness *h, int status, enum op op, const char *path, const char *body)
{
    struct answer a = harness_call(h, h->arena, op, path, h->root, body);

    if (a.status != status)
        print_error("%s %s: %d \"%.*s\"\n", op_name(op), path, a.status, PSTR(a.error));
    assert_int_equal(a.status, status);
    return a;
}

struct json *answer_data(struct arena *a, const struct answer *answer)
{
    struct json *v;

    assert_ok(json_parse(a, answer->data, false, &v));
    return v;
}

/* ---- start and stop ---- */

static struct storage *open_at(struct arena *a, const char *type, const char *folder)
{
    struct config_pair path = {STR("path"), str_from_cstr(folder)};
    struct config_block block = {.type = str_from_cstr(type), .pairs = &path, .n = folder ? 1 : 0};
    struct storage *s;

    assert_ok(storage_open(a, &block, &s));
    return s;
}

struct storage *harness_storage_open(struct arena *a, const char *type, char folder[32])
{
    folder[0] = 0;
    if (str_starts(str_from_cstr(type), STR("inmem")))
        return open_at(a, type, NULL);
    snprintf(folder, 32, "/tmp/coffer-harness-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return open_at(a, type, folder);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void harness_folder_remove(const char *folder)
{
    if (folder[0])
        nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const struct engine **all_engines(struct harness *h)
{
    const struct engine *const *more = h->options.engines;
    size_t n = 0, n_more = 0;

    while (builtin_engines[n])
        n++;
    while (more && more[n_more])
        n_more++;
    const struct engine **all = ARENA_ARRAY(h->arena, const struct engine *, n + n_more + 1);

    for (size_t i = 0; i < n; i++)
        all[i] = builtin_engines[i];
    for (size_t i = 0; i < n_more; i++)
        all[n + i] = more[i];
    return all;
}

static void run_loop(void *arg)
{
    loop_run(arg);
}

static void open_core(struct harness *h)
{
    struct core_config c = {
        .storage = h->storage,
        .storage_type = str_from_cstr(h->storage->ops->type),
        .config = h->config,
        .rng = rng_system(),
        .clock = h->options.clock ? h->options.clock : clock_real(),
        .version = STR("1.14.7+coffer.0.1.0"),
        .engines = all_engines(h),
        .methods = builtin_methods,
        .seal = h->options.seal,
        .seal_host = h->options.seal_host,
    };

    h->core = core_new(&c);
    for (unsigned i = 0; i < h->n_loops; i++) {
        h->loops[i].loop = loop_new();
        core_attach_loop(h->core, h->loops[i].loop);
    }
    if (h->options.seal)
        assert_ok(core_begin(h->core, h->arena));
    if (h->options.opened)
        h->options.opened(h, h->options.arg);
    for (unsigned i = 0; i < h->n_loops; i++)
        thread_start(&h->loops[i].thread, "loop", run_loop, h->loops[i].loop);
}

static void close_core(struct harness *h)
{
    mutex_lock(&h->mutex);
    while (h->n_open > 0)
        cond_wait(&h->idle, &h->mutex);
    mutex_unlock(&h->mutex);
    core_seal(h->core);
    for (unsigned i = 0; i < h->n_loops; i++) {
        loop_stop(h->loops[i].loop);
        thread_join(&h->loops[i].thread);
    }
    core_free(h->core);
    for (unsigned i = 0; i < h->n_loops; i++)
        loop_free(h->loops[i].loop);
}

void harness_unseal(struct harness *h)
{
    str body = arena_fmt(h->arena, "{\"key\":\"%.*s\"}", PSTR(h->key));

    harness_must(h, 200, OP_UPDATE, "sys/unseal", body.p);
    if (!h->options.may_stand_by)
        assert_true(core_wait_state(h->core, CORE_ACTIVE, READY_S * NS_PER_S));
}

static void initialise(struct harness *h)
{
    struct answer a =
        harness_must(h, 200, OP_UPDATE, "sys/init", "{\"secret_shares\":1,\"secret_threshold\":1}");
    const struct json *data = answer_data(h->arena, &a), *keys = json_get(data, STR("keys"));

    h->root = json_get_str(data, STR("root_token"));
    assert_non_null(keys);
    h->key = keys->items[0]->text;
}

void harness_start(struct harness *h, const struct harness_options *options)
{
    crypto_init();
    log_set_level(LOG_ERROR);
    *h = (struct harness){.options = *options, .arena = arena_new(0)};
    h->n_loops = options->loops ? options->loops : 2;
    assert_true(h->n_loops <= HARNESS_LOOPS_MAX);
    mutex_init(&h->mutex);
    cond_init(&h->idle);
    h->config = config_defaults(h->arena);
    if (options->configure)
        options->configure(h->config);
    h->storage = options->storage ? options->storage
                 : options->folder
                     ? open_at(h->arena, options->storage_type, options->folder)
                     : harness_storage_open(h->arena, options->storage_type ? options->storage_type : "inmem",
                                            h->folder);
    open_core(h);
    if (options->stays_sealed)
        return;
    h->root = str_from_cstr(options->root);
    h->key = str_from_cstr(options->key);
    if (!options->key)
        initialise(h);
    harness_unseal(h);
}

void harness_stop(struct harness *h)
{
    close_core(h);
    if (!h->options.storage)
        storage_close(h->storage);
    harness_folder_remove(h->folder);
    cond_done(&h->idle);
    mutex_done(&h->mutex);
    arena_free(h->arena);
}

void harness_restart(struct harness *h)
{
    close_core(h);
    open_core(h);
    harness_unseal(h);
}

/* ---- what tests set up ---- */

void harness_mount(struct harness *h, const char *path, const char *type)
{
    harness_must(h, 204, OP_UPDATE, arena_fmt(h->arena, "sys/mounts/%s", path).p,
                 arena_fmt(h->arena, "{\"type\":\"%s\"}", type).p);
}

void harness_audit_file(struct harness *h, const char *name, const char *file)
{
    harness_must(h, 204, OP_UPDATE, arena_fmt(h->arena, "sys/audit/%s", name).p,
                 arena_fmt(h->arena, "{\"type\":\"file\",\"options\":{\"file_path\":\"%s\"}}", file).p);
}

str harness_token(struct harness *h, const char *policy_name, const char *policy)
{
    struct json *body = json_object(h->arena);

    json_set_str(h->arena, body, STR("policy"), str_from_cstr(policy));
    harness_must(h, 204, OP_UPDATE, arena_fmt(h->arena, "sys/policies/acl/%s", policy_name).p,
                 arena_cstr(h->arena, json_text(h->arena, body)));
    return harness_must(
               h, 200, OP_UPDATE, "auth/token/create",
               arena_fmt(h->arena, "{\"policies\":[\"%s\"],\"no_default_policy\":true}", policy_name).p)
        .client_token;
}
