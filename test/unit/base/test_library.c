#include "base/library.h"
#include "check.h"

static struct {
    double (*cosine)(double x);
    const char *(*version)(void);
} functions;

static const struct library_symbol good_symbols[] = {{"cos", &functions.cosine}};
static const struct library_symbol bad_symbols[] = {{"cos", &functions.cosine},
                                                    {"no_such_function", &functions.version}};

static void loads_once(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct library l = {.soname = "libm.so.6", .package = "libc6", .symbols = good_symbols, .n = 1};
    assert_ok(library_load(a, &l));
    assert_true(functions.cosine(0) == 1);
    functions.cosine = NULL;
    assert_ok(library_load(a, &l));
    assert_null(functions.cosine); /* nothing was done the second time */
    arena_free(a);
}

static void says_what_is_missing(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct library none = {
        .soname = "libcoffer-none.so.4", .package = "libnone4", .symbols = good_symbols, .n = 1};
    struct library old = {.soname = "libm.so.6", .package = "libc6", .symbols = bad_symbols, .n = 2};
    assert_error(library_load(a, &none), ERR_INTERNAL,
                 "libcoffer-none.so.4 is not installed (Debian package libnone4)");
    assert_error(library_load(a, &none), ERR_INTERNAL,
                 "libcoffer-none.so.4 is not installed (Debian package libnone4)");
    assert_error(library_load(a, &old), ERR_INTERNAL,
                 "libm.so.6 has no function no_such_function: another version than Debian package libc6");
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(loads_once), cmocka_unit_test(says_what_is_missing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
