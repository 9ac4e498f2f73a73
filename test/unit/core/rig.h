/* rig: a whole core with a clock that stands still, one loop on the test's thread. */
#pragma once
#include "../base/check.h"

#undef fail /* cmocka's; the engine contract has its own */
#include "core/core.h"

struct rig {
    struct core *core;
    struct storage *storage;
    struct clock *clock;
    struct loop *loop;
    struct arena *arena; /* of the rig and all answers */
    const char *storage_type;
    char folder[32];     /* of the storage, unless in memory */
    str root;            /* token */
    str key;             /* the one unseal key, hex */
    int64_t wrap_ttl_ns; /* of the calls that follow */
    bool wrap_as_jwt;
    const struct engine *const *engines; /* what may be mounted */
};

struct answer {
    int status;
    str error;         /* empty: none */
    struct json *data; /* NULL: none */
    struct response_auth *auth;
    struct wrap_info *wrap_info; /* NULL: not wrapped */
    str raw;                     /* a body that is no envelope */
    str *warnings;
    size_t n_warnings;
    int64_t lease_duration_s;
    str lease_id;
    bool renewable;
};

void rig_init(struct rig *r, const char *storage_type); /* initialised and active; inmem, file, sqlite */
/* The same with these engines and no others. */
void rig_init_with(struct rig *r, const char *storage_type, const struct engine *const *engines);
void rig_done(struct rig *r);
void rig_restart(struct rig *r); /* sealed, and opened again on the same storage */
/* body: JSON text or NULL; for reads it stands for the query. A list's path gets its slash. */
struct answer rig_call(struct rig *r, enum op op, const char *path, str token, const char *body);
/* The same; fails the test unless the status is as wanted. */
struct answer rig_must(struct rig *r, int status, enum op op, const char *path, str token, const char *body);
