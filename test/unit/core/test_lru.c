#include "../base/check.h"
#include "base/mutex.h"
#include "core/lru.h"

#include <stdatomic.h>

enum { SHARDS = 16, ENTRY_BYTES = 160 }; /* as in lru.c: what an entry counts besides path and value */

static bytes text(const char *s)
{
    return bytes_from_str(str_from_cstr(s));
}

#define assert_cached(l, path, want) assert_cached_at((l), (path), (want), __FILE__, __LINE__)
/* want NULL: not cached; "-": cached as absent */
static void assert_cached_at(struct lru *l, const char *path, const char *want, const char *file, int line)
{
    struct lru_entry *e = lru_get(l, str_from_cstr(path));
    bool ok =
        !want ? !e
              : e && (want[0] == '-' ? !e->value.p
                                     : e->value.p && str_eq(str_from_bytes(e->value), str_from_cstr(want)));

    if (!ok) {
        print_error("%s:%d: %s is cached as something else than %s\n", file, line, path,
                    want ? want : "nothing");
        fail();
    }
    lru_entry_unref(e);
}

static void puts_and_gets(void **state)
{
    (void)state;
    struct lru *l = lru_new(1000, 1 << 20);

    assert_cached(l, "a", NULL);
    lru_put(l, STR("a"), text("1"), false); /* only what is there is replaced */
    assert_cached(l, "a", NULL);
    lru_put(l, STR("a"), text("1"), true);
    lru_put(l, STR("a/"), text("2"), true);
    assert_cached(l, "a", "1");
    assert_cached(l, "a/", "2");
    struct lru_entry *held = lru_get(l, STR("a"));

    lru_put(l, STR("a"), text("new"), false);
    assert_str(str_from_bytes(held->value), "1"); /* an entry never changes */
    lru_entry_unref(held);
    assert_cached(l, "a", "new");
    lru_put(l, STR("a"), (bytes){0}, false);
    assert_cached(l, "a", "-");
    lru_put(l, STR("a"), (bytes){(const uint8_t *)"", 0}, false); /* empty is not absent */
    assert_cached(l, "a", "");
    assert_int_equal(lru_stats(l).entries, 2);
    lru_free(l);
}

/* An old value read from the backend never replaces what was published since. */
static void fill_rule(void **state)
{
    (void)state;
    struct lru *l = lru_new(1000, 1 << 20);
    struct space s = {.prefix = STR("x/")};

    atomic_store(&s.seq, 4);
    lru_fill(l, &s, 4, STR("x/a"), text("read"));
    assert_cached(l, "x/a", "read");
    lru_fill(l, &s, 4, STR("x/gone"), (bytes){0});
    assert_cached(l, "x/gone", "-");
    atomic_store(&s.seq, 5); /* being published */
    lru_fill(l, &s, 4, STR("x/b"), text("old"));
    lru_fill(l, &s, 5, STR("x/c"), text("between"));
    lru_put(l, STR("x/a"), text("published"), false);
    atomic_store(&s.seq, 6);
    lru_fill(l, &s, 4, STR("x/a"), text("read"));
    lru_fill(l, &s, 5, STR("x/c"), text("between"));
    assert_cached(l, "x/a", "published");
    assert_cached(l, "x/b", NULL);
    assert_cached(l, "x/c", NULL);
    lru_fill(l, &s, 6, STR("x/b"), text("new"));
    assert_cached(l, "x/b", "new");
    lru_free(l);
}

static void bounds(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct lru *l = lru_new(10 * SHARDS, SHARDS * 1000 * 1000);

    for (int i = 0; i < 5000; i++)
        lru_put(l, arena_fmt(a, "entry-%d", i), text("v"), true);
    assert_in_range(lru_stats(l).entries, 5 * SHARDS, 10 * SHARDS);
    assert_cached(l, "entry-4999", "v"); /* the newest of its shard */
    assert_cached(l, "entry-0", NULL);
    lru_free(l);

    l = lru_new(1000000, 64 * 1024 * SHARDS);
    uint8_t *big = arena_zalloc(a, 70000);

    for (int i = 0; i < 1000; i++)
        lru_put(l, arena_fmt(a, "%d", i), (bytes){big, 5000}, true);
    struct lru_stats s = lru_stats(l);

    assert_in_range(s.bytes, SHARDS * 32 * 1024, SHARDS * 64 * 1024);
    assert_true(s.bytes >= s.entries * (5000 + ENTRY_BYTES));
    lru_put(l, STR("999"), (bytes){big, 60000}, true); /* others of its shard make room */
    assert_true(lru_takes(l, STR("999"), 60000));
    assert_true(lru_stats(l).bytes <= SHARDS * 64 * 1024);
    struct lru_entry *e = lru_get(l, STR("999"));

    assert_int_equal(e->value.n, 60000);
    lru_entry_unref(e);
    assert_false(lru_takes(l, STR("999"), 70000));
    lru_put(l, STR("999"), (bytes){big, 70000}, true); /* not kept, and the old one is gone */
    assert_cached(l, "999", NULL);
    lru_free(l);
    arena_free(a);
}

