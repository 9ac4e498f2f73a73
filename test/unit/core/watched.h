/* watched: a store over another one. It keeps a ledger of what was committed, and can hold back reads.
 *
 * Ledger: how often each path was put, and how often anything in its folder was; by the part of the path
 * inside its mount's
 *   view ("logical/UUID/done/a" is "done/a" and "done/"). An entry is there before the commit returns, so
 *   before any answer.
 * Lifetime: closing it closes `inner`. Threads: any.
 */
#pragma once
#include "storage/storage.h"

/* blocking: says that reads may wait, whatever `inner` is, so that they are cached and leave the loops. */
struct storage *watched_new(struct storage *inner, bool blocking);
uint64_t watched_puts(struct storage *s, str path_or_folder);
uint64_t watched_commits(struct storage *s); /* since the start, the failed ones not */

/* The next read of a path that ends in `end` waits after it has read, until it is released. `end` must live
 * as long. */
void watched_park(struct storage *s, str end);
bool watched_wait_parked(struct storage *s); /* false: nobody came within a minute */
void watched_release(struct storage *s);
