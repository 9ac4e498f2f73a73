/* monitor: sys/monitor (the log as it comes), sys/loggers (its levels, at run time), sys/in-flight-req. */
#include "base/log.h"
#include "core/active_private.h"
#include "core/stream.h"
#include "core/sys/sys.h"

#include <stdlib.h>

/* ---- the log as it comes ---- */

struct monitor { /* what response_stream() carries: in the request's arena */
    enum log_level level;
    enum log_format format;
};

static void wake(void *arg)
{
    stream_wake(arg);
}

static void *monitor_open(struct stream *s, const void *arg)
{
    const struct monitor *m = arg;

    return log_subscribe(m->level, m->format, wake, s);
}

static size_t monitor_next(void *opened, uint8_t *out, size_t max, bool *ret_end)
{
    (void)ret_end; /* a log has none */
    return log_subscriber_take(opened, out, max);
}

static void monitor_close(void *opened)
{
    log_unsubscribe(opened);
}

static const struct stream_source monitor_source = {.content_type = "text/plain; charset=utf-8",
                                                    .open = monitor_open,
                                                    .next = monitor_next,
                                                    .close = monitor_close};

static struct error *monitor_read(struct request *rq, struct response *rs)
{
    struct monitor *m = ARENA_NEW(rq->arena, struct monitor);
    str level = field_str(rq, "log_level"), format = field_str(rq, "log_format");

    m->level = LOG_INFO;
    if (level.n > 0 && !log_level_from_str(level, &m->level))
        return fail(rq, ERR_BAD_REQUEST, "unknown log level");
    if (!str_eq(format, STR("standard")) && !str_eq(format, STR("json")))
        return fail(rq, ERR_BAD_REQUEST, "unknown log format");
    m->format = str_eq(format, STR("json")) ? LOG_JSON : LOG_STANDARD;
    response_stream(rs, &monitor_source, m);
    return NULL;
}

/* ---- levels ---- */

struct level_change { /* heap: at publication */
    bool all, reset;
    enum log_level level;
    char module[64];
};

static void change_apply(struct active *a, void *arg)
{
    struct level_change *c = arg;
    str module = str_from_cstr(c->module);

    (void)a;
    if (c->all)
        log_reset_module_levels();
    else if (c->reset)
        log_reset_module_level(module); /* the handler knew the name */
    for (size_t i = 0; c->all && !c->reset && log_modules[i]; i++)
        log_set_module_level(str_from_cstr(log_modules[i]), c->level);
    if (!c->all && !c->reset)
        log_set_module_level(module, c->level);
    free(c);
}

static void change(struct request *rq, struct level_change c)
{
    struct level_change *at = malloc(sizeof(*at));

    if (!at)
        die("out of memory");
    *at = c;
    txn_on_commit(rq->txn, change_apply, free, at);
}

static struct error *level_given(struct request *rq, enum log_level *ret)
{
    str text = field_str(rq, "level");

    if (!field_given(rq, "level"))
        return fail(rq, ERR_BAD_REQUEST, "level is required");
    if (text.n == 0)
        return fail(rq, ERR_BAD_REQUEST, "level is empty");
    if (!log_level_from_str(text, ret))
        return fail(rq, ERR_BAD_REQUEST, "invalid level provided: unknown log level: %.*s", PSTR(text));
    return NULL;
}

static struct error *logger_named(struct request *rq, struct level_change *c)
{
    enum log_level level;
    str name = field_str(rq, "name");

    if (!log_module_level(name, &level) || name.n >= sizeof(c->module))
        return fail(rq, ERR_BAD_REQUEST, "logger \"%.*s\" not found", PSTR(name));
    memcpy(c->module, name.p, name.n);
    return NULL;
}

static void show(struct request *rq, struct response *rs, const char *name)
{
    enum log_level level;

    if (log_module_level(str_from_cstr(name), &level))
        json_set_str(rq->arena, response_data(rq, rs), str_from_cstr(name),
                     str_from_cstr(log_level_name(level)));
}

static struct error *loggers_read(struct request *rq, struct response *rs)
{
    rs->warnings = ARENA_ARRAY(rq->arena, str, 1); /* shown as an empty list */
    for (size_t i = 0; log_modules[i]; i++)
        show(rq, rs, log_modules[i]);
    return NULL;
}

static struct error *logger_read(struct request *rq, struct response *rs)
{
    rs->warnings = ARENA_ARRAY(rq->arena, str, 1);
    (void)response_data(rq, rs); /* empty for an unknown name */
    for (size_t i = 0; log_modules[i]; i++)
        if (str_eq(field_str(rq, "name"), str_from_cstr(log_modules[i])))
            show(rq, rs, log_modules[i]);
    return NULL;
}

static struct error *loggers_write(struct request *rq, struct response *rs)
{
    struct level_change c = {.all = true};

    (void)rs;
    TRY(level_given(rq, &c.level));
    change(rq, c);
    return NULL;
}

static struct error *logger_write(struct request *rq, struct response *rs)
{
    struct level_change c = {0};

    (void)rs;
    TRY(logger_named(rq, &c));
    TRY(level_given(rq, &c.level));
    change(rq, c);
    return NULL;
}

static struct error *loggers_delete(struct request *rq, struct response *rs)
{
    (void)rs;
    change(rq, (struct level_change){.all = true, .reset = true});
    return NULL;
}

static struct error *logger_delete(struct request *rq, struct response *rs)
{
    struct level_change c = {.reset = true};

    (void)rs;
    TRY(logger_named(rq, &c));
    change(rq, c);
    return NULL;
}

static const struct field monitor_fields[] = {
    {"log_level", FT_STRING, FIELD_QUERY,
     .help = "The least level to show: trace, debug, info, warn, error."},
    {"log_format", FT_STRING, FIELD_QUERY, .dflt = "standard", .help = "standard or json."},
    {0},
};

static const struct field logger_fields[] = {
    {"name", FT_STRING, FIELD_PATH, .help = "Which logger."},
    {"level", FT_STRING, .help = "trace, debug, info, warn or error."},
    {0},
};

static const struct field level_fields[] = {
    {"level", FT_STRING, .help = "trace, debug, info, warn or error."},
    {0},
};

const struct route sys_monitor_routes[] = {
    {"monitor", monitor_fields, .ops = {[OP_READ] = {monitor_read, .help = "Streams the log."}},
     .help = "The lines of the log as they come."},
    {"loggers", level_fields,
     .ops = {[OP_READ] = {loggers_read, .help = "Shows the levels."},
             [OP_UPDATE] = {loggers_write, .help = "Sets one level for all."},
             [OP_DELETE] = {loggers_delete, .help = "Back to the configured level."}},
     .help = "The levels of all loggers, until the server ends."},
    {"loggers/{name}", logger_fields,
     .ops = {[OP_READ] = {logger_read, .help = "Shows the level."},
             [OP_UPDATE] = {logger_write, .help = "Sets the level."},
             [OP_DELETE] = {logger_delete, .help = "Back to the configured level."}},
     .help = "The level of one logger, until the server ends."},
    {0},
};
