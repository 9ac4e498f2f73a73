/* The start of every call: global flags, which command, its flags, its arguments; and the end: errors and the
 * exit code. */
#include "cli/cli.h"

#include "base/clock.h"
#include "cli/completion.h"
#include "cli/help.h"
#include "cli/hint.h"
#include "cli/preview.h"
#include "client/secret.h"
#include "client/token_helper.h"

#include <unistd.h>

enum { EXIT_UNKNOWN_COMMAND = 127 };

static const struct flag http_flags[] = {
    {"address", FLAG_STRING, .setting = "ADDR",
     .help = "Address of the server, by default https://127.0.0.1:8200."},
    {"agent-address", FLAG_STRING, .setting = "AGENT_ADDR",
     .help = "Address of the agent; used instead of the server's."},
    {"ca-cert", FLAG_STRING, .setting = "CACERT",
     .help = "File with the PEM certificate authorities that the server's certificate is checked with."},
    {"ca-path", FLAG_STRING, .setting = "CAPATH", .help = "Directory of such files."},
    {"client-cert", FLAG_STRING, .setting = "CLIENT_CERT",
     .help = "File with the PEM certificate that the client shows."},
    {"client-key", FLAG_STRING, .setting = "CLIENT_KEY",
     .help = "File with the PEM private key of that certificate."},
    {"tls-server-name", FLAG_STRING, .setting = "TLS_SERVER_NAME",
     .help = "Name asked for in the TLS handshake (SNI)."},
    {"tls-skip-verify", FLAG_BOOL, .setting = "SKIP_VERIFY",
     .help = "Do not verify the server's certificate."},
    {"disable-redirects", FLAG_BOOL, .setting = "DISABLE_REDIRECTS",
     .help = "Do not follow redirects; only the variable has an effect."},
    {"namespace", FLAG_STRING, .alias = "ns", .setting = "NAMESPACE", .help = "Namespace of the request."},
    {"wrap-ttl", FLAG_DURATION, .setting = "WRAP_TTL",
     .help = "Wrap the answer in a token with this time to live."},
    {"mfa", FLAG_STRINGS, .setting = "MFA",
     .help = "Credentials of the form method[:key[=value]]; may be given several times."},
    {"header", FLAG_PAIRS,
     .help = "Header to send; may be given several times. Names that begin with X-Vault- are refused."},
    {"policy-override", FLAG_BOOL, .help = "Override soft-mandatory policies."},
    {"non-interactive", FLAG_BOOL, .help = "Ask nothing on the terminal."},
    {"output-curl-string", FLAG_BOOL,
     .help = "Print the curl command for the request instead of sending it."},
    {"output-policy", FLAG_BOOL, .help = "Print the policy that the request needs instead of sending it."},
    {"unlock-key", FLAG_STRING, .help = "Key to unlock a namespace."},
    {0},
};
static const struct flag field_flags[] = {
    {"field", FLAG_STRING, .help = "Print only this field."},
    {0},
};
static const struct flag format_flags[] = {
    {"format", FLAG_STRING, .initial = "table", .setting = "FORMAT",
     .help = "Output format: table, json or yaml."},
    {0},
};
static const struct flag format_detailed_flags[] = {
    {"format", FLAG_STRING, .initial = "table", .setting = "FORMAT",
     .help = "Output format: table, json or yaml."},
    {"detailed", FLAG_BOOL, .setting = "DETAILED", .help = "More columns."},
    {0},
};

void command_flag_sets(const struct command *of, const struct flag *sets[FLAG_SETS_MAX])
{
    const struct flag *format = of->flags & COMMAND_FORMAT ? format_flags : NULL;
    sets[0] = of->flags & COMMAND_HTTP ? http_flags : NULL;
    sets[1] = of->flags & COMMAND_FIELD ? field_flags : NULL;
    sets[2] = of->flags & COMMAND_DETAILED ? format_detailed_flags : format;
    sets[3] = of->own;
}

