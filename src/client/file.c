#include "client/file.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct error *file_error(struct arena *a, const char *verb, str path, int os_errno)
{
    str reason = arena_lower(a, str_from_cstr(strerrordesc_np(os_errno)));
    return error_new(a, ERR_BAD_REQUEST, "%s %.*s: %.*s", verb, PSTR(path), PSTR(reason));
}

static struct error *path_open(struct arena *a, str path, int flags, unsigned mode, int *ret_fd)
{
    const char *name = arena_cstr(a, path);
    int fd = name ? open(name, flags | O_CLOEXEC, mode) : -1;
    if (fd < 0)
        return file_error(a, "open", path, name ? errno : EINVAL);
    *ret_fd = fd;
    return NULL;
}

struct error *fd_read(struct arena *a, int fd, str name, str *ret_text)
{
    struct buf b;
    buf_init(&b, a, FILE_BYTES_MAX);
    for (;;) {
        uint8_t part[4096];
        ssize_t n = read(fd, part, sizeof(part));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_error(a, "read", name, errno);
        if (n == 0)
            break;
        buf_put(&b, part, (size_t)n);
        if (b.full)
            return file_error(a, "read", name, EFBIG);
    }
    *ret_text = buf_str(&b);
    return NULL;
}

struct error *fd_write(struct arena *a, int fd, str name, str text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_error(a, "write", name, errno);
        text = str_from(text, (size_t)n);
    }
    return NULL;
}

struct error *file_read(struct arena *a, str path, str *ret_text)
{
    int fd;
    TRY(path_open(a, path, O_RDONLY, 0, &fd));
    struct error *e = fd_read(a, fd, path, ret_text);
    close(fd);
    return e;
}

struct error *file_write(struct arena *a, str path, unsigned mode, str text)
{
    int fd;
    TRY(path_open(a, path, O_WRONLY | O_CREAT | O_TRUNC, mode, &fd));
    struct error *e = fd_write(a, fd, path, text);
    if (close(fd) != 0 && !e)
        e = file_error(a, "close", path, errno);
    return e;
}
