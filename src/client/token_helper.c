#include "client/token_helper.h"

#include "client/file.h"
#include "config/hcl.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct error *home_path(struct arena *a, const struct environment *e, const char *name, str *ret_path)
{
    str home = environment_get(e, STR("HOME"));
    if (!home.n)
        return error_new(a, ERR_BAD_REQUEST, "failed to get token helper: HOME is not set");
    *ret_path = arena_fmt(a, "%.*s/%s", PSTR(home), name);
    return NULL;
}

static struct error *config_helper(struct arena *a, str text, str *ret_helper)
{
    struct hcl_value *root;
    TRY(hcl_parse(a, text, &root));
    for (const struct hcl_item *i = root->first; i; i = i->next) {
        str key = i->keys[0].text;
        if (i->n_keys != 1 || !str_eq(key, STR("token_helper")))
            return error_new(a, ERR_BAD_REQUEST, "invalid key '%.*s' on line %u", PSTR(key),
                             i->keys[0].pos.line);
        if (i->value->type != HCL_STRING)
            return error_new(a, ERR_BAD_REQUEST, "token_helper must be a string");
        *ret_helper = i->value->text;
    }
    return NULL;
}

/* The configured program as an absolute path; empty: the file is used. */
static struct error *helper_path(struct arena *a, const struct environment *e, str *ret_path)
{
    *ret_path = (str){0};
    str path = environment_setting(e, STR("CONFIG_PATH"));
    if (!path.n)
        TRY(home_path(a, e, ".vault", &path));
    const char *cpath = arena_cstr(a, path);
    if (!cpath || access(cpath, F_OK) != 0)
        return NULL;
    str text;
    str helper = {0};
    struct error *bad = file_read(a, path, &text);
    if (!bad)
        bad = config_helper(a, text, &helper);
    if (bad)
        return error_wrap(a, bad, "failed to get token helper: error parsing config file at %.*s: %.*s",
                          PSTR(path), PSTR(bad->text));
    if (helper.n && !str_starts(helper, STR("/"))) {
        char cwd[4096];
        if (!getcwd(cwd, sizeof(cwd)))
            return error_errno(a, errno, "getcwd");
        helper = arena_fmt(a, "%s/%.*s", cwd, PSTR(helper));
    }
    const char *chelper = arena_cstr(a, helper);
    if (helper.n && (!chelper || access(chelper, F_OK) != 0))
        return error_new(a, ERR_BAD_REQUEST,
                         "failed to get token helper: stat %.*s: no such file or directory", PSTR(helper));
    *ret_path = helper;
    return NULL;
}

/* Starts `$SHELL -c "PATH verb"` with stdin or stdout (`child_fd`) on a pipe, whose other end is returned. */
static struct error *helper_start(struct arena *a, const struct environment *e, str path, const char *verb,
                                  int child_fd, pid_t *ret_pid, int *ret_fd)
{
    str shell = environment_get(e, STR("SHELL"));
    char *sh = arena_cstr(a, shell.n ? shell : STR("/bin/sh"));
    char *command = arena_cstr(a, arena_fmt(a, "%.*s %s", PSTR(path), verb));
    int fds[2];
    if (!sh || !command || pipe2(fds, O_CLOEXEC) != 0)
        return error_new(a, ERR_INTERNAL, "cannot run the token helper %.*s", PSTR(path));
    int theirs = child_fd == STDIN_FILENO ? fds[0] : fds[1];
    int ours = child_fd == STDIN_FILENO ? fds[1] : fds[0];
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, theirs, child_fd);
    char dash_c[] = "-c";
    char *argv[] = {sh, dash_c, command, NULL};
    pid_t pid;
    int failed = posix_spawn(&pid, sh, &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(theirs);
    if (failed) {
        close(ours);
        return error_errno(a, failed, "%s", sh);
    }
    *ret_pid = pid;
    *ret_fd = ours;
    return NULL;
}

static struct error *helper_finish(struct arena *a, pid_t pid, str path, const char *verb)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_errno(a, errno, "waitpid");
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return error_new(a, ERR_INTERNAL, "error running token helper %.*s %s: exit status %d", PSTR(path),
                         verb, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return NULL;
}

struct error *token_get(struct arena *a, const struct environment *e, str *ret_token)
{
    str path;
    TRY(helper_path(a, e, &path));
    if (path.n) {
        pid_t pid;
        int fd;
        str token;
        TRY(helper_start(a, e, path, "get", STDOUT_FILENO, &pid, &fd));
        struct error *bad = fd_read(a, fd, path, &token);
        close(fd);
        TRY(helper_finish(a, pid, path, "get"));
        TRY(bad);
        *ret_token = token;
        return NULL;
    }
    TRY(home_path(a, e, ".vault-token", &path));
    const char *cpath = arena_cstr(a, path);
    *ret_token = (str){0};
    if (!cpath || access(cpath, F_OK) != 0)
        return NULL;
    str text;
    TRY(file_read(a, path, &text));
    *ret_token = str_trim(text);
    return NULL;
}

static struct error *file_store(struct arena *a, const struct environment *e, str token)
{
    str path;
    str tmp;
    TRY(home_path(a, e, ".vault-token", &path));
    TRY(home_path(a, e, ".vault-token.tmp", &tmp));
    const char *from = arena_cstr(a, tmp);
    const char *to = arena_cstr(a, path);
    if (!from || !to)
        return error_new(a, ERR_BAD_REQUEST, "HOME has a NUL byte");
    (void)unlink(from); /* an old one may have another mode; absent is fine */
    TRY(file_write(a, tmp, 0600, token));
    if (rename(from, to) != 0)
        return file_error(a, "rename", tmp, errno);
    return NULL;
}

struct error *token_store(struct arena *a, const struct environment *e, str token)
{
    str path;
    TRY(helper_path(a, e, &path));
    if (!path.n)
        return file_store(a, e, token);
    pid_t pid;
    int fd;
    TRY(helper_start(a, e, path, "store", STDIN_FILENO, &pid, &fd));
    struct error *bad = fd_write(a, fd, path, token);
    close(fd);
    TRY(helper_finish(a, pid, path, "store"));
    return bad;
}
