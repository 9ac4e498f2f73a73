/* SRV answers: the target of the lowest priority, names behind pointers, and what is cut short. */
#include "../base/check.h"
#include "client/srv.h"

/* One question, and answers whose owner is a pointer to it. */
static size_t message(uint8_t *out, const uint8_t *records, size_t n, uint8_t count)
{
    static const uint8_t head[] = {0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'h', 0, 0, 33, 0, 1};
    memcpy(out, head, sizeof(head));
    out[7] = count;
    memcpy(out + sizeof(head), records, n);
    return sizeof(head) + n;
}

#define RECORD(priority, weight, port_high, port_low, letter)                                                \
    0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 11, 0, priority, 0, weight, port_high, port_low, 1, letter, 0xc0, \
        12, 0

static void answers(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct rng *rng = rng_seeded_new(1);
    static const uint8_t two[] = {RECORD(9, 0, 0x1f, 0x90, 'b'), RECORD(1, 5, 0x20, 0x08, 'a')};
    static const uint8_t odd[] = {RECORD(1, 0, 0, 80, '/')};
    uint8_t m[256];
    size_t n = message(m, two, sizeof(two), 2);
    assert_str(srv_from_answer(a, (bytes){m, n}, rng), "a.h:8200");
    for (size_t cut = 0; cut < n; cut++) {
        str got = srv_from_answer(a, (bytes){m, cut}, rng);
        assert_true(got.n == 0 || str_eq(got, STR("b.h:8080")));
    }
    n = message(m, odd, sizeof(odd), 1);
    assert_int_equal(srv_from_answer(a, (bytes){m, n}, rng).n, 0);
    rng_seeded_free(rng);
    arena_free(a);
}

static void weights(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct rng *rng = rng_seeded_new(7);
    static const uint8_t two[] = {RECORD(1, 0, 0, 1, 'a'), RECORD(1, 98, 0, 2, 'b')};
    uint8_t m[256];
    size_t n = message(m, two, sizeof(two), 2);
    unsigned light = 0;
    for (int i = 0; i < 1000; i++)
        light += str_eq(srv_from_answer(a, (bytes){m, n}, rng), STR("a.h:1"));
    assert_in_range(light, 1, 40);
    rng_seeded_free(rng);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers), cmocka_unit_test(weights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
