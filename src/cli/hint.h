/* hint: what to do next: a line behind an error, and on a terminal behind what began something.
 *
 * Hints go to stderr, only with the format table: programs that read the others are not told.
 */
#pragma once
#include "cli/cli.h"

/* About the text of an error; empty: nothing that helps is known. */
str hint_about(struct cli *c, str error_text);
/* The command that was meant by words that are none, or the flag of c->command; empty: nothing comes near. */
str hint_command(struct cli *c, const str *args, size_t n);
str hint_flag(struct cli *c, str name);
/* "Next: PROGRAM COMMAND", on a terminal only. */
void hint_next(struct cli *c, const char *command);
