/* file: whole files and streams in and out, as the command line needs them.
 * Errors: ERR_BAD_REQUEST with Go's texts ("open x: no such file or directory"). Lifetime: results in the
 * arena.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"

enum { FILE_BYTES_MAX = 64 * 1024 * 1024 };

struct error *file_read(struct arena *a, str path, str *ret_text) MUST_USE;
struct error *fd_read(struct arena *a, int fd, str name, str *ret_text)
    MUST_USE; /* to its end; does not close it */
struct error *fd_write(struct arena *a, int fd, str name, str text) MUST_USE;
/* Writes the file at `path` anew, with `mode` if it did not exist. */
struct error *file_write(struct arena *a, str path, unsigned mode, str text) MUST_USE;
/* "open PATH: no such file or directory": what went wrong in Go's words. */
struct error *file_error(struct arena *a, const char *verb, str path, int os_errno) MUST_USE;
