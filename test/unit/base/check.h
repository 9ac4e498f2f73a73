/* check: what every unit test includes: cmocka, and assertions on slices and errors. */
#pragma once
/* cmocka wants these four before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "base/arena.h"
#include "base/encode.h"
#include "base/error.h"

#include <stdio.h>

#define assert_str(s, want) assert_str_at((s), (want), __FILE__, __LINE__)
static inline void assert_str_at(str s, const char *want, const char *file, int line)
{
    if (!str_eq(s, str_from_cstr(want))) {
        print_error("%s:%d: \"%.*s\" is not \"%s\"\n", file, line, PSTR(s), want);
        fail();
    }
}

#define assert_ok(e) assert_ok_at((e), __FILE__, __LINE__)
static inline void assert_ok_at(const struct error *e, const char *file, int line)
{
    if (e) {
        print_error("%s:%d: error \"%.*s\"\n", file, line, PSTR(e->text));
        fail();
    }
}

#define assert_error(e, kind, text) assert_error_at((e), (kind), (text), __FILE__, __LINE__)
static inline void assert_error_at(const struct error *e, enum err_kind kind, const char *text,
                                   const char *file, int line)
{
    if (!e || e->kind != kind) {
        print_error("%s:%d: %s\n", file, line, e ? "another kind of error" : "no error");
        fail();
    }
    assert_str_at(e->text, text, file, line);
}

/* Octets from hex; blanks are skipped. */
static inline bytes unhex(struct arena *a, const char *hex)
{
    char *digits = arena_alloc(a, strlen(hex) + 1);
    size_t n = 0;
    for (; *hex; hex++)
        if (*hex != ' ')
            digits[n++] = *hex;
    bytes b = {0};
    assert_true(hex_decode(a, (str){digits, n}, &b));
    return b;
}
