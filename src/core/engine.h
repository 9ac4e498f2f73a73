/* engine: what a secrets engine or auth method is: one table of routes, and hooks. sys/, token/, cubbyhole/
 * are engines too.
 *
 * A handler is a plain synchronous function. It reads and writes through rq->view, and CAN BE RUN AGAIN from
 * its start at any
 * time before its commit (the request's arena goes back to its mark; ids and times are drawn anew), so it has
 * no effect but
 * on rs and the transaction. No locks, no allocation but rq->arena, no JSON parsing, no HTTP codes.
 * Errors: fail() for what the API words as a plain message, fail_wrapped() for what it wraps as "1 error
 * occurred: …".
 *   Any storage error (also ERR_WOULD_BLOCK) is passed on with TRY.
 * Route precedence, by segment: literal, {name}, {name...}. No two routes of equal rank match one path (a
 * test checks).
 * Threads: handlers run on loops, in the lane and on pools; never two of one request at once.
 */
#pragma once
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/rand.h"
#include "core/login/login.h"
#include "core/txn.h"

enum op {
    OP_READ,
    OP_CREATE,
    OP_UPDATE,
    OP_PATCH,
    OP_DELETE,
    OP_LIST,
    OP_HELP,
    OP_HEADER,
    OP_NONE,
    OP_COUNT_
};
const char *op_name(enum op op); /* "read", "create", … as audit and OpenAPI write them; OP_NONE: "" */

enum field_type {
    FT_STRING,  /* text; numbers and bools are taken as their text */
    FT_NAME,    /* as string, must match \w(([\w-.]+)?\w)? */
    FT_LOWER,   /* as string, lowered */
    FT_INT,     /* number or decimal text */
    FT_FLOAT,   /* the same with fractions */
    FT_BOOL,    /* bool, 0/1, or "true" … as Go's ParseBool */
    FT_SECONDS, /* number of seconds or a duration text; null: not given; not negative; see field_ns */
    FT_SIGNED_SECONDS,
    FT_STRINGS, /* list, or comma-separated text; blanks trimmed */
    FT_LIST,    /* list of strings, or one string */
    FT_KV,      /* map of strings, or list of "k=v", or JSON text */
    FT_MAP,     /* any object */
    FT_ANY,     /* any value, as sent */
    FT_TIME,    /* RFC 3339, or Unix seconds; null: not given */
};

enum { FIELD_PATH = 1, FIELD_QUERY = 2, FIELD_REQUIRED = 4, FIELD_SENSITIVE = 8, FIELD_DEPRECATED = 16 };

struct field {
    const char *name; /* NULL ends a table */
    enum field_type type;
    unsigned flags;
    const char *help;
    const char *dflt;           /* text form; NULL: the zero value */
    const char *const *allowed; /* NULL-terminated; for help and OpenAPI */
};

struct request;
struct response;
struct token_entry;
struct mount;
typedef struct error *handler_fn(struct request *rq, struct response *rs);
/* Does the entry the request names exist? Decides create against update, for ACL and audit. */
typedef struct error *exists_fn(struct request *rq, bool *ret_exists);

enum {
    ROUTE_SUDO = 1,   /* needs the sudo capability */
    ROUTE_UNAUTH = 2, /* no token needed */
    /* starts on the loop though the operation is no read (a put sends it to the lane) */
    ROUTE_READONLY = 4,
    ROUTE_LANE = 8,        /* runs in the lane though the operation reads */
    ROUTE_BULK = 64,       /* works in steps: response_again() */
    ROUTE_TOP_LEVEL = 128, /* the answer repeats data's members beside "data" (old sys/ routes) */
    ROUTE_NO_AUDIT = 256,
    /* the effect happens on the control thread after the response is made: response_control() */
    ROUTE_CONTROL = 512,
    ROUTE_HIDDEN = 1024,   /* not in OpenAPI */
    ROUTE_RAW_BODY = 2048, /* unknown fields are data (kv v1): no field parsing of the body, no warnings */
    ROUTE_SLOW = 4096,     /* calls request_memo(): runs first where it may take its time */
    ROUTE_LOGIN = 8192,    /* with ROUTE_UNAUTH: sets rs->login */
    /* about a wrapping token: rq->wrapping_token is found before all else, even the caller's own token */
    ROUTE_WRAPPING = 16384,
    /* its audit lines have no data, neither sent nor answered, so that no device that logs raw has shares */
    ROUTE_AUDIT_BARE = 32768,
};

