/* The lock of the memory store, handles that share data, and the faulty wrapper. */
#include "base/clock.h"
#include "base/mutex.h"
#include "faulty.h"
#include "stores.h"

#include <stdatomic.h>

static const str LOCK = {"core/lock", 9};

static struct storage_lock *acquire(struct store *st, struct storage *s, const char *value, int64_t wait_ns,
                                    void (*lost)(void *arg), void *arg)
{
    struct storage_lock *lock;
    expect_ok(s->ops->lock_acquire(s, st->a, LOCK, str_from_cstr(value), wait_ns, lost, arg, &lock));
    return lock;
}

static void expect_holder(struct store *st, struct storage *s, const char *value)
{
    str got;
    expect_ok(s->ops->lock_holder(s, st->a, LOCK, &got));
    assert_true(str_eq(got, str_from_cstr(value)));
}

static void count_loss(void *arg)
{
    ++*(atomic_int *)arg;
}

static void test_lock_contention(void **state UNUSED)
{
    struct store st;
    store_open(&st, "inmem_ha");
    struct storage *second = storage_inmem_share(st.s);
    expect_holder(&st, second, "");
    struct storage_lock *one = acquire(&st, st.s, "node-one", 0, NULL, NULL);
    assert_non_null(one);
    expect_holder(&st, second, "node-one");
    assert_null(acquire(&st, second, "node-two", 0, NULL, NULL));
    assert_null(acquire(&st, second, "node-two", 5 * NS_PER_MS, NULL, NULL));
    st.s->ops->lock_release(one);
    expect_holder(&st, second, "");
    struct storage_lock *two = acquire(&st, second, "node-two", 0, NULL, NULL);
    assert_non_null(two);
    expect_holder(&st, st.s, "node-two");
    struct storage_lock *other;
    expect_ok(st.s->ops->lock_acquire(st.s, st.a, STR("other"), STR("v"), 0, NULL, NULL, &other));
    assert_non_null(other); /* locks of different paths have nothing to do with each other */
    second->ops->lock_release(other);
    second->ops->lock_release(two);
    storage_close(second);
    store_close(&st);
}

static void test_lock_lost_and_fence(void **state UNUSED)
{
    struct store st;
    store_open(&st, "inmem_ha");
    atomic_int losses = 0;
    struct storage_lock *lock = acquire(&st, st.s, "node-one", 0, count_loss, &losses);
    struct storage_fence fence = {lock};
    struct storage_put put = {STR("x"), bytes_from_str(STR("fenced")), false};
    struct storage_batch batch = {&put, 1, &fence};
    expect_ok(storage_commit(st.s, st.a, &batch));
    storage_inmem_break_lock(st.s, STR("no such lock"));
    assert_int_equal(losses, 0);
    storage_inmem_break_lock(st.s, LOCK);
    assert_int_equal(losses, 1);
    storage_inmem_break_lock(st.s, LOCK);
    assert_int_equal(losses, 1);
    expect_holder(&st, st.s, "");
    put.value = bytes_from_str(STR("too late"));
    expect_kind(storage_commit(st.s, st.a, &batch), ERR_FENCED);
    store_expect(&st, "x", "fenced");
    struct storage_lock *next = acquire(&st, st.s, "node-two", 0, count_loss, &losses);
    expect_kind(storage_commit(st.s, st.a, &batch), ERR_FENCED); /* another's lock does not help */
    batch.n = 0;
    expect_kind(storage_commit(st.s, st.a, &batch), ERR_FENCED);
    st.s->ops->lock_release(lock);
    expect_holder(&st, st.s, "node-two");
    st.s->ops->lock_release(next);
    assert_int_equal(losses, 1);
    store_close(&st);
}

/* Four nodes fight for the lock while it is broken at random; a counter that only the holder writes never
 * loses a step. */
struct node {
    struct storage *s;
    atomic_bool *end;
    atomic_uint *committed;
    atomic_int losses;
    int held, lost_seen;
};

static void node_run(void *arg)
{
    struct node *n = arg;
    struct arena *a = arena_new(0);
    while (!*n->end) {
        struct storage_lock *lock;
        atomic_int lost = 0;
        struct error *e =
            n->s->ops->lock_acquire(n->s, a, LOCK, STR("me"), NS_PER_MS, count_loss, &lost, &lock);
        if (e || !lock)
            continue;
        n->held++;
        struct storage_fence fence = {lock};
        for (int i = 0; i < 50; i++) {
            bytes value;
            uint64_t counter = 0;
            e = storage_get(n->s, a, STR("counter"), &value);
            if (!e && value.p && !str_parse_u64(str_from_bytes(value), &counter))
                break;
            struct storage_put put = {STR("counter"),
                                      bytes_from_str(arena_fmt(a, "%u", (unsigned)counter + 1)), false};
            struct storage_batch batch = {&put, 1, &fence};
            if (storage_commit(n->s, a, &batch))
                break;
            ++*n->committed;
        }
        n->s->ops->lock_release(lock);
        n->lost_seen += lost;
        arena_reset(a);
    }
    arena_free(a);
}

