/* What commands read: K=V arguments, paths, prompts. */
#include "cli/cli.h"
#include "cli/pairs.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

enum { PROMPT_BYTES_MAX = 64 * 1024, INTERRUPT = 3 };

struct error *cli_pairs(struct cli *c, size_t from, struct json **ret_object)
{
    from = MIN(from, c->n_args);
    struct error *bad = pairs_parse(c->arena, c->in_fd, c->args + from, c->n_args - from, ret_object);
    return bad ? usage_error(c, "Failed to parse K=V data: %.*s", PSTR(bad->text)) : NULL;
}

str path_trim(str path)
{
    path = str_trim(path);
    while (str_starts(path, STR("/")))
        path = str_from(path, 1);
    while (str_ends(path, STR("/")))
        path.n--;
    return path;
}

str path_slashed(struct arena *a, str path)
{
    return arena_join(a, path_trim(path), STR("/"));
}

static struct error *interrupted(struct cli *c)
{
    return error_new(c->arena, ERR_BAD_REQUEST, "interrupted");
}

static struct error *line_read(struct cli *c, str *ret_text)
{
    struct buf b;
    char byte;
    ssize_t n;
    buf_init(&b, c->arena, PROMPT_BYTES_MAX);
    while ((n = read(c->in_fd, &byte, 1)) == 1 && byte != '\n' && byte != '\r') {
        if (byte == INTERRUPT)
            return interrupted(c);
        buf_put_byte(&b, (uint8_t)byte);
    }
    if (n < 0) /* a signal came, or the terminal went away */
        return interrupted(c);
    *ret_text = buf_str(&b);
    return NULL;
}

static void noted(int signal)
{
    (void)signal; /* it ends the read, so that the terminal is put back */
}

struct error *cli_prompt(struct cli *c, FILE *to, const char *prompt, str *ret_text)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction quit = {.sa_handler = noted};
    struct sigaction old[COUNT_OF(signals)];
    struct termios before;
    if (!isatty(c->in_fd) || tcgetattr(c->in_fd, &before) != 0)
        return error_new(c->arena, ERR_BAD_REQUEST, "file descriptor 0 is not a terminal");
    struct termios quiet = before;
    quiet.c_lflag &= (tcflag_t)~ECHO;
    for (size_t i = 0; i < COUNT_OF(signals); i++)
        (void)sigaction(signals[i], &quit, &old[i]);
    tcsetattr(c->in_fd, TCSAFLUSH, &quiet);
    fputs(prompt, to);
    fflush(to);
    struct error *bad = line_read(c, ret_text);
    tcsetattr(c->in_fd, TCSAFLUSH, &before);
    for (size_t i = 0; i < COUNT_OF(signals); i++)
        (void)sigaction(signals[i], &old[i], NULL);
    fputc('\n', to);
    return bad;
}
