#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/log_file.h"
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
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
    log_set_level(LOG_TRACE);
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

static void modules_have_levels(void **state)
{
    (void)state;
    enum log_level level;

    assert_true(log_set_module_level(STR("core"), LOG_DEBUG));
    assert_false(log_set_module_level(STR("nosuch"), LOG_DEBUG));
    log_debug("core", "shown");
    log_debug("audit", "hidden");
    log_debug("nosuch", "hidden");
    assert_true(str_ends(logged(), STR("core: shown\n")));
    assert_true(log_set_module_level(STR("core"), LOG_ERROR));
    log_warn("core", "hidden");
    assert_int_equal(logged().n, 0);
    assert_true(log_module_level(STR("core"), &level) && level == LOG_ERROR);
    assert_true(log_module_level(STR("audit"), &level) && level == LOG_INFO);
    assert_false(log_module_level(STR("nosuch"), &level));
    assert_true(log_reset_module_level(STR("core")));
    log_info("core", "shown");
    log_debug("core", "hidden");
    assert_true(str_ends(logged(), STR("core: shown\n")));
    assert_false(log_is_on(LOG_DEBUG));
}

static unsigned wakes;

static void wake(void *arg)
{
    (void)arg;
    wakes++;
}

static str taken(struct log_subscriber *s)
{
    return (str){text, log_subscriber_take(s, (uint8_t *)text, sizeof(text))};
}

/* Each with a level and a form of its own, whatever the log's are. */
static void subscribers_read_along(void **state)
{
    (void)state;
    struct log_subscriber *debug = log_subscribe(LOG_DEBUG, LOG_JSON, wake, NULL),
                          *errors = log_subscribe(LOG_ERROR, LOG_STANDARD, wake, NULL);

    wakes = 0;
    log_debug("core", "one");
    log_debug("core", "two");
    assert_int_equal(wakes, 1); /* there was something already */
    assert_int_equal(logged().n, 0);
    assert_int_equal(taken(errors).n, 0);
    str lines = taken(debug);
    assert_true(str_starts(lines, STR("{\"@level\":\"debug\",\"@message\":\"one\"")));
    assert_true(str_find(lines, STR("}\n{\"@level\":\"debug\",\"@message\":\"two\"")) < lines.n);
    log_error("core", "three");
    assert_int_equal(wakes, 3);
    assert_true(str_ends(logged(), STR("core: three\n")));
    assert_true(str_ends(taken(errors), STR("[ERROR] core: three\n")));
    log_unsubscribe(errors);
    log_unsubscribe(debug);
    assert_false(log_is_on(LOG_DEBUG));
}

static void what_is_lost_is_said(void **state)
{
    (void)state;
    struct log_subscriber *s = log_subscribe(LOG_INFO, LOG_STANDARD, wake, NULL);

    for (int i = 0; i < 2000; i++) {
        log_info("core", "a line of some length, as most are", F_INT("number", i));
        (void)logged();
    }
    str lines = taken(s);
    assert_in_range(lines.n, LOG_SUBSCRIBER_BYTES - 200, LOG_SUBSCRIBER_BYTES);
    assert_true(str_find(lines, STR("monitor:")) == lines.n);
    log_info("core", "after");
    lines = taken(s);
    size_t lost = str_find(lines, STR("[WARN]  monitor: lines were lost: they are read too slowly: lines="));
    assert_in_range(lost, 0, 30);
    assert_true(str_ends(lines, STR("core: after\n")));
    log_unsubscribe(s);
}

static int numbered(const struct dirent *e)
{
    return strncmp(e->d_name, "my-", 3) == 0;
}

static size_t log_files(const char *folder, struct dirent ***ret)
{
    int n = scandir(folder, ret, numbered, alphasort);
    assert_true(n >= 0);
    return (size_t)n;
}

static void files_are_rotated(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    char folder[] = "/tmp/test-log-XXXXXX";
    struct dirent **found;

    assert_non_null(mkdtemp(folder));
    struct log_file_settings s = {.path = arena_fmt(a, "%s/my.log", folder), .bytes = 1000, .files = 2};
    assert_null(log_file_open(a, &s));
    for (int i = 0; i < 100; i++) {
        log_info("core", "a line of some length, as most are", F_INT("number", i));
        (void)logged();
    }
    size_t n = log_files(folder, &found);
    assert_int_equal(n, 3); /* the one in use and two older ones */
    for (size_t i = 0; i < n; i++) {
        struct stat st;
        char *path = arena_cstr(a, arena_fmt(a, "%s/%s", folder, found[i]->d_name));

        assert_true(path && stat(path, &st) == 0 && st.st_size <= 1000 && st.st_size > 0);
        assert_int_equal(st.st_mode & 0777, 0640);
        assert_int_equal(unlink(path), 0);
        free(found[i]);
    }
    free(found);
    log_file_close();
    log_info("core", "no longer there");
    assert_int_equal(log_files(folder, &found), 0);
    free(found);
    s.path = STR("/nowhere/my.log");
    assert_non_null(log_file_open(a, &s));
    assert_int_equal(rmdir(folder), 0);
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
        cmocka_unit_test_setup_teardown(modules_have_levels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(subscribers_read_along, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_lost_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_are_rotated, set_up, tear_down),
        cmocka_unit_test(dying),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
