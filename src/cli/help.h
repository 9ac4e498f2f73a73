/* help: help texts made of the rows of commands and flags. */
#pragma once
#include "cli/cli.h"

/* Of a command, of a group (its commands), or with NULL of the program. */
void help_write(struct cli *c, FILE *to, const struct command *of);
