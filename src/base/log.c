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

/* Settings are relaxed atomics: a line may still use the old ones. log_floor: the least level that anybody
 * wants. */
static _Atomic(int) log_level = LOG_INFO, log_form = LOG_STANDARD, log_fd = STDERR_FILENO,
                    log_floor = LOG_INFO;

const char *const log_modules[] = {"audit",  "core",      "expiration", "http",   "identity",
                                   "policy", "rollback",  "seal",       "server", "storage.sqlite",
                                   "system", "telemetry", "token",      NULL};
enum { MODULES = COUNT_OF(log_modules) - 1, FOLLOWS = -1 };
static _Atomic(int) module_levels[MODULES] = {[0 ... MODULES - 1] = FOLLOWS};

struct log_subscriber {
    struct log_subscriber *next;
    enum log_level level;
    enum log_format format;
    void (*wake)(void *arg);
    void *arg;
    size_t n;      /* lock: outlets.lock, as all below */
    uint64_t lost; /* lines */
    uint8_t lines[LOG_SUBSCRIBER_BYTES];
};

static struct {
    struct mutex lock;
    struct log_subscriber *subscribers; /* lock: lock */
    void (*sink)(void *arg, str line);  /* lock: lock */
    void *sink_arg;                     /* lock: lock */
    _Atomic(bool) any;                  /* a subscriber or a sink */
} outlets = {.lock = {PTHREAD_MUTEX_INITIALIZER}};

static struct {
    struct mutex lock;
    bool on;             /* lock: lock */
    struct arena *arena; /* lock: lock */
    struct buf lines;    /* lock: lock */
} held = {.lock = {PTHREAD_MUTEX_INITIALIZER}};

static void find_floor_locked(void)
{
    int floor = atomic_load_explicit(&log_level, memory_order_relaxed);

    for (size_t i = 0; i < MODULES; i++) {
        int own = atomic_load_explicit(&module_levels[i], memory_order_relaxed);

        floor = own == FOLLOWS ? floor : MIN(floor, own);
    }
    for (const struct log_subscriber *s = outlets.subscribers; s; s = s->next)
        floor = MIN(floor, (int)s->level);
    atomic_store_explicit(&log_floor, floor, memory_order_relaxed);
}

static void set_level(_Atomic(int) *which, int level)
{
    mutex_lock(&outlets.lock);
    atomic_store_explicit(which, level, memory_order_relaxed);
    find_floor_locked();
    mutex_unlock(&outlets.lock);
}

void log_set_level(enum log_level level)
{
    set_level(&log_level, (int)level);
}

enum log_level log_level_now(void)
{
    return (enum log_level)atomic_load_explicit(&log_level, memory_order_relaxed);
}

enum log_format log_format_now(void)
{
    return (enum log_format)atomic_load_explicit(&log_form, memory_order_relaxed);
}

/* NULL: no such module. */
static _Atomic(int) *module_find(str name)
{
    for (size_t i = 0; i < MODULES; i++)
        if (str_eq(name, str_from_cstr(log_modules[i])))
            return &module_levels[i];
    return NULL;
}

bool log_set_module_level(str module, enum log_level level)
{
    _Atomic(int) *which = module_find(module);

    if (which)
        set_level(which, (int)level);
    return which != NULL;
}

bool log_reset_module_level(str module)
{
    _Atomic(int) *which = module_find(module);

    if (which)
        set_level(which, FOLLOWS);
    return which != NULL;
}

void log_reset_module_levels(void)
{
    for (size_t i = 0; i < MODULES; i++)
        set_level(&module_levels[i], FOLLOWS);
}

static enum log_level level_of(str module)
{
    const _Atomic(int) *which = module_find(module);
    int own = which ? atomic_load_explicit(which, memory_order_relaxed) : FOLLOWS;

    return own == FOLLOWS ? log_level_now() : (enum log_level)own;
}

bool log_module_level(str module, enum log_level *ret)
{
    if (!module_find(module))
        return false;
    *ret = level_of(module);
    return true;
}

