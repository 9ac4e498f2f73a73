/* debug: asks a server what it says of itself, again and again for a while, and puts the answers and its log
 * into one archive. What a target does not give stands in index.json as an error.
 *
 * The archive is a ustar file in gzip (POSIX.1-1988 "ustar" header; RFC 1952), made by zlib; everything is
 * held in memory until it is written. The log is read by a thread with a client of its own.
 */
#include "base/clock.h"
#include "base/mutex.h"
#include "cli/cmd.h"
#include "client/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { DURATION_S_MIN = 5, TAR_BLOCK = 512, FILES_MAX = 16, LOG_BYTES_MAX = 64 * 1024 * 1024 };

const struct flag debug_flags[] = {
    {"compress", FLAG_BOOL, .initial = "true", .help = "Make one .tar.gz; with =false a folder."},
    {"duration", FLAG_DURATION, .initial = "2m", .help = "How long to look, at least 5s."},
    {"interval", FLAG_DURATION, .initial = "30s", .help = "How often to ask for states."},
    {"metrics-interval", FLAG_DURATION, .initial = "10s", .help = "How often to ask for metrics."},
    {"log-format", FLAG_STRING, .initial = "standard", .help = "Of the log: standard or json."},
    {"output", FLAG_STRING, .help = "Name of the archive or folder; by default vault-debug-TIME."},
    {"target", FLAG_STRINGS,
     .help = "What to ask for: config, host, log, metrics, pprof, replication-status, requests, "
             "server-status; by default all. May be given several times."},
    {0},
};

enum when { ONCE, INTERVAL, METRICS_INTERVAL, NEVER };
static const struct target {
    const char *name, *file;
    enum when when;
    const char *paths[2], *members[2]; /* members: of two answers in one object; NULL: the answer itself */
} targets[] = {
    {"config", "config.json", ONCE, {"sys/config/state/sanitized"}, {"config"}},
    {"host", "host_info.json", INTERVAL, {"sys/host-info"}, {NULL}},
    {"metrics", "metrics.json", METRICS_INTERVAL, {"sys/metrics"}, {NULL}},
    {"pprof", NULL, NEVER, {NULL}, {NULL}},
    {"replication-status", "replication_status.json", INTERVAL, {"sys/replication/status"}, {NULL}},
    {"requests", "requests.json", INTERVAL, {"sys/in-flight-req"}, {"requests"}},
    {"server-status", "server_status.json", INTERVAL, {"sys/health", "sys/seal-status"}, {"health", "seal"}},
    {"log", "vault.log", NEVER, {NULL}, {NULL}},
};

struct log_reader { /* the thread's until it is joined */
    struct thread thread;
    struct arena *arena;
    struct client *client;
    struct client_request rq;
    struct buf lines;
    struct error *error;
    _Atomic(bool) stop;
};

struct debug {
    struct cli *cli;
    struct json *found[COUNT_OF(targets)]; /* arrays */
    bool wanted[COUNT_OF(targets)];
    struct json *errors;
    str folder; /* name inside the archive */
    struct log_reader log;
};

/* ---- asking ---- */

static str now_text(struct arena *a)
{
    return time_format(a, clock_wall_ns(clock_real()));
}

static void add_error(struct debug *d, const char *target, str text)
{
    struct arena *a = d->cli->arena;
    struct json *o = json_object(a);

    json_set_str(a, o, STR("error"), text);
    json_set_str(a, o, STR("target"), str_from_cstr(target));
    json_set_str(a, o, STR("timestamp"), now_text(a));
    json_append(a, d->errors, o);
}

/* The data of the answer; sys/health answers with other statuses than 200 too. */
static struct error *ask(struct debug *d, const char *path, struct json **ret)
{
    struct client_request rq = {.method = "GET", .path = str_from_cstr(path)};
    struct client_answer answer;

    TRY(cli_send(d->cli, &rq, &answer));
    bool health = str_eq(rq.path, STR("sys/health")) && answer.json;

