/* monitor: prints the server's log as it comes, until the server is sealed or ends, or the reader does. */
#include "base/log.h"
#include "cli/cmd.h"

#include <signal.h>
#include <unistd.h>

const struct flag monitor_flags[] = {
    {"log-level", FLAG_STRING, .initial = "info",
     .help = "The least level to show: trace, debug, info, warn or error."},
    {"log-format", FLAG_STRING, .initial = "standard", .help = "standard or json."},
    {0},
};

static bool put_piece(void *arg, str piece)
{
    struct cli *c = arg;

    return fwrite(piece.p, 1, piece.n, c->out) == piece.n && fflush(c->out) == 0;
}

/* What was written is flushed. */
static void leave(int signal)
{
    (void)signal;
    _exit(0);
}

struct error *cmd_monitor(struct cli *c)
{
    struct json *params = json_object(c->arena);
    struct client_request rq = {.path = STR("sys/monitor"), .params = params};
    str level = flag_text(&c->flags, "log-level"), format = flag_text(&c->flags, "log-format");
    struct client_answer answer;
    struct client *client;
    enum log_level known;

    if (!log_level_from_str(level, &known))
        return usage_error(
            c, "%.*s is an unknown log level. Valid log levels are: trace, debug, info, warn, error",
            PSTR(level));
    if (!str_eq(format, STR("standard")) && !str_eq(format, STR("json")))
        return usage_error(c, "%.*s is an unknown log format. Valid log formats are: standard, json",
                           PSTR(format));
    json_set_str(c->arena, params, STR("log_level"), level);
    json_set_str(c->arena, params, STR("log_format"), format);
    c->exit_code = 1; /* of any error */
    (void)signal(SIGINT, leave);
    (void)signal(SIGTERM, leave);
    TRY(cli_client(c, &client));
    TRY(prefixed(c, client_stream(client, c->arena, &rq, put_piece, c, &answer), "Error starting monitor"));
    TRY(prefixed(c, client_check(c->arena, &answer), "Error starting monitor"));
    c->exit_code = 0;
    return NULL;
}