struct route_op {
    handler_fn *fn; /* NULL: unsupported operation */
    unsigned flags; /* ROUTE_*, added to the route's */
    const char *help;
};

struct route {
    const char *path;               /* template, relative to the mount, no leading '/'; NULL ends a table */
    const struct field *fields;     /* path, query and body fields; NULL: none */
    struct route_op ops[OP_COUNT_]; /* OP_UPDATE serves creates too when OP_CREATE is empty */
    unsigned flags;
    exists_fn *exists; /* NULL: writes are updates */
    const char *help;  /* one line */
    const char *about; /* longer text for path-help */
};

/* A folder of a view whose entries are looked at in the background. What is wrong is removed, each by a
 * request of its own in the lane. rq->view is the view; the request has no more than that. */
struct sweep_folder {
    enum core_space space; /* of the core's own sweeps; a mount's: 0 */
    str folder;            /* ends in '/'; empty: ends a table, which lives as long as the program */
    /* Is the entry wrong? path: relative to the view. */
    struct error *(*judge)(struct request *rq, str path, bool *ret_wrong);
    /* One step of removing it, after it was judged wrong again. */
    struct error *(*fix)(struct request *rq, str path, bool *ret_done);
};

enum engine_kind {
    ENGINE_SECRETS,
    ENGINE_AUTH,
    ENGINE_CORE /* sys, identity, cubbyhole, token: not mountable */
};

enum { LEASE_HOOK_ENTRIES = 8 };
struct secret_lease {           /* what an engine gives out for a time */
    const char *secret_type;    /* tells the engine's kinds apart when the lease comes back */
    int64_t ttl_ns, max_ttl_ns; /* 0: the mount's */
    bool renewable;
    struct json *internal_data; /* object or NULL: kept with the lease, not shown */
    /* when it comes back */
    const struct json *data; /* of the answer it came with */
    int64_t issue_time_ns, increment_ns;
};

struct engine {
    const char *type; /* "kv" */
    enum engine_kind kind;
    const struct route *routes;
    const struct route *const *more_routes; /* further tables, NULL-terminated; NULL: none */
    const char *help;
    const char *plugin_version; /* "v0.15.0+builtin"; as sys/mounts and audit show it */
    /* Optional hooks; all may be NULL. Run inside a transaction in the lane. */
    /* kv 2: one step of bringing the mount's data into the engine's form; idempotent. Before the mount
     * serves. */
    struct error *(*upgrade)(struct request *rq, const struct mount *m, bool *ret_done);
    struct error *(*create)(struct request *rq); /* after mounting, first time */
    /* cubbyhole: wipe what belongs to it */
    struct error *(*token_revoked)(struct request *rq, const struct token_entry *te);
    /* auth methods, with the mount's view: whose login it claims to be, before any proof (for the lockout) */
    struct error *(*login_alias)(struct request *rq, str *ret_name);
    struct error *(*renew)(struct request *rq, struct renewal *r);
    /* methods with roles: whose role a login asks for, before any proof; empty: none. For quotas. */
    struct error *(*login_role)(struct request *rq, str *ret_name);
    /* kv: the folder of the mount's view that has an entry for each secret ("": all), for counting them. */
    str (*secrets_folder)(struct arena *a, const struct mount *m);
    /* What is over in the mount's view is removed, now and then. */
    const struct sweep_folder *sweep;
    /* secrets engines, with the mount's view: a lease the engine gave out (response.secret_lease) is to be
     * renewed, or ends. Renewing may set its times. Ending is idempotent, is tried again when it fails, and
     * writes at most LEASE_HOOK_ENTRIES entries; without a hook there is nothing to undo. */
    struct error *(*secret_renew)(struct request *rq, struct secret_lease *l);
    struct error *(*secret_revoke)(struct request *rq, const struct secret_lease *l);
};

