/* internal: work of the core's own, run as requests without token and audit: expiry, revocation, tidy,
 * resuming.
 * Threads: submit from any thread while `a` is held (or from the control thread); done runs on the thread
 * that finished it.
 */
#pragma once
#include "base/loop.h"
#include "core/engine.h"

/* Runs fn in the lane, with steps by response_again(); done(e, arg) exactly once: e is NULL or what the
 * handler returned (valid only
 * during the call). rq->internal_arg == arg. False: the lane is closed, nothing will be called. */
bool internal_submit(struct active *a, handler_fn *fn, void *arg,
                     void (*done)(const struct error *e, void *arg)) MUST_USE;
/* Runs fn read-only on the storage pool, where it may wait. */
bool internal_read(struct active *a, handler_fn *fn, void *arg,
                   void (*done)(const struct error *e, void *arg)) MUST_USE;

/* Sets a timer on the control loop; from any thread. The callback runs on the control thread, and only while
 * `a` is the active one. */
void control_timer_set(struct active *a, struct loop_timer *t, int64_t delay_ns);
/* control thread; before the timer's memory goes */
void control_timer_clear(struct active *a, struct loop_timer *t);