static void last_used_stays(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct lru *l = lru_new(8 * SHARDS, 1 << 24);

    lru_put(l, STR("kept"), text("v"), true);
    for (int i = 0; i < 3000; i++) {
        lru_put(l, arena_fmt(a, "other-%d", i), text("x"), true);
        assert_cached(l, "kept", "v"); /* and used by that */
    }
    lru_free(l);
    arena_free(a);
}

static void decoded_objects(void **state)
{
    (void)state;
    struct lru *l = lru_new(1000, 1 << 20);

    lru_put(l, STR("a"), text("1"), true);
    struct lru_entry *e = lru_get(l, STR("a"));
    struct object *first = object_new(500), *second = object_new(500);
    size_t before = lru_stats(l).bytes;

    assert_null(lru_entry_object(e));
    lru_entry_set_object(l, e, first);
    lru_entry_set_object(l, e, second); /* the first one stays */
    assert_int_equal(lru_stats(l).bytes, before + 500);
    struct object *got = lru_entry_object(e);

    assert_ptr_equal(got, first);
    object_unref(got);
    object_unref(first);
    object_unref(second);
    lru_put(l, STR("a"), text("2"), false);
    struct lru_entry *now = lru_get(l, STR("a"));

    assert_null(lru_entry_object(now)); /* it belongs to the old bytes */
    assert_int_equal(lru_stats(l).bytes, before);
    got = lru_entry_object(e); /* whoever holds the old entry has it still */
    assert_ptr_equal(got, first);
    object_unref(got);
    lru_entry_set_object(l, e, first); /* replaced meanwhile: counted for nobody */
    assert_int_equal(lru_stats(l).bytes, before);
    lru_entry_unref(e);
    lru_entry_unref(now);
    lru_free(l);
}

/* ---- threads: a publisher writes numbers that rise; readers fill what they "read" before; nobody sees a
 * number fall ---- */

enum { PATHS = 8, ROUNDS = 20000, READERS = 3 };

struct race {
    struct lru *lru;
    struct space space;
    _Atomic(uint64_t) stored[PATHS]; /* the backend */
    _Atomic(bool) over;
    _Atomic(unsigned) fallen;
};

static str path_of(unsigned i)
{
    static const char names[PATHS + 1] = "abcdefgh";

    return (str){names + i, 1};
}

static uint64_t number_of(bytes b)
{
    uint64_t v = 0;

    memcpy(&v, b.p, MIN(b.n, sizeof(v)));
    return v;
}

static void reader(void *arg)
{
    struct race *r = arg;
    uint64_t seen[PATHS] = {0};

    for (unsigned i = 0; !atomic_load(&r->over); i = (i + 1) % PATHS) {
        struct lru_entry *e = lru_get(r->lru, path_of(i));

        if (e) {
            uint64_t v = number_of(e->value);

            if (v < seen[i])
                atomic_fetch_add(&r->fallen, 1);
            seen[i] = v;
            lru_entry_unref(e);
        } else {
            uint64_t seq = atomic_load(&r->space.seq), v = atomic_load(&r->stored[i]);

            lru_fill(r->lru, &r->space, seq, path_of(i), (bytes){(uint8_t *)&v, sizeof(v)});
        }
    }
}

static void never_older(void **state)
{
    (void)state;
    struct race r = {.lru = lru_new(2 * SHARDS, 1 << 20), .space.prefix = STR("")};
    struct thread threads[READERS];

    for (int i = 0; i < READERS; i++)
        thread_start(&threads[i], "reader", reader, &r);
    for (uint64_t v = 1; v <= ROUNDS; v++) {
        unsigned i = v % PATHS;

        atomic_store(&r.stored[i], v);
        atomic_fetch_add(&r.space.seq, 1);
        lru_put(r.lru, path_of(i), (bytes){(uint8_t *)&v, sizeof(v)}, false);
        atomic_fetch_add(&r.space.seq, 1);
        if (v % 64 == 0) { /* pushes others out, so that readers fill again */
            for (int k = 0; k < 4 * SHARDS; k++) {
                char name[16];
                int n = snprintf(name, sizeof(name), "other-%d", k);

                lru_put(r.lru, (str){name, (size_t)n}, (bytes){(uint8_t *)&v, sizeof(v)}, true);
            }
        }
    }
    atomic_store(&r.over, true);
    for (int i = 0; i < READERS; i++)
        thread_join(&threads[i]);
    assert_int_equal(atomic_load(&r.fallen), 0);
    for (unsigned i = 0; i < PATHS; i++) {
        struct lru_entry *e = lru_get(r.lru, path_of(i));

        assert_true(!e || number_of(e->value) == atomic_load(&r.stored[i]));
        lru_entry_unref(e);
    }
    lru_free(r.lru);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(puts_and_gets),   cmocka_unit_test(fill_rule),       cmocka_unit_test(bounds),
        cmocka_unit_test(last_used_stays), cmocka_unit_test(decoded_objects), cmocka_unit_test(never_older),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