const char *log_level_name(enum log_level level)
{
    static const char names[][8] = {"trace", "debug", "info", "warn", "error"};

    return names[level];
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
    return (int)level >= atomic_load_explicit(&log_floor, memory_order_relaxed);
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
    struct arena *a = out->arena;
    char now[TIME_TEXT_MAX];
    size_t now_n = time_format_fixed(now, clock_wall_ns(clock_real()), 6);
    struct json *o = json_object(a);
    json_set_str(a, o, STR("@level"), str_from_cstr(log_level_name(level)));
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

struct event {
    enum log_level level;
    const char *module, *text;
    const struct log_field *fields;
    size_t n;
};

static str render(struct arena *a, enum log_format format, const struct event *e)
{
    struct buf out;

    buf_init(&out, a, LINE_BYTES_MAX);
    if (format == LOG_JSON)
        put_json(&out, e->level, e->module, e->text, e->fields, e->n);
    else
        put_standard(&out, e->level, e->module, e->text, e->fields, e->n);
    if (out.full) { /* cut rather than lost */
        out.n = MIN(out.n, LINE_BYTES_MAX - 1);
        out.full = false;
        buf_put_byte(&out, '\n');
    }
    return buf_str(&out);
}

/* ---- subscribers ---- */

static bool push_locked(struct log_subscriber *s, str line)
{
    bool was_empty = s->n == 0;

    if (line.n > sizeof(s->lines) - s->n)
        return false;
    memcpy(s->lines + s->n, line.p, line.n);
    s->n += line.n;
    if (was_empty)
        s->wake(s->arg);
    return true;
}

/* Says how many lines were lost, as soon as there is room to say it. */
static bool own_up_locked(struct log_subscriber *s, struct arena *a)
{
    const struct log_field lines = F_INT("lines", s->lost);
    const struct event e = {LOG_WARN, "monitor", "lines were lost: they are read too slowly", &lines, 1};

    if (s->lost > 0 && push_locked(s, render(a, s->format, &e)))
        s->lost = 0;
    return s->lost == 0;
}

static void distribute(struct arena *a, const struct event *e, bool wanted, str line)
{
    str forms[2] = {{0}};

    if (!atomic_load_explicit(&outlets.any, memory_order_acquire))
        return;
    forms[log_format_now()] = line;
    mutex_lock(&outlets.lock);
    if (wanted && outlets.sink)
        outlets.sink(outlets.sink_arg, line);
    for (struct log_subscriber *s = outlets.subscribers; s; s = s->next) {
        if (e->level < s->level)
            continue;
        if (forms[s->format].n == 0)
            forms[s->format] = render(a, s->format, e);
        if (!own_up_locked(s, a) || !push_locked(s, forms[s->format]))
            s->lost++;
    }
    mutex_unlock(&outlets.lock);
}

struct log_subscriber *log_subscribe(enum log_level level, enum log_format format, void (*wake)(void *arg),
                                     void *arg)
{
    struct log_subscriber *s = calloc(1, sizeof(*s));

    if (!s)
        die("out of memory");
    s->level = level;
    s->format = format;
    s->wake = wake;
    s->arg = arg;
    mutex_lock(&outlets.lock);
    s->next = outlets.subscribers;
    outlets.subscribers = s;
    atomic_store_explicit(&outlets.any, true, memory_order_release);
    find_floor_locked();
    mutex_unlock(&outlets.lock);
    return s;
}

void log_unsubscribe(struct log_subscriber *own_s)
{
    mutex_lock(&outlets.lock);
    struct log_subscriber **at = &outlets.subscribers;

    while (*at != own_s)
        at = &(*at)->next;
    *at = own_s->next;
    atomic_store_explicit(&outlets.any, outlets.subscribers || outlets.sink, memory_order_release);
    find_floor_locked();
    mutex_unlock(&outlets.lock);
    free(own_s);
}

size_t log_subscriber_take(struct log_subscriber *s, uint8_t *out, size_t max)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(0);

    mutex_lock(&outlets.lock);
    size_t n = MIN(max, s->n);

    memcpy(out, s->lines, n);
    memmove(s->lines, s->lines + n, s->n - n);
    s->n -= n;
    (void)own_up_locked(s, a); /* or later */
    mutex_unlock(&outlets.lock);
    return n;
}

void log_set_sink(void (*fn)(void *arg, str line), void *arg)
{
    mutex_lock(&outlets.lock);
    outlets.sink = fn;
    outlets.sink_arg = arg;
    atomic_store_explicit(&outlets.any, outlets.subscribers || fn, memory_order_release);
    mutex_unlock(&outlets.lock);
}

/* ---- lines ---- */

void log_line(enum log_level level, const char *module, const char *text, const struct log_field *fields,
              size_t n)
{
    CLEANUP(arena_freep) struct arena *a = arena_new(0);
    const struct event e = {level, module, text, fields, n};
    bool wanted = level >= level_of(str_from_cstr(module));
    str line = wanted ? render(a, log_format_now(), &e) : (str){0};

    distribute(a, &e, wanted, line);
    if (!wanted)
        return;
    mutex_lock(&held.lock);
    if (held.on)
        buf_put_str(&held.lines, line);
    bool now = !held.on;
    mutex_unlock(&held.lock);
    if (now)
        write_out(line);
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
