#include "../base/check.h"
#include "cli/pairs.h"

#include <stdlib.h>
#include <unistd.h>

/* A pipe that holds `text`, its writing end closed. */
static int pipe_with(const char *text)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], text, strlen(text)), (int)strlen(text));
    close(fds[1]);
    return fds[0];
}

struct row {
    const char *args[4];
    const char *in;
    const char *want; /* JSON, or the error */
};

static struct error *parse(struct arena *a, const struct row *r, struct json **ret)
{
    str args[4];
    size_t n = 0;
    while (n < 4 && r->args[n]) {
        args[n] = str_from_cstr(r->args[n]);
        n++;
    }
    int fd = pipe_with(r->in ? r->in : "");
    struct error *e = pairs_parse(a, fd, args, n, ret);
    close(fd);
    return e;
}

static void reads_every_form(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {{NULL}, NULL, "{}"},
        {{"", "a=1"}, NULL, "{\"a\":\"1\"}"},
        {{"a=", "b=c=d"}, NULL, "{\"a\":\"\",\"b\":\"c=d\"}"},
        {{"k=1", "k=2", "k=3"}, NULL, "{\"k\":[\"1\",\"2\",\"3\"]}"},
        {{"v=\\@x"}, NULL, "{\"v\":\"@x\"}"},
        {{"v=-"}, "in\n", "{\"v\":\"in\\n\"}"},
        {{"-"}, "{\"x\":1.50,\"y\":12345678901234567890}", "{\"x\":1.50,\"y\":12345678901234567890}"},
        {{"-", "x=2"}, "{\"x\":1}", "{\"x\":[1,\"2\"]}"},
        {{"x=0", "-"}, "{\"x\":1}", "{\"x\":1}"},
        {{"-", "l=2"}, "{\"l\":[1]}", "{\"l\":[1,\"2\"]}"},
        {{"-"}, "null", "{}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        struct json *got;
        assert_ok(parse(a, &rows[i], &got));
        assert_str(json_text(a, got), rows[i].want);
        arena_free(a);
    }
}

static void refuses_with_the_argument(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {{"novalue"}, NULL, "invalid key/value pair \"novalue\": format must be key=value"},
        {{"v=-", "w=-"}, "in", "invalid key/value pair \"w=-\": stdin already consumed"},
        {{"@none.json"},
         NULL,
         "invalid key/value pair \"@none.json\": open none.json: no such file or directory"},
        {{"v=@none"}, NULL, "invalid key/value pair \"v=@none\": open none: no such file or directory"},
        {{"-"},
         "{oops",
         "invalid key/value pair \"-\": invalid character 'o' looking for beginning of object key string"},
        {{"-"}, "[1]", "invalid key/value pair \"-\": json: cannot unmarshal: an object is expected"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena *a = arena_new(0);
        struct json *got = NULL;
        assert_error(parse(a, &rows[i], &got), ERR_BAD_REQUEST, rows[i].want);
        assert_null(got);
        arena_free(a);
    }
}

static void reads_files(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    char name[] = "/tmp/test_pairs_XXXXXX";
    int fd = mkstemp(name);
    static const char text[] = "{\"a\": \" x \"}\n";
    assert_int_equal(write(fd, text, strlen(text)), (int)strlen(text));
    close(fd);
    struct json *got;
    const str args[] = {arena_fmt(a, "@%s", name), arena_fmt(a, "raw=@%s", name)};
    assert_ok(pairs_parse(a, STDIN_FILENO, args, 2, &got));
    assert_str(json_get_str(got, STR("a")), " x ");
    assert_str(json_get_str(got, STR("raw")), text);
    unlink(name);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_form),
        cmocka_unit_test(refuses_with_the_argument),
        cmocka_unit_test(reads_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
