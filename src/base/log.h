/* log: one line per event, constant text, data in fields. Never a secret, a token or a body.
 *
 * Standard form: `2026-11-22T05:00:51.003Z [INFO]  core: vault is unsealed: key=value` ; values with blanks
 * quoted, multi-line values on lines of their own as `  | line`. JSON form: one object, sorted keys,
 * "@level" "@message" "@module" "@timestamp" + fields.
 * A line goes to the descriptor, to the sink if one is set (a log file), and to every subscriber whose level
 * it has. A module may have a level of its own. Source: docs/formats/log.md. Threads: any; one write(2) per
 * line.
 */
#pragma once
#include "base/base.h"

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_STANDARD, LOG_JSON };

struct log_field {
    const char *key;
    enum { LOG_FIELD_STR, LOG_FIELD_INT, LOG_FIELD_BOOL } type;
    str s;
    int64_t i;
};
#define F_STR(k, v)  ((struct log_field){.key = (k), .type = LOG_FIELD_STR, .s = (v)})
#define F_CSTR(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_STR, .s = str_from_cstr(v)})
#define F_INT(k, v)  ((struct log_field){.key = (k), .type = LOG_FIELD_INT, .i = (int64_t)(v)})
#define F_BOOL(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_BOOL, .i = (v)})

/* Process-wide settings; before the first call: info, standard, stderr. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
void log_set_fd(int fd); /* where lines go; not owned */
/* True: lines are kept; false: kept lines are written, then as usual (the start banner comes first) */
void log_hold(bool hold);
/* Would such a line go anywhere? Cheap. */
bool log_is_on(enum log_level level);
/* The level of what has no own. */
enum log_level log_level_now(void);
/* The names that have levels of their own, sorted; NULL ends. Lines of other modules have the general one. */
extern const char *const log_modules[];
/* False: no such name. */
bool log_set_module_level(str module, enum log_level level);
bool log_module_level(str module, enum log_level *ret) MUST_USE;
void log_reset_module_levels(void); /* all follow the general level again */
bool log_reset_module_level(str module);
const char *log_level_name(enum log_level level); /* "info" */
enum log_format log_format_now(void);
/* A second place for lines, besides the descriptor: called with whole lines, by one thread at a time. */
void log_set_sink(void (*fn)(void *arg, str line), void *arg);

/* A reader of lines as they come. What it does not take in time is lost, and the next line says how many. */
struct log_subscriber;
enum { LOG_SUBSCRIBER_BYTES = 64 * 1024 };
/* wake(arg): lines came while there were none; from any thread, with the log's lock held: loop_post() is all
 * it may do. */
struct log_subscriber *log_subscribe(enum log_level level, enum log_format format, void (*wake)(void *arg),
                                     void *arg);
void log_unsubscribe(struct log_subscriber *own_s); /* no wake after this */
size_t log_subscriber_take(struct log_subscriber *s, uint8_t *out, size_t max);
/* "trace debug info notice warn warning error err", any case, blanks trimmed. */
bool log_level_from_str(str s, enum log_level *ret_level) MUST_USE;

void log_line(enum log_level level, const char *module, const char *text, const struct log_field *fields,
              size_t n);
/* log_info("core", "vault is unsealed", F_INT("term", 2)); module NULL = none */
#define LOG_(level, module, text, ...)                                                                       \
    do {                                                                                                     \
        if (log_is_on(level)) {                                                                              \
            const struct log_field log_fields_[] = {__VA_ARGS__ __VA_OPT__(, ){0}};                          \
            log_line((level), (module), (text), log_fields_, COUNT_OF(log_fields_) - 1);                     \
        }                                                                                                    \
    } while (0)
#define log_error(module, text, ...) LOG_(LOG_ERROR, module, text __VA_OPT__(, ) __VA_ARGS__)
#define log_warn(module, text, ...)  LOG_(LOG_WARN, module, text __VA_OPT__(, ) __VA_ARGS__)
#define log_info(module, text, ...)  LOG_(LOG_INFO, module, text __VA_OPT__(, ) __VA_ARGS__)
#define log_debug(module, text, ...) LOG_(LOG_DEBUG, module, text __VA_OPT__(, ) __VA_ARGS__)
#define log_trace(module, text, ...) LOG_(LOG_TRACE, module, text __VA_OPT__(, ) __VA_ARGS__)
/* Writes a line to stderr and aborts: for the programmer's mistakes and a machine without memory. */
void die(const char *fmt, ...) PRINTF(1, 2) COLD NORETURN;
