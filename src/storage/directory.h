/* directory: the directory of a store on local disk, kept to one server at a time.
 *
 * Lock: flock(2) on the directory itself; no file is added to the store. It ends with the last copy of the
 * descriptor. Errors: ERR_BUSY when another server has it; else by errno.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"

/* Makes the directory and its parents where missing (mode 0700, durably) and locks it. The caller closes the
 * descriptor. */
struct error *directory_lock(struct arena *a, const char *path, int *ret_fd) MUST_USE;
