#include "cli/diagnose.h"

#include "config/config.h"
#include "crypto/crypto.h"
#include "net/http_server.h"
#include "storage/storage.h"

#include <errno.h>
#include <libgen.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { DESCRIPTORS_WANTED = 16384, FREE_PERCENT_WANTED = 5 };

const struct flag diagnose_flags[] = {
    {"config", FLAG_STRINGS,
     .help = "Configuration file, or folder of .hcl and .json files. May be given several times."},
    {"format", FLAG_STRING, .initial = "table", .setting = "FORMAT", .help = "Output format: table or json."},
    {"skip", FLAG_STRINGS, .help = "Name of a check to leave out; may be given several times."},
    {"debug", FLAG_BOOL, .help = "Has no effect: all that is looked at is printed."},
    {0},
};

enum verdict { VERDICT_OK, VERDICT_WARNING, VERDICT_FAIL };

struct diagnosis {
    struct cli *cli;
    struct config *config;
    struct json *checks;
    enum verdict worst;
};

/* One line of the result; advice: what to do about it, or empty. */
static void add(struct diagnosis *d, const char *name, enum verdict v, str message, const char *advice)
{
    static const char *const words[] = {"ok", "warning", "fail"};
    struct arena *a = d->cli->arena;
    struct json *one = json_object_ordered(a);
    json_set_str(a, one, STR("name"), str_from_cstr(name));
    json_set_str(a, one, STR("status"), str_from_cstr(words[v]));
    if (message.n)
        json_set_str(a, one, STR("message"), message);
    if (advice[0])
        json_set_str(a, one, STR("advice"), str_from_cstr(advice));
    json_append(a, d->checks, one);
    d->worst = MAX(d->worst, v);
}

static void check_configuration(struct diagnosis *d, const char *name)
{
    const struct config *f = d->config;
    for (size_t i = 0; i < f->n_warnings; i++)
        add(d, name, VERDICT_WARNING, f->warnings[i], "Correct or remove the key: it has no effect.");
    if (!f->storage)
        add(d, name, VERDICT_FAIL, STR("A storage backend must be specified"), "Add a storage stanza.");
    if (!f->n_listeners)
        add(d, name, VERDICT_FAIL, STR("no listener"), "Add a listener stanza.");
    if (!f->api_addr.n)
        add(d, name, VERDICT_WARNING, STR("api_addr is not set"),
            "Set it to the address that clients reach this server by.");
    if (!d->checks->n)
        add(d, name, VERDICT_OK, STR("nothing to say"), "");
}

static void check_descriptors(struct diagnosis *d, const char *name)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    bool low = r.rlim_max != RLIM_INFINITY && r.rlim_max < DESCRIPTORS_WANTED;
    add(d, name, low ? VERDICT_WARNING : VERDICT_OK,
        arena_fmt(d->cli->arena, "up to %llu open files", (unsigned long long)r.rlim_max),
        low ? "Each connection takes one: raise the limit (LimitNOFILE=65536 under systemd)." : "");
}

static void check_mlock(struct diagnosis *d, const char *name)
{
    struct rlimit r;
    if (d->config->disable_mlock) {
        add(d, name, VERDICT_OK, STR("disable_mlock is set: keep swap off, or encrypted"), "");
        return;
    }
    bool root = geteuid() == 0;
    bool ok = root || (getrlimit(RLIMIT_MEMLOCK, &r) == 0 && r.rlim_max == RLIM_INFINITY);
    add(d, name, ok ? VERDICT_OK : VERDICT_WARNING,
        ok ? STR("memory can be locked") : STR("memory may not be lockable by this user"),
        ok ? ""
           : "Give the program the capability IPC_LOCK, or LimitMEMLOCK=infinity under systemd, or set "
             "disable_mlock = true when there is no swap.");
}

static void check_disk(struct diagnosis *d, const char *name, const char *path)
{
    struct statvfs v;
    if (statvfs(path, &v) != 0 || v.f_blocks == 0)
        return;
    unsigned percent = (unsigned)(v.f_bavail * 100 / v.f_blocks);
    bool low = percent < FREE_PERCENT_WANTED;
    add(d, name, low ? VERDICT_WARNING : VERDICT_OK,
        arena_fmt(d->cli->arena, "%u %% of the disk is free", percent),
        low ? "Make room: writes fail when the disk is full." : "");
}

/* A store that is not there yet is made by the server, not here. */
static bool store_is_there(struct diagnosis *d, const char *name)
{
    struct arena *a = d->cli->arena;
    str path = config_block_get(d->config->storage, STR("path"));
    char *at = arena_cstr(a, path);
    struct stat st;
    if (!path.n || !at)
        return true; /* opening says what is wrong */
    if (stat(at, &st) == 0) {
        check_disk(d, name, at);
        return true;
    }
    char *parent = dirname(arena_cstr(a, path));
    bool ok = access(parent, W_OK) == 0;
    add(d, name, ok ? VERDICT_OK : VERDICT_FAIL,
        arena_fmt(a, "%.*s does not exist%s", PSTR(path), ok ? ": the first start makes it" : ""),
        ok ? "" : "Make the folder and give it to the server's user.");
    return false;
}

