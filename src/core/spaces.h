/* spaces: a prefix of the barrier with the counters that make reads consistent and cache fills safe.
 *
 *   begun, ended   commits into the space that were started, and that were published or dropped
 *   seq            even: at rest; odd: being published. Changes with every publication.
 * A reader is consistent when seq was even and is the same at its end (and, if it read past the LRU, when no
 * commit was under way).
 */
#pragma once
#include "core/txn.h"

struct space {
    str prefix; /* "core/", "logical/UUID/" */
    _Atomic(uint64_t) seq, begun, ended;
    uint64_t visited;   /* commit thread: the last walk over a group's spaces that met it */
    struct space *next; /* of its chain, in struct active */
};
