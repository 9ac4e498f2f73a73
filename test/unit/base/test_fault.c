#include "base/fault.h"
#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef COFFER_FAULTS

static void names(void **state)
{
    (void)state;
    static const char *const good[] = {"audit_write=always",
                                       "commit_after=after:0",
                                       "commit_before=stop:99999",
                                       "commit_group=1/10",
                                       "defect_arena_unwiped=always",
                                       "defect_commit_before_audit=always",
                                       "defect_fill_unchecked=always",
                                       "file_between_puts=0/1",
                                       "lru_miss=1/2",
                                       "storage_fsync=after:3",
                                       "storage_full=always",
                                       "storage_read=always",
                                       "version_changed=always"};
    static const char *const bad[] = {"",
                                      "commit_group",
                                      "nothing=always",
                                      "commit_group=",
                                      "commit_group=1/0",
                                      "commit_group=x/2",
                                      "commit_group=after:",
                                      "commit_group=later:1",
                                      "commit_group=sometimes",
                                      "Commit_group=always"};
    assert_int_equal(COUNT_OF(good), FAULT_COUNT_);
    for (size_t i = 0; i < COUNT_OF(good); i++)
        assert_true(fault_set(str_from_cstr(good[i])));
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(fault_set(str_from_cstr(bad[i])));
    fault_clear();
    for (int p = 0; p < FAULT_COUNT_; p++)
        assert_false(fault_fires(p));
}

static void rules(void **state)
{
    (void)state;
    assert_false(FAULT(FAULT_COMMIT_GROUP));
    assert_true(fault_set(STR("commit_group=after:3")));
    for (int i = 0; i < 10; i++)
        assert_int_equal(FAULT(FAULT_COMMIT_GROUP), i == 3);
    assert_int_equal(fault_count(FAULT_COMMIT_GROUP), 1);
    assert_true(fault_set(STR("commit_group=always")));
    for (int i = 0; i < 10; i++)
        assert_true(FAULT(FAULT_COMMIT_GROUP));
    assert_int_equal(fault_count(FAULT_COMMIT_GROUP), 10);
    assert_false(FAULT(FAULT_LRU_MISS));
    assert_true(fault_set(STR("lru_miss=1/10")));
    bool first[1000];
    for (int i = 0; i < 1000; i++)
        first[i] = FAULT(FAULT_LRU_MISS);
    assert_in_range(fault_count(FAULT_LRU_MISS), 60, 140);
    assert_true(fault_set(STR("lru_miss=1/10"))); /* the same draws again */
    for (int i = 0; i < 1000; i++)
        assert_int_equal(FAULT(FAULT_LRU_MISS), first[i]);
    fault_clear();
}

static int child(const char *faults)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        (void)setenv("COFFER_FAULT", faults, 1);
        if (!freopen("/dev/null", "w", stderr))
            _exit(9);
        fault_init_from_env();
        for (int i = 0; i < 5; i++)
            if (FAULT(FAULT_COMMIT_AFTER))
                _exit(20 + i);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void environment(void **state)
{
    (void)state;
    assert_int_equal(child(""), 0);
    assert_int_equal(child("lru_miss=always,commit_after=after:2"), 22);
    assert_int_equal(child("commit_after=stop:3"), 128 + SIGKILL);
    assert_int_equal(child("commit_after=stop:9"), 0);
    assert_int_equal(child("no_such_point=always"), 128 + SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(rules),
        cmocka_unit_test(environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void compiled_out(void **state)
{
    (void)state;
    assert_false(FAULT(FAULT_COMMIT_GROUP));
    fault_init_from_env();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(compiled_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