    if (!health)
        TRY(client_check(d->cli->arena, &answer));
    if (!answer.json)
        return error_new(d->cli->arena, ERR_INTERNAL, "the answer is no JSON");
    struct json *data = json_get(answer.json, STR("data"));

    *ret = json_is_null(data) ? answer.json : data;
    return NULL;
}

static void collect(struct debug *d, size_t i)
{
    const struct target *t = &targets[i];
    struct arena *a = d->cli->arena;
    struct json *o = json_object(a), *part = NULL;

    for (size_t k = 0; k < COUNT_OF(t->paths) && t->paths[k]; k++) {
        struct error *e = ask(d, t->paths[k], &part);

        if (e) {
            add_error(d, t->name, e->text);
            return;
        }
        if (t->members[k])
            json_set(a, o, str_from_cstr(t->members[k]), part);
        else if (part && part->type == JSON_OBJECT)
            o = part;
    }
    json_set_str(a, o, STR("timestamp"), now_text(a));
    json_append(a, d->found[i], o);
}

/* ---- the log ---- */

static bool keep_piece(void *arg, str piece)
{
    struct log_reader *l = arg;

    buf_put_str(&l->lines, piece);
    return !l->lines.full && !atomic_load(&l->stop);
}

static void read_log(void *arg)
{
    struct log_reader *l = arg;
    struct client_answer answer = {0};

    l->error = client_stream(l->client, l->arena, &l->rq, keep_piece, l, &answer);
    if (!l->error)
        l->error = client_check(l->arena, &answer);
    if (atomic_load(&l->stop)) /* ended by us */
        l->error = NULL;
}

static struct error *log_start(struct debug *d)
{
    struct log_reader *l = &d->log;
    struct client *client;

    TRY(cli_client(d->cli, &client));
    struct client_settings s = *client_settings(client);

    l->arena = arena_new(0);
    s.http.cancelled = &l->stop;
    TRY(client_new(l->arena, &s, &l->client));
    struct json *params = json_object(l->arena);

    json_set_str(l->arena, params, STR("log_level"), STR("trace"));
    json_set_str(l->arena, params, STR("log_format"), flag_text(&d->cli->flags, "log-format"));
    l->rq = (struct client_request){.path = STR("sys/monitor"), .params = params};
    buf_init(&l->lines, l->arena, LOG_BYTES_MAX);
    thread_start(&l->thread, "log", read_log, l);
    return NULL;
}

static void log_end(struct debug *d)
{
    atomic_store(&d->log.stop, true);
    thread_join(&d->log.thread);
    client_free(d->log.client);
    if (d->log.error)
        add_error(d, "log", arena_str(d->cli->arena, d->log.error->text));
}

/* ---- the archive ---- */

struct file {
    str name, text;
};

static void put_octal(char *field, size_t n, uint64_t v)
{
    field[n - 1] = 0;
    for (size_t i = n - 1; i-- > 0; v >>= 3)
        field[i] = (char)('0' + (v & 7));
}

/* name 0+100, mode 100+8, uid 108+8, gid 116+8, size 124+12, mtime 136+12, sum 148+8, type 156,
 * magic 257+8 */
static void tar_header(char h[TAR_BLOCK], str name, size_t size)
{
    unsigned sum = 0;

    memset(h, 0, TAR_BLOCK);
    memcpy(h, name.p, MIN(name.n, 99));
    put_octal(h + 100, 8, 0600);
    put_octal(h + 108, 8, 0);
    put_octal(h + 116, 8, 0);
    put_octal(h + 124, 12, size);
    put_octal(h + 136, 12, (uint64_t)(clock_wall_ns(clock_real()) / NS_PER_S));
    memset(h + 148, ' ', 8);
    h[156] = '0';
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    for (int i = 0; i < TAR_BLOCK; i++)
        sum += (uint8_t)h[i];
    put_octal(h + 148, 7, sum);
}

