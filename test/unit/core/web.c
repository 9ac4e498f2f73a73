#include "web.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_S = 20, DRAIN_S = 5 };

static void listen_on(struct harness *h, void *arg)
{
    struct web *w = arg;
    struct loop **loops = ARENA_ARRAY(h->arena, struct loop *, h->n_loops);
    struct config *parsed;

    for (unsigned i = 0; i < h->n_loops; i++)
        loops[i] = h->loops[i].loop;
    assert_ok(config_parse(h->arena, STR("test.hcl"),
                           STR("listener \"tcp\" {\n  address = \"127.0.0.1:0\"\n  tls_disable = true\n}\n"),
                           &parsed));
    assert_int_equal(parsed->n_listeners, 1);
    struct config_listener *l = &parsed->listeners[0];

    if (w->options.max_request_bytes)
        l->max_request_bytes = w->options.max_request_bytes;
    h->config->disable_printable_check = w->options.disable_printable_check;
    w->front = front_new(&(struct front_config){h->core, h->config, loops, h->n_loops});
    struct http_server_config c = {
        .loops = loops,
        .n_loops = h->n_loops,
        .handler = front_handle,
        .arg = w->front,
        .request_memory_bytes_max = 96 * 1024 * 1024,
        .all_memory_bytes_max = w->options.all_memory_bytes_max,
    };

    assert_ok(http_server_listen(h->arena, l, &c, &w->server));
}

void web_start(struct web *w, const struct harness_options *options, const struct web_options *web)
{
    struct harness_options with = *options;

    *w = (struct web){.options = *web};
    mutex_init(&w->mutex);
    cond_init(&w->drained);
    with.opened = listen_on;
    with.arg = w;
    harness_start(&w->h, &with);
}

static void drained(void *arg)
{
    struct web *w = arg;

    mutex_lock(&w->mutex);
    w->is_drained = true;
    cond_signal(&w->drained);
    mutex_unlock(&w->mutex);
}

void web_stop(struct web *w)
{
    http_server_stop(w->server, DRAIN_S * NS_PER_S, drained, w);
    mutex_lock(&w->mutex);
    while (!w->is_drained)
        cond_wait(&w->drained, &w->mutex);
    mutex_unlock(&w->mutex);
    harness_stop(&w->h);
    http_server_free(w->server);
    front_free(w->front);
    cond_done(&w->drained);
    mutex_done(&w->mutex);
}

int web_connect(struct web *w)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(w->server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

void web_send(int fd, str text)
{
    for (size_t sent = 0; sent < text.n;) {
        ssize_t n = send(fd, text.p + sent, text.n - sent, MSG_NOSIGNAL);

        if (n <= 0)
            return; /* it answered without hearing us out */
        sent += (size_t)n;
    }
}

static unsigned answers_in(str s)
{
    unsigned n = 0;

    for (size_t at; (at = str_find(s, STR("HTTP/1.1 "))) < s.n; n++)
        s = str_from(s, at + 1);
    return n;
}

str web_receive(struct arena *a, int fd, unsigned n)
{
    size_t got = 0, cap = 64 * 1024;
    char *p = arena_alloc(a, cap);

    while (n == 0 || answers_in((str){p, got}) < n) {
        if (got == cap) {
            p = arena_grow(a, p, cap, cap * 2);
            cap *= 2;
        }
        ssize_t more = recv(fd, p + got, cap - got, 0);

        if (more < 0)
            print_error("no answer\n");
        assert_true(more >= 0 && (more > 0 || n == 0));
        if (more == 0)
            break;
        got += (size_t)more;
    }
    return (str){p, got};
}

struct web_answer web_call(struct web *w, struct arena *a, const char *method, str target, str token,
                           const char *fields, str body)
{
    str head = arena_fmt(a,
                         "%s %.*s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Vault-Token: "
                         "%.*s\r\n%sContent-Length: %zu\r\n\r\n",
                         method, PSTR(target), PSTR(token), fields ? fields : "", body.n);
    struct web_answer answer = {0};
    int fd = web_connect(w);

    web_send(fd, head);
    web_send(fd, body);
    str all = web_receive(a, fd, 0);
    size_t end = str_find(all, STR("\r\n\r\n"));
    int64_t status = 0;

    close(fd);
    assert_true(end < all.n && str_starts(all, STR("HTTP/1.1 ")) &&
                str_parse_i64(str_slice(all, 9, 12), &status));
    answer.status = (int)status;
    answer.head = str_slice(all, 0, end + 2);
    answer.body = str_from(all, end + 4);
    return answer;
}

str web_field(const struct web_answer *answer, const char *name)
{
    for (str rest = answer->head, line; rest.n > 0;) {
        str key, value;

        (void)str_cut(rest, '\n', &line, &rest);
        if (str_cut(line, ':', &key, &value) && str_eq_nocase(key, str_from_cstr(name)))
            return str_trim(value);
    }
    return (str){0};
}
