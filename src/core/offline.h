/* offline: a core without listeners, whose store nobody else uses: operator seal-migrate.
 *
 * Use: core_new, core_begin, then this; core_seal between opening it twice. Threads: any but the control
 * thread, which is waited for.
 */
#pragma once
#include "core/core.h"

struct core_seals {
    char from[32], to[32]; /* types: "shamir", "awskms" … */
    unsigned shares_needed;
    bool due; /* a migration */
};
struct core_seals core_seals(struct core *c);

enum core_offline {
    OFFLINE_CHECK,   /* do the shares open the store, does the new seal's service work? Nothing is written */
    OFFLINE_MIGRATE, /* opens it and migrates */
    OFFLINE_OPEN,    /* opens it as it will be opened from now on: by its key service, or with the shares */
};
struct error *core_offline(struct core *c, struct arena *a, enum core_offline what, const bytes *shares,
                           size_t n) MUST_USE;