static bool tar_put(gzFile gz, const void *p, size_t n)
{
    return n == 0 || gzwrite(gz, p, (unsigned)n) == (int)n;
}

static struct error *write_archive(struct debug *d, str path, const struct file *files, size_t n)
{
    struct arena *a = d->cli->arena;
    char *name = arena_cstr(a, path), block[TAR_BLOCK], zeros[2 * TAR_BLOCK] = {0};
    int fd = name ? open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
    gzFile gz = fd >= 0 ? gzdopen(fd, "wb") : NULL;
    bool ok = gz != NULL;

    if (!gz)
        return file_error(a, "open", path, errno);
    for (size_t i = 0; i < n; i++) {
        tar_header(block, arena_fmt(a, "%.*s/%.*s", PSTR(d->folder), PSTR(files[i].name)), files[i].text.n);
        ok = ok && tar_put(gz, block, TAR_BLOCK) && tar_put(gz, files[i].text.p, files[i].text.n) &&
             tar_put(gz, zeros, (TAR_BLOCK - files[i].text.n % TAR_BLOCK) % TAR_BLOCK);
    }
    ok = tar_put(gz, zeros, sizeof(zeros)) && ok;
    return gzclose(gz) == Z_OK && ok ? NULL : file_error(a, "write", path, errno);
}

static struct error *write_folder(struct debug *d, str path, const struct file *files, size_t n)
{
    struct arena *a = d->cli->arena;
    char *name = arena_cstr(a, path);

    if (!name || mkdir(name, 0700) != 0)
        return file_error(a, "mkdir", path, errno);
    for (size_t i = 0; i < n; i++)
        TRY(file_write(a, arena_fmt(a, "%.*s/%.*s", PSTR(path), PSTR(files[i].name)), 0600, files[i].text));
    return NULL;
}

/* ---- the command ---- */

static struct json *index_of(struct debug *d, const struct file *files, size_t n, str begun)
{
    static const char *const periods[][2] = {{"duration", "duration_seconds"},
                                             {"interval", "interval_seconds"},
                                             {"metrics-interval", "metrics_interval_seconds"}};
    struct arena *a = d->cli->arena;
    struct json *o = json_object(a), *names = json_array(a), *list = json_array(a), *output = json_object(a);

    for (size_t i = 0; i < COUNT_OF(targets); i++)
        if (d->wanted[i])
            json_append(a, list, json_string(a, str_from_cstr(targets[i].name)));
    for (size_t i = 0; i < n; i++)
        json_append(a, names, json_string(a, files[i].name));
    json_set(a, output, STR("files"), names);
    json_set_int(a, o, STR("version"), 1);
    json_set_str(a, o, STR("vault_address"), client_address(d->cli->client));
    json_set_str(a, o, STR("client_version"), STR(COFFER_VERSION));
    json_set_str(a, o, STR("timestamp"), begun);
    for (size_t i = 0; i < COUNT_OF(periods); i++)
        json_set_int(a, o, str_from_cstr(periods[i][1]),
                     flag_number(&d->cli->flags, periods[i][0]) / NS_PER_S);
    json_set(a, o, STR("targets"), list);
    json_set(a, o, STR("output"), output);
    json_set(a, o, STR("errors"), d->errors);
    return o;
}

static struct error *choose_targets(struct debug *d)
{
    const struct flag_value *given = flag_value(&d->cli->flags, "target");

    for (size_t k = 0; k < given->n; k++) {
        bool known = false;

        for (size_t i = 0; i < COUNT_OF(targets); i++)
            if (str_eq(given->items[k], str_from_cstr(targets[i].name)))
                known = d->wanted[i] = true;
        if (!known)
            return usage_error(d->cli, "Ignoring invalid targets: %.*s", PSTR(given->items[k]));
    }
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        d->wanted[i] = d->wanted[i] || given->n == 0;
        d->found[i] = json_array(d->cli->arena);
    }
    return NULL;
}

