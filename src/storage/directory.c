#include "storage/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static struct error *sync_path(struct arena *a, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(a, errno, "open %s", path);
    int failed = fsync(fd) ? errno : 0;
    close(fd);
    return failed ? error_errno(a, failed, "fsync %s", path) : NULL;
}

/* Makes path[0..n), whose parent exists. */
static struct error *make(struct arena *a, str path)
{
    const char *name = arena_cstr(a, path);
    if (mkdir(name, 0700))
        return errno == EEXIST ? NULL : error_errno(a, errno, "mkdir %s", name);
    size_t slash = str_rindex(path, '/');
    str parent = slash == path.n ? STR(".") : str_slice(path, 0, MAX(slash, 1));
    return sync_path(a, arena_cstr(a, parent));
}

struct error *directory_lock(struct arena *a, const char *path, int *ret_fd)
{
    str whole = str_from_cstr(path);
    for (size_t i = 1; i <= whole.n; i++)
        if ((i == whole.n || path[i] == '/') && path[i - 1] != '/')
            TRY(make(a, str_slice(whole, 0, i)));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(a, errno, "open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        int failed = errno;
        close(fd);
        return failed == EWOULDBLOCK
                   ? error_new(a, ERR_BUSY, "storage at %s is in use by another server", path)
                   : error_errno(a, failed, "flock %s", path);
    }
    *ret_fd = fd;
    return NULL;
}
