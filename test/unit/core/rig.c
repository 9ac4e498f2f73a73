#include "rig.h"

#include "auth/methods.h"
#include "core/envelope.h"
#include "crypto/crypto.h"
#include "engine/engines.h"

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

enum { START_S = 1795322188 };

static void done(struct core_call *call)
{
    loop_stop(call->loop);
}

struct waiting_call {
    struct core_call call;
    struct post post;
    struct core *core;
};

static void send(struct loop *l, struct post *p)
{
    struct waiting_call *w = CONTAINER_OF(p, struct waiting_call, post);

    (void)l;
    core_handle(w->core, &w->call);
}

static struct answer copy_answer(struct rig *r, const struct core_call *call)
{
    const struct response *rs = &call->rs;
    struct answer a = {.status = rs->status ? rs->status : response_has_body(rs) ? 200 : 204};

    if (call->error) {
        a.status = error_status(call->error->kind);
        a.error = arena_str(r->arena, call->error->text);
        return a;
    }
    if (rs->data)
        a.data = json_copy(r->arena, rs->data);
    if (rs->auth) {
        a.auth = arena_copy(r->arena, rs->auth, sizeof(*rs->auth));
        a.auth->client_token = arena_str(r->arena, rs->auth->client_token);
        a.auth->accessor = arena_str(r->arena, rs->auth->accessor);
        a.auth->entity_id = arena_str(r->arena, rs->auth->entity_id);
        str *policies = ARENA_ARRAY(r->arena, str, rs->auth->n_policies);

        for (size_t i = 0; i < rs->auth->n_policies; i++)
            policies[i] = arena_str(r->arena, rs->auth->policies[i]);
        a.auth->policies = policies;
        a.auth->metadata = rs->auth->metadata ? json_copy(r->arena, rs->auth->metadata) : NULL;
    }
    if (rs->wrap_info) {
        a.wrap_info = arena_copy(r->arena, rs->wrap_info, sizeof(*rs->wrap_info));
        for (str **s = (str *[]){&a.wrap_info->token, &a.wrap_info->accessor, &a.wrap_info->creation_path,
                                 &a.wrap_info->wrapped_accessor, NULL};
             *s; s++)
            **s = arena_str(r->arena, **s);
    }
    a.raw = arena_str(r->arena, str_from_bytes(rs->raw_body));
    a.warnings = ARENA_ARRAY(r->arena, str, rs->n_warnings);
    a.n_warnings = rs->n_warnings;
    for (size_t i = 0; i < rs->n_warnings; i++)
        a.warnings[i] = arena_str(r->arena, rs->warnings[i]);
    a.lease_duration_s = rs->lease_duration_s;
    a.lease_id = arena_str(r->arena, rs->lease_id);
    a.renewable = rs->renewable;
    return a;
}

struct answer rig_call(struct rig *r, enum op op, const char *path, str token, const char *body)
{
    struct arena *arena = arena_new(0);
    struct waiting_call *w = ARENA_NEW(arena, struct waiting_call);
    struct request *rq = &w->call.rq;
    str p = str_from_cstr(path);

    rq->arena = arena;
    rq->id = rng_uuid_str(rng_system(), arena);
    rq->op = op;
    rq->path = op == OP_LIST && !str_ends(p, STR("/")) ? arena_join(arena, p, STR("/")) : p;
    rq->client_token = token;
    rq->peer.remote_address = STR("127.0.0.1");
    rq->wrap_ttl_ns = r->wrap_ttl_ns;
    rq->wrap_as_jwt = r->wrap_as_jwt;
    if (body)
        assert_ok(json_parse(arena, str_from_cstr(body), false, &rq->data));
    w->core = r->core;
    w->call.loop = r->loop;
    w->call.done = done;
    w->post.fn = send;
    loop_post(r->loop, &w->post);
    loop_run(r->loop);
    struct answer a = copy_answer(r, &w->call);

    core_call_end(&w->call);
    arena_free(arena);
    return a;
}

struct answer rig_must(struct rig *r, int status, enum op op, const char *path, str token, const char *body)
{
    struct answer a = rig_call(r, op, path, token, body);

    if (a.status != status)
        print_error("%s %s %s: %d \"%.*s\"\n", op_name(op), path, body ? body : "", a.status, PSTR(a.error));
    assert_int_equal(a.status, status);
    return a;
}

static void open_core(struct rig *r)
{
    struct core_config c = {
        .storage = r->storage,
        .storage_type = str_from_cstr(r->storage_type),
        .config = config_defaults(r->arena),
        .rng = rng_system(),
        .clock = r->clock,
        .version = STR("1.14.7+coffer.0.1.0"),
        .engines = r->engines,
        .methods = builtin_methods,
    };

    r->core = core_new(&c);
    r->loop = loop_new();
    core_attach_loop(r->core, r->loop);
}

static void unseal(struct rig *r)
{
    str body = arena_fmt(r->arena, "{\"key\":\"%.*s\"}", PSTR(r->key));

    rig_must(r, 200, OP_UPDATE, "sys/unseal", (str){0}, arena_cstr(r->arena, body));
    assert_true(core_wait_state(r->core, CORE_ACTIVE, 20 * NS_PER_S));
}

static void open_storage(struct rig *r)
{
    struct config_pair path = {STR("path"), {0}};
    struct config_block block = {.type = str_from_cstr(r->storage_type), .pairs = &path};

    if (!str_eq(block.type, STR("inmem"))) {
        snprintf(r->folder, sizeof(r->folder), "/tmp/coffer-rig-XXXXXX");
        assert_non_null(mkdtemp(r->folder));
        path.value = str_from_cstr(r->folder);
        block.n = 1;
    }
    assert_ok(storage_open(r->arena, &block, &r->storage));
}

void rig_init(struct rig *r, const char *storage_type)
{
    rig_init_with(r, storage_type, builtin_engines);
}

void rig_init_with(struct rig *r, const char *storage_type, const struct engine *const *engines)
{
    crypto_init();
    *r = (struct rig){.arena = arena_new(0),
                      .clock = clock_manual_new(START_S * NS_PER_S),
                      .storage_type = storage_type,
                      .engines = engines};
    open_storage(r);
    open_core(r);
    struct answer a =
        rig_must(r, 200, OP_UPDATE, "sys/init", (str){0}, "{\"secret_shares\":1,\"secret_threshold\":1}");
    const struct json *keys = json_get(a.data, STR("keys"));

    r->root = json_get_str(a.data, STR("root_token"));
    assert_non_null(keys);
    r->key = keys->items[0]->text;
    unseal(r);
}

void rig_restart(struct rig *r)
{
    core_free(r->core);
    loop_free(r->loop);
    open_core(r);
    unseal(r);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void rig_done(struct rig *r)
{
    core_free(r->core);
    loop_free(r->loop);
    storage_close(r->storage);
    if (r->folder[0])
        nftw(r->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    clock_manual_free(r->clock);
    arena_free(r->arena);
}
