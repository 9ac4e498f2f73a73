/* The listening socket of a listener: tcp by address and port, unix by path. */
#include "net/http_private.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG_CONNECTIONS = 4096, KEEPALIVE_S = 180, NAME_BUFFER_BYTES = 4096 };

static void fd_closep(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* As Go says it: "listen tcp 127.0.0.1:8200: bind: address already in use". */
static struct error *listen_failed(struct arena *a, const struct config_listener *l, const char *call,
                                   int os_errno)
{
    str words = arena_lower(a, str_from_cstr(strerror(os_errno)));
    struct error *e = error_new(a, ERR_INTERNAL, "listen %s %.*s: %s: %.*s", l->is_unix ? "unix" : "tcp",
                                PSTR(l->address), call, PSTR(words));
    e->os_errno = os_errno;
    return e;
}

static struct error *address_split(struct arena *a, str address, char **ret_host, char **ret_port)
{
    size_t colon = str_rindex(address, ':');
    str host = str_slice(address, 0, colon);
    bool has_brackets = str_starts(host, STR("[")) && str_ends(host, STR("]"));
    if (colon == address.n || (!has_brackets && str_index(host, ':') < host.n))
        return error_new(a, ERR_BAD_REQUEST, "listen tcp: address %.*s: %s", PSTR(address),
                         colon == address.n ? "missing port in address" : "too many colons in address");
    if (has_brackets)
        host = str_slice(host, 1, host.n - 1);
    *ret_host = arena_cstr(a, host);
    *ret_port = arena_cstr(a, str_from(address, colon + 1));
    if (!*ret_host || !*ret_port)
        return error_new(a, ERR_BAD_REQUEST, "listen tcp: NUL byte in address");
    return NULL;
}

static struct error *tcp_resolve(struct arena *a, const struct config_listener *l, struct addrinfo **ret)
{
    char *host = NULL;
    char *port = NULL;
    TRY(address_split(a, l->address, &host, &port));
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    int failed = getaddrinfo(host[0] ? host : "::", port, &hints, ret);
    if (failed)
        return error_new(a, ERR_BAD_REQUEST, "listen tcp: lookup %s: %s", host, gai_strerror(failed));
    return NULL;
}

static bool is_any_address(str address)
{
    return str_starts(address, STR(":")) || str_starts(address, STR("[::]:"));
}

static void tcp_options(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        /* What is set here, accepted connections inherit: no system call for each of them. */
        {SOL_SOCKET, SO_REUSEADDR, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_S},
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_IPV6, IPV6_V6ONLY, 0}, /* fails on IPv4, which is fine */
    };
    for (size_t i = 0; i < COUNT_OF(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof options[i].value);
}

static int real_port(int fd)
{
    struct sockaddr_storage where;
    socklen_t n = sizeof where;
    if (getsockname(fd, (struct sockaddr *)&where, &n) != 0)
        return 0;
    return ntohs(where.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&where)->sin6_port
                                             : ((struct sockaddr_in *)&where)->sin_port);
}

static struct error *tcp_open(struct arena *a, const struct config_listener *l, int *ret_fd, int *ret_port)
{
    struct addrinfo *found;
    TRY(tcp_resolve(a, l, &found));
    struct error *e = NULL;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        e = listen_failed(a, l, "socket", errno);
    } else {
        tcp_options(fd);
        if (bind(fd, found->ai_addr, found->ai_addrlen) != 0)
            e = listen_failed(a, l, "bind", errno);
        else if (listen(fd, BACKLOG_CONNECTIONS) != 0)
            e = listen_failed(a, l, "listen", errno);
    }
    freeaddrinfo(found);
    if (e) {
        fd_closep(&fd);
        return e;
    }
    *ret_fd = fd;
    *ret_port = real_port(fd);
    return NULL;
}

static bool user_find(struct arena *a, const char *name, uid_t *ret)
{
    uint64_t number;
    struct passwd entry;
    struct passwd *found = NULL;
    if (str_parse_u64(str_from_cstr(name), &number) && number < UINT32_MAX) {
        *ret = (uid_t)number;
        return true;
    }
    if (getpwnam_r(name, &entry, arena_alloc(a, NAME_BUFFER_BYTES), NAME_BUFFER_BYTES, &found) != 0 || !found)
        return false;
    *ret = entry.pw_uid;
    return true;
}

