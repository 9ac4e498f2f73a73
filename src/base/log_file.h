/* log_file: the log's lines in files too, a new one when it is large or old enough.
 *
 * Names:  "/var/log/coffer.log" is written as "/var/log/coffer-<nanoseconds of its begin>.log", mode 0640; a
 *         folder's is vault-<…>.log in it. Rotated and removed only between two lines.
 * Threads: the log's. Source: docs/formats/log.md.
 */
#pragma once
#include "base/error.h"

struct log_file_settings {
    str path;       /* a file or a folder that is there */
    int64_t bytes;  /* 0: no bound */
    int64_t age_ns; /* 0: no bound */
    int64_t files;  /* that stay beside the one in use: 0: all, below 0: none */
};
/* Opens it and makes it the log's sink, for the rest of the process. */
struct error *log_file_open(struct arena *a, const struct log_file_settings *s) MUST_USE;
/* Closes it; the log has no sink then. */
void log_file_close(void);
