/* audit_syslog: entries as messages to the local syslog service, one each, at level info.
 *
 * Options: facility (a name in any case, AUTH), tag (vault). The message: "<PRI>Nov  4 12:17:24 TAG[PID]:
 * ENTRY", the time in UTC; services put their own in its place.
 */
#include "audit/audit_devices.h"
#include "audit/audit_peer.h"
#include "base/clock.h"
#include "base/fault.h"

#include <unistd.h>

enum { LEVEL_INFO = 6, FACILITY_AUTH = 4 };
#define SYSLOG_WAIT_NS (2 * NS_PER_S)

struct audit_syslog {
    struct arena *arena;
    struct audit_peer *peer;
    str tag;
    unsigned priority;
};

static const struct {
    const char *name;
    unsigned number;
} facilities[] = {
    {"kern", 0},      {"user", 1},    {"mail", 2},    {"daemon", 3},  {"auth", 4},
    {"syslog", 5},    {"lpr", 6},     {"news", 7},    {"uucp", 8},    {"cron", 9},
    {"authpriv", 10}, {"ftp", 11},    {"local0", 16}, {"local1", 17}, {"local2", 18},
    {"local3", 19},   {"local4", 20}, {"local5", 21}, {"local6", 22}, {"local7", 23},
};

static struct error *facility_of(struct arena *a, str name, unsigned *ret)
{
    *ret = FACILITY_AUTH;
    if (name.n == 0)
        return NULL;
    for (size_t i = 0; i < COUNT_OF(facilities); i++)
        if (str_eq_nocase(name, str_from_cstr(facilities[i].name))) {
            *ret = facilities[i].number;
            return NULL;
        }
    return error_new(a, ERR_BAD_REQUEST, "invalid syslog facility: %.*s", PSTR(name));
}

static void syslog_close(void *device)
{
    struct audit_syslog *s = device;

    if (s->peer)
        peer_free(s->peer);
    arena_free(s->arena);
}

struct error *audit_syslog_open_at(struct arena *a, const struct json *options, const char *const *paths,
                                   size_t n, void **ret_device)
{
    str tag = json_get_str(options, STR("tag"));
    struct peer_endpoint to[PEER_ENDPOINTS_MAX];
    unsigned facility;

    TRY(facility_of(a, json_get_str(options, STR("facility")), &facility));
    for (size_t i = 0; i < n; i++) {
        to[2 * i] = (struct peer_endpoint){"unixgram", paths[i]};
        to[2 * i + 1] = (struct peer_endpoint){"unix", paths[i]};
    }
    struct arena *arena = arena_new(0);
    struct audit_syslog *s = ARENA_NEW(arena, struct audit_syslog);

    s->arena = arena;
    s->tag = arena_str(arena, tag.n ? tag : STR("vault"));
    s->priority = facility * 8 + LEVEL_INFO;
    s->peer = peer_new(to, 2 * n, SYSLOG_WAIT_NS);
    if (peer_write(s->peer, a, NULL, 0)) {
        syslog_close(s);
        return error_new(a, ERR_BAD_REQUEST, "Unix syslog delivery error");
    }
    *ret_device = s;
    return NULL;
}

static struct error *syslog_open(struct arena *a, const struct json *options, void **ret_device)
{
    static const char *const paths[] = {"/dev/log", "/var/run/syslog", "/var/run/log"};

    return audit_syslog_open_at(a, options, paths, COUNT_OF(paths), ret_device);
}

/* "Nov  4 12:17:24" */
static str stamp(struct arena *a)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char t[TIME_TEXT_MAX]; /* 2026-11-04T12:17:24Z */
    size_t n = time_format_fixed(t, clock_wall_ns(clock_real()), 0);
    int month = (t[5] - '0') * 10 + t[6] - '0', day = (t[8] - '0') * 10 + t[9] - '0';
    str time = str_slice((str){t, n}, 11, 19);

    return arena_fmt(a, "%s %2d %.*s", months[(month + 11) % 12], day, PSTR(time));
}

static struct error *syslog_write(void *device, struct arena *a, const bytes *entries, size_t n)
{
    struct audit_syslog *s = device;
    bytes *messages = ARENA_ARRAY(a, bytes, n);
    str head;

    if (FAULT(FAULT_AUDIT_WRITE))
        return error_new(a, ERR_INTERNAL, "write syslog: injected fault");
    str time = stamp(a);

    head = arena_fmt(a, "<%u>%.*s %.*s[%d]: ", s->priority, PSTR(time), PSTR(s->tag), (int)getpid());
    for (size_t i = 0; i < n; i++) {
        str entry = str_from_bytes(entries[i]);
        str text = arena_join(a, head, entry);

        messages[i] = bytes_from_str(str_ends(entry, STR("\n")) ? text : arena_join(a, text, STR("\n")));
    }
    return peer_write(s->peer, a, messages, n);
}

const struct audit_device_ops audit_syslog = {
    .type = "syslog", .open = syslog_open, .write = syslog_write, .close = syslog_close};
