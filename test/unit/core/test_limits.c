/* What bounds a request, and the answers past the bounds: 413, 400, 503. And what it leaves behind: nothing.
 * */
#include "core/lane.h"
#include "web.h"

#include <sys/socket.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) && !defined(__SANITIZE_ADDRESS__)
#define __SANITIZE_ADDRESS__ 1
#endif
#if __has_feature(thread_sanitizer)
#define SLOW 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

/* ---- an engine that wants too much ---- */

static struct { /* the test's and its handlers' */
    struct mutex mutex;
    struct cond changed;
    bool parked, open; /* lock: mutex */
    void *left;        /* lock: mutex; memory of a request, after it */
} gate;

/* Holds up the lane until the test opens the gate. */
static struct error *gate_park(struct request *rq, struct response *rs)
{
    (void)rq;
    (void)rs;
    mutex_lock(&gate.mutex);
    gate.parked = true;
    cond_broadcast(&gate.changed);
    while (!gate.open)
        cond_wait(&gate.changed, &gate.mutex);
    mutex_unlock(&gate.mutex);
    return NULL;
}

static struct error *gate_nothing(struct request *rq, struct response *rs)
{
    (void)rq;
    (void)rs;
    return NULL;
}

/* Reads one entry without end: each time it is a new copy. */
static struct error *gate_hoard(struct request *rq, struct response *rs)
{
    bytes value;

    (void)rs;
    for (;;)
        TRY(view_get(rq->view, STR("large"), &value));
}

static struct error *gate_large(struct request *rq, struct response *rs)
{
    (void)rs;
    return view_put(rq->view, STR("large"), (bytes){arena_zalloc(rq->arena, 32 * 1024), 32 * 1024});
}

static struct error *gate_leave(struct request *rq, struct response *rs)
{
    mutex_lock(&gate.mutex);
    gate.left = arena_zalloc(rq->arena, 100);
    mutex_unlock(&gate.mutex);
    json_set_bool(rq->arena, response_data(rq, rs), STR("left"), true);
    return NULL;
}

static const struct route gate_routes[] = {
    {"park", .ops = {[OP_UPDATE] = {gate_park}}, .help = "waits"},
    {"nothing", .ops = {[OP_UPDATE] = {gate_nothing}}, .help = "does nothing"},
    {"large", .ops = {[OP_UPDATE] = {gate_large}}, .help = "writes what hoard reads"},
    {"hoard", .ops = {[OP_READ] = {gate_hoard}, [OP_UPDATE] = {gate_hoard}},
     .help = "takes memory without end"},
    {"leave", .ops = {[OP_READ] = {gate_leave}, [OP_UPDATE] = {gate_leave}},
     .help = "shows where its memory was"},
    {0},
};
static const struct engine gate_engine = {.type = "gate",
                                          .kind = ENGINE_SECRETS,
                                          .routes = gate_routes,
                                          .help = "for tests",
                                          .plugin_version = "v1"};
static const struct engine *const engines[] = {&gate_engine, NULL};

/* ---- bodies ---- */

static str nested(struct arena *a, unsigned depth)
{
    char *p = arena_alloc(a, 2 * depth + 16);
    size_t n = 0;

    memcpy(p, "{\"a\":", 5); /* the first level */
    n = 5;
    for (unsigned i = 1; i < depth; i++)
        p[n++] = '[';
    for (unsigned i = 1; i < depth; i++)
        p[n++] = ']';
    p[n++] = '}';
    return (str){p, n};
}

static str many(struct arena *a, unsigned nodes)
{
    char *p = arena_alloc(a, 2 * (size_t)nodes + 16);
    size_t n = 6;

    memcpy(p, "{\"a\":[", 6);
    for (unsigned i = 0; i < nodes; i++) {
        p[n++] = '1';
        p[n++] = ',';
    }
    p[n - 1] = ']';
    p[n++] = '}';
    return (str){p, n};
}

