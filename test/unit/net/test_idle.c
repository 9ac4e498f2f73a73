/* Ten thousand idle connections, or as many as the system lets one process have. */
#include "base/clock.h"
#include "base/log.h"
#include "check.h"
#include "served.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { WANTED = 10000, OTHER_DESCRIPTORS = 100, BYTES_EACH_MAX = 1024 };

/* Both ends are in this process: two descriptors each. */
static unsigned connections_possible(void)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max = MAX(limit.rlim_max, 2 * WANTED + OTHER_DESCRIPTORS);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
        limit.rlim_cur = limit.rlim_max;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    }
    return (unsigned)MIN((limit.rlim_cur - OTHER_DESCRIPTORS) / 2, WANTED);
}

static size_t heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static void idle_connections_cost_little(void **state)
{
    (void)state;
    unsigned n = connections_possible();
    struct config_listener l = served_listener();
    struct served *s = served_start(&l, (struct http_server_config){0});
    struct client *clients = calloc(n, sizeof *clients);
    assert_non_null(clients);
    size_t before = heap_bytes();
    for (unsigned i = 0; i < n; i++) {
        clients[i] = client_tcp(http_server_port(served_server(s)));
        client_expect(&clients[i], STR("POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc"),
                      200, "POST /later\nabc");
        free(clients[i].p);
        clients[i] = (struct client){.fd = clients[i].fd};
    }
    assert_int_equal(http_server_connections(served_server(s)), n);
    size_t each = (heap_bytes() - before) / n;
    print_message("%u connections, %zu bytes of heap each\n", n, each);
    assert_true(before == 0 || each <= BYTES_EACH_MAX); /* 0: the sanitizer's malloc does not count */
    for (unsigned i = 0; i < n; i += n / 10)
        client_expect(&clients[i], STR("GET /echo HTTP/1.1\r\nHost: h\r\n\r\n"), 200, "GET /echo\n");
    served_stop(s, 10 * NS_PER_S);
    for (unsigned i = 0; i < n; i++)
        client_done(&clients[i]);
    assert_int_equal(http_server_connections(served_server(s)), 0);
    served_free(s);
    free(clients);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(idle_connections_cost_little)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
