#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mutex.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 64 * 1024, HELD_BYTES_MAX = 1024 * 1024 };

/* Settings are relaxed atomics: a line may still use the old ones. */
static _Atomic(int) log_level = LOG_INFO, log_form = LOG_STANDARD, log_fd = STDERR_FILENO;

static struct {
    struct mutex lock;
    bool on;             /* lock: lock */
    struct arena *arena; /* lock: lock */
    struct buf lines;    /* lock: lock */
} held = {.lock = {PTHREAD_MUTEX_INITIALIZER}};

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

void log_set_format(enum log_format format)
{
    atomic_store_explicit(&log_form, (int)format, memory_order_relaxed);
}

void log_set_fd(int fd)
{
    atomic_store_explicit(&log_fd, fd, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&log_level, memory_order_relaxed);
}

/* One write per line. A log that can't be written to is nothing that the server could report anywhere. */
static void write_out(str line)
{
    int fd = atomic_load_explicit(&log_fd, memory_order_relaxed);
    while (line.n) {
        ssize_t n = write(fd, line.p, line.n);
        if (n < 0 && errno != EINTR)
            return;
        line = str_from(line, (size_t)MAX(n, 0));
    }
}

void log_hold(bool hold)
{
    mutex_lock(&held.lock);
    if (hold && !held.on) {
        held.arena = arena_new(0);
        buf_init(&held.lines, held.arena, HELD_BYTES_MAX);
    } else if (!hold && held.on) {
        write_out(buf_str(&held.lines));
        arena_freep(&held.arena);
    }
    held.on = hold;
    mutex_unlock(&held.lock);
}

bool log_level_from_str(str s, enum log_level *ret_level)
{
    static const struct {
        str name;
        enum log_level level;
    } names[] = {
        {STR("trace"), LOG_TRACE}, {STR("debug"), LOG_DEBUG}, {STR("info"), LOG_INFO},
        {STR("notice"), LOG_INFO}, {STR("warn"), LOG_WARN},   {STR("warning"), LOG_WARN},
        {STR("error"), LOG_ERROR}, {STR("err"), LOG_ERROR},
    };
    s = str_trim(s);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (str_eq_nocase(names[i].name, s)) {
            *ret_level = names[i].level;
            return true;
        }
    }
    return false;
}

static str field_text(struct arena *a, const struct log_field *f)
{
    switch (f->type) {
    case LOG_FIELD_STR: return f->s;
    case LOG_FIELD_INT: return arena_fmt(a, "%lld", (long long)f->i);
    case LOG_FIELD_BOOL: return f->i ? STR("true") : STR("false");
    }
    return (str){0};
}

/* What a reader of the line, or of a terminal, could take for something else. */
static bool needs_quotes(str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((uint8_t)s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == 0x7f)
            return true;
    return s.n == 0;
}

static void put_quoted(struct buf *out, str s)
{
    buf_put_byte(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        const char *at = c ? strchr("\tt\rr", c) : NULL;
        if (c == '"')
            buf_put_str(out, STR("\\\""));
        else if (at && c < ' ')
            buf_put_fmt(out, "\\%c", at[1]);
        else if ((uint8_t)c < ' ' || c == 0x7f)
            buf_put_fmt(out, "\\x%02x", (uint8_t)c);
        else
            buf_put_byte(out, (uint8_t)c);
    }
    buf_put_byte(out, '"');
}

static void put_field(struct buf *out, const struct log_field *f)
{
    str text = field_text(out->arena, f);
    if (str_index(text, '\n') == text.n) {
        buf_put_fmt(out, " %s=", f->key);
        if (needs_quotes(text))
            put_quoted(out, text);
        else
            buf_put_str(out, text);
        return;
    }
    buf_put_fmt(out, "\n  %s=", f->key);
    for (str line; text.n;) {
        (void)str_cut(text, '\n', &line, &text); /* the last line has no newline */
        buf_put_str(out, STR("\n  | "));
        buf_put_str(out, line);
    }
    buf_put_str(out, STR("\n "));
}

static void put_standard(struct buf *out, enum log_level level, const char *module, const char *text,
                         const struct log_field *fields, size_t n)
{
    static const char levels[][8] = {"[TRACE]", "[DEBUG]", "[INFO] ", "[WARN] ", "[ERROR]"};
    char now[TIME_TEXT_MAX];
    time_format_fixed(now, clock_wall_ns(clock_real()), 3);
    buf_put_fmt(out, "%s %s %s%s%s%s", now, levels[level], module ? module : "", module ? ": " : "", text,
                n ? ":" : "");
    for (size_t i = 0; i < n; i++)
        put_field(out, &fields[i]);
    buf_put_byte(out, '\n');
}

static void put_json(struct buf *out, enum log_level level, const char *module, const char *text,
                     const struct log_field *fields, size_t n)
{
    static const char levels[][8] = {"trace", "debug", "info", "warn", "error"};
    struct arena *a = out->arena;
    char now[TIME_TEXT_MAX];
    size_t now_n = time_format_fixed(now, clock_wall_ns(clock_real()), 6);
    struct json *o = json_object(a);
    json_set_str(a, o, STR("@level"), str_from_cstr(levels[level]));
    json_set_str(a, o, STR("@message"), str_from_cstr(text));
    if (module)
        json_set_str(a, o, STR("@module"), str_from_cstr(module));
    json_set_str(a, o, STR("@timestamp"), (str){now, now_n});
    for (size_t i = 0; i < n; i++) {
        const struct log_field *f = &fields[i];
        str key = str_from_cstr(f->key);
        json_set(a, o, key,
                 f->type == LOG_FIELD_INT    ? json_int(a, f->i)
                 : f->type == LOG_FIELD_BOOL ? json_bool(a, f->i != 0)
                                             : json_string(a, f->s));
    }
    json_write(out, o);
    buf_put_byte(out, '\n');
}

void log_line(enum log_level level, const char *module, const char *text, const struct log_field *fields,
              size_t n)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    struct buf out;
    buf_init(&out, a, LINE_BYTES_MAX);
    if (atomic_load_explicit(&log_form, memory_order_relaxed) == LOG_JSON)
        put_json(&out, level, module, text, fields, n);
    else
        put_standard(&out, level, module, text, fields, n);
    if (out.full) { /* cut rather than lost */
        out.n = MIN(out.n, LINE_BYTES_MAX - 1);
        out.full = false;
        buf_put_byte(&out, '\n');
    }
    mutex_lock(&held.lock);
    if (held.on)
        buf_put_str(&held.lines, buf_str(&out));
    bool now = !held.on;
    mutex_unlock(&held.lock);
    if (now)
        write_out(buf_str(&out));
}

void die(const char *fmt, ...)
{
    char line[512] = "fatal: ";
    size_t n = strlen(line);
    va_list ap;
    va_start(ap, fmt);
    int wrote = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
    va_end(ap);
    n = MIN(n + (size_t)MAX(wrote, 0), sizeof(line) - 2);
    line[n++] = '\n';
    if (write(STDERR_FILENO, line, n) < 0)
        abort();
    abort();
}