static void bodies(void **state)
{
    struct arena *a = arena_new(0);
    struct web w;

    (void)state;
    web_start(&w, &(struct harness_options){0}, &(struct web_options){.max_request_bytes = 4 * 1024 * 1024});
    const struct {
        str body;
        int status;
    } cases[] = {
        {nested(a, JSON_DEPTH_MAX), 204},
        {nested(a, JSON_DEPTH_MAX + 1), 413},
        {nested(a, 1000000), 413},
        {many(a, 10000), 204},
        {many(a, JSON_NODES_MAX + 1), 413},
        {many(a, 4 * 1024 * 1024 / 2), 413}, /* its length alone is over the listener's */
        {STR("{\"a\""), 400},
        {STR("[1]"), 400},
    };

    harness_mount(&w.h, "secret", "kv");
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct web_answer answer = web_call(&w, a, "PUT", STR("/v1/secret/a"), w.h.root, NULL, cases[i].body);

        if (answer.status != cases[i].status)
            print_error("body %zu: %d %.*s\n", i, answer.status, PSTR(str_slice(answer.body, 0, 300)));
        assert_int_equal(answer.status, cases[i].status);
    }
    web_stop(&w);
    arena_free(a);
}

/* "0&1&2 …": as many pairs as no search among them would get through. */
static str many_pairs(struct arena *a, unsigned n)
{
    struct buf b;

    buf_init(&b, a, SIZE_MAX);
    for (unsigned i = 0; i < n; i++)
        buf_put_fmt(&b, "%s%x", i ? "&" : "", i);
    return buf_str(&b);
}

static void paths(void **state)
{
    struct arena *a = arena_new(0);
    struct web w;
    struct buf b;

    (void)state;
    web_start(&w, &(struct harness_options){0}, &(struct web_options){0});
    buf_init(&b, a, SIZE_MAX);
    buf_put_str(&b, STR("{\"paths\":[\"z\""));
    for (unsigned i = 0; i < 200000; i++)
        buf_put_fmt(&b, ",\"%x\"", i);
    buf_put_str(&b, STR("]}"));
    assert_int_equal(
        web_call(&w, a, "PUT", STR("/v1/sys/capabilities-self"), w.h.root, NULL, buf_str(&b)).status, 200);
    web_stop(&w);
    arena_free(a);
}

/* A field that is a list of maps, which are made one: of as many members. */
static void maps(void **state)
{
    struct arena *a = arena_new(0);
    struct web w;
    struct buf b;

    (void)state;
    web_start(&w, &(struct harness_options){0}, &(struct web_options){0});
    buf_init(&b, a, SIZE_MAX);
    buf_put_str(&b, STR("{\"mfa_request_id\":\"x\",\"mfa_payload\":[{\"z\":[]"));
    for (unsigned i = 0; i < 200000; i++)
        buf_put_fmt(&b, ",\"%x\":[]", i);
    buf_put_str(&b, STR("}]}"));
    assert_int_equal(web_call(&w, a, "PUT", STR("/v1/sys/mfa/validate"), (str){0}, NULL, buf_str(&b)).status,
                     400);
    web_stop(&w);
    arena_free(a);
}

static void forms(void **state)
{
    static const char type[] = "Content-Type: application/x-www-form-urlencoded\r\n";
    struct arena *a = arena_new(0);
    struct web w;

    (void)state;
    web_start(&w, &(struct harness_options){0}, &(struct web_options){0});
    harness_mount(&w.h, "secret", "kv");
    assert_int_equal(
        web_call(&w, a, "PUT", STR("/v1/sys/rekey/init"), (str){0}, type, many_pairs(a, 200000)).status, 500);
    assert_int_equal(
        web_call(&w, a, "PUT", STR("/v1/sys/rekey/init"), (str){0}, type, many_pairs(a, 1500000)).status,
        413);
    assert_int_equal(
        web_call(&w, a, "PUT", STR("/v1/secret/a"), w.h.root, type, STR("b=1&a=2&b=3&c&%zz=1&b=0")).status,
        204);
    struct web_answer answer = web_call(&w, a, "GET", STR("/v1/secret/a"), w.h.root, NULL, (str){0});

    str data = STR("\"data\":{\"a\":\"2\",\"b\":[\"1\",\"3\",\"0\"],\"c\":\"\"}");

    assert_true(str_find(answer.body, data) < answer.body.n);
    web_stop(&w);
    arena_free(a);
}

