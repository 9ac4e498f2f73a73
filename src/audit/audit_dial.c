#include "audit/audit_dial.h"

#include "audit/audit_devices.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct error *dial_error(const struct dial *d, enum err_kind kind, str what)
{
    return error_new(d->arena, kind, "dial %s %s: %.*s", d->network, d->address, PSTR(what));
}

static struct error *os_error(const struct dial *d, const char *what, int os_errno)
{
    str text = audit_errno_text(d->arena, os_errno);

    return dial_error(d, ERR_INTERNAL, arena_fmt(d->arena, "%s: %.*s", what, PSTR(text)));
}

static struct error *write_error(const struct dial *d, enum err_kind kind, str what)
{
    return error_new(d->arena, kind, "write %s %s: %.*s", d->network, d->address, PSTR(what));
}

/* True: the socket can be written to, or has failed. */
static bool wait_until_writable(const struct dial *d, int fd, bool *ret_cut_short)
{
    struct pollfd v[] = {{.fd = fd, .events = POLLOUT}, {.fd = d->wake, .events = POLLIN}};

    *ret_cut_short = false;
    for (;;) {
        int64_t left_ns = d->deadline_ns - clock_mono_ns(clock_real());
        int n = poll(v, COUNT_OF(v), (int)(MAX(left_ns, 0) / NS_PER_MS + (left_ns > 0)));

        if (n < 0 && errno == EINTR)
            continue;
        *ret_cut_short = v[1].revents;
        return n > 0 && v[0].revents;
    }
}

static struct error *finish_connect(const struct dial *d, int fd)
{
    int os_errno = 0;
    socklen_t n = sizeof os_errno;
    bool cut_short;

    if (!wait_until_writable(d, fd, &cut_short))
        return cut_short ? dial_error(d, ERR_INTERNAL, STR("closed"))
                         : dial_error(d, ERR_TIMEOUT, STR("i/o timeout"));
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &os_errno, &n) != 0)
        os_errno = errno;
    return os_errno ? os_error(d, "connect", os_errno) : NULL;
}

static struct error *dial_one(const struct dial *d, int family, int type, const struct sockaddr *to,
                              socklen_t n, int *ret_fd)
{
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct error *e = NULL;

    if (fd < 0)
        return os_error(d, "socket", errno);
    if (connect(fd, to, n) != 0)
        e = errno == EINPROGRESS || errno == EINTR ? finish_connect(d, fd)
            : errno == EAGAIN                      ? dial_error(d, ERR_TIMEOUT, STR("i/o timeout"))
                                                   : os_error(d, "connect", errno);
    if (e) {
        close(fd);
        return e;
    }
    *ret_fd = fd;
    return NULL;
}

struct error *dial_unix(const struct dial *d, int *ret_fd)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t n = strlen(d->address);
    int type = str_eq(str_from_cstr(d->network), STR("unix")) ? SOCK_STREAM : SOCK_DGRAM;

    if (n >= sizeof to.sun_path)
        return os_error(d, "connect", EINVAL);
    memcpy(to.sun_path, d->address, n);
    return dial_one(d, AF_UNIX, type, (const struct sockaddr *)(const void *)&to, sizeof to, ret_fd);
}

struct error *dial_addresses(const struct dial *d, const struct addrinfo *list, int *ret_fd)
{
    struct error *first = NULL;

    for (const struct addrinfo *i = list; i; i = i->ai_next) {
        struct error *e = dial_one(d, i->ai_family, i->ai_socktype, i->ai_addr, i->ai_addrlen, ret_fd);

        if (!e)
            return NULL;
        first = first ? first : e;
    }
    return first ? first : dial_error(d, ERR_INTERNAL, STR("no suitable address found"));
}

struct error *send_all(const struct dial *d, int fd, bytes b)
{
    bool cut_short;

    while (b.n) {
        ssize_t n = send(fd, b.p, b.n, MSG_NOSIGNAL);

        if (n >= 0) {
            b = (bytes){b.p + n, b.n - (size_t)n};
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return write_error(d, ERR_INTERNAL, audit_errno_text(d->arena, errno));
        if (!wait_until_writable(d, fd, &cut_short))
            return cut_short ? write_error(d, ERR_INTERNAL, STR("closed"))
                             : write_error(d, ERR_TIMEOUT, STR("i/o timeout"));
    }
    return NULL;
}

bool stream_has_ended(int fd)
{
    char thrown_away[4096];
    ssize_t n;

    while ((n = recv(fd, thrown_away, sizeof thrown_away, MSG_DONTWAIT)) > 0)
        ;
    return n == 0 || (errno != EAGAIN && errno != EINTR);
}