struct error *usage_error_(struct cli *c, str text)
{
    c->exit_code = 1;
    return error_new(c->arena, ERR_BAD_REQUEST, "%.*s", PSTR(text));
}

struct error *prefixed_(struct cli *c, const struct error *cause, str prefix)
{
    return cause ? error_wrap(c->arena, cause, "%.*s: %.*s", PSTR(prefix), PSTR(cause->text)) : NULL;
}

/* What the HTTP flags say, over what the environment said. */
static void settings_from_flags(struct cli *c, struct client_settings *s)
{
    const struct {
        const char *flag;
        str *to;
    } texts[] = {
        {"address", &s->address},
        {"agent-address", &s->address},
        {"ca-cert", &s->http.ca_file},
        {"ca-path", &s->http.ca_path},
        {"client-cert", &s->http.client_cert_file},
        {"client-key", &s->http.client_key_file},
        {"tls-server-name", &s->http.tls_server_name},
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (flag_given(&c->flags, texts[i].flag) && flag_text(&c->flags, texts[i].flag).n)
            *texts[i].to = flag_text(&c->flags, texts[i].flag);
    if (flag_given(&c->flags, "namespace")) /* an empty one is the root */
        s->name_space = flag_text(&c->flags, "namespace");
    if (flag_given(&c->flags, "tls-skip-verify"))
        s->http.tls_skip_verify = flag_bool(&c->flags, "tls-skip-verify");
    if (flag_number(&c->flags, "wrap-ttl"))
        s->wrap_ttl = duration_format(c->arena, flag_number(&c->flags, "wrap-ttl"));
    const struct flag_value *mfa = flag_value(&c->flags, "mfa");
    if (mfa->given) {
        s->mfa = mfa->items;
        s->n_mfa = mfa->n;
    }
    s->policy_override = flag_bool(&c->flags, "policy-override");
    const struct json *headers = flag_value(&c->flags, "header")->pairs;
    s->headers = ARENA_ARRAY(c->arena, struct http_header, headers ? headers->n : 0);
    for (uint32_t i = 0; headers && i < headers->n; i++)
        s->headers[s->n_headers++] =
            (struct http_header){headers->members[i].key, headers->members[i].value->text};
}

struct error *cli_client(struct cli *c, struct client **ret_client)
{
    if (!c->client) {
        struct client_settings s;
        TRY(client_settings_from_environment(c->arena, &c->env, &s));
        settings_from_flags(c, &s);
        if (c->ask_ns) {
            s.http.timeout_ns = c->ask_ns;
            s.retries_max = 0;
        }
        if (!s.token.n)
            TRY(token_get(c->arena, &c->env, &s.token));
        TRY(client_new(c->arena, &s, &c->client));
    }
    *ret_client = c->client;
    return NULL;
}

struct error *cli_send(struct cli *c, const struct client_request *rq, struct client_answer *ret_answer)
{
    struct client *client;
    TRY(cli_client(c, &client));
    if (c->preview == PREVIEW_NONE)
        return client_send(client, c->arena, rq, ret_answer);
    TRY(preview_print(c, rq));
    c->previewed = true;
    return error_new(c->arena, ERR_INTERNAL, "not sent");
}

struct error *cli_call(struct cli *c, str what, const struct client_request *rq,
                       struct client_answer *ret_answer)
{
    struct client *client;
    struct client_answer answer;
    TRY(cli_client(c, &client));
    struct error *e = cli_send(c, rq, &answer);
    if (!e)
        e = client_check(c->arena, &answer);
    if (e)
        return what.n ? prefixed(c, e, "%.*s", PSTR(what)) : e;
    if (ret_answer)
        *ret_answer = answer;
    return NULL;
}

struct error *cli_secret(struct cli *c, str what, const struct client_request *rq, struct json **ret_secret)
{
    struct client_answer answer;
    TRY(cli_call(c, what, rq, &answer));
    *ret_secret = secret_from_json(c->arena, answer.json);
    return NULL;
}

struct error *cli_find(struct cli *c, str what, const struct client_request *rq, struct json **ret_secret)
{
    struct client *client;
    struct client_answer answer;
    TRY(cli_client(c, &client));
    TRY(prefixed(c, cli_send(c, rq, &answer), "%.*s", PSTR(what)));
    struct json *secret = secret_from_json(c->arena, answer.json);
    bool has_data =
        !json_is_null(json_get(secret, STR("data"))) || !json_is_null(json_get(secret, STR("warnings")));
    if (answer.status == 404) {
        *ret_secret = has_data ? secret : NULL;
        return NULL;
    }
    TRY(prefixed(c, client_check(c->arena, &answer), "%.*s", PSTR(what)));
    *ret_secret = secret;
    return NULL;
}

/* -NAME or --NAME, alone or before "=": what stands behind the name; *ret_has_value says whether there was a
 * "=". */
static bool arg_is_flag(str arg, const char *name, bool *ret_has_value, str *ret_value)
{
    size_t dashes = str_starts(arg, STR("--")) ? 2 : str_starts(arg, STR("-")) ? 1 : 0;
    str key;
    str rest = str_from(arg, dashes);
    *ret_has_value = str_cut(rest, '=', &key, ret_value);
    return dashes && str_eq(key, str_from_cstr(name));
}

/* -NAME, or with a value that is not false. */
static bool arg_is_on(str arg, const char *name)
{
    bool has_value, on = true;
    str value;
    return arg_is_flag(arg, name, &has_value, &value) && (!bool_from_str(value, &on) || on);
}

static bool arg_is_global(str arg)
{
    static const char *const names[] = {"format", "detailed", "output-curl-string", "output-policy"};
    bool has_value;
    str value;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (arg_is_flag(arg, names[i], &has_value, &value))
            return true;
    return false;
}

static bool format_from_str(struct arena *a, str text, enum output_format *ret)
{
    static const struct {
        const char *name;
        enum output_format format;
    } names[] = {
        {"table", OUTPUT_TABLE}, {"json", OUTPUT_JSON}, {"yaml", OUTPUT_YAML},
        {"yml", OUTPUT_YAML},    {"raw", OUTPUT_RAW},   {"pretty", OUTPUT_PRETTY},
    };
    text = arena_lower(a, text);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (str_eq(text, str_from_cstr(names[i].name))) {
            *ret = names[i].format;
            return true;
        }
    }
    return false;
}