struct http_header;
struct mount;
struct mount_table;
struct acl;
struct entity;
struct identity_joined;
struct active;
struct core;

struct request_peer {
    str remote_address;
    int remote_port;
    bytes client_cert_der;
    /* what the listener it came in by shows without a token (sys/metrics …) */
    bool metrics_open, in_flight_open;
};

enum { REQUEST_PARAMS_MAX = 8 };

struct field_value {
    const struct field *field;
    const struct json *raw; /* NULL: not given */
    union {
        str s;
        int64_t i; /* FT_INT; durations in ns; times in ns */
        double d;
        bool b;
        struct {
            str *items;
            size_t n;
        } list;
    };
};

struct request {
    struct arena *arena;
    struct core *core;
    struct active *active; /* NULL for routes that work sealed */
    struct txn *txn;
    struct view *view; /* of the mount */
    const struct clock *clock;
    struct rng *rng;

    str id; /* UUID */
    enum op op;
    str path;                         /* full, without /v1/: "secret/a"; a list has its trailing slash */
    str rel;                          /* path inside the mount */
    const struct mount_table *mounts; /* of the snapshot it runs on */
    const struct mount *mount;
    const struct route *route;
    struct json *data; /* body (or query of reads and deletes); an object or NULL */
    unsigned step;     /* of a bulk handler: 0 in its first run */
    bool body_is_empty;
    struct field_value *fields; /* parsed, one per field of the route */
    size_t n_fields;
    str params[REQUEST_PARAMS_MAX]; /* values of {name}s, in order of the template */

    str client_token;                     /* as sent; empty if none */
    const struct token_entry *token;      /* NULL for unauthenticated */
    const struct entity *entity;          /* of the token; NULL: it has none */
    const struct identity_joined *joined; /* of a login: groups as it makes them (identity.h); NULL: none */
    const str *identity_policies;         /* of the entity and its groups */
    const str *policies;                  /* the token's and those: what acl is made of */
    size_t n_identity_policies, n_policies;
    const struct acl *acl;
    bool is_root;
    str client_id;                            /* audit: entity id or hash */
    int64_t wrap_ttl_ns;                      /* the answer is to be wrapped, for so long; 0: not */
    bool wrap_as_jwt;                         /* in a token of that form */
    const struct token_entry *wrapping_token; /* of ROUTE_WRAPPING; never NULL there */
    struct request_peer peer;
    const struct http_header *headers; /* as sent; of the exchange */
    size_t n_headers;
    void *internal_arg;    /* of an internal request */
    struct walk *walks[2]; /* of a bulk request (lease/walk.h) */
};

/* What takes long to compute (a password hash), for routes with ROUTE_SLOW: computed once on a pool of its
 * own, kept for the runs to come of this request, wiped with it. compute cannot fail and has no effect but
 * its result, which depends on x, y and chance alone. */
typedef bytes memo_fn(struct request *rq, bytes x, bytes y);
struct error *request_memo(struct request *rq, memo_fn *compute, bytes x, bytes y, bytes *ret) MUST_USE;

/* Values of the route's fields; the name must be in the table (asserted). Absent: the default, else the zero
 * value. */
str field_str(const struct request *rq, const char *name);
int64_t field_int(const struct request *rq, const char *name);
double field_float(const struct request *rq, const char *name);
int64_t field_ns(const struct request *rq, const char *name); /* FT_SECONDS */
bool field_bool(const struct request *rq, const char *name);
const str *field_strs(const struct request *rq, const char *name, size_t *ret_n);
/* as sent (FT_ANY, FT_MAP), FT_KV as an object; NULL: absent */
const struct json *field_json(const struct request *rq, const char *name);
bool field_given(const struct request *rq, const char *name);