static void test_lock_threads(void **state UNUSED)
{
    struct store st;
    store_open(&st, "inmem_ha");
    atomic_bool end = false;
    atomic_uint committed = 0;
    struct node nodes[4];
    struct thread threads[4];
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        nodes[i] = (struct node){.s = storage_inmem_share(st.s), .end = &end, .committed = &committed};
        thread_start(&threads[i], "node", node_run, &nodes[i]);
    }
    while (committed < 5000)
        storage_inmem_break_lock(st.s, LOCK);
    end = true;
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        thread_join(&threads[i]);
        storage_close(nodes[i].s);
    }
    store_expect(&st, "counter", arena_cstr(st.a, arena_fmt(st.a, "%u", (unsigned)committed)));
    store_close(&st);
}

static void test_share(void **state UNUSED)
{
    struct store st;
    store_open(&st, "inmem");
    assert_null(st.s->ops->lock_acquire);
    store_put(&st, "x", "shared");
    struct storage *second = storage_inmem_share(st.s);
    storage_close(st.s);
    st.s = second;
    store_expect(&st, "x", "shared");
    store_close(&st);
}

static void test_options(void **state UNUSED)
{
    struct arena *a = arena_new(0);
    struct config_pair pair = {STR("max_value_size"), STR("10")};
    struct config_block block = {STR("inmem"), &pair, 1};
    struct storage *s;
    expect_ok(storage_open(a, &block, &s));
    struct storage_put put = {STR("x"), bytes_from_str(STR("12345678901")), false};
    struct storage_batch batch = {&put, 1, NULL};
    expect_kind(storage_commit(s, a, &batch), ERR_TOO_LARGE);
    storage_close(s);
    pair.value = STR("ten");
    expect_kind(storage_open(a, &block, &s), ERR_BAD_REQUEST);
    arena_free(a);
}

/* Moves an amount between two entries, as callers of a transactional store do. */
static struct error *move(struct storage *s, struct arena *a, int *ret_moved)
{
    for (int i = 0; i < 4; i++) {
        bytes x, y;
        uint64_t vx, vy;
        str *names;
        size_t n;
        TRY(storage_list(s, a, STR("sum/"), &names, &n));
        TRY(storage_get(s, a, STR("sum/x"), &x));
        TRY(storage_get(s, a, STR("sum/y"), &y));
        if (!str_parse_u64(str_from_bytes(x), &vx) || !str_parse_u64(str_from_bytes(y), &vy))
            return error_new(a, ERR_INTERNAL, "no numbers");
        struct storage_put puts[] = {
            {STR("sum/x"), bytes_from_str(arena_fmt(a, "%u", (unsigned)vx - 1)), false},
            {STR("sum/y"), bytes_from_str(arena_fmt(a, "%u", (unsigned)vy + 1)), false},
        };
        struct storage_batch batch = {puts, 2, NULL};
        TRY(storage_commit(s, a, &batch));
        ++*ret_moved;
    }
    return NULL;
}

static void test_faulty(void **state UNUSED)
{
    bool fired = true;
    unsigned calls = 0;
    for (unsigned n = 1; fired; n++) {
        for (int after = 0; after <= 1; after++) {
            struct store st;
            store_open(&st, "inmem");
            store_put(&st, "sum/x", "100");
            store_put(&st, "sum/y", "100");
            struct storage *faulty = faulty_new(st.s, n, after ? ERR_UNKNOWN_OUTCOME : ERR_FULL, after);
            int moved = 0;
            struct error *e = move(faulty, st.a, &moved);
            fired = faulty_fired(faulty);
            assert_int_equal(e != NULL, fired);
            bool unknown = fired && after && n % 4 == 0; /* each fourth call is a commit */
            store_expect(&st, "sum/x", arena_cstr(st.a, arena_fmt(st.a, "%d", 100 - moved - unknown)));
            store_expect(&st, "sum/y", arena_cstr(st.a, arena_fmt(st.a, "%d", 100 + moved + unknown)));
            storage_close(faulty);
            store_close(&st);
            calls = n;
        }
    }
    assert_int_equal(calls, 4 * 4 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lock_contention), cmocka_unit_test(test_lock_lost_and_fence),
        cmocka_unit_test(test_lock_threads),    cmocka_unit_test(test_share),
        cmocka_unit_test(test_options),         cmocka_unit_test(test_faulty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
