/* man: the manual page coffer(1), made of the rows of commands and flags, as -help is.
 * Source: man(7).
 */
#pragma once
#include "cli/cli.h"

enum { MAN_BYTES_MAX = 4 * 1024 * 1024 };
void man_write(struct buf *out, struct arena *a);
