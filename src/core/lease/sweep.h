/* sweep: looks at every entry of some folders in the background, and removes what is wrong, each by a request
 * of
 * its own in the lane, so many at a time.
 *
 * Threads: scans and judges on the storage pool; fixes run in the lane.
 */
#pragma once
#include "core/engine.h"

struct sweep_folder {
    enum core_space space;
    str folder; /* ends in '/' */
    /* Is the entry wrong? path: relative to the space. */
    struct error *(*judge)(struct request *rq, str path, bool *ret_wrong);
    /* One step of removing it, after it was judged wrong again. */
    struct error *(*fix)(struct request *rq, str path, bool *ret_done);
};

/* folders: up to one whose folder is empty; lives as long as the program. The log says how much was removed.
 * */
void sweep_start(struct active *a, const char *log, const struct sweep_folder *folders);