/* ---- memory of one request ---- */

static void request_memory(void **state)
{
    struct harness h;

    (void)state;
    harness_start(&h, &(struct harness_options){.engines = engines, .request_bytes_max = 256 * 1024});
    harness_mount(&h, "gate", "gate");
    harness_must(&h, 204, OP_UPDATE, "gate/large", NULL);
    assert_str(harness_must(&h, 413, OP_READ, "gate/hoard", NULL).error, "the request needs too much memory");
    assert_str(harness_must(&h, 413, OP_UPDATE, "gate/hoard", NULL).error,
               "the request needs too much memory");
    harness_must(&h, 413, OP_UPDATE, "gate/nothing", many(h.arena, 100000).p);
    harness_must(&h, 204, OP_UPDATE, "gate/nothing", NULL);
    harness_stop(&h);
}

static void wait_idle(struct harness *h)
{
    mutex_lock(&h->mutex);
    while (h->n_open > 0)
        cond_wait(&h->idle, &h->mutex);
    mutex_unlock(&h->mutex);
}

/* What a handler was given is out of reach when its answer is out. */
static void arenas_are_poisoned(void **state)
{
    struct harness h;

    (void)state;
    harness_start(&h, &(struct harness_options){.engines = engines});
    harness_mount(&h, "gate", "gate");
    for (int op = OP_READ; op <= OP_UPDATE; op += OP_UPDATE - OP_READ) {
        harness_must(&h, 200, (enum op)op, "gate/leave", NULL);
        wait_idle(&h);
        assert_non_null(gate.left);
#ifdef __SANITIZE_ADDRESS__
        assert_true(__asan_address_is_poisoned(gate.left));
#endif
    }
    harness_stop(&h);
}

/* ---- memory of all ---- */

enum { LIMIT = 1024 * 1024, HELD = 900 * 1024 };

/* A request that is begun and not ended. */
static int hold_memory(struct web *w, struct arena *a)
{
    int fd = web_connect(w);

    web_send(fd, STR("PUT /v1/secret/a HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"));
    web_send(fd, (str){arena_zalloc(a, HELD), HELD});
    return fd;
}

static bool was_refused(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) >= 0;
}

static void all_memory(void **state)
{
    struct arena *a = arena_new(0), *one = arena_new(0);
    struct web w;
    struct web_answer answer;

    (void)state;
    web_start(&w, &(struct harness_options){0}, &(struct web_options){.all_memory_bytes_max = LIMIT});
    str own = {arena_zalloc(a, LIMIT / 2), LIMIT / 2};
    int fd = hold_memory(&w, one);

    do { /* until the other one has been taken in; now and then it is that one which finds no room */
        if (was_refused(fd)) {
            close(fd);
            fd = hold_memory(&w, one);
        }
        arena_reset(one);
        answer = web_call(&w, one, "PUT", STR("/v1/secret/a"), w.h.root, NULL, own);
    } while (answer.status == 400);
    assert_int_equal(answer.status, 503);
    assert_true(web_field(&answer, "Retry-After").n > 0);
    assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
    close(fd);
    do { /* until its end has been seen */
        arena_reset(one);
        answer = web_call(&w, one, "PUT", STR("/v1/secret/a"), w.h.root, NULL, own);
    } while (answer.status == 503);
    assert_int_equal(answer.status, 400); /* it is no JSON */
    web_stop(&w);
    arena_free(one);
    arena_free(a);
}

/* ---- queues and time ---- */

struct tally {
    struct mutex mutex;
    struct cond changed;
    unsigned done, busy; /* lock: mutex */
};

static void count_answer(const struct answer *answer, void *arg)
{
    struct tally *t = arg;

    mutex_lock(&t->mutex);
    t->done += !answer->failed;
    t->busy += answer->failed && answer->kind == ERR_BUSY && answer->status == 503;
    cond_signal(&t->changed);
    mutex_unlock(&t->mutex);
}

