/* flags: command-line flags as rows, parsed by the rules of Go's flag package.
 *
 * -name value, -name=value, --name…; booleans only -b, -b=true. Parsing stops at the first argument that is
 * no flag, or after "--". Errors: ERR_BAD_REQUEST with Go's texts ("flag provided but not defined: -x",
 * "invalid value …"). Lifetime: the arena.
 */
#pragma once
#include "base/json.h"
#include "client/environment.h"

enum flag_type {
    FLAG_BOOL,
    FLAG_STRING,
    FLAG_INT,      /* decimal, signed */
    FLAG_DURATION, /* seconds, Go's form, "Nd", or "system" = -1 s; kept in ns */
    FLAG_STRINGS,  /* repeatable, blanks trimmed */
    FLAG_COMMAS,   /* repeatable and comma separated */
    FLAG_PAIRS,    /* repeatable key=value, the last of equal keys wins */
};

struct flag {
    const char *name;
    enum flag_type type;
    const char *alias;   /* NULL if none */
    const char *initial; /* default, in the flag's own syntax; NULL: false, 0, empty */
    const char *setting; /* suffix of the environment variable; NULL if none */
    const char *help;
};

struct flag_value {
    const struct flag *flag;
    bool given; /* on the command line */
    bool boolean;
    str text;
    int64_t number; /* INT: the value; DURATION: ns */
    str *items;     /* STRINGS, COMMAS */
    size_t n;
    struct json *pairs; /* PAIRS: ordered object of strings; NULL if none */
};

enum { FLAG_SETS_MAX = 4 };
struct flags {
    const struct flag *sets[FLAG_SETS_MAX]; /* arrays that end with a NULL name; NULL entries are skipped */
    struct flag_value *values;
    size_t n;
};

/* Defaults and environment. A variable that does not parse is ignored. */
void flags_init(struct flags *f, struct arena *a, const struct environment *e,
                const struct flag *const sets[FLAG_SETS_MAX]);
/* ret_used: how many of the arguments were flags (with their values, and the "--"). */
struct error *flags_parse(struct flags *f, struct arena *a, const str *args, size_t n, size_t *ret_used)
    MUST_USE;

/* By exact name; the flag must be in one of the sets, except for flag_find. */
const struct flag_value *flag_find(const struct flags *f,
                                   const char *name); /* NULL if there is no such flag */
const struct flag_value *flag_value(const struct flags *f, const char *name);
bool flag_given(const struct flags *f, const char *name);
bool flag_bool(const struct flags *f, const char *name);
str flag_text(const struct flags *f, const char *name);
int64_t flag_number(const struct flags *f, const char *name);
