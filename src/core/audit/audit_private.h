/* audit_private: what the files of src/core/audit share: devices, sets, the writer of entries. */
#pragma once
#include "base/buf.h"
#include "core/audit/audit.h"
#include "crypto/crypto.h"

enum { AUDIT_LINE_BYTES_MAX = 1024 * 1024 * 1024 };

struct audit_device { /* immutable but for its handle, which has a lock of its own; shared by sets */
    _Atomic(uint32_t) refs;
    struct arena *arena;
    str path, type, prefix;
    bool log_raw, hmac_accessor, elide_lists, jsonx;
    struct hmac_key *key;
    const struct audit_device_ops *ops;
    void *handle;
    uint16_t metrics[2]; /* of request and response lines */
};

struct audited_header {
    str name; /* lower case */
    bool hmac;
};

struct audit_set {
    _Atomic(uint32_t) refs;
    struct arena *arena;            /* of the headers; NULL: there are none */
    struct audited_header *headers; /* by name */
    size_t n_headers;
    size_t n;
    struct audit_device *devices[];
};

/* From a stored table entry and its salt. Errors are the API's texts. */
struct error *audit_device_new(struct arena *a, const struct json *entry, str salt, struct audit_device **ret)
    MUST_USE;
void audit_device_unref(struct audit_device *d);
/* Sends the entry that shows whether a new device works. */
struct error *audit_device_test(struct arena *a, struct audit_device *d, str id, int64_t time_ns) MUST_USE;

/* A copy with one device more (its reference goes over; or NULL) and without the one at `without` (or empty).
 */
struct audit_set *audit_set_changed(const struct audit_set *s, struct audit_device *own_more, str without);
struct audit_device *audit_set_find(const struct audit_set *s, str path); /* NULL: none */

enum { AUDIT_HASH_BYTES = 12 + 2 * HMAC_SHA256_BYTES };
/* "hmac-sha256:" and 64 hex digits. */
str audit_hash(struct arena *a, struct audit_device *d, str value);

/* An entry on its way into a buffer. Members of the JSON object open last are added by audit_put_*; those
 * named "omit" leave a zero value out. */
struct audit_line {
    struct buf out;
    struct audit_device *device;
    const struct audit_set *set;
    bool comma; /* the next member needs one before it */
};
void audit_put_key(struct audit_line *l, str key);
void audit_open_object(struct audit_line *l, str key); /* empty key: the entry itself */
void audit_close_object(struct audit_line *l);
void audit_omit_str(struct audit_line *l, str key, str value);
void audit_omit_int(struct audit_line *l, str key, int64_t value);
void audit_omit_bool(struct audit_line *l, str key, bool value);
void audit_omit_strs(struct audit_line *l, str key, const str *v, size_t n);
void audit_put_hash(struct audit_line *l, str value);
void audit_put_secret(struct audit_line *l, str value); /* hashed unless the device logs raw */

/* Values inside request.data and response.data. */
struct audit_data {
    const str *plain_keys; /* audit_non_hmac_*_keys */
    size_t n_plain_keys;
    bool hash_numbers; /* all of them: they came from a client */
    const struct field
        *from; /* else: those below a member that is one of these fields, which take any value; or NULL */
    bool elide_lists;
};
void audit_put_data(struct audit_line *l, const struct json *object, const struct audit_data *how);

/* An entry in JSON as jsonx. Source: docs/formats/audit.md. */
void audit_put_jsonx(struct buf *out, struct arena *a, str entry);

void audit_format_request(struct audit_line *l, const struct audit_event *e, const struct audit_hashes *h,
                          str client_id);
void audit_format_response(struct audit_line *l, const struct audit_event *e, const struct audit_hashes *h,
                           str client_id);