static void wait_for(struct tally *t, const unsigned *count, unsigned n)
{
    bool in_time = true;

    mutex_lock(&t->mutex);
    while (*count < n && in_time)
        in_time = cond_wait_ns(&t->changed, &t->mutex, 60 * NS_PER_S);
    assert_int_equal(*count, n);
    mutex_unlock(&t->mutex);
}

static void full_lane(void **state)
{
    enum { MORE = 100 };
    struct arena *a = arena_new(0);
    struct tally t = {0};
    struct web w;

    (void)state;
#ifdef SLOW
    skip(); /* thousands of requests at once, of 16 KiB each */
#endif
    mutex_init(&t.mutex);
    cond_init(&t.changed);
    web_start(&w, &(struct harness_options){.engines = engines}, &(struct web_options){0});
    harness_mount(&w.h, "gate", "gate");
    harness_send(&w.h, OP_UPDATE, "gate/park", w.h.root, NULL, count_answer, &t);
    mutex_lock(&gate.mutex);
    while (!gate.parked)
        cond_wait(&gate.changed, &gate.mutex);
    mutex_unlock(&gate.mutex);
    for (unsigned i = 0; i < LANE_QUEUE_MAX + MORE; i++)
        harness_send(&w.h, OP_UPDATE, "gate/nothing", w.h.root, NULL, count_answer, &t);
    wait_for(&t, &t.busy, MORE);
    struct web_answer answer = web_call(&w, a, "PUT", STR("/v1/gate/nothing"), w.h.root, NULL, STR("{}"));

    assert_int_equal(answer.status, 503);
    assert_true(web_field(&answer, "Retry-After").n > 0);
    assert_true(str_find(answer.body, STR("too many writes are waiting")) < answer.body.n);
    mutex_lock(&gate.mutex);
    gate.open = true;
    cond_broadcast(&gate.changed);
    mutex_unlock(&gate.mutex);
    wait_for(&t, &t.done, LANE_QUEUE_MAX + 1);
    harness_must(&w.h, 204, OP_UPDATE, "gate/nothing", NULL);
    web_stop(&w);
    cond_done(&t.changed);
    mutex_done(&t.mutex);
    arena_free(a);
}

static void no_time(struct config *c)
{
    c->default_max_request_duration_ns = 1;
}

static void deadline(void **state)
{
    struct harness h;

    (void)state;
    harness_start(&h, &(struct harness_options){.configure = no_time});
    struct answer answer = harness_must(&h, 503, OP_UPDATE, "cubbyhole/a", "{\"v\":1}");

    assert_int_equal(answer.kind, ERR_TIMEOUT);
    harness_must(&h, 404, OP_READ, "cubbyhole/a", NULL); /* a read that need not wait is answered */
    harness_stop(&h);
}

/* ---- requests that come together ---- */

static void pipelined(void **state)
{
    struct arena *a = arena_new(0);
    struct web w;

    (void)state;
    web_start(&w, &(struct harness_options){0}, &(struct web_options){0});
    str one = arena_fmt(a, "GET /v1/cubbyhole/a HTTP/1.1\r\nHost: a\r\nX-Vault-Token: %.*s\r\n\r\n",
                        PSTR(w.h.root));
    str two = arena_join(a, one, one);
    int fd = web_connect(&w);

    web_send(fd, arena_join(a, two, two));
    (void)web_receive(a, fd, 4);
    close(fd);
    web_stop(&w);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies),     cmocka_unit_test(forms),          cmocka_unit_test(maps),
        cmocka_unit_test(paths),      cmocka_unit_test(request_memory), cmocka_unit_test(arenas_are_poisoned),
        cmocka_unit_test(all_memory), cmocka_unit_test(full_lane),      cmocka_unit_test(deadline),
        cmocka_unit_test(pipelined)};

    mutex_init(&gate.mutex);
    cond_init(&gate.changed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