static struct error *scan_globals(struct cli *c, const str *args, size_t n)
{
    str format = environment_setting(&c->env, STR("FORMAT"));
    str detailed = environment_setting(&c->env, STR("DETAILED"));
    (void)!bool_from_str(detailed, &c->detailed); /* one that does not parse counts as unset */
    for (size_t i = 0; i < n && !str_eq(args[i], STR("--")); i++) {
        bool has_value;
        str value;
        if (arg_is_flag(args[i], "format", &has_value, &value)) {
            if (has_value)
                format = value;
            else if (i + 1 < n)
                format = args[i + 1];
        } else if (arg_is_flag(args[i], "detailed", &has_value, &value) && !has_value) {
            c->detailed = true;
        } else if (arg_is_on(args[i], "output-policy")) {
            c->preview = PREVIEW_POLICY;
        } else if (arg_is_on(args[i], "output-curl-string")) {
            c->preview = PREVIEW_CURL;
        }
    }
    if (format.n && !format_from_str(c->arena, format, &c->format))
        return usage_error(c, "Invalid output format: %.*s", PSTR(format));
    return NULL;
}

const struct command *command_find(struct arena *a, const str *args, size_t n, size_t *ret_words)
{
    const struct command *found = NULL;
    str name = {0};
    for (size_t i = 0; i < n; i++) {
        name = i ? arena_fmt(a, "%.*s %.*s", PSTR(name), PSTR(args[i])) : args[i];
        bool is_prefix = false;
        for (const struct command *row = commands; row->name; row++) {
            is_prefix = is_prefix || str_starts(str_from_cstr(row->name), name);
            if (str_eq(name, str_from_cstr(row->name))) {
                found = row;
                *ret_words = i + 1;
            }
        }
        if (!is_prefix)
            break;
    }
    return found;
}