static bool group_find(struct arena *a, const char *name, gid_t *ret)
{
    uint64_t number;
    struct group entry;
    struct group *found = NULL;
    if (str_parse_u64(str_from_cstr(name), &number) && number < UINT32_MAX) {
        *ret = (gid_t)number;
        return true;
    }
    if (getgrnam_r(name, &entry, arena_alloc(a, NAME_BUFFER_BYTES), NAME_BUFFER_BYTES, &found) != 0 || !found)
        return false;
    *ret = entry.gr_gid;
    return true;
}

static bool mode_parse(str octal, mode_t *ret)
{
    mode_t mode = 0;
    for (size_t i = 0; i < octal.n; i++) {
        if (octal.p[i] < '0' || octal.p[i] > '7' || mode > 0777)
            return false;
        mode = mode << 3 | (mode_t)(octal.p[i] - '0');
    }
    *ret = mode;
    return octal.n > 0;
}

static struct error *unix_permissions(struct arena *a, const struct config_listener *l, const char *path)
{
    if (l->socket_mode.n == 0 || l->socket_user.n == 0 || l->socket_group.n == 0)
        return NULL;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    const char *user = arena_cstr(a, l->socket_user);
    const char *group = arena_cstr(a, l->socket_group);
    if (!user || !user_find(a, user, &uid))
        return error_new(a, ERR_BAD_REQUEST, "failed to set ownership of unix socket: unknown user %.*s",
                         PSTR(l->socket_user));
    if (!group || !group_find(a, group, &gid))
        return error_new(a, ERR_BAD_REQUEST, "failed to set ownership of unix socket: unknown group %.*s",
                         PSTR(l->socket_group));
    if (!mode_parse(l->socket_mode, &mode))
        return error_new(a, ERR_BAD_REQUEST, "failed to set mode of unix socket: invalid mode %.*s",
                         PSTR(l->socket_mode));
    if (chown(path, uid, gid) != 0 || chmod(path, mode) != 0)
        return listen_failed(a, l, "chown", errno);
    return NULL;
}

/* A socket that a killed server left behind is removed; anything else at that place is not ours to touch. */
static void unix_remove_stale(const char *path)
{
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        (void)unlink(path);
}

static struct error *unix_open(struct arena *a, const struct config_listener *l, int *ret_fd, char **ret_path)
{
    struct sockaddr_un where = {.sun_family = AF_UNIX};
    const char *path = arena_cstr(a, l->address);
    if (!path || l->address.n == 0 || l->address.n >= sizeof where.sun_path)
        return listen_failed(a, l, "bind", EINVAL);
    memcpy(where.sun_path, path, l->address.n);
    CLEANUP(fd_closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return listen_failed(a, l, "socket", errno);
    unix_remove_stale(path);
    if (bind(fd, (const struct sockaddr *)&where, sizeof where) != 0)
        return listen_failed(a, l, "bind", errno);
    struct error *e = unix_permissions(a, l, path);
    if (!e && listen(fd, BACKLOG_CONNECTIONS) != 0)
        e = listen_failed(a, l, "listen", errno);
    if (e) {
        (void)unlink(path);
        return e;
    }
    *ret_path = strdup(path);
    *ret_fd = fd;
    fd = -1;
    return NULL;
}

struct error *listen_open(struct arena *a, const struct config_listener *l, int *ret_fd, int *ret_port,
                          char **ret_path)
{
    if (l->is_unix)
        return unix_open(a, l, ret_fd, ret_path);
    struct error *e = tcp_open(a, l, ret_fd, ret_port);
    if (!e || !is_any_address(l->address) || e->os_errno != EAFNOSUPPORT)
        return e;
    struct config_listener v4 = *l; /* a machine without IPv6 */
    v4.address = arena_join(a, STR("0.0.0.0"), str_from(l->address, str_rindex(l->address, ':')));
    return tcp_open(a, &v4, ret_fd, ret_port);
}
