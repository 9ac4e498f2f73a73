/* lane: the one writer. Requests that write run here one after the other; what they wrote is committed in
 * groups.
 *
 * Threads: the lane thread runs handlers and fills a group while the commit thread writes the last one:
 *   request lines of the group → storage commit → publish (LRU, spaces, hooks), overlay off → answers.
 * A handler in the lane sees committed data plus the overlay (groups in flight). When a group fails, what was
 * built on it is dropped
 * and runs again; its own requests run again one by one (solo) and fail singly. Execution order is commit
 * order.
 */
#pragma once
#include "core/call.h"

struct lane;
enum { LANE_QUEUE_MAX = 16384, LANE_GROUP_REQUESTS_MAX = 512, LANE_GROUP_BYTES_MAX = 64 * 1024 * 1024 };

struct lane *lane_new(struct active *a);
/* Takes the call: it will be run. False: closed (ERR_SEALED) or full (ERR_BUSY): `ret_kind` says which. Any
 * thread. */
bool lane_submit(struct lane *l, struct call_state *cs, enum err_kind *ret_kind) MUST_USE;
/* Back after a rehearsal: never refused for being full; a closed lane fails the call. */
void lane_resubmit(struct lane *l, struct call_state *cs);
/* Nothing more is run: queued calls fail with ERR_SEALED, the group in flight is finished. Returns when both
 * threads ended. */
void lane_close(struct lane *l);
void lane_free(struct lane *l);

/* For txn, on the lane thread. record->p == NULL: deleted by a group in flight. The copy lives in the arena.
 * */
bool lane_overlay_get(struct lane *l, struct arena *a, str path, bytes *ret_record);
/* Is the path written by a group in flight, its commit perhaps done but not published? Any thread. */
bool lane_overlay_has(struct lane *l, str path);
void lane_overlay_each(struct lane *l, struct arena *a, void (*fn)(void *arg, str path, bool deletes),
                       void *arg);
