#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static int pipe_fds[2];
static char text[200000];

/* What was logged since the last call. */
static str logged(void)
{
    ssize_t n = read(pipe_fds[0], text, sizeof(text));
    return (str){text, n > 0 ? (size_t)n : 0};
}

static int set_up(void **state)
{
    (void)state;
    if (pipe2(pipe_fds, O_NONBLOCK) != 0)
        return -1;
    (void)fcntl(pipe_fds[1], F_SETPIPE_SZ, 1 << 18);
    log_set_fd(pipe_fds[1]);
    log_set_level(LOG_INFO);
    log_set_format(LOG_STANDARD);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    log_set_fd(STDERR_FILENO);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return 0;
}

static void standard_lines(void **state)
{
    (void)state;
    static const struct {
        enum log_level level;
        const char *module, *want;
        struct log_field field;
        size_t n;
    } cases[] = {
        {LOG_INFO, "core", "[INFO]  core: text\n", {0}, 0},
        {LOG_WARN, NULL, "[WARN]  text\n", {0}, 0},
        {LOG_ERROR, "core", "[ERROR] core: text: error=x\n", {.key = "error", .s = STR("x")}, 1},
        {LOG_DEBUG, "core", "[DEBUG] core: text: n=-5\n", {.key = "n", .type = LOG_FIELD_INT, .i = -5}, 1},
        {LOG_TRACE, "core", "[TRACE] core: text: b=true\n", {.key = "b", .type = LOG_FIELD_BOOL, .i = 1}, 1},
        {LOG_INFO, "core", "[INFO]  core: text: k=\"two words\"\n", {.key = "k", .s = STR("two words")}, 1},
        {LOG_INFO, "core", "[INFO]  core: text: k=\"\"\n", {.key = "k", .s = STR("")}, 1},
        {LOG_INFO,
         "core",
         "[INFO]  core: text: k=\"\\\"\\x1b[\\t\\r\\x00\"\n",
         {.key = "k", .s = STR("\"\x1b[\t\r\0")},
         1},
        {LOG_INFO, "core", "[INFO]  core: text: k=\xc3\xa4\n", {.key = "k", .s = STR("\xc3\xa4")}, 1},
        {LOG_INFO,
         "core",
         "[INFO]  core: text:\n  k=\n  | one\n  | two\n \n",
         {.key = "k", .s = STR("one\ntwo\n")},
         1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        log_line(cases[i].level, cases[i].module, "text", &cases[i].field, cases[i].n);
        str line = logged();
        int64_t ns;
        assert_true(line.n > 25);
        assert_true(time_parse(str_slice(line, 0, 24), &ns)); /* milliseconds, Z */
        assert_int_equal(line.p[24], ' ');
        assert_str(str_from(line, 25), cases[i].want);
    }
}

static void json_lines(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct json *v = NULL;
    log_set_format(LOG_JSON);
    log_info("core", "a text", F_STR("key", STR("a \"b\"\n")), F_INT("n", 3), F_BOOL("b", false));
    str line = logged();
    assert_int_equal(line.p[line.n - 1], '\n');
    assert_true(str_starts(
        line, STR("{\"@level\":\"info\",\"@message\":\"a text\",\"@module\":\"core\",\"@timestamp\":\"2")));
    assert_ok(json_parse(a, line, false, &v));
    assert_int_equal(json_get_str(v, STR("@timestamp")).n, 27); /* microseconds */
    assert_str(json_get_str(v, STR("key")), "a \"b\"\n");
    assert_int_equal(json_get_int(v, STR("n")), 3);
    assert_false(json_get_bool(v, STR("b")));
    log_warn(NULL, "root");
    assert_ok(json_parse(a, logged(), false, &v));
    assert_null(json_get(v, STR("@module")));
    assert_str(json_get_str(v, STR("@level")), "warn");
    arena_free(a);
}

static void levels(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int level;
    } cases[] = {
        {"trace", LOG_TRACE}, {" Debug\n", LOG_DEBUG}, {"INFO", LOG_INFO},
        {"notice", LOG_INFO}, {"warn", LOG_WARN},      {"warning", LOG_WARN},
        {"error", LOG_ERROR}, {"err", LOG_ERROR},      {"", -1},
        {"loud", -1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        enum log_level level = LOG_TRACE;
        assert_int_equal(log_level_from_str(str_from_cstr(cases[i].name), &level), cases[i].level >= 0);
        assert_int_equal(level, MAX(cases[i].level, 0));
    }
    log_set_level(LOG_WARN);
    log_info("core", "not shown");
    assert_int_equal(logged().n, 0);
    log_error("core", "shown");
    assert_true(logged().n > 0);
}

static void held_lines_come_later(void **state)
{
    (void)state;
    log_hold(true);
    log_info("core", "one");
    log_info("core", "two");
    assert_int_equal(logged().n, 0);
    log_hold(false);
    str s = logged();
    assert_true(str_find(s, STR("core: one\n")) < str_find(s, STR("core: two\n")));
    assert_true(str_ends(s, STR("core: two\n")));
    log_info("core", "three");
    assert_true(str_ends(logged(), STR("core: three\n")));
    log_hold(false);
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    str s = arena_fmt(a, "%0100000d", 1);
    log_info("core", "long", F_STR("k", s));
    str line = logged();
    assert_in_range(line.n, 30, 70000);
    assert_int_equal(line.p[line.n - 1], '\n');
    arena_free(a);
}

static void dying(void **state)
{
    (void)state;
    int fds[2], status;
    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        die("out of %s", "luck");
    }
    close(fds[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    ssize_t n = read(fds[0], text, sizeof(text));
    str s = {text, (size_t)MAX(n, 0)};
    assert_str(s, "fatal: out of luck\n");
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(standard_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(levels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(held_lines_come_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_lines_are_cut, set_up, tear_down),
        cmocka_unit_test(dying),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
