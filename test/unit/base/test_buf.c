#include "base/buf.h"
#include "check.h"

static void grows_up_to_its_maximum(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct buf b;
    buf_init(&b, a, 100000);
    for (int i = 0; i < 10000; i++) {
        buf_put_byte(&b, (uint8_t)i);
        if (i % 1000 == 0)
            (void)arena_alloc(a, 1); /* so that it has to move */
    }
    assert_int_equal(b.n, 10000);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(b.p[i], (uint8_t)i);
    uint8_t *p = buf_extend(&b, 90000);
    assert_non_null(p);
    memset(p, 1, 90000);
    assert_false(b.full);
    buf_put_byte(&b, 1);
    assert_true(b.full);
    assert_int_equal(b.n, 100000);
    arena_free(a);
}

static void once_full_nothing_is_added(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct buf b;
    buf_init(&b, a, 5);
    buf_put_str(&b, STR("abc"));
    buf_put_str(&b, STR("def"));
    assert_true(b.full);
    buf_put_byte(&b, 'x');
    assert_null(buf_extend(&b, 1));
    assert_null(buf_extend(&b, SIZE_MAX));
    assert_str(buf_str(&b), "abc");
    assert_int_equal(buf_bytes(&b).n, 3);
    arena_free(a);
}

static void writes(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct buf b;
    buf_init(&b, a, 1000);
    buf_put(&b, NULL, 0);
    buf_put_fmt(&b, "%s=%d,", "x", -5);
    buf_put_u64(&b, 0);
    buf_put_byte(&b, ',');
    buf_put_u64(&b, UINT64_MAX);
    assert_str(buf_str(&b), "x=-5,0,18446744073709551615");
    buf_put_fmt(&b, "%0300d", 7);
    assert_int_equal(b.n, 27 + 300);
    assert_int_equal(b.p[b.n - 1], '7');
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_up_to_its_maximum),
        cmocka_unit_test(once_full_nothing_is_added),
        cmocka_unit_test(writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
