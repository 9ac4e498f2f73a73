/* Three rules that nobody sees broken from outside, each with its test; and the proof that the tests see it:
 * with the defect
 * planted (base/fault.h) each of them fails. */
#include "base/fault.h"
#include "harness.h"
#include "watched.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- nothing is committed before its request line is written ---- */

static void audit_line_precedes_commit(void **state)
{
    char folder[32], audit[] = "/tmp/coffer-audit-XXXXXX";
    struct arena *a = arena_new(0);
    struct harness_options options = {.storage =
                                          watched_new(harness_storage_open(a, "inmem", folder), false)};
    struct harness h;

    (void)state;
    close(mkstemp(audit));
    harness_start(&h, &options);
    harness_mount(&h, "secret", "kv");
    harness_must(&h, 204, OP_UPDATE, "secret/a", "{\"v\":1}");
    harness_audit_file(&h, "file", audit);
    uint64_t commits = watched_commits(options.storage);

    assert_true(fault_set(STR("audit_write=always")));
    harness_must(&h, 500, OP_UPDATE, "secret/a", "{\"v\":2}");
    harness_must(&h, 500, OP_UPDATE, "secret/b", "{\"v\":2}");
    harness_must(&h, 500, OP_DELETE, "secret/a", NULL);
    harness_must(&h, 500, OP_READ, "secret/a", NULL);
    assert_true(fault_set(STR("audit_write=0/1")));
    struct answer one = harness_call(&h, a, OP_READ, "secret/a", h.root, NULL);
    struct answer other = harness_call(&h, a, OP_READ, "secret/b", h.root, NULL);

    harness_must(&h, 204, OP_UPDATE, "secret/a", "{\"v\":3}");
    harness_stop(&h);
    assert_int_equal(unlink(audit), 0);
    assert_int_equal(watched_commits(options.storage), commits + 1);
    assert_str(one.data, "{\"v\":1}");
    assert_int_equal(other.status, 404);
    storage_close(options.storage);
    arena_free(a);
}

/* ---- a slow reader does not put an old value into the cache ---- */

struct late {
    struct mutex mutex;
    struct cond cond;
    bool done; /* lock: mutex */
};

static void late_done(const struct answer *answer, void *arg)
{
    struct late *l = arg;

    (void)answer; /* the old value or the new one: it began before the write ended */
    mutex_lock(&l->mutex);
    l->done = true;
    cond_signal(&l->cond);
    mutex_unlock(&l->mutex);
}

static void fill_checks_version(void **state)
{
    char folder[32];
    struct arena *a = arena_new(0);
    struct harness_options options = {.storage = watched_new(harness_storage_open(a, "inmem", folder), true)};
    struct late late = {0};
    struct harness h;

    (void)state;
    mutex_init(&late.mutex);
    cond_init(&late.cond);
    harness_start(&h, &options);
    harness_mount(&h, "secret", "kv");
    harness_must(&h, 204, OP_UPDATE, "secret/a", "{\"v\":1}");
    harness_restart(&h); /* with an empty cache */
    watched_park(options.storage, STR("/a"));
    harness_send(&h, OP_READ, "secret/a", h.root, NULL, late_done, &late);
    assert_true(watched_wait_parked(options.storage));
    harness_must(&h, 204, OP_UPDATE, "secret/a", "{\"v\":2}");
    watched_release(options.storage);
    mutex_lock(&late.mutex);
    while (!late.done)
        cond_wait(&late.cond, &late.mutex);
    mutex_unlock(&late.mutex);
    struct answer after = harness_call(&h, a, OP_READ, "secret/a", h.root, NULL);

    harness_stop(&h);
    assert_str(after.data, "{\"v\":2}");
    storage_close(options.storage);
    cond_done(&late.cond);
    mutex_done(&late.mutex);
    arena_free(a);
}

/* ---- memory given back holds nothing any more ---- */

enum { SECRET_BYTES = 256, SMALL = 1000, LARGE = 64 * 1024 };

static void put_secret(void *p)
{
    for (size_t i = 0; i < SECRET_BYTES; i++)
        ((uint8_t *)p)[i] = (uint8_t)(i * 7 + 1);
}