static void look(struct debug *d, int64_t duration_ns)
{
    const struct flags *f = &d->cli->flags;
    int64_t steps[] = {[ONCE] = INT64_MAX,
                       [INTERVAL] = MAX(flag_number(f, "interval"), NS_PER_S),
                       [METRICS_INTERVAL] = MAX(flag_number(f, "metrics-interval"), NS_PER_S)};
    int64_t begun = clock_mono_ns(clock_real()), next[COUNT_OF(steps)] = {0}, now = 0;

    for (; now < duration_ns; now = clock_mono_ns(clock_real()) - begun) {
        int64_t soonest = duration_ns;

        for (size_t w = 0; w < COUNT_OF(steps); w++) {
            for (size_t i = 0; i < COUNT_OF(targets) && next[w] <= now; i++)
                if (d->wanted[i] && targets[i].when == (enum when)w)
                    collect(d, i);
            if (next[w] <= now)
                next[w] = w == ONCE ? INT64_MAX : next[w] + steps[w];
            soonest = MIN(soonest, next[w]);
        }
        client_pause(MAX(soonest - (clock_mono_ns(clock_real()) - begun), NS_PER_MS));
    }
}

static size_t files_of(struct debug *d, struct file files[FILES_MAX])
{
    struct arena *a = d->cli->arena;
    size_t n = 0;

    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        struct buf b;

        if (!d->wanted[i] || d->found[i]->n == 0)
            continue;
        buf_init(&b, a, SIZE_MAX);
        json_write_indented(&b, d->found[i], 2);
        buf_put_byte(&b, '\n');
        files[n++] = (struct file){str_from_cstr(targets[i].file), buf_str(&b)};
    }
    if (d->log.lines.n > 0)
        files[n++] = (struct file){STR("vault.log"), buf_str(&d->log.lines)};
    return n;
}

struct error *cmd_debug(struct cli *c)
{
    struct debug d = {.cli = c, .errors = json_array(c->arena)};
    str output = flag_text(&c->flags, "output"), begun = now_text(c->arena);
    int64_t duration_ns = flag_number(&c->flags, "duration");
    bool compress = flag_bool(&c->flags, "compress"), logs;
    struct file files[FILES_MAX];
    struct client *client;
    struct buf b;

    if (duration_ns < DURATION_S_MIN * NS_PER_S)
        return usage_error(c, "duration must be at least %ds", DURATION_S_MIN);
    TRY(choose_targets(&d));
    TRY(cli_client(c, &client));
    char *stamp = arena_cstr(c->arena, str_slice(begun, 0, 19));

    for (char *p = stamp; *p; p++)
        *p = *p == ':' ? '-' : *p;
    d.folder = arena_fmt(c->arena, "vault-debug-%sZ", stamp);
    logs = d.wanted[COUNT_OF(targets) - 1];
    if (d.wanted[3])
        add_error(&d, "pprof", STR("this server is no Go program: it has no such profiles"));
    if (logs)
        TRY(log_start(&d));
    cli_print(c, "==> Collecting for %llds from %.*s", (long long)(duration_ns / NS_PER_S),
              PSTR(client_address(client)));
    look(&d, duration_ns);
    if (logs)
        log_end(&d);
    size_t n = files_of(&d, files);

    buf_init(&b, c->arena, SIZE_MAX);
    json_write_indented(&b, index_of(&d, files, n, begun), 2);
    files[n++] = (struct file){STR("index.json"), buf_str(&b)};
    if (output.n == 0)
        output = d.folder;
    if (compress && !str_ends(output, STR(".tar.gz")) && !str_ends(output, STR(".tgz")))
        output = arena_join(c->arena, output, STR(".tar.gz"));
    struct error *e = compress ? write_archive(&d, output, files, n) : write_folder(&d, output, files, n);

    if (logs)
        arena_freep(&d.log.arena);
    TRY(e);
    cli_print(c, "Success! Bundle written to: %.*s", PSTR(output));
    return NULL;
}
