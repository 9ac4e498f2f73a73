/* kill -9 in the middle of commits: what was acknowledged is there, and a transactional batch is there whole
 * or not at all. */
#include "stores.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ENTRIES = 5, KILLS = 25 };

/* Batch `seq` writes its number into every entry, with some weight, and removes what the batch before has
 * made. */
static void commit_for_ever(struct store *st, uint32_t seq, int acks)
{
    char padding[1500];
    memset(padding, '.', sizeof padding);
    for (;; seq++) {
        struct storage_put puts[ENTRIES + 2];
        for (unsigned i = 0; i < ENTRIES; i++) {
            str value = arena_fmt(st->a, "%u %.*s", seq, (int)(sizeof padding * i / ENTRIES), padding);
            puts[i] =
                (struct storage_put){arena_fmt(st->a, "kill/%u/entry", i), bytes_from_str(value), false};
        }
        puts[ENTRIES] =
            (struct storage_put){arena_fmt(st->a, "made/%u/x", seq), bytes_from_str(STR("x")), false};
        puts[ENTRIES + 1] = (struct storage_put){arena_fmt(st->a, "made/%u/x", seq - 1), {0}, true};
        if (store_commit(st, puts, ENTRIES + 2) || write(acks, &seq, sizeof seq) != sizeof seq)
            _exit(1);
        arena_reset(st->a);
    }
}

static uint32_t value_of(struct store *st, unsigned i)
{
    bytes value;
    str number, rest;
    uint64_t seq = 0;
    expect_ok(storage_get(st->s, st->a, arena_fmt(st->a, "kill/%u/entry", i), &value));
    if (value.p) {
        assert_true(str_cut(str_from_bytes(value), ' ', &number, &rest));
        assert_true(str_parse_u64(number, &seq));
        assert_int_equal(rest.n, 1500 * i / ENTRIES);
    }
    return (uint32_t)seq;
}

static void check(struct store *st, uint32_t acknowledged)
{
    uint32_t first = value_of(st, 0), before = first;
    assert_in_range(first, acknowledged, acknowledged + 1);
    for (unsigned i = 1; i < ENTRIES; i++) {
        uint32_t seq = value_of(st, i);
        assert_in_range(seq, acknowledged,
                        before); /* in order: an entry is never newer than the one before it */
        if (st->s->caps.transactional)
            assert_int_equal(seq, first);
        before = seq;
    }
    str *names;
    size_t n;
    expect_ok(storage_list(st->s, st->a, STR("made/"), &names, &n));
    if (st->s->caps.transactional)
        assert_int_equal(n, first ? 1 : 0);
}

/* Runs a child until it is killed; the last batch it acknowledged. */
static uint32_t run_and_kill(struct store *st, uint32_t acknowledged, unsigned after_us)
{
    int acks[2];
    assert_int_equal(pipe(acks), 0);
    storage_close(st->s);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(acks[0]);
        if (store_try_open(st, &st->s))
            _exit(1);
        commit_for_ever(st, value_of(st, ENTRIES - 1) + 1, acks[1]); /* a half batch is made again */
    }
    close(acks[1]);
    uint32_t seq;
    if (read(acks[0], &seq, sizeof seq) == sizeof seq) /* it has begun */
        acknowledged = seq;
    struct timespec pause = {0, (long)after_us * 1000};
    nanosleep(&pause, NULL);
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(acks[0], &seq, sizeof seq) == sizeof seq)
        acknowledged = seq;
    close(acks[0]);
    expect_ok(store_try_open(st, &st->s));
    return acknowledged;
}

static void test_kill(void **state)
{
    struct store st;
    unsigned seed = 11;
    uint32_t acknowledged = 0;
    store_open(&st, *state);
    for (int i = 0; i < KILLS; i++) {
        acknowledged = run_and_kill(&st, acknowledged, (unsigned)rand_r(&seed) % 60000);
        check(&st, acknowledged);
        acknowledged = value_of(&st, ENTRIES - 1); /* the batch after it may have come through */
        arena_reset(st.a);
    }
    assert_true(acknowledged > KILLS);
    store_close(&st);
}

int main(void)
{
    char file[] = "file", sqlite[] = "sqlite";
    const struct CMUnitTest tests[] = {
        {"file", test_kill, NULL, NULL, file},
        {"sqlite", test_kill, NULL, NULL, sqlite},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
