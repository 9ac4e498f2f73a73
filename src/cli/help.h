/* help: help texts made of the rows of commands and flags. */
#pragma once
#include "cli/cli.h"

/* Of a command, of a group (its commands), or with NULL of the program. */
void help_write(struct cli *c, FILE *to, const struct command *of);

/* "=<string>" behind the name of a flag; empty for a boolean. */
const char *flag_value_text(const struct flag *row);
/* Its help with its default and its environment variable. */
str flag_help_text(struct arena *a, const struct flag *row);
