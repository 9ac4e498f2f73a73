/* array: growing arrays in an arena by one element at a time, by doubling. */
#pragma once
#include "base/arena.h"

/* Room for element n (from 0) of an array that has only grown by this call. A copy is made when n is a power
 * of two. */
static inline void *array_room(struct arena *a, void *p, size_t n, size_t size)
{
    return n & (n - 1) ? p : arena_grow(a, p, n * size, MAX(2 * n, 1) * size);
}
