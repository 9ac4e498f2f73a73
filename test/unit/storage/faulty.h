/* faulty: a store over another one whose n-th call fails, for code that must come through any one failure.
 *
 * Use: faulty_new(inner, n, kind) for n = 1, 2, 3 … until faulty_fired() is false at the end: then everything
 * has run unharmed. A failing commit writes nothing, or everything when `after` is set (the answer was lost).
 * Lifetime: `inner` is the caller's and stays open. Threads: one.
 */
#pragma once
#include "storage/storage.h"

struct storage *faulty_new(struct storage *inner, unsigned n, enum err_kind kind, bool after);
bool faulty_fired(const struct storage *s);
