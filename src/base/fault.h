/* fault: named points of failure, in one sorted list; compiled out of release builds (COFFER_FAULTS unset).
 *
 * A point is set by name from a test (fault_set) or from the environment:
 * COFFER_FAULT="storage_commit_full=1/10,commit_group=after:3"
 *   N/M        fires at random N times out of M (seed: COFFER_FAULT_SEED, printed at start)
 *   after:N    fires once, at call N+1
 *   always     fires at each call
 *   stop:N     the process is stopped (SIGKILL to itself) at call N+1
 */
#pragma once
#include "base/base.h"

enum fault_point {
    FAULT_AUDIT_WRITE,   /* an audit device's write fails */
    FAULT_COMMIT_AFTER,  /* just after backend commit, before publication */
    FAULT_COMMIT_BEFORE, /* just before backend commit */
    FAULT_COMMIT_GROUP,  /* backend commit of a group fails, nothing written (ERR_FULL) */
    /* the three defects: what a build must never do, planted to see that a test fails */
    FAULT_DEFECT_ARENA_UNWIPED,       /* memory given back is not wiped */
    FAULT_DEFECT_COMMIT_BEFORE_AUDIT, /* a group is committed before its request lines are written */
    FAULT_DEFECT_FILL_UNCHECKED,      /* a reader fills the LRU though a writer was faster */
    FAULT_FILE_BETWEEN_PUTS,          /* file backend: between two puts of one batch */
    FAULT_LRU_MISS,                   /* a cached entry is treated as absent from the cache */
    FAULT_STORAGE_FSYNC,              /* fsync fails (ERR_IO) */
    FAULT_STORAGE_FULL,               /* a write meets ENOSPC */
    FAULT_STORAGE_READ,               /* a backend read fails */
    FAULT_VERSION_CHANGED,            /* a reader finds its mount version changed at the end */
    FAULT_COUNT_
};

#ifdef COFFER_FAULTS
bool fault_fires(enum fault_point p);
bool fault_set(str name_and_rule) MUST_USE; /* "commit_group=1/10" */
void fault_clear(void);
uint64_t fault_count(enum fault_point p); /* times it fired */
#define FAULT(p) fault_fires(p)
#else
#define FAULT(p) false
#endif
void fault_init_from_env(void); /* does nothing in a release build */