/* As command_find, by the name a command had before; says so. */
static const struct command *old_command(struct cli *c, str name, size_t *ret_words)
{
    bool runs;
    const struct command *found = command_of_old_name(name, &runs);
    if (!found)
        return NULL;
    cli_warn(c, "`%.*s %.*s` is the old name of `%.*s %s`.", PSTR(c->called), PSTR(name), PSTR(c->called),
             found->name);
    *ret_words = 1;
    return runs ? found : NULL;
}

static bool asks_help(const str *args, size_t n)
{
    for (size_t i = 0; i < n && !str_eq(args[i], STR("--")); i++)
        if (str_eq(args[i], STR("-h")) || str_eq(args[i], STR("-help")) || str_eq(args[i], STR("--help")))
            return true;
    return false;
}

static struct error *check_count(struct cli *c)
{
    const struct command *of = c->command;
    if (of->flags & COMMAND_ANY_ARGS)
        return NULL;
    str expected = of->expected ? str_from_cstr(of->expected) : arena_fmt(c->arena, "%zu", of->args_min);
    if (c->n_args < of->args_min)
        return usage_error(c, "Not enough arguments (expected %.*s, got %zu)", PSTR(expected), c->n_args);
    if (c->n_args > of->args_max)
        return usage_error(c, "Too many arguments (expected %.*s, got %zu)", PSTR(expected), c->n_args);
    return NULL;
}

/* The error with what was meant, or where the flags are listed. */
static struct error *flag_refused(struct cli *c, struct error *bad)
{
    size_t at = str_find(bad->text, STR("not defined: -"));
    bool on_stdout = c->command->flags & COMMAND_ERRORS_ON_STDOUT;
    if (at == bad->text.n || c->format != OUTPUT_TABLE || on_stdout)
        return bad;
    str meant = hint_flag(c, str_from(bad->text, at + 14));
    if (meant.n)
        return error_wrap(c->arena, bad, "%.*s\nDid you mean -%.*s?", PSTR(bad->text), PSTR(meant));
    return error_wrap(c->arena, bad, "%.*s\n`%.*s %s -h` lists the flags.", PSTR(bad->text), PSTR(c->called),
                      c->command->name);
}

static struct error *run_command(struct cli *c, str *args, size_t n)
{
    const struct flag *sets[FLAG_SETS_MAX];
    size_t used;
    if (c->command->flags & COMMAND_ABSENT)
        return c->command->run(c);
    command_flag_sets(c->command, sets);
    flags_init(&c->flags, c->arena, &c->env, sets);
    struct error *bad = flags_parse(&c->flags, c->arena, args, n, &used);
    if (bad) {
        c->exit_code = c->command->flags & COMMAND_USAGE_IS_3 ? 3 : 1;
        return flag_refused(c, bad);
    }
    c->args = args + used;
    c->n_args = n - used;
    for (size_t i = 0; i < c->n_args && c->format == OUTPUT_TABLE; i++)
        if (c->args[i].n > 1 && c->args[i].p[0] == '-' && !arg_is_global(c->args[i]))
            cli_warn(c,
                     "Command flags must be provided before positional arguments. The following argument is "
                     "not parsed as a flag: %.*s",
                     PSTR(c->args[i]));
    if (c->format == OUTPUT_RAW && !(c->command->flags & COMMAND_RAW))
        return usage_error(c, "This command does not support the -format=raw option.");
    TRY(check_count(c));
    return c->command->run(c);
}

