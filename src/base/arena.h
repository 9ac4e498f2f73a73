/* arena: memory that lives and dies together (one request, one file load).
 *
 * Memory: allocation cannot fail: the process aborts with a log line when the machine is out of memory. What
 *         bounds a request is `arena_is_over()`: every place that grows by outside data (JSON, txn reads,
 *         buffers) asks it, or has a maximum of its own, and answers an error.
 * Wiping: the used part is wiped with zeros at reset and free (it held secrets), and poisoned under ASan.
 *         Big blocks go back to the system at reset; each thread keeps up to 64 KiB of small ones for the
 *         next request.
 * Threads: an arena belongs to one thread at a time; it may be handed over.
 * Alignment: every allocation is aligned to 16 bytes.
 */
#pragma once
#include "base/base.h"

#include <stdarg.h>

enum { ARENA_BLOCK_BYTES = 16 * 1024, ARENA_KEEP_BYTES_MAX = 64 * 1024 };

struct arena;

/* limit_bytes: what arena_is_over() compares with; 0 = no limit. */
struct arena *arena_new(size_t limit_bytes);
void arena_free(struct arena *a); /* runs the deferred calls, wipes; NULL is fine */
void arena_freep(struct arena **a);

/* not initialised; n = 0 gives a unique pointer */
void *arena_alloc(struct arena *a, size_t n);
void *arena_zalloc(struct arena *a, size_t n);              /* zeroed */
void *arena_copy(struct arena *a, const void *p, size_t n); /* a copy of n bytes */
/* Grows the array at `p` from old_n to new_n bytes, in place when it is the last allocation. */
void *arena_grow(struct arena *a, void *p, size_t old_n, size_t new_n);
#define ARENA_NEW(a, type)      ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_array_((a), (n), sizeof(type)))
void *arena_array_(struct arena *a, size_t n, size_t size); /* zeroed; aborts on overflow of n * size */

/* Runs fn(arg) at the next reset past this point or at free, last one first. For what is not memory:
 * references, contexts. */
void arena_defer(struct arena *a, void (*fn)(void *arg), void *arg);

/* A mark and the way back to it: what was allocated since is wiped and free again, deferred calls since then
 * have run. */
struct arena_mark {
    void *block;
    size_t used;
    size_t total_bytes;
    void *deferred;
    size_t big_serial;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_reset_to(struct arena *a, struct arena_mark mark);
void arena_reset(struct arena *a); /* to empty */

size_t arena_used_bytes(const struct arena *a);
bool arena_is_over(const struct arena *a); /* used more than the limit */
void arena_set_limit(struct arena *a, size_t limit_bytes);

/* Strings in an arena. All copies; the result is also NUL-terminated (the NUL is not counted). */
str arena_str(struct arena *a, str s);
bytes arena_bytes(struct arena *a, bytes b);
str arena_fmt(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
str arena_vfmt(struct arena *a, const char *fmt, va_list ap) PRINTF(2, 0);
str arena_join(struct arena *a, str x, str y); /* x followed by y */
str arena_lower(struct arena *a, str s);       /* ASCII letters lowered */
/* A C string for a library. NULL if s has a NUL byte inside: the caller answers with its own error. */
char *arena_cstr(struct arena *a, str s) MUST_USE;
