#include "cli/man.h"

#include "cli/help.h"

/* Variables that belong to no flag. */
static const struct {
    const char *name, *help;
} variables[] = {
    {"TOKEN", "The token of all requests, instead of the one that login keeps."},
    {"CACERT_BYTES", "The PEM certificate authorities themselves, instead of a file."},
    {"CLIENT_TIMEOUT", "How long a request may take. The default is 60s."},
    {"MAX_RETRIES", "How often a request that met a busy or broken server is sent again. The default is 0."},
    {"RATE_LIMIT", "RATE or RATE:BURST: requests a second, and how many at once."},
    {"SRV_LOOKUP", "Look an address without a port up in the SRV records of DNS."},
    {"PROXY_ADDR", "Proxy of all requests; HTTP_PROXY does the same."},
    {"CLI_NO_COLOR", "No colours. NO_COLOR does the same."},
    {"CONFIG_PATH", "File that names a token helper, instead of ~/.vault."},
};

static void put_escaped(struct buf *b, str s)
{
    if (s.n && (s.p[0] == '.' || s.p[0] == '\''))
        buf_put_str(b, STR("\\&"));
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\')
            buf_put_str(b, STR("\\e"));
        else if (s.p[i] == '-')
            buf_put_str(b, STR("\\-"));
        else
            buf_put_byte(b, (uint8_t)s.p[i]);
    }
}

static void put_line(struct buf *b, str s)
{
    put_escaped(b, s);
    buf_put_byte(b, '\n');
}

static void put_flags(struct buf *b, struct arena *a, const struct flag *set)
{
    for (const struct flag *row = set; row && row->name; row++) {
        buf_put_str(b, STR(".TP\n\\fB"));
        put_escaped(b, arena_fmt(a, "-%s", row->name));
        buf_put_str(b, STR("\\fR"));
        put_escaped(b, str_from_cstr(flag_value_text(row)));
        if (row->alias)
            put_escaped(b, arena_fmt(a, ", -%s", row->alias));
        buf_put_byte(b, '\n');
        put_line(b, flag_help_text(a, row));
    }
}

static void put_commands(struct buf *b, struct arena *a)
{
    buf_put_str(b, STR(".SH COMMANDS\n"));
    for (const struct command *row = commands; row->name; row++) {
        const struct flag *sets[FLAG_SETS_MAX];
        if (!row->run || (row->flags & (COMMAND_HIDDEN | COMMAND_ABSENT)))
            continue;
        command_flag_sets(row, sets);
        buf_put_str(b, STR(".SS "));
        put_line(b, arena_fmt(a, "coffer %s [options]%s%s", row->name, row->args ? " " : "",
                              row->args ? row->args : ""));
        put_line(b, arena_fmt(a, "%s.", row->synopsis));
        if (sets[0])
            buf_put_str(b, STR("Takes the options of commands that talk to a server"));
        if (sets[1])
            buf_put_str(b, STR(", \\-field"));
        if (sets[2])
            buf_put_str(b, sets[0] ? STR(", \\-format") : STR("Takes \\-format"));
        if (row->flags & COMMAND_DETAILED)
            buf_put_str(b, STR(", \\-detailed"));
        if (sets[0] || sets[2])
            buf_put_str(b, STR(".\n"));
        put_flags(b, a, sets[3]);
    }
}

static void put_options(struct buf *b, struct arena *a)
{
    static const struct command all = {.flags =
                                           COMMAND_HTTP | COMMAND_FIELD | COMMAND_FORMAT | COMMAND_DETAILED};
    const struct flag *sets[FLAG_SETS_MAX];
    command_flag_sets(&all, sets);
    buf_put_str(b, STR(".SH OPTIONS\n.SS Commands that talk to a server\n"));
    put_flags(b, a, sets[0]);
    buf_put_str(b, STR(".SS Output\n"));
    put_flags(b, a, sets[1]);
    put_flags(b, a, sets[2]);
}

static void put_environment(struct buf *b)
{
    buf_put_str(
        b, STR(".SH ENVIRONMENT\nEach variable is read as COFFER_NAME, BAO_NAME and VAULT_NAME; of several "
               "the one counts that the program was called by, then in this order. Options say which "
               "variable stands for them. These have no option:\n"));
    for (size_t i = 0; i < COUNT_OF(variables); i++) {
        buf_put_fmt(b, ".TP\n\\fBVAULT_%s\\fR\n", variables[i].name);
        put_line(b, str_from_cstr(variables[i].help));
    }
}

void man_write(struct buf *out, struct arena *a)
{
    buf_put_fmt(out, ".TH COFFER 1 \"\" \"coffer %s\" \"User Commands\"\n", COFFER_VERSION);
    buf_put_str(
        out,
        STR(".SH NAME\ncoffer \\- secrets server, and its command line\n"
            ".SH SYNOPSIS\n\\fBcoffer\\fR \\fIcommand\\fR [\\fIoptions\\fR] [\\fIarguments\\fR]\n"
            ".SH DESCRIPTION\ncoffer keeps secrets, encrypted, and gives them to who may have them, over "
            "HTTP. This program is the server (coffer server) and the command line for it, for Vault and "
            "for OpenBao. Options stand before arguments; one or two dashes are alike. "
            "A K=V argument takes its value from a file with K=@FILE and from standard input with K=\\-.\n"));
    put_commands(out, a);
    put_options(out, a);
    put_environment(out);
    buf_put_str(
        out, STR(".SH FILES\n.TP\n~/.vault\\-token\nThe token that login keeps, mode 0600.\n"
                 ".TP\n~/.vault\nHCL, with token_helper = \"PROGRAM\" for one that keeps it elsewhere.\n"
                 ".SH EXIT STATUS\n0: done. 1: wrong options, arguments or files. 2: refused by the server, "
                 "or not found. 127: no such command. status: 0 unsealed, 2 sealed, 1 any error.\n"));
}
