/* What the server takes over from its files at SIGHUP. */
#include "base/log_file.h"
#include "cli/server_private.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct error *server_set_log(struct cli *c, const struct config *config)
{
    str level = flag_text(&c->flags, "log-level"), format = flag_text(&c->flags, "log-format");
    enum log_level l = LOG_INFO;

    if (level.n == 0)
        level = config->log_level;
    if (format.n == 0)
        format = config->log_format;
    if (level.n > 0 && !log_level_from_str(level, &l))
        return error_new(c->arena, ERR_BAD_REQUEST, "unknown log level: %.*s", PSTR(level));
    if (format.n > 0 && !str_eq(format, STR("standard")) && !str_eq(format, STR("json")))
        return error_new(c->arena, ERR_BAD_REQUEST, "unknown log format: %.*s", PSTR(format));
    log_set_level(l);
    log_set_format(str_eq(format, STR("json")) ? LOG_JSON : LOG_STANDARD);
    return NULL;
}

static str flag_or(const struct cli *c, const char *flag, str configured)
{
    str text = flag_text(&c->flags, flag);

    return text.n > 0 ? text : configured;
}

static struct error *number_of(struct cli *c, const char *name, str text, int64_t *ret)
{
    *ret = 0;
    if (text.n > 0 && !str_parse_i64(text, ret))
        return error_new(c->arena, ERR_BAD_REQUEST, "invalid value for %s: \"%.*s\" is no number", name,
                         PSTR(text));
    return NULL;
}

struct error *server_open_log_file(struct cli *c, const struct config *config)
{
    struct log_file_settings s = {.path = flag_or(c, "log-file", config->log_file)};
    str age = flag_or(c, "log-rotate-duration", config->log_rotate_duration);

    TRY(number_of(c, "log_rotate_bytes", flag_or(c, "log-rotate-bytes", config->log_rotate_bytes), &s.bytes));
    TRY(number_of(c, "log_rotate_max_files", flag_or(c, "log-rotate-max-files", config->log_rotate_max_files),
                  &s.files));
    struct error *e = duration_parse(c->arena, age.n > 0 ? age : STR("24h"), &s.age_ns);

    if (e)
        return error_wrap(c->arena, e, "invalid value for log_rotate_duration: %.*s", PSTR(e->text));
    return s.path.n > 0 ? log_file_open(c->arena, &s) : NULL;
}

void server_log_warnings(const struct config *config)
{
    for (size_t i = 0; i < config->n_warnings; i++) {
        char text[1024];

        (void)snprintf(text, sizeof(text), "%.*s", PSTR(config->warnings[i]));
        log_warn(NULL, text);
    }
}

/* One datagram to the service manager, if there is one (the notify socket's protocol). */
void server_notify(struct server *s, const char *state)
{
    str path = environment_get(&s->cli->env, STR("NOTIFY_SOCKET"));
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    if (path.n == 0 || path.n >= sizeof(to.sun_path))
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return;
    memcpy(to.sun_path, path.p, path.n);
    if (to.sun_path[0] == '@')
        to.sun_path[0] = 0;
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.n)) < 0)
        log_warn(NULL, "the service manager could not be told", F_CSTR("state", state));
    close(fd);
}

static bool headers_equal(const struct config_listener *x, const struct config_listener *y)
{
    bool equal = x->n_response_headers == y->n_response_headers;

    for (size_t i = 0; equal && i < x->n_response_headers; i++) {
        const struct config_headers *g = &x->response_headers[i], *h = &y->response_headers[i];

        equal = g->status_low == h->status_low && g->status_high == h->status_high && g->n == h->n;
        for (size_t k = 0; equal && k < g->n; k++)
            equal = str_eq(g->headers[k].name, h->headers[k].name) &&
                    str_eq(g->headers[k].value, h->headers[k].value);
    }
    return equal;
}

/* A copy of the listener with the headers of another. It lives to the end: exchanges may hold it. */
static struct config_listener *with_headers(struct arena *a, const struct config_listener *l,
                                            const struct config_listener *from)
{
    struct config_listener *out = arena_copy(a, l, sizeof(*l));

    out->n_response_headers = from->n_response_headers;
    out->response_headers =
        arena_copy(a, from->response_headers, from->n_response_headers * sizeof(*from->response_headers));
    for (size_t i = 0; i < out->n_response_headers; i++) {
        struct config_headers *g = &out->response_headers[i];

        g->headers = arena_copy(a, g->headers, g->n * sizeof(*g->headers));
        for (size_t k = 0; k < g->n; k++)
            g->headers[k] =
                (struct config_header){arena_str(a, g->headers[k].name), arena_str(a, g->headers[k].value)};
    }
    return out;
}

/* Listeners are told apart by their order. Everything but the headers stays as it was at the start. */
static void reload_headers(struct server *s, const struct config *fresh)
{
    for (size_t i = 0; i < s->n_listeners && i < fresh->n_listeners; i++) {
        const struct config_listener *now = http_server_listener(s->listeners[i]);

        if (!headers_equal(now, &fresh->listeners[i]))
            http_server_set_listener(s->listeners[i], with_headers(s->cli->arena, now, &fresh->listeners[i]));
    }
}

static void reload_config(struct server *s, struct arena *a)
{
    const struct flag_value *paths = flag_value(&s->cli->flags, "config");
    struct config *fresh;

    if (paths->n == 0) {
        log_error(NULL, "no config found at reload time");
        return;
    }
    struct error *e = config_load(a, paths->items, paths->n, &fresh);

    if (!e)
        e = server_set_log(s->cli, fresh);
    if (e) {
        log_error(NULL, "could not reload config", F_STR("path", paths->items[0]),
                  F_STR("error", error_log_text(a, e)));
        return;
    }
    server_log_warnings(fresh);
    reload_headers(s, fresh);
    front_log_requests(s->front, fresh->log_requests_level);
}

void server_reload(struct server *s)
{
    struct arena *a = arena_new(0);

    cli_print(s->cli, "==> Vault reload triggered");
    fflush(s->cli->out);
    server_notify(s, "RELOADING=1");
    reload_config(s, a);
    for (size_t i = 0; i < s->n_listeners; i++) {
        struct error *e = http_server_reload_tls(a, s->listeners[i]);

        if (e)
            log_error(NULL, "could not reload the certificate", F_STR("error", error_log_text(a, e)));
    }
    core_reload(s->core);
    server_notify(s, "READY=1");
    arena_free(a);
}
