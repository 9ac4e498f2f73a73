#include "base/secure.h"
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* How a child ends that runs fn(arg): its exit status, or 128 + the signal. */
static int in_child(void (*fn)(void *arg), void *arg)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL); /* not the sanitizer's report */
        signal(SIGBUS, SIG_DFL);
        fn(arg);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void read_byte(void *p)
{
    (void)*(volatile uint8_t *)p;
}

static void is_zero_in_child(void *p)
{
    for (size_t i = 0; i < 32; i++)
        if (((volatile uint8_t *)p)[i])
            _exit(1);
}

static void sizes(void **state)
{
    (void)state;
    static const size_t all[] = {1, 15, 16, 17, 32, 33, 4095, 4096, 4097, 8192, 10000, 1 << 20};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        struct secret *s = secret_new(all[i]);
        uint8_t *p = secret_fill(s);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_int_equal(secret_len(s), all[i]);
        for (size_t k = 0; k < all[i]; k++)
            assert_int_equal(p[k], 0);
        memset(p, 0xa5, all[i]);
        assert_ptr_equal(secret_reveal(s).p, p);
        assert_int_equal(secret_reveal(s).n, all[i]);
        secret_freep(&s);
        assert_null(s);
    }
    secret_free(NULL);
}

static void many_at_once_and_again(void **state)
{
    (void)state;
    struct secret *all[200];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT_OF(all); i++) {
            uint8_t text[32];
            memset(text, (int)i, sizeof(text));
            all[i] = secret_from((bytes){text, sizeof(text)});
        }
        for (size_t i = 0; i < COUNT_OF(all); i++) {
            for (int k = 0; k < 32; k++)
                assert_int_equal(secret_reveal(all[i]).p[k], (uint8_t)i);
            secret_free(all[i]);
        }
    }
}

static void guarded(void **state)
{
    (void)state;
    static const size_t all[] = {32, 4096, 5008};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
        struct secret *s = secret_new(all[i]);
        uint8_t *p = secret_fill(s);
        memset(p, 1, all[i]);
        assert_int_equal(in_child(read_byte, p + all[i] - 1), 0);
        assert_int_equal(in_child(read_byte, p + all[i]), 128 + SIGSEGV);
        secret_free(s);
        assert_int_equal(in_child(read_byte, p), 128 + SIGSEGV); /* use after free */
    }
}

static void wiped_in_forked_children(void **state)
{
    (void)state;
    struct secret *s = secret_new(32);
    memset(secret_fill(s), 1, 32);
    assert_int_equal(in_child(is_zero_in_child, secret_fill(s)), 0);
    assert_int_equal(secret_reveal(s).p[0], 1);
    secret_free(s);
}

/* The flags of the mapping that holds p, from /proc/self/smaps. */
static void vm_flags(const void *p, char *out, size_t n)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    bool here = false;
    assert_non_null(f);
    out[0] = 0;
    while (fgets(line, sizeof(line), f)) {
        uintptr_t from, to;
        char *end;
        from = strtoull(line, &end, 16);
        if (*end == '-' && (to = strtoull(end + 1, &end, 16)) && *end == ' ')
            here = (uintptr_t)p >= from && (uintptr_t)p < to;
        else if (here && strncmp(line, "VmFlags:", 8) == 0)
            snprintf(out, n, "%.200s", line + 8);
    }
    fclose(f);
}

static void not_dumped(void **state)
{
    (void)state;
    char flags[256];
    struct secret *s = secret_new(32), *big = secret_new(10000);
    vm_flags(secret_fill(s), flags, sizeof(flags));
    assert_non_null(strstr(flags, " dd")); /* MADV_DONTDUMP */
    assert_non_null(strstr(flags, " wf")); /* MADV_WIPEONFORK */
    vm_flags(secret_fill(big), flags, sizeof(flags));
    assert_non_null(strstr(flags, " dd"));
    assert_non_null(strstr(flags, " wf"));
    secret_free(s);
    secret_free(big);
}

static void equality(void **state)
{
    (void)state;
    static const struct {
        str x, y;
        bool eq;
    } cases[] = {
        {STR(""), STR(""), true},          {STR("a"), STR("a"), true},      {STR("a"), STR("b"), false},
        {STR("ab"), STR("a"), false},      {STR("abc"), STR("abd"), false}, {STR("xbc"), STR("abc"), false},
        {STR("a\0b"), STR("a\0c"), false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_int_equal(secret_equal(bytes_from_str(cases[i].x), bytes_from_str(cases[i].y)), cases[i].eq);
}

static void wiping(void **state)
{
    (void)state;
    uint8_t b[16];
    memset(b, 1, sizeof(b));
    wipe(b, sizeof(b));
    for (size_t i = 0; i < sizeof(b); i++)
        assert_int_equal(b[i], 0);
    wipe(NULL, 0);
}

static void harden(void *unused)
{
    (void)unused;
    struct rlimit core;
    bool ok = secure_process(false) && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 &&
              getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_max == 0 && umask(0) == 077;
    _exit(ok ? 0 : 1);
}

static void lock_without_permission(void *unused)
{
    (void)unused;
    const struct rlimit little = {65536, 65536};
    if (setrlimit(RLIMIT_MEMLOCK, &little) != 0 || (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0))
        _exit(2);
    errno = 0;
    bool locked = secure_process(true);
    _exit(!locked && errno == ENOMEM ? 0 : 1);
}

static void the_process(void **state)
{
    (void)state;
    assert_int_equal(in_child(harden, NULL), 0);
    assert_int_equal(in_child(lock_without_permission, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes),      cmocka_unit_test(many_at_once_and_again),
        cmocka_unit_test(guarded),    cmocka_unit_test(wiped_in_forked_children),
        cmocka_unit_test(not_dumped), cmocka_unit_test(equality),
        cmocka_unit_test(wiping),     cmocka_unit_test(the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
