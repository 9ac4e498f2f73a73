/* exec: any program as a key service: a TPM's tools, the service manager's credentials, an HSM's client.
 *
 * The protocol (docs/formats/seal.md, "exec"): the program is started anew for each operation, without a
 * shell, with one more argument: "encrypt" or "decrypt". It gets bytes on its standard input until the end of
 * the file, and gives bytes on its standard output; exit status 0 means that they are the whole answer. What
 * it writes to standard error goes to the log when it failed. COFFER_SEAL_KEY_ID tells the key: the one
 * configured to encrypt, the one stored with the data to decrypt. Of the server's own environment it gets
 * PATH, HOME, LANG, LC_* and TMPDIR. Only a 32-byte data key goes through it. */
#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "seal/seal_private.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARGS_MAX = 32, OUT_BYTES_MAX = 8192, ERR_BYTES_MAX = 1024, TIMEOUT_S = 30 };
enum { POLL_MS = 100, WAIT_MS = 2 };

struct exec_state {
    char *args[ARGS_MAX + 2]; /* with the operation's place at args[n] */
    size_t n;
    str key_id;
    int64_t timeout_ns;
};

/* A list in the stanza arrives as JSON text; a plain text is cut at its blanks. */
static struct error *command_parse(struct seal *s, struct arena *a, str text, struct exec_state *st)
{
    struct json *list = NULL;
    str rest = text, word;

    if (str_starts(text, STR("[")))
        TRY(json_parse(a, text, false, &list));
    for (size_t i = 0; list ? i < list->n : rest.n > 0; i++) {
        if (list) {
            word = list->items[i]->type == JSON_STRING ? list->items[i]->text : (str){0};
        } else {
            str_cut(rest, ' ', &word, &rest);
            if (word.n == 0)
                continue;
        }
        char *arg = st->n < ARGS_MAX && word.n > 0 ? arena_cstr(s->arena, word) : NULL;

        if (!arg)
            return error_new(a, ERR_BAD_REQUEST, "exec: command must be at most %d words", ARGS_MAX);
        st->args[st->n++] = arg;
    }
    if (st->n == 0 || st->args[0][0] != '/')
        return error_new(a, ERR_BAD_REQUEST, "exec: command is required and begins with an absolute path");
    return NULL;
}

static struct error *exec_open(struct seal *s, struct arena *a, const struct config_block *c,
                               void **ret_state)
{
    struct exec_state *st = ARENA_NEW(s->arena, struct exec_state);
    str timeout = seal_param(c, "timeout", NULL, "EXEC_SEAL_TIMEOUT"),
        id = seal_param(c, "key_id", NULL, "EXEC_SEAL_KEY_ID");

    *ret_state = st;
    TRY(command_parse(s, a, seal_param(c, "command", NULL, "EXEC_SEAL_COMMAND"), st));
    st->timeout_ns = TIMEOUT_S * NS_PER_S;
    if (timeout.n > 0)
        TRY(duration_parse(a, timeout, &st->timeout_ns));
    if (st->timeout_ns <= 0)
        return error_new(a, ERR_BAD_REQUEST, "exec: timeout must be above zero");
    if (id.n > SEAL_KEY_ID_BYTES_MAX || !arena_cstr(a, id))
        return error_new(a, ERR_BAD_REQUEST, "exec: key_id is too long");
    if (access(st->args[0], X_OK) != 0)
        return error_errno(a, errno, "exec: %s", st->args[0]);
    st->key_id = arena_str(s->arena, id);
    seal_set_key_id(s, id);
    return NULL;
}

struct child {
    pid_t pid;
    int in, out, err; /* our ends; -1: closed */
    bytes to_write;
    struct buf from_out, from_err;
};

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* What any program needs. The rest stays here: it may hold tokens and the clouds' keys. */
static bool is_inherited(str variable)
{
    static const char *const begins[] = {"PATH=", "HOME=", "LANG=", "LC_", "TMPDIR="};

    for (size_t i = 0; i < COUNT_OF(begins); i++)
        if (str_starts(variable, str_from_cstr(begins[i])))
            return true;
    return false;
}

/* Those, with the key's id. */
static char **child_environment(struct arena *a, str key_id)
{
    size_t n = 0, kept = 0;

    while (environ[n])
        n++;
    char **env = ARENA_ARRAY(a, char *, n + 2);

    for (size_t i = 0; i < n; i++)
        if (is_inherited(str_from_cstr(environ[i])))
            env[kept++] = environ[i];
    env[kept] = arena_cstr(a, arena_fmt(a, "COFFER_SEAL_KEY_ID=%.*s", PSTR(key_id)));
    return env;
}

