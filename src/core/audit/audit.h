/* audit: the broker: every request's two lines, in every device, before anything leaves.
 *
 * Entries: docs/formats/audit.md (keys in order, hashing, options). A line is made on the thread that runs
 * the request, in its arena; devices get whole batches: one write for all lines of one loop turn or one
 * commit group. Snapshot: `struct audit_set` is immutable (the devices enabled, the headers shown),
 * reference-counted, changed only by publishing a new one. Rule: when at least one device takes the lines
 * the request goes on; when none does, 500; with no device at all nothing is asked. Threads: any; a device
 * has its own lock.
 */
#pragma once
#include "core/engine.h"

struct audit_device;
struct audit_device_ops { /* src/audit/: file, socket, syslog */
    const char *type;     /* "file" */
    /* options: object of strings. Errors are the API's texts ("file_path is required"). Checks that the
     * device can be used. */
    struct error *(*open)(struct arena *a, const struct json *options, void **ret_device);
    /* Takes whole entries, each already prefixed and ended as its format asks, n > 0. Waits no longer than
     * the device's own time-out. */
    struct error *(*write)(void *device, struct arena *a, const bytes *entries, size_t n);
    void (*reopen)(void *device); /* SIGHUP */
    void (*close)(void *device);
};
const struct audit_device_ops *
audit_device_find(str type); /* NULL: unknown; the list is src/audit/audit_devices.c */

struct audit_set;
struct audit_set *audit_set_ref(struct audit_set *s);
void audit_set_unref(struct audit_set *s);
bool audit_set_is_empty(const struct audit_set *s);

/* One request's lines: made once each; `lines[i]` belongs to device i of the set. */
struct audit_hashes { /* of one device: what both lines of a request show */
    str token, accessor;
};
struct audit_lines {
    struct audit_set *set;       /* the request's arena holds the reference */
    bytes *lines;                /* one per device; p == NULL: too large to be written */
    struct audit_hashes *hashes; /* one per device */
    size_t n;
    str client_id;
    bool are_responses;
};
/* What happened so far; filled by core. error_text: bare ("permission denied") in request entries; wrapped as
 * sent in responses. */
struct audit_event {
    const struct request *rq;
    const struct response *rs;         /* NULL in request entries */
    const struct acl_result *decision; /* NULL when none was made */
    str error_text;                    /* empty: none */
    int64_t time_ns;
    const struct audit_lines
        *request_lines; /* for the response entry: hashes made already are used again; or NULL */
};
void audit_make_request(struct arena *a, struct audit_set *set, const struct audit_event *e,
                        struct audit_lines *ret);
void audit_make_response(struct arena *a, struct audit_set *set, const struct audit_event *e,
                         struct audit_lines *ret);
/* Writes the lines of many requests: for each device one write of all. False: no device took them (those
 * requests answer 500). `scratch` is the caller's, reset by it. All lines must be of the same set. */
bool audit_write(struct arena *scratch, struct audit_set *set, const struct audit_lines *const *lines,
                 size_t n);
#define AUDITED_HEADERS_PATH STR("audited-headers-config/audited-headers") /* in SPACE_SYS */
/* A copy that logs the request headers of the stored object {"name": {"hmac": bool}}; NULL: none. */
struct audit_set *audit_set_with_headers(const struct audit_set *s, const struct json *headers);
void audit_reopen(struct audit_set *set); /* SIGHUP: files are closed and opened again */

/* base64(SHA-256(policies, namespace)): request.client_id of a token without an entity; its entity's id else.
 */
str audit_client_id(struct arena *a, const struct token_entry *te);

/* At activation: opens the stored devices (core/audit, core/local-audit); a failing one is logged and
 * skipped; if all fail: error. Writes empty tables if missing. */
struct error *audit_open(struct txn *t, struct arena *a, struct audit_set **ret) MUST_USE;
struct audit_set *active_audit_set(struct active *a); /* the published one; a new reference */
void active_publish_audit_set(struct active *a, struct audit_set *own_set); /* on the commit thread */

/* sys/audit, sys/audit/{path...}, sys/audit-hash/{path...}; relative to sys/. */
extern const struct route audit_routes[];
