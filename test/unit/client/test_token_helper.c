#include "../base/check.h"
#include "client/file.h"
#include "client/token_helper.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct home {
    struct arena *a;
    char path[64];
    const char *vars[4];
    struct environment e;
};

static void home_make(struct home *h)
{
    h->a = arena_new(0);
    strncpy(h->path, "/tmp/test_token_XXXXXX", sizeof(h->path) - 1);
    assert_non_null(mkdtemp(h->path));
    h->vars[0] = arena_cstr(h->a, arena_fmt(h->a, "HOME=%s", h->path));
    h->vars[1] = h->vars[2] = NULL;
    h->e = (struct environment){STR("coffer"), h->vars};
}

static str in_home(struct home *h, const char *name)
{
    return arena_fmt(h->a, "%s/%s", h->path, name);
}

static void home_remove(struct home *h)
{
    const char *names[] = {".vault-token", ".vault", "helper", "kept"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        (void)unlink(arena_cstr(h->a, in_home(h, names[i])));
    assert_int_equal(rmdir(h->path), 0);
    arena_free(h->a);
}

static void keeps_a_file(void **state)
{
    (void)state;
    struct home h = {0};
    str token;
    struct stat st;
    home_make(&h);
    assert_ok(token_get(h.a, &h.e, &token));
    assert_str(token, "");
    assert_ok(token_store(h.a, &h.e, STR("hvs.one")));
    assert_ok(token_store(h.a, &h.e, STR("hvs.two")));
    assert_int_equal(stat(arena_cstr(h.a, in_home(&h, ".vault-token")), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 7);
    assert_ok(token_get(h.a, &h.e, &token));
    assert_str(token, "hvs.two");
    assert_ok(file_write(h.a, in_home(&h, ".vault-token"), 0600, STR("  t \n")));
    assert_ok(token_get(h.a, &h.e, &token));
    assert_str(token, "t");
    home_remove(&h);
}

static void asks_a_program(void **state)
{
    (void)state;
    struct home h = {0};
    str token;
    home_make(&h);
    str script =
        arena_fmt(h.a, "#!/bin/sh\ncase $1 in get) cat %s/kept;; store) cat > %s/kept;; *) exit 1;; esac\n",
                  h.path, h.path);
    assert_ok(file_write(h.a, in_home(&h, "helper"), 0700, script));
    assert_ok(file_write(h.a, in_home(&h, ".vault"), 0600,
                         arena_fmt(h.a, "token_helper = \"%s/helper\"\n", h.path)));
    assert_ok(token_store(h.a, &h.e, STR("tok")));
    assert_ok(token_get(h.a, &h.e, &token));
    assert_str(token, "tok");
    (void)unlink(arena_cstr(h.a, in_home(&h, "kept")));
    struct error *bad = token_get(h.a, &h.e, &token);
    assert_non_null(bad);
    assert_true(str_starts(bad->text, STR("error running token helper")));
    home_remove(&h);
}

static void refuses_other_keys(void **state)
{
    (void)state;
    struct home h = {0};
    str token;
    home_make(&h);
    str path = in_home(&h, ".vault");
    assert_ok(file_write(h.a, path, 0600, STR("other = 1\n")));
    struct error *bad = token_get(h.a, &h.e, &token);
    assert_error(bad, ERR_BAD_REQUEST,
                 arena_cstr(h.a, arena_fmt(h.a,
                                           "failed to get token helper: error parsing config file at %.*s: "
                                           "invalid key 'other' on line 1",
                                           PSTR(path))));
    h.vars[1] = arena_cstr(h.a, arena_fmt(h.a, "VAULT_CONFIG_PATH=%s/none", h.path));
    assert_ok(token_get(h.a, &h.e, &token));
    h.vars[0] = "X=1";
    assert_error(token_get(h.a, &h.e, &token), ERR_BAD_REQUEST,
                 "failed to get token helper: HOME is not set");
    home_remove(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_a_file),
        cmocka_unit_test(asks_a_program),
        cmocka_unit_test(refuses_other_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
