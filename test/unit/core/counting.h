/* counting: an engine whose routes show lost updates, torn reads and lists that no moment ever had.
 *
 *   counter/{name}   update: one more, and an entry done/NAME/ID of the caller's id in the same transaction;
 *   answers {"n": N}
 *                    read: {"n": N}
 *   pair/{name}      update: two entries with the same value; read: {"a": …, "b": …}
 *   moving/{name}    update: the name moves from its folder to the next of three
 *   moving/, lane/   list, read: all names in all folders, each exactly once at every moment; lane/ lists in
 *   the lane
 */
#pragma once
#include "core/engine.h"

extern const struct engine counting_engine;
