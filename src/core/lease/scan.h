/* scan: visits every entry below a folder of a view, in the background, a bounded number at a time on
 * the storage pool.
 *
 * The names of one folder are held at once, folders one after the other. Entries written meanwhile may be
 * missed or met. Threads: visit and done run on the storage pool, never two at once.
 */
#pragma once
#include "core/engine.h"

enum { SCAN_STEP_ENTRIES = 256 };

struct scan;
/* path: relative to the view. May be called twice for one entry. An error ends the scan. */
typedef struct error *scan_visit_fn(struct request *rq, str path, void *arg);

/* Starts; done(complete, arg) is called exactly once, perhaps before this returns. */
void scan_start(struct active *a, struct space *space, str folder, scan_visit_fn *visit,
                void (*done)(bool complete, void *arg), void *arg);
