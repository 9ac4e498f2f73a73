/* diagnose: operator diagnose, only in programs with COFFER_SERVER.
 *
 * Looks at a configuration and at what the server would need, without starting it and without changing
 * anything.
 *
 * Exit code: 0 all is well; 1 the server would not start; 2 it would, but something deserves a look; 3
 * nothing could be looked at (flags, configuration).
 */
#pragma once
#include "cli/cli.h"

command_fn cmd_diagnose;
extern const struct flag diagnose_flags[];
