/* clock: time that tests can set. Times are nanoseconds, wall time since the Unix epoch, UTC.
 * Threads: any. The real clock has no state.
 */
#pragma once
#include "base/arena.h"
#include "base/error.h"

#define NS_PER_S  INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

struct clock;
const struct clock *clock_real(void);
struct clock *clock_manual_new(int64_t wall_ns); /* stands still until told */
void clock_manual_advance(struct clock *c, int64_t ns);
void clock_manual_free(struct clock *c);

int64_t clock_wall_ns(const struct clock *c);
int64_t clock_mono_ns(const struct clock *c); /* never goes back; no relation to wall time */

enum { TIME_TEXT_MAX = 40 };
/* RFC 3339 in UTC with up to 9 fraction digits, trailing zeros cut ("2026-11-22T05:01:48.01Z"): Go's
 * RFC3339Nano. Zero time (TIME_ZERO_NS) is "0001-01-01T00:00:00Z". */
#define TIME_ZERO_NS INT64_MIN
str time_format(struct arena *a, int64_t wall_ns);
size_t time_format_to(char out[TIME_TEXT_MAX], int64_t wall_ns);
/* The same with exactly `digits` (0, 3, 6, 9) fraction digits. */
size_t time_format_fixed(char out[TIME_TEXT_MAX], int64_t wall_ns, int digits);
/* Any RFC 3339 time with any offset. Year 1 reads as TIME_ZERO_NS. False if it is none, or outside
 * 1677-09-21 .. 2262-04-11, which is what nanoseconds in 64 bits can say. */
bool time_parse(str s, int64_t *ret_wall_ns) MUST_USE;

/* Durations as the API and configuration take them: "" = 0, digits = seconds, "Nd" = days, else Go's
 * ("1h30m", "-1.5h").
 * Errors: ERR_BAD_REQUEST with Go's texts. */
struct error *duration_parse(struct arena *a, str s, int64_t *ret_ns) MUST_USE;
str duration_format(struct arena *a, int64_t ns); /* Go's String(): "1h30m0s", "1.5s", "0s" */
