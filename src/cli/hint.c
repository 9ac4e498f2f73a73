#include "cli/hint.h"

/* The first one whose words are in the error. %.*s: the name of the program. */
static const struct {
    const char *words, *hint;
} hints[] = {
    {"connect: connection refused", "No server listens there. VAULT_ADDR or -address says which one to ask."},
    {"connect: no such file or directory",
     "No server listens there. VAULT_ADDR or -address says which one to ask."},
    {"no such host", "The name is not known. VAULT_ADDR or -address says which server to ask."},
    {"HTTP response to HTTPS client",
     "The server speaks plain HTTP: the address (VAULT_ADDR, -address) begins with http:// then."},
    {"signed by unknown authority",
     "VAULT_CACERT or -ca-cert names the file with the authority's certificate."},
    {"certificate is not valid for",
     "VAULT_TLS_SERVER_NAME or -tls-server-name says which name the certificate has."},
    {"certificate required",
     "The server wants a certificate: -client-cert and -client-key, or their variables."},
    {"context deadline exceeded", "No answer in time. VAULT_CLIENT_TIMEOUT makes it longer than 60 s."},
    {"unsupported protocol scheme", "An address begins with http://, https:// or unix://."},
    {"Vault is sealed", "`%.*s operator unseal` takes the shares of the key."},
    {"Vault is not initialized", "`%.*s operator init` makes the keys and the first root token."},
    {"missing client token", "`%.*s login` gets a token; VAULT_TOKEN gives one."},
    {"permission denied", "`%.*s policy explain` tells who manages the server which rule decided."},
    {"is not a terminal", "Run this on a terminal, or give the value as an argument."},
};

str hint_about(struct cli *c, str error_text)
{
    for (size_t i = 0; i < COUNT_OF(hints); i++) {
        str hint = str_from_cstr(hints[i].hint);
        str before;
        str after;
        if (str_find(error_text, str_from_cstr(hints[i].words)) == error_text.n)
            continue;
        return str_cut(hint, '%', &before, &after) ? arena_fmt(c->arena, "%.*s%.*s%.*s", PSTR(before),
                                                               PSTR(c->called), PSTR(str_from(after, 3)))
                                                   : hint;
    }
    return (str){0};
}

enum { NEAR = 2, WORD_MAX = 40 };

/* Characters to insert, remove or change until x is y; NEAR + 1 for all that is further away. */
static unsigned distance(str x, str y)
{
    unsigned row[WORD_MAX + 1];
    if (x.n > WORD_MAX || y.n > WORD_MAX)
        return NEAR + 1;
    for (unsigned j = 0; j <= y.n; j++)
        row[j] = j;
    for (unsigned i = 1; i <= x.n; i++) {
        unsigned corner = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= y.n; j++) {
            unsigned changed = corner + (x.p[i - 1] != y.p[j - 1]);
            corner = row[j];
            row[j] = MIN(changed, 1 + MIN(row[j], row[j - 1]));
        }
    }
    return MIN(row[y.n], NEAR + 1);
}

static size_t words_in(str name)
{
    size_t n = 1;
    for (size_t i = 0; i < name.n; i++)
        n += name.p[i] == ' ';
    return n;
}

str hint_command(struct cli *c, const str *args, size_t n)
{
    str best = {0};
    unsigned nearest = NEAR + 1;
    for (const struct command *row = commands; row->name; row++) {
        str name = str_from_cstr(row->name);
        str typed = {0};
        size_t words = words_in(name);
        if (words > n || (row->flags & COMMAND_ABSENT))
            continue;
        for (size_t i = 0; i < words; i++)
            typed = arena_fmt(c->arena, "%.*s%s%.*s", PSTR(typed), i ? " " : "", PSTR(args[i]));
        unsigned d = distance(typed, name);
        if (d < nearest && d > 0) {
            nearest = d;
            best = name;
        }
    }
    return best;
}

str hint_flag(struct cli *c, str name)
{
    const struct flag *sets[FLAG_SETS_MAX];
    str best = {0};
    unsigned nearest = NEAR + 1;
    command_flag_sets(c->command, sets);
    for (size_t i = 0; i < FLAG_SETS_MAX; i++) {
        for (const struct flag *row = sets[i]; row && row->name; row++) {
            unsigned d = distance(name, str_from_cstr(row->name));
            best = d < nearest ? str_from_cstr(row->name) : best;
            nearest = MIN(d, nearest);
        }
    }
    return best;
}

void hint_next(struct cli *c, const char *command)
{
    if (c->terminal && c->format == OUTPUT_TABLE)
        cli_warn(c, "\nNext: %.*s %s", PSTR(c->called), command);
}
