/* completion: what may stand next on a command line, for bash, zsh and fish.
 *
 * The shell calls the program with the line so far in COMP_LINE (and, where the cursor is not at its end,
 * COMP_POINT); candidates are printed one a line: commands, flags, values of a fixed set, and names that the
 * server knows, which get half a second a question. Nothing else is ever printed, and the exit code is 0.
 */
#pragma once
#include "cli/cli.h"

/* Prints the candidates for `line`. */
void completion_print(struct cli *c, str line);
/* Adds the program to the start files of the shells that are there, in the home that the user database names;
 * or takes it out of them. */
struct error *completion_install(struct cli *c) MUST_USE;
struct error *completion_uninstall(struct cli *c) MUST_USE;
