#include "base/error.h"

#include "base/arena.h"

#include <errno.h>
#include <stdarg.h>

static struct error *error_make(struct arena *a, enum err_kind kind, const char *file, int line, str text)
{
    struct error *e = ARENA_NEW(a, struct error);
    *e = (struct error){.kind = kind, .file = file, .line = line, .text = text};
    return e;
}

struct error *error_new_(struct arena *a, enum err_kind kind, const char *file, int line, const char *fmt,
                         ...)
{
    va_list ap;
    va_start(ap, fmt);
    str text = arena_vfmt(a, fmt, ap);
    va_end(ap);
    return error_make(a, kind, file, line, text);
}

struct error *error_wrap_(struct arena *a, const struct error *cause, const char *file, int line,
                          const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str text = arena_vfmt(a, fmt, ap);
    va_end(ap);
    struct error *e = error_make(a, cause->kind, file, line, text);
    e->os_errno = cause->os_errno;
    e->cause = cause;
    return e;
}

struct error *error_errno(struct arena *a, int os_errno, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str what = arena_vfmt(a, fmt, ap);
    va_end(ap);
    char why[128];
    const char *text = strerror_r(os_errno, why, sizeof(why));
    enum err_kind kind = os_errno == ENOSPC || os_errno == EDQUOT ? ERR_FULL
                         : os_errno == EIO                        ? ERR_IO
                                                                  : ERR_INTERNAL;
    struct error *e = error_make(a, kind, NULL, 0, arena_fmt(a, "%.*s: %s", PSTR(what), text));
    e->os_errno = os_errno;
    return e;
}

struct error *error_would_block(void)
{
    /* Handed out as a mutable pointer like every error, but nobody writes to an error that was not made for
     * him. */
    static struct error would_block = {.kind = ERR_WOULD_BLOCK, .text = {"would block", 11}};
    return &would_block;
}

struct error *error_copy(struct arena *a, const struct error *e)
{
    if (!e)
        return NULL;
    struct error *copy = error_make(a, e->kind, e->file, e->line, arena_str(a, e->text));
    copy->os_errno = e->os_errno;
    copy->cause = error_copy(a, e->cause);
    return copy;
}

int error_status(enum err_kind kind)
{
    switch (kind) {
    case ERR_BAD_REQUEST: return 400;
    case ERR_DENIED: return 403;
    case ERR_NOT_FOUND: return 404;
    case ERR_UNSUPPORTED: return 405;
    case ERR_CONFLICT: return 409;
    case ERR_PRECONDITION: return 412;
    case ERR_TOO_LARGE: return 413;
    case ERR_MEDIA_TYPE: return 415;
    case ERR_RATE_LIMITED: return 429;
    case ERR_SEALED:
    case ERR_BUSY:
    case ERR_TIMEOUT: return 503;
    case ERR_INTERNAL:
    case ERR_STANDBY:
    case ERR_IO:
    case ERR_FULL:
    case ERR_UNKNOWN_OUTCOME:
    case ERR_FENCED:
    case ERR_WOULD_BLOCK: break;
    }
    return 500;
}

str error_log_text(struct arena *a, const struct error *e)
{
    str s = arena_str(a, e->text);
    for (e = e->cause; e; e = e->cause)
        s = arena_fmt(a, "%.*s: %.*s", PSTR(s), PSTR(e->text));
    return s;
}
