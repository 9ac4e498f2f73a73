#include "base/arena.h"
#include "check.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

static bool is_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

static void allocations_are_aligned_and_apart(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    uint8_t *last = NULL;
    for (size_t n = 0; n < 3000; n += 7) {
        uint8_t *p = arena_alloc(a, n);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_ptr_not_equal(p, last);
        memset(p, (int)n, n);
        last = p;
    }
    for (size_t n = 1000; n < 200000; n *= 2) {
        uint8_t *p = arena_zalloc(a, n);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(is_zero(p, n));
        memset(p, 0xff, n);
    }
    arena_free(a);
    arena_free(NULL);
}

static void memory_is_zero_again_after_use(void **state)
{
    (void)state;
    for (int round = 0; round < 50; round++) { /* blocks go through the thread's cache */
        struct arena *a = arena_new(0);
        for (int i = 0; i < 400; i++) {
            uint8_t *p = arena_zalloc(a, 300);
            assert_true(is_zero(p, 300));
            memset(p, 0xaa, 300);
        }
        struct arena_mark m = arena_mark(a);
        uint8_t *p = arena_alloc(a, 100);
        memset(p, 0xbb, 100);
        arena_reset_to(a, m);
        uint8_t *q = arena_zalloc(a, 100);
        assert_ptr_equal(p, q);
        assert_true(is_zero(q, 100));
        arena_free(a);
    }
}

#ifdef __SANITIZE_ADDRESS__
/* Reads a byte that ASan holds for gone. */
__attribute__((no_sanitize("address"))) static uint8_t peek(const volatile uint8_t *p)
{
    return *p;
}

static void freed_memory_is_wiped_and_poisoned(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct arena_mark m = arena_mark(a);
    uint8_t *p = arena_alloc(a, 40);
    memset(p, 0x5a, 40);
    assert_false(__asan_address_is_poisoned(p + 39));
    assert_true(__asan_address_is_poisoned(p + 40));
    arena_reset_to(a, m);
    for (int i = 0; i < 40; i++) {
        assert_true(__asan_address_is_poisoned(p + i));
        assert_int_equal(peek(p + i), 0);
    }
    p = arena_alloc(a, 40);
    memset(p, 0x5a, 40);
    arena_free(a); /* its block stays in the cache of this thread */
    assert_true(__asan_address_is_poisoned(p));
    assert_int_equal(peek(p), 0);
}
#endif

static void grow_keeps_contents(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    uint8_t *p = arena_alloc(a, 10);
    memset(p, 7, 10);
    uint8_t *q = arena_grow(a, p, 10, 1000);
    assert_ptr_equal(p, q); /* it was the last one */
    (void)arena_alloc(a, 1);
    q = arena_grow(a, q, 1000, 1001);
    assert_ptr_equal(p, q); /* inside the rounding */
    q = arena_grow(a, q, 1001, 5000);
    assert_ptr_not_equal(p, q);
    for (size_t n = 5000; n < 1 << 20; n *= 2)
        q = arena_grow(a, q, n, 2 * n);
    for (int i = 0; i < 10; i++)
        assert_int_equal(q[i], 7);
    p = arena_alloc(a, 5001); /* a block of its own has the same rounding */
    q = arena_grow(a, p, 5001, 5008);
    assert_ptr_equal(p, q);
    memset(q, 8, 5008);
    q = arena_grow(a, q, 5008, 5009);
    assert_int_equal(q[5007], 8);
    assert_non_null(arena_grow(a, NULL, 0, 16));
    arena_free(a);
}

static void grown_big_blocks_count_once(void **state)
{
    (void)state;
    struct arena *a = arena_new(3 << 20);
    uint8_t *p = arena_alloc(a, 1 << 16);
    for (size_t n = 1 << 16; n < 2 << 20; n *= 2)
        p = arena_grow(a, p, n, 2 * n);
    assert_false(arena_is_over(a)); /* 2 MiB, not the sum of all sizes */
    struct arena_mark m = arena_mark(a);
    p = arena_grow(a, p, 2 << 20, 4 << 20); /* older than the mark: it survives the way back */
    arena_reset_to(a, m);
    memset(p, 1, 4 << 20);
    arena_free(a);
}

