#include "base/cursor.h"
#include "check.h"

static void reads_in_order(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct cursor c = cursor_from(unhex(a, "01 0203 04050607 08090a0b0c0d0e0f 96 01 aabb cc"));
    assert_int_equal(cursor_u8(&c), 1);
    assert_int_equal(cursor_be16(&c), 0x0203);
    assert_int_equal(cursor_be32(&c), 0x04050607);
    assert_int_equal(cursor_be64(&c), 0x08090a0b0c0d0e0f);
    assert_int_equal(cursor_varint(&c), 150);
    assert_false(cursor_is_done(&c));
    assert_int_equal(cursor_take(&c, 2).p[1], 0xbb);
    assert_int_equal(cursor_rest(&c).n, 1);
    assert_true(cursor_is_done(&c));
    assert_int_equal(cursor_take(&c, 0).n, 0);
    assert_true(cursor_is_done(&c));
    arena_free(a);
}

static void failure_sticks(void **state)
{
    (void)state;
    static const uint8_t three[] = {1, 2, 3};
    struct cursor c = cursor_from((bytes){three, 3});
    assert_int_equal(cursor_be32(&c), 0);
    assert_true(c.bad);
    assert_int_equal(cursor_u8(&c), 0);
    assert_null(cursor_rest(&c).p);
    assert_false(cursor_is_done(&c));
    c = cursor_from((bytes){three, 3});
    assert_int_equal(cursor_take(&c, SIZE_MAX).n, 0);
    assert_true(c.bad);
    c = cursor_from((bytes){0});
    assert_true(cursor_is_done(&c));
    assert_int_equal(cursor_u8(&c), 0);
    assert_true(c.bad);
}

static void varints(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        bool ok;
        uint64_t want;
    } cases[] = {
        {"00", true, 0},
        {"7f", true, 127},
        {"8001", true, 128},
        {"8000", true, 0}, /* longer than needed: protobuf readers take it */
        {"ffffffffffffffffff01", true, UINT64_MAX},
        {"ffffffffffffffffff02", false, 0},
        {"ffffffffffffffffffff01", false, 0},
        {"80", false, 0},
        {"", false, 0},
    };
    struct arena *a = arena_new(0);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct cursor c = cursor_from(unhex(a, cases[i].hex));
        assert_true(cursor_varint(&c) == cases[i].want);
        assert_int_equal(cursor_is_done(&c), cases[i].ok);
    }
    arena_free(a);
}

static void puts_are_reads_backwards(void **state)
{
    (void)state;
    uint8_t b[14];
    put_be16(b, 0x0102);
    put_be32(b + 2, 0x03040506);
    put_be64(b + 6, 0x0708090a0b0c0d0e);
    for (int i = 0; i < 14; i++)
        assert_int_equal(b[i], i + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_in_order),
        cmocka_unit_test(failure_sticks),
        cmocka_unit_test(varints),
        cmocka_unit_test(puts_are_reads_backwards),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
