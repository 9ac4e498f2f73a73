/* The manual page has every command and every flag that -help has, with the same words. */
#include "../base/check.h"
#include "cli/help.h"
#include "cli/man.h"

/* As man_write escapes it. */
static str escaped(struct arena *a, str s)
{
    str out = {0};
    for (size_t i = 0; i < s.n; i++)
        out = arena_fmt(a, "%.*s%s%c", PSTR(out), s.p[i] == '-' ? "\\" : "", s.p[i]);
    return out;
}

static void wants(str page, struct arena *a, const char *what, str text)
{
    if (str_find(page, escaped(a, text)) == page.n) {
        print_error("%s is missing: %.*s\n", what, PSTR(text));
        fail();
    }
}

static void is_complete(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct buf page;
    buf_init(&page, a, MAN_BYTES_MAX);
    man_write(&page, a);
    assert_false(page.full);
    size_t n = 0;
    for (const struct command *row = commands; row->name; row++) {
        const struct flag *sets[FLAG_SETS_MAX];
        if (!row->run || (row->flags & (COMMAND_HIDDEN | COMMAND_ABSENT)))
            continue;
        wants(buf_str(&page), a, row->name, arena_fmt(a, "coffer %s [options]", row->name));
        wants(buf_str(&page), a, row->name, str_from_cstr(row->synopsis));
        command_flag_sets(row, sets);
        for (size_t i = 0; i < FLAG_SETS_MAX; i++) {
            for (const struct flag *f = sets[i]; f && f->name; f++, n++) {
                str name = arena_fmt(a, "-%s", f->name);
                wants(buf_str(&page), a, row->name,
                      arena_fmt(a, "%.*s\\fR%s", PSTR(name), flag_value_text(f)));
                wants(buf_str(&page), a, row->name, flag_help_text(a, f));
            }
        }
    }
    assert_true(n > 1000); /* of all commands together */
    arena_free(a);
}

/* No line is taken for a request of roff by chance. */
static void requests(void **state)
{
    (void)state;
    static const char *const known[] = {".TH ", ".SH ", ".SS ", ".TP"};
    struct arena *a = arena_new(0);
    struct buf page;
    buf_init(&page, a, MAN_BYTES_MAX);
    man_write(&page, a);
    for (str line, rest = buf_str(&page); rest.n;) {
        str_cut(rest, '\n', &line, &rest);
        bool ok = !line.n || (line.p[0] != '.' && line.p[0] != '\'');
        for (size_t i = 0; i < COUNT_OF(known); i++)
            ok = ok || str_starts(line, str_from_cstr(known[i]));
        if (!ok)
            print_error("%.*s\n", PSTR(line));
        assert_true(ok);
    }
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(is_complete), cmocka_unit_test(requests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
