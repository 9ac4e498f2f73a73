#include "base/cursor.h"
#include "base/qr.h"
#include "check.h"

static void picture(void **state)
{
    static const char text[] = "otpauth://totp/A:b?secret=MZXW6YTB";
    bytes b;

    (void)state;
    struct arena *a = arena_new(0);

    assert_ok(qr_png(a, str_from_cstr(text), 200, &b));
    struct cursor c = cursor_from(b);

    assert_true(cursor_be64(&c) == UINT64_C(0x89504e470d0a1a0a)); /* PNG, its first chunk, width, height */
    assert_true(cursor_be32(&c) == 13 && cursor_be32(&c) == 0x49484452);
    assert_true(cursor_be32(&c) == 200 && cursor_be32(&c) == 200);
    arena_free(a);
}

static void bounds(void **state)
{
    bytes b;

    (void)state;
    struct arena *a = arena_new(0);
    str long_text = {arena_zalloc(a, 5000), 5000};

    assert_non_null(qr_png(a, long_text, 200, &b));
    assert_non_null(qr_png(a, STR("text"), 20, &b));
    assert_non_null(qr_png(a, STR("text"), QR_SIZE_MAX + 1, &b));
    assert_ok(qr_png(a, STR("text"), 21, &b));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(picture), cmocka_unit_test(bounds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
