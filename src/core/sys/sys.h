/* sys: the tables that make up the system engine, mounted at sys/. For core only. */
#pragma once
#include "core/engine.h"

extern const struct route sys_mount_routes[];

/* One step of taking a mount away with all it stored (docs/formats/mounts.md, "unmounting"). Idempotent. */
struct error *unmount_step(struct request *rq, str path, bool *ret_done) MUST_USE;
/* Internal request: finishes what core/coffer-pending/ lists, one step a run. */
struct error *pending_resume(struct request *rq, struct response *rs) MUST_USE;