/* The answer. Exactly one of: nothing (204), data, auth, raw body. An error never carries data. */
struct response_auth {
    str client_token, accessor, entity_id, display_name, token_type; /* "service", "batch" */
    const str *policies, *token_policies, *identity_policies;
    size_t n_policies, n_token_policies, n_identity_policies;
    const struct json *metadata; /* NULL: null */
    /* the second factor that is asked for: there is no token yet; NULL: none */
    const struct json *mfa_requirement;
    int64_t ttl_ns;
    int64_t num_uses;
    int64_t issue_time_ns;
    bool renewable, orphan;
    bool entity_created; /* by this login; for audit */
};

struct wrap_info { /* of an answer that was wrapped */
    str token, accessor, creation_path, wrapped_accessor;
    int64_t ttl_ns, creation_time_ns;
};

struct response {
    int status; /* 0: 200 with a body, 204 without */
    struct json *data;
    struct response_auth *auth;
    const struct wrap_info *wrap_info;       /* data and auth are gone into a cubbyhole */
    const struct login *login;               /* of a ROUTE_LOGIN handler: core makes auth of it */
    bool login_refused;                      /* by login_refuse() */
    const struct secret_lease *secret_lease; /* core makes the lease, and sets what follows */
    str lease_id;
    bool renewable;
    int64_t lease_duration_s;
    str *warnings;
    size_t n_warnings;
    str raw_content_type; /* not empty: raw_body is sent as it is */
    bytes raw_body;
    const struct stream_source *stream; /* by response_stream() */
    const void *stream_arg;
    int64_t max_age_s; /* how long others may keep the answer; 0: not at all */
    bool again;        /* commit, then run the handler again */
    bool bare_body;    /* the HTTP body is `data` alone, without the envelope (sys/health, sys/init …) */
    /* after commit and audit, on the control thread */
    struct error *(*control)(struct core *core, struct arena *a, void *arg);
    void *control_arg;
};

struct json *response_data(struct request *rq, struct response *rs); /* the data object, made at first use */
void response_warn(struct request *rq, struct response *rs, const char *fmt, ...) PRINTF(3, 4);
/* {"keys": names}; no names: 404 without text, as the API answers empty lists. */
struct error *response_list(struct request *rq, struct response *rs, const str *names, size_t n) MUST_USE;
/* The answer has no end of its own: it is pulled from `source` (core/stream.h), once the response is audited.
 * arg lives in the request's arena. */
struct stream_source;
void response_stream(struct response *rs, const struct stream_source *source, const void *arg);
/* Commits what was written so far and runs the handler again from its start: for ROUTE_BULK. */
struct error *response_again(struct response *rs);

/* Errors with the API's exact texts. fail: `{"errors": [text]}`; fail_wrapped: "1 error occurred:\n\t*
 * text\n\n". */
#define fail(rq, kind, ...) error_new((rq)->arena, (kind), __VA_ARGS__)
struct error *fail_wrapped(struct request *rq, enum err_kind kind, const char *fmt, ...) PRINTF(3, 4) COLD;
/* Once the request has committed, these folders of the mount are swept; the log says how much was removed. */
void request_sweep(struct request *rq, const struct sweep_folder *folders);
/* Texts that owners keep beside a secret or an alias (an object of strings): at most 64, keys of at most 128
 * bytes and texts of at most 512, not empty, printable. The error lists all that is wrong. */
struct error *custom_metadata_check(struct request *rq, enum err_kind kind, const struct json *custom)
    MUST_USE;
/* ROUTE_* of the request's route and operation; 0: no route. */
unsigned request_route_flags(const struct request *rq);
/* 404 with an empty list of errors. */
struct error *fail_absent(struct request *rq) COLD;
