/* cli: the command line: one row of `commands` per command, one function that runs it.
 *
 * Exit codes: 0; 1 what the caller got wrong (usage_error, or c->exit_code set); 2 what the server or the
 * system refused: any error a command returns without having set exit_code. Results go to `out`, errors and
 * warnings to `err`. Lifetime: everything in the arena of the call. Threads: one.
 */
#pragma once
#include "cli/flags.h"
#include "cli/render.h"
#include "client/client.h"

#include <stdio.h>

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_YAML, OUTPUT_RAW, OUTPUT_PRETTY };

enum preview { PREVIEW_NONE, PREVIEW_POLICY, PREVIEW_CURL };

struct cli;
typedef struct error *command_fn(struct cli *c);

enum command_flags {
    COMMAND_HTTP = 1,     /* talks to a server: has the HTTP flags */
    COMMAND_FORMAT = 2,   /* has -format */
    COMMAND_FIELD = 4,    /* has -field */
    COMMAND_DETAILED = 8, /* has -detailed */
    COMMAND_RAW = 16,     /* knows -format=raw */
    COMMAND_HIDDEN = 32,  /* not in the help of its group */
    COMMAND_ERRORS_ON_STDOUT = 64,
    COMMAND_ANY_ARGS = 128,   /* checks its own arguments */
    COMMAND_USAGE_IS_3 = 512, /* wrong flags: exit code 3 */
    COMMAND_ABSENT = 256,     /* only says what to do instead: any flag and argument will do */
};

struct command {
    const char *name; /* "kv get"; a group has no `run` */
    const char *synopsis;
    const char *args; /* for the help: "PATH [K=V...]" */
    command_fn *run;
    unsigned flags;         /* of command_flags */
    const struct flag *own; /* its own flags, ends with a NULL name */
    size_t args_min, args_max;
    const char *expected; /* in the text of a wrong count, when "N" would not say it */
};
extern const struct command commands[];        /* sorted by name, ends with a NULL name */
const struct command *command_named(str name); /* NULL if there is none */
/* The command that once was called `name`; NULL if there is none. *ret_runs: it may still be run by it. */
const struct command *command_of_old_name(str name, bool *ret_runs);
enum { ARGS_ANY = 1000000 };

struct cli {
    struct arena *arena;
    struct environment env;
    str called; /* base name of argv[0] */
    int in_fd;
    FILE *out, *err;
    enum output_format format;
    bool detailed; /* a bare -detailed stood somewhere, or the variable says so */
    bool color;    /* errors, warnings and marks in colours */
    bool terminal; /* stdout is one */
    enum preview preview;
    bool previewed; /* the request was printed instead of sent */
    const struct command *command;
    struct flags flags;
    str *args; /* positional */
    size_t n_args;
    int exit_code; /* of an error: 0 = 2 */
    struct client *client;
    int64_t ask_ns; /* how long a request may take; 0: as the environment says */
};

/* The command with the longest name that the leading words make; *ret_words of them. NULL: there is none. */
const struct command *command_find(struct arena *a, const str *args, size_t n, size_t *ret_words);

/* The flags of a command: HTTP, -field, -format (and -detailed), its own; NULL where it has none. */
void command_flag_sets(const struct command *of, const struct flag *sets[FLAG_SETS_MAX]);

/* The whole program. Returns the exit code. */
int cli_run(int argc, char *const argv[], const char *const *envp, int in_fd, FILE *out, FILE *err);
/* server.c, only in programs with COFFER_SERVER: prints its errors on c->out itself or returns them as an
 * exit code. */
int command_server(struct cli *c);
extern const struct flag server_flags[];

/* Local mistakes: exit code 1. The text is a printf text. */
#define usage_error(c, ...) usage_error_((c), arena_fmt((c)->arena, __VA_ARGS__))
struct error *usage_error_(struct cli *c, str text) MUST_USE;
/* NULL, or `cause` (exit code unchanged) as "PREFIX: cause"; the prefix is a printf text. */
#define prefixed(c, cause, ...) prefixed_((c), (cause), arena_fmt((c)->arena, __VA_ARGS__))
struct error *prefixed_(struct cli *c, const struct error *cause, str prefix) MUST_USE;

void cli_print(struct cli *c, const char *fmt, ...) PRINTF(2, 3); /* a line on stdout */
void cli_warn(struct cli *c, const char *fmt, ...) PRINTF(2, 3);  /* a line on stderr */
void cli_put(struct cli *c, str text);                            /* as it is, on stdout */
/* Text that scripts capture: with a line end only on a terminal. */
void cli_put_value(struct cli *c, str text);

/* What goes on, in one line of a terminal that the next call writes over (an empty text takes it away);
 * nothing elsewhere. */
void cli_progress(struct cli *c, const char *fmt, ...) PRINTF(2, 3);

/* The client made of flags and environment, with the token; made once. */
struct error *cli_client(struct cli *c, struct client **ret_client) MUST_USE;
/* One request. What goes wrong comes back as "WHAT: …" (bare with WHAT empty). ret_answer may be NULL. */
struct error *cli_call(struct cli *c, str what, const struct client_request *rq,
                       struct client_answer *ret_answer) MUST_USE;
/* As client_send: any answer, not checked. With -output-policy or -output-curl-string nothing is sent: the
 * request is printed, and the error that comes back ends the call with exit code 0. */
struct error *cli_send(struct cli *c, const struct client_request *rq, struct client_answer *ret_answer)
    MUST_USE;
/* As cli_call, with the secret in the answer; NULL if there is none. */
struct error *cli_secret(struct cli *c, str what, const struct client_request *rq, struct json **ret_secret)
    MUST_USE;
/* As cli_secret, for reading what may not be there: a 404 is none, or a secret if it has data or warnings. */
struct error *cli_find(struct cli *c, str what, const struct client_request *rq, struct json **ret_secret)
    MUST_USE;

/* K=V arguments from number `from` on. */
struct error *cli_pairs(struct cli *c, size_t from, struct json **ret_object) MUST_USE;
/* The argument without blanks and slashes at both ends. */
str path_trim(str path);
/* The same with one slash at the end, as success texts show mounts. */
str path_slashed(struct arena *a, str path);
/* One line from the terminal on in_fd without echo, after `prompt` on `to`; an error if in_fd is no terminal.
 */
struct error *cli_prompt(struct cli *c, FILE *to, const char *prompt, str *ret_text) MUST_USE;

/* Printing. All look at -format, secret_print also at -field. */
struct error *json_print(struct cli *c, const struct json *v) MUST_USE; /* json or yaml */
void table_print(struct cli *c, const struct table *t, bool header);
struct error *secret_print(struct cli *c, const struct json *secret) MUST_USE;
struct error *secret_or_success(struct cli *c, const struct json *secret, const char *fmt, ...) PRINTF(3, 4)
    MUST_USE;
struct error *list_print(struct cli *c, const struct json *secret, str path) MUST_USE;
struct error *field_print(struct cli *c, const struct json *value, str name)
    MUST_USE; /* NULL or null: not present */
void warnings_print(struct cli *c, const struct json *secret);