/* Asks the kernel: the sanitizers rightly refuse to read it. Of freed memory the allocator uses the first
 * bytes itself. */
static bool has_secret(const void *p)
{
    uint8_t now[SECRET_BYTES], secret[SECRET_BYTES];
    int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

    assert_true(mem >= 0);
    ssize_t n = pread(mem, now, sizeof(now), (off_t)(uintptr_t)p);

    close(mem);
    put_secret(secret);
    return n == SECRET_BYTES &&
           memcmp(now + SECRET_BYTES / 2, secret + SECRET_BYTES / 2, SECRET_BYTES / 2) == 0;
}

static void arena_is_wiped(void **state)
{
    struct arena *a = arena_new(0);
    uint8_t *kept = arena_alloc(a, SMALL);
    struct arena_mark mark = arena_mark(a);
    uint8_t *after_mark = arena_alloc(a, SMALL), *large = arena_alloc(a, LARGE),
            *grown = arena_alloc(a, LARGE);

    (void)state;
    put_secret(kept);
    put_secret(after_mark);
    put_secret(large);
    put_secret(grown);
    assert_true(has_secret(kept) && has_secret(after_mark) && has_secret(large) && has_secret(grown));
    uint8_t *moved = arena_grow(a, grown, LARGE, 16 * LARGE);

    assert_true(has_secret(moved));
    assert_true(moved == grown || !has_secret(grown));
    arena_reset_to(a, mark);
    assert_true(has_secret(kept));
    assert_false(has_secret(after_mark) || has_secret(large) || has_secret(moved));
    arena_free(a);
    assert_false(has_secret(kept));
}

/* ---- the defects ---- */

static const struct {
    const char *rule; /* NULL: nothing is planted */
    const char *test;
} defects[] = {
    {NULL, "audit_line_precedes_commit"},
    {"COFFER_FAULT=defect_commit_before_audit=always", "audit_line_precedes_commit"},
    {NULL, "fill_checks_version"},
    {"COFFER_FAULT=defect_fill_unchecked=always", "fill_checks_version"},
    {NULL, "arena_is_wiped"},
    {"COFFER_FAULT=defect_arena_unwiped=always", "arena_is_wiped"},
};

/* Runs this program for one test; its output goes to `path`. */
static int run_alone(const char *rule, const char *test, const char *path)
{
    char name[] = "test_defects", filter[64], setting[64],
         leaks[] = "ASAN_OPTIONS=detect_leaks=0"; /* of a test that ends early */
    char *argv[] = {name, filter, NULL}, *envp[] = {leaks, setting, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;

    snprintf(filter, sizeof(filter), "%s", test);
    snprintf(setting, sizeof(setting), "%s", rule ? rule : "COFFER_NOTHING=1");
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, path, O_WRONLY | O_CREAT | O_TRUNC, 0600),
        0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO), 0);
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, envp), 0);
    posix_spawn_file_actions_destroy(&actions);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static bool says(const char *path, const char *word, const char *test)
{
    struct arena *a = arena_new(0);
    FILE *f = fopen(path, "r");
    char text[64 * 1024];

    assert_non_null(f);
    size_t n = fread(text, 1, sizeof(text), f);

    fclose(f);
    str line = arena_fmt(a, "[%s] %s\n", word, test);
    bool found = str_find((str){text, n}, line) < n;

    arena_free(a);
    return found;
}

static void planted_defects_are_found(void **state)
{
    char path[] = "/tmp/coffer-defect-XXXXXX";

    (void)state;
    close(mkstemp(path));
    for (size_t i = 0; i < COUNT_OF(defects); i++) {
        int status = run_alone(defects[i].rule, defects[i].test, path);

        assert_true(WIFEXITED(status)); /* a test fails; it does not crash */
        assert_int_equal(WEXITSTATUS(status), defects[i].rule ? 1 : 0);
        assert_true(says(path, defects[i].rule ? "  FAILED  " : "       OK ", defects[i].test));
    }
    unlink(path);
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(audit_line_precedes_commit), cmocka_unit_test(fill_checks_version),
        cmocka_unit_test(arena_is_wiped), cmocka_unit_test(planted_defects_are_found)};

    fault_init_from_env();
    if (argc == 2)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
