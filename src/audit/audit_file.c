/* audit_file: entries appended to a file, to standard output, or nowhere.
 *
 * Options: file_path (or path; "stdout" and "discard" in any case), mode (octal, 0600; 0 keeps that of the
 * existing file). The mode is set again at every opening. A failed write opens the file once more and writes
 * the whole batch again.
 */
#include "audit/audit_devices.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mutex.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { AUDIT_FILE_MODE = 0600 };

enum target { TO_FILE, TO_STDOUT, TO_NOWHERE };

struct audit_file {
    struct arena *arena;
    enum target target;
    char *path;
    mode_t mode;
    struct mutex mutex;
    int fd; /* lock: mutex; -1: to be opened */
};

/* "mkdir /a: no such file or directory", as Go words it. */
static struct error *path_error(struct arena *a, const char *what, const char *path, int os_errno)
{
    return error_new(a, ERR_BAD_REQUEST, "%s %s: %.*s", what, path, PSTR(audit_errno_text(a, os_errno)));
}

/* A folder that can't be entered is of no use: whoever may read may enter. */
static struct error *make_parents(struct arena *a, const struct audit_file *f)
{
    char *path = arena_cstr(a, str_from_cstr(f->path));
    mode_t mode = f->mode | ((f->mode & 0444) >> 2);
    struct stat st;

    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int os_errno = mkdir(path, mode) == 0 ? 0 : errno;

        if (os_errno && (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)))
            return path_error(a, "mkdir", path, os_errno == EEXIST ? ENOTDIR : os_errno);
        *slash = '/';
    }
    return NULL;
}

static struct error *open_locked(struct arena *a, struct audit_file *f) REQUIRES(f->mutex)
{
    TRY(make_parents(a, f));
    int fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, f->mode);

    if (fd < 0)
        return path_error(a, "open", f->path, errno);
    if (fchmod(fd, f->mode) != 0) {
        int os_errno = errno;

        close(fd);
        return path_error(a, "chmod", f->path, os_errno);
    }
    f->fd = fd;
    return NULL;
}

static void close_locked(struct audit_file *f) REQUIRES(f->mutex)
{
    if (f->fd >= 0 && f->target == TO_FILE)
        close(f->fd);
    f->fd = -1;
}

static bool is_octal(str s, mode_t *ret)
{
    mode_t mode = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '7' || mode > 07777)
            return false;
        mode = mode * 8 + (mode_t)(s.p[i] - '0');
    }
    *ret = mode & 07777;
    return s.n > 0;
}

static struct error *read_mode(struct arena *a, const struct json *options, struct audit_file *f)
{
    const struct json *given = json_get(options, STR("mode"));
    struct stat st;

    f->mode = AUDIT_FILE_MODE;
    if (!given)
        return NULL;
    if (!is_octal(json_get_str(options, STR("mode")), &f->mode))
        return error_new(a, ERR_BAD_REQUEST, "strconv.ParseUint: parsing \"%.*s\": invalid syntax",
                         PSTR(json_get_str(options, STR("mode"))));
    if (f->mode != 0 || f->target != TO_FILE)
        return NULL;
    if (stat(f->path, &st) != 0)
        return path_error(a, "stat", f->path, errno);
    f->mode = st.st_mode & 07777;
    return NULL;
}

static void file_close(void *device)
{
    struct audit_file *f = device;

    mutex_lock(&f->mutex);
    close_locked(f);
    mutex_unlock(&f->mutex);
    mutex_done(&f->mutex);
    arena_free(f->arena);
}

static struct error *first_open(struct arena *a, struct audit_file *f)
{
    mutex_lock(&f->mutex);
    const struct error *e = f->target == TO_FILE ? open_locked(a, f) : NULL;

    mutex_unlock(&f->mutex);
    if (!e)
        return NULL;
    return error_new(a, ERR_BAD_REQUEST, "sanity check failed; unable to open \"%s\" for writing: %.*s",
                     f->path, PSTR(e->text));
}

static struct error *file_open(struct arena *a, const struct json *options, void **ret_device)
{
    str path = json_get_str(options, STR("file_path"));

    if (path.n == 0)
        path = json_get_str(options, STR("path"));
    if (path.n == 0)
        return error_new(a, ERR_BAD_REQUEST, "file_path is required");
    struct arena *arena = arena_new(0);
    struct audit_file *f = ARENA_NEW(arena, struct audit_file);

    f->arena = arena;
    f->fd = -1;
    mutex_init(&f->mutex);
    if (str_eq_nocase(path, STR("stdout")))
        f->target = TO_STDOUT;
    else if (str_eq_nocase(path, STR("discard")))
        f->target = TO_NOWHERE;
    f->path = arena_cstr(arena, path);
    struct error *e =
        f->path ? read_mode(a, options, f) : error_new(a, ERR_BAD_REQUEST, "file_path holds a NUL byte");

    if (!e)
        e = first_open(a, f);
    if (e) {
        file_close(f);
        return e;
    }
    *ret_device = f;
    return NULL;
}

static bool write_all(int fd, bytes b)
{
    while (b.n) {
        ssize_t n = write(fd, b.p, b.n);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        b = (bytes){b.p + n, b.n - (size_t)n};
    }
    return true;
}

static struct error *write_locked(struct audit_file *f, struct arena *a, bytes entries) REQUIRES(f->mutex)
{
    if (f->fd >= 0 && write_all(f->fd, entries))
        return NULL;
    close_locked(f);
    TRY(open_locked(a, f));
    return write_all(f->fd, entries) ? NULL : path_error(a, "write", f->path, errno);
}

static struct error *file_write(void *device, struct arena *a, const bytes *entries, size_t n)
{
    struct audit_file *f = device;
    struct error *e = NULL;
    bytes all = f->target == TO_NOWHERE ? (bytes){0} : audit_join(a, entries, n);

    if (FAULT(FAULT_AUDIT_WRITE))
        return error_new(a, ERR_INTERNAL, "write %s: injected fault", f->path);
    mutex_lock(&f->mutex);
    if (f->target == TO_STDOUT && !write_all(STDOUT_FILENO, all))
        e = path_error(a, "write", "stdout", errno);
    else if (f->target == TO_FILE)
        e = write_locked(f, a, all);
    mutex_unlock(&f->mutex);
    return e;
}

static void file_reopen(void *device)
{
    struct audit_file *f = device;
    struct arena *scratch = arena_new(0);

    mutex_lock(&f->mutex);
    close_locked(f);
    const struct error *e = f->target == TO_FILE ? open_locked(scratch, f) : NULL;

    mutex_unlock(&f->mutex);
    if (e)
        log_error("audit", "cannot open the audit file again", F_CSTR("path", f->path),
                  F_STR("error", e->text));
    arena_free(scratch);
}

const struct audit_device_ops audit_file = {
    .type = "file", .open = file_open, .write = file_write, .reopen = file_reopen, .close = file_close};