static int spawn(struct arena *a, char **args, str key_id, const int theirs[3], pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < 3; i++)
        posix_spawn_file_actions_adddup2(&actions, theirs[i], i);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
    int failed = posix_spawn(ret_pid, args[0], &actions, &attr, args, child_environment(a, key_id));

    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static struct error *child_start(struct arena *a, char **args, str key_id, struct child *c)
{
    int fds[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    bool ok = true;
    int failed = 0;

    for (int i = 0; i < 3; i++)
        ok = ok && pipe2(fds[i], O_CLOEXEC) == 0;
    if (ok)
        failed = spawn(a, args, key_id, (int[]){fds[0][0], fds[1][1], fds[2][1]}, &c->pid);
    else
        failed = errno;
    c->in = fds[0][1];
    c->out = fds[1][0];
    c->err = fds[2][0];
    close_fd(&fds[0][0]);
    close_fd(&fds[1][1]);
    close_fd(&fds[2][1]);
    if (failed) {
        close_fd(&c->in);
        close_fd(&c->out);
        close_fd(&c->err);
        return error_errno(a, failed, "exec: %s %s", args[0], args[1] ? args[1] : "");
    }
    return NULL;
}

static void child_write(struct child *c)
{
    /* a program that does not read all of it is not sent a signal for: SIGPIPE is ignored by the server */
    ssize_t n = write(c->in, c->to_write.p, c->to_write.n);

    if (n > 0) {
        c->to_write.p += n;
        c->to_write.n -= (size_t)n;
    }
    if (n < 0 || c->to_write.n == 0)
        close_fd(&c->in);
}

static void child_read(int *fd, struct buf *to)
{
    uint8_t part[1024];
    ssize_t n = read(*fd, part, sizeof(part));

    if (n > 0)
        buf_put(to, part, (size_t)n);
    else
        close_fd(fd);
    wipe(part, sizeof(part));
}

static bool may_go_on(const struct seal *s, int64_t end_ns)
{
    return !atomic_load(&s->host->cancelled) && clock_mono_ns(clock_real()) <= end_ns;
}

/* False: it took too long, or the process ends. */
static bool child_talk(struct seal *s, struct child *c, int64_t end_ns)
{
    while (c->out >= 0 || c->err >= 0) {
        struct pollfd p[] = {{c->in, POLLOUT, 0}, {c->out, POLLIN, 0}, {c->err, POLLIN, 0}};

        (void)poll(p, COUNT_OF(p), POLL_MS); /* woken for nothing is fine */
        if (p[0].revents)
            child_write(c);
        if (p[1].revents)
            child_read(&c->out, &c->from_out);
        if (p[2].revents)
            child_read(&c->err, &c->from_err);
        if (!may_go_on(s, end_ns))
            return false;
    }
    return true;
}

/* It may go on after it has closed its ends. False: too long. */
static bool child_wait(struct seal *s, const struct child *c, int64_t end_ns, int *ret_status)
{
    pid_t gone;

    while ((gone = waitpid(c->pid, ret_status, WNOHANG)) == 0 && may_go_on(s, end_ns))
        (void)poll(NULL, 0, WAIT_MS);
    return gone != 0;
}

static struct error *child_result(struct arena *a, const struct child *c, const char *op, int status)
{
    str words = str_trim(buf_str(&c->from_err));

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && !c->from_out.full && c->from_out.n > 0)
        return NULL;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return error_new(a, ERR_INTERNAL, "exec: %s: the program gave %s", op,
                         c->from_out.n ? "more than 8192 bytes" : "nothing");
    if (words.n) /* errors are told to whoever gives a share */
        log_warn("seal", "the key service's program failed", F_CSTR("operation", op), F_STR("stderr", words));
    return error_new(a, ERR_INTERNAL, "exec: %s: the program ended with %s %d", op,
                     WIFEXITED(status) ? "status" : "signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

static struct error *run(struct seal *s, struct arena *a, const char *op, str key_id, bytes in, bytes *ret)
{
    struct exec_state *st = s->state;
    struct child c = {.to_write = in};
    char **args = ARENA_ARRAY(a, char *, st->n + 2);
    int status = 0;

    memcpy(args, st->args, st->n * sizeof(*args));
    args[st->n] = arena_cstr(a, str_from_cstr(op));
    buf_init(&c.from_out, a, OUT_BYTES_MAX);
    buf_init(&c.from_err, a, ERR_BYTES_MAX);
    TRY(child_start(a, args, key_id, &c));
    int64_t end_ns;

    if (__builtin_add_overflow(clock_mono_ns(clock_real()), st->timeout_ns, &end_ns))
        end_ns = INT64_MAX;
    bool in_time = child_talk(s, &c, end_ns);

    close_fd(&c.in);
    close_fd(&c.out);
    close_fd(&c.err);
    in_time = in_time && child_wait(s, &c, end_ns, &status);
    if (!in_time) {
        (void)kill(c.pid, SIGKILL); /* gone already is fine */
        while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR)
            ;
        return error_new(a, ERR_INTERNAL, "exec: %s: the program took longer than %.*s", op,
                         PSTR(duration_format(a, st->timeout_ns)));
    }
    TRY(child_result(a, &c, op, status));
    *ret = buf_bytes(&c.from_out);
    return NULL;
}

static struct error *exec_encrypt(struct seal *s, struct arena *a, bytes clear, struct seal_blob *ret)
{
    struct exec_state *st = s->state;
    uint8_t key[SEAL_DATA_KEY_BYTES];

    envelope_seal(s, a, clear, key, ret);
    struct error *e = run(s, a, "encrypt", st->key_id, (bytes){key, sizeof(key)}, &ret->wrapped_key);

    wipe(key, sizeof(key));
    ret->key_id = st->key_id;
    return seal_step(a, e, "error encrypting data key");
}

static struct error *exec_decrypt(struct seal *s, struct arena *a, const struct seal_blob *b,
                                  struct secret **ret)
{
    bytes key = {0};
    struct error *e = run(s, a, "decrypt", b->key_id, b->wrapped_key, &key);

    if (e)
        return seal_step(a, e, "error decrypting data encryption key");
    return envelope_open(a, key, b, ret);
}

const struct seal_ops seal_exec = {
    .type = "exec",
    .starts_programs = true,
    .open = exec_open,
    .encrypt = exec_encrypt,
    .decrypt = exec_decrypt,
};
