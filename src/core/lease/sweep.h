/* sweep: looks at every entry of some folders in the background, and removes what is wrong, each by a request
 * of
 * its own in the lane, so many at a time.
 *
 * Threads: scans and judges on the storage pool; fixes run in the lane.
 */
#pragma once
#include "core/engine.h"

/* folders: up to one whose folder is empty; live as long as the program. mount: the space of the mount
 * that they are in; NULL: they are in the core's spaces. The log says how much was removed. */
void sweep_start(struct active *a, const char *log, const struct sweep_folder *folders, struct space *mount);

/* Begins to sweep the mounts of all engines that have something to sweep, again and again. Both on the
 * control thread; stop once nothing holds the active. */
void sweep_mounts_start(struct active *a);
void sweep_mounts_stop(struct active *a);
