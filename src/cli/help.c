#include "cli/help.h"

enum { HELP_WIDTH = 72, HELP_BYTES_MAX = 1024 * 1024 };

static bool is_direct_child(str group, str name)
{
    if (!group.n)
        return str_index(name, ' ') == name.n;
    str rest = str_from(name, group.n + 1);
    return str_starts(name, group) && name.n > group.n && name.p[group.n] == ' ' &&
           str_index(rest, ' ') == rest.n;
}

static void children_write(struct buf *b, str group)
{
    for (const struct command *row = commands; row->name; row++) {
        str name = str_from_cstr(row->name);
        bool hidden = (row->flags & COMMAND_HIDDEN) || (!group.n && (row->flags & COMMAND_ABSENT));
        if (!is_direct_child(group, name) || hidden)
            continue;
        str last = group.n ? str_from(name, group.n + 1) : name;
        buf_put_fmt(b, "    %-18.*s %s\n", PSTR(last), row->synopsis);
    }
}

const char *flag_value_text(const struct flag *row)
{
    switch (row->type) {
    case FLAG_BOOL: return "";
    case FLAG_STRING:
    case FLAG_STRINGS:
    case FLAG_COMMAS: return "=<string>";
    case FLAG_INT: return "=<int>";
    case FLAG_DURATION: return "=<duration>";
    case FLAG_PAIRS: return "=<key=value>";
    }
    return "";
}

str flag_help_text(struct arena *a, const struct flag *row)
{
    struct buf text;
    buf_init(&text, a, HELP_BYTES_MAX);
    buf_put_str(&text, str_from_cstr(row->help));
    if (row->initial && row->initial[0])
        buf_put_fmt(&text, " The default is %s.", row->initial);
    if (row->setting)
        buf_put_fmt(&text, " This can also be specified via the VAULT_%s environment variable.",
                    row->setting);
    return buf_str(&text);
}

static void flag_write(struct cli *c, struct buf *b, const struct flag *row)
{
    buf_put_fmt(b, "  -%s", row->name);
    if (row->alias)
        buf_put_fmt(b, ", -%s", row->alias);
    buf_put_fmt(b, "%s\n", flag_value_text(row));
    wrapped_write(b, flag_help_text(c->arena, row), HELP_WIDTH, "      ");
    buf_put_byte(b, '\n');
}

static void flags_write(struct cli *c, struct buf *b, const struct command *of)
{
    static const char *const titles[FLAG_SETS_MAX] = {"HTTP Options", "Output Options", "Output Options",
                                                      "Command Options"};
    struct flags f;
    command_flag_sets(of, f.sets);
    const char *last = "";
    for (size_t i = 0; i < FLAG_SETS_MAX; i++) {
        if (!f.sets[i] || !f.sets[i]->name)
            continue;
        if (strcmp(titles[i], last) != 0)
            buf_put_fmt(b, "\n%s:\n\n", titles[i]);
        last = titles[i];
        for (const struct flag *row = f.sets[i]; row->name; row++)
            flag_write(c, b, row);
    }
}

void help_write(struct cli *c, FILE *to, const struct command *of)
{
    struct buf b;
    buf_init(&b, c->arena, HELP_BYTES_MAX);
    str name = of ? str_from_cstr(of->name) : (str){0};
    const char *space = of ? " " : "";
    if (of && of->run) {
        buf_put_fmt(&b, "Usage: %.*s %.*s [options]%s%s\n\n", PSTR(c->called), PSTR(name),
                    of->args ? " " : "", of->args ? of->args : "");
        wrapped_write(&b, str_from_cstr(of->synopsis), HELP_WIDTH, "  ");
        flags_write(c, &b, of);
    } else {
        buf_put_fmt(&b, "Usage: %.*s%s%.*s <%s> [args]\n\n", PSTR(c->called), space, PSTR(name),
                    of ? "subcommand" : "command");
        if (of) {
            wrapped_write(&b, str_from_cstr(of->synopsis), HELP_WIDTH, "  ");
            buf_put_byte(&b, '\n');
        }
        buf_put_str(&b, of ? STR("Subcommands:\n") : STR("Commands:\n"));
        children_write(&b, name);
    }
    fwrite(b.p, 1, b.n, to);
}
