#include "stanza.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[64];

/* A program of this text. */
static const char *program(const char *text)
{
    snprintf(path, sizeof(path), "/tmp/coffer-exec-XXXXXX");
    int fd = mkstemp(path);

    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    return path;
}

static void round_trip(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct seal *s;

    assert_ok(stanza_open(a, "exec",
                          STANZA("command", program("#!/bin/sh\nexec tr a-z n-za-m\n"), "key_id", "k"), &s));
    assert_str(seal_key_id(s), "k");
    assert_true(seal_starts_programs(s));
    stanza_round_trip(s, a, false);
    seal_close(s);
    unlink(path);
    arena_free(a);
}

static void words_of_the_command(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct seal *s;
    const char *const forms[] = {"/bin/sh -c cat", "[\"/bin/sh\",\"-c\",\"cat\"]"};

    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        assert_ok(stanza_open(a, "exec", STANZA("command", forms[i]), &s));
        stanza_round_trip(s, a, false);
        seal_close(s);
    }
    arena_free(a);
}

static void faults(void **state)
{
    (void)state;
    static const struct {
        const char *program, *error;
    } bad[] = {
        {"#!/bin/sh\necho no key >&2\nexit 3\n", "the program ended with status 3"},
        {"#!/bin/sh\nkill -9 $$\n", "the program ended with signal 9"},
        {"#!/bin/sh\nexit 0\n", "the program gave nothing"},
        {"#!/bin/sh\nexec head -c 9000 /dev/zero\n", "the program gave more than 8192 bytes"},
        {"#!/bin/sh\nexec sleep 60\n", "the program took longer than 300ms"},
        {"#!/bin/sh\necho key\nexec sleep 10 >&- 2>&-\n", "the program took longer than 300ms"},
    };
    struct arena *a = arena_new(0);

    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct seal *s;
        bytes blob;

        assert_ok(stanza_open(a, "exec", STANZA("command", program(bad[i].program), "timeout", "300ms"), &s));
        assert_error(seal_encrypt(s, a, bytes_from_str(STR("x")), &blob), ERR_INTERNAL,
                     arena_fmt(a, "error encrypting data key: exec: encrypt: %s", bad[i].error).p);
        seal_close(s);
        unlink(path);
    }
    arena_free(a);
}

static void a_wrong_key_comes_back(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct seal *s;
    struct secret *back = NULL;
    bytes blob;

    assert_ok(stanza_open(
        a, "exec",
        STANZA("command", program("#!/bin/sh\n[ $1 = encrypt ] && exec cat\nexec head -c 32 /dev/zero\n")),
        &s));
    assert_ok(seal_encrypt(s, a, bytes_from_str(STR("x")), &blob));
    assert_error(seal_decrypt(s, a, blob, &back), ERR_INTERNAL,
                 "error decrypting data: cipher: message authentication failed");
    seal_close(s);
    unlink(path);
    assert_ok(stanza_open(a, "exec", STANZA("command", program("#!/bin/sh\necho short\n")), &s));
    assert_error(seal_decrypt(s, a, blob, &back), ERR_INTERNAL,
                 "error decrypting data: the data key has 6 bytes");
    seal_close(s);
    unlink(path);
    arena_free(a);
}

static void the_end_of_the_process_ends_it(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct seal *s;
    bytes blob;

    assert_ok(stanza_open(a, "exec", STANZA("command", "/bin/sleep 60"), &s));
    atomic_store(&stanza_host.cancelled, true);
    assert_non_null(seal_encrypt(s, a, bytes_from_str(STR("x")), &blob));
    atomic_store(&stanza_host.cancelled, false);
    seal_close(s);
    arena_free(a);
}

/* What the server knows by its environment is not the program's to know. */
static void the_environment_stays_here(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct seal *s;
    static const char text[] =
        "#!/bin/sh\n"
        "[ -z \"$VAULT_TOKEN$AWS_SECRET_ACCESS_KEY$PATHS\" ] || exit 4\n"
        "[ \"$PATH $HOME $LANG $LC_TIME $TMPDIR\" = '/usr/bin:/bin /h C.UTF-8 C /t' ] ||"
        " exit 5\n[ \"$COFFER_SEAL_KEY_ID\" = k ] || exit 6\nexec cat\n";
    static const char *const set[][2] = {{"VAULT_TOKEN", "hvs.x"},
                                         {"AWS_SECRET_ACCESS_KEY", "x"},
                                         {"PATHS", "x"},
                                         {"PATH", "/usr/bin:/bin"},
                                         {"HOME", "/h"},
                                         {"LANG", "C.UTF-8"},
                                         {"LC_TIME", "C"},
                                         {"TMPDIR", "/t"},
                                         {"COFFER_SEAL_KEY_ID", "other"}};

    for (size_t i = 0; i < COUNT_OF(set); i++)
        assert_int_equal(setenv(set[i][0], set[i][1], 1), 0);
    assert_ok(stanza_open(a, "exec", STANZA("command", program(text), "key_id", "k"), &s));
    stanza_round_trip(s, a, false);
    seal_close(s);
    unlink(path);
    arena_free(a);
}

static void refused(void **state)
{
    (void)state;
    struct arena *a = arena_new(0);
    struct seal *s;

    assert_error(stanza_open(a, "exec", STANZA(), &s), ERR_BAD_REQUEST,
                 "exec: command is required and begins with an absolute path");
    assert_error(stanza_open(a, "exec", STANZA("command", "cat"), &s), ERR_BAD_REQUEST,
                 "exec: command is required and begins with an absolute path");
    assert_error(stanza_open(a, "exec", STANZA("command", "[1]"), &s), ERR_BAD_REQUEST,
                 "exec: command must be at most 32 words");
    assert_error(stanza_open(a, "exec", STANZA("command", "/bin/cat", "timeout", "-1s"), &s), ERR_BAD_REQUEST,
                 "exec: timeout must be above zero");
    assert_non_null(stanza_open(a, "exec", STANZA("command", "/nonexistent/program"), &s));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(words_of_the_command),
        cmocka_unit_test(faults),
        cmocka_unit_test(a_wrong_key_comes_back),
        cmocka_unit_test(the_end_of_the_process_ends_it),
        cmocka_unit_test(the_environment_stays_here),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
