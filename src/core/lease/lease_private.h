/* lease_private: what the lease files share. */
#pragma once
#include "base/loop.h"
#include "base/mutex.h"
#include "core/active.h"
#include "core/internal.h"
#include "core/lease/lease.h"
#include "core/lease/lease_index.h"

struct lease_manager {
    struct active *active;
    struct lease_index *index;
    struct loop_timer timer;
    struct mutex mutex; /* below */
    int64_t armed_ns;   /* wall time the timer is set for; INT64_MAX: not set */
    unsigned in_flight; /* revocations */
    bool stopped;
    bool loaded;
    bool load_again; /* reading the stored leases failed */
};

/* From published transactions: the record follows what is stored. */
void lease_manager_learn(struct lease_manager *m, str lease_id, int64_t expire_ns);
void lease_manager_forget(struct lease_manager *m, str lease_id);
/* Starts reading all stored leases; lease_manager_loaded is called when it ended. */
void lease_load_start(struct lease_manager *m);
void lease_manager_loaded(struct lease_manager *m, bool complete);
bool lease_manager_is_stopped(struct lease_manager *m);

/* lease_secret.c: asks its engine to undo it, then deletes it. */
struct error *lease_revoke_secret(struct request *rq, const struct lease *l, bool force, unsigned *left,
                                  bool *ret_done) MUST_USE;
struct error *lease_expire_now(struct request *rq, struct lease *l) MUST_USE; /* the manager revokes it */