/* Help in place of a command: which stream and exit code depends on what was wrong. */
static int run_help(struct cli *c, const str *args, size_t n, bool asked)
{
    if (asked) {
        help_write(c, c->out, c->command);
        return 0;
    }
    if (!c->command && n && args[0].n && args[0].p[0] == '-') {
        cli_warn(c, "Flags must stand behind the command: %.*s\n", PSTR(args[0]));
        help_write(c, c->err, NULL);
        return 1;
    }
    str meant = hint_command(c, args, n);
    if (meant.n)
        cli_warn(c, "Did you mean `%.*s %.*s`?\n", PSTR(c->called), PSTR(meant));
    help_write(c, c->err, c->command);
    return c->command ? 1 : EXIT_UNKNOWN_COMMAND;
}

static int report(struct cli *c, const struct error *e)
{
    if (c->previewed)
        return 0;
    const char *kind = c->preview == PREVIEW_CURL ? "cURL" : "policy";
    if (!e && c->preview != PREVIEW_NONE) {
        cli_warn(c, "Could not generate %s command", kind);
        return 1;
    }
    if (!e)
        return c->exit_code;
    bool on_stdout = c->command && (c->command->flags & COMMAND_ERRORS_ON_STDOUT);
    fprintf(on_stdout ? c->out : c->err, c->color ? "\033[91m%.*s\033[0m\n" : "%.*s\n", PSTR(e->text));
    str hint = c->format == OUTPUT_TABLE && !on_stdout ? hint_about(c, e->text) : (str){0};
    if (c->preview != PREVIEW_NONE)
        cli_warn(c, "Unable to generate %s string from command", kind);
    else if (hint.n)
        fprintf(c->err, "%.*s\n", PSTR(hint));
    return c->exit_code ? c->exit_code : 2;
}

static int run(struct cli *c, str *args, size_t n)
{
    str line = environment_get(&c->env, STR("COMP_LINE"));
    bool has_value;
    str value;
    if (line.n) {
        completion_print(c, line);
        return 0;
    }
    if (n && arg_is_flag(args[0], "autocomplete-install", &has_value, &value))
        return report(c, completion_install(c));
    if (n && arg_is_flag(args[0], "autocomplete-uninstall", &has_value, &value))
        return report(c, completion_uninstall(c));
    static str version[] = {STR("version")};
    struct error *bad = scan_globals(c, args, n);
    if (bad)
        return report(c, bad);
    bool colorless = environment_get(&c->env, STR("NO_COLOR")).n ||
                     environment_setting(&c->env, STR("CLI_NO_COLOR")).n ||
                     str_eq(environment_get(&c->env, STR("TERM")), STR("dumb"));
    int fd = fileno(c->out);
    c->terminal = fd >= 0 && isatty(fd);
    c->color = !colorless && c->format == OUTPUT_TABLE && c->terminal;
    if (n == 1 &&
        (str_eq(args[0], STR("-v")) || str_eq(args[0], STR("-version")) || str_eq(args[0], STR("--version"))))
        args = version;
    size_t words = 0;
    c->command = command_find(c->arena, args, n, &words);
    if (!c->command && n)
        c->command = old_command(c, args[0], &words);
    bool asked = asks_help(args, n);
    if (asked || !c->command || !c->command->run)
        return run_help(c, args, n, asked);
    return report(c, run_command(c, args + words, n - words));
}

int cli_run(int argc, char *const argv[], const char *const *envp, int in_fd, FILE *out, FILE *err)
{
    struct arena *a = arena_new(0);
    str called = argc > 0 ? str_from_cstr(argv[0]) : STR("coffer");
    size_t slash = str_rindex(called, '/');
    called = slash < called.n ? str_from(called, slash + 1) : called;
    struct cli c = {
        .arena = a, .env = {called, envp}, .called = called, .in_fd = in_fd, .out = out, .err = err};
    size_t n = argc > 1 ? (size_t)argc - 1 : 0;
    str *args = ARENA_ARRAY(a, str, n);
    for (size_t i = 0; i < n; i++)
        args[i] = str_from_cstr(argv[i + 1]);
    int code = run(&c, args, n);
    client_free(c.client);
    if (fflush(out) != 0 && code == 0)
        code = 2;
    arena_free(a);
    return code;
}
