/* The file device: options and their errors, modes, folders, rotation, lost and failing files. */
#include "../base/check.h"

#undef fail
#include "base/fault.h"
#include "core/audit/audit.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct audit_device_ops *file;
static struct arena *arena;
static char dir[64];

static int setup(void **state)
{
    (void)state;
    arena = arena_new(0);
    file = audit_device_find(STR("file"));
    snprintf(dir, sizeof dir, "/tmp/coffer-audit-XXXXXX");
    return mkdtemp(dir) ? 0 : 1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    arena_free(arena);
    return nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static str path_of(const char *name)
{
    return arena_fmt(arena, "%s/%s", dir, name);
}

static struct json *options(str path, const char *mode)
{
    struct json *o = json_object(arena);

    json_set_str(arena, o, STR("file_path"), path);
    if (mode)
        json_set_str(arena, o, STR("mode"), str_from_cstr(mode));
    return o;
}

static void *opened(str path, const char *mode)
{
    void *d = NULL;

    assert_ok(file->open(arena, options(path, mode), &d));
    return d;
}

static str content(str path)
{
    int fd = open(path.p, O_RDONLY | O_CLOEXEC);
    char *text = arena_alloc(arena, 4096);
    ssize_t n = read(fd, text, 4096);

    assert_true(fd >= 0 && n >= 0);
    close(fd);
    return (str){text, (size_t)n};
}

static unsigned mode_of(str path)
{
    struct stat st;

    assert_int_equal(stat(path.p, &st), 0);
    return st.st_mode & 07777;
}

static struct error *send(void *d, const char *text)
{
    bytes entry = bytes_from_str(str_from_cstr(text));

    return file->write(d, arena, &entry, 1);
}

static void test_types(void **state)
{
    (void)state;
    assert_non_null(file);
    assert_string_equal(file->type, "file");
    assert_null(audit_device_find(STR("nosuch")));
    assert_null(audit_device_find(STR("")));
}

static void test_errors(void **state)
{
    struct json *none = json_object(arena);
    str in_file = path_of("plain/x"), folder = path_of("folder");
    void *d = NULL;

    (void)state;
    assert_error(file->open(arena, none, &d), ERR_BAD_REQUEST, "file_path is required");
    assert_error(file->open(arena, options(path_of("m"), "rwx"), &d), ERR_BAD_REQUEST,
                 "strconv.ParseUint: parsing \"rwx\": invalid syntax");
    assert_error(file->open(arena, options(path_of("m"), "9"), &d), ERR_BAD_REQUEST,
                 "strconv.ParseUint: parsing \"9\": invalid syntax");
    assert_error(file->open(arena, options(path_of("m"), ""), &d), ERR_BAD_REQUEST,
                 "strconv.ParseUint: parsing \"\": invalid syntax");
    assert_error(file->open(arena, options(STR("/proc/none/audit.log"), NULL), &d), ERR_BAD_REQUEST,
                 "sanity check failed; unable to open \"/proc/none/audit.log\" for writing: mkdir "
                 "/proc/none: no such file or directory");
    assert_error(file->open(arena, options(path_of("absent"), "0000"), &d), ERR_BAD_REQUEST,
                 arena_fmt(arena, "stat %s/absent: no such file or directory", dir).p);
    assert_int_equal(mkdir(folder.p, 0700), 0);
    assert_error(
        file->open(arena, options(folder, NULL), &d), ERR_BAD_REQUEST,
        arena_fmt(
            arena,
            "sanity check failed; unable to open \"%s/folder\" for writing: open %s/folder: is a directory",
            dir, dir)
            .p);
    file->close(opened(path_of("plain"), NULL));
    assert_error(
        file->open(arena, options(in_file, NULL), &d), ERR_BAD_REQUEST,
        arena_fmt(
            arena,
            "sanity check failed; unable to open \"%s/plain/x\" for writing: mkdir %s/plain: not a directory",
            dir, dir)
            .p);
    assert_error(file->open(arena, options((str){"a\0b", 3}, NULL), &d), ERR_BAD_REQUEST,
                 "file_path holds a NUL byte");
    assert_null(d);
}

static void test_append_and_mode(void **state)
{
    str path = path_of("deep/er/audit.log");
    void *d = opened(path, NULL);

    (void)state;
    assert_int_equal(mode_of(path), 0600);
    assert_ok(send(d, "one\n"));
    file->close(d);
    d = opened(path, "0640");
    assert_int_equal(mode_of(path), 0640);
    assert_ok(send(d, "two\n"));
    file->close(d);
    assert_int_equal(chmod(path.p, 0604), 0);
    d = opened(path, "0000");
    assert_int_equal(mode_of(path), 0604);
    assert_ok(send(d, "three\n"));
    file->close(d);
    assert_str(content(path), "one\ntwo\nthree\n");
}

/* Until told, entries go on into the renamed file. */
static void test_rotation(void **state)
{
    str path = path_of("rotated.log"), old = path_of("rotated.log.1");
    void *d = opened(path, "0640");

    (void)state;
    assert_ok(send(d, "one\n"));
    assert_int_equal(rename(path.p, old.p), 0);
    assert_ok(send(d, "two\n"));
    file->reopen(d);
    assert_ok(send(d, "three\n"));
    assert_str(content(old), "one\ntwo\n");
    assert_str(content(path), "three\n");
    assert_int_equal(mode_of(path), 0640);
    file->close(d);
}

/* A device that could not be opened again works as soon as it can. */
static void test_lost_folder(void **state)
{
    str folder = path_of("gone"), path = path_of("gone/audit.log"), aside = path_of("aside");
    void *d = opened(path, NULL);

    (void)state;
    assert_ok(send(d, "one\n"));
    assert_int_equal(rename(folder.p, aside.p), 0);
    file->close(opened(folder, NULL)); /* a file where the folder was */
    file->reopen(d);
    assert_error(send(d, "two\n"), ERR_BAD_REQUEST,
                 arena_fmt(arena, "mkdir %s: not a directory", folder.p).p);
    assert_int_equal(unlink(folder.p), 0);
    assert_ok(send(d, "three\n"));
    assert_str(content(path), "three\n");
    file->close(d);
}

static void test_full_disk(void **state)
{
    void *d = NULL;

    (void)state;
    if (file->open(arena, options(STR("/dev/full"), "0000"), &d))
        skip(); /* its mode is root's to set */
    assert_error(send(d, "x"), ERR_BAD_REQUEST, "write /dev/full: no space left on device");
    file->close(d);
}

static void test_stdout_and_discard(void **state)
{
    str path = path_of("stdout");
    int fd = open(path.p, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), kept = dup(STDOUT_FILENO);
    void *d = opened(STR("STDOUT"), "0644");

    (void)state;
    fflush(stdout);
    assert_true(dup2(fd, STDOUT_FILENO) == STDOUT_FILENO);
    struct error *e = send(d, "to stdout\n");

    file->reopen(d);
    file->close(d);
    assert_true(dup2(kept, STDOUT_FILENO) == STDOUT_FILENO);
    close(kept);
    close(fd);
    assert_ok(e);
    assert_str(content(path), "to stdout\n");
    d = opened(STR("Discard"), NULL);
    assert_ok(send(d, "nowhere\n"));
    file->reopen(d);
    file->close(d);
    assert_int_not_equal(access("Discard", F_OK), 0);
}

static void test_injected_fault(void **state)
{
    (void)state;
#ifdef COFFER_FAULTS
    str path = path_of("fault.log");
    void *d = opened(path, NULL);

    assert_true(fault_set(STR("audit_write=after:1")));
    assert_ok(send(d, "one\n"));
    assert_non_null(send(d, "two\n"));
    assert_ok(send(d, "three\n"));
    fault_clear();
    file->close(d);
    assert_str(content(path), "one\nthree\n");
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_append_and_mode),
        cmocka_unit_test(test_rotation),
        cmocka_unit_test(test_lost_folder),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_stdout_and_discard),
        cmocka_unit_test(test_injected_fault),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
