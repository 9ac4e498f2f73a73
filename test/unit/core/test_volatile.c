/* Entries in memory: as transactions see them, their end, their bounds. */
#include "base/fault.h"
#include "base/log.h"
#include "core/active_private.h"
#include "core/internal.h"
#include "core/volatile.h"
#include "harness.h"

#include <fcntl.h>
#include <unistd.h>

static struct clock *hands;

static struct active *begin(struct harness *h)
{
    hands = clock_manual_new(INT64_C(1700000000) * NS_PER_S);
    harness_start(h, &(struct harness_options){.storage_type = "file", .clock = hands});
    return atomic_load(&h->core->active);
}

static void end(struct harness *h)
{
    harness_stop(h);
    clock_manual_free(hands);
}

static str value_of(struct harness *h, const char *path)
{
    bytes b;

    volatile_get(atomic_load(&h->core->active)->volatiles, h->arena, arena_fmt(h->arena, "~mem/%s", path),
                 &b);
    return str_from_bytes(b);
}

static struct error *put_three(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_MEMORY);
    bytes b;
    bool has;

    (void)rs;
    TRY(view_put_for(&v, STR("a"), bytes_from_str(STR("short")), 30 * NS_PER_S));
    TRY(view_put_for(&v, STR("b"), bytes_from_str(STR("a value of more than a few bytes")), 30 * NS_PER_S));
    TRY(view_put(&v, STR("c"), (bytes){0}));
    TRY(view_get(&v, STR("b"), &b));
    assert_int_equal(b.n, 32);
    TRY(view_delete(&v, STR("b")));
    TRY(view_has(&v, STR("b"), &has));
    assert_false(has);
    return view_put_for(&v, STR("b"), bytes_from_str(STR("a value of more than a few bytes")), 60 * NS_PER_S);
}

static struct error *refuse(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_MEMORY);

    (void)rs;
    TRY(view_put(&v, STR("kept"), (bytes){0}));
    txn_keep(rq->txn);
    TRY(view_put(&v, STR("dropped"), (bytes){0}));
    TRY(view_delete(&v, STR("a")));
    return error_new(rq->arena, ERR_DENIED, "no");
}

static void as_entries_are(void **state)
{
    struct harness h;
    struct active *a = begin(&h);

    (void)state;
    assert_ok(active_run(a, h.arena, put_three, NULL));
    assert_true(str_eq(value_of(&h, "a"), STR("short")));
    assert_int_equal(value_of(&h, "b").n, 32);
    assert_non_null(value_of(&h, "c").p);
    assert_non_null(active_run(a, h.arena, refuse, NULL));
    assert_non_null(value_of(&h, "kept").p);
    assert_null(value_of(&h, "dropped").p);
    assert_non_null(value_of(&h, "a").p);
    clock_manual_advance(hands, 30 * NS_PER_S);
    assert_null(value_of(&h, "a").p);
    assert_non_null(value_of(&h, "b").p);
    clock_manual_advance(hands, 3600 * NS_PER_S);
    assert_null(value_of(&h, "b").p);
    assert_non_null(value_of(&h, "c").p);
    assert_true(volatile_has_room(a->volatiles, 100));
    harness_restart(&h);
    assert_null(value_of(&h, "c").p);
    end(&h);
}

static struct error *count(struct request *rq, struct response *rs)
{
    struct view v = txn_view(rq->txn, SPACE_MEMORY);
    uint32_t n = 0;
    bytes b;

    (void)rs;
    TRY(view_get(&v, STR("n"), &b));
    if (b.p)
        memcpy(&n, b.p, sizeof(n));
    n++;
    struct view core = txn_view(rq->txn, SPACE_CORE);

    TRY(view_put(&core, STR("test"), (bytes){0})); /* what storage can refuse */
    return view_put_for(&v, STR("n"), (bytes){(uint8_t *)&n, sizeof(n)}, 60 * NS_PER_S);
}

static _Atomic(unsigned) done;

static void counted(const struct error *e, void *arg)
{
    (void)arg;
    assert_null(e);
    atomic_fetch_add(&done, 1);
}

/* Each sees what those before it wrote, also of groups in flight, also when groups fail. */
static void none_is_lost(void **state)
{
    enum { N = 400, ROUNDS_MAX = 100 };
    struct harness h;
    struct active *a = begin(&h);
    uint32_t n, all = 0;

    (void)state;
    assert_true(fault_set(STR("commit_group=1/3")));
    /* few large groups may all have luck: then again */
    for (unsigned round = 0; fault_count(FAULT_COMMIT_GROUP) == 0 && round < ROUNDS_MAX; round++) {
        for (unsigned i = 0; i < N; i++)
            assert_true(internal_submit(a, count, NULL, counted));
        all += N;
        while (atomic_load(&done) < all)
            usleep(1000);
    }
    assert_true(fault_count(FAULT_COMMIT_GROUP) > 0);
    fault_clear();
    str s = value_of(&h, "n");

    assert_int_equal(s.n, sizeof(n));
    memcpy(&n, s.p, sizeof(n));
    assert_int_equal(n, all);
    end(&h);
}

static void has_bounds(void **state)
{
    struct harness h;
    struct volatile_store *v = begin(&h)->volatiles;
    uint8_t value[33] = {0};

    (void)state;
    for (unsigned i = 0; i < VOLATILE_SECRETS_MAX; i++)
        volatile_set(v, arena_fmt(h.arena, "~mem/%u", i), (bytes){value, sizeof(value)},
                     clock_mono_ns(hands) + NS_PER_S);
    assert_false(volatile_has_room(v, sizeof(value)));
    assert_true(volatile_has_room(v, 8));
    assert_int_equal(volatile_count(v), VOLATILE_SECRETS_MAX);
    clock_manual_advance(hands, NS_PER_S);
    assert_true(volatile_has_room(v, sizeof(value)));
    assert_int_equal(volatile_count(v), 0);
    end(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_entries_are),
        cmocka_unit_test(none_is_lost),
        cmocka_unit_test(has_bounds),
    };

    log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC)); /* each failed commit is logged */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
