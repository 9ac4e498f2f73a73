/* kv2: the engine of secrets with versions (kv with the option version=2).
 *
 * Stored: docs/formats/kv2.md. Its type in the engine list is "kv-v2"; mounts of it show the type kv.
 */
#pragma once
#include "core/engine.h"

extern const struct engine kv2_engine;

/* One step of taking over what version 1 stored in mount `m`: an internal request calls it, commits, and
 * calls again until ret_done. Whoever changes a mount's version to 2 runs it, and each activation for
 * every mount of version 2 (a step of a mount that is done reads one entry). Until it is done the mount's
 * requests are answered with an error. */
struct error *kv2_upgrade_step(struct request *rq, const struct mount *m, bool *ret_done) MUST_USE;