static void limits_are_told(void **state)
{
    (void)state;
    struct arena *a = arena_new(1000);
    assert_int_equal(arena_used_bytes(a), 0);
    (void)arena_alloc(a, 1000);
    assert_true(arena_used_bytes(a) >= 1000);
    assert_true(arena_is_over(a)); /* 1000 is rounded up to 1008 */
    arena_set_limit(a, 0);
    assert_false(arena_is_over(a));
    (void)arena_alloc(a, 100000);
    assert_true(arena_used_bytes(a) >= 101000);
    arena_reset(a);
    assert_int_equal(arena_used_bytes(a), 0);
    arena_free(a);
}

static char order[8];
static void note(void *arg)
{
    order[strlen(order)] = *(const char *)arg;
}

static void deferred_calls_run_last_first(void **state)
{
    (void)state;
    char names[] = "abc";
    struct arena *a = arena_new(0);
    arena_defer(a, note, &names[0]);
    struct arena_mark m = arena_mark(a);
    for (int i = 0; i < 100; i++)
        (void)arena_alloc(a, 1000);
    arena_defer(a, note, &names[1]);
    arena_defer(a, note, &names[2]);
    arena_reset_to(a, m);
    assert_string_equal(order, "cb");
    arena_freep(&a);
    assert_null(a);
    assert_string_equal(order, "cba");
}

static void marks_nest(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct arena_mark marks[20];
    size_t used[20];
    for (int i = 0; i < 20; i++) {
        marks[i] = arena_mark(a);
        used[i] = arena_used_bytes(a);
        for (int k = 0; k < 30; k++)
            memset(arena_alloc(a, 200), 1, 200);
        memset(arena_alloc(a, 30000), 1, 30000);
    }
    for (int i = 19; i >= 0; i--) {
        arena_reset_to(a, marks[i]);
        assert_int_equal(arena_used_bytes(a), used[i]);
        assert_true(is_zero(arena_alloc(a, 500), 500));
    }
    arena_free(a);
}

static void strings(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    assert_str(arena_str(a, STR("one")), "one");
    assert_int_equal(arena_str(a, STR("one")).p[3], 0);
    assert_str(arena_join(a, STR("one"), STR(" two")), "one two");
    assert_str(arena_join(a, (str){0}, (str){0}), "");
    assert_str(arena_lower(a, STR("MiXed-09_\xc3\x84")), "mixed-09_\xc3\x84");
    assert_str(arena_fmt(a, "%d-%s", 7, "x"), "7-x");
    str big = arena_fmt(a, "%0300d", 7);
    assert_int_equal(big.n, 300);
    assert_int_equal(big.p[299], '7');
    assert_string_equal(arena_cstr(a, STR("abc")), "abc");
    assert_string_equal(arena_cstr(a, (str){0}), "");
    assert_null(arena_cstr(a, STR("a\0b")));
    bytes b = arena_bytes(a, bytes_from_str(STR("\1\2")));
    assert_int_equal(b.n, 2);
    assert_int_equal(b.p[1], 2);
    assert_memory_equal(arena_copy(a, "xyz", 3), "xyz", 3);
    int *numbers = ARENA_ARRAY(a, int, 100);
    assert_int_equal(numbers[99], 0);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations_are_aligned_and_apart),
        cmocka_unit_test(memory_is_zero_again_after_use),
#ifdef __SANITIZE_ADDRESS__
        cmocka_unit_test(freed_memory_is_wiped_and_poisoned),
#endif
        cmocka_unit_test(grow_keeps_contents),
        cmocka_unit_test(grown_big_blocks_count_once),
        cmocka_unit_test(limits_are_told),
        cmocka_unit_test(deferred_calls_run_last_first),
        cmocka_unit_test(marks_nest),
        cmocka_unit_test(strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
