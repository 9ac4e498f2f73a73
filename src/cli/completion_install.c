/* The lines in the shells' start files, the same that the peers write. */
#include "cli/completion.h"
#include "client/file.h"

#include <errno.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

struct shell {
    const char *name, *needs; /* needs: file or folder in the home that shows the shell is used */
    str file;                 /* below the home */
    str text;                 /* to be in the file */
    bool whole;               /* the file is ours */
};

static bool is_there(struct cli *c, str path)
{
    const char *at = arena_cstr(c->arena, path);
    return at && access(at, F_OK) == 0;
}

static struct error *home_of_user(struct cli *c, str *ret_home)
{
    const struct passwd *user = getpwuid(getuid());
    if (!user || !user->pw_dir || !user->pw_dir[0])
        return error_new(c->arena, ERR_NOT_FOUND, "the user database names no home for this user");
    *ret_home = arena_str(c->arena, str_from_cstr(user->pw_dir));
    return NULL;
}

static struct error *own_path(struct cli *c, str *ret_path)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
    if (n <= 0 || (size_t)n == sizeof(path))
        return error_new(c->arena, ERR_INTERNAL, "the path of this program is not known");
    *ret_path = arena_str(c->arena, (str){path, (size_t)n});
    return NULL;
}

static void shells_of(struct cli *c, str program, struct shell ret[3])
{
    struct arena *a = c->arena;
    str name = c->called;
    ret[0] = (struct shell){"bash", ".bashrc", STR(".bashrc"),
                            arena_fmt(a, "complete -C %.*s %.*s\n", PSTR(program), PSTR(name)), false};
    ret[1] = (struct shell){"zsh", ".zshrc", STR(".zshrc"),
                            arena_fmt(a,
                                      "autoload -U +X bashcompinit && bashcompinit\n"
                                      "complete -o nospace -C %.*s %.*s\n",
                                      PSTR(program), PSTR(name)),
                            false};
    ret[2] =
        (struct shell){"fish", ".config/fish", arena_fmt(a, ".config/fish/completions/%.*s.fish", PSTR(name)),
                       arena_fmt(a,
                                 "function __complete_%.*s\n"
                                 "    set -lx COMP_LINE (commandline -cp)\n"
                                 "    test -z (commandline -ct)\n"
                                 "    and set COMP_LINE \"$COMP_LINE \"\n"
                                 "    %.*s\n"
                                 "end\n"
                                 "complete -f -c %.*s -a \"(__complete_%.*s)\"\n",
                                 PSTR(name), PSTR(program), PSTR(name), PSTR(name)),
                       true};
}

/* Adds the text to the file (for a file of ours: makes it); *ret_done: it was not there. */
static struct error *add(struct cli *c, const struct shell *s, str path, bool *ret_done)
{
    str old = {0};
    if (is_there(c, path))
        TRY(file_read(c->arena, path, &old));
    *ret_done = str_find(old, s->text) == old.n;
    if (!*ret_done)
        return NULL;
    if (s->whole) {
        char *folder = arena_cstr(c->arena, str_slice(path, 0, str_rindex(path, '/')));
        if (!folder || (mkdir(folder, 0755) != 0 && errno != EEXIST))
            return file_error(c->arena, "mkdir", path, errno);
        return file_write(c->arena, path, 0644, s->text);
    }
    const char *between = old.n && !str_ends(old, STR("\n")) ? "\n" : "";
    return file_write(c->arena, path, 0644,
                      arena_fmt(c->arena, "%.*s%s%.*s", PSTR(old), between, PSTR(s->text)));
}

static struct error *take_out(struct cli *c, const struct shell *s, str path, bool *ret_done)
{
    str old;
    *ret_done = false;
    if (!is_there(c, path))
        return NULL;
    TRY(file_read(c->arena, path, &old));
    size_t at = str_find(old, s->text);
    if (at == old.n)
        return NULL;
    *ret_done = true;
    if (s->whole)
        return unlink(arena_cstr(c->arena, path)) == 0 ? NULL : file_error(c->arena, "remove", path, errno);
    return file_write(c->arena, path, 0644,
                      arena_join(c->arena, str_slice(old, 0, at), str_from(old, at + s->text.n)));
}

static struct error *change(struct cli *c,
                            struct error *(*one)(struct cli *, const struct shell *, str, bool *),
                            const char *did, const char *nothing)
{
    struct shell shells[3];
    str home = {0};
    str program = {0};
    bool any = false;
    c->exit_code = 1; /* of any error */
    TRY(home_of_user(c, &home));
    TRY(own_path(c, &program));
    shells_of(c, program, shells);
    bool none = true;
    for (size_t i = 0; i < COUNT_OF(shells); i++)
        none = none && !is_there(c, arena_fmt(c->arena, "%.*s/%s", PSTR(home), shells[i].needs));
    for (size_t i = 0; i < COUNT_OF(shells); i++) {
        str path = arena_fmt(c->arena, "%.*s/%.*s", PSTR(home), PSTR(shells[i].file));
        bool done = false;
        if (!(none && i == 0) && !is_there(c, arena_fmt(c->arena, "%.*s/%s", PSTR(home), shells[i].needs)))
            continue; /* a shell that is not used; without any, bash is taken for the one */
        TRY(one(c, &shells[i], path, &done));
        if (done)
            cli_print(c, "%s %.*s for %s.", did, PSTR(path), shells[i].name);
        any = any || done;
    }
    if (!any)
        return error_new(c->arena, ERR_BAD_REQUEST, "%s", nothing);
    c->exit_code = 0;
    return NULL;
}

struct error *completion_install(struct cli *c)
{
    TRY(change(c, add, "Added to", "Completion is installed already."));
    cli_print(c, "Success! Start a new shell to use it.");
    return NULL;
}

struct error *completion_uninstall(struct cli *c)
{
    return change(c, take_out, "Taken out of", "Completion is not installed.");
}
