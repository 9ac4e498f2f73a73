/* error: what went wrong, as a value. NULL is success.
 *
 * `text` is for the client and is exact where clients match it; `cause` is for the log only. `kind` says
 * what callers switch on and which HTTP status it becomes (error_status). An error lives in the arena it was
 * made in.
 */
#pragma once
#include "base/base.h"

enum err_kind {
    ERR_INTERNAL = 0,    /* 500 our fault, or storage's */
    ERR_BAD_REQUEST,     /* 400 */
    ERR_DENIED,          /* 403 */
    ERR_NOT_FOUND,       /* 404 */
    ERR_UNSUPPORTED,     /* 405 operation or path this route does not have */
    ERR_CONFLICT,        /* 409 */
    ERR_PRECONDITION,    /* 412 */
    ERR_TOO_LARGE,       /* 413 */
    ERR_MEDIA_TYPE,      /* 415 */
    ERR_RATE_LIMITED,    /* 429 */
    ERR_SEALED,          /* 503 sealed, or this node stopped being active while the request ran */
    ERR_BUSY,            /* 503 with Retry-After: a bounded queue is full */
    ERR_STANDBY,         /* 500 on a standby with no known active node */
    ERR_TIMEOUT,         /* 503 the deadline of the request has passed */
    ERR_IO,              /* 500 a device failed (EIO, fsync); what was written is unknown */
    ERR_FULL,            /* 500 no space left; nothing was written */
    ERR_UNKNOWN_OUTCOME, /* a commit may or may not have happened */
    ERR_FENCED,          /* the HA lock is not ours any more; nothing was written */
    ERR_WOULD_BLOCK,     /* internal: the read needs a thread that may wait (design: rehearsal) */
};

struct error {
    enum err_kind kind;
    int os_errno; /* 0 if none */
    int line;
    const char *file;
    str text;
    const struct error *cause; /* NULL if none; for the log */
};

/* Makes an error in `a` with a printf text. */
#define error_new(a, kind, ...) error_new_((a), (kind), __FILE__, __LINE__, __VA_ARGS__)
struct error *error_new_(struct arena *a, enum err_kind kind, const char *file, int line, const char *fmt,
                         ...) PRINTF(5, 6) COLD;
/* The same kind as `cause`, a new text for the client; the cause stays for the log. */
#define error_wrap(a, cause, ...) error_wrap_((a), (cause), __FILE__, __LINE__, __VA_ARGS__)
struct error *error_wrap_(struct arena *a, const struct error *cause, const char *file, int line,
                          const char *fmt, ...) PRINTF(5, 6) COLD;
/* From errno: "WHAT: strerror". ENOSPC and EDQUOT become ERR_FULL, EIO ERR_IO, others ERR_INTERNAL. */
struct error *error_errno(struct arena *a, int os_errno, const char *fmt, ...) PRINTF(3, 4) COLD;
/* The one process-wide WOULD_BLOCK value: needs no arena. */
struct error *error_would_block(void);
/* A copy in another arena, causes too: for an error that must outlive the arena it was made in. */
struct error *error_copy(struct arena *a, const struct error *e);

int error_status(enum err_kind kind); /* HTTP status */
/* "text: cause text: …" for the log. */
str error_log_text(struct arena *a, const struct error *e);