static void check_storage(struct diagnosis *d, const char *name)
{
    struct arena *a = d->cli->arena;
    struct storage *s;
    bytes seal;
    if (!d->config->storage || !store_is_there(d, name))
        return;
    struct error *e = storage_open(a, d->config->storage, &s);
    if (e && e->kind == ERR_BUSY) {
        add(d, name, VERDICT_WARNING, e->text, "A server runs on it: stop it to look inside.");
        return;
    }
    if (e) {
        add(d, name, VERDICT_FAIL, e->text, "Check the stanza, the folder and its owner.");
        return;
    }
    e = storage_get(s, a, STR("core/seal-config"), &seal);
    if (e)
        add(d, name, VERDICT_FAIL, e->text, "Restore the store from a backup, or check the device.");
    else
        add(d, name, VERDICT_OK,
            arena_fmt(a, "%.*s storage opens, %s", PSTR(d->config->storage->type),
                      seal.p ? "initialized" : "not initialized"),
            "");
    storage_close(s);
}

static void check_listener(struct diagnosis *d, const char *name, const struct config_listener *l)
{
    struct arena *a = d->cli->arena;
    struct loop *loop = loop_new();
    struct http_server_config c = {.loops = &loop, .n_loops = 1};
    struct http_server *server;
    struct error *e = http_server_listen(a, l, &c, &server);
    if (!e)
        http_server_free(server);
    loop_free(loop);
    if (e && e->os_errno == EADDRINUSE)
        add(d, name, VERDICT_WARNING, e->text, "A server listens there: stop it, or choose another address.");
    else if (e)
        add(d, name, VERDICT_FAIL, e->text, "Check the listener stanza and the files it names.");
    else
        add(d, name, VERDICT_OK,
            arena_fmt(a, "%.*s can be listened on, TLS %s", PSTR(l->address),
                      l->tls_disable ? "disabled" : "enabled"),
            "");
    if (!l->is_unix && l->tls_disable && !str_starts(l->address, STR("127.")))
        add(d, name, VERDICT_WARNING, arena_fmt(a, "%.*s is served without TLS", PSTR(l->address)),
            "Set tls_cert_file and tls_key_file, or put a proxy that does TLS before it.");
}

static void check_listeners(struct diagnosis *d, const char *name)
{
    for (size_t i = 0; i < d->config->n_listeners; i++) {
        const struct config_listener *l = &d->config->listeners[i];
        if (!l->is_unix) /* listening on a unix socket would take it from a server that runs */
            check_listener(d, name, l);
    }
}

static const struct {
    const char *name;
    void (*run)(struct diagnosis *d, const char *name);
} checks[] = {
    {"Parse Configuration", check_configuration}, {"Check Open File Limits", check_descriptors},
    {"Check Memory Lock", check_mlock},           {"Check Storage", check_storage},
    {"Check Listeners", check_listeners},
};

static bool is_skipped(const struct cli *c, const char *name)
{
    const struct flag_value *skip = flag_value(&c->flags, "skip");
    for (size_t i = 0; i < skip->n; i++)
        if (str_eq_nocase(skip->items[i], str_from_cstr(name)))
            return true;
    return false;
}

static void print_checks(struct cli *c, const struct json *made)
{
    static const struct {
        const char *status, *text, *color;
    } marks[] = {{"ok", "[ success ]", "\033[32m"},
                 {"warning", "[ warning ]", "\033[93m"},
                 {"fail", "[ failure ]", "\033[91m"}};
    cli_print(c, "Results:");
    for (uint32_t i = 0; i < made->n; i++) {
        const struct json *one = made->items[i];
        str advice = json_get_str(one, STR("advice"));
        for (size_t k = 0; k < COUNT_OF(marks); k++)
            if (str_eq(json_get_str(one, STR("status")), str_from_cstr(marks[k].status)))
                cli_print(c, "%s%s%s %.*s: %.*s", c->color ? marks[k].color : "", marks[k].text,
                          c->color ? "\033[0m" : "", PSTR(json_get_str(one, STR("name"))),
                          PSTR(json_get_str(one, STR("message"))));
        if (advice.n)
            cli_print(c, "            %.*s", PSTR(advice));
    }
}

struct error *cmd_diagnose(struct cli *c)
{
    static const int codes[] = {[VERDICT_OK] = 0, [VERDICT_WARNING] = 2, [VERDICT_FAIL] = 1};
    enum { COULD_NOT_RUN = 3 };
    const struct flag_value *paths = flag_value(&c->flags, "config");
    struct diagnosis d = {.cli = c, .checks = json_array(c->arena)};
    c->exit_code = COULD_NOT_RUN;
    if (!paths->n)
        return error_new(c->arena, ERR_BAD_REQUEST,
                         "Must specify a configuration file using -config: it is what is looked at.");
    TRY(config_load(c->arena, paths->items, paths->n, &d.config));
    crypto_init();
    for (size_t i = 0; i < COUNT_OF(checks); i++)
        if (!is_skipped(c, checks[i].name))
            checks[i].run(&d, checks[i].name);
    c->exit_code = codes[d.worst];
    if (c->format != OUTPUT_TABLE)
        return json_print(c, d.checks);
    print_checks(c, d.checks);
    return NULL;
}
